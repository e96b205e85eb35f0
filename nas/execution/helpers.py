"""Processes that help one that trains on a GPU.

Python uses one core of a process. What is to be found out when lanes have ended takes longer than
their training on a GPU, so other processes do it.
"""

import contextlib
import signal
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue

from nas.encoding import FoldData
from nas.engines.lane_end import EndedLane, look_at_ends
from nas.engines.lane_log import LaneEnd
from nas.errors import NasError, first_line
from nas.execution.messages import receive, send
from nas.metrics import Metric


def help_training(connection: Connection) -> None:
    """What a helper does until the process that it helps is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the server ignores
    warnings.simplefilter("ignore")
    with contextlib.suppress(EOFError, OSError):
        folds, metric = receive(connection)
        while True:
            lanes = receive(connection)
            ends: list[LaneEnd] = []
            error: Exception | None = None
            try:
                ends = look_at_ends(folds, metric, lanes)
            except NasError as known:
                error = known
            except Exception as other:  # of a metric of the user's
                error = RuntimeError(first_line(other))
            send(connection, (ends, error))


class Helpers:
    """The other side: calls `look_at_ends` in a helper that is free.

    Args:
        connections: To the helpers.
        folds: All folds.
        metric: What training parts are scored by.
    """

    def __init__(
        self, connections: Sequence[Connection], folds: Sequence[FoldData], metric: Metric
    ) -> None:
        self._free: SimpleQueue[Connection | None] = SimpleQueue()
        for connection in connections:
            with contextlib.suppress(OSError):  # it is gone
                send(connection, (folds, metric))
            self._free.put(connection)
        if not connections:
            self._free.put(None)

    def look_at_ends(
        self, folds: Sequence[FoldData], metric: Metric, lanes: Sequence[EndedLane]
    ) -> list[LaneEnd]:
        """See `nas.engines.lane_end.look_at_ends`; waits for a helper. Called in threads."""
        helper = self._free.get()
        if helper is not None:
            try:
                send(helper, lanes)
                ends, error = receive(helper)
            except (EOFError, OSError):
                helper = None  # it is gone: this process does its work from now on
        self._free.put(helper)
        if helper is None:
            return look_at_ends(folds, metric, lanes)
        if error is not None:
            raise error
        return list(ends)
