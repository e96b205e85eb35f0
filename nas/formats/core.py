"""The part of a model that computes with 32-bit numbers: texts go in as codes.

Runtimes other than TensorFlow have no tables of texts, or tables of their own. So the core takes a
code for each text, which is its place in a vocabulary, from 1 on; 0 is a text that the model does
not know.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from nas.data import Features, Schema
from nas.encoding.keras_form import LOOKUP, SINCE
from nas.errors import NasError


@dataclass(frozen=True)
class Core:
    """A model of numbers.

    Attributes:
        model: Takes one input for each column, `input_0` and so on, each of shape (n, 1); without
            columns of text and dates one input, `input_0`, of shape (n, ...). Texts are codes, and
            dates are days since the `origin` of their column: 32 bits hold these.
        vocabularies: The texts of each column of text, in the order of their codes, from 1 on.
        schema: What the columns are called.
    """

    model: keras.Model
    vocabularies: dict[str, list[str]]
    schema: Schema

    def inputs(self, features: Features) -> list[NDArray[Any]]:
        """Features as the core takes them."""
        if not self.schema.is_table:
            return [np.asarray(features, np.float32)]
        assert not isinstance(features, np.ndarray)
        found = []
        for column, wanted in zip(self.schema.columns, self.model.inputs, strict=True):
            values = features[column.name]
            if column.kind == "categorical":
                codes = {text: k for k, text in enumerate(self.vocabularies[column.name], start=1)}
                values = np.array([codes.get(text, 0) for text in values])
            elif column.kind == "date":
                values = values - column.origin
            found.append(np.asarray(values)[:, None].astype(wanted.dtype))
        return found


class _Recode(layers.Layer):  # type: ignore[misc]
    """From codes of all texts to those that a table of some of them would give."""

    def __init__(self, table: NDArray[np.int32], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._table = table

    def call(self, codes: Any) -> Any:
        return ops.take(self._table, codes)

    def compute_output_spec(self, codes: Any) -> Any:
        return keras.KerasTensor(codes.shape, "int32")


def core_of(model: keras.Model, schema: Schema, in_32_bits: bool = False) -> Core:
    """The core of a saved model; it shares the weights.

    Args:
        model: The saved model.
        schema: What the columns are called.
        in_32_bits: Whether values of a regression are computed with 32 bits, too.

    Raises:
        NasError: When the model is none that nas has made of layers of Keras, or takes text whose
            words count, for which no other runtime has layers.
    """
    for column in schema.columns:
        if column.kind == "text":
            raise NasError(
                "--format",
                f"column '{column.name}' is text, whose words only TensorFlow tells apart",
                "keras or savedmodel",
            )
    categorical = [column.name for column in schema.columns if column.kind == "categorical"]
    lookups = _lookups(model)
    vocabularies: dict[str, list[str]] = {}
    for number, name in enumerate(categorical, start=1):
        texts = [_texts(lookup) for lookup in lookups if _number(lookup) == number]
        if not texts:
            raise NasError(name, "has no table of texts in the model", "a model that nas saved")
        vocabularies[name] = list(dict.fromkeys(text for part in texts for text in part))

    def replaced(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return _cloned(layer, None)
        if layer.name.startswith(SINCE) and isinstance(layer, layers.Rescaling):
            return layers.Identity(name=layer.name)
        if in_32_bits and isinstance(layer, layers.Layer) and layer.dtype == "float64":
            return type(layer).from_config({**layer.get_config(), "dtype": "float32"})
        if not isinstance(layer, layers.StringLookup):
            return layer
        known = vocabularies[categorical[_number(layer) - 1]]
        own = {text: k for k, text in enumerate(_texts(layer), start=1)}
        table = np.array([0, *(own.get(text, 0) for text in known)], np.int32)
        return _Recode(table, name=layer.name)

    def _cloned(part: keras.Model, tensors: Any) -> keras.Model:
        if tensors is None:
            tensors = keras.tree.map_structure(_codes_for_texts, part.input)
        return keras.models.clone_model(
            part, input_tensors=tensors, clone_function=replaced, recursive=False
        )

    if not isinstance(model.input, dict):
        inputs: Any = keras.Input(model.input.shape[1:], dtype="float32", name="input_0")
        return Core(_flat(_cloned(model, inputs), [inputs]), {}, schema)
    named = {
        name: _codes_for_texts(tensor, f"input_{k}")
        for k, (name, tensor) in enumerate((c.name, model.input[c.name]) for c in schema.columns)
    }
    inputs = {name: named[name] for name in model.input}
    core = _cloned(model, inputs)
    return Core(_flat(core, list(named.values())), vocabularies, schema)


def with_plain_names(model: keras.Model, schema: Schema) -> tuple[keras.Model, dict[str, str]]:
    """The same model with a list of inputs whose names TensorFlow takes, and these by column.

    A column keeps its name where that is one word of letters, digits and underscores.
    """
    if not isinstance(model.input, dict):
        return model, {}
    names: dict[str, str] = {}
    for column in schema.columns:
        plain = re.sub(r"\W", "_", column.name, flags=re.ASCII)
        plain = plain if plain[:1].isalpha() else f"column_{plain}"
        while plain in names.values():
            plain += "_"
        names[column.name] = plain
    inputs = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=names[name])
        for name, tensor in model.input.items()
    }
    same = keras.models.clone_model(
        model, input_tensors=inputs, clone_function=lambda layer: layer, recursive=False
    )
    return _flat(same, [inputs[name] for name in names]), names


def _flat(model: keras.Model, inputs: Sequence[Any]) -> keras.Model:
    """The same model with a list of inputs, in the order of the columns."""
    return keras.Model(list(inputs), model.output, name="core")


def _codes_for_texts(tensor: Any, name: str | None = None) -> Any:
    dtype = "int32" if tensor.dtype == "string" else "float32"
    return keras.Input(tensor.shape[1:], dtype=dtype, name=name or tensor.name)


@contextmanager
def gelu_by_erf(model: keras.Model) -> Iterator[None]:
    """Computes GELU by the error function meanwhile.

    TensorFlow does it by the complementary one, which other runtimes lack.
    """
    changed = [each for each in _layers(model) if _activation(each) is keras.activations.gelu]
    for layer in changed:
        layer.activation = _gelu
    try:
        yield
    finally:
        for layer in changed:
            layer.activation = keras.activations.gelu


def _activation(layer: Any) -> Any:
    return getattr(layer, "activation", None)


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1.0 + ops.erf(x * float(np.sqrt(0.5))))


def _layers(model: keras.Model) -> Iterator[Any]:
    """The layers of a model, and those of models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _lookups(model: keras.Model) -> list[layers.StringLookup]:
    return [layer for layer in _layers(model) if isinstance(layer, layers.StringLookup)]


def _number(lookup: layers.StringLookup) -> int:
    """Which column of text it is for, counted from 1."""
    return int(lookup.name.removeprefix(LOOKUP))


def _texts(lookup: layers.StringLookup) -> list[str]:
    return list(lookup.get_vocabulary(include_special_tokens=False))
