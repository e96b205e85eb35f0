"""The signals that stop what runs, in the command and in somebody else's program."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from nas import stopping
from nas.stopping import SIGNALS, on_stop


@pytest.fixture(autouse=True)
def handlers_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    stopping.forget()


def test_handlers_are_put_back_after_an_error_too() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyboardInterrupt), on_stop(stopping.stop):
        os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert stopping.exit_code() == 130


def test_the_innermost_block_is_called() -> None:
    calls = []
    with on_stop(lambda: calls.append("outer")):
        with on_stop(lambda: calls.append("inner")):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert calls == ["inner", "outer"]


def test_a_signal_that_a_program_handles_itself_stays_its_own() -> None:
    received, ours = [], []
    signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    with on_stop(lambda: ours.append("stop")):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert (received, ours) == ([signal.SIGTERM], ["stop"])


def test_outside_the_main_thread_handlers_are_left_alone() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    within: list[object] = []

    def work() -> None:
        with on_stop(stopping.stop):
            within.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert within == before
