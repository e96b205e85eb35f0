"""Preprocessing as Keras layers: the same ones encode the folds and go into the saved model."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from nas.data import (
    Dataset,
    Features,
    Fold,
    FoldData,
    Schema,
    Statistics,
    fit_statistics,
    n_rows,
    take_rows,
)

ENCODE_BATCH = 8192  # rows that are encoded at once


def build_preprocessor(
    schema: Schema, statistics: Statistics, n_columns: int | None = None
) -> keras.Model:
    """Raw features to the encoded matrix.

    Numbers are scaled; a missing one becomes the mean, and where the training rows had missing
    ones a further column says so. A category becomes one column among its peers, an unknown one
    none of them.

    Args:
        schema: What a row of raw features looks like.
        statistics: What was learned from the training rows.
        n_columns: Width to fill up to with zeros, so that folds that saw different categories
            are equally wide.
    """
    if not schema.is_table:
        inputs = keras.Input(schema.row_shape, name="features")
        x = layers.Flatten(name="flat")(inputs) if len(schema.row_shape) > 1 else inputs
        encoded = _joined(_scaled(x, schema, statistics), schema, statistics, n_columns)
        return keras.Model(inputs, encoded, name="preprocessing")
    # Keras names inputs and operations of one model alike, and operations by themselves: a model
    # within the model has names of its own, whatever the columns are called.
    inner, columns = [], {}
    for number, column in enumerate(schema.columns, start=1):
        dtype = "string" if column.kind == "categorical" else "float32"
        inner.append(keras.Input((1,), dtype=dtype, name=f"column_{number}"))
        # An input is called like its key, unless Keras does not allow that.
        allowed = column.name and "/" not in column.name
        name = column.name if allowed else layer_name(f"column_{number}", schema)
        columns[column.name] = keras.Input((1,), dtype=dtype, name=name)
    encoder = keras.Model(
        inner,
        _joined(_table_parts(inner, schema, statistics), schema, statistics, n_columns),
        name=layer_name("encoder", schema),
    )
    with warnings.catch_warnings():
        ignore_input_names()
        return keras.Model(columns, encoder(list(columns.values())), name="preprocessing")


def ignore_input_names() -> None:
    """Silences Keras where a column has a name that a layer cannot have; the key counts."""
    warnings.filterwarnings("ignore", "When providing `inputs` as a dict", UserWarning)


def _table_parts(inputs: Sequence[Any], schema: Schema, statistics: Statistics) -> list[Any]:
    given = {column.name: x for column, x in zip(schema.columns, inputs, strict=True)}
    numeric = [given[column.name] for column in schema.columns if column.kind == "numeric"]
    parts = []
    if numeric:
        x = layers.Concatenate(name="numbers")(numeric) if len(numeric) > 1 else numeric[0]
        parts += _scaled(x, schema, statistics)
    for number, (name, categories) in enumerate(statistics.categories.items(), start=1):
        lookup = layers.StringLookup(
            vocabulary=list(categories),
            oov_token=_unused("[unknown]", categories),
            name=f"lookup_{number}",
        )
        # The lookup numbers unknown texts 0, and one-hot encodes -1 as zeros.
        index = ops.squeeze(lookup(given[name]), axis=-1) - 1
        parts.append(ops.one_hot(index, len(categories)))
    return parts


def _scaled(x: Any, schema: Schema, statistics: Statistics) -> list[Any]:
    # 32-bit floats hold 1e-30 and 1e30, but not their squares, which `Normalization` takes.
    mean = statistics.mean.astype(np.float32)
    inverse_scale = (1.0 / statistics.scale).astype(np.float32)
    if not schema.columns:
        return [(x - mean) * inverse_scale]
    is_missing = ops.isnan(x)
    filled = ops.where(is_missing, statistics.fill.astype(np.float32), x)
    parts = [(filled - mean) * inverse_scale]
    parts.extend(ops.cast(is_missing[:, k : k + 1], "float32") for k in statistics.missing)
    return parts


def _joined(
    parts: Sequence[Any], schema: Schema, statistics: Statistics, n_columns: int | None
) -> Any:
    encoded = layers.Concatenate(name="encoded")(parts) if len(parts) > 1 else parts[0]
    padding = (n_columns or 0) - statistics.n_columns(schema)
    return ops.pad(encoded, [[0, 0], [0, padding]]) if padding > 0 else encoded


def layer_name(name: str, schema: Schema) -> str:
    """The name for a layer beside the inputs, which are named like the columns."""
    return _unused(name, [column.name for column in schema.columns])


def _unused(word: str, taken: Sequence[str]) -> str:
    while word in taken:
        word += "_"
    return word


def model_inputs(features: Features) -> Any:
    """Features as a Keras model with these preprocessing layers takes them."""
    if isinstance(features, Mapping):
        # Keras takes one-dimensional arrays of Python strings, and no other text.
        return {name: np.asarray(values) for name, values in features.items()}
    return features


def encode(preprocessor: keras.Model, features: Features) -> NDArray[np.float32]:
    """The encoded matrix, shape (n_rows, n_columns)."""
    total = n_rows(features)
    if not total:
        return np.zeros((0, preprocessor.output_shape[-1]), np.float32)
    parts = []
    for start in range(0, total, ENCODE_BATCH):
        rows = np.arange(start, min(start + ENCODE_BATCH, total))
        batch = take_rows(features, rows)
        if isinstance(batch, Mapping):
            tensors: Any = {
                name: ops.convert_to_tensor(
                    values[:, None], dtype="string" if values.dtype == object else "float32"
                )
                for name, values in batch.items()
            }
        else:
            tensors = ops.convert_to_tensor(batch, dtype="float32")
        parts.append(np.asarray(preprocessor(tensors), np.float32))
    return np.concatenate(parts)


def encode_folds(
    dataset: Dataset,
    folds: Sequence[Fold],
    keep: Callable[[FoldData], FoldData] = lambda fold: fold,
) -> tuple[FoldData, ...]:
    """Encodes each fold with what its own training rows teach; all folds are equally wide.

    `keep` is given each fold as soon as it is encoded, and returns what is to be kept of it.
    """
    learned = [fit_statistics(dataset, fold.train) for fold in folds]
    width = max(statistics.n_columns(dataset.schema) for statistics in learned)
    encoded = []
    for fold, statistics in zip(folds, learned, strict=True):
        preprocessor = build_preprocessor(dataset.schema, statistics, width)
        data = FoldData(
            task=dataset.task,
            x_train=encode(preprocessor, take_rows(dataset.features, fold.train)),
            y_train=dataset.y[fold.train],
            x_val=encode(preprocessor, take_rows(dataset.features, fold.val)),
            y_val=dataset.y[fold.val],
            target_mean=statistics.target_mean,
            target_scale=statistics.target_scale,
        )
        encoded.append(keep(data))
    return tuple(encoded)
