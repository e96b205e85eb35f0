"""What a column of a table is for a network, and what is told of it."""

from typing import Any

import numpy as np
import pandas as pd

from nas.data.cells import are_missing, as_text, is_text
from nas.data.dataset import MAX_CATEGORIES, Column, ColumnKind
from nas.data.date_columns import about_dates, date_column, dates_in
from nas.data.dates import are_dates
from nas.data.header import is_row_number
from nas.data.numbers import Numbers
from nas.data.words import (
    example_words,
    few_words,
    like_numbers,
    mostly_numbers,
    unit_of,
    word_fixes,
)
from nas.errors import NasError
from nas.shell import names_option

ODD_CELLS = (list, tuple, dict, set, bytes, np.ndarray)
LEAST_ROWS = 20  # of which it can be said that nearly all have another text
RECUR = 5  # times that a code occurs, on average
WORDS_OF_TEXT = 3.0  # on average, in a column of text


def is_odd(series: "pd.Series[Any]") -> bool:
    """Whether some cells are lists, structures or bytes."""
    return pd.api.types.is_object_dtype(series) and bool(
        series.map(lambda cell: isinstance(cell, ODD_CELLS)).any()
    )


def check_cells(series: "pd.Series[Any]", where: str, fix: str = "") -> None:
    """Refuses cells that are lists, structures or bytes."""
    if is_odd(series):
        raise NasError(
            where,
            "got lists, structures or bytes",
            "a single number or text in each row",
            fix,
        )


def reason_without_name(series: "pd.Series[Any]", source: str) -> str:
    """Why a column without a name is left out: it counts the rows, as pandas writes an index."""
    if is_text(series) and is_row_number(series):
        return "row numbers without a name"
    raise NasError(
        source,
        f"a column without a name ({series.name})",
        "a name for each column in the first line",
        f"Name it, or use {names_option('drop', str(series.name))}.",
    )


def are_texts(given: "pd.Series[Any]") -> bool:
    """Whether cells are sentences or phrases, few of which recur.

    Args:
        given: The cells that are not missing, as text.
    """
    texts = given.unique()
    if len(given) < LEAST_ROWS or len(texts) <= len(given) / 2:
        return False
    return sum(len(text.split()) for text in texts) >= WORDS_OF_TEXT * len(texts)


def code_among(given: "pd.Series[Any]") -> str:
    """A code of a column of codes, such as postal ones; empty where they are numbers.

    Codes have one length, zeros in front, and recur. Of four or six digits they may be times of a
    day, and of very many different ones nearly all would be unknown.

    Args:
        given: The cells that are not missing, as text.
    """
    texts = given.unique()
    length = len(texts[0])
    if length < 3 or length in (4, 6) or len(texts) > MAX_CATEGORIES:
        return ""
    if len(given) < RECUR * len(texts):
        return ""
    if not all(len(text) == length and text.isdecimal() for text in texts):
        return ""
    return next((str(text) for text in texts if text[0] == "0" and text.strip("0")), "")


def column_kind(
    series: "pd.Series[Any]",
    numbers: Numbers | None,
    forced: ColumnKind | None,
    words: tuple[str, ...],
    source: str,
) -> tuple[ColumnKind, str, str]:
    """What a column is; the reason where it is to be left out; a note.

    Args:
        series: The column.
        numbers: What it is as numbers; None where it is said to be something else.
        forced: What the user, or the file, says that it is.
        words: Words of the user for a missing value.
        source: What an error message begins with.

    Raises:
        NasError: When its cells are no single values, or hold mistakes.
    """
    name = str(series.name)
    where = f"{source}: {name}"
    as_categories = names_option("categorical", name)
    check_cells(series, where, f"Use {names_option('drop', name)}.")
    missing = are_missing(series, words)
    if missing.all():
        return "numeric", "no values", ""
    if forced in ("categorical", "text"):
        return forced, "", ""
    if forced == "numeric":
        return forced, "", _said_to_be_numbers(series, numbers)
    if forced == "date":
        return forced, *_said_to_be_dates(series, missing)
    if are_dates(series, missing):
        return "date", *about_dates(series, missing, as_categories)
    assert numbers is not None
    if not numbers.is_word.any():
        if is_text(series) and (code := code_among(as_text(series[~missing], numbers=False))):
            as_numbers = names_option("numeric", name)
            note = f"column '{name}' is categories, as its cells are codes such as '{code}'"
            return "categorical", "", f"{note}; {as_numbers} reads numbers"
        return "numeric", "", ""
    if few_words(series, numbers):
        row = int(numbers.is_word.argmax())
        raise NasError(
            f"{where}, row {row + 1}",
            f"got {example_words(series, numbers)}",
            "a number, as in the other rows",
            f"Correct the cell, or add {word_fixes(series, numbers, words)} if it means a missing "
            f"value, {names_option('numeric', name)} if all such cells do, or {as_categories}.",
        )
    given = as_text(series[~missing], numbers=False)
    almost = ""  # numbers, but not quite
    if mostly_numbers(numbers):
        almost = f"it holds {example_words(series, numbers)} beside numbers"
    elif unit := unit_of(given):
        almost = f"its numbers have '{unit}' behind them, such as '{given.iloc[0]}'"
    elif digits := like_numbers(given):
        almost = f"its cells, such as '{digits}', are no numbers or dates that nas reads"
    if not almost and are_texts(given):
        note = f"column '{name}' is text, of which words and pairs of words count"
        return "text", "", f"{note}; {as_categories} takes each text as a whole"
    if len(given) > LEAST_ROWS and given.nunique() == len(given):
        return "categorical", "every row has another text" + (almost and f", as {almost}"), ""
    return "categorical", "", almost and f"column '{name}' is categories, as {almost}"


def column_of(
    series: "pd.Series[Any]",
    kind: ColumnKind,
    numbers: Numbers | None,
    is_forced: bool,
    words: tuple[str, ...],
) -> Column:
    """A column in a schema, of the kind that `column_kind` found, or the user forced."""
    name = str(series.name)
    if kind == "date":
        return date_column(series, are_missing(series, words), is_forced)
    if kind == "text":
        return Column(name, kind)
    if kind == "categorical":
        if numbers is not None:  # it has words, or is codes
            return Column(name, kind)
        given = series[~are_missing(series, words)]
        plain = not is_text(series) or not pd.to_numeric(given, errors="coerce").isna().any()
        return Column(name, kind, numbers=bool(plain))
    assert numbers is not None
    in_percent = numbers.unit == "%"
    largest = float(np.nanmax(np.abs(numbers.values))) if in_percent else 0.0
    return Column(name, kind, numbers.unit, largest, lenient=is_forced)


def _said_to_be_numbers(series: "pd.Series[Any]", numbers: Numbers | None) -> str:
    """A note on the cells of a column of `--numeric` that are none, if there are some."""
    assert numbers is not None
    n_words, n_numbers = int(numbers.is_word.sum()), int((~np.isnan(numbers.values)).sum())
    if not n_numbers:
        raise NasError("--numeric", f"no cell of '{series.name}' is a number", "some numbers")
    if not n_words:
        return ""
    return _missing_note(series, n_words, example_words(series, numbers), "number")


def _said_to_be_dates(series: "pd.Series[Any]", missing: Any) -> tuple[str, str]:
    """Why a column of `--date` is left out, if it is, and a note on its cells that are none."""
    dates, reason = dates_in(series, missing)
    if np.isnan(dates.days).all():
        raise NasError("--date", f"no cell of '{series.name}' is a date or time", "some dates")
    n_words = int(dates.is_word.sum())
    if reason or not n_words:
        return reason, ""
    example = f"'{series[dates.is_word].iloc[0]}'"
    return "", _missing_note(series, n_words, example, "date")


def _missing_note(series: "pd.Series[Any]", n_words: int, example: str, wanted: str) -> str:
    share = f"{100 * n_words / len(series):.2g} %"
    return (
        f"column '{series.name}': {n_words:,} of {len(series):,} cells ({share}) are no {wanted}, "
        f"such as {example}, and count as missing"
    )
