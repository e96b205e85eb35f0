"""Ctrl-C, and the signals by which a system ends a program: each stops a command in the same way.

Light to import: it is in force while everything else is imported.
"""

import signal
import sys
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


@contextmanager
def on_stop(handle: Callable[[], None]) -> Iterator[None]:
    """Calls a function for each signal that stops a program, within the block.

    What is ignored on purpose, as `nohup` does, stays ignored; but Ctrl-C always works.
    """

    def note(number: int, _frame: FrameType | None) -> None:
        _received.append(number)
        handle()

    ours = [s for s in SIGNALS if s == signal.SIGINT or signal.getsignal(s) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
