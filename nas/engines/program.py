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
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from nas.engines.hashing import mixed, spread
from nas.engines.lane_network import (
    Batch,
    Settings,
    Weights,
    forward,
    row_losses,
    smoothed,
)
from nas.engines.shapes import Shape
from nas.engines.update_rule import AT_REST, Coefficients
from nas.engines.validation import sums
from nas.models.members import join_members

PREDICT_ROWS = 8192  # rows that are predicted at once, over all lanes


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
        rows: The training rows of each step, (capacity, steps, batch_size); None where the program
            finds them out, from `order_seeds`.
        order_seeds: Of the order of rows in each epoch, uint32, (capacity,).
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
    order_seeds: Any
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
        validation: Of the fold's validation rows after each epoch: their `validation.sums`,
            (capacity, 2), or, where the program does not score, the outputs for them,
            (capacity, n_val, n_outputs).
    """

    losses: Any
    finite: Any
    validation: Any


class Rows(NamedTuple):
    """The rows of all folds, which all lanes share.

    Attributes:
        x: Training rows of one fold after another, (n, n_inputs).
        y: Their encoded targets, (n, n_outputs).
        weights: How much each counts in the loss, (n,); None where all count alike.
        x_val: Validation rows by fold, (n_folds, n_val, n_inputs), filled up with zeros.
        y_val: Their encoded targets, (n_folds, n_val, n_outputs).
        n_val: Their number, (n_folds,).
        bounds: What outputs are kept between, (n_folds, 2).
        counters: A number for each row of a batch and each unit, see `dropout_counters`.
        first: Where each fold's training rows begin, (n_folds,).
        lengths: Their number, (n_folds,).
    """

    x: Any
    y: Any
    weights: Any
    x_val: Any
    y_val: Any
    n_val: Any
    bounds: Any
    counters: Any
    first: Any
    lengths: Any


times_traced: Counter[Shape] = Counter()  # for tests and benchmarks


# Training


def _update(
    c: Coefficients, decay: Any, w: Any, gradient: Any, m: Any, v: Any
) -> tuple[Any, Any, Any]:
    """One step of the rule of `update_rule`."""
    new_v = c.v_keep * v + c.v_add * gradient**2
    inverse = 1.0 / (jnp.sqrt(c.v_scale * new_v + c.inside) + c.outside)
    q = gradient * (1.0 - c.divide_early + c.divide_early * inverse)
    new_m = c.m_keep * m + c.m_add * q
    late = c.divide_early + (1.0 - c.divide_early) * inverse
    new_w = w - decay * w - (c.m_rate * new_m + c.q_rate * q) * late
    return new_w, new_m, new_v


def _update_all(
    c: Coefficients, weights: Weights, gradient: Weights, first: Weights, second: Weights
) -> tuple[Weights, Weights, Weights]:
    parts = zip(weights.kernels, gradient.kernels, first.kernels, second.kernels, strict=True)
    kernels = zip(*[_update(c, c.decay, *part) for part in parts], strict=True)
    others = _update(c, 0.0, weights.others, gradient.others, first.others, second.others)
    new_weights, new_first, new_second = map(Weights, kernels, others)
    return new_weights, new_first, new_second


@cache
def compile_epochs(shape: Shape, metric: str = "") -> Any:
    """A function from `State`, `Settings`, `Course`, `Rows` and a number of epochs.

    With a metric, one of `validation.SUMMED`, it scores validation rows by that. It returns the
    new `State`, and `Trained`; what that holds beyond the lane's epochs means nothing. All but
    `Rows` and the number have an axis of lanes in front. A lane that has stopped rests.
    """

    def run(
        state: State, settings: Settings, course: Course, rows: Rows, n_epochs: Any
    ) -> tuple[State, Trained]:
        times_traced[shape] += 1  # only a trace comes here
        n_lanes, capacity = course.seeds.shape
        of_epoch = (2,) if metric else (rows.x_val.shape[1], shape.n_outputs)
        at_once = max(1, PREDICT_ROWS // (n_lanes * shape.members))
        trained = Trained(
            losses=jnp.zeros((n_lanes, capacity)),
            finite=jnp.zeros((n_lanes, capacity), bool),
            validation=jnp.zeros((n_lanes, capacity, *of_epoch)),
        )
        going = _Going(jnp.ones(n_lanes, bool), course.best_loss, course.stale_epochs)

        def epoch(e: Any, carry: Any) -> Any:
            def lane(settings: Settings, course: Course, carry: Any) -> Any:
                return _advance(shape, metric, settings, course, rows, e, at_once, *carry)

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
    metric: str,
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
    is_finite = jnp.all(jnp.isfinite(outputs))
    finite = jnp.isfinite(loss) & is_finite
    if metric:
        y_val, bounds = rows.y_val[course.fold], rows.bounds[course.fold]
        is_row = jnp.arange(len(y_val)) < rows.n_val[course.fold]
        found = sums(shape, metric, y_val, outputs, is_row, bounds)
        validation = jnp.where(is_finite, found, jnp.nan)
    else:
        validation = outputs
    trained = Trained(
        trained.losses.at[epoch].set(loss),
        trained.finite.at[epoch].set(finite),
        trained.validation.at[epoch].set(validation),
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
        of_members = forward(shape, settings, state.weights, state.moving, x)[0]
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
    seed, steps = course.seeds[epoch], course.share.shape[1]
    order = order_of_rows(course, rows, epoch) if course.rows is None else course.rows[epoch]

    def step(s: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        (weights, first, second, moving), total = carry
        share = jnp.where(active, course.share[epoch, s], 0.0)
        on = share > 0.0
        # A lane that is not on is given zeros, whose gradient is finite, and a rule that changes
        # nothing then: to choose between old and new weights would take a tenth of the step.
        own = Coefficients(*course.coefficients[epoch, s])
        c = Coefficients(*[jnp.where(on, a, b) for a, b in zip(own, AT_REST, strict=True)])
        picked = order[s]
        x = jnp.where(on, rows.x.at[picked].get(mode="promise_in_bounds"), 0.0)
        y = rows.y.at[picked].get(mode="promise_in_bounds")
        y = smoothed(shape, y, settings.smoothing)
        row_weights = loss_weights = course.row_weights[s]
        if rows.weights is not None:
            loss_weights = row_weights * rows.weights.at[picked].get(mode="promise_in_bounds")
        batch = Batch(row_weights, mixed(seed + s.astype(jnp.uint32)), rows.counters)

        def mean_loss(weights: Weights) -> tuple[Any, Any]:
            outputs, statistics = forward(shape, settings, weights, moving, x, batch)
            return jnp.sum(loss_weights * row_losses(shape, y, outputs)) / shape.members, statistics

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
        weights, first, second = _update_all(c, weights, gradient, first, second)
        if statistics:
            both = zip(statistics, moving, strict=True)
            moving = tuple(jnp.where(on, new, old) for new, old in both)
        total += jnp.where(on, share * loss, 0.0)
        return (weights, first, second, moving), total

    start = (state.weights, state.first, state.second, state.moving)
    trained, loss = lax.fori_loop(0, steps, step, (start, jnp.float32(0.0)))
    weights, first, second, moving = trained
    return State(weights, first, second, moving, state.early, state.previous), loss


def order_of_rows(course: Course, rows: Rows, epoch: Any) -> Any:
    """The rows of each step of an epoch, (steps, batch_size): those of `lanes.batch_order`."""
    steps, batch_size = course.row_weights.shape
    first, length = rows.first[course.fold], rows.lengths[course.fold]
    numbers = jnp.arange(steps * batch_size, dtype=jnp.int32)
    keys = mixed(spread(steps * batch_size) ^ course.order_seeds[epoch])
    # What only fills up the last batch comes last.
    keys = jnp.where(numbers < length, keys, jnp.uint32(2**32 - 1))
    _, order = lax.sort((keys, numbers), num_keys=2)
    return (first + jnp.where(order < length, order, 0)).reshape(steps, batch_size)


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
