"""Tables as data sets: what each column is, and what is told of how it was read."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data.cells import are_missing, as_text, is_text
from nas.data.column_kinds import check_cells, column_kind, column_of, is_odd, reason_without_name
from nas.data.dataset import (
    Column,
    ColumnKind,
    Dataset,
    Features,
    Schema,
    check_weights,
    take_rows,
)
from nas.data.date_columns import days_of, times_of, without_order
from nas.data.dates import are_dates
from nas.data.numbers import Numbers, read_numbers
from nas.data.table_file import Table
from nas.data.targets import LARGEST_EXACT, read_targets
from nas.data.value_checks import check_finite, check_largest, check_precision
from nas.errors import NasError, did_you_mean
from nas.options import DataOptions
from nas.shell import names_option, option
from nas.wording import counted, join_names, split_names

MOST_NAMED = 5  # columns in one note


@dataclass(frozen=True)
class _Chosen:
    """The columns that the options name."""

    targets: tuple[str, ...]
    groups: str | None
    weights: str | None
    time: str | None
    drop: tuple[str, ...]
    kinds: Mapping[str, ColumnKind]


def dataset_of_table(table: Table, options: DataOptions) -> Dataset:
    """The data set that the options make of a table.

    Raises:
        NasError: When an option names no column, or nothing can be learned from one of them.
    """
    source, frame = options.source, table.frame
    chosen = _choose(table, options)
    task, (target, *others) = options.task, chosen.targets
    if task is None and not others and target in table.categorical:
        task = "binary" if frame[target].nunique() == 2 else "multiclass"
    for name in chosen.targets:
        _check_target_is_no_date(frame[name], task, source)
    numbers, marks = _numbers(
        frame.drop(columns=[*chosen.drop]),
        {name for name, kind in chosen.kinds.items() if kind != "numeric"} | {chosen.groups},
        options.missing,
        table,
        source,
    )
    has_target, y, task, classes, notes = read_targets(
        [frame[name] for name in chosen.targets],
        [numbers[name] for name in chosen.targets],
        task,
        options.missing,
        source,
    )
    columns, dropped = [], {}
    left_out = {*chosen.targets, chosen.groups, chosen.weights, *chosen.drop}
    for name in (name for name in frame.columns if name not in left_out):
        forced = chosen.kinds.get(name)
        kind, reason, note = column_kind(
            frame[name], numbers.get(name), forced, options.missing, source
        )
        if name in table.unnamed and forced is None and not reason:
            reason = reason_without_name(frame[name], source)
        notes += [note] if note else []
        column = None
        if not reason:
            column = column_of(
                frame[name], kind, numbers.get(name), forced is not None, options.missing
            )
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
        target="" if table.has_header else join_names(chosen.targets),
    )
    features = _features(frame, numbers, schema, source, training=True)
    groups = None
    if chosen.groups is not None:
        check_cells(frame[chosen.groups], f"{source}: {chosen.groups}")
        groups, note = _group_codes(frame[chosen.groups][has_target], options.missing)
        notes += [note] if note else []
    weights = None
    if chosen.weights is not None:
        weights = _weights(frame[chosen.weights], numbers.get(chosen.weights), has_target, source)
    times = None
    if chosen.time is not None:
        series = frame[chosen.time]
        missing = are_missing(series, options.missing)
        is_date = chosen.kinds.get(chosen.time) == "date"
        times = times_of(series, missing, numbers.get(chosen.time), source, is_date)[has_target]
    test_rows = None
    if table.n_test:
        n_known = np.cumsum(has_target)
        test_rows = np.arange(n_known[-table.n_test - 1], n_known[-1])
        if not len(test_rows):
            raise NasError("--test", "no row has a target", "rows that can be scored")
    read = [*chosen.targets, *(c.name for c in columns if c.kind == "numeric")]
    used = {name: numbers[name] for name in read if name in numbers}
    return Dataset(
        name=Path(source).stem,
        features=take_rows(features, np.flatnonzero(has_target)),
        y=y,
        schema=schema,
        task=task,
        classes=classes,
        targets=chosen.targets if others else (),
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
    others = [column.name for column in schema.columns if _is_no_number(column)]
    # The other columns count too: they may show which decimal mark the file has.
    numbers, _ = _numbers(
        table.frame, others, schema.missing, table, source, schema.marks, needed=names
    )
    return _features(table.frame, numbers, schema, source, training=False)


def _is_no_number(column: Column) -> bool:
    """Whether it is known that a column holds none."""
    return column.kind in ("categorical", "text") or (column.kind == "date" and column.lenient)


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

    targets = tuple(column(name, "--target") for name in _target_names(options.target, names))
    if not targets or len(set(targets)) < len(targets):
        raise NasError("--target", f"got '{options.target}'", "one column, or several once each")
    groups = column(options.groups, "--groups") if options.groups else None
    drop = tuple(column(name, "--drop") for name in options.drop)
    weights = column(options.sample_weight, "--sample-weight") if options.sample_weight else None
    time = column(options.time, "--time") if options.time else None
    named = (
        *(((groups,), "--groups"), ((weights,), "--sample-weight"), ((time,), "--time")),
        (drop, "--drop"),
    )
    for given, of in named:
        for target in targets:
            if target in given:
                raise NasError(of, f"got '{target}', which is the target", "another column")
    kinds: dict[str, ColumnKind] = {}
    uses: dict[str | None, str] = {groups: "--groups", weights: "--sample-weight"}
    for kind, given in _given_kinds(options).items():
        for name in (column(name, f"--{kind}") for name in given):
            if name in uses or name in targets:
                what = "the target" if name in targets else f"named by {uses[name]}, too"
                raise NasError(f"--{kind}", f"got '{name}', which is {what}", "another column")
            kinds[name], uses[name] = kind, f"--{kind}"
    of_file: dict[str, ColumnKind] = {
        name: "categorical" for name in table.categorical if name not in targets
    }
    return _Chosen(targets, groups, weights, time, drop, {**of_file, **kinds})


def _target_names(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """One name, which may hold a comma, or several with commas between them."""
    if text in names or "," not in text:
        return (text,)
    return split_names(text)


def _given_kinds(options: DataOptions) -> dict[ColumnKind, tuple[str, ...]]:
    return {
        "categorical": options.categorical,
        "numeric": options.numeric,
        "date": options.date,
        "text": options.text,
    }


def _check_target_is_no_date(series: "pd.Series[Any]", task: Any, source: str) -> None:
    where = f"{source}: {series.name}"
    check_cells(series, where)
    if task not in ("binary", "multiclass") and are_dates(series, are_missing(series)):
        raise NasError(
            where,
            f"got dates (such as '{series.dropna().iloc[0]}')",
            "numbers or text",
            "Turn them into numbers, such as days since the first.",
        )


def _numbers(
    frame: pd.DataFrame,
    others: Collection[str | None],
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
        if name in others or is_odd(series):
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
        check_cells(series, where)
        if column.kind in ("categorical", "text"):
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
        are_truth = words.isin(("true", "false")).all()
        if column.lenient and not are_truth:
            return values
        if not are_truth:
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
    check_cells(series, where)
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
