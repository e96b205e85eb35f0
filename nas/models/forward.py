"""A network as a function of its weights, layer by layer, for looking inside it.

Weights are in the order of `build_model(spec).get_weights()`. There is no dropout and no
augmentation; batch normalization uses the statistics of the rows given, or its moving ones.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from nas.layers import Embedding, Layer
from nas.models.dense import NORMALIZATION_EPSILON, Forward
from nas.models.layer_weights import layer_weights
from nas.models.network import fit_shape
from nas.spec import TrialSpec


def run_forward(
    spec: TrialSpec,
    weights: Sequence[Any],
    x: Any,
    n_statistics: int | None = None,
    moving: bool = False,
    activate: Callable[[Any], Any] | None = None,
) -> Forward:
    """Passes rows through a network.

    Args:
        spec: The network.
        weights: Its weights, as tensors.
        x: Encoded rows, (n, n_inputs).
        n_statistics: The first of these rows from which batch normalization takes its statistics;
            None for all.
        moving: Whether it takes its moving statistics instead, as a network that predicts.
        activate: Instead of the network's activation.
    """
    network = spec.in_words
    activate = activate or keras.activations.get(network.activation)
    if network.convolutions:
        x = tf.reshape(x, (-1, *spec.problem.image_shape))
    start, outputs, activations, hidden = x, [], [], []
    for layer, own in layer_weights(spec, weights):
        if layer.embedding is not None:
            x = _embedded(layer.embedding, own, x)
            outputs.append(x)
            continue
        if layer.kind == "members":
            (factors,) = own
            x = (x[:, None, :] if len(x.shape) == 2 else x) * factors
            outputs.append(x)
            continue
        if not layer.kernel:
            x = _without_weights(layer, x)
            outputs.append(x)
            continue
        x = _apply(layer, own[0], x) + own[1]
        if layer.is_hidden:
            if network.normalization != "none":
                scale, offset = own[2:4]
                if moving and network.normalization == "batch":
                    mean, variance = own[4:6]
                else:
                    mean, variance = _moments(network.normalization, x, n_statistics)
                x = (x - mean) * tf.math.rsqrt(variance + NORMALIZATION_EPSILON) * scale + offset
            skip: Any = 0.0
            if layer.skip is not None:
                source = start if layer.skip < 0 else outputs[layer.skip]
                skip = fit_shape(source, tuple(x.shape[1:]))
            activated = activate(x + skip if layer.skip_first else x)
            x = activated if layer.skip_first else activated + skip
            activations.append(activated)
            hidden.append(x)
        outputs.append(x)
    return Forward(activations, hidden, x)


def _embedded(embedding: Embedding, weights: Sequence[Any], x: Any) -> Any:
    *first, kernel, bias = weights
    n = embedding.n_numbers
    features = x[:, :n, None] * first[0]
    if embedding.kind == "periodic":
        angles = 2.0 * math.pi * features
        features = tf.concat([tf.cos(angles), tf.sin(angles)], -1)
    else:
        features = tf.clip_by_value(features + first[1], 0.0, 1.0)
    embedded = tf.nn.relu(tf.einsum("bkf,kfe->bke", features, kernel) + bias)
    return tf.concat([tf.reshape(embedded, (-1, n * embedding.size)), x], 1)


def _apply(layer: Layer, kernel: Any, x: Any) -> Any:
    if layer.kind == "convolution":
        return tf.nn.conv2d(x, kernel, layer.stride, "SAME")
    return tf.matmul(x, kernel)


def _without_weights(layer: Layer, x: Any) -> Any:
    match layer.kind:
        case "max_pooling":
            return tf.nn.max_pool2d(x, layer.window, layer.window, "SAME")
        case "average_pooling":
            return tf.nn.avg_pool2d(x, layer.window, layer.window, "SAME")
        case "global_average":
            return tf.reduce_mean(x, (1, 2))
        case "global_max":
            return tf.reduce_max(x, (1, 2))
        case _:
            return tf.reshape(x, (-1, *layer.output_shape))


def _moments(normalization: str, x: Any, n_statistics: int | None) -> Any:
    """Mean and variance by which `x` is normalized."""
    if normalization == "batch":
        return tf.nn.moments(x[:n_statistics], list(range(len(x.shape) - 1)))
    return tf.nn.moments(x, [-1], keepdims=True)
