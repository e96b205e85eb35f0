"""Words in columns of numbers: mistakes and unusual signs of a missing value."""

import re
from typing import Any

import numpy as np
import pandas as pd

from nas.data.numbers import Numbers
from nas.shell import names_option

# A column with a smaller share of words than this is taken for numbers with mistakes in it.
SHARE_OF_MISTAKES = 0.1
MOST_WORDS = 3  # that stand for missing values in a column that is mostly numbers
LEAST_NUMBERS = 10  # a column with more different numbers is more than categories
_BEGINS_LIKE_A_NUMBER = re.compile(r"[^\w]{0,3}\d")
_UNIT = re.compile(r"[-+<>]?[0-9][0-9.,]*\s?(?P<unit>[^0-9\s][^0-9]*)")


def few_words(series: "pd.Series[Any]", numbers: Numbers) -> bool:
    """Whether a column is numbers, but for some cells that should not be words."""
    n_words, n_numbers = int(numbers.is_word.sum()), int((~np.isnan(numbers.values)).sum())
    if not n_words or not n_numbers:
        return False
    if n_words < SHARE_OF_MISTAKES * (n_words + n_numbers):
        return True
    return (
        len(_words(series, numbers)) <= MOST_WORDS
        and len(np.unique(numbers.values[~np.isnan(numbers.values)])) > LEAST_NUMBERS
    )


def mostly_numbers(numbers: Numbers) -> bool:
    """Whether more cells are numbers than words."""
    return bool((~np.isnan(numbers.values)).sum() > numbers.is_word.sum())


def unit_of(given: "pd.Series[Any]") -> str:
    """The text that follows a number in nearly all cells of a column of many values.

    Args:
        given: The cells that are not missing, as text.
    """
    counts = given.value_counts()
    if len(counts) <= LEAST_NUMBERS:
        return ""
    matches = [_UNIT.fullmatch(text) for text in counts.index]
    units = pd.Series([match["unit"].strip() if match else "" for match in matches])
    shares = counts.groupby(units.to_numpy()).sum() / counts.sum()
    return str(shares.idxmax()) if shares.max() > 0.9 else ""


def like_numbers(given: "pd.Series[Any]") -> str:
    """A cell of a column of many texts that nearly all begin and end like amounts or dates.

    That is `$1.3M`, `5/8` or `2024-W01`, which a reader may take for numbers, and nas does not;
    codes such as `A12` begin with a letter.
    """
    texts = given.unique()
    if len(texts) <= LEAST_NUMBERS:
        return ""
    alike = [text for text in texts if _BEGINS_LIKE_A_NUMBER.match(text)]
    return str(alike[0]) if len(alike) > 0.9 * len(texts) else ""


def word_fixes(
    series: "pd.Series[Any]", numbers: Numbers, more_missing: tuple[str, ...] = ()
) -> str:
    """The option that makes the words of a column missing values."""
    return names_option("missing", *more_missing, *_words(series, numbers)[:MOST_WORDS])


def example_words(series: "pd.Series[Any]", numbers: Numbers) -> str:
    """Up to three words of the column, in quotes."""
    words = _words(series, numbers)
    shown = ", ".join(f"'{word}'" for word in words[:MOST_WORDS])
    return shown + (" ..." if len(words) > MOST_WORDS else "")


def _words(series: "pd.Series[Any]", numbers: Numbers) -> list[str]:
    return list(dict.fromkeys(series[numbers.is_word].astype(str).str.strip()))
