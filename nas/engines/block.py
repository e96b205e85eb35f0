"""Lanes of one shape that train in one program, each at a place of its own."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from nas.engines.examination import Snapshots
from nas.engines.lane_log import score_epochs
from nas.engines.lane_network import Settings, Weights
from nas.engines.lanes import batch_order, batch_order_seed
from nas.engines.program import Course, State, Trained
from nas.engines.shapes import Shape
from nas.engines.update_rule import N_COEFFICIENTS, coefficients, initial_second_moment
from nas.engines.validation import losses_and_scores
from nas.models.activations import ACTIVATIONS, Activation
from nas.models.initializers import initial_weights
from nas.seeds import derive_seed
from nas.spec import TrialSpec

if TYPE_CHECKING:
    from nas.engines.compiled_engine import CompiledEngine, CompiledLanes

KerasWeights = list[NDArray[np.float32]]

PUT_AT_ONCE = 32  # lanes that one call puts at their places, where there are so many
FETCHED_AT_ONCE = 32  # lanes whose weights one call fetches from a GPU


class Start(NamedTuple):
    """What a lane begins with.

    Attributes:
        weights: Its weights.
        moving: See `State`.
        second: The number that its second moments begin with.
        settings: Its settings.
    """

    weights: Weights
    moving: tuple[Any, ...]
    second: Any
    settings: Settings


class Block:
    """Lanes of one shape that train together, each at a place of its own.

    Args:
        lanes: All lanes.
        engine: Their engine.
        shape: Theirs.
        numbers: Of its lanes.
        n_places: How many places it has; the others are free.
    """

    def __init__(
        self,
        lanes: "CompiledLanes",
        engine: "CompiledEngine",
        shape: Shape,
        numbers: Sequence[int],
        n_places: int,
    ) -> None:
        self._lanes, self._engine, self.shape = lanes, engine, shape
        self.numbers: list[int | None] = [*numbers, *[None] * (n_places - len(numbers))]
        self._capacity = engine.capacity(shape, n_places)
        self._initial: dict[int, KerasWeights] = {}  # of the examined ones
        starts = [self._begin(number) for number in numbers]
        one = starts[0]
        moments = one.weights
        state = State(one.weights, moments, moments, one.moving, one.weights, one.weights)
        self._state, self._settings = jax.tree.map(
            lambda values: np.zeros((n_places, *np.shape(values)), np.float32),
            (state, one.settings),
        )
        self._put(range(len(numbers)), starts)

    @property
    def is_empty(self) -> bool:
        """Whether all its places are free."""
        return all(number is None for number in self.numbers)

    def put(self, numbers: Mapping[int, int]) -> None:
        """Puts lanes at free places, by place."""
        starts = [self._begin(number) for number in numbers.values()]  # which may fail
        for place, number in numbers.items():
            self.numbers[place] = number
        self._put(list(numbers), starts)

    def _put(self, places: Sequence[int], starts: Sequence[Start]) -> None:
        both = (self._state, self._settings)
        if isinstance(self._state.weights.others, np.ndarray):  # it has not been trained
            for place, start in zip(places, starts, strict=True):
                _with_start(both, start, partial(_write, place))
            return
        at_once = min(PUT_AT_ONCE, len(self.numbers))
        for k in range(0, len(starts), at_once):
            at, of_lanes = list(places[k : k + at_once]), list(starts[k : k + at_once])
            # Always as many, so that there is one program; what is beyond the last place is left.
            n_missing = at_once - len(at)
            at += [len(self.numbers)] * n_missing
            of_lanes += of_lanes[:1] * n_missing
            arguments = (both, _stacked(of_lanes), np.array(at, np.int32))
            both = self._engine.call("put", _put_at, self.shape, *arguments)
        self._state, self._settings = both

    def clear(self, number: int) -> None:
        """Makes the place of a lane free."""
        self.numbers[self.numbers.index(number)] = None
        self._initial.pop(number, None)

    def halves(self) -> "list[Block]":
        """Two blocks with its lanes."""
        middle = (len(self.numbers) + 1) // 2
        halves = []
        for part in (slice(0, middle), slice(middle, None)):
            half = copy.copy(self)
            half.numbers = self.numbers[part]
            half._capacity = self._engine.capacity(self.shape, len(half.numbers))
            half._initial = {n: self._initial[n] for n in half.numbers if n in self._initial}
            half._state, half._settings = jax.tree.map(
                lambda values, part=part: np.array(np.asarray(values)[part]),
                (self._state, self._settings),
            )
            halves.append(half)
        return halves

    def train(self, active: Mapping[int, int]) -> int:
        """Trains some of its lanes, each for at most so many epochs; the others rest.

        Returns:
            For how many.
        """
        logs = self._lanes.logs
        wanted = max(min(n, logs[number].epochs_left) for number, n in active.items())
        n_epochs = min(wanted, self._capacity)
        problem = logs[next(iter(active))].lane.spec.problem
        rows = self._engine.rows(self.shape, problem)
        with self._engine.one_at_a_time:
            course = self._course(active, n_epochs)
        arguments = (self._state, self._settings, course, rows, n_epochs)
        state, trained = self._engine.train(self.shape, *arguments)
        found = Trained(*map(np.asarray, trained))
        self._state = state  # not before, since only now it is known that there was room for it
        with self._engine.one_at_a_time:
            self._record(active, n_epochs, found)
        return n_epochs

    def _record(self, active: Mapping[int, int], n_epochs: int, found: Trained) -> None:
        """Notes the epochs of lanes, of which some may be beyond a lane's end."""
        logs, place_of = self._lanes.logs, {n: place for place, n in enumerate(self.numbers)}
        by_fold: dict[int, dict[int, int]] = {}  # how many epochs each lane has run
        for number, wanted in active.items():
            log, finite = logs[number], found.finite[place_of[number]]
            n = min(n_epochs, wanted, log.epochs_left)
            ended = np.flatnonzero(~finite[:n])
            n = int(ended[0]) + 1 if len(ended) else n
            by_fold.setdefault(log.lane.fold, {})[number] = n
        for fold_number, epochs in by_fold.items():
            # All lanes of a fold at once, since a call for each takes longer than the arithmetic.
            places = [place_of[number] for number in epochs]
            ran = np.arange(n_epochs) < np.array(list(epochs.values()))[:, None]
            val_losses, scores = self._scored(fold_number, places, ran, found.validation)
            of_epochs = (found.losses[places], val_losses, scores, found.finite[places])
            for number, *of_lane in zip(
                epochs, *[part.tolist() for part in of_epochs], strict=True
            ):
                log = logs[number]
                for of_epoch in zip(*[part[: epochs[number]] for part in of_lane], strict=True):
                    if log.active:  # else it has stopped early
                        log.record(*of_epoch)

    def _scored(
        self, fold_number: int, places: Sequence[int], ran: NDArray[np.bool_], validation: Any
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Losses and scores of the lanes at some places of a fold, by epoch: (n_lanes, n_epochs).

        What a lane has not run means nothing.
        """
        engine = self._engine
        fold, n_epochs = engine.folds[fold_number], ran.shape[1]
        of_places = validation[places, :n_epochs]
        if engine.scores_inside:
            return losses_and_scores(engine.metric, fold, of_places)
        values = np.full((2, *ran.shape), np.nan)
        outputs = of_places[ran][:, : len(fold.y_val)]
        scored = score_epochs(engine.metric, fold, fold.y_val, outputs, self.shape.loss)
        values[:, ran] = np.array(scored).T[::-1]
        return values[0], values[1]

    def learned(self, numbers: Sequence[int]) -> list[tuple[KerasWeights, Snapshots | None]]:
        """What lanes have learned: their weights, and those at four moments if it is examined."""
        state = self._state
        examined = [number for number in numbers if number in self._initial]
        weights = self._to_keras(numbers, state.weights)
        before = self._to_keras(examined, state.early, state.previous)
        snapshots: dict[int, Snapshots] = {}
        of_lane = dict(zip(numbers, weights, strict=True))
        for number, (early, previous) in zip(examined, before, strict=True):
            (last,) = of_lane[number]
            snapshots[number] = Snapshots(self._initial[number], early, previous, last)
        return [(last, snapshots.get(number)) for number, (last,) in of_lane.items()]

    def _begin(self, number: int) -> Start:
        """What a lane begins with."""
        lane = self._lanes.logs[number].lane
        of_bins = self._engine.bin_weights(lane)
        weights, moving = _initial_weights(lane.spec, self.shape, lane.seed, of_bins)
        if lane.examined:
            views = _views(lane.spec, self.shape, weights, moving)
            self._initial[number] = [np.array(view) for view in views]
        second = np.float32(initial_second_moment(lane.spec.training))
        return Start(weights, moving, second, _settings(lane.spec, self.shape))

    def _to_keras(self, numbers: Sequence[int], *weights: Weights) -> list[list[KerasWeights]]:
        """The lanes' parts of some weights, each with its moving statistics."""
        places = [self.numbers.index(number) for number in numbers]
        found = []
        rows = self._rows_at((weights, self._state.moving), places)
        for number, own in zip(numbers, rows, strict=True):
            spec, (of_lane, moving) = self._lanes.logs[number].lane.spec, own
            views = [_views(spec, self.shape, one, moving) for one in of_lane]
            found.append([[np.array(view) for view in of_one] for of_one in views])
        return found

    def _rows_at(self, tree: Any, places: Sequence[int]) -> list[Any]:
        """The rows at some places of arrays; from a GPU no others are fetched, all in one go."""
        one = jax.tree.leaves(tree)[0]
        if isinstance(one, np.ndarray) or one.device.platform == "cpu":
            return [jax.tree.map(lambda array, at=at: np.asarray(array)[at], tree) for at in places]
        wanted = np.array(places, np.int32)
        # Always as many, so that there is one program.
        parts = np.split(wanted, range(FETCHED_AT_ONCE, len(wanted), FETCHED_AT_ONCE))
        name, there = f"take {len(tree[0])}", []
        for part in parts:
            at = np.resize(part, FETCHED_AT_ONCE)
            there.append(self._engine.call(name, _take, self.shape, tree, at))
        there = jax.device_get(there)
        return [
            jax.tree.map(lambda array, k=k: array[k], of_part)
            for part, of_part in zip(parts, there, strict=True)
            for k in range(len(part))
        ]

    def _course(self, active: Mapping[int, int], n_epochs: int) -> Course:
        """Rows, rates and seeds of the next epochs."""
        batch, n_lanes, capacity = self.shape.batch_size, len(self.numbers), self._capacity
        steps = -(-self._engine.n_rows // batch)
        order_seeds = np.zeros((n_lanes, capacity), np.uint32)
        rows = None
        if not self._engine.is_on_gpu:  # which sorts them itself, and faster
            rows = np.zeros((n_lanes, capacity, steps * batch), np.int32)
        row_weights = np.zeros((n_lanes, steps * batch), np.float32)
        share = np.zeros((n_lanes, capacity, steps), np.float32)
        rule = np.zeros((n_lanes, capacity, steps, N_COEFFICIENTS), np.float32)
        seeds = np.zeros((n_lanes, capacity), np.uint32)
        best_loss = np.zeros(n_lanes, np.float32)
        is_new = np.zeros(n_lanes, bool)
        epochs, folds, patience, stale_epochs = np.zeros((4, n_lanes), np.int32)
        rule_of = cache(coefficients)
        for place, number in enumerate(self.numbers):
            if number is None or number not in active:
                continue
            log = self._lanes.logs[number]
            lane, training = log.lane, log.lane.spec.training
            folds[place], is_new[place] = self._engine.place_of(lane), not log.epochs
            n_rows = len(self._engine.folds[lane.fold].y_train)
            own_steps = -(-n_rows // batch)
            sizes = np.full(own_steps, batch)
            sizes[-1] = n_rows - batch * (own_steps - 1)
            row_weights[place, :n_rows] = np.repeat(1.0 / sizes, sizes)
            epochs[place] = n = min(n_epochs, active[number], log.epochs_left)
            patience[place] = training.early_stopping
            best_loss[place], stale_epochs[place] = log.best_loss, log.stale_epochs
            of_steps = rule_of(training, own_steps, log.epochs, n)
            of_epochs = np.zeros((n * own_steps, N_COEFFICIENTS), np.float32)
            of_epochs[: len(of_steps)] = of_steps  # fewer than there are where the budget ends
            rule[place, :n, :own_steps] = of_epochs.reshape(n, own_steps, N_COEFFICIENTS)
            taken = np.arange(n * own_steps).reshape(n, own_steps) < len(of_steps)
            rows_of_epochs = (taken * sizes).sum(axis=1, keepdims=True)
            share[place, :n, :own_steps] = taken * sizes / np.maximum(rows_of_epochs, 1)
            for e in range(n):
                epoch = log.epochs + e
                if rows is None:
                    order_seeds[place, e] = batch_order_seed(lane.seed, epoch)
                else:
                    order = batch_order(lane.seed, epoch, n_rows)
                    rows[place, e, :n_rows] = order + self._engine.first_rows[folds[place]]
                seeds[place, e] = derive_seed("dropout", lane.seed, epoch)
        return Course(
            n_epochs=epochs,
            is_new=is_new,
            rows=None if rows is None else rows.reshape(n_lanes, capacity, steps, batch),
            order_seeds=order_seeds,
            row_weights=row_weights.reshape(n_lanes, steps, batch),
            share=share,
            coefficients=rule,
            seeds=seeds,
            fold=folds,
            patience=patience,
            best_loss=best_loss,
            stale_epochs=stale_epochs,
        )


def _stacked(trees: list[Any]) -> Any:
    """One tree of arrays with an axis of lanes in front."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _with_start(
    both: tuple[State, Settings], start: Start, write: Callable[[Any, Any], Any]
) -> tuple[State, Settings]:
    """State and settings with what lanes begin with, by a function that writes into an array."""
    state, settings = both

    def written(tree: Any, value: Any) -> Any:
        return jax.tree.map(write, tree, value)

    def filled(tree: Any, value: Any) -> Any:
        # Behind the axis of lanes, if there is one, each array has axes of its own.
        return jax.tree.map(
            lambda array, w: write(
                array, value.reshape(value.shape + (1,) * (w.ndim - value.ndim))
            ),
            tree,
            start.weights,
        )

    first, second = 0.0 * start.second, start.second
    state = State(
        weights=written(state.weights, start.weights),
        first=filled(state.first, first),
        second=filled(state.second, second),
        moving=written(state.moving, start.moving),
        early=written(state.early, start.weights),
        previous=written(state.previous, start.weights),
    )
    return state, written(settings, start.settings)


def _write(place: int, array: NDArray[Any], value: Any) -> NDArray[Any]:
    array[place] = value
    return array


@partial(jax.jit, donate_argnums=0)
def _put_at(both: Any, start: Start, places: Any) -> Any:
    return _with_start(both, start, lambda array, v: array.at[places].set(v, mode="drop"))


_take = jax.jit(lambda tree, places: jax.tree.map(lambda array: array[places], tree))


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


def _initial_weights(
    spec: TrialSpec, shape: Shape, seed: int, of_bins: Sequence[NDArray[np.float32]]
) -> tuple[Weights, tuple[NDArray[np.float32], ...]]:
    """Weights and moving statistics before the training."""
    zeros = [np.zeros(kernel, np.float32) for kernel in shape.kernels]
    weights = Weights(tuple(zeros), np.zeros(sum(shape.others), np.float32))
    depth = shape.depth if shape.normalization == "batch" else 0
    moving = tuple(np.zeros((2, shape.width), np.float32) for _ in range(depth))
    views = _views(spec, shape, weights, moving)
    for view, weight in zip(views, initial_weights(spec, seed, of_bins), strict=True):
        view[...] = weight
    return weights, moving


def _views(
    spec: TrialSpec, shape: Shape, weights: Weights, moving: Sequence[Any]
) -> list[NDArray[np.float32]]:
    """The parts of a lane's weights that are those of `build_model(spec)`, in its order."""
    first = shape.kernels[0][0]
    sizes = (first, *spec.in_words.units, spec.problem.n_outputs)
    others = np.split(weights.others, np.cumsum(shape.others)[:-1])
    views = []
    if shape.embedding is not None:
        embedding = shape.embedding.weight_shapes
        own = others[len(others) - len(embedding) :]
        views += [part.reshape(size) for part, size in zip(own, embedding, strict=True)]
    factors = iter(others[shape.first_factors :])
    for layer, (inputs, units) in enumerate(pairwise(sizes)):
        if shape.members > 1 and layer in (0, shape.depth):
            views.append(next(factors).reshape(shape.members, -1)[:, :inputs])
        views += [weights.kernels[layer][:inputs, :units], others[layer][:units]]
        if layer < shape.depth and shape.normalization != "none":
            scale_and_offset = others[shape.depth + 1 + 2 * layer :][:2]
            views += [vector[:units] for vector in scale_and_offset]
        if layer < shape.depth and shape.normalization == "batch":
            views += [moving[layer][0, :units], moving[layer][1, :units]]
    return views
