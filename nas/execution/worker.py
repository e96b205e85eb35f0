"""What a worker process does: the other side of `workers`."""

import contextlib
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from nas.engines.startup import start_tensorflow
from nas.errors import NasError, first_line
from nas.execution.helpers import Helpers
from nas.execution.messages import receive, send
from nas.execution.pool import Choose, Report, Task
from nas.execution.together import TogetherPool

MANY = 2**31  # jobs: the search decides how many it hands over
GRACE = 0.02  # seconds after a message in which another may come: places are planned for all
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


def train_jobs(
    connection: Connection,
    in_training: Any,
    together: bool = False,
    helpers: Sequence[Connection] = (),
) -> None:
    """Trains the jobs that a search hands over until it is gone.

    Args:
        connection: To the search.
        in_training: Memory shared with it, for the ticket of the job that trains.
        together: Whether all jobs train together, on a GPU that this process has to itself; else
            some epochs of each in turn.
        helpers: To the processes that help; see `helpers`.
    """
    # Ctrl-C reaches the whole terminal; the search decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the server ignores
    warnings.simplefilter("ignore")  # the terminal is the search's
    from nas.engines.selection import Selection

    with contextlib.suppress(EOFError, OSError):  # the search is gone
        try:
            folds, metric, engine, build, *how = receive(connection)
            look = Helpers(helpers, folds, metric).look_at_ends if together else None
            selection = Selection(
                folds, metric, engine, build, single_thread=True, look_at_ends=look
            )
        except ImportError as error:  # of a module of the user's
            received = f"cannot read what to train on ({first_line(error)})"
            fix = "Put its folder on PYTHONPATH, or use workers=1."
            send(connection, NasError("workers", received, fix=fix))
            return
        send(connection, None)  # ready
        if together:
            _train_together(connection, selection.choose, *how)
        else:
            _train_in_turn(connection, in_training, selection.choose, *how)


def _train_in_turn(
    connection: Connection, in_training: Any, choose: Choose, replicates: int, keeps_weights: bool
) -> None:
    tasks: dict[int, Task] = {}  # by their tickets
    turns: deque[tuple[int, int | None]] = deque()  # jobs that may train, and how many epochs

    def report(job: int, act: Callable[[Task], Report]) -> None:
        in_training.value = job
        told = act(tasks[job])
        if not told.running:
            del tasks[job]
        send(connection, told)
        in_training.value = NOTHING

    while True:
        while connection.poll(0) or not turns:
            kind, job, *rest = receive(connection)
            if kind == "start":
                spec, seed, done, epochs, folds = rest
                tasks[job] = Task(
                    choose, job, spec, seed, done, replicates, folds, keeps_weights=keeps_weights
                )
                if not done:  # else the answer to its last report follows
                    turns.append((job, epochs))
            elif kind == "cancel":
                tasks.pop(job, None)  # it may have ended by itself
                turns = deque(turn for turn in turns if turn[0] != job)
            elif rest[0]:
                turns.append((job, rest[1]))
            else:
                report(job, Task.end)
        job, epochs = turns.popleft()
        report(job, lambda task, epochs=epochs: task.advance(epochs))  # type: ignore[misc]


def _train_together(
    connection: Connection, choose: Choose, replicates: int, keeps_weights: bool
) -> None:
    pool = TogetherPool(choose, MANY, replicates, keeps_weights)
    while True:
        while connection.poll(GRACE) or pool.is_idle:
            kind, job, *rest = receive(connection)
            if kind == "start":
                spec, seed, done, epochs, folds = rest
                pool.submit(job, spec, seed, epochs, folds, done)
            elif kind == "cancel":
                pool.cancel(job)
            else:
                pool.answer(job, *rest)
            _tell(connection, pool)
        pool.train()
        _tell(connection, pool)


def _tell(connection: Connection, pool: TogetherPool) -> None:
    while (report := pool.ready()) is not None:
        send(connection, report)
