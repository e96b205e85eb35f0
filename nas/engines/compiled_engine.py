"""The compiled engine: lanes of one shape side by side in one program, several epochs at a time.

Lanes of a program share its shape and nothing else: each has its own fold, optimizer, activation,
rates and seed, and the place of a lane that has ended is given to the next one.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.engines.examination import Snapshots, examine
from nas.engines.lane_log import LoggedLanes, score_epochs, score_outputs
from nas.engines.lanes import Engine, Lane, batch_order
from nas.engines.program import (
    Course,
    Rows,
    Settings,
    State,
    Weights,
    compile_epochs,
    dropout_counters,
)
from nas.engines.shapes import Shape, epochs_at_once, lanes_at_once, program_shape
from nas.engines.update_rule import N_COEFFICIENTS, coefficients, initial_second_moment
from nas.metrics import Metric
from nas.models.activations import ACTIVATIONS, Activation
from nas.models.dense import run_dense
from nas.models.initializers import initial_weights
from nas.models.steps import encode_labels
from nas.seeds import derive_seed
from nas.spec import Examination, Problem, TrialSpec

PREDICT_ROWS = 8192  # training rows that are predicted at once

KerasWeights = list[NDArray[np.float32]]


class CompiledEngine(Engine):
    """Trains any dense network that is not too deep; see `shapes.unsupported`."""

    name = "compiled"

    def __init__(self, folds: Sequence[FoldData], metric: Metric) -> None:
        super().__init__(folds, metric)
        self.n_rows = max(len(fold.y_train) for fold in folds)  # of the longest fold
        lengths = [len(fold.y_train) for fold in folds]
        self.first_rows = np.cumsum([0, *lengths[:-1]])  # where each fold's training rows begin
        # Put there once for the whole search, and shared by all lanes.
        self._x = jax.device_put(np.concatenate([fold.x_train for fold in folds]))
        self._x_val = jax.device_put(_stack([fold.x_val for fold in folds]))
        self._weights = None
        if any(fold.weights is not None for fold in folds):
            self._weights = jax.device_put(np.concatenate([_row_weights(fold) for fold in folds]))
        self._labels = cache(self._encode_labels)
        self._counters = cache(lambda shape: jax.device_put(dropout_counters(shape)))
        self.shapes: set[Shape] = set()

    def start(self, lanes: Sequence[Lane]) -> "CompiledLanes":
        started = CompiledLanes(self)
        started.add(lanes)
        return started

    def epochs_at_once(self, spec: TrialSpec, n_lanes: int) -> int:
        return self.capacity(program_shape(spec, self.n_rows), n_lanes)

    def capacity(self, shape: Shape, n_lanes: int) -> int:
        """Epochs that one call trains so many lanes for, at the most."""
        return epochs_at_once(shape, self.n_rows, self._x_val.shape[1], n_lanes)

    def rows(self, shape: Shape, problem: Problem) -> Rows:
        """The rows of all folds, as a program takes them."""
        labels, counters = self._labels(problem), self._counters(shape)
        return Rows(self._x, labels, self._weights, self._x_val, counters)

    def _encode_labels(self, problem: Problem) -> Any:
        labels = [
            encode_labels(problem, fold.y_train, fold.target_mean, fold.target_scale)
            for fold in self.folds
        ]
        return jax.device_put(np.concatenate(labels))


class _Moments(NamedTuple):
    """States by which a lane is examined: before training, and after the first epoch.

    States never change, so each is the one of all lanes that trained beside it.
    """

    initial: State
    first: State


class CompiledLanes(LoggedLanes):
    """See `Lanes`."""

    def __init__(self, engine: CompiledEngine) -> None:
        super().__init__(engine.folds)
        self._engine = engine
        self._blocks: list[_Block] = []
        self._blocks_of: dict[int, _Block] = {}
        # Of lanes whose place another one has taken.
        self._kept: dict[int, tuple[KerasWeights, Snapshots | None]] = {}

    def weights(self, number: int) -> KerasWeights:
        if number in self._kept:
            return self._kept[number][0]
        return self._blocks_of[number].weights(number)

    def _prepare(self, numbers: Sequence[int]) -> None:
        by_shape: dict[Shape, list[int]] = {}
        for number in numbers:
            shape = program_shape(self.logs[number].lane.spec, self._engine.n_rows)
            by_shape.setdefault(shape, []).append(number)
        for shape, alike in by_shape.items():
            with self._timed(alike):
                self._place(shape, alike)

    def _place(self, shape: Shape, numbers: Sequence[int]) -> None:
        """Gives lanes of a shape the places of lanes that have ended, or new blocks."""
        self._engine.shapes.add(shape)
        waiting = list(numbers)
        for block in self._blocks:
            free = [k for k in block.numbers if not self.logs[k].active]
            if block.shape == shape and free and waiting:
                pairs = list(zip(free, waiting, strict=False))
                waiting = waiting[len(pairs) :]
                for old, _ in pairs:
                    self._kept[old] = (block.weights(old), block.snapshots(old))
                    del self._blocks_of[old]
                block.replace(pairs)
                self._blocks_of |= {new: block for _, new in pairs}
        size = lanes_at_once(shape, len(waiting)) if waiting else 1
        for first in range(0, len(waiting), size):
            block = _Block(self, self._engine, shape, waiting[first : first + size])
            self._blocks.append(block)
            self._blocks_of |= dict.fromkeys(block.numbers, block)

    def _train(self, numbers: Sequence[int], epochs: int) -> None:
        running = set(numbers)
        for block in self._blocks:
            active = [number for number in block.numbers if number in running]
            left = epochs
            while active and left:
                with self._timed(active):
                    left -= block.train(active, left)
                active = [number for number in active if self.logs[number].active]

    def _ended(self, number: int) -> tuple[float, Examination | None]:
        lane, log, engine = self.logs[number].lane, self.logs[number], self._engine
        fold, weights = self.folds[lane.fold], self.weights(number)
        with np.errstate(all="ignore"):  # a diverged network's numbers
            ends = range(PREDICT_ROWS, len(fold.x_train), PREDICT_ROWS)
            parts = np.split(fold.x_train, ends)
            outputs = [run_dense(lane.spec, weights, x, moving=True).outputs for x in parts]
        y, loss = fold.y_train, lane.spec.loss
        score, _ = score_outputs(engine.metric, fold, y, np.concatenate(outputs), loss)
        kept = self._kept.get(number)
        snapshots = kept[1] if kept else self._blocks_of[number].snapshots(number)
        if snapshots is None:
            return score, None
        return score, examine(lane.spec, fold, log.epochs, snapshots)


class _Block:
    """Lanes of one shape that train together, each at a place of its own."""

    def __init__(
        self, lanes: CompiledLanes, engine: CompiledEngine, shape: Shape, numbers: Sequence[int]
    ) -> None:
        self._lanes, self._engine, self.shape = lanes, engine, shape
        self.numbers = list(numbers)  # by place
        specs = [lanes.logs[number].lane.spec for number in numbers]
        self._state: State = _stacked([self._initial(number) for number in numbers])
        self._settings: Settings = _stacked([_settings(spec, shape) for spec in specs])
        self._capacity = engine.capacity(shape, len(numbers))
        self._moments = {n: _Moments(*[self._state] * 2) for n in numbers if self._is_examined(n)}

    def replace(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Puts other lanes in the place of some: pairs of an old and a new number."""
        state = jax.tree.map(np.array, self._state)
        settings = jax.tree.map(np.array, self._settings)
        for old, new in pairs:
            place = self.numbers.index(old)
            self.numbers[place] = new
            spec = self._lanes.logs[new].lane.spec
            _put(state, place, self._initial(new))
            _put(settings, place, _settings(spec, self.shape))
            self._moments.pop(old, None)
        self._state, self._settings = state, settings
        for _, new in pairs:
            if self._is_examined(new):
                self._moments[new] = _Moments(*[self._state] * 2)

    def train(self, active: Sequence[int], epochs: int) -> int:
        """Trains some of its lanes for at most so many epochs; the others rest.

        Returns:
            For how many.
        """
        logs = self._lanes.logs
        # What an examined lane was after its first epoch is kept.
        is_first = [n for n in active if n in self._moments and not logs[n].epochs]
        left = max(logs[number].epochs_left for number in active)
        n_epochs = 1 if is_first else min(epochs, self._capacity, left)
        problem = logs[active[0]].lane.spec.problem
        program = compile_epochs(self.shape)
        rows, course = self._engine.rows(self.shape, problem), self._course(active, n_epochs)
        self._state, trained = program(self._state, self._settings, course, rows, n_epochs)
        losses, finite, outputs = map(np.asarray, trained)
        for number in is_first:
            self._moments[number] = self._moments[number]._replace(first=self._state)
        for number in active:
            place = self.numbers.index(number)
            self._record(number, losses[place], finite[place], outputs[place], n_epochs)
        return n_epochs

    def _record(
        self,
        number: int,
        losses: NDArray[np.float32],
        finite: NDArray[np.bool_],
        outputs: NDArray[np.float32],
        n_epochs: int,
    ) -> None:
        """Notes the epochs of a lane, of which some may be beyond its end."""
        log = self._lanes.logs[number]
        fold = self._engine.folds[log.lane.fold]
        n_epochs = min(n_epochs, log.epochs_left)
        ended = np.flatnonzero(~finite[:n_epochs])
        own = outputs[: ended[0] + 1 if len(ended) else n_epochs, : len(fold.y_val)]
        scored = score_epochs(self._engine.metric, fold, fold.y_val, own, log.lane.spec.loss)
        for epoch, (score, val_loss) in enumerate(scored):
            if log.active:  # else it has stopped early
                log.record(float(losses[epoch]), val_loss, score, bool(finite[epoch]))

    def weights(self, number: int) -> KerasWeights:
        return self._to_keras(self._state, number)

    def snapshots(self, number: int) -> Snapshots | None:
        """A lane's weights at four moments; None where it is not to be examined."""
        if number not in self._moments:
            return None
        before = self._state._replace(weights=self._state.previous)
        states = (*self._moments[number], before, self._state)
        return Snapshots(*[self._to_keras(state, number) for state in states])

    def _is_examined(self, number: int) -> bool:
        return self._lanes.logs[number].lane.examined

    def _initial(self, number: int) -> State:
        lane = self._lanes.logs[number].lane
        return _initial_state(lane.spec, self.shape, lane.seed)

    def _to_keras(self, state: State, number: int) -> KerasWeights:
        place = self.numbers.index(number)
        own: tuple[Weights, Any] = jax.tree.map(
            lambda values: np.asarray(values)[place], (state.weights, state.moving)
        )
        spec = self._lanes.logs[number].lane.spec
        return [np.array(view) for view in _views(spec, self.shape, *own)]

    def _course(self, active: Sequence[int], n_epochs: int) -> Course:
        """Rows, rates and seeds of the next epochs."""
        batch, n_lanes, capacity = self.shape.batch_size, len(self.numbers), self._capacity
        steps = -(-self._engine.n_rows // batch)
        rows = np.zeros((n_lanes, capacity, steps * batch), np.int32)
        row_weights = np.zeros((n_lanes, steps * batch), np.float32)
        share = np.zeros((n_lanes, capacity, steps), np.float32)
        rule = np.zeros((n_lanes, capacity, steps, N_COEFFICIENTS), np.float32)
        seeds = np.zeros((n_lanes, capacity), np.uint32)
        best_loss = np.zeros(n_lanes, np.float32)
        epochs, folds, patience, stale_epochs = np.zeros((4, n_lanes), np.int32)
        rule_of = cache(coefficients)
        for place, number in enumerate(self.numbers):
            log = self._lanes.logs[number]
            lane, training = log.lane, log.lane.spec.training
            folds[place] = lane.fold
            if number not in active:
                continue
            n_rows = len(self._engine.folds[lane.fold].y_train)
            own_steps = -(-n_rows // batch)
            sizes = np.full(own_steps, batch)
            sizes[-1] = n_rows - batch * (own_steps - 1)
            row_weights[place, :n_rows] = np.repeat(1.0 / sizes, sizes)
            epochs[place] = min(n_epochs, log.epochs_left)
            patience[place] = training.early_stopping
            best_loss[place], stale_epochs[place] = log.best_loss, log.stale_epochs
            for e in range(epochs[place]):
                epoch = log.epochs + e
                order = batch_order(lane.seed, epoch, n_rows)
                rows[place, e, :n_rows] = order + self._engine.first_rows[lane.fold]
                of_steps = rule_of(training, own_steps, epoch)
                taken = len(of_steps)  # less than there are where the budget of steps ends
                share[place, e, :taken] = sizes[:taken] / sizes[:taken].sum()
                rule[place, e, :taken] = of_steps
                seeds[place, e] = derive_seed("dropout", lane.seed, epoch)
        return Course(
            n_epochs=epochs,
            rows=rows.reshape(n_lanes, capacity, steps, batch),
            row_weights=row_weights.reshape(n_lanes, steps, batch),
            share=share,
            coefficients=rule,
            seeds=seeds,
            fold=folds,
            patience=patience,
            best_loss=best_loss,
            stale_epochs=stale_epochs,
        )


def _row_weights(fold: FoldData) -> NDArray[np.float32]:
    """How much each training row counts in the loss."""
    if fold.weights is None:
        return np.ones(len(fold.y_train), np.float32)
    return np.asarray(fold.weights, np.float32)


def _stack(arrays: list[NDArray[Any]]) -> NDArray[np.float32]:
    """One array, the shorter ones filled up with zeros."""
    longest = max(map(len, arrays))
    stacked = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), np.float32)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked


def _stacked(trees: list[Any]) -> Any:
    """One tree of arrays with an axis of lanes in front."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _put(tree: Any, place: int, lane: Any) -> None:
    """Writes a lane's values into a tree of arrays with an axis of lanes."""
    for array, value in zip(jax.tree.leaves(tree), jax.tree.leaves(lane), strict=True):
        array[place] = value


def _settings(spec: TrialSpec, shape: Shape) -> Settings:
    architecture, training = spec.in_words, spec.training
    units = np.zeros((shape.depth, shape.width), np.float32)
    for layer, n in enumerate(architecture.units):
        units[layer, :n] = 1.0
    numbers = ACTIVATIONS[architecture.activation]
    return Settings(
        units=units,
        activation=Activation(*map(np.float32, numbers)),
        dropout=np.float32(architecture.dropout),
        residual=np.float32(architecture.residual),
        smoothing=np.float32(training.label_smoothing),
        l1=np.float32(training.l1),
        l2=np.float32(training.l2),
        clip_norm=np.float32(training.clip_norm),
        momentum=np.float32(architecture.normalization_momentum),
    )


# Keras's list of weights to those of a lane, and back


def _initial_state(spec: TrialSpec, shape: Shape, seed: int) -> State:
    zeros = [np.zeros(kernel, np.float32) for kernel in shape.kernels]
    weights = Weights(tuple(zeros), np.zeros(sum(shape.others), np.float32))
    depth = shape.depth if shape.normalization == "batch" else 0
    moving = tuple(np.zeros((2, shape.width), np.float32) for _ in range(depth))
    views = _views(spec, shape, weights, moving)
    for view, weight in zip(views, initial_weights(spec, seed), strict=True):
        view[...] = weight
    second = np.float32(initial_second_moment(spec.training))
    return State(
        weights=weights,
        first=jax.tree.map(np.zeros_like, weights),
        second=jax.tree.map(lambda w: np.full_like(w, second), weights),
        moving=moving,
        previous=weights,
    )


def _views(
    spec: TrialSpec, shape: Shape, weights: Weights, moving: Sequence[Any]
) -> list[NDArray[np.float32]]:
    """The parts of a lane's weights that are those of `build_model(spec)`, in its order."""
    sizes = (spec.problem.n_inputs, *spec.in_words.units, spec.problem.n_outputs)
    others = np.split(weights.others, np.cumsum(shape.others)[:-1])
    views = []
    for layer, (inputs, units) in enumerate(pairwise(sizes)):
        views += [weights.kernels[layer][:inputs, :units], others[layer][:units]]
        if layer < shape.depth and shape.normalization != "none":
            scale_and_offset = others[shape.depth + 1 + 2 * layer :][:2]
            views += [vector[:units] for vector in scale_and_offset]
        if layer < shape.depth and shape.normalization == "batch":
            views += [moving[layer][0, :units], moving[layer][1, :units]]
    return views
