"""What can be sent to a worker."""

import pickle
import threading
from multiprocessing import Pipe
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from nas.errors import NasError
from nas.execution.messages import receive, send


def through_a_pipe(value: object) -> object:
    ours, theirs = Pipe()
    send(ours, value)
    return receive(theirs)


def test_a_function_travels_with_its_closure() -> None:
    factor = 3

    def scaled(x: int) -> int:
        return factor * x

    received = through_a_pipe((scaled, lambda x: x + factor))
    assert [function(2) for function in received] == [6, 5]  # type: ignore[attr-defined]


def test_what_cannot_be_sent_is_told_in_one_line() -> None:
    with pytest.raises(NasError, match=r"^workers: something cannot be sent .*lock"):
        through_a_pipe(threading.Lock())


def test_other_users_of_multiprocessing_send_rows_in_files_as_ever(tmp_path) -> None:
    rows = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", "f4", (3, 2))
    rows[:] = 1.0
    message = bytes(ForkingPickler.dumps(rows))
    (tmp_path / "rows.npy").unlink()
    np.testing.assert_array_equal(pickle.loads(message), 1.0)
