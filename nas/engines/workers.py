"""Worker processes that train, one for each core, each with a single thread.

Small networks gain nothing from a second thread, so a core of its own for each trial is the
fastest. A worker holds two jobs and trains their epochs in turn: while the search thinks about
one, the other trains.
"""

import contextlib
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

from nas.data import FoldData
from nas.engines.pool import Pool, Report, Task
from nas.engines.processes import prepare_processes, process_context, process_environment
from nas.engines.startup import start_tensorflow
from nas.errors import NasError, first_line
from nas.metrics import Metric
from nas.spec import TrialSpec

JOBS_OF_A_WORKER = 2
JOBS_TO_CHOOSE_FROM = 2  # for each worker, so that it finds one that it has a program for
# Each model that Keras traces leaves 10 to 30 MB behind, which nothing but the process's end frees.
TRACED_MODELS = 24  # after which a worker is replaced


@dataclass
class _Worker:
    """The search's side of a worker.

    Attributes:
        programs: Shapes that it has trained, and so holds compiled programs of.
        jobs: The jobs that it has.
        n_traced: Jobs that it has ended with the plain engine.
        is_ready: Whether it has told that it waits for jobs.
    """

    process: Any
    connection: Connection
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
        self._backlog: deque[tuple[int, TrialSpec, int]] = deque()
        self._ready: deque[Report] = deque()
        self._setup: tuple[Any, ...] | None = None
        self._n_workers = n_workers
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
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_answer, args=(theirs,), daemon=True)
        with process_environment():
            process.start()
        theirs.close()
        try:
            ours.send((function, arguments))
            answer, error = ours.recv()
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
        if error is not None:
            raise error
        return answer

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
        self._remove_rows()

    def _start_workers(self) -> None:
        if not self._workers:
            with process_environment():
                self._workers = [self._start() for _ in range(self._n_workers)]

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
        how = _how_it_ended(worker.process)
        if not worker.is_ready:
            raise NasError(
                "--workers", f"a worker process ended as it started ({how})", fix="Use --workers 1."
            )
        failure = f"its worker process ended ({how}); was there enough memory?"
        self._ready.extend(Report(job, failure=failure) for job in worker.jobs)
        self._renew(worker)
        self._hand_out()

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
    architecture, training = spec.architecture, spec.training
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


def _answer(connection: Connection) -> None:
    """Calls one function; see `Pool.call`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What it has begun to write, it takes away before it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.suppress(EOFError, OSError):
        function, arguments = connection.recv()
        start_tensorflow(single_thread=True)
        try:
            answer: tuple[Any, Exception | None] = (function(*arguments), None)
        except NasError as error:
            answer = (None, error)
        except MemoryError:
            answer = (None, MemoryError())
        except Exception as error:  # of any class, which the other side may not be able to read
            answer = (None, RuntimeError(first_line(error)))
        connection.send(answer)


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
