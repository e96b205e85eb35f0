"""nas: neural architecture and hyperparameter search for Keras, driven by Optuna.

Importing this package is cheap: TensorFlow and Optuna load only where they are used.
"""

import os

__version__ = "0.1.0"

# Here, and not in `nas.storage`, because the help shows it without loading Optuna.
DEFAULT_STORAGE = "sqlite:///studies/nas.db"

# Read once by TensorFlow and Keras, so they must be set before either is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"  # the engines are written for it
