"""Tables as data sets: what each column is, and what is told of how it was read.

The file is long because each kind of column has its own checks and notes, which look at the same
cells.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data.cells import are_missing, as_text, is_text
from nas.data.dataset import Column, Dataset, Features, Schema, check_weights, take_rows
from nas.data.date_columns import about_dates, date_column, days_of, times_of, without_order
from nas.data.dates import are_dates
from nas.data.header import is_row_number
from nas.data.numbers import Numbers, read_numbers
from nas.data.table_file import Table
from nas.data.targets import LARGEST_EXACT, read_target
from nas.data.value_checks import check_finite, check_largest, check_precision
from nas.data.words import (
    example_words,
    few_words,
    like_numbers,
    mostly_numbers,
    unit_of,
    word_fixes,
)
from nas.errors import NasError, did_you_mean
from nas.options import DataOptions
from nas.shell import names_option, option
from nas.wording import counted

MOST_NAMED = 5  # columns in one note
ODD_CELLS = (list, tuple, dict, set, bytes, np.ndarray)


@dataclass(frozen=True)
class _Chosen:
    """The columns that the options name."""

    target: str
    groups: str | None
    weights: str | None
    time: str | None
    drop: tuple[str, ...]
    categorical: tuple[str, ...]


def dataset_of_table(table: Table, options: DataOptions) -> Dataset:
    """The data set that the options make of a table.

    Raises:
        NasError: When an option names no column, or nothing can be learned from one of them.
    """
    source, frame = options.source, table.frame
    chosen = _choose(table, options)
    task = options.task
    if task is None and chosen.target in table.categorical:
        task = "binary" if frame[chosen.target].nunique() == 2 else "multiclass"
    _check_target_is_no_date(frame[chosen.target], task, source)
    numbers, marks = _numbers(
        frame.drop(columns=[*chosen.drop]),
        [name for name in (*chosen.categorical, chosen.groups) if name != chosen.target],
        options.missing,
        table,
        source,
    )
    has_target, y, task, classes, notes = read_target(
        frame[chosen.target], numbers[chosen.target], task, options.missing, source
    )
    columns, dropped = [], {}
    left_out = {chosen.target, chosen.groups, chosen.weights, *chosen.drop}
    for name in (name for name in frame.columns if name not in left_out):
        kind, reason, note = _column_kind(
            frame[name], numbers.get(name), name in chosen.categorical, options.missing, source
        )
        if name in table.unnamed and name not in chosen.categorical and not reason:
            reason = _reason_without_name(frame[name], source)
        notes += [note] if note else []
        column = None
        if not reason:
            column = _column(name, kind, frame[name], numbers.get(name), options.missing)
            if name == chosen.time:
                column, reason = without_order(column)
        if column is None:
            dropped[name] = reason
        else:
            columns.append(column)
    if not columns:
        why = "".join(f"; column '{name}': {reason}" for name, reason in dropped.items())
        raise NasError(source, f"no feature column is left{why}", "at least one beside the target")
    schema = Schema(
        tuple(columns),
        (len(columns),),
        marks=marks,
        missing=options.missing,
        n_unnamed=0 if table.has_header else len(frame.columns),
        target="" if table.has_header else chosen.target,
    )
    features = _features(frame, numbers, schema, source, training=True)
    groups = None
    if chosen.groups is not None:
        _check_cells(frame[chosen.groups], f"{source}: {chosen.groups}")
        groups, note = _group_codes(frame[chosen.groups][has_target], options.missing)
        notes += [note] if note else []
    weights = None
    if chosen.weights is not None:
        weights = _weights(frame[chosen.weights], numbers.get(chosen.weights), has_target, source)
    times = None
    if chosen.time is not None:
        series = frame[chosen.time]
        missing = are_missing(series, options.missing)
        times = times_of(series, missing, numbers.get(chosen.time), source)[has_target]
    test_rows = None
    if table.n_test:
        n_known = np.cumsum(has_target)
        test_rows = np.arange(n_known[-table.n_test - 1], n_known[-1])
        if not len(test_rows):
            raise NasError("--test", "no row has a target", "rows that can be scored")
    read = [chosen.target, *(c.name for c in columns if c.kind == "numeric")]
    used = {name: numbers[name] for name in read if name in numbers}
    return Dataset(
        name=Path(source).stem,
        features=take_rows(features, np.flatnonzero(has_target)),
        y=y,
        schema=schema,
        task=task,
        classes=classes,
        groups=groups,
        weights=weights,
        times=times,
        test_rows=test_rows,
        dropped=dropped,
        notes=(*table.notes, *_spelling_notes(used), *notes),
    )


def features_of_table(table: Table, schema: Schema, source: str) -> Features:
    """The columns of the schema, from rows to predict for.

    Raises:
        NasError: When a column is missing, holds text where the schema has numbers, or is written
            in another unit.
    """
    names = [column.name for column in schema.columns]
    for name in names:
        if name not in table.frame:
            raise NasError(
                source,
                f"no column '{name}', which the model needs",
                "the columns " + ", ".join(names),
                did_you_mean(name, table.frame.columns)
                or (
                    "" if table.has_header else "Its first line looks like data rather than names."
                ),
            )
    categorical = [column.name for column in schema.columns if column.kind == "categorical"]
    # The other columns count too: they may show which decimal mark the file has.
    numbers, _ = _numbers(
        table.frame, categorical, schema.missing, table, source, schema.marks, needed=names
    )
    return _features(table.frame, numbers, schema, source, training=False)


def _choose(table: Table, options: DataOptions) -> _Chosen:
    names = [str(name) for name in table.frame.columns]
    if options.target is None:
        raise NasError(
            options.source,
            "no target column was named",
            "one of " + ", ".join(names),
            f"{table.hint} Add --target, such as {option('target', names[-1])}.".strip(),
        )

    def column(name: str, of: str) -> str:
        if name in names:
            return name
        if re.fullmatch("-[1-9][0-9]*", name) and int(name[1:]) <= len(names):
            return names[int(name)]
        blanks = len(names) == 1 and len(names[0].split()) > 1
        hint = "Are its cells separated by blanks? Write commas." if blanks else table.hint
        raise NasError(
            options.source,
            f"no column '{name}' for {of}",
            "one of " + ", ".join(f"'{n}'" if blanks else n for n in names),
            f"{did_you_mean(name, names)} {hint}".strip(),
        )

    target = column(options.target, "--target")
    groups = column(options.groups, "--groups") if options.groups else None
    drop = tuple(column(name, "--drop") for name in options.drop)
    weights = column(options.sample_weight, "--sample-weight") if options.sample_weight else None
    time = column(options.time, "--time") if options.time else None
    named = (
        *(((groups,), "--groups"), ((weights,), "--sample-weight"), ((time,), "--time")),
        (drop, "--drop"),
    )
    for given, of in named:
        if target in given:
            raise NasError(of, f"got '{target}', which is the target", "another column")
    return _Chosen(
        target,
        groups,
        weights,
        time,
        drop,
        (
            *(column(name, "--categorical") for name in options.categorical),
            *(name for name in table.categorical if name != target),
        ),
    )


def _check_target_is_no_date(series: "pd.Series[Any]", task: Any, source: str) -> None:
    where = f"{source}: {series.name}"
    _check_cells(series, where)
    if task not in ("binary", "multiclass") and are_dates(series, are_missing(series)):
        raise NasError(
            where,
            f"got dates (such as '{series.dropna().iloc[0]}')",
            "numbers or text",
            "Turn them into numbers, such as days since the first.",
        )


def _reason_without_name(series: "pd.Series[Any]", source: str) -> str:
    """Why a column without a name is left out: it counts the rows, as pandas writes an index."""
    if is_text(series) and is_row_number(series):
        return "row numbers without a name"
    raise NasError(
        source,
        f"a column without a name ({series.name})",
        "a name for each column in the first line",
        f"Name it, or use {names_option('drop', str(series.name))}.",
    )


def _is_odd(series: "pd.Series[Any]") -> bool:
    return pd.api.types.is_object_dtype(series) and bool(
        series.map(lambda cell: isinstance(cell, ODD_CELLS)).any()
    )


def _check_cells(series: "pd.Series[Any]", where: str, fix: str = "") -> None:
    if _is_odd(series):
        raise NasError(
            where,
            "got lists, structures or bytes",
            "a single number or text in each row",
            fix,
        )


def _numbers(
    frame: pd.DataFrame,
    categorical: Collection[str | None],
    words: tuple[str, ...],
    table: Table,
    source: str,
    marks: str | None = None,
    needed: Collection[str] | None = None,
) -> tuple[dict[str, Numbers], str]:
    """Each column that may be numbers as such; those that are needed (None: all) without doubt."""
    found: dict[str, Numbers] = {}
    texts: dict[str, pd.Series[Any]] = {}
    missing: dict[str, NDArray[np.bool_]] = {}
    for name, series in frame.items():
        name = str(name)
        if name in categorical or _is_odd(series):
            continue
        absent = are_missing(series, words)
        if are_dates(series, absent):
            found[name] = Numbers(np.full(len(series), np.nan), ~absent)
        elif is_text(series):
            texts[name], missing[name] = series, absent
        else:
            values = np.asarray(series.astype("Float64").to_numpy(np.float64, na_value=np.nan))
            found[name] = Numbers(np.where(absent, np.nan, values), np.zeros(len(series), bool))
    read, found_marks = read_numbers(texts, missing, source, marks, table.separator, needed)
    return found | read, found_marks


def _column_kind(
    series: "pd.Series[Any]",
    numbers: Numbers | None,
    force_categorical: bool,
    words: tuple[str, ...],
    source: str,
) -> tuple[Any, str, str]:
    """`numeric` or `categorical`; the reason where it is to be left out; a note."""
    name = str(series.name)
    where = f"{source}: {name}"
    as_categories = names_option("categorical", name)
    _check_cells(series, where, f"Use {names_option('drop', name)}.")
    missing = are_missing(series, words)
    if missing.all():
        return "numeric", "no values", ""
    if force_categorical:
        return "categorical", "", ""
    if are_dates(series, missing):
        return "date", *about_dates(series, missing, as_categories)
    assert numbers is not None
    if not numbers.is_word.any():
        return "numeric", "", ""
    if few_words(series, numbers):
        row = int(numbers.is_word.argmax())
        raise NasError(
            f"{where}, row {row + 1}",
            f"got {example_words(series, numbers)}",
            "a number, as in the other rows",
            f"Correct the cell, or add {word_fixes(series, numbers, words)} if it means a missing "
            f"value, or {as_categories}.",
        )
    given = as_text(series[~missing], numbers=False)
    almost = ""  # numbers, but not quite
    if mostly_numbers(numbers):
        almost = f"it holds {example_words(series, numbers)} beside numbers"
    elif unit := unit_of(given):
        almost = f"its numbers have '{unit}' behind them, such as '{given.iloc[0]}'"
    elif digits := like_numbers(given):
        almost = f"its cells, such as '{digits}', are no numbers or dates that nas reads"
    if len(given) > 20 and given.nunique() == len(given):
        return "categorical", "every row has another text" + (almost and f", as {almost}"), ""
    return "categorical", "", almost and f"column '{name}' is categories, as {almost}"


def _column(
    name: str, kind: Any, series: "pd.Series[Any]", numbers: Numbers | None, words: tuple[str, ...]
) -> Column:
    if kind == "date":
        return date_column(name, series, are_missing(series, words))
    if kind == "categorical":
        if numbers is not None:  # it has words
            return Column(name, kind)
        given = series[~are_missing(series, words)]
        plain = not is_text(series) or not pd.to_numeric(given, errors="coerce").isna().any()
        return Column(name, kind, numbers=bool(plain))
    assert numbers is not None
    in_percent = numbers.unit == "%"
    largest = float(np.nanmax(np.abs(numbers.values))) if in_percent else 0.0
    return Column(name, kind, numbers.unit, largest)


def _features(
    frame: pd.DataFrame,
    numbers: Mapping[str, Numbers],
    schema: Schema,
    source: str,
    training: bool,
) -> Features:
    """The columns of the schema; rows to learn from, if `training`, have to differ as well."""
    columns: dict[str, NDArray[Any]] = {}
    for column in schema.columns:
        series = frame[column.name]
        where = f"{source}: {column.name}"
        _check_cells(series, where)
        if column.kind == "categorical":
            text = as_text(series, column.numbers)
            # Of the words for a missing value only those of the user count among categories.
            absent = are_missing(series, schema.missing, usual=()) & (len(schema.missing) > 0)
            columns[column.name] = np.asarray(text.mask(absent, ""), dtype=object)
            continue
        if column.kind == "date":
            missing = are_missing(series, schema.missing)
            columns[column.name] = days_of(series, missing, column, where)
            continue
        values = _values(series, numbers[column.name], column, where)
        check_finite(values, where, allow_missing=True)
        check_largest(values, where)
        if training:
            leave_out = f"use {names_option('drop', column.name)}"
            _check_told_apart(series, values, where, column.name)
            check_precision(values[:, None], where, leave_out)
        columns[column.name] = values
    if schema.is_table:
        return columns
    return np.stack([columns[column.name] for column in schema.columns], axis=1)


def _values(
    series: "pd.Series[Any]", numbers: Numbers, column: Column, where: str
) -> NDArray[np.float64]:
    """The column as numbers in the unit that the schema names."""
    values = numbers.values
    if numbers.is_word.any():
        words = series[numbers.is_word].astype(str).str.strip().str.casefold()
        if not words.isin(("true", "false")).all():
            row = int(numbers.is_word.argmax())
            raise NasError(f"{where}, row {row + 1}", f"got '{series.iloc[row]}'", "a number")
        values = values.copy()  # truth values, which are numbers in a Parquet file
        values[numbers.is_word] = (words == "true").to_numpy(np.float64)
    if numbers.unit and numbers.unit != column.unit:
        raise NasError(
            where,
            f"got '{numbers.example or numbers.unit}'",
            f"numbers in '{column.unit}', as the model was trained on"
            if column.unit
            else "numbers without a unit, as the model was trained on",
        )
    if column.unit == "%" and not numbers.unit and not np.isnan(values).all():
        largest = float(np.nanmax(np.abs(values)))
        if largest > max(1.0, 2 * column.largest):
            raise NasError(
                where,
                f"got {largest:g} without a percent sign, more than twice the "
                f"{column.largest:g} that the model was trained on",
                "shares, or numbers with a percent sign",
                f"Write {largest:g} percent as {largest:g}% or {largest / 100:g}.",
            )
    return values


def _check_told_apart(
    series: "pd.Series[Any]", values: NDArray[np.float64], where: str, name: str
) -> None:
    """Refuses whole numbers so long that 64-bit floats make one of several, as ids are."""
    long = np.abs(values) > LARGEST_EXACT
    if long.any() and series[long].nunique() > len(np.unique(values[long])):
        drop, categories = (names_option(option, name) for option in ("drop", "categorical"))
        raise NasError(
            where,
            f"got numbers such as {series[long].iloc[0]}",
            "numbers of at most 15 digits",
            f"Use {drop} if they are names of the rows, or {categories}.",
        )


def _weights(
    series: "pd.Series[Any]", numbers: Numbers | None, rows: NDArray[Any], source: str
) -> NDArray[np.float64]:
    """How much each row with a target counts."""
    where = f"{source}: {series.name}, as --sample-weight"
    _check_cells(series, where)
    if numbers is None or numbers.is_word.any():
        row = 0 if numbers is None else int(numbers.is_word.argmax())
        cell = f"got '{series.iloc[row]}' in row {row + 1}"
        raise NasError(where, cell, "a number of 0 or more")
    return check_weights(numbers.values[rows], int(np.sum(rows)), where)


def _group_codes(series: "pd.Series[Any]", words: tuple[str, ...]) -> tuple[NDArray[Any], str]:
    """The group of each row, and a note where rows without one are groups of their own."""
    missing = are_missing(series, words)
    cells = series.astype(str).str.strip() if is_text(series) else series
    codes = np.asarray(pd.factorize(cells)[0])
    if not missing.any():
        return codes, ""
    codes[missing] = codes.max(initial=0) + 1 + np.arange(missing.sum())
    note = f"{counted(int(missing.sum()), 'row')} without a group ('{series.name}'): "
    return codes, note + "each is a group of its own"


def _spelling_notes(read: Mapping[str, Numbers]) -> list[str]:
    """A sentence for each way in which numbers are written that is not the plain one."""
    by_spelling: dict[str, list[str]] = {}
    for name, numbers in read.items():
        if numbers.spelling:
            by_spelling.setdefault(numbers.spelling, []).append(name)
    return [
        f"{_named(names)} read as numbers: {spelling} (such as '{read[names[0]].example}')"
        for spelling, names in by_spelling.items()
    ]


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"column{'s' * (len(names) > 1)} {shown}{more}"
