"""Dates as numbers: days since 1970, and what a network is told of them."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# How 03/04/2024 is read; empty where no cell is so.
DateOrder = Literal["", "day first", "month first"]
DatePart = Literal["days", "year", "week", "day"]

YEAR = 365.2425  # days
PERIODS: dict[DatePart, float] = {"year": YEAR, "week": 7.0, "day": 1.0}  # days
LEAST_DAYS = {"year": 60.0, "week": 7.0}  # that the rows span, for a part to be of use
SECONDS = 86_400.0  # of a day
STEPS = np.float32(10_000.0)  # of sines and cosines, from 0 to 1

_TWO_NUMBERS = re.compile(r"\s*([0-9]{1,2})([-/.])([0-9]{1,2})\2[0-9]{2,4}\b")
_TIME_ONLY = re.compile(r"\s*[0-9]{1,2}:[0-9]{2}")


@dataclass(frozen=True)
class Dates:
    """A column read as dates.

    Attributes:
        days: Days since 1970, shape (n_rows,); NaN where a cell is missing or shows no date.
        is_word: Whether a cell is neither missing nor a date, shape (n_rows,).
        order: How days and months are told apart.
        is_sure: Whether some cell shows that order.
        example: A cell that could be read in either order; empty for none.
    """

    days: NDArray[np.float64]
    is_word: NDArray[np.bool_]
    order: DateOrder = ""
    is_sure: bool = True
    example: str = ""


def read_dates(
    series: "pd.Series[Any]", missing: NDArray[np.bool_], order: DateOrder | None = None
) -> Dates:
    """A column as days since 1970; a time of day alone is a share of a day.

    Args:
        series: Dates, times or their texts.
        missing: Which cells are missing, shape (n_rows,).
        order: How 03/04/2024 is read; None finds it from cells that can be read in one way only,
            and else takes the month first, but with points the day.
    """
    codes, cells = pd.factorize(series.mask(missing).astype(object))
    texts = [cell for cell in cells if isinstance(cell, str)]
    found, is_sure, example = _order(texts) if order is None else (order, True, "")
    values = np.array([_days_of_object(cell) for cell in cells], np.float64)
    if texts:
        is_text = np.array([isinstance(cell, str) for cell in cells])
        values[is_text] = _days_of_texts(texts, found)
    days = np.append(values, np.nan)[codes]  # code -1 is a missing cell
    return Dates(days, np.isnan(days) & (codes >= 0), found, is_sure, example)


def _order(texts: Sequence[str]) -> tuple[DateOrder, bool, str]:
    """The order of day and month, whether a text shows it, and a text that does not."""
    pairs = [(match, text) for text in texts if (match := _TWO_NUMBERS.match(text))]
    if not pairs:
        return "", True, ""
    firsts = [int(match[1]) for match, _ in pairs]
    seconds = [int(match[3]) for match, _ in pairs]
    if max(firsts) > 12:
        return "day first", True, ""
    if max(seconds) > 12:
        return "month first", True, ""
    unlike = [text for match, text in pairs if match[1] != match[3]]
    has_points = any(match[2] == "." for match, _ in pairs)
    return "day first" if has_points else "month first", not unlike, unlike[0] if unlike else ""


def _days_of_object(cell: Any) -> float:
    if isinstance(cell, datetime.timedelta):
        return cell.total_seconds() / SECONDS
    if isinstance(cell, datetime.time):
        return (cell.hour * 3600 + cell.minute * 60 + cell.second) / SECONDS
    if isinstance(cell, datetime.datetime):
        moment = cell if cell.tzinfo is None else cell.astimezone(datetime.UTC).replace(tzinfo=None)
        return (moment - datetime.datetime(1970, 1, 1)).total_seconds() / SECONDS
    if isinstance(cell, datetime.date):
        return float((cell - datetime.date(1970, 1, 1)).days)
    return float("nan")


def _days_of_texts(texts: Sequence[str], order: DateOrder) -> NDArray[np.float64]:
    column = pd.Series(texts, dtype=object).str.strip()
    only_time = column.map(lambda text: bool(_TIME_ONLY.match(text))).to_numpy(bool)
    try:  # many times faster than to find out how each cell is written
        read = pd.to_datetime(column, format="ISO8601", utc=True)
    except ValueError:
        read = pd.to_datetime(
            column, format="mixed", dayfirst=order == "day first", errors="coerce", utc=True
        )
    since = pd.Timestamp(0, tz="UTC")
    days = ((read - since) / pd.Timedelta(days=1)).to_numpy(np.float64, na_value=np.nan)
    return np.where(only_time, days % 1.0, days)  # pandas takes today for a time alone


def useful_parts(days: NDArray[np.float64]) -> tuple[DatePart, ...]:
    """What differs between the dates of a column: days that pass, season, weekday, time of day."""
    known = days[~np.isnan(days)]
    whole = np.floor(known)
    span = float(np.ptp(whole)) if len(known) else 0.0
    parts: list[DatePart] = ["days"] if span else []
    if span >= LEAST_DAYS["year"]:
        parts.append("year")
    if span >= LEAST_DAYS["week"] and len(np.unique(whole % 7)) > 1:
        parts.append("week")
    if len(np.unique(known - whole)) > 1:
        parts.append("day")
    return tuple(parts)


def n_columns(parts: Sequence[DatePart]) -> int:
    """Columns that the encoder makes of a date."""
    return sum(1 if part == "days" else 2 for part in parts)


def part_columns(
    days: NDArray[np.float64], parts: Sequence[DatePart], origin: float
) -> list[NDArray[np.float64]]:
    """What an encoder makes of dates: days since the origin, sine and cosine of each period.

    A missing date has 0 for the latter. In 32 bits from the origin on, as the Keras form has it.
    """
    columns: list[NDArray[np.float64]] = []
    since = (days - origin).astype(np.float32)
    for part in parts:
        if part == "days":
            columns.append(since.astype(np.float64))
            continue
        period = np.float32(PERIODS[part])
        within = since - np.floor(since / period) * period
        angle = within * np.float32(2.0 * np.pi / PERIODS[part])
        # Tuesday and Sunday have one cosine, but for its last digit, which quantiles tell apart.
        waves = [np.round(wave * STEPS) / STEPS for wave in (np.sin(angle), np.cos(angle))]
        columns += [np.nan_to_num(wave).astype(np.float64) for wave in waves]
    return columns
