"""How the processes that train are started: see `workers`.

Light to import, so that they can begin to import TensorFlow before this process imports anything.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker, util
from typing import Any

from nas.engines.program_cache import program_cache_flags, tidy_program_cache
from nas.stopping import TERMINAL_SIGNALS

# One thread for each library, and programs that compile a sixth faster and run as fast.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "XLA_FLAGS": "--xla_backend_optimization_level=1",
}

# The bytes that a folder of temporary files leaves for `pymp-xxxxxxxx/listener-xxxxxxxx` in the
# name of a socket, which has at most 107.
LONGEST_FOLDER = 70


def default_workers() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare_processes() -> None:
    """Lets the server of processes import TensorFlow; returns at once."""
    tidy_program_cache(xla_flags())
    if process_context().get_start_method() == "forkserver":
        with process_environment():
            forkserver.ensure_running()


def process_context() -> Any:
    """How processes are started: from a server that has TensorFlow loaded, where that is safe."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    _choose_socket_folder()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nas.engines.preload"])
    return context


def _choose_socket_folder() -> None:
    """Puts the sockets of multiprocessing into a folder whose name is short enough for them.

    Newer versions of Python do so themselves; in others `AF_UNIX path too long` ends the program.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER:
        return
    before, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        util.get_temp_dir()  # made once, removed at the end of the program
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def process_environment() -> Iterator[None]:
    """The environment that workers start with; what the user has set for XLA stays in force.

    Ctrl-C and the end of a terminal reach every process of it. They are blocked where one is
    started, and so within it from its first instruction on, when it could not yet end in silence.
    """
    flags = xla_flags()
    own = os.environ.get("TF_XLA_FLAGS", "")
    changes = {
        **ENVIRONMENT,
        "XLA_FLAGS": flags,
        "TF_XLA_FLAGS": f"{program_cache_flags(flags)} {own}".strip(),
    }
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    resource_tracker.ensure_running()  # which unblocks them once it has started
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def xla_flags() -> str:
    """The compiler's options."""
    return os.environ.get("XLA_FLAGS") or ENVIRONMENT["XLA_FLAGS"]
