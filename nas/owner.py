"""Who trains a trial, and whether that process still lives."""

import os
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

FOREIGN_TRIAL_IS_STALE = timedelta(days=1)


def this_process() -> dict[str, Any]:
    """This process as the attribute `owner` of its trials."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "start": _start_of(os.getpid())}


def is_alive(trial: FrozenTrial) -> bool:
    """Whether the process that trains the trial lives.

    A process of another machine, which cannot be asked, counts as alive for a day.
    """
    owner = trial.user_attrs.get("owner")
    if owner is None or owner["host"] != socket.gethostname():
        started = trial.datetime_start or datetime.now()
        limit = timedelta(minutes=1) if owner is None else FOREIGN_TRIAL_IS_STALE
        return datetime.now() - started < limit
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(owner["start"] == _start_of(owner["pid"]))


def _start_of(pid: int) -> str:
    """When a process started, where the system tells; guards against a reused process id.

    Empty for one that has ended, though whoever started it has not asked yet how: it keeps its id.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    state, *others = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else others[18]
