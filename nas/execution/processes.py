"""How the processes that train are started: see `workers`.

They never import the program that started them, so a search works from a script without
`if __name__ == "__main__"`, from a notebook and from `python -c`. On Linux they are forked from a
server that has loaded what they need, JAX or TensorFlow, and that no other user of multiprocessing
shares.

Light to import, so that they can begin with that before this process imports anything.
"""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from multiprocessing import forkserver, resource_tracker, spawn, util
from multiprocessing.process import BaseProcess
from types import FunctionType, SimpleNamespace
from typing import Any, Literal

from nas.engines.startup import changed_environment
from nas.execution.program_cache import program_cache_variables, tidy_program_cache
from nas.stopping import TERMINAL_SIGNALS

StartMethod = Literal["forkserver", "spawn"]
Library = Literal["jax", "tensorflow"]
# Only Linux can fork a process that has such a library loaded.
START_METHOD: StartMethod = "forkserver" if sys.platform == "linux" else "spawn"

# One thread for each library; programs that compile a sixth faster and, with registers of 512 bits
# where there are any, run a seventh faster.
ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",  # whatever the user's own process has
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NPROC": "1",  # threads of JAX
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # Else each of them would take the whole memory of a GPU.
    "JAX_PLATFORMS": "cpu",
    # Of programs: `engines.program_file` keeps them, and what JAX has read cannot be kept again.
    "JAX_ENABLE_COMPILATION_CACHE": "false",
    "CUDA_VISIBLE_DEVICES": "-1",
    "XLA_FLAGS": "--xla_backend_optimization_level=1 --xla_cpu_prefer_vector_width=512 "
    "--xla_cpu_multi_thread_eigen=false",
}

# The bytes that a folder of temporary files leaves for `pymp-xxxxxxxx/listener-xxxxxxxx` in the
# name of a socket, which has at most 107.
LONGEST_FOLDER = 70


def default_workers() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare_processes(library: Library = "jax") -> None:
    """Lets the server of processes import a library; returns at once."""
    if library == "jax":
        tidy_program_cache(xla_flags())
    if START_METHOD == "forkserver":
        with _terminal_signals_blocked():
            _start_server(library)


def start_process(
    library: Library,
    target: Callable[..., None],
    *arguments: Any,
    environment: Mapping[str, str] | None = None,
) -> BaseProcess:
    """Starts a process that calls a function; it ends with this one at the latest.

    Args:
        library: What it needs, and has loaded already on Linux.
        target: A function of a module, not of the user's program.
        arguments: What multiprocessing can send to a process that starts.
        environment: Variables of its own; it then loads the library itself.
    """
    process = _Process(target=target, args=arguments, daemon=True)
    process.library = library
    process.method = START_METHOD if environment is None else "spawn"
    with _terminal_signals_blocked():
        if process.method == "forkserver":
            _start_server(library)
            process.start()
        else:
            with _process_environment(), changed_environment(environment or {}):
                process.start()
    return process


class _Process(BaseProcess):
    """A process that is started by `multiprocessing`, with two things of its own: see `_popen`."""

    _start_method = None  # the one of this program's other processes stays what it is
    library: Library
    method: StartMethod

    @staticmethod
    def _Popen(process: Any) -> Any:  # noqa: N802
        return _popen(process.method, process.library)(process)


@cache
def _popen(method: StartMethod, library: Library) -> Any:
    """The class with which multiprocessing starts a process, changed in two things.

    The process is not told where the program's `__main__` lies, which it would import. And it is
    asked of our own server: the common one may have been started without TensorFlow, and what it
    has loaded and the signals that it ignores would pass to the user's own processes.
    """
    theirs: Any
    name = "_launch"
    if method == "forkserver":
        from multiprocessing import popen_forkserver as theirs
    elif sys.platform == "win32":
        from multiprocessing import popen_spawn_win32 as theirs

        name = "__init__"
    else:
        from multiprocessing import popen_spawn_posix as theirs
    launch = getattr(theirs.Popen, name)
    connect = _servers[library].connect_to_new_process
    own_names = {
        "spawn": _changed(spawn, get_preparation_data=_preparation_data),
        "forkserver": _changed(forkserver, connect_to_new_process=connect),
    }
    own_launch = FunctionType(launch.__code__, {**launch.__globals__, **own_names})
    return type("Popen", (theirs.Popen,), {name: own_launch})


def _changed(module: Any, **changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(module), **changes})


def _preparation_data(name: str) -> dict[str, Any]:
    data = spawn.get_preparation_data(name)
    return {key: value for key, value in data.items() if not key.startswith("init_main")}


_servers: dict[Library, forkserver.ForkServer] = {
    "jax": forkserver.ForkServer(),
    "tensorflow": forkserver.ForkServer(),
}
for _library, _one in _servers.items():
    _one.set_forkserver_preload([f"nas.execution.preload_{_library}"])


def _start_server(library: Library) -> None:
    """Starts the server of processes that have a library where it does not run."""
    _choose_socket_folder()
    with _process_environment():
        _servers[library].ensure_running()


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
def _terminal_signals_blocked() -> Iterator[None]:
    """Ctrl-C and the end of a terminal reach every process of it.

    They are blocked where one is started, and so within it from its first instruction on, when it
    could not yet end in silence.
    """
    if sys.platform == "win32":  # which has no such thing
        yield
        return
    resource_tracker.ensure_running()  # which unblocks them once it has started
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextlib.contextmanager
def _process_environment() -> Iterator[None]:
    """The environment that workers start with; what the user has set for XLA stays in force."""
    flags = xla_flags()
    changes = {**ENVIRONMENT, **program_cache_variables(flags), "XLA_FLAGS": flags}
    with changed_environment(changes):
        yield


def xla_flags() -> str:
    """The compiler's options."""
    return os.environ.get("XLA_FLAGS") or ENVIRONMENT["XLA_FLAGS"]
