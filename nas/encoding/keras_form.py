"""The encoder as Keras layers, which go into a saved model.

They compute what `nas.encoding.encoder` computes, in the same order and with 32 bits: where one
is changed, so is the other.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from nas.data import Column, Features, Schema
from nas.data.date_values import PERIODS, STEPS
from nas.encoding.encoder import Encoder
from nas.encoding.quantiles import Knots
from nas.encoding.statistics import FAR, Statistics
from nas.encoding.texts import LONGEST

# Names of layers, with a number behind them.
LOOKUP, SINCE, TERMS = "lookup_", "since_", "terms_"
DTYPES = {"numeric": "float32", "date": "float64", "categorical": "string", "text": "string"}


def build_preprocessor(encoder: Encoder) -> keras.Model:
    """A model that makes of raw features what the encoder makes of them.

    It takes a numeric array, or a mapping of columns where there are categories; see
    `model_inputs`.
    """
    schema = encoder.schema
    if not schema.is_table:
        inputs = keras.Input(schema.row_shape, name="features")
        x = layers.Flatten(name="flat")(inputs) if len(schema.row_shape) > 1 else inputs
        encoded = _joined(_scaled(x, schema, encoder.statistics), encoder)
        return keras.Model(inputs, encoded, name="preprocessing")
    # Keras names inputs and operations of one model alike, and operations by themselves: a model
    # within the model has names of its own, whatever the columns are called.
    inner, columns = [], {}
    for number, column in enumerate(schema.columns, start=1):
        dtype = DTYPES[column.kind]
        inner.append(keras.Input((1,), dtype=dtype, name=f"column_{number}"))
        # An input is called like its key, unless Keras does not allow that.
        allowed = column.name and "/" not in column.name
        name = column.name if allowed else layer_name(f"column_{number}", schema)
        columns[column.name] = keras.Input((1,), dtype=dtype, name=name)
    inner_model = keras.Model(
        inner,
        _joined(_table_parts(inner, schema, encoder.statistics), encoder),
        name=layer_name("encoder", schema),
    )
    with warnings.catch_warnings():
        ignore_input_names()
        return keras.Model(columns, inner_model(list(columns.values())), name="preprocessing")


def ignore_input_names() -> None:
    """Silences Keras where a column has a name that a layer cannot have; the key counts."""
    warnings.filterwarnings("ignore", "When providing `inputs` as a dict", UserWarning)


def _table_parts(inputs: Sequence[Any], schema: Schema, statistics: Statistics) -> list[Any]:
    given = {column.name: x for column, x in zip(schema.columns, inputs, strict=True)}
    numeric: list[Any] = []
    for place, column in enumerate(schema.columns):
        if column.kind == "numeric":
            numeric.append(given[column.name])
        elif column.kind == "date":
            numeric += _date_parts(given[column.name], column, place)
    parts = []
    if numeric:
        x = layers.Concatenate(name="numbers")(numeric) if len(numeric) > 1 else numeric[0]
        parts += _scaled(x, schema, statistics)
    for number, (name, categories) in enumerate(statistics.categories.items(), start=1):
        lookup = layers.StringLookup(
            vocabulary=list(categories),
            oov_token=_unused("[unknown]", categories),
            name=f"{LOOKUP}{number}",
        )
        # The lookup numbers unknown texts 0. Not by -1, which in ONNX is the last category.
        index = ops.squeeze(lookup(given[name]), axis=-1)
        parts.append(ops.one_hot(index, len(categories) + 1)[:, 1:])
    for number, (name, terms) in enumerate(statistics.texts.items(), start=1):
        weighted = layers.TextVectorization(
            standardize="lower_and_strip_punctuation",
            ngrams=LONGEST,
            output_mode="tf_idf",
            vocabulary=list(terms.texts),
            idf_weights=terms.weights,
            name=f"{TERMS}{number}",
        )(ops.squeeze(given[name], axis=-1))
        # The first number is about unknown terms.
        parts.append(layers.UnitNormalization(name=f"unit_{number}")(weighted[:, 1:]))
    return parts


def _date_parts(days: Any, column: Column, number: int) -> list[Any]:
    """What `nas.data.date_values.part_columns` makes of dates."""
    # A layer, which `nas.formats.core` finds: 32 bits hold days since then, but not since 1970.
    since = layers.Rescaling(1.0, -column.origin, dtype="float64", name=f"{SINCE}{number}")(days)
    since = ops.cast(since, "float32")
    parts, is_missing = [], _is_missing(since)
    for part in column.parts:
        if part == "days":
            parts.append(since)
            continue
        period = np.float32(PERIODS[part])
        within = since - ops.floor(since / period) * period
        angle = within * np.float32(2.0 * np.pi / PERIODS[part])
        waves = [ops.round(turn(angle) * STEPS) / STEPS for turn in (ops.sin, ops.cos)]
        parts += [ops.where(is_missing, 0.0, wave) for wave in waves]
    return parts


def _scaled(x: Any, schema: Schema, statistics: Statistics) -> list[Any]:
    # Not by `Normalization`, which squares the scale: 32 bits hold 1e-30 and 1e30, no squares.
    mean, inverse_scale = statistics.mean.astype(np.float32), statistics.inverse_scale
    if not schema.columns:
        return [_bent((x - mean) * inverse_scale, statistics)]
    is_missing = _is_missing(x)
    filled = ops.where(is_missing, statistics.fill.astype(np.float32), x)
    parts = [_bent((filled - mean) * inverse_scale, statistics)]
    parts.extend(ops.cast(is_missing[:, k : k + 1], "float32") for k in statistics.missing)
    return parts


def _is_missing(x: Any) -> Any:
    """Where a number is none. LiteRT has neither `isnan` nor `isinf`, which `nan_to_num` takes."""
    return ops.not_equal(x, x)


def _bent(x: Any, statistics: Statistics) -> Any:
    """What `soft_clipped` and `Knots.apply` make of scaled numbers."""
    if statistics.soft_clip:
        x = ops.clip(x, -FAR, FAR)
        x = x / ops.sqrt(1.0 + ops.square(x / 3.0))
    return x if statistics.knots is None else _on_lines(x, statistics.knots)


def _on_lines(x: Any, knots: Knots) -> Any:
    """`Knots.apply`, by a binary search in all columns at once.

    Places are counted in floats, which hold whole numbers up to 2^24, as LiteRT adds no integers
    to columns.
    """
    n_columns, n_knots = knots.places.shape
    places, heights = knots.places.reshape(-1), knots.heights.reshape(-1)
    x = ops.minimum(ops.maximum(x, knots.places[:, 0]), knots.places[:, -1])
    first = np.arange(n_columns, dtype=np.float32) * n_knots  # of each column's knots
    last = first + (n_knots - 1)
    knot = ops.zeros_like(x) + first
    step = 1 << (n_knots - 1).bit_length() - 1
    while step:
        further = ops.minimum(knot + step, last)
        knot = ops.where(x >= _at(places, further), further, knot)
        step //= 2
    knot = ops.minimum(knot, last - 1)
    start, low = _at(places, knot), _at(heights, knot)
    gap = _at(places, knot + 1) - start
    share = (x - start) / ops.where(gap > 0.0, gap, 1.0)
    return low + share * (_at(heights, knot + 1) - low)


def _at(values: Any, places: Any) -> Any:
    return ops.take(values, ops.cast(places, "int32"))


def _joined(parts: Sequence[Any], encoder: Encoder) -> Any:
    encoded = layers.Concatenate(name="encoded")(parts) if len(parts) > 1 else parts[0]
    padding = encoder.n_columns - encoder.statistics.n_columns(encoder.schema)
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
