"""Worker processes that train, one for each core, each with a single thread.

Small networks gain nothing from a second thread, so a core of its own for each trial is the
fastest. A worker holds two jobs and trains their epochs in turn: while the search thinks about
one, the other trains.

When a worker ends by itself, the job that it was training has failed. The other one is trained
again from its beginning, up to where it was without a word: the same seed gives the same scores,
so the search need not know.
"""

import contextlib
import os
import signal
import sys
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from nas.architectures import CustomArchitecture
from nas.data import FoldData
from nas.engines.pool import Pool, Report, Task
from nas.engines.processes import (
    prepare_processes,
    process_context,
    process_environment,
    xla_flags,
)
from nas.engines.program_cache import (
    empty_program_cache,
    may_be_cache_failure,
    without_program_cache,
)
from nas.engines.startup import start_tensorflow
from nas.errors import NasError, first_line
from nas.metrics import Metric
from nas.spec import TrialSpec

JOBS_OF_A_WORKER = 2
JOBS_TO_CHOOSE_FROM = 2  # for each worker, so that it finds one that it has a program for
# Each model that Keras traces leaves 10 to 30 MB behind, which nothing but the process's end frees.
TRACED_MODELS = 24  # after which a worker is replaced
MAX_RESTARTS = 3  # of a job, after workers that ended while they trained another one

NOTHING = -1  # instead of a job, where none is in training


@dataclass
class _Job:
    """A job that has not ended.

    Attributes:
        epochs: Epochs that are reported.
        go_on: The answer to the last report; None until there is one.
        restarts: How often it was trained from its beginning again.
    """

    spec: TrialSpec
    seed: int
    epochs: int = 0
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
        jobs: The jobs that it has.
        n_traced: Jobs that it has ended with the plain engine.
        is_ready: Whether it has told that it waits for jobs.
        in_training: Memory that it shares: the number of the job that it is busy with.
    """

    process: Any
    connection: Connection
    in_training: Any
    programs: set[tuple[Any, ...]] = field(default_factory=set)
    jobs: set[int] = field(default_factory=set)
    n_traced: int = 0
    is_ready: bool = False


class WorkerPool(Pool):
    """Trains jobs in worker processes.

    TensorFlow is imported from the moment that the pool is made, not in this process. What to
    train on is told by `load`, before the first job.
    """

    def __init__(self, n_workers: int) -> None:
        self.slots = (JOBS_OF_A_WORKER + JOBS_TO_CHOOSE_FROM) * n_workers
        self._context = process_context()
        self._jobs: dict[int, _Job] = {}
        self._backlog: deque[int] = deque()  # those that no worker has
        self._ready: deque[Report] = deque()
        self._setup: tuple[Any, ...] | None = None
        self._n_workers = n_workers
        self._keeps_programs = True
        self.rows_folder = Path(mkdtemp(prefix="nas-"))
        # Also where an error ends the program before `close`.
        self._remove_rows = weakref.finalize(self, rmtree, self.rows_folder, ignore_errors=True)
        self._workers: list[_Worker] = []
        prepare_processes()

    def load(self, folds: Sequence[FoldData], metric: Metric, engine: str) -> None:
        """Tells all workers what to train on, and by which engine (see `Selection`)."""
        self._start_workers()
        self._setup = (tuple(folds), metric, engine)
        for worker in self._workers:
            worker.connection.send(self._setup)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self._start_workers()  # they make themselves ready meanwhile
        answer, error, cache_failed = self._ask(function, arguments)
        if cache_failed:
            self._give_up_cache()
            answer, error, _ = self._ask(function, arguments)
        if error is not None:
            raise error
        return answer

    def _ask(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """What a process of its own answers; see `_answer`."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_answer, args=(theirs, self._keeps_programs), daemon=True
        )
        with process_environment():
            process.start()
        theirs.close()
        try:
            ours.send((function, arguments))
            answer: tuple[Any, ...] = ours.recv()
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

    def submit(self, job: int, spec: TrialSpec, seed: int) -> None:
        self._jobs[job] = _Job(spec, seed)
        self._backlog.append(job)
        self._hand_out()

    def wait(self, timeout: float) -> Report | None:
        if not self._ready:
            by_connection = {worker.connection: worker for worker in self._workers}
            for connection in wait(list(by_connection), timeout):
                self._receive(by_connection[connection])  # type: ignore[index]
        return self._ready.popleft() if self._ready else None

    def answer(self, job: int, go_on: bool) -> None:
        if job not in self._jobs:  # it has failed since it reported
            return
        self._jobs[job].go_on = go_on
        for worker in self._workers:
            if job in worker.jobs:  # else it is told when one has taken it up again
                self._send(worker, ("answer", job, go_on))

    def close(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
            worker.connection.close()
        for worker in self._workers:
            worker.process.join()
        self._workers = []
        self._remove_rows()

    def _start_workers(self) -> None:
        if not self._workers:
            with process_environment():
                self._workers = [self._start() for _ in range(self._n_workers)]

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        in_training = self._context.RawValue("q", NOTHING)
        process = self._context.Process(
            target=_serve, args=(theirs, in_training, self._keeps_programs), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours, in_training)

    def _receive(self, worker: _Worker) -> None:
        try:
            report: Report | None = worker.connection.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        if report is None:
            worker.is_ready = True
            return
        if report.cache_failed:
            self._give_up_cache()
            self._backlog.extendleft(sorted(worker.jobs, reverse=True))
            worker.process.terminate()
            self._renew(worker)
            self._hand_out()
            return
        self._ready.append(report)
        if report.running:
            self._jobs[report.job].epochs += 1
            self._jobs[report.job].go_on = None
        else:
            del self._jobs[report.job]
            worker.jobs.remove(report.job)
            worker.n_traced += report.engine == "keras"
            if worker.n_traced >= TRACED_MODELS and not worker.jobs:
                worker.process.terminate()
                self._renew(worker)
            self._hand_out()

    def _hand_out(self) -> None:
        """Gives jobs to workers that have room.

        A worker rather gets what it has a program for, or nobody has; one that only another
        worker has a program for, it gets when it would otherwise be idle.
        """
        for load in range(JOBS_OF_A_WORKER):
            for worker in self._workers:
                has_room = len(worker.jobs) == load and worker.n_traced < TRACED_MODELS
                if has_room and self._backlog:
                    self._give(worker)

    def _give(self, worker: _Worker) -> None:
        elsewhere = set().union(*(w.programs for w in self._workers if w is not worker))

        def rank(position: int) -> int:
            kind = _kind(self._jobs[self._backlog[position]].spec)
            return 0 if kind in worker.programs else 2 if kind in elsewhere else 1

        best = min(range(len(self._backlog)), key=rank)
        if worker.jobs and rank(best) == 2:
            return
        number = self._backlog[best]
        del self._backlog[best]
        job = self._jobs[number]
        worker.programs.add(_kind(job.spec))
        worker.jobs.add(number)
        self._send(worker, ("start", number, job.spec, job.seed, job.epochs))
        if job.epochs and job.go_on is not None:
            self._send(worker, ("answer", number, job.go_on))

    def _send(self, worker: _Worker, message: tuple[Any, ...]) -> None:
        # When the worker is gone, the next `wait` finds out.
        with contextlib.suppress(OSError):
            worker.connection.send(message)

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
        for number in sorted(worker.jobs, reverse=True):
            job = self._jobs[number]
            job.restarts += 1
            is_guilty = worker.in_training.value == number and not job.waits and not was_told_to
            if is_guilty or job.restarts > MAX_RESTARTS:
                del self._jobs[number]
                self._ready.append(Report(number, failure=failure))
            else:
                self._backlog.appendleft(number)
        self._renew(worker)
        self._hand_out()

    def _give_up_cache(self) -> None:
        """Whatever starts from now on does without; nothing is wrong with the network."""
        self._keeps_programs = False
        empty_program_cache(xla_flags())

    def _renew(self, worker: _Worker) -> None:
        """Starts another worker in the place of one that has ended."""
        worker.process.join()
        worker.connection.close()
        with process_environment():
            fresh = self._start()
        fresh.connection.send(self._setup)
        self._workers[self._workers.index(worker)] = fresh


def _kind(spec: TrialSpec) -> tuple[Any, ...]:
    """What trials must have in common to share a program, about: see `program.Shape`."""
    if isinstance(spec.architecture, CustomArchitecture):
        return (spec.architecture,)
    architecture, training = spec.in_words, spec.training
    widest = max(architecture.units, default=0)
    return (
        spec.loss,
        architecture.convolutions,
        len(architecture.units),
        32 if widest <= 32 else -(-widest // 64),
        training.batch_size,
        architecture.normalization,
        training.l1 > 0,
        training.clip_norm > 0,
        architecture.activation == "softplus",
    )


def _how_it_ended(process: Any) -> str:
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


# In the processes


def _answer(connection: Connection, keeps_programs: bool) -> None:
    """Calls one function, and answers what it returned or raised; see `Pool.call`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What it has begun to write, it takes away before it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.suppress(EOFError, OSError):
        function, arguments = connection.recv()
        _start(keeps_programs)
        answer: Any = None
        error: Exception | None = None
        cache_failed = False
        try:
            answer = function(*arguments)
        except NasError as known:
            error = known
        except MemoryError:
            error = MemoryError()
        except Exception as other:  # of any class, which the other side may not be able to read
            error, cache_failed = RuntimeError(first_line(other)), may_be_cache_failure(other)
        connection.send((answer, error, cache_failed))


def _start(keeps_programs: bool) -> None:
    if not keeps_programs:  # TensorFlow reads it when it first compiles something
        os.environ["TF_XLA_FLAGS"] = without_program_cache(os.environ.get("TF_XLA_FLAGS", ""))
    start_tensorflow(single_thread=True)


def _serve(connection: Connection, in_training: Any, keeps_programs: bool) -> None:
    # Ctrl-C reaches the whole terminal; the search decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the server ignores
    _start(keeps_programs)
    from nas.engines.selection import Selection

    with contextlib.suppress(EOFError, OSError):  # the search is gone
        folds, metric, engine = connection.recv()
        selection = Selection(folds, metric, engine)
        connection.send(None)  # ready
        tasks: dict[int, Task] = {}
        turns: deque[int] = deque()  # jobs that may train an epoch

        def report(job: int, act: Callable[[Task], Report]) -> None:
            in_training.value = job
            told = act(tasks[job])
            if not told.running:
                del tasks[job]
            connection.send(told)
            in_training.value = NOTHING

        while True:
            while connection.poll(0) or not turns:
                kind, job, *rest = connection.recv()
                if kind == "start":
                    spec, seed, done = rest
                    tasks[job] = Task(selection.choose, job, spec, seed, done)
                    if not done:  # else the answer to its last report follows
                        turns.append(job)
                elif rest[0]:
                    turns.append(job)
                else:
                    report(job, Task.end)
            report(turns.popleft(), Task.advance)
