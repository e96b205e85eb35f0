"""The compiled engine: lanes of one shape side by side in one program, a whole epoch at a time.

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
from nas.engines.lane_log import LoggedLanes, score_outputs
from nas.engines.lanes import Engine, Lane, batch_order
from nas.engines.program import (
    Epoch,
    Rows,
    Settings,
    State,
    Weights,
    compile_epoch,
    dropout_counters,
)
from nas.engines.shapes import Shape, lanes_at_once, program_shape
from nas.engines.update_rule import RESTING, coefficients, initial_second_moment
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
        self._labels = cache(self._encode_labels)
        self._counters = cache(lambda shape: jax.device_put(dropout_counters(shape)))
        self.shapes: set[Shape] = set()

    def start(self, lanes: Sequence[Lane]) -> "CompiledLanes":
        started = CompiledLanes(self)
        started.add(lanes)
        return started

    def rows(self, shape: Shape, problem: Problem) -> Rows:
        """The rows of all folds, as a program takes them."""
        return Rows(self._x, self._labels(problem), self._x_val, self._counters(shape))

    def _encode_labels(self, problem: Problem) -> Any:
        labels = [
            encode_labels(problem, fold.y_train, fold.target_mean, fold.target_scale)
            for fold in self.folds
        ]
        return jax.device_put(np.concatenate(labels))


class _Moments(NamedTuple):
    """States by which a lane is examined: before training, after the first epoch, before the last.

    States never change, so each is the one of all lanes that trained beside it.
    """

    initial: State
    first: State
    previous: State


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

    def _train_epoch(self, numbers: Sequence[int]) -> None:
        running = set(numbers)
        for block in self._blocks:
            active = [number for number in block.numbers if number in running]
            if active:
                with self._timed(active):
                    block.train_epoch(active)

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
        self._moments = {n: _Moments(*[self._state] * 3) for n in numbers if self._is_examined(n)}

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
                self._moments[new] = _Moments(*[self._state] * 3)

    def train_epoch(self, active: Sequence[int]) -> None:
        """Trains an epoch of some of its lanes; the others rest."""
        logs, before = self._lanes.logs, self._state
        problem = logs[active[0]].lane.spec.problem
        program = compile_epoch(self.shape)
        rows = self._engine.rows(self.shape, problem)
        self._state, losses, outputs = program(before, self._settings, self._epoch(active), rows)
        losses, outputs = np.asarray(losses), np.asarray(outputs)
        for number in active:
            log, place = logs[number], self.numbers.index(number)
            if number in self._moments:
                moments = self._moments[number]._replace(previous=before)
                self._moments[number] = (
                    moments if log.epochs else moments._replace(first=self._state)
                )
            fold = self._engine.folds[log.lane.fold]
            own, y = outputs[place, : len(fold.y_val)], fold.y_val
            metric, loss = self._engine.metric, log.lane.spec.loss
            score, val_loss = score_outputs(metric, fold, y, own, loss)
            log.record(float(losses[place]), val_loss, score)

    def weights(self, number: int) -> KerasWeights:
        return self._to_keras(self._state, number)

    def snapshots(self, number: int) -> Snapshots | None:
        """A lane's weights at four moments; None where it is not to be examined."""
        if number not in self._moments:
            return None
        states = (*self._moments[number], self._state)
        return Snapshots(*[self._to_keras(state, number) for state in states])

    def _is_examined(self, number: int) -> bool:
        return self._lanes.logs[number].lane.examined

    def _initial(self, number: int) -> State:
        lane = self._lanes.logs[number].lane
        return _initial_state(lane.spec, self.shape, lane.seed)

    def _to_keras(self, state: State, number: int) -> KerasWeights:
        place = self.numbers.index(number)
        own: State = jax.tree.map(lambda values: np.asarray(values)[place], state)
        spec = self._lanes.logs[number].lane.spec
        return [np.array(view) for view in _views(spec, self.shape, own.weights, own.moving)]

    def _epoch(self, active: Sequence[int]) -> Epoch:
        """Rows, rates and seeds of the next epoch."""
        batch, n_lanes = self.shape.batch_size, len(self.numbers)
        steps = -(-self._engine.n_rows // batch)
        rows = np.zeros((n_lanes, steps * batch), np.int32)
        row_weights = np.zeros((n_lanes, steps * batch), np.float32)
        loss_weights = np.zeros_like(row_weights)
        share = np.zeros((n_lanes, steps), np.float32)
        rule = np.tile(RESTING, (n_lanes, steps, 1))
        seeds = np.zeros(n_lanes, np.uint32)
        folds = np.zeros(n_lanes, np.int32)
        rule_of = cache(coefficients)
        for place, number in enumerate(self.numbers):
            log = self._lanes.logs[number]
            lane, epoch, training = log.lane, log.epochs, log.lane.spec.training
            folds[place] = lane.fold
            if number not in active:
                continue
            n_rows = len(self._engine.folds[lane.fold].y_train)
            own_steps = -(-n_rows // batch)
            order = batch_order(lane.seed, epoch, n_rows)
            rows[place, :n_rows] = order + self._engine.first_rows[lane.fold]
            sizes = np.full(own_steps, batch)
            sizes[-1] = n_rows - batch * (own_steps - 1)
            row_weights[place, :n_rows] = np.repeat(1.0 / sizes, sizes)
            loss_weights[place] = row_weights[place]
            weights = self._engine.folds[lane.fold].weights
            if weights is not None:
                loss_weights[place, :n_rows] *= weights[order]
            of_steps = rule_of(training, own_steps, epoch)
            taken = len(of_steps)  # less than there are where the budget of steps ends
            share[place, :taken] = sizes[:taken] / sizes[:taken].sum()
            rule[place, :taken] = of_steps
            seeds[place] = derive_seed("dropout", lane.seed, epoch)
        shape = (n_lanes, steps, batch)
        return Epoch(
            rows=rows.reshape(shape),
            row_weights=row_weights.reshape(shape),
            loss_weights=loss_weights.reshape(shape),
            share=share,
            coefficients=rule,
            seed=seeds,
            fold=folds,
        )


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
    weights = Weights(tuple(zeros), tuple(np.zeros(n, np.float32) for n in shape.others))
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
    )


def _views(
    spec: TrialSpec, shape: Shape, weights: Weights, moving: Sequence[Any]
) -> list[NDArray[np.float32]]:
    """The parts of a lane's weights that are those of `build_model(spec)`, in its order."""
    sizes = (spec.problem.n_inputs, *spec.in_words.units, spec.problem.n_outputs)
    views = []
    for layer, (inputs, units) in enumerate(pairwise(sizes)):
        views += [weights.kernels[layer][:inputs, :units], weights.others[layer][:units]]
        if layer < shape.depth and shape.normalization != "none":
            scale_and_offset = weights.others[shape.depth + 1 + 2 * layer :][:2]
            views += [vector[:units] for vector in scale_and_offset]
        if layer < shape.depth and shape.normalization == "batch":
            views += [moving[layer][0, :units], moving[layer][1, :units]]
    return views
