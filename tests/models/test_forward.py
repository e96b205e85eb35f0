"""The pass layer by layer, against the Keras model."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from nas.models.forward import run_forward
from nas.models.initializers import initial_weights
from nas.models.layer_weights import kernels_of
from nas.models.network import build_model
from nas.space import RandomSuggester, SearchSpace
from nas.spec import Problem, TrialSpec

IMAGES = Problem("multiclass", 70, 3, (7, 5, 2), n_numbers=6)
CNN = "4c3-mp2-5r3s2-ap2-6c3-gmp-fc4-fc6"
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "dense": ("mlp", {"depth": 3, "width": 9, "shape": "funnel", "residual": True}),
    "linear": ("mlp", {"depth": 0}),
    "embedded": ("mlp", {"embedding": "periodic", "depth": 2, "width": 9, "residual": True}),
    "piecewise": ("mlp", {"embedding": "piecewise", "bins": 4, "depth": 1, "width": 9}),
    "members": ("mlp", {"members": 3, "depth": 3, "width": 9, "shape": "funnel", "residual": True}),
    "every layer": ("cnn", {"layers": CNN, "activation": "tanh"}),
    "residual": ("cnn", {"layers": "4c3-mp2-5c5s2-gap-fc3", "residual": True}),
    "block at the input": ("cnn", {"layers": "5r3s2-3r1-fc4", "activation": "gelu"}),
    "no hidden layer": ("cnn", {"layers": "mp2-gap"}),
}


def make_spec(network: str, **more: Any) -> TrialSpec:
    family, words = NETWORKS[network]
    return SearchSpace({**words, **more}, network=family).sample(RandomSuggester(0), IMAGES)


def some_weights(spec: TrialSpec) -> list[np.ndarray]:
    """Initial weights whose biases, scales and offsets are not those that change nothing."""
    generator = np.random.default_rng(1)
    return [
        w if w.ndim > 1 else (w + generator.uniform(0.1, 0.4, w.shape)).astype(np.float32)
        for w in initial_weights(spec, 1)
    ]


def rows(n: int = 12) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(n, 70)).astype(np.float32)


@pytest.mark.parametrize("normalization", ["none", "layer", "batch"])
@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_the_keras_model(network: str, normalization: str) -> None:
    # Dropout is left out, and batch normalization uses the batch, as in training.
    spec = make_spec(network, normalization=normalization)
    model = build_model(spec)
    weights = some_weights(spec)
    model.set_weights(weights)
    ends = {  # by number: a residual connection comes after its activation, but for a block's
        layer.name.split("_")[-1]: layer.output
        for layer in model.layers
        if layer.name.startswith(("activation", "residual"))
        and not (layer.name.startswith("residual") and spec.hidden[_number(layer)].skip_first)
    }
    inside = keras.Model(model.input, [*ends.values(), model.outputs[0]])
    *hidden, outputs = tf.nest.flatten(inside(rows(), training=normalization == "batch"))
    dropped = make_spec(network, normalization=normalization, dropout=0.5)
    found = run_forward(dropped, weights, tf.constant(rows()))
    np.testing.assert_allclose(found.outputs, outputs, rtol=1e-4, atol=1e-5)
    assert len(found.hidden) == len(hidden) == len(spec.hidden) == len(found.activations)
    for mine, theirs in zip(found.hidden, hidden, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def _number(layer: keras.layers.Layer) -> int:
    return int(layer.name.split("_")[-1]) - 1


def test_activations_are_without_what_is_added_behind_them() -> None:
    spec = make_spec("residual", activation="sigmoid")
    found = run_forward(spec, some_weights(spec), tf.constant(rows()))
    assert all(0.0 < float(tf.reduce_min(a)) <= float(tf.reduce_max(a)) < 1.0
               for a in found.activations)  # fmt: skip
    assert [layer.skip is not None for layer in spec.hidden] == [False, True, True]
    for layer, activation, hidden in zip(spec.hidden, found.activations, found.hidden, strict=True):
        same = np.array_equal(activation, hidden)
        assert same == (layer.skip is None)


def test_statistics_may_be_those_of_the_first_rows() -> None:
    spec = make_spec("every layer", normalization="batch")
    weights = some_weights(spec)
    first, other = rows(), 3.0 * rows(24)[12:] + 1.0
    expected = run_forward(spec, weights, tf.constant(first)).outputs
    both = tf.constant(np.concatenate([first, other, first]))
    outputs = run_forward(spec, weights, both, n_statistics=12).outputs
    np.testing.assert_allclose(outputs[:12], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs[24:], expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(run_forward(spec, weights, both).outputs[:12], expected, atol=1e-2)


@pytest.mark.parametrize("normalization", ["none", "layer", "batch"])
def test_it_predicts_with_the_moving_statistics(normalization: str) -> None:
    spec = make_spec("every layer", normalization=normalization)
    model, weights = build_model(spec), some_weights(spec)
    model.set_weights(weights)
    predicted = run_forward(spec, weights, tf.constant(rows()), moving=True).outputs
    np.testing.assert_allclose(predicted, model(rows(), training=False), rtol=1e-4, atol=1e-5)


def test_another_activation() -> None:
    spec = make_spec("every layer", activation="relu")
    linear = make_spec("every layer", activation="linear")
    found = run_forward(spec, some_weights(spec), tf.constant(rows()), activate=tf.identity)
    expected = run_forward(linear, some_weights(spec), tf.constant(rows()))
    np.testing.assert_array_equal(found.outputs, expected.outputs)


@pytest.mark.parametrize("normalization", ["none", "layer", "batch"])
def test_kernels_are_found_among_the_weights(normalization: str) -> None:
    spec = make_spec("every layer", normalization=normalization)
    shapes = [kernel.shape for kernel in kernels_of(spec, initial_weights(spec, 0))]
    assert shapes == [
        (3, 3, 2, 4),
        (3, 3, 4, 5),
        (3, 3, 5, 5),
        (3, 3, 5, 6),
        (6, 4),
        (4, 6),
        (6, 3),
    ]
