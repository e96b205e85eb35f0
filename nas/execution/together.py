"""A pool that trains all its jobs together: in one list of lanes, as a GPU wants it."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.engines.lanes import Engine, Lane, LaneResult, Lanes
from nas.engines.startup import start_tensorflow
from nas.execution.pool import Choose, Pool, Report, Task
from nas.spec import TrialSpec


class TogetherPool(Pool):
    """Trains many jobs at once, in this process, while the search waits.

    Jobs of the compiled engine share programs; those of another engine train one after another.

    Args:
        choose: Chooses the engine.
        slots: How many jobs to train at once.
        replicates: How often each fold is trained, each time with other seeds.
        keeps_weights: Whether last reports have the weights.
    """

    def __init__(
        self, choose: Choose, slots: int, replicates: int = 1, keeps_weights: bool = False
    ) -> None:
        self._choose, self.slots, self._replicates = choose, slots, replicates
        self._keeps_weights = keeps_weights
        self._tasks: dict[int, Task] = {}
        self._turns: dict[int, int | None] = {}  # who may train, and how many epochs
        self._ends: list[int] = []  # who does not go on
        self._ready: deque[Report] = deque()
        self._threads = ThreadPoolExecutor()
        self._lanes = cache(lambda engine: engine.start([]))

    def submit(
        self,
        job: int,
        spec: TrialSpec,
        seed: int,
        epochs: int | None = None,
        folds: Sequence[int] | None = None,
        done: int = 0,
    ) -> None:
        """See `Pool.submit`.

        Args:
            job: Its number.
            spec: The network.
            seed: Its seed.
            epochs: After how many epochs it reports at the latest.
            folds: Those that it is trained on.
            done: Epochs that were reported already; an answer to the last report follows.
        """
        replicates, lanes, keeps = self._replicates, self._lanes_of, self._keeps_weights
        self._tasks[job] = Task(
            self._choose, job, spec, seed, done, replicates, folds, lanes, keeps
        )
        if not done:
            self._turns[job] = epochs

    def wait(self, timeout: float) -> Report | None:
        if not self._ready:
            self.train()
        return self.ready()

    def ready(self) -> Report | None:
        """The next report that is there without more training."""
        return self._ready.popleft() if self._ready else None

    @property
    def is_idle(self) -> bool:
        """Whether no job may train."""
        return not self._turns and not self._ends

    def answer(self, job: int, go_on: bool, epochs: int | None = None) -> None:
        if job not in self._tasks:
            return
        if go_on:
            self._turns[job] = epochs
        else:
            self._ends.append(job)

    def cancel(self, job: int) -> None:
        self._turns.pop(job, None)
        self._ends = [end for end in self._ends if end != job]
        task = self._tasks.pop(job, None)  # it may have ended by itself
        if task is not None:
            task.release()
        self._ready = deque(report for report in self._ready if report.job != job)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        start_tensorflow(without_gpu=True)
        return function(*arguments)

    def close(self) -> None:
        self._tasks, self._turns, self._ends = {}, {}, []
        self._ready.clear()
        self._threads.shutdown()

    def _lanes_of(self, engine: Engine) -> Lanes | None:
        lanes: Lanes | None = self._lanes(engine) if engine.name == "compiled" else None
        return lanes

    def train(self) -> None:
        """Trains all jobs whose turn it is: those that share lanes in one go."""
        ends, self._ends = self._ends, []
        known = self._results(ends)
        self._tell_all([(job, partial(self._tasks[job].end, known.get(job))) for job in ends])
        turns, self._turns = self._turns, {}
        self._join(turns)
        planned: dict[int, tuple[Lanes, dict[int, int]]] = {}
        together: dict[Lanes, dict[int, int]] = {}
        for job, epochs in turns.items():
            task = self._tasks[job]
            try:
                lanes, wanted = planned[job] = task.plan(epochs)
            except Exception as error:
                self._tell(job, task.failed(error))
            else:
                together.setdefault(lanes, {}).update(wanted)
        for lanes, wanted in together.items():
            jobs = [job for job, (of_job, _) in planned.items() if of_job is lanes]
            try:
                scores = dict(zip(wanted, lanes.advance(wanted), strict=True))
            except Exception as error:
                for job in jobs:
                    self._tell(job, self._tasks[job].failed(error))
                continue
            known = self._results([job for job in jobs if not self._tasks[job].is_running])
            own = {job: np.array([scores[number] for number in planned[job][1]]) for job in jobs}
            self._tell_all(
                [(job, partial(self._report, job, own[job], known.get(job))) for job in jobs]
            )

    def _join(self, jobs: Iterable[int]) -> None:
        """Adds the lanes of new jobs all in one go, so that programs have room for all of them.

        Where that fails, nothing is added, and each job finds out for itself.
        """
        by_lanes: dict[Lanes, dict[Task, list[Lane]]] = {}
        for job in jobs:
            task = self._tasks[job]
            with suppress(Exception):
                joining = task.joining()
                if joining is not None:
                    by_lanes.setdefault(joining[0], {})[task] = joining[1]
        for lanes, wanted in by_lanes.items():
            with suppress(Exception):  # of one of the networks
                numbers = iter(lanes.add([lane for own in wanted.values() for lane in own]))
                for task, own in wanted.items():
                    task.join(lanes, list(islice(numbers, len(own))))

    def _results(self, jobs: Sequence[int]) -> dict[int, list[LaneResult]]:
        """Those of jobs that have ended and share lanes, all in one go: they come from a GPU.

        Where that fails, nothing is known, and each job finds out for itself.
        """
        found: dict[int, list[LaneResult]] = {}
        by_lanes: dict[Lanes, dict[int, list[int]]] = {}
        for job in jobs:
            shared = self._tasks[job].shared
            if shared is not None:
                by_lanes.setdefault(shared[0], {})[job] = shared[1]
        for lanes, numbers in by_lanes.items():
            with suppress(Exception):  # of a metric of the user's, for one of the jobs
                results = iter(lanes.results([n for own in numbers.values() for n in own]))
                found |= {job: list(islice(results, len(own))) for job, own in numbers.items()}
        return found

    def _report(
        self, job: int, scores: NDArray[np.float64], results: list[LaneResult] | None
    ) -> Report:
        task = self._tasks[job]
        try:
            return task.report(scores, results)
        except Exception as error:
            return task.failed(error)

    def _tell_all(self, reports: Sequence[tuple[int, Callable[[], Report]]]) -> None:
        """Tells reports, made in threads, since to look at a job that has ended may take long."""
        made = self._threads.map(lambda report: report[1](), reports)
        for (job, _), report in zip(reports, list(made), strict=True):
            self._tell(job, report)

    def _tell(self, job: int, report: Report) -> None:
        if not report.running:
            self._tasks.pop(job).release()
        self._ready.append(report)
