"""Embeddings of numbers in JAX: what `nas.models.dense.embedded` computes, with its gradients.

XLA calls a function of the C library for each cosine on a processor, which takes as long as the
rest of a step; a polynomial takes a tenth of that.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from nas.layers import Embedding

# Of the sine of `2 pi t`, beginning with `t`: Taylor's series, off by less than 6e-8 up to 1/4.
_SERIES = [
    (-1.0) ** k * (2.0 * math.pi) ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(6)
]


def _sine(turns: Any) -> Any:
    """The sine of a number of full turns between -3/4 and 3/4."""
    # Beyond a quarter, a turn mirrors itself at half a turn.
    mirrored = jnp.where(turns > 0.0, 0.5, -0.5) - turns
    rest = jnp.where(jnp.abs(turns) > 0.25, mirrored, turns)
    square, factor = rest * rest, jnp.full_like(rest, _SERIES[-1])
    for coefficient in _SERIES[-2::-1]:
        factor = coefficient + square * factor
    return rest * factor


@jax.custom_vjp
def waves(turns: Any) -> tuple[Any, Any]:
    """Cosine and sine of a number of full turns."""
    rest = turns - jnp.round(turns)
    return _sine(rest + 0.25), _sine(rest)


def _forward(turns: Any) -> Any:
    both = waves(turns)
    return both, both


def _backward(both: Any, gradients: Any) -> Any:
    (cosine, sine), (of_cosine, of_sine) = both, gradients
    return (2.0 * math.pi * (of_sine * cosine - of_cosine * sine),)


waves.defvjp(_forward, _backward)


def embed(embedding: Embedding, x: Any, *weights: Any) -> Any:
    """Numbers as their embeddings, followed by all inputs.

    Args:
        embedding: The embedding.
        x: Encoded rows, (n, n_inputs), the numbers first.
        weights: Its weights, of `weight_shapes`.
    """
    *first, kernel, bias = weights
    n_numbers, size = bias.shape
    # Rows along the last axis, since the others are short.
    numbers = x[:, :n_numbers].T[:, None, :]
    if embedding.kind == "periodic":
        features = jnp.concatenate(waves(numbers * first[0][:, :, None]), 1)
    else:  # whose bins are no weights to learn
        factors, offsets = (lax.stop_gradient(part)[:, :, None] for part in first)
        features = jnp.clip(numbers * factors + offsets, 0.0, 1.0)
    outputs = jnp.einsum("kfe,kfb->keb", kernel, features) + bias[:, :, None]
    outputs = jnp.maximum(outputs, 0.0).reshape(n_numbers * size, len(x))
    return jnp.concatenate([outputs.T, x], 1)
