"""From raw features to the matrix that networks take, learned from each fold's training rows.

Nothing here needs TensorFlow but `nas.encoding.keras_form`, which a saved model is made of.
"""

from nas.encoding.encoder import Encoder, fit_encoder
from nas.encoding.folds import FoldData, encode_folds
from nas.encoding.statistics import Statistics, fit_statistics

__all__ = [
    "Encoder",
    "FoldData",
    "Statistics",
    "encode_folds",
    "fit_encoder",
    "fit_statistics",
]
