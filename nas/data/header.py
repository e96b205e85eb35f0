"""Whether the first line of a CSV file names the columns, and what they are called."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nas.data.cells import MISSING
from nas.data.dates import is_date
from nas.data.numerals import parse_cell
from nas.errors import NasError

SAMPLE_ROWS = 300
LARGEST_SHARE_OF_SERIES = 0.1  # of the rows, where a first line in even steps is no row
SHARE_OF_A_KIND = 0.8  # of the cells of a column of numbers or dates
# What a cell of the first line says, by weight. A name above numbers is hardly anything else; a
# text that is not found again may be a rare category.
NAME_ABOVE_NUMBERS, LIKE_ITS_COLUMN, TEXT_FOUND_ONCE = 3, 2, 1


def first_line_is_data(first: Sequence[str], rows: pd.DataFrame) -> bool:
    """Whether the first line looks more like the others than like names.

    Each cell is compared with its column: a number above numbers and a text that occurs again
    speak for data, a text above numbers for names. Years and running numbers are names where
    they stand above other numbers.

    Args:
        first: The cells of the first line.
        rows: The other lines, text.
    """
    sample = rows.iloc[:SAMPLE_ROWS]
    data = names = 0
    numeric: list[int] = []  # columns with a number above numbers
    for k, cell in enumerate(first):
        values = [v for v in sample[k] if v.casefold() not in MISSING]
        if cell.casefold() in MISSING or not values:
            continue
        kind, own = _kind_of(values), _kind(cell)
        if kind != "text":
            if own == kind == "number":
                numeric.append(k)
            elif own == kind:
                data += LIKE_ITS_COLUMN
            elif own == "text" or kind == "number":
                names += NAME_ABOVE_NUMBERS
        elif (rows[k] == cell).any():
            data += LIKE_ITS_COLUMN
        elif own == "text" and 3 * len(set(values)) <= len(values):
            names += TEXT_FOUND_ONCE
    if numeric:
        if _are_names([first[k] for k in numeric], sample[numeric]):
            names += NAME_ABOVE_NUMBERS * len(numeric)
        else:
            data += LIKE_ITS_COLUMN * len(numeric)
    return data > names


def _kind(text: str) -> str:
    return "date" if is_date(text) else "number" if parse_cell(text) else "text"


def _kind_of(values: Sequence[str]) -> str:
    """What most of the values are."""
    kinds = [_kind(value) for value in values]
    for kind in ("number", "date"):
        if kinds.count(kind) >= SHARE_OF_A_KIND * len(kinds):
            return kind
    return "text"


def _are_names(cells: Sequence[str], below: pd.DataFrame) -> bool:
    """Whether numbers above columns of numbers are a series that names them.

    That is years, numbers at one distance such as 0, 1, 2, or (from six on) rising ones, unless
    the rows below are such a series as well.
    """
    numbers = np.array([_value(cell) for cell in cells])
    rows = np.array([[_value(cell) for cell in row] for row in below.to_numpy()])
    if np.isnan(numbers).any():
        return False
    if len(numbers) == 1:
        return False
    low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
    years = bool(np.all((numbers % 1 == 0) & (numbers >= 1800) & (numbers <= 2100)))
    if years and np.mean((numbers < low) | (numbers > high)) > 0.5:
        return len(set(numbers)) == len(numbers)
    steps, steps_below = np.diff(numbers), np.diff(rows, axis=1)
    if not np.all(steps > 0):
        return False
    rise_below = np.all(steps_below > 0, axis=1)
    even_below = rise_below & np.all(np.isclose(steps_below, steps_below[:, :1]), axis=1)
    if np.allclose(steps, steps[0]) and even_below.mean() < LARGEST_SHARE_OF_SERIES:
        running = steps[0] == 1 and numbers[0] in (0, 1)
        if len(numbers) >= (3 if running else 4):
            return True
        # Two columns: whole numbers above fractions.
        return running and all("." in cell for row in below.to_numpy() for cell in row)
    return len(numbers) >= 6 and rise_below.mean() < LARGEST_SHARE_OF_SERIES


def _value(text: str) -> float:
    cell = parse_cell(text)
    if cell is None:
        return float("nan")
    return cell.comma if np.isnan(cell.dot) else cell.dot


def position_names(width: int) -> tuple[str, ...]:
    """The names of columns that have none: 1, 2, 3 and so on."""
    return tuple(str(k) for k in range(1, width + 1))


def check_names(names: Sequence[str], source: str, fix: str) -> None:
    """Refuses a name that two columns have.

    Raises:
        NasError: Which begins with `source` and ends with `fix`.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise NasError(
                source, f"two columns are called '{name}'", "a name of its own for each", fix
            )
        seen.add(name)


def is_row_number(series: "pd.Series[Any]") -> bool:
    """Whether a column counts the rows from 0 or 1, as pandas writes an index."""
    numbers = np.asarray(pd.to_numeric(series, errors="coerce"), dtype=np.float64)
    return bool(np.array_equal(numbers - numbers[0], np.arange(len(numbers)))) and (
        numbers[0] in (0, 1)
    )
