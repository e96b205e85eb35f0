"""Starting JAX or TensorFlow, in silence."""

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nas.errors import NasError


@contextmanager
def changed_environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that hold within the block, and are put back behind it."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


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


def start_jax() -> None:
    """Imports JAX and makes it ready, on the device that is JAX's default here."""
    with silence():
        import jax

        jax.devices()
        # No later collection need look at what is loaded by now.
        gc.collect()
        gc.freeze()


def start_tensorflow(single_thread: bool = False, without_gpu: bool = False) -> None:
    """Imports TensorFlow, and Keras on top of it, and makes them ready.

    Objects that exist by then are left out of garbage collections until a `LocalPool` closes.

    Args:
        single_thread: Whether this process is to use one thread only.
        without_gpu: Whether it is not to see GPUs.

    Raises:
        NasError: When this process has imported Keras already, with another backend.
    """
    _check_backend()
    variables = {  # read once, at the import
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }
    with silence(), changed_environment(variables):
        import keras  # noqa: F401
        import tensorflow as tf

        if without_gpu:
            tf.config.set_visible_devices([], "GPU")
        if single_thread:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.list_logical_devices()
        # No later collection need look at what is loaded by now, and Keras collects at the start
        # of each trial.
        gc.collect()
        gc.freeze()
        tf.get_logger().setLevel("ERROR")


def _check_backend() -> None:
    keras = sys.modules.get("keras")
    backend = "tensorflow" if keras is None else keras.config.backend()
    if backend != "tensorflow":
        raise NasError(
            "KERAS_BACKEND",
            f"this process has imported Keras with the backend {backend}",
            "tensorflow",
            "Training needs none here with workers=2 or more, which are processes of their own.",
        )
