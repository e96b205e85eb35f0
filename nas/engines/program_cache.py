"""Compiled programs kept on disk, so that the next search need not compile them again.

TensorFlow reads and writes the files; this module chooses the directory and keeps it sound. A
program is machine code: the directory is named after the processor, TensorFlow's version and the
compiler's options, so that a home directory that several machines share holds one for each.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path

from nas.errors import OUT_OF_MEMORY, first_line

MAX_BYTES = 200e6  # of all programs of a directory; one has about a megabyte
MIN_FREE_BYTES = 1e9  # on the disk; TensorFlow fails where it cannot write a program
ABANDONED_SECONDS = 3600.0
OPTION = "--tf_xla_persistent_cache_"  # how the names of TensorFlow's flags begin


def cache_home() -> Path | None:
    """The directory of caches: `NAS_CACHE_DIR` (empty for none), else the user's."""
    chosen = os.environ.get("NAS_CACHE_DIR")
    if chosen is not None:
        return Path(chosen) if chosen else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas"


def program_cache_flags(xla_flags: str) -> str:
    """What `TF_XLA_FLAGS` must hold before TensorFlow starts; empty where nothing can be kept.

    Args:
        xla_flags: The compiler's options, as in `XLA_FLAGS`.
    """
    directory = _directory(xla_flags)
    if directory is None or any(character.isspace() for character in str(directory)):
        return ""  # the flags are separated by spaces
    return f"{OPTION}directory={directory} {OPTION}device_types=CPU"


def without_program_cache(flags: str) -> str:
    """The value of `TF_XLA_FLAGS` with which nothing is kept."""
    return " ".join(word for word in flags.split() if not word.startswith(OPTION))


def may_be_cache_failure(error: BaseException) -> bool:
    """Whether an error of this process may come from the cache: a full disk, a damaged program.

    TensorFlow fails the computation then, and each later one that needs the same program. What it
    says need not name the file, so any error of TensorFlow's counts, but for too little memory.
    """
    return (
        OPTION in os.environ.get("TF_XLA_FLAGS", "")
        and type(error).__module__.startswith("tensorflow.")
        and first_line(error) != OUT_OF_MEMORY
    )


def empty_program_cache(xla_flags: str) -> None:
    """Removes all kept programs: one of them is damaged, or there is no room for them."""
    with contextlib.suppress(OSError, RuntimeError):
        directory = _place(xla_flags)
        for path in directory.iterdir() if directory is not None else ():
            path.unlink(missing_ok=True)


def tidy_program_cache(xla_flags: str) -> None:
    """Removes what is damaged or left half written, then the oldest programs beyond the limit."""
    directory = _directory(xla_flags)
    if directory is None:
        return
    kept = 0
    for path in sorted(directory.iterdir(), key=lambda p: _stat(p)[0], reverse=True):
        modified, size = _stat(path)
        if path.suffix == ".tmp":  # another search may be writing it
            stale = time.time() - modified > ABANDONED_SECONDS
        else:
            stale = kept + size > MAX_BYTES or not _is_whole(path)
        if stale:
            path.unlink(missing_ok=True)
        else:
            kept += size


def _directory(xla_flags: str) -> Path | None:
    """Where programs are kept; None where they cannot be."""
    try:
        directory = _place(xla_flags)
        if directory is None:
            return None
        directory.mkdir(parents=True, exist_ok=True)
        too_full = shutil.disk_usage(directory).free < MIN_FREE_BYTES
        return None if too_full or not os.access(directory, os.W_OK) else directory
    except (OSError, RuntimeError):  # no home directory, a file in the way, a network disk gone
        return None


def _place(xla_flags: str) -> Path | None:
    home = cache_home()
    return None if home is None else home / "programs" / _machine(xla_flags)


def _machine(xla_flags: str) -> str:
    """A name for all that the machine code depends on."""
    processor = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(errors="replace").splitlines()
        of_interest = ("model name", "flags", "Features", "CPU part")
        processor = "\n".join(sorted({line for line in lines if line.startswith(of_interest)}))
    parts = (version("tensorflow"), platform.machine(), processor, xla_flags)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _stat(path: Path) -> tuple[float, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:  # another search has tidied
        return 0.0, 0
    return stat.st_mtime, stat.st_size


def _is_whole(path: Path) -> bool:
    """Whether a file is a protocol buffer message from its first byte to its last.

    TensorFlow fails for good on a file that a power cut has shortened or filled with zeros.
    """
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.message import DecodeError

    try:
        content = path.read_bytes()
        Empty.FromString(content)
    except (OSError, DecodeError):
        return False
    return content.startswith(b"\x0a")  # the first field
