"""Ctrl-C, and the signals by which a system ends a program: each stops a command in the same way.

Light to import: it is in force while everything else is imported.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C; `kill`, `timeout`, systemd and batch systems; a terminal that closes.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# Those that a terminal sends to all processes that it has started.
TERMINAL_SIGNALS = tuple(number for number in SIGNALS if number != signal.SIGTERM)
LINE = "nas: stopped; the same command starts again or goes on"

_received: list[int] = []


class _Handler:
    """What is called for a signal within `on_stop`."""

    def __init__(self, handle: Callable[[], None]) -> None:
        self._handle = handle

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        _received.append(number)
        self._handle()


@contextmanager
def on_stop(handle: Callable[[], None]) -> Iterator[None]:
    """Calls a function for each signal that stops a program, within the block.

    Ctrl-C always works. Of the other signals, one that is ignored on purpose, as `nohup` does,
    stays ignored, and one that the caller's program handles itself stays its own. Handlers are as
    they were behind the block. Outside the main thread, where Python allows no handlers, nothing
    changes.
    """
    is_main_thread = threading.current_thread() is threading.main_thread()
    ours = [number for number in SIGNALS if is_main_thread and _may_handle(number)]
    handler = _Handler(handle)
    before = {number: signal.signal(number, handler) for number in ours}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _may_handle(number: int) -> bool:
    now = signal.getsignal(number)
    if number == signal.SIGINT:
        return now is not None  # else it is handled outside Python, and could not be put back
    return now == signal.SIG_DFL or isinstance(now, _Handler)


def stop() -> None:
    """Ends what runs, wherever it is."""
    raise KeyboardInterrupt


def was_stopped() -> bool:
    return bool(_received)


def exit_code() -> int:
    """The exit code of a program that the signal ended: 130 after Ctrl-C, 143 after `kill`."""
    return 128 + (_received[-1] if _received else signal.SIGINT)


def say_stopped() -> None:
    print(LINE, file=sys.stderr)


def forget() -> None:
    """For the next command in the same process."""
    _received.clear()


def ignore_from_now_on() -> None:
    """For the last moments of a program, which has nothing more to stop."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
