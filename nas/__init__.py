"""nas: neural architecture and hyperparameter search for Keras, driven by Optuna.

Importing this package is cheap, and changes nothing outside it: TensorFlow and Optuna load only
where they are used.
"""

__version__ = "0.1.0"

# Here, and not in `nas.storage`, because the help shows it without loading Optuna.
DEFAULT_STORAGE = "sqlite:///studies/nas.db"
