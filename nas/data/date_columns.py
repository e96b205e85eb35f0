"""Columns of dates in tables: what is told of them, and what a data set has of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data.cells import as_text, is_text
from nas.data.dataset import Column
from nas.data.date_values import Dates, read_dates, useful_parts
from nas.data.dates import are_dates, is_date
from nas.data.numbers import Numbers
from nas.errors import NasError
from nas.shell import names_option


def about_dates(
    series: "pd.Series[Any]", missing: NDArray[np.bool_], as_categories: str
) -> tuple[str, str]:
    """Why a column of dates is left out, if it is, and what is told of one that is not.

    Args:
        series: A column for which `are_dates` holds.
        missing: Which cells are missing, shape (n_rows,).
        as_categories: The option that makes categories of it.
    """
    dates = read_dates(series, missing)
    example = next((c for c in series[~missing].astype(str) if is_date(c)), "")
    shown = f", such as '{example}'" if example else ""
    if dates.is_word.any():
        word = series[dates.is_word].astype(str).iloc[0]
        as_missing = names_option("date", str(series.name))
        told = f"dates or times{shown}, but '{word}' is none"
        return f"{told}; {as_missing} takes it as missing, {as_categories} keeps all", ""
    if not useful_parts(dates.days):
        return f"one date or time only{shown}", ""
    note = f"column '{series.name}' is dates or times{shown}"
    if not dates.is_sure:
        note += f"; '{dates.example}' is read with the {dates.order}"
    return "", note


def dates_in(series: "pd.Series[Any]", missing: NDArray[np.bool_]) -> tuple[Dates, str]:
    """A column that is said to be dates, and why it is left out, if it is.

    Numbers such as 20241231 are dates there, and 1999 is a year.
    """
    dates = read_dates(as_text(series, numbers=True) if not is_text(series) else series, missing)
    return dates, "" if useful_parts(dates.days) else "one date or time only"


def date_column(
    series: "pd.Series[Any]", missing: NDArray[np.bool_], lenient: bool = False
) -> Column:
    """A column of dates in a schema.

    Args:
        series: The column.
        missing: Which cells are missing, shape (n_rows,).
        lenient: Whether cells that are no dates count as missing.
    """
    dates, _ = dates_in(series, missing)
    return Column(
        str(series.name),
        "date",
        parts=useful_parts(dates.days),
        origin=float(np.floor(np.nanmin(dates.days))),
        order=dates.order,
        lenient=lenient,
    )


def without_order(column: Column) -> tuple[Column | None, str]:
    """What is left of the column of `--time` for a network, or why nothing is.

    Rows to come are later than all that it has seen.
    """
    parts = tuple(part for part in column.parts if part != "days")
    if column.kind == "date" and parts:
        return replace(column, parts=parts), ""
    return None, "it gives the order of the rows (--time), and later rows have other values"


def days_of(
    series: "pd.Series[Any]", missing: NDArray[np.bool_], column: Column, where: str
) -> NDArray[np.float64]:
    """Days since 1970; numbers are such days already, unless the column was said to be dates.

    Raises:
        NasError: When a cell is neither missing nor a date; it begins with `where`.
    """
    if not is_text(series):
        if column.lenient:
            return dates_in(series, missing)[0].days
        return np.asarray(series.astype("Float64").to_numpy(np.float64, na_value=np.nan))
    dates = read_dates(series, missing, column.order)
    if dates.is_word.any() and not column.lenient:
        row = int(dates.is_word.argmax())
        raise NasError(f"{where}, row {row + 1}", f"got '{series.iloc[row]}'", "a date or time")
    return dates.days


def times_of(
    series: "pd.Series[Any]",
    missing: NDArray[np.bool_],
    numbers: Numbers | None,
    source: str,
    is_date: bool = False,
) -> NDArray[np.float64]:
    """When each row was, as days or the numbers of the column of `--time`.

    Args:
        series: The column.
        missing: Which cells are missing, shape (n_rows,).
        numbers: What it is as numbers, if it may be.
        source: What an error message begins with.
        is_date: Whether the user says that it is dates.

    Raises:
        NasError: When it is neither, or a row has none.
    """
    if is_date:
        times = dates_in(series, missing)[0].days
    elif are_dates(series, missing):
        times = read_dates(series, missing).days
    elif numbers is not None and not numbers.is_word.any():
        times = numbers.values
    else:
        raise NasError("--time", f"got '{series.name}', a column of text", "dates or numbers")
    if np.isnan(times).any():
        row = int(np.isnan(times).argmax()) + 1
        raise NasError(f"{source}: {series.name}, row {row}", "no time", "one in each row")
    return times
