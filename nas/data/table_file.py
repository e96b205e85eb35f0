"""A file as a table of named columns."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nas.data.arrow_file import read_arrow
from nas.data.csv_file import CsvFile, read_csv
from nas.data.header import check_names, first_line_is_data, position_names
from nas.data.other_tables import read_arff, read_excel, read_npy
from nas.data.table_kinds import table_kind
from nas.data.value_checks import check_file
from nas.errors import NasError, did_you_mean
from nas.wording import counted, split_names


@dataclass(frozen=True)
class Table:
    """A table as it is in its file.

    Attributes:
        frame: Text of a CSV file; numbers, truth values, text or dates of others.
        separator: What stands between the cells.
        has_header: Whether the columns have names, rather than numbers from 1.
        notes: What was found out about the file, a sentence each.
        hint: What an error about a column's name ends with; empty where names are certain.
        unnamed: Columns for which a header has no name.
        categorical: Columns that the file says are categories, whatever they hold.
        n_test: Rows at the end that are the test part.
    """

    frame: pd.DataFrame
    separator: str = ","
    has_header: bool = True
    notes: tuple[str, ...] = ()
    hint: str = ""
    unnamed: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    n_test: int = 0


def read_tables(source: str, header: bool | None = None) -> Table:
    """Reads a table, which may lie in several files that a pattern such as `sales-*.csv` names.

    Raises:
        NasError: As `read_table`; when there is no such file, or the files have other columns.
    """
    paths = table_paths(source)
    first, *others = (read_table(path, header) for path in paths)
    for path, other in zip(paths[1:], others, strict=True):
        first = joined(first, other, str(path))
    if not others:
        return first
    note = f"{len(paths)} files, {paths[0].name} to {paths[-1].name}, {len(first.frame):,} rows"
    return replace(first, notes=(note, *first.notes))


def table_paths(source: str) -> list[Path]:
    """The files that a source names, in the order of their names."""
    path = Path(source)
    if path.exists() or not set(source) & set("*?["):
        return [path]
    anchor = Path(path.anchor)
    return sorted(anchor.glob(str(path.relative_to(anchor)))) or [path]


def joined(table: Table, other: Table, source: str) -> Table:
    """The rows of two tables; the columns of the second are found by their names.

    Args:
        source: Where the second one lies, for messages.

    Raises:
        NasError: When a column is missing.
    """
    names = list(table.frame.columns)
    frame = other.frame
    if not table.has_header and not other.has_header and frame.shape[1] == len(names):
        frame = frame.set_axis(names, axis=1)
    for name in names:
        if name not in frame:
            raise NasError(
                source,
                f"no column '{name}', which the first file has",
                "the columns " + ", ".join(map(str, names)),
                did_you_mean(name, map(str, frame.columns)),
            )
    rows = pd.concat([table.frame, frame[names]], ignore_index=True)
    return replace(table, frame=rows, notes=tuple(dict.fromkeys((*table.notes, *other.notes))))


def with_test_part(table: Table, test: Table, source: str) -> Table:
    """A table with the rows of another as its test part.

    Args:
        source: Where the other lies, for messages.

    Raises:
        NasError: When that lacks a column.
    """
    return replace(joined(table, test, source), n_test=len(test.frame))


def read_table(path: Path, header: bool | None = None) -> Table:
    """Reads a table, and finds out whether its first line names the columns.

    Args:
        path: A file that `table_kind` knows.
        header: Whether the first line of a CSV file or a workbook names the columns; None looks
            at the file.

    Raises:
        NasError: When it cannot be read, has no rows, or names that are empty or occur twice.
    """
    check_file(path)
    kind = table_kind(path)
    if kind == "text":
        file = read_csv(path)
        if header is None and len(file.rows) and first_line_is_data(file.first, file.rows):
            width = len(file.first)
            note = f"the first line looks like data: columns are named 1 ... {width}"
            hint = f"The first line looks like data, so columns are named 1 ... {width}; "
            hint += "use --header if it holds their names."
            return _without_header(file, (f"{note}; --header if it holds their names",), hint)
        return _without_header(file) if header is False else _with_header(file, path)
    if kind == "excel":
        frame, has_header, notes = read_excel(path, header)
        return Table(_named(frame, path), has_header=has_header, notes=notes)
    if header is not None:
        raise NasError(
            "--header" if header else "--no-header",
            f"given for {path}",
            "a CSV file or a workbook with it",
        )
    if kind == "array":
        return Table(read_npy(path), has_header=False)
    if kind == "arff":
        frame, categorical = read_arff(path)
        return Table(_named(frame, path), categorical=categorical)
    names, columns = read_arrow(path)
    check_names(names, str(path), "Rename one of them.")
    return Table(_named(pd.DataFrame(dict(zip(names, columns, strict=True))), path))


def _named(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A table with rows, and a name of its own for each column."""
    _check_rows(frame, path)
    frame = frame.rename(columns=lambda name: str(name).strip())
    check_names(list(frame.columns), str(path), "Rename one of them.")
    return frame


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
        path: A file whose columns may have no names.
        n_columns: Columns of the file that the model was trained on.
        target: The number of the target among them, from 1; of several with commas between them.

    Raises:
        NasError: When it cannot be read, or has another number of columns.
    """
    check_file(path)
    if table_kind(path) != "text":
        table = read_table(path)
        if set(table.frame.columns) >= set(position_names(n_columns)) - {*split_names(target)}:
            return table
        names = _positions(table.frame.shape[1], n_columns, target, path)
        return replace(table, frame=table.frame.set_axis(list(names), axis=1), has_header=False)
    file = read_csv(path)
    names = position_names(n_columns)
    if (
        set(file.first) <= set(names)
        and len(set(file.first)) == len(file.first) > 1
        and (file.first in (names, tuple(n for n in names if n not in split_names(target))))
    ):
        return _with_header(file, path)
    names = _positions(len(file.first), n_columns, target, path)
    table = _without_header(file)
    return Table(table.frame.set_axis(list(names), axis=1), file.separator, has_header=False)


def _positions(found: int, n_columns: int, target: str, path: Path) -> tuple[str, ...]:
    """The names of so many columns, which may lack the targets."""
    names, targets = position_names(n_columns), split_names(target)
    if found == n_columns - len(targets):
        return tuple(name for name in names if name not in targets)
    if found != n_columns:
        without = f"{n_columns - len(targets)} without the target{'s' * (len(targets) > 1)}"
        raise NasError(
            str(path),
            f"rows of {counted(found, 'column')}",
            f"{n_columns} columns as in the training data, or {without}",
        )
    return names


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
