"""A CSV or Parquet file as a table of named columns."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nas.data.csv_file import CsvFile, read_csv
from nas.data.header import check_names, first_line_is_data, position_names
from nas.data.parquet_file import read_parquet
from nas.data.value_checks import check_file
from nas.errors import NasError
from nas.wording import counted


@dataclass(frozen=True)
class Table:
    """A table as it is in its file.

    Attributes:
        frame: Text of a CSV file; numbers, truth values, text or dates of a Parquet file.
        separator: What stands between the cells.
        has_header: Whether the columns have names, rather than numbers from 1.
        notes: What was found out about the file, a sentence each.
        hint: What an error about a column's name ends with; empty where names are certain.
        unnamed: Columns for which a header has no name.
    """

    frame: pd.DataFrame
    separator: str = ","
    has_header: bool = True
    notes: tuple[str, ...] = ()
    hint: str = ""
    unnamed: tuple[str, ...] = ()


def read_table(path: Path, header: bool | None = None) -> Table:
    """Reads a table, and finds out whether its first line names the columns.

    Args:
        path: A `.csv`, `.parquet` or `.pq` file.
        header: Whether the first line of a CSV file names the columns; None looks at the file.

    Raises:
        NasError: When it cannot be read, has no rows, or names that are empty or occur twice.
    """
    check_file(path)
    if path.suffix.lower() == ".csv":
        file = read_csv(path)
        if header is None and len(file.rows) and first_line_is_data(file.first, file.rows):
            width = len(file.first)
            note = f"the first line looks like data: columns are named 1 ... {width}"
            hint = f"The first line looks like data, so columns are named 1 ... {width}; "
            hint += "use --header if it holds their names."
            return _without_header(file, (f"{note}; --header if it holds their names",), hint)
        return _without_header(file) if header is False else _with_header(file, path)
    if header is not None:
        raise NasError(
            "--header" if header else "--no-header", f"given for {path}", "a CSV file with it"
        )
    names, columns = read_parquet(path)
    check_names(names, str(path), "Rename one of them.")
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)))
    _check_rows(frame, path)
    frame = frame.rename(columns=str.strip)
    check_names(list(frame.columns), str(path), "Rename one of them.")
    return Table(frame)


def read_table_by_name(path: Path, wanted: Collection[str]) -> Table:
    """Reads rows for a model whose columns have names; a first line with any of them is a header.

    Raises:
        NasError: When it cannot be read, has no rows, or names that are empty or occur twice.
    """
    table = read_table(path)
    if table.has_header or not set(wanted) & set(table.frame.iloc[0]):
        return table
    return read_table(path, header=True)


def read_table_by_position(path: Path, n_columns: int, target: str) -> Table:
    """Reads rows whose columns have no names, with or without the target.

    Args:
        path: A `.csv` file.
        n_columns: Columns of the file that the model was trained on.
        target: The number of the target among them, from 1.

    Raises:
        NasError: When it cannot be read, or has another number of columns.
    """
    check_file(path)
    file = read_csv(path)
    names = position_names(n_columns)
    if (
        set(file.first) <= set(names)
        and len(set(file.first)) == len(file.first) > 1
        and (file.first in (names, tuple(name for name in names if name != target)))
    ):
        return _with_header(file, path)
    if len(file.first) == n_columns - 1:
        names = tuple(name for name in names if name != target)
    elif len(file.first) != n_columns:
        raise NasError(
            str(path),
            f"rows of {counted(len(file.first), 'column')}",
            f"{n_columns} columns as in the training data, or {n_columns - 1} without the target",
        )
    table = _without_header(file)
    return Table(table.frame.set_axis(list(names), axis=1), file.separator, has_header=False)


def _without_header(file: CsvFile, notes: tuple[str, ...] = (), hint: str = "") -> Table:
    first = pd.DataFrame([file.first], dtype="str")
    frame = pd.concat([first, file.rows], ignore_index=True)
    frame.columns = pd.Index(position_names(len(file.first)))
    return Table(frame, file.separator, False, (*file.notes, *notes), hint)


def _with_header(file: CsvFile, path: Path) -> Table:
    names = [name or f"Unnamed: {k}" for k, name in enumerate(file.first)]
    check_names(
        names, str(path), "Rename one of them, or use --no-header if the first line is data."
    )
    frame = file.rows.set_axis(names, axis=1)
    _check_rows(frame, path)
    unnamed = tuple(name for name, given in zip(names, file.first, strict=True) if not given)
    return Table(frame, file.separator, True, file.notes, unnamed=unnamed)


def _check_rows(frame: pd.DataFrame, path: Path) -> None:
    if not len(frame):
        raise NasError(str(path), "a header without rows", "at least one row")
