"""Compiled programs kept on disk, so that the next search need not compile them again.

`nas.engines.program_file` reads and writes the files; this module chooses the directory and keeps
it sound. A program is machine code: the directory is named after
the processor, JAX's version and the compiler's options, so that a home directory that several
machines share holds one for each.
"""

import hashlib
import os
import platform
import shutil
import time
import zlib
from importlib.metadata import version
from pathlib import Path

from nas.engines.program_file import DIRECTORY

MAX_BYTES = 200e6  # of all programs of a directory; one has about a megabyte
MIN_FREE_BYTES = 1e9  # on the disk
BEING_WRITTEN = 10.0  # seconds that a file may be incomplete for


def cache_home() -> Path | None:
    """The directory of caches: `NAS_CACHE_DIR` (empty for none), else the user's."""
    chosen = os.environ.get("NAS_CACHE_DIR")
    if chosen is not None:
        return Path(chosen) if chosen else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas"


def program_cache_variables(xla_flags: str) -> dict[str, str]:
    """Environment variables with which workers keep programs; none where nothing can be kept.

    Args:
        xla_flags: The compiler's options, as in `XLA_FLAGS`.
    """
    directory = _directory(xla_flags)
    if directory is None:
        return {}
    return {DIRECTORY: str(directory)}


def tidy_program_cache(xla_flags: str) -> None:
    """Removes what is damaged, then the oldest programs beyond the limit."""
    directory = _directory(xla_flags)
    if directory is None:
        return
    kept = 0
    files = [path for path in directory.iterdir() if path.is_file()]
    for path in sorted(files, key=lambda p: _stat(p)[0], reverse=True):
        modified, size = _stat(path)
        is_young = time.time() - modified < BEING_WRITTEN  # by another search, maybe
        if not is_young and (kept + size > MAX_BYTES or not _is_whole(path)):
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
    parts = (version("jaxlib"), platform.machine(), processor, xla_flags)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _stat(path: Path) -> tuple[float, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:  # another search has tidied
        return 0.0, 0
    return stat.st_mtime, stat.st_size


def _is_whole(path: Path) -> bool:
    """Whether a file holds all that was compressed into it; a power cut may have shortened it."""
    try:
        zlib.decompress(path.read_bytes())
    except (OSError, zlib.error):
        return False
    return True
