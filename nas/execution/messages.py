"""What a search and its workers send each other.

Functions and classes of the user's program, such as those of a notebook, are sent with all that
they need: a worker cannot import them. Rows in a file are sent as its name.
"""

import io
import pickle
from collections import ChainMap
from multiprocessing.connection import Connection
from typing import Any, ClassVar

import cloudpickle
import numpy as np

from nas.encoding.shared_rows import reduce_rows
from nas.errors import NasError, first_line


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    dispatch_table: ClassVar = ChainMap(
        {np.memmap: reduce_rows}, cloudpickle.Pickler.dispatch_table
    )


def send(connection: Connection, message: Any) -> None:
    """Sends a message.

    Raises:
        NasError: When something in it cannot be sent, such as an open file.
        OSError: When the other side is gone.
    """
    connection.send_bytes(packed(message))


def receive(connection: Connection) -> Any:
    """The next message; waits for it.

    Raises:
        EOFError: When the other side is gone; or OSError.
    """
    return pickle.loads(connection.recv_bytes())


def packed(message: Any) -> memoryview:
    """A message as bytes, which `pickle.loads` reads."""
    buffer = io.BytesIO()
    try:
        _Pickler(buffer).dump(message)
    except (pickle.PicklingError, TypeError) as error:
        raise NasError(
            "workers",
            f"something cannot be sent from process to process ({first_line(error)})",
            fix="Use workers=1, which trains in this process.",
        ) from error
    return buffer.getbuffer()
