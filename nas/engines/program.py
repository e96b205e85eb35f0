"""The compiled program: epochs of one lane in JAX, lifted over lanes.

Everything that differs between lanes of a shape is an argument: optimizer, learning rates,
activation, dropout, penalties, residual connections, widths below the program's. So a program is
compiled once for each `Shape` and number of lanes, and serves all later trials of that shape.

The functions below are written for one lane; `compile_epochs` adds the axis of lanes with
`jax.vmap`, in front of all others. One call trains several epochs, as many as the caller says:
for small networks the way in and out of a call takes longer than an epoch.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nas.engines.embedding import embed
from nas.engines.shapes import Shape
from nas.engines.update_rule import Coefficients
from nas.models.activations import FORMULAS, Activation, activate
from nas.models.dense import NORMALIZATION_EPSILON
from nas.models.members import join_members

PREDICT_ROWS = 8192  # rows that are predicted at once, over all lanes


class Weights(NamedTuple):
    """Weights of a lane, or one of their moments.

    Attributes:
        kernels: As in `Shape.kernels`.
        others: All others in one vector, as in `Shape.others`; each array has kernels of its own
            in the update, which take long to compile.
    """

    kernels: tuple[Any, ...]
    others: Any


class State(NamedTuple):
    """All that training changes.

    Attributes:
        weights: The weights.
        first: Their first moments.
        second: Their second moments.
        moving: Moving mean and variance of each batch normalization, (2, width) each.
        early: The weights after the first epoch.
        previous: The weights before the last epoch.
    """

    weights: Weights
    first: Weights
    second: Weights
    moving: tuple[Any, ...]
    early: Weights
    previous: Weights


class Course(NamedTuple):
    """What the epochs of a call are trained on; `capacity` is the largest number of epochs.

    Attributes:
        n_epochs: Epochs that this lane trains, at the most.
        is_new: Whether it has not been trained before.
        rows: The training rows of each step, (capacity, steps, batch_size).
        row_weights: The weight of each row of a step, 1 over the batch's rows, (steps, batch_size);
            0 fills up a smaller batch.
        share: Share of the epoch's rows in each step, (capacity, steps); 0 where the lane rests.
        coefficients: (capacity, steps, N_COEFFICIENTS), see `update_rule`.
        seeds: Of the dropout in each epoch, uint32, (capacity,).
        fold: Whose validation rows are predicted behind each epoch.
        patience: Epochs without a lower loss after which the lane stops; 0 for any number.
        best_loss: The lowest loss of the epochs before.
        stale_epochs: Epochs since then.
    """

    n_epochs: Any
    is_new: Any
    rows: Any
    row_weights: Any
    share: Any
    coefficients: Any
    seeds: Any
    fold: Any
    patience: Any
    best_loss: Any
    stale_epochs: Any


class Trained(NamedTuple):
    """What a call returns beside the state.

    Attributes:
        losses: Mean loss over each epoch's rows with penalties, (capacity,).
        finite: Whether it and all outputs are finite, (capacity,).
        outputs: For the fold's validation rows after each epoch, (capacity, n_val, n_outputs).
    """

    losses: Any
    finite: Any
    outputs: Any


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


class Rows(NamedTuple):
    """The rows of all folds, which all lanes share.

    Attributes:
        x: Training rows of one fold after another, (n, n_inputs).
        y: Their encoded targets, (n, n_outputs).
        weights: How much each counts in the loss, (n,); None where all count alike.
        x_val: Validation rows by fold, (n_folds, n_val, n_inputs), filled up with zeros.
        counters: A number for each row of a batch and each unit, see `dropout_counters`.
    """

    x: Any
    y: Any
    weights: Any
    x_val: Any
    counters: Any


times_traced: Counter[Shape] = Counter()  # for tests and benchmarks


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

_ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B))  # Wellons 2018, the `lowbias32` hash


def _hash(x: Any) -> Any:
    """Mixes 32-bit numbers; every bit of the result depends on every bit of `x`."""
    for bits, factor in _ROUNDS:
        x = (x ^ (x >> np.uint32(bits))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


def _dropout(counters: Any, key: Any, rate: Any) -> Any:
    """What to multiply with: 0 for a dropped unit, 1 / (1 - rate) for the others.

    A counter hashed with a key; JAX's own generators take as long as the rest of a step.

    Args:
        counters: A number for each row and unit, (batch_size, width).
        key: A number that is drawn anew for each step and layer.
        rate: Share of units dropped.
    """
    bits = _hash(counters ^ key)
    uniform = (bits >> np.uint32(8)).astype(jnp.float32) * np.float32(2.0**-24)
    return jnp.where(uniform >= rate, 1.0 / (1.0 - rate), 0.0)


def dropout_counters(shape: Shape) -> Any:
    """A number for each row of a batch, by member, and each unit.

    An argument, because XLA folds constants.
    """
    n_rows = shape.members * shape.batch_size
    numbers = np.arange(n_rows * max(shape.width, 1), dtype=np.uint32)
    return numbers.reshape(n_rows, -1) * np.uint32(0x9E3779B9)


# The network


class _Batch(NamedTuple):
    """What only training needs: see `Course` and `_dropout`."""

    row_weights: Any
    key: Any
    counters: Any


def _forward(
    shape: Shape,
    settings: Settings,
    weights: Weights,
    moving: Sequence[Any],
    x: Any,
    batch: _Batch | None = None,
) -> tuple[Any, tuple[Any, ...]]:
    """The outputs for rows, (n, n_outputs), and the new moving statistics of batch normalizations.

    Those of members have an axis of members in front.

    With a batch as in training, else as in prediction.
    """
    kernels, others = weights.kernels, jnp.split(weights.others, np.cumsum(shape.others)[:-1])
    if shape.embedding is not None:
        sizes = shape.embedding.weight_shapes
        parts = [p.reshape(s) for p, s in zip(others[-len(sizes) :], sizes, strict=True)]
        x = embed(x, *parts)
    n_rows = len(x)
    if shape.members > 1:
        start = shape.depth * (1 if shape.normalization == "none" else 3) + 1
        of_inputs, of_outputs = (
            others[start + k].reshape(factors) for k, factors in enumerate(shape.factors)
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
            key = _hash(batch.key + np.uint32(i))
            a = a * units * _dropout(batch.counters, key, settings.dropout)
        if skip is not None:
            a = a + settings.residual * units * skip
        x = skip = a
    if shape.members > 1:
        x = x.reshape(shape.members, n_rows, x.shape[1]) * of_outputs[:, None, :]
    return x @ kernels[-1] + others[shape.depth], tuple(statistics)


def _row_losses(shape: Shape, y: Any, outputs: Any) -> Any:
    """The loss of each row, (..., n_rows); Keras's, from logits."""
    if shape.loss == "cross_entropy" and shape.n_outputs > 1:
        return jnp.sum(-y * jax.nn.log_softmax(outputs), axis=-1)
    if shape.loss in ("cross_entropy", "logistic"):
        # Keras's way of writing it decides its slope at 0.
        above = outputs >= 0.0
        losses = jnp.where(above, outputs, 0.0) - outputs * y
        losses += jnp.log1p(jnp.exp(jnp.where(above, -outputs, outputs)))
        return jnp.sum(losses, axis=-1)
    difference = (outputs - y)[..., 0]
    error = difference * lax.stop_gradient(jnp.sign(difference))  # whose slope at 0 is 0
    if shape.loss == "absolute":
        return error
    if shape.loss == "huber":
        return jnp.where(error <= 1.0, 0.5 * error**2, error - 0.5)
    return error**2


def _smoothed(shape: Shape, y: Any, share: Any) -> Any:
    """Label smoothing as Keras's losses do it."""
    if shape.loss not in ("cross_entropy", "logistic"):
        return y
    classes = 2 if shape.loss == "logistic" else max(2, shape.n_outputs)
    return y * (1.0 - share) + share / classes


# Training


def _update(
    on: Any, c: Coefficients, decay: Any, w: Any, gradient: Any, m: Any, v: Any
) -> tuple[Any, Any, Any]:
    """One step of the rule of `update_rule`; none unless the lane is on."""
    new_v = c.v_keep * v + c.v_add * gradient**2
    inverse = 1.0 / (jnp.sqrt(c.v_scale * new_v + c.inside) + c.outside)
    q = gradient * (1.0 - c.divide_early + c.divide_early * inverse)
    new_m = c.m_keep * m + c.m_add * q
    late = c.divide_early + (1.0 - c.divide_early) * inverse
    new_w = w - decay * w - (c.m_rate * new_m + c.q_rate * q) * late
    return jnp.where(on, new_w, w), jnp.where(on, new_m, m), jnp.where(on, new_v, v)


def _update_all(
    on: Any, c: Coefficients, weights: Weights, gradient: Weights, first: Weights, second: Weights
) -> tuple[Weights, Weights, Weights]:
    parts = zip(weights.kernels, gradient.kernels, first.kernels, second.kernels, strict=True)
    kernels = zip(*[_update(on, c, c.decay, *part) for part in parts], strict=True)
    others = _update(on, c, 0.0, weights.others, gradient.others, first.others, second.others)
    new_weights, new_first, new_second = map(Weights, kernels, others)
    return new_weights, new_first, new_second


@cache
def compile_epochs(shape: Shape) -> Any:
    """A function from `State`, `Settings`, `Course`, `Rows` and a number of epochs.

    It returns the new `State`, and `Trained`; what that holds beyond the lane's epochs means
    nothing. All but `Rows` and the number have an axis of lanes in front. A lane that has stopped
    rests.
    """

    def run(
        state: State, settings: Settings, course: Course, rows: Rows, n_epochs: Any
    ) -> tuple[State, Trained]:
        times_traced[shape] += 1  # only a trace comes here
        n_lanes, capacity = course.seeds.shape
        n_val = rows.x_val.shape[1]
        at_once = max(1, PREDICT_ROWS // (n_lanes * shape.members))
        trained = Trained(
            losses=jnp.zeros((n_lanes, capacity)),
            finite=jnp.zeros((n_lanes, capacity), bool),
            outputs=jnp.zeros((n_lanes, capacity, n_val, shape.n_outputs)),
        )
        going = _Going(jnp.ones(n_lanes, bool), course.best_loss, course.stale_epochs)

        def epoch(e: Any, carry: Any) -> Any:
            def lane(settings: Settings, course: Course, carry: Any) -> Any:
                return _advance(shape, settings, course, rows, e, at_once, *carry)

            # Within the loop, since JAX takes long to trace a lifted loop of unknown length.
            return jax.vmap(lane)(settings, course, carry)

        state, trained, _ = lax.fori_loop(0, n_epochs, epoch, (state, trained, going))
        return state, trained

    return jax.jit(run)


class _Going(NamedTuple):
    """Whether a lane goes on, and what decides it: see `Course`."""

    active: Any
    best_loss: Any
    stale_epochs: Any


def _advance(
    shape: Shape,
    settings: Settings,
    course: Course,
    rows: Rows,
    epoch: Any,
    at_once: int,
    state: State,
    trained: Trained,
    going: _Going,
) -> tuple[State, Trained, _Going]:
    """Trains and scores an epoch of one lane."""
    active = going.active & (epoch < course.n_epochs)
    previous = _select(active, state.weights, state.previous)
    state, loss = _train(shape, state, settings, course, rows, epoch, active)
    is_first = active & course.is_new & (epoch == 0)
    early = _select(is_first, state.weights, state.early)
    state = state._replace(early=early, previous=previous)
    outputs = _predict(shape, state, settings, rows.x_val[course.fold], at_once)
    finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(outputs))
    trained = Trained(
        trained.losses.at[epoch].set(loss),
        trained.finite.at[epoch].set(finite),
        trained.outputs.at[epoch].set(outputs),
    )
    # As `LaneLog` decides it.
    lower = loss < going.best_loss
    stale = jnp.where(lower, 0, going.stale_epochs + 1)
    stopped_early = (course.patience > 0) & (stale >= course.patience)
    best_loss = jnp.where(lower, loss, going.best_loss)
    return state, trained, _Going(active & finite & ~stopped_early, best_loss, stale)


def _predict(shape: Shape, state: State, settings: Settings, x: Any, at_once: int) -> Any:
    """The outputs for rows, a part of them after another to spare memory."""

    def outputs(x: Any) -> Any:
        of_members = _forward(shape, settings, state.weights, state.moving, x)[0]
        return join_members(jnp, of_members, shape.loss, 0) if shape.members > 1 else of_members

    n_rows, n_inputs = x.shape
    if n_rows <= at_once:
        return outputs(x)
    n_parts = -(-n_rows // at_once)
    filled = jnp.pad(x, [(0, n_parts * at_once - n_rows), (0, 0)])
    parts = lax.map(outputs, filled.reshape(n_parts, at_once, n_inputs))
    return parts.reshape(n_parts * at_once, -1)[:n_rows]


def _train(
    shape: Shape,
    state: State,
    settings: Settings,
    course: Course,
    rows: Rows,
    epoch: Any,
    active: Any,
) -> tuple[State, Any]:
    """The state behind an epoch, and the mean loss over its rows, penalties included."""
    seed = course.seeds[epoch]

    def step(s: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        (weights, first, second, moving), total = carry
        c = Coefficients(*course.coefficients[epoch, s])
        share = jnp.where(active, course.share[epoch, s], 0.0)
        on = share > 0.0
        picked = course.rows[epoch, s]
        x = rows.x.at[picked].get(mode="promise_in_bounds")
        y = rows.y.at[picked].get(mode="promise_in_bounds")
        y = _smoothed(shape, y, settings.smoothing)
        row_weights = loss_weights = course.row_weights[s]
        if rows.weights is not None:
            loss_weights = row_weights * rows.weights.at[picked].get(mode="promise_in_bounds")
        batch = _Batch(row_weights, _hash(seed + s.astype(jnp.uint32)), rows.counters)

        def mean_loss(weights: Weights) -> tuple[Any, Any]:
            outputs, statistics = _forward(shape, settings, weights, moving, x, batch)
            return jnp.sum(
                loss_weights * _row_losses(shape, y, outputs)
            ) / shape.members, statistics

        (loss, statistics), gradient = jax.value_and_grad(mean_loss, has_aux=True)(weights)
        kernels = weights.kernels
        loss += settings.l2 * sum(_sum(w**2) for w in kernels)
        slopes = [g + 2.0 * settings.l2 * w for g, w in zip(gradient.kernels, kernels, strict=True)]
        if shape.has_l1:
            loss += settings.l1 * sum(_sum(jnp.abs(w)) for w in kernels)
            slopes = [g + settings.l1 * jnp.sign(w) for g, w in zip(slopes, kernels, strict=True)]
        gradient = Weights(tuple(slopes), gradient.others)
        if shape.clips:
            gradient = _clip(gradient, settings.clip_norm)
        weights, first, second = _update_all(on, c, weights, gradient, first, second)
        if statistics:
            both = zip(statistics, moving, strict=True)
            moving = tuple(jnp.where(on, new, old) for new, old in both)
        total += jnp.where(on, share * loss, 0.0)
        return (weights, first, second, moving), total

    start = (state.weights, state.first, state.second, state.moving)
    trained, loss = lax.fori_loop(0, course.rows.shape[1], step, (start, jnp.float32(0.0)))
    weights, first, second, moving = trained
    return State(weights, first, second, moving, state.early, state.previous), loss


def _select(chosen: Any, one: Weights, other: Weights) -> Weights:
    selected: Weights = jax.tree.map(lambda a, b: jnp.where(chosen, a, b), one, other)
    return selected


def _sum(values: Any) -> Any:
    # In columns first: XLA adds those side by side, but the numbers of a row one at a time.
    return jnp.sum(jnp.sum(values.reshape(-1, math.gcd(values.size, 64)), 0))


def _clip(gradient: Weights, largest: Any) -> Weights:
    norm = jnp.sqrt(sum(_sum(g**2) for g in jax.tree.leaves(gradient)))
    # A norm that overflows makes the factor NaN, as in Keras, and the lane diverges.
    factor = largest / jnp.maximum(norm, largest) + (norm - norm)
    clipped: Weights = jax.tree.map(lambda g: factor * g, gradient)
    return clipped
