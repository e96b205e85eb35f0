"""Numbers as people and spreadsheets write them: decimal commas, thousands marks, units.

Which mark is the decimal one is decided once for a column, by cells that can be read in one way
only (`0,53` or `1.234,5`), else by the other columns of the file. `1,234` alone has two readings.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data.numerals import Cell, is_number, parse_cell, plain_marks
from nas.errors import NasError
from nas.shell import names_option

# A column with a larger share of words than this is text; it says nothing about decimal marks.
LARGEST_SHARE_OF_WORDS = 0.1
# Different cells such as 1.234, and whole numbers beside them, that decide what the point is.
LEAST_MARKED, MANY_MARKED, LEAST_WHOLE = 3, 10, 2
SAMPLE_TEXTS = 300  # a column in whose first so many different texts there is no number is text


_GROUPED = re.compile(r"\s*[-+]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+\s*")


@dataclass(frozen=True)
class Numbers:
    """A column read as numbers.

    Attributes:
        values: Shape (n_rows,); NaN where a cell is missing or shows no number.
        is_word: Whether a cell is neither missing nor a number, shape (n_rows,).
        unit: `%`, a currency, or an empty text.
        spelling: What is unusual about the cells, in words; empty for plain numbers.
        example: A cell that is unusual.
        grouped: The mark, `,` or `.`, that stands between thousands; empty for none.
    """

    values: NDArray[np.float64]
    is_word: NDArray[np.bool_]
    unit: str = ""
    spelling: str = ""
    example: str = ""
    grouped: str = ""


@dataclass(frozen=True)
class _Texts:
    """The different texts of a column, and what each may be as a number."""

    rows: NDArray[np.int64]  # of the cells that are not missing
    codes: NDArray[np.int64]
    texts: Sequence[str]
    counts: NDArray[np.int64]
    dot: NDArray[np.float64]
    comma: NDArray[np.float64]
    units: Sequence[str]

    @property
    def share_of_words(self) -> float:
        words = np.isnan(self.dot) & np.isnan(self.comma)
        return float(self.counts[words].sum() / self.counts.sum())

    def own_mark(self) -> str:
        """The decimal mark that more cells can be read with; empty where both do."""
        with_dot = self.counts[~np.isnan(self.dot)].sum()
        with_comma = self.counts[~np.isnan(self.comma)].sum()
        return "." if with_dot > with_comma else "," if with_comma > with_dot else ""

    def grouped_mark(self) -> str:
        """The decimal mark that follows from the whole numbers beside `1.234` and `5.678`.

        Beside 12 and 345 the points stand between thousands: as decimals some would have fewer
        digits. Beside 1234 they do not. Empty where there are too few such cells.
        """
        unclear = self.differ()
        marks = {"," if "," in text else "." for text in np.array(self.texts)[unclear]}
        if unclear.sum() < LEAST_MARKED or len(marks) > 1:
            return ""
        mark = marks.pop()
        whole = np.abs(self.dot[~unclear & (self.dot == self.comma) & (self.dot != 0)])
        if (whole >= 1000).any():
            return mark
        enough = len(whole) >= LEAST_WHOLE or (len(whole) and unclear.sum() >= MANY_MARKED)
        return {".": ",", ",": "."}[mark] if enough else ""

    def differ(self) -> NDArray[np.bool_]:
        """Which texts are one number with a decimal point and another with a comma."""
        both = ~np.isnan(self.dot) & ~np.isnan(self.comma)
        return np.asarray(both & (self.dot != self.comma))


def read_numbers(
    columns: "Mapping[str, pd.Series[Any]]",
    missing: Mapping[str, NDArray[np.bool_]],
    source: str,
    marks: str | None = None,
    separator: str = ",",
    needed: Collection[str] | None = None,
) -> tuple[dict[str, Numbers], str]:
    """Reads the text columns of one file as numbers, as far as they are numbers.

    Args:
        columns: Columns of text, of one length.
        missing: Which of their cells are missing.
        source: What an error message begins with.
        marks: For rows to predict for, the second result of the training data: it settles what
            can be read in two ways. None for training data.
        separator: What stands between the cells. With a semicolon, where nothing in the file says
            otherwise, `1,234` is 1.234, and `1.234` is 1234.
        needed: The columns that are read; others only show how the file writes numbers. None
            reads all.

    Returns:
        The columns that are needed, and the marks of the file: the decimal
        one, then those between thousands.

    Raises:
        NasError: When a column mixes spellings or units, or can be read in two ways.
    """
    plain: dict[str, NDArray[np.float64]] = {}
    spelled: dict[str, _Texts] = {}
    for name, series in columns.items():
        codes, cells = pd.factorize(series)
        read = np.asarray(pd.to_numeric(pd.Series(cells), errors="coerce"), dtype=np.float64)
        numbers = np.append(read, np.nan)[codes]  # code -1 is a missing cell
        numbers[missing[name]] = np.nan
        plain[name] = numbers
        given = ~missing[name]
        if np.isnan(numbers[given]).any() and (texts := _texts(series, given)) is not None:
            spelled[name] = texts
    numeric = [t for t in spelled.values() if t.share_of_words < LARGEST_SHARE_OF_WORDS]
    own = {texts.own_mark() for texts in numeric}
    for name, series in columns.items():
        if name in spelled or np.isnan(plain[name]).all():
            continue
        has_points, may_group = _points(series, ~missing[name])
        if has_points and not may_group:
            own.add(".")
        elif has_points and (texts := _texts(series, ~missing[name])) is not None:
            spelled[name] = texts  # 1.234 may be 1234
            numeric.append(texts)
    own -= {""}
    file_mark = own.pop() if len(own) == 1 else ""
    by_group = {texts.grouped_mark() for texts in numeric} - {""}
    group_mark = by_group.pop() if len(by_group) == 1 else ""
    result = {}
    for name, series in columns.items():
        if needed is not None and name not in needed:
            continue
        where = f"{source}: {name}"
        if name not in spelled:
            is_word = np.isnan(plain[name]) & ~missing[name]
            result[name] = Numbers(plain[name], np.asarray(is_word))
            continue
        texts = spelled[name]
        mark = texts.own_mark() or file_mark
        in_doubt = not mark
        mark = mark or _assumed(texts, group_mark, marks, separator, where)
        result[name] = _numbers(texts, mark, in_doubt, len(series), where)
    grouped = sorted({numbers.grouped for numbers in result.values()} - {""})
    has_commas = any("decimal commas" in numbers.spelling for numbers in result.values())
    decimal = file_mark or ("," if has_commas and "." not in own else ".")
    return result, decimal + "".join(mark for mark in grouped if mark != decimal)


def _points(series: "pd.Series[Any]", given: NDArray[np.bool_]) -> tuple[bool, bool]:
    """Whether plain numbers have points, and whether all of those may stand between thousands."""
    pointed = [text for text in pd.unique(series[given].astype(object)) if "." in str(text)]
    return bool(pointed), all(_GROUPED.fullmatch(str(text)) for text in pointed)


def _texts(series: "pd.Series[Any]", given: NDArray[np.bool_]) -> _Texts | None:
    """The texts of a column; None where there are no numbers among them."""
    codes, uniques = pd.factorize(series[given].astype(object))
    texts = [str(text) for text in uniques]
    if not any(map(is_number, texts[:SAMPLE_TEXTS])):
        return None
    cells = [parse_cell(text) for text in texts]
    return None if _is_a_code(texts, cells) else _as_texts(given, codes, texts, cells)


def _as_texts(
    given: NDArray[np.bool_],
    codes: NDArray[Any],
    texts: Sequence[str],
    cells: Sequence[Cell | None],
) -> _Texts:
    dot = np.array([cell.dot if cell else np.nan for cell in cells])
    comma = np.array([cell.comma if cell else np.nan for cell in cells])
    return _Texts(
        rows=np.flatnonzero(given),
        codes=np.asarray(codes),
        texts=texts,
        counts=np.bincount(codes, minlength=len(texts)),
        dot=dot,
        comma=comma,
        units=[cell.unit if cell else "" for cell in cells],
    )


def _is_a_code(texts: Sequence[str], cells: Sequence[Cell | None]) -> bool:
    """Whether the cells look like numbers, and are addresses, telephone numbers or footnotes."""
    shown = [text for text, cell in zip(texts, cells, strict=True) if cell]
    digits = {sum(character.isdigit() for character in text) for text in shown}
    return bool(shown) and (
        all(text.count(".") == 3 for text in shown)
        or (len(digits) == 1 and min(digits) >= 9 and all(" " in text.strip() for text in shown))
        or all(re.fullmatch(r"\([0-9]{1,3}\)", text) for text in shown)
    )


def _assumed(texts: _Texts, group_mark: str, marks: str | None, separator: str, where: str) -> str:
    """The decimal mark of a column that can be read with both, as all columns of its file can."""
    unclear = [text for text, two in zip(texts.texts, texts.differ(), strict=True) if two]
    if not unclear:
        return "."
    commas = [text for text in unclear if "," in text]
    points = [text for text in unclear if "," not in text]
    if not (commas and points):
        if marks is None:
            # Who separates cells by semicolons writes 1.234 for 1234, and 1,234 for 1.234.
            return group_mark or ("," if separator == ";" else ".")
        settled = ""
        if commas and "," in marks:
            settled = marks[0]
        elif points and separator != ";" and (marks[0] == "." or "." not in marks):
            settled = "."
        if settled and group_mark in ("", settled):
            return settled
    example = (commas or points)[0]
    readings = {f"{texts.dot[texts.texts.index(example)]:g}"}
    readings.add(f"{texts.comma[texts.texts.index(example)]:g}")
    raise NasError(
        where,
        f"got '{example}', which may be {' or '.join(sorted(readings))}",
        "numbers that can be read in one way",
        "Write it without marks between thousands and with a decimal point.",
    )


def _numbers(texts: _Texts, mark: str, in_doubt: bool, n_rows: int, where: str) -> Numbers:
    chosen, other = (texts.dot, texts.comma) if mark == "." else (texts.comma, texts.dot)
    is_number = ~np.isnan(chosen)
    if texts.share_of_words < 0.5:
        _check_mixture(texts, is_number, ~np.isnan(other), where)
    values, words = np.full(n_rows, np.nan), np.zeros(n_rows, dtype=bool)
    values[texts.rows] = chosen[texts.codes]
    words[texts.rows] = ~is_number[texts.codes]
    used = [text for text, good in zip(texts.texts, is_number, strict=True) if good]
    unit = next((unit for unit in texts.units if unit), "")
    thousands = "." if mark == "," else ","
    blanks = [plain_marks(text) for text in used]
    unclear = np.array(texts.texts)[texts.differ()].tolist()
    signs = {
        "decimal points": unclear
        if in_doubt and mark == "." and "," not in "".join(unclear)
        else [],
        "decimal commas": [text for text in used if mark == "," and "," in text],
        "thousands marks": [
            text
            for text, body in zip(used, blanks, strict=True)
            if thousands in text or re.search(r"[0-9][ '][0-9]", body)
        ],
        "percent": [text for text in used if "%" in text],
        f"amounts in {unit}": [
            text
            for text, its in zip(texts.texts, texts.units, strict=True)
            if its and its not in ("%", "")
        ],
        "parentheses for negative numbers": [text for text in used if "(" in text],
        "signs of print": [text for text in used if re.search("[\u2212\u2013\ufe63\uff0d]", text)],
    }
    found = {words: examples[0] for words, examples in signs.items() if examples}
    return Numbers(
        values=values,
        is_word=words,
        unit=unit,
        spelling=" and ".join(found),
        example=next(iter(found.values()), ""),
        grouped=thousands if any(thousands in text for text in used) else "",
    )


def _check_mixture(
    texts: _Texts, is_number: NDArray[np.bool_], is_other: NDArray[np.bool_], where: str
) -> None:
    """Refuses two decimal marks, two currencies, or percent beside plain numbers in a column."""

    def first(which: Iterable[bool]) -> str:
        return next((text for text, it in zip(texts.texts, which, strict=True) if it), "")

    clash = is_other & ~is_number
    alone = is_number & ~is_other
    name = where.rsplit(": ", 1)[-1]
    if clash.any():
        _refuse_mixture(where, name, first(alone) or first(is_number), first(clash), "decimal mark")
    units = {unit for unit in texts.units if unit}
    if len(units) > 1:
        one, two = sorted(units)[:2]
        _refuse_mixture(
            where,
            name,
            first(unit == one for unit in texts.units),
            first(unit == two for unit in texts.units),
            "unit",
        )
    if units == {"%"}:
        zero = (texts.dot == 0) | (texts.comma == 0)
        bare = is_number & ~zero & np.array([not unit for unit in texts.units])
        if bare.any():
            _refuse_mixture(
                where, name, first(unit == "%" for unit in texts.units), first(bare), "unit"
            )


def _refuse_mixture(where: str, name: str, one: str, two: str, what: str) -> None:
    raise NasError(
        where,
        f"got '{one}' and '{two}'",
        f"one {what} in a column",
        f"Correct the cells, or use {names_option('categorical', name)}.",
    )
