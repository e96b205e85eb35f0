"""Columns of dates and times, which are neither numbers nor categories that recur."""

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SHARE_OF_DATES = 0.9  # of the cells of a column of dates, which may hold a few mistakes
SAMPLE_TEXTS = 100

_TIME = (
    r"(?:[01]?[0-9]|2[0-4]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?"
    r"(?:\s?(?:Z|UTC|GMT|[-+][0-9]{2}:?(?:[0-9]{2})?))?"
)
_MONTH = "(?:0?[1-9]|1[0-2])"
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
_YEAR = "(?:1[5-9]|20|21)[0-9]{2}"
_NAME = (
    "(?:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz?|apr(?:il)?|may|mai|june?|juni?|"
    "july?|juli?|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)\\.?"
)
_WEEKDAY = "(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\\s)?"
_DATES = (
    rf"{_YEAR}([-/.]){_MONTH}\1{_DAY}",
    rf"{_YEAR}-(?:0[1-9]|1[0-2])",
    rf"{_DAY}([-/.]){_MONTH}\2{_YEAR}",
    rf"{_MONTH}([-/.]){_DAY}\3{_YEAR}",
    rf"{_DAY}/{_MONTH}/[0-9]{{2}}|{_MONTH}/{_DAY}/[0-9]{{2}}",
    # With points or dashes and a short year it may be a version: with all zeros it is a date.
    r"(?:0[1-9]|[12][0-9]|3[01])([-.])(?:0[1-9]|1[0-2])\4[0-9]{2}",
    rf"{_WEEKDAY}{_DAY}(?:st|nd|rd|th)?[-\s.]*{_NAME}[-\s.,']*(?:{_YEAR}|[0-9]{{2}})",
    rf"{_WEEKDAY}{_NAME}[-\s]*{_DAY}(?:st|nd|rd|th)?,?\s*{_YEAR}",
    rf"{_NAME}[-\s'/]*(?:{_YEAR}|[0-9]{{2}})",
    rf"{_WEEKDAY}{_NAME}\s+{_DAY}\s+{_TIME}\s+{_YEAR}",
)
_DATE = re.compile(rf"(?:{'|'.join(_DATES)})(?:(?:T|,?\s+){_TIME})?|{_TIME}", re.IGNORECASE)
_KINDS = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time")


def is_date(text: str) -> bool:
    """Whether a cell shows a date, a month of a year, or a time of day."""
    return len(text) <= 60 and _DATE.fullmatch(text.strip()) is not None


def are_dates(series: "pd.Series[Any]", missing: NDArray[np.bool_]) -> bool:
    """Whether a column holds dates or times, as such (Parquet) or as text."""
    if not pd.api.types.is_object_dtype(series) and not pd.api.types.is_string_dtype(series):
        return pd.api.types.infer_dtype(series, skipna=True) in _KINDS
    given = series[~missing]
    if not len(given):
        return False
    if pd.api.types.infer_dtype(given, skipna=True) in _KINDS:
        return True
    counts = given.astype(str).value_counts()
    if not any(map(is_date, counts.index[:SAMPLE_TEXTS])):
        return False
    dates = [is_date(text) for text in counts.index]
    return bool(counts[dates].sum() >= SHARE_OF_DATES * len(given))
