"""Worker processes that train, one for each core, each with a single thread.

Small networks gain nothing from a second thread, so a core of its own for each trial is the
fastest. A worker holds two jobs and trains their epochs in turn: while the search thinks about
one, the other trains.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from nas.data import FoldData
from nas.engines.pool import Pool, Report, Task
from nas.engines.program_cache import program_cache_flags
from nas.engines.startup import start_tensorflow
from nas.errors import NasError
from nas.metrics import Metric
from nas.spec import TrialSpec

JOBS_OF_A_WORKER = 2
JOBS_TO_CHOOSE_FROM = 2  # for each worker, so that it finds one that it has a program for

# One thread for each library, and programs that compile a sixth faster and run as fast.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "XLA_FLAGS": "--xla_backend_optimization_level=1",
}


def default_workers() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class _Worker:
    """The search's side of a worker.

    Attributes:
        programs: Shapes that it has trained, and so holds compiled programs of.
        jobs: The jobs that it has.
        is_ready: Whether it has told that it waits for jobs.
    """

    process: Any
    connection: Connection
    programs: set[tuple[Any, ...]] = field(default_factory=set)
    jobs: set[int] = field(default_factory=set)
    is_ready: bool = False


class WorkerPool(Pool):
    """Trains jobs in worker processes.

    The processes start, and import TensorFlow, as soon as the pool is made; they are told what to
    train on by `load`, before the first job.
    """

    def __init__(self, n_workers: int) -> None:
        self.slots = (JOBS_OF_A_WORKER + JOBS_TO_CHOOSE_FROM) * n_workers
        self._context = _context()
        self._backlog: deque[tuple[int, TrialSpec, int]] = deque()
        self._ready: deque[Report] = deque()
        self._setup: tuple[Any, ...] | None = None
        with _environment():
            self._workers = [self._start() for _ in range(n_workers)]

    def load(self, folds: Sequence[FoldData], metric: Metric, engine: str) -> None:
        """Tells all workers what to train on, and by which engine (see `Selection`)."""
        self._setup = (tuple(folds), metric, engine)
        for worker in self._workers:
            worker.connection.send(self._setup)

    def submit(self, job: int, spec: TrialSpec, seed: int) -> None:
        self._backlog.append((job, spec, seed))
        self._hand_out()

    def wait(self, timeout: float) -> Report | None:
        if not self._ready:
            by_connection = {worker.connection: worker for worker in self._workers}
            for connection in wait(list(by_connection), timeout):
                self._receive(by_connection[connection])  # type: ignore[index]
        return self._ready.popleft() if self._ready else None

    def answer(self, job: int, go_on: bool) -> None:
        worker = next(worker for worker in self._workers if job in worker.jobs)
        self._send(worker, ("answer", job, go_on))

    def close(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
            worker.connection.close()
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _receive(self, worker: _Worker) -> None:
        try:
            report: Report | None = worker.connection.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        if report is None:
            worker.is_ready = True
            return
        self._ready.append(report)
        if not report.running:
            worker.jobs.remove(report.job)
            self._hand_out()

    def _hand_out(self) -> None:
        """Gives jobs to workers that have room.

        A worker rather gets what it has a program for, or nobody has; one that only another
        worker has a program for, it gets when it would otherwise be idle.
        """
        for load in range(JOBS_OF_A_WORKER):
            for worker in self._workers:
                if len(worker.jobs) == load and self._backlog:
                    self._give(worker)

    def _give(self, worker: _Worker) -> None:
        elsewhere = set().union(*(w.programs for w in self._workers if w is not worker))

        def rank(position: int) -> int:
            kind = _kind(self._backlog[position][1])
            return 0 if kind in worker.programs else 2 if kind in elsewhere else 1

        best = min(range(len(self._backlog)), key=rank)
        if worker.jobs and rank(best) == 2:
            return
        job, spec, seed = self._backlog[best]
        del self._backlog[best]
        worker.programs.add(_kind(spec))
        worker.jobs.add(job)
        self._send(worker, ("start", job, spec, seed))

    def _send(self, worker: _Worker, message: tuple[Any, ...]) -> None:
        # When the worker is gone, the next `wait` finds out.
        with contextlib.suppress(OSError):
            worker.connection.send(message)

    def _replace(self, worker: _Worker) -> None:
        """A worker ended by itself: its jobs failed, and another one takes its place."""
        worker.process.join()
        code = worker.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        if not worker.is_ready:
            raise NasError(
                "--workers", f"a worker process ended as it started ({how})", fix="Use --workers 1."
            )
        failure = f"its worker process ended ({how}); was there enough memory?"
        self._ready.extend(Report(job, failure=failure) for job in worker.jobs)
        worker.connection.close()
        with _environment():
            fresh = self._start()
        fresh.connection.send(self._setup)
        self._workers[self._workers.index(worker)] = fresh
        self._hand_out()


def _kind(spec: TrialSpec) -> tuple[Any, ...]:
    """What trials must have in common to share a program, about: see `program.Shape`."""
    architecture, training = spec.architecture, spec.training
    widest = max(architecture.units, default=0)
    return (
        len(architecture.units),
        32 if widest <= 32 else -(-widest // 64),
        training.batch_size,
        architecture.normalization,
        training.l1 > 0,
        training.clip_norm > 0,
        architecture.activation == "softplus",
    )


def _context() -> Any:
    """How processes are started: from a server that has TensorFlow loaded, where that is safe."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nas.engines.preload"])
    return context


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """The environment that workers start with; what the user has set for XLA stays in force."""
    flags = {name: os.environ.get(name, "") for name in ("XLA_FLAGS", "TF_XLA_FLAGS")}
    xla_flags = flags["XLA_FLAGS"] or ENVIRONMENT["XLA_FLAGS"]
    cache_flags = program_cache_flags(xla_flags)
    changes = {
        **ENVIRONMENT,
        "XLA_FLAGS": xla_flags,
        "TF_XLA_FLAGS": f"{cache_flags} {flags['TF_XLA_FLAGS']}".strip(),
    }
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# In the worker


def _serve(connection: Connection) -> None:
    # Ctrl-C reaches the whole terminal; the search decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start_tensorflow(single_thread=True)
    from nas.engines.selection import Selection

    with contextlib.suppress(EOFError, OSError):  # the search is gone
        folds, metric, engine = connection.recv()
        selection = Selection(folds, metric, engine)
        connection.send(None)  # ready
        tasks: dict[int, Task] = {}
        turns: deque[int] = deque()  # jobs that may train an epoch
        while True:
            while connection.poll(0) or not turns:
                kind, job, *rest = connection.recv()
                if kind == "start":
                    tasks[job] = Task(selection.choose, job, *rest)
                    turns.append(job)
                elif rest[0]:
                    turns.append(job)
                else:
                    connection.send(tasks.pop(job).end())
            job = turns.popleft()
            report = tasks[job].advance()
            if not report.running:
                del tasks[job]
            connection.send(report)
