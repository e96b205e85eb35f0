"""The cells of a CSV file as text: its encoding, its separator, and rows of one length."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from nas.data.numerals import is_number
from nas.data.table_kinds import read_bytes
from nas.errors import NasError
from nas.wording import counted

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_RECORDS = 200  # that the separator is chosen by
CHUNK_ROWS = 50_000  # that are Python text at the same time
# The longer marks first: UTF-32 begins like UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
END_OF_DOS = b"\x1a"  # the end of a file, for old programs
NUL = re.compile("\x00")
CONTROL = re.compile("[\x00-\x08\x0e-\x1f]")
EXCEL_SEPARATOR = re.compile("sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class CsvFile:
    """A CSV file before anything is known about its columns.

    Attributes:
        first: The cells of the first line.
        rows: All other lines; columns are numbered from 0, cells are text without outer blanks.
        separator: What stands between the cells.
        notes: What was found out about the file, a sentence each.
    """

    first: tuple[str, ...]
    rows: pd.DataFrame
    separator: str
    notes: tuple[str, ...]


def read_csv(path: Path) -> CsvFile:
    """Reads all cells of a CSV file as text.

    Raises:
        NasError: When it is empty, no text, or has a row of another length than the first line.
    """
    text, notes = _decode(path)
    separator = None
    if match := EXCEL_SEPARATOR.match(text):
        separator, text = match[1], text[match.end() :]
    if not text.strip():
        raise NasError(str(path), "the file is empty", "a header line and rows")
    separator = separator or _find_separator(text)
    sample = [cells for _, cells in islice(_records(text, separator), SAMPLE_RECORDS)]
    width = _usual_width(sample)
    records = _records(text, separator, width, path)
    comments = 0
    first: tuple[str, ...] | None = None
    parts, chunk = [], []
    for line, cells in records:
        if cells[0].startswith("#") and len(cells) != width:
            comments += 1
            continue
        if first is None:
            first = tuple(_without_empty_end(cells, width))
            continue
        if len(cells) != len(first):
            cells = _without_empty_end(cells, len(first))
        if len(cells) != len(first):
            raise NasError(
                str(path),
                f"cannot be read as a table (line {line} has {counted(len(cells), 'field')}, "
                f"the first line has {len(first)})",
                "a name for each column, and as many fields in each row",
            )
        chunk.append(cells)
        if len(chunk) == CHUNK_ROWS:
            parts.append(_frame(chunk))
            chunk = []
    if first is None:
        raise NasError(str(path), "the file is empty", "a header line and rows")
    if chunk or not parts:
        parts.append(_frame(chunk, len(first)))
    if comments:
        notes.append(f"{counted(comments, 'line')} of comments (#) passed over")
    return CsvFile(first, pd.concat(parts, ignore_index=True), separator, tuple(notes))


def _frame(rows: list[list[str]], width: int = 0) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame({k: pd.Series([], dtype="str") for k in range(width)})
    return pd.DataFrame(rows, dtype="str")


def _decode(path: Path) -> tuple[str, list[str]]:
    data = read_bytes(path)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), None)
    notes = []
    if encoding is None:
        encoding = _utf16_without_a_mark(data) or "utf-8"
    try:
        text = data.removesuffix(END_OF_DOS).decode(encoding)
    except UnicodeDecodeError:
        encoding = "cp1252"
        notes.append("the file is no UTF-8; it is read as Windows-1252 (Latin-1)")
        try:
            text = data.removesuffix(END_OF_DOS).decode(encoding)
        except UnicodeDecodeError as error:
            raise _no_text(path) from error
    # A stray control character is harmless in UTF-8, which other bytes hardly ever look like.
    if (CONTROL if encoding == "cp1252" else NUL).search(text):
        raise _no_text(path)
    return text, notes


def _no_text(path: Path) -> NasError:
    return NasError(
        str(path),
        "cannot be read as a table (some of its bytes are no text)",
        "CSV or Parquet",
        "Save it as UTF-8.",
    )


def _utf16_without_a_mark(data: bytes) -> str | None:
    """Its name where nearly every other byte is zero, as in Latin letters of two bytes."""
    start = np.frombuffer(data[:2000], dtype=np.uint8)
    for odd, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = start[odd::2]
        if len(half) > 1 and (half == 0).mean() > 0.9:
            return name
    return None


def _records(
    text: str, separator: str, width: int = 0, path: Path | None = None
) -> Iterator[tuple[int, list[str]]]:
    """The line and the cells of each record that is not blank.

    Raises:
        NasError: When `path` is given and the file ends within quotes.
    """
    end = "the end of the file"  # swallowed where a quote is open

    def lines() -> Iterator[str]:
        yield from io.StringIO(text, newline="")
        yield from ("\n", end)

    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(lines(), delimiter=separator, skipinitialspace=True)
    last: list[str] = []
    for last in reader:
        cells = [cell.strip() for cell in last]
        if last == [end]:
            return
        if any(cells) or (cells and len(cells) == width > 1):
            yield reader.line_num, cells
    if path is not None:
        raise NasError(
            str(path),
            "cannot be read as a table (the file ends within a quoted cell)",
            "a second quote at the end of each quoted cell",
        )


def _find_separator(text: str) -> str:
    """The separator that gives the first records equally many cells, at least two."""
    found: dict[str, tuple[int, list[list[str]]]] = {}
    for separator in SEPARATORS:
        sample = [cells for _, cells in islice(_records(text, separator), SAMPLE_RECORDS)]
        width = _usual_width(sample)
        agreeing = [cells for cells in sample if len(cells) == width]
        if width > 1 and len(agreeing) >= 0.9 * len(sample):
            found[separator] = width, agreeing
    if not found:  # ragged rows, which are told later, or a single column
        header = text.lstrip().split("\n", 1)[0]
        return max(SEPARATORS, key=header.count)
    for separator, (_, sample) in found.items():
        # Commas in numbers are no separators where another separator is as regular.
        inner = [cell for cells in sample for cell in cells if "," in cell]
        if separator != "," and "," in found and inner and all(map(is_number, inner)):
            return separator
    return max(found, key=lambda separator: found[separator][0])


def _usual_width(records: list[list[str]]) -> int:
    counts = Counter(map(len, records))
    return counts.most_common(1)[0][0] if counts else 0


def _without_empty_end(cells: list[str], width: int) -> list[str]:
    """The cells without those beyond the width, if they are empty: separators at the line's end."""
    return cells if any(cells[width:]) else cells[:width]
