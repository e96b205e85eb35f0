"""Dense networks in NumPy, against TensorFlow's passes and gradients."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

pytest.register_assert_rewrite("contract")

from contract import folds_of, make_spec  # noqa: E402

from nas.families.in_words import InsideConvolutional  # noqa: E402
from nas.families.inside_dense import InsideDense  # noqa: E402
from nas.models.activations import (  # noqa: E402
    ACTIVATIONS,
    activation,
    activation_slope,
)
from nas.models.initializers import initial_weights  # noqa: E402
from nas.spec import TrialSpec  # noqa: E402

LOSSES = [
    ("multiclass", "cross_entropy"), ("multiclass", "logistic"), ("binary", "auto"),
    ("regression", "squared"), ("regression", "absolute"), ("regression", "huber"),
]  # fmt: skip
NETWORKS: list[dict[str, Any]] = [
    {"units": ()},
    {"units": (), "embedding": "periodic"},
    {"units": (9, 5), "embedding": "periodic", "activation": "mish", "normalization": "layer"},
    {"units": (9, 5), "embedding": "piecewise", "bins": 4},
    {"units": (9, 5, 12), "residual": True, "activation": "gelu"},
    {"units": (9, 5), "residual": True, "members": 3, "normalization": "batch"},
    {"units": (9,), "members": 2, "embedding": "periodic", "normalization": "layer"},
    {"units": (9, 5, 12), "residual": True, "normalization": "layer", "activation": "selu"},
    {"units": (9, 5, 12), "residual": True, "normalization": "batch", "activation": "silu"},
]


def some_weights(spec: TrialSpec) -> list[np.ndarray]:
    """Weights of which none is what it is by default."""
    random = np.random.default_rng(3)
    weights = [w + random.uniform(0.0, 0.3, w.shape) for w in initial_weights(spec, 1)]
    return [np.float32(w) for w in weights]


@pytest.mark.parametrize(("case", "network"), list(product(LOSSES, NETWORKS)), ids=str)
def test_a_look_inside_is_what_tensorflow_sees(
    case: tuple[str, str], network: dict[str, Any]
) -> None:
    task, loss = case
    smoothing = 0.0 if task == "regression" else 0.1
    spec = make_spec(task, **network, loss=loss, label_smoothing=smoothing)
    fold, weights = folds_of(task)[0], some_weights(spec)
    mine, theirs = InsideDense(spec), InsideConvolutional(spec)
    labels = mine.labels(fold, fold.y_train)
    x = np.concatenate([fold.x_train, fold.x_val])
    look, expected = mine.look(weights, x, labels), theirs.look(weights, x, labels)
    assert mine.activations == theirs.activations
    np.testing.assert_allclose(look.gradients, expected.gradients, rtol=2e-4, atol=1e-8)
    assert look.loss == pytest.approx(expected.loss, rel=1e-5)
    for name in ("activations", "features"):
        for a, b in zip(getattr(look, name), getattr(expected, name), strict=True):
            assert a.dtype == np.float32
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(look.outputs, expected.outputs, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        mine.predict(weights, x), theirs.predict(weights, x), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_slopes_are_tensorflows(name: str) -> None:
    import keras

    z = np.linspace(-9.0, 9.0, 401).astype(np.float32)
    output, slope = activation(name, z), activation_slope(name, z)
    assert (output.dtype, slope.dtype) == (np.float32, np.float32)
    point = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(point)
        expected = keras.activations.get(name)(point)
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(slope, tape.gradient(expected, point), rtol=1e-5, atol=2e-6)
