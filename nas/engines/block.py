"""Lanes of one shape that train in one program, each at a place of its own."""

import copy
from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy.typing import NDArray

from nas.engines.examination import Snapshots
from nas.engines.lane_log import score_epochs
from nas.engines.lane_network import Settings, Weights
from nas.engines.lanes import batch_order
from nas.engines.program import Course, State, compile_epochs
from nas.engines.shapes import Shape
from nas.engines.update_rule import N_COEFFICIENTS, coefficients, initial_second_moment
from nas.models.activations import ACTIVATIONS, Activation
from nas.models.initializers import initial_weights
from nas.seeds import derive_seed
from nas.spec import TrialSpec

if TYPE_CHECKING:
    from nas.engines.compiled_engine import CompiledEngine, CompiledLanes

KerasWeights = list[NDArray[np.float32]]


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
        self._pending: tuple[State, Any] | None = None
        states = [self._begin(number) for number in numbers]
        specs = [lanes.logs[number].lane.spec for number in numbers]
        self._state: State = _stacked(states, n_places)
        self._settings: Settings = _stacked([_settings(spec, shape) for spec in specs], n_places)

    @property
    def is_empty(self) -> bool:
        """Whether all its places are free."""
        return all(number is None for number in self.numbers)

    def put(self, place: int, number: int) -> None:
        """Puts a lane at a free place."""
        settings = _settings(self._lanes.logs[number].lane.spec, self.shape)
        lane = self._begin(number)
        self.numbers[place] = number
        self._state, self._settings = _put((self._state, self._settings), (lane, settings), place)

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

    def launch(self, active: Mapping[int, int]) -> int:
        """Begins to train some of its lanes, each for at most so many epochs; the others rest.

        Returns:
            For how many; `collect` waits for them.
        """
        logs = self._lanes.logs
        wanted = max(min(n, logs[number].epochs_left) for number, n in active.items())
        n_epochs = min(wanted, self._capacity)
        problem = logs[next(iter(active))].lane.spec.problem
        program = compile_epochs(self.shape)
        rows, course = self._engine.rows(self.shape, problem), self._course(active, n_epochs)
        self._pending = program(self._state, self._settings, course, rows, n_epochs)
        return n_epochs

    def collect(self, active: Mapping[int, int], n_epochs: int) -> None:
        """Notes the epochs that `launch` began."""
        assert self._pending is not None
        (state, trained), self._pending = self._pending, None
        losses, finite, outputs = map(np.asarray, trained)
        self._state = state
        for number, n in active.items():
            place = self.numbers.index(number)
            n = min(n, n_epochs)
            self._record(number, losses[place], finite[place], outputs[place], n)

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
        return self._to_keras(number, self._state.weights)

    def snapshots(self, number: int) -> Snapshots | None:
        """A lane's weights at four moments; None where it is not to be examined."""
        if number not in self._initial:
            return None
        state = self._state
        later = [self._to_keras(number, w) for w in (state.early, state.previous, state.weights)]
        return Snapshots(self._initial[number], *later)

    def _begin(self, number: int) -> State:
        """The state of a lane before its training."""
        lane = self._lanes.logs[number].lane
        of_bins = self._engine.bin_weights(lane)
        state = _initial_state(lane.spec, self.shape, lane.seed, of_bins)
        if lane.examined:
            views = _views(lane.spec, self.shape, state.weights, state.moving)
            self._initial[number] = [np.array(view) for view in views]
        return state

    def _to_keras(self, number: int, weights: Weights) -> KerasWeights:
        """A lane's part of some weights, with its moving statistics."""
        place = self.numbers.index(number)
        own: tuple[Weights, Any] = jax.tree.map(
            lambda values: _row(values, place), (weights, self._state.moving)
        )
        spec = self._lanes.logs[number].lane.spec
        return [np.array(view) for view in _views(spec, self.shape, *own)]

    def _course(self, active: Mapping[int, int], n_epochs: int) -> Course:
        """Rows, rates and seeds of the next epochs."""
        batch, n_lanes, capacity = self.shape.batch_size, len(self.numbers), self._capacity
        steps = -(-self._engine.n_rows // batch)
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
            epochs[place] = min(n_epochs, active[number], log.epochs_left)
            patience[place] = training.early_stopping
            best_loss[place], stale_epochs[place] = log.best_loss, log.stale_epochs
            for e in range(epochs[place]):
                epoch = log.epochs + e
                order = batch_order(lane.seed, epoch, n_rows)
                rows[place, e, :n_rows] = order + self._engine.first_rows[folds[place]]
                of_steps = rule_of(training, own_steps, epoch)
                taken = len(of_steps)  # less than there are where the budget of steps ends
                share[place, e, :taken] = sizes[:taken] / sizes[:taken].sum()
                rule[place, e, :taken] = of_steps
                seeds[place, e] = derive_seed("dropout", lane.seed, epoch)
        return Course(
            n_epochs=epochs,
            is_new=is_new,
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


def _stacked(trees: list[Any], n_places: int) -> Any:
    """One tree of arrays with an axis of places in front, the free ones with zeros."""
    free = [jax.tree.map(np.zeros_like, trees[0])] * (n_places - len(trees))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees, *free)


@partial(jax.jit, donate_argnums=0)
def _put(tree: Any, lane: Any, place: Any) -> Any:
    """Writes a lane's values into a tree of arrays with an axis of places."""
    return jax.tree.map(lambda array, value: array.at[place].set(value), tree, lane)


def _row(values: Any, place: int) -> NDArray[Any]:
    """One row of an array that may lie on a GPU, from where only that row is fetched."""
    is_here = isinstance(values, np.ndarray) or values.device.platform == "cpu"
    return np.asarray(values)[place] if is_here else np.asarray(values[place])


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


def _initial_state(
    spec: TrialSpec, shape: Shape, seed: int, of_bins: Sequence[NDArray[np.float32]]
) -> State:
    zeros = [np.zeros(kernel, np.float32) for kernel in shape.kernels]
    weights = Weights(tuple(zeros), np.zeros(sum(shape.others), np.float32))
    depth = shape.depth if shape.normalization == "batch" else 0
    moving = tuple(np.zeros((2, shape.width), np.float32) for _ in range(depth))
    views = _views(spec, shape, weights, moving)
    for view, weight in zip(views, initial_weights(spec, seed, of_bins), strict=True):
        view[...] = weight
    second = np.float32(initial_second_moment(spec.training))
    return State(
        weights=weights,
        first=jax.tree.map(np.zeros_like, weights),
        second=jax.tree.map(lambda w: np.full_like(w, second), weights),
        moving=moving,
        early=weights,
        previous=weights,
    )


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
