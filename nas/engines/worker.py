"""What a worker process does: the other side of `workers`."""

import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from nas.engines.messages import receive, send
from nas.engines.pool import Report, Task
from nas.engines.program_cache import may_be_cache_failure, without_program_cache
from nas.engines.startup import start_tensorflow
from nas.errors import NasError, first_line

NOTHING = -1  # instead of a ticket, where no job is in training


def answer_call(connection: Connection, keeps_programs: bool) -> None:
    """Calls one function, and answers what it returned or raised; see `Pool.call`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What it has begun to write, it takes away before it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.suppress(EOFError, OSError):
        _start(keeps_programs)
        answer: Any = None
        error: Exception | None = None
        cache_failed = False
        try:
            function, arguments = receive(connection)
            answer = function(*arguments)
        except NasError as known:
            error = known
        except MemoryError:
            error = MemoryError()
        except Exception as other:  # of any class, which the other side may not be able to read
            error, cache_failed = RuntimeError(first_line(other)), may_be_cache_failure(other)
        send(connection, (answer, error, cache_failed))
    # It is told to end as soon as it has answered; in its last moments that would be a traceback.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _start(keeps_programs: bool) -> None:
    if not keeps_programs:  # TensorFlow reads it when it first compiles something
        os.environ["TF_XLA_FLAGS"] = without_program_cache(os.environ.get("TF_XLA_FLAGS", ""))
    start_tensorflow(single_thread=True)


def train_jobs(connection: Connection, in_training: Any, keeps_programs: bool) -> None:
    """Trains the jobs that a search hands over, an epoch of each in turn, until it is gone.

    Args:
        connection: To the search.
        in_training: Memory shared with it, for the ticket of the job that trains.
        keeps_programs: Whether compiled programs are kept on disk.
    """
    # Ctrl-C reaches the whole terminal; the search decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the server ignores
    _start(keeps_programs)
    from nas.engines.selection import Selection

    with contextlib.suppress(EOFError, OSError):  # the search is gone
        try:
            selection = Selection(*receive(connection))
        except ImportError as error:  # of a module of the user's
            received = f"cannot read what to train on ({first_line(error)})"
            fix = "Put its folder on PYTHONPATH, or use workers=1."
            send(connection, NasError("workers", received, fix=fix))
            return
        send(connection, None)  # ready
        tasks: dict[int, Task] = {}  # by their tickets
        turns: deque[int] = deque()  # jobs that may train an epoch

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
                    spec, seed, done = rest
                    tasks[job] = Task(selection.choose, job, spec, seed, done)
                    if not done:  # else the answer to its last report follows
                        turns.append(job)
                elif kind == "cancel":
                    tasks.pop(job, None)  # it may have ended by itself
                    if job in turns:
                        turns.remove(job)
                elif rest[0]:
                    turns.append(job)
                else:
                    report(job, Task.end)
            report(turns.popleft(), Task.advance)
