"""The compiled engine: lanes of one shape side by side in one program, several epochs at a time.

Lanes of a program share its shape and nothing else: each has its own fold, optimizer, activation,
rates and seed, and the place of a lane that has ended is given to the next one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain
from threading import Lock
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.engines.block import Block, KerasWeights
from nas.engines.examination import Snapshots
from nas.engines.lane_end import EndedLane, LookAtEnds, look_at_ends
from nas.engines.lane_log import LaneEnd, LoggedLanes
from nas.engines.lane_network import dropout_counters
from nas.engines.lanes import Engine, Lane
from nas.engines.program import Rows, compile_epochs
from nas.engines.program_file import program_path, read_program, write_program
from nas.engines.shapes import (
    BUDGETS,
    BUDGETS_OF_A_GPU,
    CALLS_OF_A_REPORT,
    MAX_LANES_OF_A_GPU,
    Shape,
    epochs_at_once,
    lanes_at_once,
    lanes_that_fit,
    places_of_a_gpu,
    program_shape,
)
from nas.engines.validation import encode_bounds, encode_targets, is_summed
from nas.layers import Embedding
from nas.metrics import Metric
from nas.models.initializers import bin_weights
from nas.models.steps import encode_labels
from nas.spec import Problem, TrialSpec

SPARE = 1.5  # times as many places as lanes, at the most
UNKNOWN_MEMORY = 1e8  # bytes of a device that does not tell
LOOK_AT_ONCE = 8  # lanes that have ended, of which a helper is told at once
OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"  # in the message of XLA's error


class CompiledEngine(Engine):
    """Trains any dense network that is not too deep; see `shapes.unsupported`.

    Args:
        folds: Encoded folds, all equally wide.
        metric: What they are scored by.
        memory: Bytes of a GPU that programs may use; they hold many lanes then. None is a
            processor, where a program holds no more lanes than a trial has and the caches fit.
        look_at_ends: Finds out what is wanted of lanes that have ended; elsewhere, maybe.
    """

    name = "compiled"

    def __init__(
        self,
        folds: Sequence[FoldData],
        metric: Metric,
        memory: float | None = None,
        look_at_ends: LookAtEnds = look_at_ends,
    ) -> None:
        super().__init__(folds, metric)
        self._memory, self.look_at_ends = memory, look_at_ends
        self._most_lanes = MAX_LANES_OF_A_GPU
        self.n_rows = max(len(fold.y_train) for fold in folds)  # of the longest fold
        # A fold with its numbers scaled in another way is one more fold to a program.
        self._scalings = ["data", *folds[0].otherwise]
        self._scaled = [fold.scaled(name) for name in self._scalings for fold in folds]
        lengths = [len(fold.y_train) for fold in self._scaled]
        self.first_rows = np.cumsum([0, *lengths[:-1]])  # where each one's training rows begin
        self._bounds = (self.first_rows.astype(np.int32), np.array(lengths, np.int32))
        # Put there once for the whole search, and shared by all lanes.
        self._x = jax.device_put(np.concatenate([fold.x_train for fold in self._scaled]))
        self._x_val = jax.device_put(_stack([fold.x_val for fold in self._scaled]))
        self.scores_inside = is_summed(metric, folds)
        n_val = np.array([len(fold.y_val) for fold in self._scaled], np.int32)
        self._scored = (n_val, np.stack([encode_bounds(fold) for fold in self._scaled]))
        self._weights = None
        if any(fold.weights is not None for fold in folds):
            weights = [_row_weights(fold) for fold in self._scaled]
            self._weights = jax.device_put(np.concatenate(weights))
        self._labels = cache(self._encode_labels)
        self._bins: dict[tuple[int, Embedding], KerasWeights] = {}  # by place
        self._counters = cache(lambda shape: jax.device_put(dropout_counters(shape)))
        self.sizes: dict[Shape, set[int]] = {}  # of its programs: how many lanes, by shape
        # On a GPU each block has a thread: while one trains, others are compiled or scored. What
        # Python does itself, it does for one at a time, else threads are in each other's way.
        self.is_on_gpu = memory is not None
        self.map: Callable[..., Iterable[Any]] = ThreadPoolExecutor().map if self.is_on_gpu else map
        self.one_at_a_time = Lock()
        self._programs: dict[tuple[str, Shape, int], _Program] = {}

    def start(self, lanes: Sequence[Lane]) -> "CompiledLanes":
        started = CompiledLanes(self)
        started.add(lanes)
        return started

    def epochs_at_once(self, spec: TrialSpec, n_lanes: int) -> int:
        shape = program_shape(spec, self.n_rows)
        of_a_call = self.capacity(shape, max(n_lanes, self.places(shape, n_lanes)))
        return of_a_call * (CALLS_OF_A_REPORT if self.is_on_gpu else 1)

    def places(self, shape: Shape, n_lanes: int) -> int:
        """Places for lanes in a program, when so many wait for one."""
        if self._memory is None:
            # One that is compiled already is worth more than lanes side by side, and more than
            # some places that stay free: to compile takes as long as many trainings.
            taken = {size: -(-n_lanes // size) * size for size in self.sizes.get(shape, ())}
            there = [size for size in taken if taken[size] <= SPARE * n_lanes]
            best = min(there, key=lambda size: (taken[size], -size), default=0)
            return best or lanes_at_once(shape, n_lanes)
        n_val = self._x_val.shape[1]
        most = min(self._most_lanes, lanes_that_fit(shape, self.n_rows, n_val, self._memory))
        there = [size for size in self.sizes.get(shape, ()) if size <= most]
        return max(there, default=places_of_a_gpu(n_lanes, most))

    def train(self, shape: Shape, *arguments: Any) -> Any:
        """What `compile_epochs` returns for these arguments."""
        metric = self.metric.name if self.scores_inside else ""
        return self.call(f"epochs {metric}", compile_epochs(shape, metric), shape, *arguments)

    def call(self, name: str, function: Any, shape: Shape, *arguments: Any) -> Any:
        """What a function of the lanes of a block returns.

        Its program comes from disk, else it is compiled and put there.

        Args:
            name: Of the function, which says for each shape what it does.
            function: What `jax.jit` returns.
            shape: Of the lanes.
            arguments: Arrays of which the first have an axis of lanes in front.
        """
        n_lanes = len(jax.tree.leaves(arguments)[0])
        with self.one_at_a_time:
            program = self._programs.setdefault((name, shape, n_lanes), _Program())
        with program.lock:
            if program.compiled is None:
                path = program_path(f"{name} {shape}", arguments)
                program.compiled = None if path is None else read_program(path)
            if program.compiled is None:
                with self.one_at_a_time:
                    lowered = function.lower(*arguments)
                program.compiled = lowered.compile()
                if path is not None:
                    write_program(path, program.compiled)
        return program.compiled(*arguments)

    def had_no_room_for(self, n_lanes: int) -> None:
        """Notes that so many lanes are too many for the memory."""
        self._most_lanes = max(1, n_lanes // 2)

    def capacity(self, shape: Shape, n_lanes: int) -> int:
        """Epochs that one call trains so many lanes for, at the most."""
        rows = (self.n_rows, self._x_val.shape[1])
        budgets = BUDGETS_OF_A_GPU if self.is_on_gpu else BUDGETS
        return epochs_at_once(shape, *rows, n_lanes, budgets, not self.scores_inside)

    def rows(self, shape: Shape, problem: Problem) -> Rows:
        """The rows of all folds, as a program takes them."""
        y, y_val = self._labels(problem)
        return Rows(
            self._x,
            y,
            self._weights,
            self._x_val,
            y_val,
            *self._scored,
            self._counters(shape),
            *self._bounds,
        )

    def _encode_labels(self, problem: Problem) -> Any:
        """Encoded targets of training and validation rows."""
        labels = [
            encode_labels(problem, fold.for_loss(fold.y_train), fold.target_mean, fold.target_scale)
            for fold in self._scaled
        ]
        of_validation = [encode_targets(problem, fold) for fold in self._scaled]
        return jax.device_put((np.concatenate(labels), _stack(of_validation)))

    def bin_weights(self, lane: Lane) -> KerasWeights:
        """See `nas.models.initializers.bin_weights`; computed once for each fold."""
        embedding = lane.spec.embedding
        if embedding is None:
            return []
        key = (self.place_of(lane), embedding)
        if key not in self._bins:
            self._bins[key] = bin_weights(lane.spec, self._scaled[key[0]].x_train)
        return self._bins[key]

    def place_of(self, lane: Lane) -> int:
        """The number of a lane's fold among those that programs have."""
        scaling = lane.spec.architecture.scaling
        is_own = scaling == self.folds[0].scaling
        variant = 0 if is_own else self._scalings.index(scaling)
        return variant * len(self.folds) + lane.fold


@dataclass
class _Program:
    """A program, made by the first thread that needs it."""

    lock: Any = field(default_factory=Lock)
    compiled: Any = None


def memory_of_device() -> float:
    """Bytes that programs may use on the GPU that this process has."""
    (device,) = jax.local_devices()[:1]
    return float((device.memory_stats() or {}).get("bytes_limit", UNKNOWN_MEMORY))


class CompiledLanes(LoggedLanes):
    """See `Lanes`."""

    def __init__(self, engine: CompiledEngine) -> None:
        super().__init__(engine.folds)
        self._engine = engine
        self._blocks: list[Block] = []
        self._blocks_of: dict[int, Block] = {}
        # Of lanes whose place another one has taken.
        self._kept: dict[int, tuple[KerasWeights, Snapshots | None]] = {}

    def weights(self, number: int) -> KerasWeights:
        if number in self._kept:
            return self._kept[number][0]
        ((weights, _),) = self._blocks_of[number].learned([number])
        return weights

    def _prepare(self, numbers: Sequence[int]) -> None:
        by_shape: dict[Shape, list[int]] = {}
        for number in numbers:
            shape = program_shape(self.logs[number].lane.spec, self._engine.n_rows)
            by_shape.setdefault(shape, []).append(number)
        for shape, alike in by_shape.items():
            with self._timed(alike):
                self._place(shape, alike)

    def _place(self, shape: Shape, numbers: Sequence[int]) -> None:
        """Gives lanes of a shape free places, those of lanes that have ended, or new blocks."""
        waiting = list(numbers)
        for block in self._blocks:
            if block.shape == shape and waiting:
                free = [k for k, n in enumerate(block.numbers) if n is None or self._has_ended(n)]
                taken = dict(zip(free, waiting, strict=False))
                waiting = waiting[len(taken) :]
                for place in taken:
                    self._vacate(block, place)
                if taken:
                    block.put(taken)
                self._blocks_of |= dict.fromkeys(taken.values(), block)
        if not waiting:
            return
        size = self._engine.places(shape, len(waiting))
        self._engine.sizes.setdefault(shape, set()).add(size)
        while waiting:
            block = Block(self, self._engine, shape, waiting[:size], size)
            self._blocks.append(block)
            self._blocks_of |= dict.fromkeys(waiting[:size], block)
            waiting = waiting[size:]

    def _has_ended(self, number: int) -> bool:
        return not self.logs[number].active

    def _vacate(self, block: Block, place: int) -> None:
        """Keeps what a lane has learned that loses its place."""
        old = block.numbers[place]
        if old is not None:
            (self._kept[old],) = block.learned([old])
            block.clear(old)
            del self._blocks_of[old]

    def _forget(self, number: int) -> None:
        self._kept.pop(number, None)
        block = self._blocks_of.pop(number, None)
        if block is not None:
            block.clear(number)
            if block.is_empty:
                self._blocks.remove(block)

    def _train(self, epochs: Mapping[int, int]) -> None:
        left = dict(epochs)
        while calls := self._calls(left):
            with self._timed([number for _, active in calls for number in active]):
                trained = list(self._engine.map(_train_block, calls))
            for (block, active), n_epochs in zip(calls, trained, strict=True):
                if n_epochs is None:
                    self._divide(block)
                    continue
                for number in active:
                    left[number] -= min(n_epochs, left[number])

    def _calls(self, left: Mapping[int, int]) -> list[tuple[Block, dict[int, int]]]:
        """The blocks that have lanes to train, and these with the epochs that they have left."""
        calls = []
        for block in self._blocks:
            active = {
                n: left[n]
                for n in block.numbers
                if n is not None and left.get(n, 0) and self.logs[n].active
            }
            if active:
                calls.append((block, active))
        return calls

    def _divide(self, block: Block) -> None:
        """Makes two blocks of one for which the memory does not suffice."""
        self._engine.had_no_room_for(len(block.numbers))
        halves = [half for half in block.halves() if not half.is_empty]
        place = self._blocks.index(block)
        self._blocks[place : place + 1] = halves
        for half in halves:
            self._blocks_of |= {n: half for n in half.numbers if n is not None}

    def _ended(self, numbers: Sequence[int]) -> list[LaneEnd]:
        engine, ended = self._engine, dict[int, EndedLane]()
        by_block: dict[Block, list[int]] = {}
        for number in numbers:
            if number in self._kept:
                ended[number] = self._ended_lane(number, *self._kept[number])
            else:
                by_block.setdefault(self._blocks_of[number], []).append(number)
        of_blocks = engine.map(lambda block: block.learned(by_block[block]), by_block)
        for own, learned in zip(by_block.values(), of_blocks, strict=True):
            for number, of_lane in zip(own, learned, strict=True):
                ended[number] = self._ended_lane(number, *of_lane)
        lanes = [ended[number] for number in numbers]
        look = partial(engine.look_at_ends, engine.folds, engine.metric)
        parts = [lanes[k : k + LOOK_AT_ONCE] for k in range(0, len(lanes), LOOK_AT_ONCE)]
        return list(chain.from_iterable(engine.map(look, parts)))

    def _ended_lane(
        self, number: int, weights: KerasWeights, snapshots: Snapshots | None
    ) -> EndedLane:
        log = self.logs[number]
        return EndedLane(log.lane.spec, log.lane.fold, log.epochs, weights, snapshots)


def _train_block(call: tuple[Block, dict[int, int]]) -> int | None:
    """For how many epochs some of its lanes have trained; None where the memory did not suffice."""
    block, active = call
    try:
        return block.train(active)
    except jax.errors.JaxRuntimeError as error:
        if OUT_OF_MEMORY not in str(error) or len(block.numbers) == 1:
            raise
        return None


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
