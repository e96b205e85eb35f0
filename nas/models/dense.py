"""A dense network in NumPy: its outputs, and the gradients of its kernels, from its weights.

For looking at networks that are trained elsewhere: needs neither Keras nor JAX, and nothing is
compiled. Weights are in the order of `build_model(spec).get_weights()`. There is no dropout.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.layers import Embedding
from nas.models.activations import activation, activation_slope
from nas.spec import TrialSpec

NORMALIZATION_EPSILON = 1e-3  # Keras's default

Array = NDArray[Any]  # of 32-bit numbers


@dataclass(frozen=True)
class _Hidden:
    """What a pass keeps of a hidden layer.

    Attributes:
        x: Its inputs.
        kernel: Its kernel.
        normalized: Before scale and offset; None without normalization.
        inverse: One over the deviation that it was divided by.
        scale: The normalization's.
        z: What the activation gets.
    """

    x: Array
    kernel: Array
    normalized: Array | None
    inverse: Array | None
    scale: Array | None
    z: Array


@dataclass(frozen=True)
class Forward:
    """What a pass through a network computes: arrays or tensors whose first axis is rows.

    Attributes:
        activations: Of each hidden layer, without its residual connection.
        hidden: Outputs of each hidden layer.
        outputs: Of the network, (n, n_outputs).
    """

    activations: list[Any]
    hidden: list[Any]
    outputs: Any


@dataclass(frozen=True)
class DensePass(Forward):
    """A pass through a dense network, with what the gradients need of it."""

    _layers: list[_Hidden]
    _kernel: Array
    _before_output: Array
    _of_outputs: Array | None  # the members' factors of that


def _n_first(spec: TrialSpec) -> int:
    """Arrays of weights of the embedding, which are the first ones."""
    return 0 if spec.embedding is None else len(spec.embedding.weight_shapes)


def _n_arrays(spec: TrialSpec) -> int:
    """Arrays of weights of each hidden layer."""
    return {"none": 2, "layer": 4, "batch": 6}[spec.in_words.normalization]


def run_dense(
    spec: TrialSpec,
    weights: Sequence[Array],
    x: Array,
    n_statistics: int | None = None,
    moving: bool = False,
) -> DensePass:
    """Passes rows through a dense network.

    Args:
        spec: The network.
        weights: Its weights.
        x: Encoded rows, (n, n_inputs).
        n_statistics: The first of these rows from which batch normalization takes its statistics;
            None for all.
        moving: Whether it takes its moving statistics instead, as a network that predicts.
    """
    network, step = spec.in_words, _n_arrays(spec)
    if spec.embedding is not None:
        x = embedded(spec.embedding, x, *weights[: _n_first(spec)])
        weights = weights[_n_first(spec) :]
    of_outputs = None
    if spec.members > 1:
        of_inputs, of_outputs = weights[0], weights[-3]
        x, weights = x[:, None, :] * of_inputs, [*weights[1:-3], *weights[-2:]]
    layers: list[_Hidden] = []
    activations: list[Array] = []
    hidden: list[Array] = []
    for number in range(len(network.units)):
        kernel, bias, *others = weights[step * number : step * (number + 1)]
        z = x @ kernel + bias
        normalized = inverse = scale = None
        if network.normalization != "none":
            if moving and network.normalization == "batch":
                mean, variance = others[2:]
            elif network.normalization == "batch":
                axes = tuple(range(z.ndim - 1))
                mean, variance = z[:n_statistics].mean(axes), z[:n_statistics].var(axes)
            else:
                mean, variance = z.mean(-1, keepdims=True), z.var(-1, keepdims=True)
            inverse = 1.0 / np.sqrt(variance + np.float32(NORMALIZATION_EPSILON))
            normalized, scale = (z - mean) * inverse, others[0]
            z = normalized * scale + others[1]
        layers.append(_Hidden(x, kernel, normalized, inverse, scale, z))
        x = activation(network.activation, z)
        activations.append(x)
        if network.residual and hidden:
            x = x + _fit(hidden[-1], x.shape[-1])
        hidden.append(x)
    kernel, bias = weights[step * len(network.units) :]
    before_output = x if of_outputs is None else x * of_outputs
    outputs = before_output @ kernel + bias
    return DensePass(activations, hidden, outputs, layers, kernel, before_output, of_outputs)


def embedded(embedding: Embedding, x: Array, *weights: Array) -> Array:
    """Numbers as their embeddings, followed by all inputs.

    Args:
        embedding: The embedding.
        x: Encoded rows, (n, n_inputs), the numbers first.
        weights: Its weights, of `weight_shapes`.
    """
    *first, kernel, bias = weights
    n, size = bias.shape
    features = x[:, :n, None] * first[0]
    if embedding.kind == "periodic":
        angles = np.float32(2.0 * math.pi) * features
        features = np.concatenate([np.cos(angles), np.sin(angles)], -1)
    else:
        features = np.clip(features + first[1], np.float32(0.0), np.float32(1.0))
    # One product for each number: rows in the middle.
    outputs = np.swapaxes(features, 0, 1) @ kernel + bias[:, None, :]
    outputs = np.swapaxes(np.maximum(outputs, np.float32(0.0)), 0, 1)
    return np.concatenate([outputs.reshape(len(x), n * size), x], 1)


def kernel_gradients(spec: TrialSpec, passed: DensePass, slope: Array) -> list[NDArray[np.float32]]:
    """Gradients of the kernels, the output layer's last.

    Args:
        spec: The network.
        passed: A pass, of which the first n rows are those of the loss; batch normalization had its
            statistics from exactly those.
        slope: Of the loss in the outputs, (n, n_outputs).
    """
    network, n = spec.in_words, len(slope)
    gradients = [_kernel_gradient(passed._before_output[:n], slope)]
    upstream = slope @ passed._kernel.T  # in the outputs of the layer below
    if passed._of_outputs is not None:
        upstream = upstream * passed._of_outputs
    for number in range(len(passed._layers) - 1, -1, -1):
        layer = passed._layers[number]
        g = upstream * activation_slope(network.activation, layer.z[:n])
        if layer.normalized is not None:
            assert layer.inverse is not None and layer.scale is not None
            # Ioffe & Szegedy 2015, section 3
            is_batch = network.normalization == "batch"
            axis = tuple(range(g.ndim - 1)) if is_batch else -1
            normalized, inverse = layer.normalized[:n], layer.inverse
            inverse = inverse if is_batch else inverse[:n]
            g = g * layer.scale
            along = (g * normalized).mean(axis, keepdims=True)
            g = inverse * (g - g.mean(axis, keepdims=True) - normalized * along)
        gradients.append(_kernel_gradient(layer.x[:n], g))
        below = g @ layer.kernel.T
        if network.residual and number:
            below = below + _fit(upstream, below.shape[-1])
        upstream = below
    return gradients[::-1]


def _kernel_gradient(x: Array, g: Array) -> Array:
    """For the inputs of a layer and the slopes in its outputs, over rows and members."""
    return x.reshape(-1, x.shape[-1]).T @ g.reshape(-1, g.shape[-1])


def loss_and_slope(spec: TrialSpec, labels: Array, outputs: Array) -> tuple[float, Array]:
    """Mean loss of outputs without penalties, and its slope in each of them.

    The losses are those of `make_loss`.

    Args:
        spec: The network.
        labels: Those of `encode_labels`, (n, n_outputs).
        outputs: (n, n_outputs), or (n, n_members, n_outputs).
    """
    smoothing = np.float32(spec.training.label_smoothing)
    if outputs.ndim > labels.ndim:
        labels = labels[:, None, :]
    n = np.float32(outputs[..., 0].size)
    if spec.problem.task == "regression":
        error = outputs - labels
        size, n = np.abs(error), np.float32(error.size)
        if spec.loss == "quantile":
            quantiles = np.array(spec.problem.quantiles, np.float32)
            slope = np.where(error < 0.0, -quantiles, 1.0 - quantiles)
            return float((slope * error).mean()), slope / n
        if spec.loss == "absolute":
            return float(size.mean()), np.sign(error) / n
        if spec.loss == "huber":
            losses = np.where(size <= 1.0, 0.5 * size**2, size - 0.5)
            return float(losses.mean()), np.clip(error, -1.0, 1.0) / n
        return float((error**2).mean()), 2.0 * error / n
    classes = 2 if spec.loss == "logistic" else max(2, outputs.shape[-1])
    y = labels * (1.0 - smoothing) + smoothing / classes
    if spec.loss == "cross_entropy" and outputs.shape[-1] > 1:
        shifted = outputs - outputs.max(-1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(-1, keepdims=True)
        losses = (y * (np.log(total) - shifted)).sum(-1)
        return float(losses.mean()), (e / total * y.sum(-1, keepdims=True) - y) / n
    e = np.exp(-np.abs(outputs))
    sigmoid = np.where(outputs < 0.0, e, 1.0) / (1.0 + e)
    losses = (np.maximum(outputs, 0.0) - outputs * y + np.log1p(e)).sum(-1)
    return float(losses.mean()), (sigmoid - y) / n


def _fit(x: Array, width: int) -> Array:
    """Columns of a residual connection: cut, or filled up with zeros."""
    if x.shape[-1] >= width:
        return x[..., :width]
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, width - x.shape[-1])])
