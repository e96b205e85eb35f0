"""A `TrialSpec` as a Keras model."""

from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from nas.spec import TrialSpec


def build_model(spec: TrialSpec) -> keras.Model:
    """The network of a trial, from encoded features to the outputs before their activation.

    A hidden layer is dense, then normalization, activation and dropout. With `residual`, each
    hidden layer after the first adds its input; where widths differ, the input is padded with
    zeros or cut, which costs no weights (He et al. 2016, section 4.1, option A).

    Returns:
        A model from shape (n, n_inputs) to logits, or a standardized value for regression, of
        shape (n, n_outputs).
    """
    architecture, training = spec.architecture, spec.training
    penalty = (
        keras.regularizers.L1L2(training.l1, training.l2) if training.l1 or training.l2 else None
    )
    inputs = keras.Input((spec.problem.n_inputs,), name="features")
    x = inputs
    for number, units in enumerate(architecture.units, start=1):
        skip = x if architecture.residual and number > 1 else None
        x = layers.Dense(
            units,
            kernel_initializer=make_initializer(architecture.initializer),
            bias_initializer=make_initializer(architecture.bias_initializer),
            kernel_regularizer=penalty,
            name=f"hidden_{number}",
        )(x)
        if architecture.normalization == "batch":
            x = layers.BatchNormalization(name=f"normalization_{number}")(x)
        elif architecture.normalization == "layer":
            x = layers.LayerNormalization(name=f"normalization_{number}")(x)
        x = layers.Activation(architecture.activation, name=f"activation_{number}")(x)
        if architecture.dropout:
            x = layers.Dropout(architecture.dropout, name=f"dropout_{number}")(x)
        if skip is not None:
            x = layers.Add(name=f"residual_{number}")([x, _fit_width(skip, units)])
    outputs = layers.Dense(spec.problem.n_outputs, kernel_regularizer=penalty, name="output")(x)
    return keras.Model(inputs, outputs, name=architecture.network)


def _fit_width(x: Any, units: int) -> Any:
    width = x.shape[-1]
    if width < units:
        return keras.ops.pad(x, [[0, 0], [0, units - width]])
    return x if width == units else x[:, :units]


def initial_weights(spec: TrialSpec, seed: int) -> list[NDArray[np.float32]]:
    """Initial weights for a seed, in the order of `build_model(spec).get_weights()`."""
    architecture = spec.architecture
    seeds = np.random.SeedSequence(seed).generate_state(len(architecture.units) + 1)
    weights: list[NDArray[np.float32]] = []
    inputs = spec.problem.n_inputs
    for units, layer_seed in zip(architecture.units, seeds[:-1], strict=True):
        weights += [
            _draw(architecture.initializer, (inputs, units), int(layer_seed)),
            _draw(architecture.bias_initializer, (units,), int(layer_seed) + 1),
        ]
        if architecture.normalization != "none":
            weights += [np.ones(units, np.float32), np.zeros(units, np.float32)]
        if architecture.normalization == "batch":  # moving mean and variance
            weights += [np.zeros(units, np.float32), np.ones(units, np.float32)]
        inputs = units
    n_outputs = spec.problem.n_outputs
    output = _draw("glorot_uniform", (inputs, n_outputs), int(seeds[-1]))
    return [*weights, output, np.zeros(n_outputs, np.float32)]


def make_initializer(text: str, seed: int | None = None) -> keras.initializers.Initializer:
    """The initializer of a name and its numbers, as in `Architecture.initializer`."""
    name, _, numbers = text.rstrip(")").partition("(")
    values = [float(number) for number in numbers.split(",")] if numbers else []
    match name, values:
        case "normal", [deviation]:
            return keras.initializers.RandomNormal(0.0, deviation, seed)
        case "uniform", [low, high]:
            return keras.initializers.RandomUniform(low, high, seed)
        case "constant", [value]:
            return keras.initializers.Constant(value)
        case "zeros", []:
            return keras.initializers.Zeros()
        case _, []:
            return keras.initializers.get({"class_name": name, "config": {"seed": seed}})
    raise ValueError(f"unknown initializer {text!r}")


def _draw(initializer: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    if initializer == "zeros":  # without a way through TensorFlow
        return np.zeros(shape, np.float32)
    return np.asarray(make_initializer(initializer, seed)(shape), np.float32)
