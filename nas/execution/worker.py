"""What a worker process does: the other side of `workers`."""

import contextlib
import signal
import sys
import warnings
from collections import deque
from functools import cache, partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.engines.startup import start_tensorflow
from nas.errors import NasError, first_line
from nas.execution.messages import receive, send
from nas.execution.pool import Report, Task

if TYPE_CHECKING:
    from nas.engines.lanes import Engine, Lanes
    from nas.engines.selection import Selection

NOTHING = -1  # instead of a ticket, where no job is in training


def answer_call(connection: Connection) -> None:
    """Calls one function, and answers what it returned or raised; see `Pool.call`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What it has begun to write, it takes away before it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.suppress(EOFError, OSError):
        start_tensorflow(single_thread=True)
        answer: Any = None
        error: Exception | None = None
        try:
            function, arguments = receive(connection)
            answer = function(*arguments)
        except NasError as known:
            error = known
        except MemoryError:
            error = MemoryError()
        except Exception as other:  # of any class, which the other side may not be able to read
            error = RuntimeError(first_line(other))
        send(connection, (answer, error))
    # It is told to end as soon as it has answered; in its last moments that would be a traceback.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def train_jobs(connection: Connection, in_training: Any, on_gpu: bool = False) -> None:
    """Trains the jobs that a search hands over until it is gone.

    Some epochs of each in turn; on a GPU, the dense networks all together.

    Args:
        connection: To the search.
        in_training: Memory shared with it, for the ticket of the job that trains.
        on_gpu: Whether this process has a GPU to itself.
    """
    # Ctrl-C reaches the whole terminal; the search decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the server ignores
    warnings.simplefilter("ignore")  # the terminal is the search's
    from nas.engines.selection import Selection

    with contextlib.suppress(EOFError, OSError):  # the search is gone
        try:
            folds, metric, engine, build, replicates = receive(connection)
            selection = Selection(folds, metric, engine, build, single_thread=True, on_gpu=on_gpu)
        except ImportError as error:  # of a module of the user's
            received = f"cannot read what to train on ({first_line(error)})"
            fix = "Put its folder on PYTHONPATH, or use workers=1."
            send(connection, NasError("workers", received, fix=fix))
            return
        send(connection, None)  # ready
        _Worker(connection, in_training, selection, replicates, on_gpu).run()


class _Worker:
    """The jobs of a worker, by their tickets."""

    def __init__(
        self,
        connection: Connection,
        in_training: Any,
        selection: "Selection",
        replicates: int,
        on_gpu: bool,
    ) -> None:
        self._connection, self._in_training = connection, in_training
        self._selection, self._replicates, self._on_gpu = selection, replicates, on_gpu
        self._tasks: dict[int, Task] = {}
        self._turns: deque[tuple[int, int | None]] = deque()  # who may train, and how many epochs
        self._shared = cache(lambda engine: engine.start([]))

    def run(self) -> None:
        while True:
            while self._connection.poll(0) or not self._turns:
                self._receive(*receive(self._connection))
            if self._on_gpu:
                turns, self._turns = list(self._turns), deque()
                self._train_together(turns)
            else:
                job, epochs = self._turns.popleft()
                self._in_training.value = job
                self._tell(job, self._tasks[job].advance(epochs))
                self._in_training.value = NOTHING

    def _receive(self, kind: str, job: int, *rest: Any) -> None:
        if kind == "start":
            spec, seed, done, epochs = rest
            choose, replicates = self._selection.choose, self._replicates
            self._tasks[job] = Task(choose, job, spec, seed, done, replicates, self._lanes_of)
            if not done:  # else the answer to its last report follows
                self._turns.append((job, epochs))
        elif kind == "cancel":
            task = self._tasks.pop(job, None)  # it may have ended by itself
            if task is not None:
                task.release()
            self._turns = deque(turn for turn in self._turns if turn[0] != job)
        elif rest[0]:
            self._turns.append((job, rest[1]))
        else:
            self._in_training.value = job
            self._tell(job, self._tasks[job].end())
            self._in_training.value = NOTHING

    def _lanes_of(self, engine: "Engine") -> "Lanes | None":
        """The lanes that all jobs of an engine share on a GPU."""
        shares = self._on_gpu and engine.name == "compiled"
        lanes: Lanes | None = self._shared(engine) if shares else None
        return lanes

    def _train_together(self, turns: list[tuple[int, int | None]]) -> None:
        """Trains all jobs whose turn it is: those that share lanes in one go."""
        planned: dict[int, tuple[Lanes, dict[int, int]]] = {}
        together: dict[Lanes, dict[int, int]] = {}
        for job, epochs in turns:
            task = self._tasks[job]
            try:
                planned[job] = lanes, wanted = task.plan(epochs)
                together.setdefault(lanes, {}).update(wanted)
            except Exception as error:
                self._tell(job, task.guarded(partial(_raise, error)))
        for lanes, wanted in together.items():
            jobs = [job for job, (of_job, _) in planned.items() if of_job is lanes]
            try:
                scores = dict(zip(wanted, lanes.advance(wanted), strict=True))
            except Exception as error:
                for job in jobs:
                    self._tell(job, self._tasks[job].guarded(partial(_raise, error)))
                continue
            for job in jobs:
                task = self._tasks[job]
                own = np.array([scores[number] for number in planned[job][1]])
                self._tell(job, task.guarded(partial(task.report, own)))

    def _tell(self, job: int, report: Report) -> None:
        if not report.running:
            self._tasks.pop(job).release()
        send(self._connection, report)


def _raise(error: Exception) -> Report:
    raise error
