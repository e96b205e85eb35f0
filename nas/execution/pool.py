"""Where trials are trained while the search goes on: in this process, or in several others.

The search submits jobs, waits for a report, and answers it: go on, or end. A pool knows nothing of
Optuna, and a job nothing of the others.
"""

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas.engines.lanes import Engine, Lane, LaneResult, Lanes, trial_lanes, trial_result
from nas.engines.startup import start_tensorflow
from nas.errors import NasError, first_line
from nas.spec import TrialResult, TrialSpec


@dataclass(frozen=True)
class Report:
    """What is known of a job after some epochs, or at its end.

    Attributes:
        job: The number that it was submitted under.
        engine: Name of the engine that trains it; empty when none could be chosen.
        engine_reason: Why that engine.
        scores: Validation score of each fold after each of these epochs, (n_folds, n_epochs).
        seconds: Processor seconds that they took, with all that came before the first.
        running: Whether it waits for an answer, and would train on.
        result: Everything, once it has ended; None while it runs and when it failed.
        failure: Why it failed, in a line; empty otherwise.
        weights: Those of each fold's network at its end, as `Lanes.weights` has them; only from a
            pool that is to keep them.
    """

    job: int
    engine: str = ""
    engine_reason: str = ""
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    seconds: float = 0.0
    running: bool = False
    result: TrialResult | None = None
    failure: str = ""
    weights: tuple[list[NDArray[np.float32]], ...] = ()


class Pool(ABC):
    """Trains jobs.

    Attributes:
        slots: Jobs that should be in the pool at once to keep it busy.
        workers: Processes that train.
        rows_folder: Where large rows are to lie, for all its processes; None where it has none.
    """

    slots: int
    workers: int = 1
    rows_folder: Path | None = None

    @abstractmethod
    def submit(
        self,
        job: int,
        spec: TrialSpec,
        seed: int,
        epochs: int | None = None,
        folds: Sequence[int] | None = None,
    ) -> None:
        """Hands over a trial; a first report follows.

        Args:
            job: A number that no job in the pool has.
            spec: The network and its training.
            seed: Seeds it; the same one gives the same scores.
            epochs: After how many epochs it reports at the latest; None leaves that to the engine.
            folds: Those that it is trained on; None is all of them.
        """

    @abstractmethod
    def wait(self, timeout: float) -> Report | None:
        """The next report; None when there is none within so many seconds."""

    @abstractmethod
    def answer(self, job: int, go_on: bool, epochs: int | None = None) -> None:
        """Answers a report of a job that is running; one with its result follows if it ends.

        Args:
            job: The job.
            go_on: Whether it trains on.
            epochs: After how many more it reports at the latest, as for `submit`.
        """

    @abstractmethod
    def cancel(self, job: int) -> None:
        """Drops a job: nothing more is reported of it, and it trains no other epoch.

        Nothing happens where no job has that number.
        """

    def end_training(self) -> None:  # noqa: B027
        """Lets go of what trains, when no other job will come; `call` still works."""

    def prepare_call(self) -> None:  # noqa: B027
        """Gets ready for a `call` that is to come soon; returns at once."""

    @abstractmethod
    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns where TensorFlow is at hand; what it raises is raised."""

    @abstractmethod
    def close(self) -> None:
        """Ends everything; jobs that still run are lost."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def drive(
    pool: Pool,
    jobs: Iterable[tuple[int, TrialSpec, int]],
    verdict: Callable[[Report], bool] = lambda report: True,
    heartbeat: float = 0.2,
) -> Iterator[Report | None]:
    """Trains jobs, as many at once as the pool has slots, until all have ended.

    Args:
        pool: Trains them.
        jobs: Number, network and seed of each; taken when there is room.
        verdict: Whether the job of a report goes on.
        heartbeat: Seconds without a report after which None is yielded.

    Yields:
        Each report, or None.
    """
    waiting, running = iter(jobs), set[int]()
    while True:
        for job in islice(waiting, pool.slots - len(running)):
            pool.submit(*job)
            running.add(job[0])
        if not running:
            return
        report = pool.wait(heartbeat)
        if report is not None:
            if report.running:
                pool.answer(report.job, verdict(report))
            else:
                running.discard(report.job)
        yield report


# From a network to the engine that trains it, and why that one.
Choose = Callable[[TrialSpec], tuple[Engine, str]]


class Task:
    """One job in training: the engine's side of the conversation.

    Args:
        choose: Chooses the engine.
        job: Its number.
        spec: What to train.
        seed: Seeds it; the same one gives the same scores.
        done: Epochs that a worker which has ended had reported. They are trained once more, and
            not reported again.
        replicates: How often each fold is trained, each time with other seeds.
        folds: Those that it is trained on; None is all of them.
        shared: The list of lanes that all jobs of an engine are in; None where each has its own.
        keeps_weights: Whether its last report has the weights.
    """

    def __init__(
        self,
        choose: Choose,
        job: int,
        spec: TrialSpec,
        seed: int,
        done: int = 0,
        replicates: int = 1,
        folds: Sequence[int] | None = None,
        shared: Callable[[Engine], Lanes | None] = lambda engine: None,
        keeps_weights: bool = False,
    ) -> None:
        self._choose, self._job, self._spec, self._seed = choose, job, spec, seed
        self._done, self._replicates, self._share = done, replicates, shared
        self._folds, self._keeps_weights = folds, keeps_weights
        self._lanes: Lanes | None = None
        self._numbers: list[int] = []
        self._is_shared = False
        self._engine: dict[str, Any] = {}
        self._at_once = 1
        self._before = 0  # epochs that it had run before `plan`
        self._began = 0.0

    def advance(self, epochs: int | None = None) -> Report:
        """Trains epochs, at most so many; makes the network before the first one."""
        return self._guarded(lambda: self._advance(epochs))

    def end(self, results: Sequence[LaneResult] | None = None) -> Report:
        """The report of a job that does not go on.

        Args:
            results: Those of its lanes, if they are known.
        """
        return self._guarded(lambda: self._end(results))

    def plan(self, epochs: int | None = None) -> tuple[Lanes, dict[int, int]]:
        """The lanes that are to train next, and for how many epochs each."""
        self._began = time.process_time()
        lanes = self._started()
        if self._done:
            lanes.advance(dict.fromkeys(self._numbers, self._done))
            self._done, self._began = 0, time.process_time()
        self._before = int(lanes.epochs(self._numbers).max())
        n_epochs = min(self._at_once, epochs or self._at_once)
        return lanes, dict.fromkeys(self._numbers, n_epochs)

    @property
    def shared(self) -> tuple[Lanes, list[int]] | None:
        """The list of lanes that it shares, and its numbers there; None where it has its own."""
        return (self._lanes, self._numbers) if self._is_shared and self._lanes else None

    @property
    def is_running(self) -> bool:
        """Whether it would train on."""
        return self._lanes is None or bool(self._lanes.running(self._numbers).any())

    def report(
        self, scores: NDArray[np.float64], results: Sequence[LaneResult] | None = None
    ) -> Report:
        """What is known after these epochs.

        Args:
            scores: What `Lanes.advance` returned for the lanes of `plan`.
            results: Those of its lanes if it has ended, and they are known.
        """
        lanes = self._started()
        seconds = time.process_time() - self._began
        n_epochs = int(lanes.epochs(self._numbers).max()) - self._before
        running = self.is_running
        return Report(
            self._job,
            **self._engine,
            scores=scores[:, :n_epochs],
            seconds=seconds,
            running=running,
            **({} if running else self._ended(lanes, results)),
        )

    def release(self) -> None:
        """Gives its places up among lanes that it shares."""
        if self._is_shared and self._lanes is not None:
            self._lanes.release(self._numbers)
            self._numbers = []

    def failed(self, error: Exception) -> Report:
        """The report of a job that an error has ended."""
        told = error.on_command_line if isinstance(error, NasError) else first_line(error)
        return Report(self._job, **self._engine, failure=told)

    def _guarded(self, act: Callable[[], Report]) -> Report:
        try:
            return act()
        except Exception as error:  # whatever a network does must not end the search
            return self.failed(error)

    def _advance(self, epochs: int | None) -> Report:
        lanes, wanted = self.plan(epochs)
        return self.report(lanes.advance(wanted))

    def _end(self, results: Sequence[LaneResult] | None) -> Report:
        lanes = self._started()
        if self._done:
            lanes.advance(dict.fromkeys(self._numbers, self._done))
        return Report(self._job, **self._engine, **self._ended(lanes, results))

    def _ended(self, lanes: Lanes, results: Sequence[LaneResult] | None) -> dict[str, Any]:
        weights = [lanes.weights(n) for n in self._numbers] if self._keeps_weights else []
        result = trial_result(results or lanes.results(self._numbers))
        return {"result": result, "weights": tuple(weights)}

    def joining(self) -> tuple[Lanes, list[Lane]] | None:
        """The list of lanes that it is to share, and its own; None where it needs no other list."""
        if self._lanes is not None:
            return None
        engine, own = self._prepared()
        shared = self._share(engine)
        return None if shared is None else (shared, own)

    def join(self, shared: Lanes, numbers: Sequence[int]) -> None:
        """Notes that its lanes are in a list that it shares, under these numbers."""
        self._lanes, self._numbers, self._is_shared = shared, list(numbers), True

    def _prepared(self) -> tuple[Engine, list[Lane]]:
        engine, reason = self._choose(self._spec)
        self._engine = {"engine": engine.name, "engine_reason": reason}
        n_folds = len(engine.folds)
        lanes = trial_lanes(self._spec, self._seed, n_folds, self._replicates, self._folds)
        self._at_once = engine.epochs_at_once(self._spec, len(lanes))
        return engine, lanes

    def _started(self) -> Lanes:
        if self._lanes is None:
            engine, own = self._prepared()
            shared = self._share(engine)
            if shared is not None:
                self.join(shared, shared.add(own))
                return shared
            self._lanes = engine.start([])
            self._numbers = self._lanes.add(own)
        return self._lanes


class LocalPool(Pool):
    """Trains one job at a time, in this process, while the search waits."""

    slots = 1

    def __init__(self, choose: Choose, keeps_weights: bool = False) -> None:
        self._choose, self._keeps_weights = choose, keeps_weights
        self._job: int | None = None
        self._task: Task | None = None
        self._next: Callable[[], Report] | None = None

    def submit(
        self,
        job: int,
        spec: TrialSpec,
        seed: int,
        epochs: int | None = None,
        folds: Sequence[int] | None = None,
    ) -> None:
        self._job = job
        keeps = self._keeps_weights
        self._task = Task(self._choose, job, spec, seed, folds=folds, keeps_weights=keeps)
        self._next = partial(self._task.advance, epochs)

    def wait(self, timeout: float) -> Report | None:
        if self._next is None:
            return None
        run, self._next = self._next, None
        return run()

    def answer(self, job: int, go_on: bool, epochs: int | None = None) -> None:
        if self._task is not None and job == self._job:
            self._next = partial(self._task.advance, epochs) if go_on else self._task.end

    def cancel(self, job: int) -> None:
        if job == self._job:
            self._job = self._task = self._next = None

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        start_tensorflow()
        return function(*arguments)

    def close(self) -> None:
        self._job = self._task = self._next = None
        gc.unfreeze()  # what was frozen at the start; in it may be much of the caller's
