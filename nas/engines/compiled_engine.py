"""The compiled engine: all folds of a trial in one program that runs a whole epoch at a time.

A trial's lanes share everything but their rows, weights and seeds, so its optimizer, activation
and rates are plain arguments of the program, and a program serves every trial of its `Shape`.
Decision 9 says why a program holds the folds of one trial, and not many trials.
"""

import math
import time
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nas.architectures import CustomArchitecture
from nas.encoding import FoldData
from nas.engines.base import Engine, batch_order, lane_seed
from nas.engines.examination import Snapshots, examine
from nas.engines.program import (
    ACTIVATIONS,
    Epoch,
    Settings,
    Shape,
    State,
    Weights,
    compile_epoch,
    dropout_counters,
    predict,
)
from nas.engines.trial_log import TrialLog, TrialsInTurn, score_outputs
from nas.engines.update_rule import RESTING, coefficients, initial_second_moment
from nas.metrics import Metric
from nas.models.initializers import initial_weights
from nas.models.steps import encode_labels
from nas.seeds import derive_seed
from nas.spec import TrialResult, TrialSpec

MAX_DEPTH = 16  # hidden layers; a program's compilation takes longer with each
MAX_WIDTH = 4096
MAX_LANES = 8  # of one program
STATE_BUDGET = 8e6  # bytes of weights and moments of one program, to stay in the caches
PREDICT_ROWS = 8192  # rows that are predicted at once, over all lanes


def unsupported(spec: TrialSpec) -> str:
    """Why the compiled engine does not train a network, in a few words; empty if it does."""
    if isinstance(spec.architecture, CustomArchitecture):
        return "built by a function"
    units = spec.in_words.units
    if spec.in_words.convolutions:
        return "it has convolutions"
    if spec.training.augments:
        return "its images are changed at random"
    if len(units) > MAX_DEPTH:
        return f"{len(units)} hidden layers take too long to compile"
    if units and max(units) > MAX_WIDTH:
        return f"{max(units)} units gain nothing"
    return ""


def width_class(units: int) -> int:
    """The width of the program for a layer: 32, or the next multiple of 64."""
    return 32 if units <= 32 else 64 * math.ceil(units / 64)


def program_shape(spec: TrialSpec, n_folds: int, n_rows: int) -> Shape:
    """The shape of the program that trains a trial on folds of up to `n_rows` training rows."""
    units = spec.in_words.units
    shape = Shape(
        loss=spec.loss,
        n_inputs=spec.problem.n_inputs,
        n_outputs=spec.problem.n_outputs,
        depth=len(units),
        width=width_class(max(units)) if units else 0,
        batch_size=spec.training.rows_per_step(n_rows),
        normalization=spec.in_words.normalization if units else "none",
        softplus=bool(units) and spec.in_words.activation == "softplus",
        has_l1=spec.training.l1 > 0.0,
        clips=spec.training.clip_norm > 0.0,
        lanes=1,
    )
    fitting = STATE_BUDGET / (12 * shape.n_kernel_weights)  # weights and two moments, 4 bytes each
    lanes = max(n for n in range(1, MAX_LANES + 1) if n_folds % n == 0 and n <= max(1.0, fitting))
    return Shape(**{**vars(shape), "lanes": lanes})


class CompiledEngine(Engine):
    """Trains trials of any dense network that is not too deep; see `unsupported`."""

    name = "compiled"

    def __init__(self, folds: Sequence[FoldData], metric: Metric) -> None:
        super().__init__(folds, metric)
        # Converted once for the whole search; folds are filled up to the length of the longest.
        self.x_train = tf.constant(_stack([fold.x_train for fold in folds]))
        self.x_val = tf.constant(_stack([fold.x_val for fold in folds]))
        self.shapes: set[Shape] = set()

    def start(self, specs: Sequence[TrialSpec], seeds: Sequence[int]) -> TrialsInTurn:
        trials = [_Trial(self, spec, seed) for spec, seed in zip(specs, seeds, strict=True)]
        return TrialsInTurn(trials)


class _Trial:
    """The lanes of one trial, in groups that share a run of the program."""

    def __init__(self, engine: CompiledEngine, spec: TrialSpec, seed: int) -> None:
        started = time.perf_counter()
        self._engine, self._spec = engine, spec
        n_folds = len(engine.folds)
        self.shape = program_shape(spec, n_folds, int(engine.x_train.shape[1]))
        engine.shapes.add(self.shape)
        self._seeds = [lane_seed(seed, fold) for fold in range(n_folds)]
        lanes = self.shape.lanes
        self._groups = [range(first, first + lanes) for first in range(0, n_folds, lanes)]
        self._settings = _settings(spec, self.shape)
        targets = [
            encode_labels(spec.problem, f.y_train, f.target_mean, f.target_scale)
            for f in engine.folds
        ]
        self._y = tf.constant(_smooth(_stack(targets), spec))
        self._states = [
            _initial_state(spec, self.shape, [self._seeds[fold] for fold in group])
            for group in self._groups
        ]
        # The first fold's states by which the trial is examined; tensors do not change.
        self._initial = self._first = self._previous = self._states[0]
        self.log = TrialLog(spec.training, engine.folds)
        self.log.seconds = time.perf_counter() - started

    def run_epoch(self) -> None:
        started = time.perf_counter()
        program = compile_epoch(self.shape)
        for number, group in enumerate(self._groups):
            active = [fold for fold in group if self.log.active[fold]]
            if not active:
                continue
            before = self._states[number]
            self._states[number], losses = program(
                before, self._epoch(group), self._settings, _counters(self.shape)
            )
            if 0 in active:
                self._previous = before
                if not self.log.epochs[0]:
                    self._first = self._states[0]
            scores = self._scores(number, "val", active)
            by_lane = losses.numpy()
            for fold in active:
                score, val_loss = scores[fold]
                self.log.record(fold, float(by_lane[fold - group[0]]), val_loss, score)
        self.log.seconds += time.perf_counter() - started

    def result(self) -> TrialResult:
        started = time.perf_counter()
        scores: dict[int, tuple[float, float]] = {}
        for number, group in enumerate(self._groups):
            scores |= self._scores(number, "train", group)
        moments = (self._initial, self._first, self._previous, self._states[0])
        examination = examine(
            self._spec,
            self._engine.folds[0],
            self.log.epochs[0],
            Snapshots(*[self._weights(state, 0) for state in moments]),
        )
        self.log.seconds += time.perf_counter() - started
        return self.log.result([scores[fold][0] for fold in sorted(scores)], examination)

    def weights(self, fold: int) -> list[NDArray[np.float32]]:
        number, lane = divmod(fold, self.shape.lanes)
        return self._weights(self._states[number], lane)

    def _weights(self, state: State, lane: int) -> list[NDArray[np.float32]]:
        kernels, others = (np.asarray(part[lane]) for part in state.weights)
        moving = np.asarray(state.moving)[:, :, lane] if state.moving.shape[0] else None
        return _to_keras(self._spec, self.shape, kernels, others, moving)

    def _epoch(self, group: range) -> Epoch:
        """Rows, rates and seeds of the group's next epoch."""
        training, shape = self._spec.training, self.shape
        batch, lanes = shape.batch_size, len(group)
        steps = -(-int(self._engine.x_train.shape[1]) // batch)
        rows = np.zeros((lanes, steps * batch), np.int32)
        row_weights = np.zeros((lanes, steps * batch), np.float32)
        share = np.zeros((steps, lanes), np.float32)
        rule = np.tile(RESTING, (steps, lanes, 1))
        seeds = np.zeros(lanes, np.uint32)
        rule_of = cache(lambda own_steps, epoch: coefficients(training, own_steps, epoch))
        for lane, fold in enumerate(group):
            if not self.log.active[fold]:
                continue
            epoch, n_rows = self.log.epochs[fold], len(self._engine.folds[fold].y_train)
            own_steps = -(-n_rows // batch)
            rows[lane, :n_rows] = batch_order(self._seeds[fold], epoch, n_rows)
            sizes = np.full(own_steps, batch)
            sizes[-1] = n_rows - batch * (own_steps - 1)
            row_weights[lane, :n_rows] = np.repeat(1.0 / sizes, sizes)
            of_steps = rule_of(own_steps, epoch)
            taken = len(of_steps)  # less than there are where the budget of steps ends
            share[:taken, lane] = sizes[:taken] / sizes[:taken].sum()
            rule[:taken, lane] = of_steps
            seeds[lane] = derive_seed("dropout", self._seeds[fold], epoch)
        return Epoch(
            x=_lanes(self._engine.x_train, group),
            y=_lanes(self._y, group),
            rows=tf.constant(rows.reshape(lanes, steps, batch).swapaxes(0, 1)),
            row_weights=tf.constant(row_weights.reshape(lanes, steps, batch).swapaxes(0, 1)),
            share=tf.constant(share),
            coefficients=tf.constant(rule),
            seeds=tf.constant(seeds),
        )

    def _scores(
        self, number: int, part: str, folds: Sequence[int]
    ) -> dict[int, tuple[float, float]]:
        """Score and loss on the validation or training rows, of some folds of a group."""
        engine, group, state = self._engine, self._groups[number], self._states[number]
        x = _lanes(engine.x_val if part == "val" else engine.x_train, group)
        network = self._spec.in_words
        chunk = PREDICT_ROWS // len(group)
        chunks = [x] if 0 < x.shape[1] <= chunk else []
        chunks = chunks or [x[:, k : k + chunk] for k in range(0, x.shape[1], chunk)]
        parts = [
            predict(self.shape, self._settings, network, state.weights, state.moving, rows)
            for rows in chunks
        ]
        outputs: Any = np.concatenate(parts, axis=1) if parts else np.zeros((len(group), 0, 1))
        scores = {}
        for fold in folds:
            data = engine.folds[fold]
            y = data.y_val if part == "val" else data.y_train
            own = outputs[fold - group[0], : len(y)]
            scores[fold] = score_outputs(engine.metric, data, y, own, self._spec.loss)
        return scores


def _stack(arrays: list[NDArray[Any]]) -> NDArray[np.float32]:
    """One array, the shorter ones filled up with zeros."""
    longest = max(map(len, arrays))
    stacked = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), np.float32)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked


def _lanes(tensor: Any, group: range) -> Any:
    return tensor if len(group) == tensor.shape[0] else tensor[group[0] : group[-1] + 1]


_counters = cache(dropout_counters)


def _settings(spec: TrialSpec, shape: Shape) -> Settings:
    architecture, training = spec.in_words, spec.training
    units = np.zeros((shape.depth, shape.width), np.float32)
    for layer, n in enumerate(architecture.units):
        units[layer, :n] = 1.0
    values = Settings(
        units=units,
        activation=np.array(ACTIVATIONS[architecture.activation], np.float32),
        dropout=np.float32(architecture.dropout),
        residual=np.float32(architecture.residual),
        l1=np.float32(training.l1),
        l2=np.float32(training.l2),
        clip_norm=np.float32(training.clip_norm),
        momentum=np.float32(architecture.normalization_momentum),
    )
    return Settings(*map(tf.constant, values))


def _smooth(y: NDArray[np.float32], spec: TrialSpec) -> NDArray[np.float32]:
    """Label smoothing as Keras's losses do it."""
    share = spec.training.label_smoothing
    if spec.problem.task == "regression" or not share:
        return y
    classes = 2 if spec.loss == "logistic" else max(2, spec.problem.n_outputs)
    return np.asarray(y * np.float32(1.0 - share) + np.float32(share / classes))


# Keras's list of weights to vectors, and back


def _initial_state(spec: TrialSpec, shape: Shape, seeds: Sequence[int]) -> State:
    kernels = np.zeros((len(seeds), shape.n_kernel_weights), np.float32)
    others = np.zeros((len(seeds), sum(shape.others)), np.float32)
    depth = shape.depth if shape.normalization == "batch" else 0
    moving = np.zeros((depth, 2, len(seeds), shape.width), np.float32)
    for lane, seed in enumerate(seeds):
        views = _views(spec, shape, kernels[lane], others[lane], moving[:, :, lane])
        for view, weight in zip(views, initial_weights(spec, seed), strict=True):
            view[...] = weight
    second = initial_second_moment(spec.training)
    return State(
        weights=Weights(tf.constant(kernels), tf.constant(others)),
        first=Weights(tf.zeros(kernels.shape), tf.zeros(others.shape)),
        second=Weights(tf.fill(kernels.shape, second), tf.fill(others.shape, second)),
        moving=tf.constant(moving),
    )


def _to_keras(
    spec: TrialSpec, shape: Shape, kernels: Any, others: Any, moving: Any
) -> list[NDArray[np.float32]]:
    return [np.array(view) for view in _views(spec, shape, kernels, others, moving)]


def _views(
    spec: TrialSpec, shape: Shape, kernels: Any, others: Any, moving: Any
) -> list[NDArray[np.float32]]:
    """The parts of one lane's vectors that are the weights of `build_model(spec)`, in its order."""
    ends = np.cumsum([math.prod(kernel) for kernel in shape.kernels])[:-1]
    blocks = [
        block.reshape(kernel)
        for block, kernel in zip(np.split(kernels, ends), shape.kernels, strict=True)
    ]
    vectors = np.split(others, np.cumsum(shape.others)[:-1])
    sizes = (spec.problem.n_inputs, *spec.in_words.units, spec.problem.n_outputs)
    views = []
    for layer, (inputs, units) in enumerate(pairwise(sizes)):
        views += [blocks[layer][:inputs, :units], vectors[layer][:units]]
        if layer < shape.depth and shape.normalization != "none":
            scale_and_offset = vectors[shape.depth + 1 + 2 * layer :][:2]
            views += [vector[:units] for vector in scale_and_offset]
        if layer < shape.depth and shape.normalization == "batch":
            views += [moving[layer, 0, :units], moving[layer, 1, :units]]
    return views
