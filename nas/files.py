"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas.errors import NasError, first_line


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of `path` at the end of the block.

    Raises:
        NasError: When it cannot be written: a full disk, a folder that may only be read.
    """
    partial = path.with_name(f".{path.stem[:100]}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise NasError(str(path), f"cannot be written ({first_line(error, 120)})") from error
    finally:
        with suppress(OSError):  # such as that there is no such folder
            partial.unlink(missing_ok=True)
