"""The networks that `nas screen` judges by: drawn, scored before training, and some trained.

Networks are trained in the order of their draw, so that which ones are does not depend on how long
they take. Where time is limited, the tenth with the most to compute is left out beforehand: it can
take as long as all others together. Only what is in training when the time is up is lost.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray

from nas.analysis.screening import MIN_SAMPLE, Trained, Untrained
from nas.encoding import FoldData
from nas.engines.lanes import lane_seed
from nas.errors import NasError
from nas.execution.pool import Pool, Report
from nas.seeds import derive_seed
from nas.space import RandomSuggester, SearchSpace
from nas.spec import Problem, TrialSpec
from nas.wording import counted

DRAWS_WITHOUT_A_NEW_NETWORK = 1000
BATCH_ROWS = 128  # by which networks are scored before training, at most
SHARE_IN_TIME = 0.9  # of the networks, by size, of which some are trained when time is limited
CHUNK = 100  # networks that are scored in one call
HEARTBEAT = 0.2  # seconds


@dataclass(frozen=True)
class SampleOptions:
    """How much to train, and where.

    Attributes:
        sample: Networks to train, the first of the draw; None for as many as the time allows, and
            at least `MIN_SAMPLE`, without the largest ones.
        deadline: When to stop, by `time.monotonic`; without `sample` only.
        seed: Seeds the draw and all that is random in a network.
        workers: Processes that train.
    """

    sample: int | None = None
    deadline: float = float("inf")
    seed: int = 0
    workers: int = 1


@dataclass
class Sampling:
    """What is known so far; grows while `run_sampling` runs.

    Attributes:
        networks: Those scored before training, in the order of the draw.
        trained: Those trained, in the order in which they ended.
        failures: Why some could not be trained.
        unfinished: Those that were still in training when the time was up.
    """

    networks: list[Untrained] = field(default_factory=list)
    trained: list[Trained] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    unfinished: list[TrialSpec] = field(default_factory=list)


def draw_networks(space: SearchSpace, problem: Problem, n: int, seed: int) -> list[TrialSpec]:
    """Draws different networks at random; fewer than `n` where the space holds no more.

    Raises:
        NasError: When there are too few to compare.
    """
    drawn: dict[TrialSpec, None] = {}
    draw = since_new = 0
    while len(drawn) < n and since_new < DRAWS_WITHOUT_A_NEW_NETWORK:
        spec = space.sample(RandomSuggester(derive_seed("screened network", seed, draw)), problem)
        since_new = since_new + 1 if spec in drawn else 0
        drawn[spec] = None
        draw += 1
    if len(drawn) < MIN_SAMPLE:
        raise NasError(
            space.name,
            f"the space holds {counted(len(drawn), 'network')}",
            f"at least {MIN_SAMPLE}, to compare scores by",
            "Give more parameters a range or choices.",
        )
    return list(drawn)


def run_sampling(
    pool: Pool, specs: Sequence[TrialSpec], folds: Sequence[FoldData], options: SampleOptions
) -> Iterator[Sampling]:
    """Scores all networks before training, and trains the first of them on all folds.

    With several processes one of them scores while the others train. The pool has the folds
    already, and stays open.

    Yields:
        The same object, again and again; the caller may stop iterating at any time.

    Raises:
        NasError: When too few networks could be trained.
    """
    state = Sampling()
    seeds = [derive_seed("screened trial", options.seed, index) for index in range(len(specs))]
    n_rows = max(len(fold.y_train) for fold in folds)
    first = folds[0]
    generator = np.random.default_rng(derive_seed("screened rows", options.seed))
    rows = generator.permutation(len(first.y_train))[:BATCH_ROWS]
    batch = replace(
        first,
        x_train=first.x_train[rows],
        y_train=first.y_train[rows],
        otherwise={name: (x[rows], x_val) for name, (x, x_val) in first.otherwise.items()},
    )
    calls = [
        (specs[k : k + CHUNK], seeds[k : k + CHUNK], batch, n_rows)
        for k in range(0, len(specs), CHUNK)
    ]
    if options.workers == 1:
        for call in calls:
            state.networks += pool.call(_score, *call)
            yield state
        yield from _Training(pool, specs, seeds, options, state).run(lambda: 1)
    else:
        training = _Training(pool, specs, seeds, options, state)
        with ThreadPoolExecutor(1) as thread:
            scoring = [thread.submit(pool.call, _score, *call) for call in calls]

            def free_processes() -> int:
                _collect(scoring, state, 0.0)
                return max(1, options.workers - bool(scoring))

            try:
                yield from training.run(free_processes)
                while scoring:
                    _collect(scoring, state, HEARTBEAT)
                    yield state
            finally:
                thread.shutdown(cancel_futures=True)
    if len(state.trained) < MIN_SAMPLE:
        reason = f": {state.failures[0]}" if state.failures else ""
        raise NasError(
            "--sample",
            f"{counted(len(state.trained), 'network')} could be trained{reason}",
            f"at least {MIN_SAMPLE}",
        )


# Before training


def _score(
    specs: Sequence[TrialSpec], seeds: Sequence[int], batch: FoldData, n_rows: int
) -> list[Untrained]:
    """Scores networks with the weights that their first fold starts with; where TensorFlow is."""
    from nas.engines.shapes import program_shape, unsupported
    from nas.models.propagation import untrained_scores

    untrained_scores(specs[0], seeds[0], batch)  # what happens once is no network's cost
    scored = []
    for spec, seed in zip(specs, seeds, strict=True):
        scores = untrained_scores(spec, lane_seed(seed, 0), batch)
        program = f"{spec}" if unsupported(spec) else f"{program_shape(spec, n_rows)}"
        scored.append(Untrained(spec, scores.values, scores.seconds, program))
    return scored


def _collect(scoring: list[Future[list[Untrained]]], state: Sampling, timeout: float) -> None:
    """Takes over what has been scored."""
    if scoring and wait(scoring[:1], timeout).done:
        state.networks += scoring.pop(0).result()


# Training


@dataclass
class _Job:
    """A network in training.

    Attributes:
        begun: When it was handed over, by `time.monotonic`.
        epochs: Processor seconds of each epoch so far.
        scores: Of each fold, after its last epoch.
        first_epoch: Score of its first fold after the first epoch.
    """

    begun: float
    epochs: list[float] = field(default_factory=list)
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    first_epoch: float = float("nan")


class _Training:
    """Trains networks to their end, one at a time in each process."""

    def __init__(
        self,
        pool: Pool,
        specs: Sequence[TrialSpec],
        seeds: Sequence[int],
        options: SampleOptions,
        state: Sampling,
    ) -> None:
        self._pool, self._options, self._state = pool, options, state
        left_out = _longest(specs) if options.sample is None else set()
        self._waiting = deque(
            (index, spec, seed)
            for index, (spec, seed) in enumerate(zip(specs, seeds, strict=True))
            if spec not in left_out
        )
        self._jobs: dict[int, _Job] = {}
        self._specs = specs
        self._durations: list[float] = []

    def run(self, free_processes: Callable[[], int]) -> Iterator[Sampling]:
        """Trains the sample; `free_processes` says how many may train at the moment."""
        while True:
            while len(self._jobs) < free_processes() and self._may_begin():
                index, spec, seed = self._waiting.popleft()
                self._jobs[index] = _Job(time.monotonic())
                self._pool.submit(index, spec, seed, epochs=1)  # which is timed by itself
            if not self._jobs or self._time_is_up():
                break
            report = self._pool.wait(HEARTBEAT)
            if report is not None:
                self._take(report)
            yield self._state
        self._state.unfinished = [self._specs[index] for index in self._jobs]
        yield self._state

    def _may_begin(self) -> bool:
        if not self._waiting:
            return False
        under_way = len(self._jobs) + len(self._state.trained)
        if self._options.sample is not None:
            return under_way < self._options.sample
        duration = mean(self._durations) if self._durations else 0.0
        in_time = time.monotonic() + duration < self._options.deadline
        return in_time or under_way < MIN_SAMPLE

    def _time_is_up(self) -> bool:
        enough = self._options.sample is None and len(self._state.trained) >= MIN_SAMPLE
        return enough and time.monotonic() >= self._options.deadline

    def _take(self, report: Report) -> None:
        job = self._jobs[report.job]
        if report.failure:
            del self._jobs[report.job]
            self._state.failures.append(report.failure)
            return
        if n := report.scores.shape[1]:
            if not job.epochs:
                job.first_epoch = float(report.scores[0, 0])
            job.epochs += [report.seconds / n] * n
            job.scores = report.scores[:, -1]
        if report.running:
            self._pool.answer(report.job, go_on=bool(np.isfinite(report.scores).all()))
            return
        del self._jobs[report.job]
        self._durations.append(time.monotonic() - job.begun)
        epoch_seconds = median(job.epochs[1:] or job.epochs)
        self._state.trained.append(
            Trained(
                index=report.job,
                value=float(job.scores.mean()),
                first_epoch=job.first_epoch,
                epochs=len(job.epochs),
                epoch_seconds=epoch_seconds,
                compile_seconds=max(0.0, job.epochs[0] - epoch_seconds),
            )
        )


def _longest(specs: Sequence[TrialSpec]) -> set[TrialSpec]:
    """The tenth of the networks with the most to compute, where it is not all alike."""
    work = {spec: spec.n_weights * spec.training.epochs for spec in specs}
    limit = float(np.quantile(list(work.values()), SHARE_IN_TIME))
    return {spec for spec, amount in work.items() if amount > limit}
