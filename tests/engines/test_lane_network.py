"""One lane's network in JAX: dropout, losses and activations, against Keras's own."""

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

pytest.register_assert_rewrite("contract")

from contract import make_spec  # noqa: E402

from nas.engines import hashing, lane_network  # noqa: E402
from nas.engines.shapes import program_shape  # noqa: E402
from nas.models.activations import ACTIVATIONS, Activation  # noqa: E402
from nas.models.training import make_loss  # noqa: E402
from nas.space.vocabulary import WORDS  # noqa: E402


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_is_uniform_and_independent(rate: float) -> None:
    shape = program_shape(make_spec("multiclass", units=(64,)), 1000)
    counters = lane_network.dropout_counters(shape)
    seeds = jnp.asarray(np.random.default_rng(0).integers(0, 2**32, 40, np.uint32))
    draw = jax.vmap(lane_network._dropout, in_axes=(None, 0, None))
    masks = []
    for step in range(20):  # as the program draws them
        keys = hashing.mixed(seeds + np.uint32(step))
        for layer in range(3):
            key = hashing.mixed(keys + np.uint32(layer))
            masks.append(np.asarray(draw(counters, key, rate)))
    drawn = np.array(masks)  # (step and layer, lane, row, unit)
    assert set(np.unique(drawn)) == {np.float32(0.0), np.float32(1.0 / (1.0 - rate))}
    dropped = drawn == 0.0
    n = dropped.size
    assert abs(dropped.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / n)
    # Every axis by itself: the shares of rows, units, lanes and steps scatter as they must.
    for axis in range(4):
        others = tuple(k for k in range(4) if k != axis)
        shares = dropped.mean(axis=others)
        each = n // dropped.shape[axis]
        z = (shares - rate) / np.sqrt(rate * (1 - rate) / each)
        assert stats.kstest(z, "norm").pvalue > 1e-3
    # Neighbours along every axis are uncorrelated.
    centered = dropped - rate
    for axis in range(4):
        a = np.take(centered, range(dropped.shape[axis] - 1), axis)
        b = np.take(centered, range(1, dropped.shape[axis]), axis)
        assert abs(np.mean(a * b)) < 5 * rate * (1 - rate) / np.sqrt(a.size)


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("multiclass", "cross_entropy"),
        ("multiclass", "logistic"),
        ("binary", "cross_entropy"),
        ("regression", "squared"),
        ("regression", "absolute"),
        ("regression", "huber"),
    ],
)
def test_losses_of_rows_are_keras_own(task: Any, loss: str) -> None:
    spec = make_spec(task, loss=loss)
    n_outputs = spec.problem.n_outputs
    generator = np.random.default_rng(0)
    outputs = generator.normal(0.0, 3.0, (2, 40, n_outputs)).astype(np.float32)
    y = {
        "multiclass": np.eye(n_outputs)[generator.integers(0, n_outputs, (2, 40))],
        "binary": generator.integers(0, 2, outputs.shape),
        "regression": generator.normal(size=outputs.shape),
    }[task].astype(np.float32)
    shape = program_shape(spec, 1000)
    for lane in range(2):
        found = lane_network.row_losses(shape, y[lane], jnp.asarray(outputs[lane]))
        assert found.shape == (40,)
        expected = make_loss(spec.problem, spec.training)(y[lane], outputs[lane])
        np.testing.assert_allclose(np.mean(found), expected, rtol=1e-5)


# Zeros, numbers that round away, kinks, and numbers whose squares, exponentials or sums overflow.
SIZES = (0.0, 1e-30, 1e-10, 1e-4, 0.3, 1.0, 2.0, 9.0, 88.0, 100.0, 1e4, 1e10, 1e20, 1e30, 3e38)
NUMBERS = np.array([sign * size for size in (*SIZES, np.inf) for sign in (1, -1)], np.float32)


def with_slope(function: Any, x: Any) -> tuple[np.ndarray, np.ndarray]:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x)


@pytest.mark.parametrize("name", WORDS["activation"].choices)
def test_activations_and_their_slopes_are_keras_own(name: str) -> None:
    coefficients = Activation(*map(np.float32, ACTIVATIONS[name]))

    def compiled(z: Any) -> Any:
        if name in lane_network._BY_FORMULA:
            return lane_network._BY_FORMULA[name](z)
        return lane_network._activate(z, coefficients)

    z = jnp.asarray(NUMBERS)
    found = jax.jit(compiled)(z), jax.jit(jax.vmap(jax.grad(compiled)))(z)
    expected = with_slope(keras.activations.get(name), tf.constant(NUMBERS))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def rows_of(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Targets and outputs at every kink, tie and size, (1, n, n_outputs)."""
    finite = NUMBERS[np.abs(NUMBERS) <= 1e30]  # Keras's own Huber overflows beyond that
    if task == "multiclass":
        ties = np.array([*product(finite[::3], (0.0, 1.0, -1e30), (0.0, 1.0, 1e30)), (2, 2, 2)])
        truths = [*np.eye(3), np.full(3, 1 / 3)]
    else:
        kinks = [1.5, -1.5, -3.5]  # where the error from the targets below is exactly 1
        ties, truths = np.array([*finite, *kinks])[:, None], np.array([[0.0], [1.0], [-2.5]])
        if task == "binary":
            truths = np.array([[0.0], [1.0], [0.1]])
    y = np.repeat(truths, len(ties), axis=0).astype(np.float32)
    return y[None], np.tile(ties, (len(truths), 1)).astype(np.float32)[None]


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("multiclass", "cross_entropy"),
        ("multiclass", "logistic"),
        ("binary", "cross_entropy"),
        ("regression", "squared"),
        ("regression", "absolute"),
        ("regression", "huber"),
    ],
)
def test_losses_and_their_slopes_are_keras_own(task: Any, loss: Any) -> None:
    y, outputs = rows_of(task)
    spec = make_spec(task, loss=loss)
    theirs = make_loss(spec.problem, spec.training)
    theirs.reduction = None

    shape = program_shape(spec, 1000)

    def compiled(outputs: Any) -> Any:
        return lane_network.row_losses(shape, y[0], outputs)

    o = jnp.asarray(outputs[0])
    found = jax.jit(compiled)(o), jax.jit(jax.grad(lambda o: compiled(o).sum()))(o)
    expected = with_slope(lambda o: theirs(y[0], o), tf.constant(outputs[0]))
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
