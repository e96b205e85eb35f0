"""What the training rows held, and how rows to predict for compare with it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.dataset import Dataset, Features, Schema, take_rows
from nas.wording import counted

FAR = 3  # ranges of the training rows that a number lies beyond them, to be told
# Without leading zeros: 007 is a code, and not 7.
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d{1,3})?")
_EXAMPLES = 3


def seen_values(
    dataset: Dataset, rows: NDArray[np.int64], categories: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """What each column of a table held in the training rows, as plain data for JSON.

    Args:
        dataset: The data; without named columns nothing is told.
        rows: The training rows.
        categories: The texts of each categorical column that the model knows.

    Returns:
        By column `min` and `max` of numbers, and whether some were missing, as `has_gaps`; of
        categories those that the model knows, as
        `categories`, and how many there were in all, as `n_categories`.
    """
    seen: dict[str, dict[str, Any]] = {}
    # New dates are later than those of the training, and new texts are others.
    new = {column.name for column in dataset.schema.columns if column.kind in ("date", "text")}
    for name, values in _columns(take_rows(dataset.features, rows), dataset.schema).items():
        if name in new:
            continue
        if name in categories:
            seen[name] = {
                "categories": list(categories[name]),
                "n_categories": len(set(values.tolist())),
            }
        elif not np.isnan(values).all():
            seen[name] = {
                "min": float(np.nanmin(values)),
                "max": float(np.nanmax(values)),
                "has_gaps": bool(np.isnan(values).any()),
            }
    return seen


def match_seen(
    features: Features, schema: Schema, seen: Mapping[str, Mapping[str, Any]]
) -> tuple[Features, list[str]]:
    """Gives categories the spelling that training saw, and tells what it never saw.

    Spellings of one number (`1`, `1.0`), of a truth value (`True`, `true`), and those with blanks
    around them are equal, unless training saw several of them.

    Args:
        features: Rows to predict for.
        schema: Their schema.
        seen: What `seen_values` returned; empty for models without it.

    Returns:
        The features, and a line for each column with unknown or far values.
    """
    lines = []
    matched = dict(features) if isinstance(features, Mapping) else {}
    for name, values in _columns(features, schema).items():
        known = seen.get(name, {})
        if "categories" in known:
            matched[name] = _in_known_spelling(values, known["categories"])
            lines += _unknown_line(name, matched[name], known)
        elif "min" in known:
            lines += _far_line(name, values, known["min"], known["max"])
            lines += _gaps_line(name, values) if known.get("has_gaps") is False else []
    return (matched if isinstance(features, Mapping) else features), lines


def _columns(features: Features, schema: Schema) -> Mapping[str, NDArray[Any]]:
    if isinstance(features, Mapping):
        return features
    names = [column.name for column in schema.columns]
    return {name: features[:, k].astype(np.float64) for k, name in enumerate(names)}


def _in_known_spelling(values: NDArray[Any], known: Iterable[str]) -> NDArray[Any]:
    same: dict[Decimal | str, list[str]] = {}
    for text in known:
        same.setdefault(_meaning(text), []).append(text)
    spelling = {text: text for text in set(values.tolist())}
    for text in spelling.keys() - set(known):
        candidates = same.get(_meaning(text), [])
        if len(candidates) == 1:
            spelling[text] = candidates[0]
    return np.array([spelling[text] for text in values.tolist()], dtype=object)


def _meaning(text: str) -> Decimal | str:
    word = text.strip()
    if _NUMBER.fullmatch(word):
        return Decimal(word)
    return word.casefold() if word.casefold() in ("true", "false") else word


def _unknown_line(name: str, values: NDArray[Any], known: Mapping[str, Any]) -> list[str]:
    categories = set(known["categories"])
    unknown = [text for text in values.tolist() if text not in categories]
    if not unknown:
        return []
    held = (
        f"none of the {len(categories)} most frequent of {known['n_categories']:,} categories"
        if known["n_categories"] > len(categories)
        else "values the model never saw"
    )
    examples = " and ".join(_short(text) for text in list(dict.fromkeys(unknown))[:_EXAMPLES])
    return [
        f"column {_short(name)}: {len(unknown):,} of {counted(len(values), 'row')} hold {held}, "
        f"such as {examples}; they count as unknown"
    ]


def _far_line(name: str, values: NDArray[Any], low: float, high: float) -> list[str]:
    reach = FAR * (high - low)
    far = values[(values < low - reach) | (values > high + reach)]
    if not len(far):
        return []
    return [
        f"column {_short(name)}: {len(far):,} of {counted(len(values), 'row')} hold numbers far "
        f"from the {low:g} to {high:g} that the model saw, such as {far[0]:g}"
    ]


def _gaps_line(name: str, values: NDArray[Any]) -> list[str]:
    n_missing = int(np.isnan(values).sum())
    if not n_missing:
        return []
    return [
        f"column {_short(name)}: {n_missing:,} of {counted(len(values), 'row')} hold no number, "
        "which the model never saw; they count as the mean"
    ]


def _short(text: str, limit: int = 40) -> str:
    """Quoted, on one line, without control characters."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
