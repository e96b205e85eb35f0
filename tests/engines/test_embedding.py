"""Embeddings of numbers in JAX, against NumPy and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nas.engines.embedding import embed, waves
from nas.layers import Embedding, EmbeddingKind
from nas.models.dense import embedded


def test_waves_are_cosine_and_sine() -> None:
    turns = np.concatenate([np.linspace(-3.0, 3.0, 4801), [50.2, -50.7]]).astype(np.float32)
    angles = 2.0 * np.pi * turns.astype(np.float64)
    for found, expected in zip(waves(turns), (np.cos(angles), np.sin(angles)), strict=True):
        np.testing.assert_allclose(found, expected, atol=3e-7)
        assert np.abs(found).max() <= 1.0 + 1e-6


@pytest.mark.parametrize("which", [0, 1])
def test_slopes_of_waves_are_those_of_cosine_and_sine(which: int) -> None:
    turns = np.linspace(-1.3, 1.3, 301).astype(np.float32)
    angles = 2.0 * np.pi * turns
    slopes = jax.vmap(jax.grad(lambda t: waves(t)[which]))(turns)
    expected = 2.0 * np.pi * (np.cos(angles) if which else -np.sin(angles))
    np.testing.assert_allclose(slopes, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["periodic", "piecewise"])
@pytest.mark.parametrize("n_inputs", [4, 7])
def test_rows_are_embedded_as_by_numpy(kind: EmbeddingKind, n_inputs: int) -> None:
    random = np.random.default_rng(0)
    embedding = Embedding(kind, 4, 5, 3)
    shapes = ((9, n_inputs), *embedding.weight_shapes)
    x, *weights = (random.normal(size=shape).astype(np.float32) for shape in shapes)
    found = embed(embedding, jnp.array(x), *weights)
    assert found.shape == (9, 4 * 3 + n_inputs)
    np.testing.assert_allclose(found, embedded(embedding, x, *weights), rtol=1e-5, atol=1e-5)
