"""Single cells of a table: which are missing, and what they are as text."""

import re
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# The words of pandas (`pandas.read_csv`, na_values), in lower case, and the question mark of the
# UCI data sets.
MISSING = frozenset(
    {
        *("", "?", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "#n/a", "#n/a n/a", "#na"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    }
)
# In a target of text 'none' or 'NA' may be the name of a class; these cannot.
MISSING_TARGET = frozenset({"", "?", "<na>", "#n/a", "#n/a n/a", "#na"})
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)\.0+")


def is_text(series: "pd.Series[Any]") -> bool:
    """Whether a column holds Python objects or text rather than numbers or truth values."""
    return not (pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series))


def are_missing(
    series: "pd.Series[Any]", more: Collection[str] = (), usual: Collection[str] = MISSING
) -> NDArray[np.bool_]:
    """Which cells are missing.

    Args:
        series: A column.
        more: Words of the user, compared without regard to case, and as numbers if they are some.
        usual: Other words for it, in lower case.
    """
    missing = np.array(series.isna(), dtype=bool)
    if is_text(series):
        words = {*usual, *(word.strip().casefold() for word in more)}
        codes, texts = pd.factorize(series.astype(object))
        absent = np.array([str(text).strip().casefold() in words for text in texts], dtype=bool)
        missing |= np.append(absent, True)[codes]  # code -1 is a missing cell
    numbers = [float(word) for word in more if re.fullmatch(r"[-+]?[0-9]+(?:\.[0-9]*)?", word)]
    if numbers and not pd.api.types.is_bool_dtype(series):
        values = pd.to_numeric(series, errors="coerce")
        missing |= np.asarray(values.isin(numbers), dtype=bool)
    return missing


def as_text(series: "pd.Series[Any]", numbers: bool) -> "pd.Series[Any]":
    """The cells as text without outer blanks; a missing one is empty.

    Args:
        series: A column.
        numbers: Whether the texts are numbers, so that 1.0 is 1.
    """

    def text(cell: Any) -> str:
        if isinstance(cell, float) and cell.is_integer():
            return str(int(cell))
        shown = str(cell).strip()
        return shown[: shown.index(".")] if numbers and _WHOLE.fullmatch(shown) else shown

    codes, cells = pd.factorize(series.astype(object))
    texts = np.array([*map(text, cells), ""], dtype=object)  # code -1 is a missing cell
    return pd.Series(texts[codes], index=series.index, name=series.name, dtype=object)
