"""Data sets: reading, checking, inferring types, holding the test part out, folds."""

from nas.data.dataset import MAX_CATEGORIES, Column, Dataset, Features, Schema, n_rows, take_rows
from nas.data.load import image_names, load_dataset, load_features, original_columns
from nas.data.scaling import numeric_values
from nas.data.seen import match_seen, seen_values
from nas.data.split import Fold, Split, fresh_folds, split_dataset
from nas.options import DataOptions, SplitOptions

__all__ = [
    "MAX_CATEGORIES",
    "Column",
    "DataOptions",
    "Dataset",
    "Features",
    "Fold",
    "Schema",
    "Split",
    "SplitOptions",
    "fresh_folds",
    "image_names",
    "load_dataset",
    "load_features",
    "match_seen",
    "n_rows",
    "numeric_values",
    "original_columns",
    "seen_values",
    "split_dataset",
    "take_rows",
]
