"""Which files are tables, by their endings, and the bytes of those that are compressed."""

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from nas.data.value_checks import check_file
from nas.errors import NasError, first_line

TableKind = Literal["text", "arrow", "excel", "arff", "array"]

KINDS: dict[str, TableKind] = {
    ".csv": "text",
    ".tsv": "text",
    ".tab": "text",
    ".txt": "text",
    ".parquet": "arrow",
    ".pq": "arrow",
    ".feather": "arrow",
    ".arrow": "arrow",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".arff": "arff",
    ".npy": "array",
}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
KNOWN_TABLES = ".csv, .tsv, .parquet, .feather, .xlsx, .arff or .npy"


def table_kind(path: Path) -> TableKind | None:
    """What kind of table a file is; None where it is none. Only text may be compressed."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_compressed = bool(suffixes) and suffixes[-1] in (*DECOMPRESS, ".zip")
    if is_compressed:
        suffixes.pop()
        if not suffixes or suffixes[-1] not in KINDS:
            member = _member(path) if path.suffix.lower() == ".zip" and path.is_file() else None
            suffixes = [Path(member).suffix.lower()] if member else []
    kind = KINDS.get(suffixes[-1]) if suffixes else None
    return None if is_compressed and kind not in ("text", "arff") else kind


def read_bytes(path: Path) -> bytes:
    """What a file holds, without its compression.

    Raises:
        NasError: When it is missing, empty, damaged, or an archive of several files.
    """
    check_file(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                return archive.read(_the_member(archive, path))
        data = path.read_bytes()
        return DECOMPRESS[suffix](data) if suffix in DECOMPRESS else data
    except (OSError, EOFError, ValueError, RuntimeError, lzma.LZMAError, zipfile.BadZipFile) as e:
        raise NasError(str(path), f"cannot be read ({first_line(e, 120)})", "a whole file") from e


def _members(archive: zipfile.ZipFile) -> list[str]:
    """The files in it, without folders and what macOS adds."""
    names = [name for name in archive.namelist() if not name.endswith("/")]
    return [name for name in names if not name.startswith("__MACOSX/")]


def _member(path: Path) -> str | None:
    """The one file in an archive; None where there are several, or it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = _members(archive)
    except (OSError, zipfile.BadZipFile):
        return None
    return names[0] if len(names) == 1 else None


def _the_member(archive: zipfile.ZipFile, path: Path) -> str:
    names = _members(archive)
    if len(names) != 1:
        told = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        raise NasError(str(path), f"holds {len(names)} files ({told})", "one", "Unpack it.")
    return names[0]
