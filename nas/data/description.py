"""A data set in words: its columns and what becomes of each, and its target."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data.dataset import MAX_CATEGORIES, Dataset
from nas.data.findings import repeated_rows
from nas.study.attributes import Finding
from nas.wording import counted

FEW_ROWS = 10  # a class with fewer is rare
MOST_SHOWN = 3  # values of a column
DATE_PARTS = {"days": "days that pass", "year": "season", "week": "weekday", "day": "time of day"}


@dataclass(frozen=True)
class DescribedColumn:
    """A column of a table.

    Attributes:
        name: Its name.
        kind: `numeric`, `categorical`, `date`, `text`, or `left out`.
        missing: Share of the rows without a value; None where the column was not read.
        distinct: Number of different values; None likewise.
        values: Range of its numbers, or its most frequent categories.
        treatment: What becomes of it, or why it is left out.
    """

    name: str
    kind: str
    missing: float | None
    distinct: int | None
    values: str
    treatment: str


@dataclass(frozen=True)
class DescribedData:
    """Some data, as a search reads it.

    Attributes:
        name: Short name of the data.
        summary: Rows, features and task in one line.
        n_rows: Rows with a target.
        task: `binary`, `multiclass` or `regression`.
        columns: The columns of a table, in their order; those that are left out come last.
        target: The classes with their numbers of rows, the most frequent first; of a regression
            the minimum, quartiles, and maximum, of each target where there are several.
        rare: Classes with fewer than ten rows.
        repeated: Rows that are there more than once, with the same features and target.
        notes: How the data was read, a sentence each.
        findings: What makes scores too good or meaningless; see docs/data.md.
    """

    name: str
    summary: str
    n_rows: int
    task: str
    columns: tuple[DescribedColumn, ...]
    target: Mapping[str, float]
    rare: tuple[str, ...]
    repeated: int
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def describe(dataset: Dataset, findings: tuple[Finding, ...]) -> DescribedData:
    """What is in a data set.

    Args:
        dataset: The data.
        findings: What is suspicious about it, from `nas.data.findings`.
    """
    counts = _target(dataset)
    rare = [str(k) for k, n in counts.items() if n < FEW_ROWS] if dataset.classes else []
    return DescribedData(
        name=dataset.name,
        summary=dataset.describe(),
        n_rows=dataset.n_rows,
        task=dataset.task,
        columns=tuple(_columns(dataset)),
        target=counts,
        rare=tuple(rare),
        repeated=int(repeated_rows(dataset).sum()),
        notes=dataset.notes,
        findings=findings,
    )


def _target(dataset: Dataset) -> dict[str, float]:
    if dataset.classes:
        counts = np.bincount(dataset.y, minlength=len(dataset.classes))
        order = np.argsort(-counts, kind="stable")
        return {str(dataset.classes[k]): int(counts[k]) for k in order}
    if dataset.targets:
        return {
            f"{name}: {of}": value
            for name, column in zip(dataset.targets, dataset.y.T, strict=True)
            for of, value in _quantiles(column).items()
        }
    return _quantiles(dataset.y)


def _quantiles(y: NDArray[Any]) -> dict[str, float]:
    names = ("minimum", "lower quartile", "median", "upper quartile", "maximum")
    return dict(zip(names, map(float, np.quantile(y, [0, 0.25, 0.5, 0.75, 1])), strict=True))


def _columns(dataset: Dataset) -> Iterator[DescribedColumn]:
    features, schema = dataset.features, dataset.schema
    for k, column in enumerate(schema.columns):
        values = features[column.name] if isinstance(features, Mapping) else features[:, k]
        told = DESCRIBE[column.kind](values)
        if column.kind == "date":
            told = (*told[:3], ", ".join(DATE_PARTS[part] for part in column.parts))
        yield DescribedColumn(column.name, column.kind, *told)
    for name, reason in (dataset.dropped or {}).items():
        yield DescribedColumn(name, "left out", None, None, "", reason)


def _numbers(values: NDArray[Any]) -> tuple[float, int, str, str]:
    known = values[~np.isnan(values)]
    missing = 1.0 - len(known) / len(values)
    distinct = len(np.unique(known))
    if not distinct:  # its values are in rows without a target
        return missing, 0, "", "no values: nothing can be learned from it"
    low, high, median = map(_number, (known.min(), known.max(), np.median(known)))
    shown = f"{low} to {high}, median {median}"
    treatment = "scaled"
    if distinct == 1:
        treatment = "one value only: nothing can be learned from it"
    elif missing:
        treatment = "scaled; missing ones are filled, and marked in a column of their own"
    return missing, distinct, shown, treatment


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:,g}"


def _dates(values: NDArray[Any]) -> tuple[float, int, str, str]:
    known = values[~np.isnan(values)]
    if not len(known):
        return 1.0, 0, "", ""
    first, last = (pd.Timestamp(end, unit="D") for end in (known.min(), known.max()))
    is_whole = bool((known == np.floor(known)).all())
    shown = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    if not is_whole:
        shown = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        if known.max() < 1.0:
            shown = f"{first:%H:%M} to {last:%H:%M}"
    return 1.0 - len(known) / len(values), len(np.unique(known)), shown, ""


def _categories(values: NDArray[Any]) -> tuple[float, int, str, str]:
    counts = pd.Series(values).value_counts()
    missing = float(counts.get("", 0)) / len(values)
    shown = ", ".join(f"{text or '(empty)'} {n:,}" for text, n in counts.head(MOST_SHOWN).items())
    if len(counts) > MOST_SHOWN:
        shown += f" and {len(counts) - MOST_SHOWN:,} more"
    treatment = f"{counted(min(len(counts), MAX_CATEGORIES), 'column')} (one-hot)"
    if len(counts) > MAX_CATEGORIES:
        treatment += "; the rarer categories count as unknown"
    return missing, len(counts), shown, treatment


def _texts(values: NDArray[Any]) -> tuple[float, int, str, str]:
    known = values[values != ""]
    shown = f"such as '{known[0]}'" if len(known) else ""
    treatment = "one column for each of its most frequent words and pairs of words"
    return 1.0 - len(known) / len(values), len(set(known.tolist())), shown, treatment


DESCRIBE = {"numeric": _numbers, "categorical": _categories, "date": _dates, "text": _texts}
