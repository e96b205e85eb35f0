"""Initial weights: distributed as Keras's own initializers draw them."""

import numpy as np
import pytest
from scipy import stats

from nas.models.initializers import draw
from nas.models.network import make_initializer
from nas.space.vocabulary import WORDS

SHAPES = ((40, 60), (60, 40), (3, 3, 8, 12))
NAMES = (*WORDS["initializer"].choices, "normal(0.5)", "uniform(-0.1, 0.3)")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_weights_are_distributed_as_keras_draws_them(name: str, shape: tuple[int, ...]) -> None:
    mine = np.concatenate([draw(name, shape, seed).ravel() for seed in range(5)])
    # Keras's initializers draw the same again when they are called again.
    theirs = np.concatenate([np.asarray(make_initializer(name)(shape)).ravel() for _ in range(5)])
    assert mine.dtype == np.float32
    assert stats.ks_2samp(mine, theirs).pvalue > 1e-6
    assert np.abs(mine).max() == pytest.approx(np.abs(theirs).max(), rel=0.35)


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_kernels_are_orthogonal(shape: tuple[int, ...]) -> None:
    kernel = draw("orthogonal", shape, 3).reshape(-1, shape[-1])
    if kernel.shape[0] < kernel.shape[1]:
        kernel = kernel.T
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(kernel.shape[1]), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_draws_the_same_and_another_seed_something_else(name: str) -> None:
    np.testing.assert_array_equal(draw(name, (9, 7), 1), draw(name, (9, 7), 1))
    assert not np.isclose(draw(name, (9, 7), 1), draw(name, (9, 7), 2)).all()


def test_the_spread_of_a_bias_follows_its_units() -> None:
    bias, theirs = draw("he_normal", (400,), 1), make_initializer("he_normal")((400,))
    assert np.std(bias) == pytest.approx(np.std(theirs), rel=0.2)
