"""A pass through any Keras model that keeps what its layers compute.

Each layer's `call` is replaced for the time of one pass, so that nested and subclassed models can
be looked at like sequential ones. Only passes outside of compiled functions see anything.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import keras
from keras import layers, ops

WITH_KERNEL = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
# Activations that are layers without an `activation` of their own.
BY_CLASS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "PReLU": "prelu",
            "Softmax": "softmax"}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A dense layer or a convolution in a pass.

    Attributes:
        layer: The layer.
        activation: Keras name of its activation, or of that of a layer behind it; `linear` for
            none.
        output: Its output behind that activation, (n_rows, ...).
    """

    layer: keras.layers.Layer
    activation: str
    output: Any


@dataclass(frozen=True)
class Pass:
    """What a pass through a model shows.

    Attributes:
        seen: Its dense layers and convolutions in the order in which they are first called.
        outputs: The model's.
        output_activation: Name of the activation of the layer whose output is the model's;
            empty where that is not known.
    """

    seen: tuple[Seen, ...]
    outputs: Any
    output_activation: str


def pass_through(
    model: keras.Model, x: Any, n_statistics: int | None = None, moving: bool = True
) -> Pass:
    """Passes rows through a model as it predicts.

    Args:
        model: The model.
        x: Rows as it takes them.
        n_statistics: The first of these rows from which batch normalization takes its statistics;
            None for all.
        moving: Whether it takes its moving statistics instead.
    """
    if not model.built:
        model(x, training=False)  # Keras builds its layers with symbols, which are not to be seen
    calls: list[tuple[keras.layers.Layer, Any]] = []

    def watched(layer: keras.layers.Layer) -> Callable[..., Any]:
        call = layer.call
        normalizes = isinstance(layer, layers.BatchNormalization) and not moving

        @wraps(call)
        def record(*args: Any, **kwargs: Any) -> Any:
            if normalizes:
                output = _normalized(layer, args[0], n_statistics)
            else:
                output = call(*args, **kwargs)
            calls.append((layer, output))
            return output

        return record

    with _calls_replaced(_leaves(model), watched):
        outputs = model(x, training=False)
    return Pass(tuple(_seen(calls)), outputs, _output_activation(model, calls, outputs))


def _leaves(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers that hold no others."""
    inner = model._flatten_layers(include_self=False, recursive=True)
    return [layer for layer in inner if len(list(layer._flatten_layers())) == 1]


@contextmanager
def _calls_replaced(
    leaves: Sequence[keras.layers.Layer], watched: Callable[[Any], Callable[..., Any]]
) -> Iterator[None]:
    # Past Keras's own `__setattr__`, which locks a built layer's attributes.
    for layer in leaves:
        object.__setattr__(layer, "call", watched(layer))
    try:
        yield
    finally:
        for layer in leaves:
            object.__delattr__(layer, "call")


def _seen(calls: Sequence[tuple[keras.layers.Layer, Any]]) -> Iterator[Seen]:
    done = set()
    for number, (layer, output) in enumerate(calls):
        if not isinstance(layer, WITH_KERNEL) or id(layer) in done:
            continue
        done.add(id(layer))
        activation = activation_name(layer) or "linear"
        for after, later in calls[number + 1 :] if activation == "linear" else ():
            if isinstance(after, WITH_KERNEL):
                break
            if name := activation_name(after):
                activation, output = name, later
                break
        yield Seen(layer, activation, output)


def activation_name(layer: keras.layers.Layer) -> str:
    """Name of a layer's activation; empty where it has none."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        return BY_CLASS.get(type(layer).__name__, "")
    return str(getattr(activation, "__name__", type(activation).__name__))


def _output_activation(model: keras.Model, calls: Sequence[Any], outputs: Any) -> str:
    for layer, output in reversed(calls):
        if output is outputs:
            return activation_name(layer) or "linear"
    # Not a layer's, but maybe that of an operation such as `ops.softmax`.
    symbolic = getattr(model, "outputs", None)
    last = symbolic[0]._keras_history.operation if symbolic else None
    name = type(last).__name__.lower()
    return name if name in ("softmax", "sigmoid") else ""


def _normalized(layer: keras.layers.BatchNormalization, x: Any, n: int | None) -> Any:
    """Batch normalization with the statistics of the first `n` rows."""
    rank = len(x.shape)
    axis = layer.axis % rank
    others = [k for k in range(rank) if k != axis]
    mean, variance = ops.moments(x[:n], others, keepdims=True)
    shape = [x.shape[axis] if k == axis else 1 for k in range(rank)]
    x = (x - mean) * ops.rsqrt(variance + layer.epsilon)
    if layer.scale:
        x = x * ops.reshape(layer.gamma, shape)
    return x + ops.reshape(layer.beta, shape) if layer.center else x
