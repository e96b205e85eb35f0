"""A part of a data set, or one with wrong labels: for teaching and for quick looks."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import resample

from nas.choices import Task
from nas.data.dataset import Dataset, take_rows
from nas.errors import NasError, did_you_mean

# Of the data, not of a search: with every --seed the rows and the labels are the same. Not from
# `nas.seeds`, because other rows would have another hash, and no stored study could go on.
SEED = 0


def keep_classes(dataset: Dataset, labels: tuple[str, ...], task: Task | None = None) -> Dataset:
    """The rows of some classes alone.

    Args:
        dataset: The data.
        labels: The labels of at least two classes, as text; their order does not matter.
        task: The task with these classes; None is binary with two, and multiclass with more.

    Raises:
        NasError: When a class is unknown, there are no classes, or too many for the task.
    """
    _check_has_classes(dataset, "--classes", ",".join(labels))
    known = [str(label) for label in dataset.classes]
    for label in labels:
        if label not in known:
            raise NasError(
                "--classes",
                f"no class '{label}' in {dataset.name}",
                "some of " + ", ".join(known),
                did_you_mean(label, known),
            )
    kept = np.array([number for number, label in enumerate(known) if label in labels])
    if task == "binary" and len(kept) > 2:
        raise NasError("--classes", f"got {len(kept)} classes", "2 for a binary task")
    rows = np.flatnonzero(np.isin(dataset.y, kept))
    chosen = _take(dataset, rows)
    return replace(
        chosen,
        y=np.searchsorted(kept, chosen.y).astype(np.int64),
        task=task or ("binary" if len(kept) == 2 else "multiclass"),
        classes=tuple(dataset.classes[number] for number in kept),
    )


def merge_rare(dataset: Dataset, least: int) -> Dataset:
    """The classes with fewer rows than that as one class, `other`, which comes last.

    Raises:
        NasError: When there are no classes, or all of them are rare.
    """
    _check_has_classes(dataset, "--merge-rare", str(least))
    counts = np.bincount(dataset.y, minlength=len(dataset.classes))
    kept = np.flatnonzero(counts >= least)
    if len(kept) == len(counts):
        return dataset
    if not len(kept):
        raise NasError(
            "--merge-rare",
            f"got {least}, and every class has fewer rows",
            f"at most {counts.max()}",
        )
    labels = [str(dataset.classes[number]) for number in kept]
    other = "other"
    while other in labels:
        other += "_"
    numbers = np.full(len(counts), len(kept))
    numbers[kept] = np.arange(len(kept))
    merged = len(counts) - len(kept)
    note = (
        f"{merged} {'class' if merged == 1 else 'classes'} with fewer than {least} rows, together "
        f"{int(counts.sum() - counts[kept].sum()):,} of {counts.sum():,}, "
        f"{'is' if merged == 1 else 'are one class,'} '{other}'"
    )
    return replace(
        dataset,
        y=numbers[dataset.y].astype(np.int64),
        task="binary" if len(kept) == 1 else "multiclass",
        classes=(*labels, other),
        notes=(*dataset.notes, note),
    )


def sample_rows(dataset: Dataset, n_rows: int) -> Dataset:
    """At most so many rows, drawn at random, where classes keep their shares.

    The test part that a data set brings is not counted and stays whole.
    """
    rows, kept = _development(dataset), _is_test(dataset)
    if n_rows >= len(rows):
        return dataset
    strata = None if dataset.task == "regression" else dataset.y[rows]
    drawn = resample(rows, replace=False, n_samples=n_rows, random_state=SEED, stratify=strata)
    kept[drawn] = True
    return _take(dataset, np.flatnonzero(kept))


def add_label_noise(dataset: Dataset, share: float) -> Dataset:
    """Gives a share of the rows another class, drawn at random from all others.

    The test part that a data set brings keeps its labels. Where there is none, the rows are those
    of all parts that are drawn later, the test part among them.

    Raises:
        NasError: When there are no classes.
    """
    _check_has_classes(dataset, "--label-noise", f"{share:g}")
    rows, random = _development(dataset), np.random.default_rng(SEED)
    wrong = random.choice(rows, round(share * len(rows)), replace=False)
    y, n_classes = dataset.y.copy(), len(dataset.classes)
    y[wrong] = (y[wrong] + random.integers(1, n_classes, len(wrong))) % n_classes
    return replace(dataset, y=y)


def _check_has_classes(dataset: Dataset, option: str, value: str) -> None:
    if dataset.task == "regression":
        raise NasError(
            option,
            f"got {value} for {dataset.name}, a regression task",
            "classes",
            "Leave it out, or use --task multiclass.",
        )


def _development(dataset: Dataset) -> NDArray[np.int64]:
    """All rows but those of a test part that the data set brings."""
    return np.flatnonzero(~_is_test(dataset))


def _is_test(dataset: Dataset) -> NDArray[np.bool_]:
    test = np.zeros(dataset.n_rows, dtype=bool)
    if dataset.test_rows is not None:
        test[dataset.test_rows] = True
    return test


def _take(dataset: Dataset, rows: NDArray[np.int64]) -> Dataset:
    """The data set with some of its rows, given in ascending order."""

    def taken(values: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if values is None else values[rows]

    test_rows = np.flatnonzero(_is_test(dataset)[rows])
    return replace(
        dataset,
        features=take_rows(dataset.features, rows),
        y=dataset.y[rows],
        groups=taken(dataset.groups),
        weights=taken(dataset.weights),
        times=taken(dataset.times),
        test_rows=test_rows if len(test_rows) else None,
    )
