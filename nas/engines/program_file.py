"""Programs on disk, ready to run.

JAX's own cache finds a compiled program by what was traced, and tracing takes as long as all else
that is left to do then. Here it is found by what the trace depends on. Light to import: the search
has the variable's name from here.
"""

import hashlib
import os
import pickle
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

DIRECTORY = "NAS_PROGRAMS"  # names the environment variable, which only workers have
# Whatever of ours may change a program; `nas.layers` says how an embedding divides.
SOURCES = ("engines/*.py", "models/*.py", "layers.py")


def program_path(description: str, arguments: Any) -> Path | None:
    """Where a program lies, if it does; None where nothing is kept.

    Args:
        description: What it does.
        arguments: What it is called with, or others of the same shapes and types.
    """
    directory = os.environ.get(DIRECTORY)
    if not directory:
        return None
    import jax

    leaves, tree = jax.tree.flatten(arguments)
    kinds = [(jax.numpy.shape(leaf), jax.numpy.result_type(leaf)) for leaf in leaves]
    device = jax.local_devices()[0]
    parts = (description, kinds, tree, jax.__version__, device.device_kind, _sources())
    name = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    return Path(directory, f"program-{name[:32]}")


def read_program(path: Path) -> Any:
    """A program, ready to run; None where there is none, or one that does not run here."""
    if not path.exists():
        return None
    from jax.experimental import serialize_executable

    try:
        return serialize_executable.deserialize_and_load(
            *pickle.loads(zlib.decompress(path.read_bytes()))
        )
    except Exception:  # whatever is wrong with the file, to compile the program helps
        return None


def write_program(path: Path, program: Any) -> None:
    """Keeps a program, if that is possible."""
    import jax
    from jax.experimental import serialize_executable

    begun = path.with_name(f"{path.name}-{os.getpid()}")
    try:
        content = pickle.dumps(serialize_executable.serialize(program))
        begun.write_bytes(zlib.compress(content, 1))
        begun.replace(path)
    except (OSError, ValueError, NotImplementedError, jax.errors.JaxRuntimeError):
        with suppress(OSError):
            begun.unlink(missing_ok=True)


@cache
def _sources() -> str:
    package = Path(__file__).parents[1]
    files = sorted(path for pattern in SOURCES for path in package.glob(pattern))
    return hashlib.sha256(b"\n".join(path.read_bytes() for path in files)).hexdigest()
