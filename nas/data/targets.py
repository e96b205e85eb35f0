"""The target column of a table: which rows have one, and whether it is numbers or labels."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.choices import Task
from nas.data.cells import MISSING, MISSING_TARGET, are_missing, as_text, is_text
from nas.data.dataset import MAX_CLASSES_OF_NUMBERS, encode_target, infer_task, most_classes
from nas.data.numbers import Numbers
from nas.data.value_checks import check_finite
from nas.data.words import few_words, unit_of, word_fixes
from nas.errors import NasError
from nas.shell import names_option
from nas.wording import counted

LARGEST_EXACT = 2**53  # whole numbers beyond it are not exact as 64-bit floats
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.0*)?")


Target = tuple[NDArray[np.bool_], NDArray[Any], Task, tuple[Any, ...], list[str]]


def read_targets(
    columns: "Sequence[pd.Series[Any]]",
    numbers: Sequence[Numbers],
    task: Task | None,
    more_missing: tuple[str, ...],
    source: str,
) -> Target:
    """What `read_target` returns, for one target or several, which are numbers then.

    Of several, the rows that have all of them count, and values have shape (n_rows, n_targets).

    Raises:
        NasError: As `read_target`; when one of several targets is no number.
    """
    if len(columns) == 1:
        return read_target(columns[0], numbers[0], task, more_missing, source)
    if task not in (None, "regression"):
        raise NasError("--task", f"got '{task}' for several targets", "regression, or one target")
    for series, of_series in zip(columns, numbers, strict=True):
        if np.isnan(of_series.values).all():
            where = f"{source}: {series.name}"
            raise NasError(where, "is no column of numbers", "numbers, as several targets are")
    read = [
        read_target(series, of_series, "regression", more_missing, source)
        for series, of_series in zip(columns, numbers, strict=True)
    ]
    has_all = np.logical_and.reduce([has_target for has_target, *_ in read])
    if not has_all.any():
        raise NasError(source, "no row has all targets", "rows with each of them")
    values = np.full((len(has_all), len(read)), np.nan)
    for k, (has_target, y, *_) in enumerate(read):
        values[has_target, k] = y
    return (
        has_all,
        values[has_all],
        "regression",
        (),
        [note for *_, notes in read for note in notes],
    )


def read_target(
    series: "pd.Series[Any]",
    numbers: Numbers,
    task: Task | None,
    more_missing: tuple[str, ...],
    source: str,
) -> Target:
    """Which rows have a target, and what `encode_target` makes of those.

    Args:
        series: The target column.
        numbers: What it is as numbers, with the usual words for missing ones left out.
        task: The task, or None to infer it.
        more_missing: Words of the user for a missing value.
        source: What an error message begins with.

    Returns:
        Which rows have a target, shape (n_rows,); class numbers or values of those, the task, the
        class labels, and notes, a sentence each.

    Raises:
        NasError: When no row has a target, or it doesn't fit the task.
    """
    name = str(series.name)
    where = f"{source}: {name}"
    as_numbers = _is_numeric(series, numbers, task, where, more_missing)
    usual = MISSING if as_numbers else MISSING_TARGET
    has_target = ~are_missing(series, more_missing, usual)
    if not has_target.any():
        raise NasError(where, "no row has a target", "a target in every row")
    notes = []
    if not has_target.all():
        left_out = int((~has_target).sum())
        notes.append(
            f"{counted(left_out, 'row')} without a target ('{name}') "
            + ("is" if left_out == 1 else "are")
            + f" left out, first row {int((~has_target).argmax()) + 1}"
        )
    given = series[has_target]
    if not as_numbers:
        target = _labels(given)
        if is_text(series):
            _check_unit(given, task, where)
            notes += _classes_of_one_word(target, name)
            notes += _classes_like_missing(target, name)
        return has_target, *encode_target(target, task, where), notes
    values = numbers.values[has_target]
    check_finite(values, where)
    exact, texts = _texts_of_numbers(given)
    if task is None and is_text(series):
        _check_merged(texts, values, where)
    wanted = task or infer_task(values if exact else np.unique(texts, return_inverse=True)[1])
    plain = exact and (bool(numbers.spelling) or not is_text(series) or _are_plain(texts))
    if wanted == "regression" or plain:
        return has_target, *encode_target(values, wanted, where), notes
    # 007 and 7 are one number, but two labels.
    return has_target, *encode_target(texts, task, where), notes


def _is_numeric(
    series: "pd.Series[Any]",
    numbers: Numbers,
    task: Task | None,
    where: str,
    more_missing: tuple[str, ...],
) -> bool:
    if pd.api.types.is_bool_dtype(series):
        return False
    n_numbers = int((~np.isnan(numbers.values)).sum())
    if not numbers.is_word.any():
        return n_numbers > 0
    if task in ("binary", "multiclass") or not few_words(series, numbers):
        return False
    row = int(numbers.is_word.argmax())
    name = where.rsplit(": ", 1)[-1]
    fixes = word_fixes(series, numbers, more_missing)
    labels = as_text(series[~are_missing(series, more_missing, MISSING_TARGET)], numbers=False)
    as_classes = ""
    if labels.nunique() <= most_classes(len(labels)):
        as_classes = ", or --task multiclass if they are classes"
    raise NasError(
        f"{where}, row {row + 1}",
        f"got '{series.iloc[row]}'",
        f"a number, as in {n_numbers:,} other rows",
        f"Correct the cell, or add {fixes}, which leaves out such rows of '{name}'{as_classes}.",
    )


def _check_unit(given: "pd.Series[Any]", task: Task | None, where: str) -> None:
    """Refuses numbers with a unit that is not read, unless they are said to be classes."""
    unit = unit_of(as_text(given, numbers=False))
    if unit and task not in ("binary", "multiclass"):
        raise NasError(
            where,
            f"got '{given.iloc[0]}'",
            f"numbers without '{unit}'",
            "Take it out of the file, or add --task multiclass if they are classes.",
        )


def _check_merged(texts: NDArray[Any], values: NDArray[np.float64], where: str) -> None:
    """Refuses a few labels such as 1.1 and 1.10, unless they are said to be numbers or classes."""
    labels, rows = np.unique(texts, return_index=True)
    if len(labels) > MAX_CLASSES_OF_NUMBERS or all(map(_WHOLE.fullmatch, labels)):
        return
    fractions = [k for k, label in zip(rows, labels, strict=True) if "." in label]
    numbers = values[fractions]
    same = [k for k in fractions if (numbers == values[k]).sum() > 1]
    if len(same) > 1:
        raise NasError(
            where,
            f"got '{texts[same[0]]}' and '{texts[same[1]]}', which are one number",
            "labels or numbers",
            "Add --task multiclass if they are labels, or --task regression.",
        )


def _classes_of_one_word(labels: NDArray[Any], name: str) -> list[str]:
    """A note on classes that differ in case only."""
    by_word: dict[str, list[str]] = {}
    for text in np.unique(labels).tolist():
        by_word.setdefault(text.casefold(), []).append(text)
    return [
        f"'{texts[0]}' and '{texts[1]}' are two classes of '{name}', which differ in case only"
        for texts in by_word.values()
        if len(texts) > 1
    ]


def _labels(given: "pd.Series[Any]") -> NDArray[Any]:
    if pd.api.types.is_bool_dtype(given):
        return np.asarray(given, dtype=bool)
    return np.asarray(as_text(given, numbers=False), dtype=object).astype(str)


def _texts_of_numbers(given: "pd.Series[Any]") -> tuple[bool, NDArray[Any]]:
    """Whether 64-bit floats hold the numbers, and the numbers as text."""
    if is_text(given):
        texts = np.asarray(given.astype(str).str.strip(), dtype=object).astype(str)
        digits = [re.sub("[^0-9]", "", text) for text in np.unique(texts)]
        whole = [len(number.lstrip("0")) > 15 for number in digits]
        is_id = [number.isdecimal() for number in np.unique(texts)]
        return not any(a and b for a, b in zip(whole, is_id, strict=True)), texts
    if pd.api.types.is_integer_dtype(given):
        whole_numbers = [int(number) for number in given]
        exact = max(map(abs, whole_numbers)) <= LARGEST_EXACT
        return exact, np.array([str(number) for number in whole_numbers])
    return True, np.asarray(as_text(given, numbers=False), dtype=object).astype(str)


def _are_plain(texts: NDArray[Any]) -> bool:
    """Whether the texts are numbers as a computer writes them, unlike `007` or `1.10`."""
    return all(
        _WHOLE.fullmatch(text) or repr(float(text)) == text for text in np.unique(texts).tolist()
    )


def _classes_like_missing(labels: NDArray[Any], name: str) -> list[str]:
    """A note on classes called `none` or `NA`, which may be missing values."""
    found = [text for text in np.unique(labels).tolist() if text.casefold() in MISSING]
    return [
        f"'{text}' is a class of '{name}'; {names_option('missing', text)} leaves its rows out"
        for text in found
    ]
