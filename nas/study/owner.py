"""Who trains a trial, and whether that search still lives.

A search holds a lease: an attribute of the study with a counter, which its writing thread raises
every few seconds. If another process sees no change for `LIFETIME`, by its own clock, it considers
the search dead; the clocks of two machines are never compared. A search that has ended has no
lease.
"""

import os
import socket
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

LEASE = "nas:lease:"  # and its id: a system attribute of the study
RENEWAL = 5.0  # seconds between two counts
LIFETIME = 60.0  # seconds without a new count after which a search counts as dead
FOREIGN_TRIAL_IS_STALE = timedelta(days=1)  # of a trial without a lease, from nas 0.1

_held: set[str] = set()  # ids of the leases of this process


def this_process() -> dict[str, Any]:
    """This process, for the attribute `owner` of its trials and for its leases."""
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": pid,
        "start": _start_of(pid),
    }


class Lease:
    """The lease of a search in this process, held until it is released."""

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._count = 0
        _held.add(self.id)

    @property
    def key(self) -> str:
        """Name of the study's system attribute that it is."""
        return LEASE + self.id

    @property
    def owner(self) -> dict[str, Any]:
        """What its trials have as `owner`."""
        return {**this_process(), "lease": self.id}

    def next_value(self) -> dict[str, Any]:
        """What the attribute is to be next."""
        self._count += 1
        return {**this_process(), "count": self._count}

    def release(self) -> None:
        """Has this process know that the search ended, whatever the database says."""
        _held.discard(self.id)


@dataclass
class _Seen:
    """What a watch saw of a lease: its last count, since when, and whether it was raised."""

    count: int
    since: float
    raised: bool = False


class Watch:
    """Tells which searches live, from what it saw of their leases.

    A search of this machine whose process is gone is known to be dead at once, one elsewhere
    after `LIFETIME`.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def living(self, leases: Mapping[str, Mapping[str, Any] | None]) -> dict[str, bool]:
        """The leases of searches that live.

        Args:
            leases: All of a study as they are now, by id: `Lease.next_value` of each, or None for
                one that was given up where it could not be deleted.

        Returns:
            By id, whether it is known to live, or has just not been seen for long enough.
        """
        found = {}
        for lease, value in leases.items():
            if value is None:
                continue
            if lease in _held:
                found[lease] = True
                continue
            runs = _is_running(value)
            if runs is not False and not self._is_expired(lease, value["count"]):
                found[lease] = self._seen[lease].raised or runs is True
        return found

    def _is_expired(self, lease: str, count: int) -> bool:
        now, seen = time.monotonic(), self._seen.get(lease)
        if seen is None or seen.count != count:
            self._seen[lease] = _Seen(count, now, raised=seen is not None)
            return False
        return now - seen.since >= LIFETIME


def is_alive(trial: FrozenTrial, living: Mapping[str, bool]) -> bool:
    """Whether the search that trains the trial lives.

    Args:
        trial: A trial in training.
        living: The study's leases, from `Watch.living`.
    """
    owner = trial.user_attrs.get("owner")
    if owner is not None and "lease" in owner:
        return owner["lease"] in living
    # A trial of nas 0.1: by its process, and where that cannot be asked for a day.
    if owner is None or owner["host"] != socket.gethostname() or sys.platform == "win32":
        started = trial.datetime_start or datetime.now()
        limit = timedelta(minutes=1) if owner is None else FOREIGN_TRIAL_IS_STALE
        return datetime.now() - started < limit
    return _runs(owner["pid"], owner["start"])


def _is_running(value: Mapping[str, Any]) -> bool | None:
    """Whether the search of a lease that this process does not hold may go on, by its process.

    None where it cannot be asked: on another machine, and on Windows, where to ask ends it.
    """
    if value["machine"] != _machine():
        return None
    if value["pid"] == os.getpid() and value["start"] == _start_of(os.getpid()):
        return False  # an earlier search of this process, or of another with its id
    return None if sys.platform == "win32" else _runs(value["pid"], value["start"])


def _runs(pid: int, start: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return start == _start_of(pid)


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


@lru_cache(maxsize=1)
def _machine() -> str:
    """Within what a process id means one process: two containers may have one host name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()
