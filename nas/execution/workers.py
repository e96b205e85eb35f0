"""Worker processes that train, one for each core, each with a single thread.

Small networks gain nothing from a second thread, so a core of its own for each trial is the
fastest. A worker holds two jobs and trains some epochs of each in turn: while the search thinks
about one, the other trains.

When a worker ends by itself, the job that it was training has failed. The other one is trained
again from its beginning, up to where it was without a word: the same seed gives the same scores,
so the search need not know.
"""

import contextlib
import signal
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from nas.encoding import FoldData
from nas.engines.shapes import program_of
from nas.errors import NasError
from nas.execution.devices import gpu_environment
from nas.execution.helpers import help_training
from nas.execution.messages import receive, send
from nas.execution.pool import Pool, Report
from nas.execution.processes import Library, default_workers, prepare_processes, start_process
from nas.execution.worker import NOTHING, answer_call, train_jobs
from nas.families.suggestions import BuildModel
from nas.metrics import Metric
from nas.spec import TrialSpec

JOBS_OF_A_WORKER = 2
JOBS_OF_A_GPU = 200  # of five folds that is 1,000 lanes
JOBS_TO_CHOOSE_FROM = 2  # for each worker, so that it finds one that it has a program for
# Each model that Keras traces leaves 10 to 30 MB behind, which nothing but the process's end frees.
TRACED_MODELS = 24  # after which a worker is replaced
MAX_RESTARTS = 3  # of a job, after workers that ended while they trained another one


@dataclass
class _Job:
    """A job that has not ended.

    Attributes:
        number: The one that it was submitted under.
        folds: Those that it is trained on; None is all of them.
        epochs: Epochs that are reported.
        at_most: Epochs after which it reports at the latest.
        go_on: The answer to the last report; None until there is one.
        restarts: How often it was trained from its beginning again.
    """

    number: int
    spec: TrialSpec
    seed: int
    folds: Sequence[int] | None = None
    epochs: int = 0
    at_most: int | None = None
    go_on: bool | None = None
    restarts: int = 0

    @property
    def waits(self) -> bool:
        """Whether its report waits for an answer, so that it cannot be in training."""
        return self.epochs > 0 and self.go_on is None


@dataclass
class _Worker:
    """The search's side of a worker.

    Attributes:
        programs: Shapes that it has trained, and so holds compiled programs of.
        jobs: The tickets of the jobs that it has.
        traced: Those of the jobs that it has trained with the plain engine.
        is_ready: Whether it has told that it waits for jobs.
        in_training: Memory that it shares: the ticket of the job that it is busy with.
    """

    process: Any
    connection: Connection
    in_training: Any
    programs: set[Any] = field(default_factory=set)
    jobs: set[int] = field(default_factory=set)
    traced: set[int] = field(default_factory=set)
    is_ready: bool = False

    @property
    def is_used_up(self) -> bool:
        return len(self.traced) >= TRACED_MODELS


class WorkerPool(Pool):
    """Trains jobs in worker processes.

    What they train with is imported from the moment that the pool is made, not in this process.
    What to train on is told by `load`, before the first job.

    Each job gets a ticket, by which a worker knows it: a report of a job that was cancelled is
    told from one of a later job with the same number.

    Args:
        n_workers: Processes that train.
        library: What most jobs need; another job waits for its import.
        gpus: Numbers of GPUs; there is a process for each of them then, whatever `n_workers` is.
    """

    def __init__(self, n_workers: int, library: Library = "jax", gpus: Sequence[int] = ()) -> None:
        self._library: Library = library
        self._gpus = tuple(gpus)
        n_workers = len(gpus) or n_workers
        self._trains_together = bool(gpus) and library == "jax"
        self._jobs_of_a_worker = JOBS_OF_A_GPU if self._trains_together else JOBS_OF_A_WORKER
        self.slots = (self._jobs_of_a_worker + JOBS_TO_CHOOSE_FROM) * n_workers
        self._jobs: dict[int, _Job] = {}  # by their tickets
        self._tickets: dict[int, int] = {}  # of the jobs in it, by their numbers
        self._n_submitted = 0
        self._backlog: deque[int] = deque()  # tickets of those that no worker has
        self._ready: deque[Report] = deque()
        self._setup: tuple[Any, ...] | None = None
        self.workers = n_workers
        self.rows_folder = Path(mkdtemp(prefix="nas-"))
        # Also where an error ends the program before `close`.
        self._remove_rows = weakref.finalize(self, rmtree, self.rows_folder, ignore_errors=True)
        self._workers: list[_Worker] = []
        self._has_trained = False
        if not gpus or self._trains_together:
            prepare_processes(library)

    def load(
        self,
        folds: Sequence[FoldData],
        metric: Metric,
        engine: str,
        build: BuildModel | None = None,
        replicates: int = 1,
        keeps_weights: bool = False,
    ) -> None:
        """Tells all workers what to train on, by which engine (see `Selection`), and how often.

        With `keeps_weights` the last report of each job has its weights.
        """
        self._start_workers()
        self._setup = (tuple(folds), metric, engine, build, replicates, keeps_weights)
        for worker in self._workers:
            send(worker.connection, self._setup)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if not self._has_trained:
            self._start_workers()  # they make themselves ready meanwhile
        answer, error = self._ask(function, arguments)
        if error is not None:
            raise error
        return answer

    def end_training(self) -> None:
        self._end_workers()
        self._has_trained = True

    def prepare_call(self) -> None:
        prepare_processes("tensorflow")

    def _ask(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """What a process of its own answers; see `answer_call`."""
        ours, theirs = Pipe()
        process = start_process("tensorflow", answer_call, theirs)
        theirs.close()
        try:
            send(ours, (function, arguments))
            answer: tuple[Any, ...] = receive(ours)
        except (EOFError, OSError) as ended:
            process.join()
            raise NasError(
                "--workers",
                f"a worker process ended ({_how_it_ended(process)})",
                fix="Was there enough memory? Use --workers 1.",
            ) from ended
        finally:
            process.terminate()
            process.join()
            ours.close()
        return answer

    def submit(
        self,
        job: int,
        spec: TrialSpec,
        seed: int,
        epochs: int | None = None,
        folds: Sequence[int] | None = None,
    ) -> None:
        ticket = self._n_submitted
        self._n_submitted += 1
        self._jobs[ticket] = _Job(job, spec, seed, folds, at_most=epochs)
        self._tickets[job] = ticket
        self._backlog.append(ticket)
        self._hand_out()

    def wait(self, timeout: float) -> Report | None:
        if not self._ready:
            by_connection = {worker.connection: worker for worker in self._workers}
            for connection in wait(list(by_connection), timeout):
                self._receive(by_connection[connection])  # type: ignore[index]
        return self._ready.popleft() if self._ready else None

    def answer(self, job: int, go_on: bool, epochs: int | None = None) -> None:
        ticket = self._tickets.get(job)
        if ticket is None:  # it has failed since it reported
            return
        self._jobs[ticket].go_on, self._jobs[ticket].at_most = go_on, epochs
        for worker in self._workers:
            if ticket in worker.jobs:  # else it is told when one has taken it up again
                self._send(worker, ("answer", ticket, go_on, epochs))

    def cancel(self, job: int) -> None:
        self._ready = deque(report for report in self._ready if report.job != job)
        ticket = self._tickets.get(job)
        if ticket is None:
            return
        self._forget(ticket)
        if ticket in self._backlog:
            self._backlog.remove(ticket)
        for worker in self._workers:
            if ticket in worker.jobs:
                self._send(worker, ("cancel", ticket))
                self._free(worker, ticket)

    def close(self) -> None:
        self._end_workers()
        self._remove_rows()

    def _end_workers(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
            worker.connection.close()
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def _start_workers(self) -> None:
        while len(self._workers) < self.workers:
            self._workers.append(self._start(len(self._workers)))

    def _start(self, place: int) -> _Worker:
        ours, theirs = Pipe()
        in_training = RawValue("q", NOTHING)
        environment = gpu_environment(self._gpus[place]) if self._gpus else None
        helpers = self._start_helpers()
        arguments = (train_jobs, theirs, in_training, self._trains_together, helpers)
        process = start_process(self._library, *arguments, environment=environment)
        for connection in (theirs, *helpers):
            connection.close()
        return _Worker(process, ours, in_training)

    def _start_helpers(self) -> list[Connection]:
        """Starts the processes that help one on a GPU; they end when it does."""
        if not self._trains_together:
            return []
        helpers = []
        for _ in range(max(1, default_workers() // self.workers)):
            ours, theirs = Pipe()
            start_process("jax", help_training, theirs)
            theirs.close()
            helpers.append(ours)
        return helpers

    def _receive(self, worker: _Worker) -> None:
        try:
            report: Report | NasError | None = receive(worker.connection)
        except (EOFError, OSError):
            self._replace(worker)
            return
        if isinstance(report, NasError):
            raise report
        if report is None:
            worker.is_ready = True
            return
        ticket = report.job
        if report.engine == "keras":
            worker.traced.add(ticket)
        job = self._jobs.get(ticket)
        if job is None:  # it was cancelled meanwhile
            return
        self._ready.append(replace(report, job=job.number))
        if report.running:
            job.epochs += report.scores.shape[1]
            job.go_on = None
        else:
            self._forget(ticket)
            self._free(worker, ticket)

    def _forget(self, ticket: int) -> None:
        del self._tickets[self._jobs.pop(ticket).number]

    def _free(self, worker: _Worker, ticket: int) -> None:
        """Takes a job that has ended from its worker, which gets another one."""
        worker.jobs.remove(ticket)
        if worker.is_used_up and not worker.jobs:
            worker.process.terminate()
            self._renew(worker)
        self._hand_out()

    def _hand_out(self) -> None:
        """Gives jobs to workers that have room.

        A worker rather gets what it has a program for, or nobody has; one that only another
        worker has a program for, it gets when it would otherwise be idle.
        """
        for load in range(self._jobs_of_a_worker):
            for worker in self._workers:
                has_room = len(worker.jobs) == load and not worker.is_used_up
                if has_room and self._backlog:
                    self._give(worker)

    def _give(self, worker: _Worker) -> None:
        elsewhere = set().union(*(w.programs for w in self._workers if w is not worker))

        def rank(position: int) -> int:
            program = program_of(self._jobs[self._backlog[position]].spec)
            return 0 if program in worker.programs else 2 if program in elsewhere else 1

        best = 0 if self._trains_together else min(range(len(self._backlog)), key=rank)
        if worker.jobs and not self._trains_together and rank(best) == 2:
            return
        ticket = self._backlog[best]
        del self._backlog[best]
        job = self._jobs[ticket]
        worker.programs.add(program_of(job.spec))
        worker.jobs.add(ticket)
        start = (job.spec, job.seed, job.epochs, job.at_most, job.folds)
        self._send(worker, ("start", ticket, *start))
        if job.epochs and job.go_on is not None:
            self._send(worker, ("answer", ticket, job.go_on, job.at_most))

    def _send(self, worker: _Worker, message: tuple[Any, ...]) -> None:
        # When the worker is gone, the next `wait` finds out.
        with contextlib.suppress(OSError):
            send(worker.connection, message)

    def _replace(self, worker: _Worker) -> None:
        """A worker ended by itself: what it trained failed, and another one takes its place."""
        worker.process.join()
        how = _how_it_ended(worker.process)
        if not worker.is_ready:
            raise NasError(
                "--workers", f"a worker process ended as it started ({how})", fix="Use --workers 1."
            )
        failure = f"its worker process ended ({how}); was there enough memory?"
        # Somebody's wish is no network's fault.
        was_told_to = worker.process.exitcode == -signal.SIGTERM
        for ticket in sorted(worker.jobs, reverse=True):
            job = self._jobs[ticket]
            job.restarts += 1
            is_guilty = worker.in_training.value == ticket and not job.waits and not was_told_to
            if is_guilty or job.restarts > MAX_RESTARTS:
                self._forget(ticket)
                self._ready.append(Report(job.number, failure=failure))
            else:
                self._backlog.appendleft(ticket)
        self._renew(worker)
        self._hand_out()

    def _renew(self, worker: _Worker) -> None:
        """Starts another worker in the place of one that has ended."""
        worker.process.join()
        worker.connection.close()
        place = self._workers.index(worker)
        fresh = self._start(place)
        send(fresh.connection, self._setup)
        self._workers[place] = fresh


def _how_it_ended(process: Any) -> str:
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
