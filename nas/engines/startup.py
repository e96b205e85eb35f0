"""Starting TensorFlow, in silence."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def silence() -> Iterator[None]:
    """Keeps what C++ code prints from the terminal.

    TensorFlow writes to file descriptor 2 directly, before any log level is in force.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def start_tensorflow(single_thread: bool = False) -> None:
    """Imports TensorFlow and makes it ready.

    Args:
        single_thread: Whether this process is to use one thread only.
    """
    with silence():
        import tensorflow as tf

        if single_thread:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.list_logical_devices()
        # What is loaded by now stays: no later collection need look at it again, and Keras
        # collects at the start of each trial.
        gc.collect()
        gc.freeze()
        tf.get_logger().setLevel("ERROR")
