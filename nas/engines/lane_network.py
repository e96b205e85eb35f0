"""One lane's network in JAX: its outputs and losses, with dropout and gradients.

Everything that differs between lanes of a shape is an argument: see `Settings`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nas.engines.embedding import embed
from nas.engines.hashing import mixed, spread
from nas.engines.shapes import Shape
from nas.models.activations import FORMULAS, Activation, activate
from nas.models.dense import NORMALIZATION_EPSILON


class Weights(NamedTuple):
    """Weights of a lane, or one of their moments.

    Attributes:
        kernels: As in `Shape.kernels`.
        others: All others in one vector, as in `Shape.others`; each array has kernels of its own
            in the update, which take long to compile.
    """

    kernels: tuple[Any, ...]
    others: Any


class Settings(NamedTuple):
    """What stays the same for a lane.

    Attributes:
        units: 1 for each unit in use, 0 for the others, (depth, width).
        activation: Its coefficients.
        dropout: Share of units dropped.
        residual: 1 with residual connections, else 0.
        smoothing: Share of a target spread over all classes.
        l1, l2: Penalties on the kernels.
        clip_norm: Largest global norm of a gradient.
        momentum: What a step leaves of the moving statistics of batch normalization.
    """

    units: Any
    activation: Activation
    dropout: Any
    residual: Any
    smoothing: Any
    l1: Any
    l2: Any
    clip_norm: Any
    momentum: Any


# Activations


@jax.custom_vjp
def _activate(z: Any, c: Activation) -> Any:
    return activate(jnp, z, c)[0]


# By hand: the slope costs little beside the value, and Keras chooses it at the kinks.
_activate.defvjp(lambda z, c: activate(jnp, z, c), lambda slope, g: (g * slope, None))


def _by_formula(formula: Any) -> Any:
    """An activation with a formula of its own."""

    @jax.custom_vjp
    def by_formula(z: Any) -> Any:
        return formula(jnp, z)[0]

    by_formula.defvjp(lambda z: formula(jnp, z), lambda slope, g: (g * slope,))
    return by_formula


_BY_FORMULA = {name: _by_formula(formula) for name, formula in FORMULAS.items()}


# Dropout


def _dropout(counters: Any, key: Any, rate: Any) -> Any:
    """What to multiply with: 0 for a dropped unit, 1 / (1 - rate) for the others.

    A counter hashed with a key; JAX's own generators take as long as the rest of a step.

    Args:
        counters: A number for each row and unit, (batch_size, width).
        key: A number that is drawn anew for each step and layer.
        rate: Share of units dropped.
    """
    bits = mixed(counters ^ key)
    uniform = (bits >> np.uint32(8)).astype(jnp.float32) * np.float32(2.0**-24)
    return jnp.where(uniform >= rate, 1.0 / (1.0 - rate), 0.0)


def dropout_counters(shape: Shape) -> Any:
    """A number for each row of a batch, by member, and each unit.

    An argument, because XLA folds constants.
    """
    n_rows = shape.members * shape.batch_size
    return spread(n_rows * max(shape.width, 1)).reshape(n_rows, -1)


# The network


class Batch(NamedTuple):
    """What only training needs.

    Attributes:
        row_weights: The weight of each row in the statistics of batch normalization.
        key: Of the dropout in this step.
        counters: See `dropout_counters`.
    """

    row_weights: Any
    key: Any
    counters: Any


def forward(
    shape: Shape,
    settings: Settings,
    weights: Weights,
    moving: Sequence[Any],
    x: Any,
    batch: Batch | None = None,
) -> tuple[Any, tuple[Any, ...]]:
    """The outputs for rows, and the new moving statistics of batch normalizations.

    With a batch as in training, else as in prediction. Outputs are (n, n_outputs); several members
    have an axis of their own in front.
    """
    kernels, others = weights.kernels, jnp.split(weights.others, np.cumsum(shape.others)[:-1])
    if shape.embedding is not None:
        sizes = shape.embedding.weight_shapes
        parts = [p.reshape(s) for p, s in zip(others[-len(sizes) :], sizes, strict=True)]
        x = embed(shape.embedding, x, *parts)
    n_rows = len(x)
    if shape.members > 1:
        of_inputs, of_outputs = (
            others[shape.first_factors + k].reshape(size) for k, size in enumerate(shape.factors)
        )
        x = (of_inputs[:, None, :] * x).reshape(shape.members * n_rows, x.shape[1])
    statistics = []
    skip = None
    for i in range(shape.depth):
        units = settings.units[i]
        a = x @ kernels[i] + others[i]
        if shape.normalization != "none":
            scale, offset = others[shape.depth + 1 + 2 * i :][:2]
            if shape.normalization == "layer":
                n = jnp.sum(units)
                # From the first unit on, so that equal values have a mean without rounding error:
                # else its sign would choose the side of a kink.
                one = lax.stop_gradient(a[:, :1])
                mean = one + jnp.sum((a - one) * units, axis=1, keepdims=True) / n
                centered = (a - mean) * units
                variance = jnp.sum(centered**2, axis=1, keepdims=True) / n
            else:
                mean, variance = moving[i][0], moving[i][1]
                if batch is not None:
                    row_weights = jnp.tile(batch.row_weights, shape.members)[:, None]
                    row_weights = row_weights / shape.members
                    batch_mean = jnp.sum(row_weights * a, axis=0)
                    batch_variance = jnp.sum(row_weights * (a - batch_mean) ** 2, axis=0)
                    new = lax.stop_gradient(jnp.stack([batch_mean, batch_variance]))
                    keep = settings.momentum
                    statistics.append(keep * moving[i] + (1.0 - keep) * new)
                    mean, variance = batch_mean, batch_variance
                centered = a - mean
            a = centered * lax.rsqrt(variance + NORMALIZATION_EPSILON) * scale + offset
        by_formula = _BY_FORMULA.get(shape.formula)
        a = by_formula(a) if by_formula else _activate(a, settings.activation)
        if batch is not None:  # else nothing need be kept from unused units: no weight reads them
            key = mixed(batch.key + np.uint32(i))
            a = a * units * _dropout(batch.counters, key, settings.dropout)
        if skip is not None:
            a = a + settings.residual * units * skip
        x = skip = a
    if shape.members > 1:
        x = x.reshape(shape.members, n_rows, x.shape[1]) * of_outputs[:, None, :]
    return x @ kernels[-1] + others[shape.depth], tuple(statistics)


def row_losses(shape: Shape, y: Any, outputs: Any) -> Any:
    """The loss of each row, (..., n_rows); Keras's, from logits."""
    if shape.loss == "cross_entropy" and shape.n_outputs > 1:
        return jnp.sum(-y * jax.nn.log_softmax(outputs), axis=-1)
    if shape.loss in ("cross_entropy", "logistic"):
        # Keras's way of writing it decides its slope at 0.
        above = outputs >= 0.0
        losses = jnp.where(above, outputs, 0.0) - outputs * y
        losses += jnp.log1p(jnp.exp(jnp.where(above, -outputs, outputs)))
        return jnp.sum(losses, axis=-1)
    difference = outputs - y
    if shape.loss == "quantile":
        quantiles = jnp.array(shape.quantiles, jnp.float32)
        losses = jnp.maximum(-quantiles * difference, (1.0 - quantiles) * difference)
        return jnp.mean(losses, axis=-1)
    error = difference * lax.stop_gradient(jnp.sign(difference))  # whose slope at 0 is 0
    losses = error
    if shape.loss == "huber":
        losses = jnp.where(error <= 1.0, 0.5 * error**2, error - 0.5)
    elif shape.loss != "absolute":
        losses = error**2
    return losses[..., 0] if shape.n_outputs == 1 else jnp.mean(losses, axis=-1)


def smoothed(shape: Shape, y: Any, share: Any) -> Any:
    """Label smoothing as Keras's losses do it."""
    if shape.loss not in ("cross_entropy", "logistic"):
        return y
    classes = 2 if shape.loss == "logistic" else max(2, shape.n_outputs)
    return y * (1.0 - share) + share / classes
