"""Which rows are for testing, and which train and validate in each fold."""

import base64
import hashlib
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    train_test_split,
)

from nas.data.dataset import Dataset
from nas.data.variants import keep_classes, merge_rare
from nas.errors import NasError
from nas.options import SplitOptions
from nas.seeds import derive_seed
from nas.shell import names_option
from nas.wording import counted

MAX_NAMED = 5  # rare classes that an error names

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Row numbers of one fold: `train` learns, `val` scores."""

    train: Rows
    val: Rows


@dataclass(frozen=True)
class Split:
    """All rows, each in the test part or in the development part, and the folds of the latter."""

    development: Rows
    test: Rows
    folds: tuple[Fold, ...]

    def hash(self) -> str:
        """Hash of every row number."""
        digest = hashlib.sha256()
        for rows in (self.test, *(part for fold in self.folds for part in (fold.train, fold.val))):
            digest.update(rows.astype(np.int64).tobytes() + b"|")
        return digest.hexdigest()


def split_dataset(dataset: Dataset, options: SplitOptions) -> Split:
    """Sets the test part aside, then draws the folds from the rest.

    Classes keep their shares in every part; rows of one group stay together.

    Its draws are not from `nas.seeds`: other rows would have another hash, and no stored study
    could go on.

    Raises:
        NasError: When a class or the data set has too few rows for that; it proposes options with
            which it can be divided.
    """
    try:
        return _divide(dataset, options)
    except NasError as error:
        known = [" or ".join(_what_works(dataset, options)), error.fix]
        fix = ", or ".join(part for part in known if part)
        raise NasError(
            error.where, error.received, error.expected, f"Use {fix}." if fix else ""
        ) from None


def _what_works(dataset: Dataset, options: SplitOptions) -> Iterator[str]:
    """Options with which the data can be divided, each as it is typed."""

    def works(other: Dataset, **changed: Any) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class is rare among the groups
            try:
                _divide(other, replace(options, **changed))
            except NasError:
                return False
        return True

    for folds in range(options.folds - 1, 1, -1):
        if works(dataset, folds=folds):
            yield f"--folds {folds}"
            break
    usual = SplitOptions()
    for name, share in (("val_size", usual.val_size), ("test_size", usual.test_size)):
        if getattr(options, name) != share and works(dataset, **{name: share}):
            yield f"--{name.replace('_', '-')} {share:g}"
            break
    if dataset.task == "regression":
        return
    counts = np.bincount(dataset.y, minlength=len(dataset.classes))
    needed = options.folds + (options.test_size > 0)
    labels = tuple(
        str(label) for label, n in zip(dataset.classes, counts, strict=True) if n >= needed
    )
    if 2 <= len(labels) < len(counts) and works(keep_classes(dataset, labels)):
        yield names_option("classes", *labels)
    if 0 < len(labels) < len(counts) and works(merge_rare(dataset, needed)):
        yield f"--merge-rare {needed}"
    values = _numbers(dataset)
    if values is not None and works(replace(dataset, y=values, task="regression", classes=())):
        yield "--task regression"


def _numbers(dataset: Dataset) -> NDArray[np.float64] | None:
    """The targets as numbers, if at least three labels are all numbers that can be read so."""
    if len(dataset.classes) < 3 or any(isinstance(label, bool) for label in dataset.classes):
        return None
    is_text = any(isinstance(label, str) for label in dataset.classes)
    if is_text and not dataset.schema.columns:  # an array of text, or names of folders
        return None
    try:
        labels = np.array([float(label) for label in dataset.classes])
    except ValueError:
        return None
    return labels[dataset.y] if np.isfinite(labels).all() else None


def _divide(dataset: Dataset, options: SplitOptions) -> Split:
    if options.folds < 1 or options.repeats < 1:
        raise NasError(
            "--folds", f"got {options.folds}, repeated {options.repeats} times", "at least 1"
        )
    if options.given:
        return _unpack_folds(options.given, dataset.n_rows)
    if not options.given_test:
        rows = np.arange(dataset.n_rows)
        _check_class_sizes(dataset, rows, options.folds, needs_test=options.test_size > 0)
    development, test = _development_and_test(dataset, options)
    return Split(development, test, _draw_folds(dataset, development, options))


def _development_and_test(dataset: Dataset, options: SplitOptions) -> tuple[Rows, Rows]:
    rows = np.arange(dataset.n_rows)
    if options.given_test:
        given = _unpack_folds(options.given_test, dataset.n_rows)
        return given.development, given.test
    if dataset.test_rows is not None:
        test = dataset.test_rows if options.test_size > 0 else rows[:0]
        return np.setdiff1d(rows, dataset.test_rows), test
    if options.test_size > 0:
        return _cut(dataset, rows, options.test_size, options.seed)
    return rows, rows[:0]


def fresh_folds(dataset: Dataset, split: Split, options: SplitOptions) -> tuple[Fold, ...]:
    """Other folds of the same development rows; the same ones where there are no others.

    Those of the user's own stay as they are, and so do those of as many groups as folds.

    Args:
        dataset: The data.
        split: How its rows are divided.
        options: How that was drawn.
    """
    if options.given or dataset.times is not None:
        return split.folds
    seed = derive_seed("fresh folds", options.seed) // 2  # repeats are counted from it
    fresh = _draw_folds(dataset, split.development, replace(options, seed=seed))
    old, new = ({np.sort(f.val).tobytes() for f in folds} for folds in (split.folds, fresh))
    return split.folds if old == new else fresh


def _draw_folds(dataset: Dataset, development: Rows, options: SplitOptions) -> tuple[Fold, ...]:
    _check_class_sizes(dataset, development, options.folds, needs_test=False)
    stratify = dataset.task != "regression"
    if dataset.times is not None:
        return _folds_in_time(dataset, dataset.times[development], development, options)
    if options.folds == 1:
        return tuple(
            Fold(*_cut(dataset, development, options.val_size, options.seed + 1 + repeat))
            for repeat in range(options.repeats)
        )
    if len(development) < 2 * options.folds:
        raise NasError(
            "--folds",
            f"got {options.folds} for {len(development)} rows",
            f"at most {len(development) // 2}",
        )
    y = dataset.y[development]
    if dataset.groups is not None:
        groups = dataset.groups[development]
        if len(np.unique(groups)) < options.folds:
            raise NasError(
                "--groups",
                f"{len(np.unique(groups))} groups for {options.folds} folds",
                "at least one group a fold",
            )
        cut = StratifiedGroupKFold if stratify else GroupKFold
        indices = [
            pair
            for repeat in range(options.repeats)
            for pair in cut(options.folds, shuffle=True, random_state=options.seed + repeat).split(
                y, y, groups
            )
        ]
    else:
        repeated = RepeatedStratifiedKFold if stratify else RepeatedKFold
        splitter = repeated(
            n_splits=options.folds, n_repeats=options.repeats, random_state=options.seed
        )
        indices = list(splitter.split(y, y))
    return tuple(Fold(development[train], development[val]) for train, val in indices)


def _folds_in_time(
    dataset: Dataset, times: NDArray[np.float64], development: Rows, options: SplitOptions
) -> tuple[Fold, ...]:
    """Folds of an expanding window: each validates on the rows that follow those it trains on.

    Rows of one time stay together. The first fold trains on as many rows as each validates on.
    """
    if options.repeats > 1:
        raise NasError("--repeats", f"got {options.repeats}", "1, as time has one order")
    n_parts = options.folds + 1
    shares = [1.0 - options.val_size] if options.folds == 1 else np.arange(1, n_parts) / n_parts
    ends = [_cut_in_time(times, share) for share in shares] + [np.inf]
    folds = tuple(
        Fold(development[times < start], development[(times >= start) & (times < end)])
        for start, end in pairwise(ends)
    )
    if not all(len(part) for fold in folds for part in (fold.train, fold.val)):
        n_times = len(np.unique(times))
        raise NasError(
            "--time", f"{n_times} different times for {options.folds} folds", "more of them"
        )
    if dataset.task != "regression":
        for number, fold in enumerate(folds, start=1):
            unknown = np.setdiff1d(dataset.y[fold.val], dataset.y[fold.train])
            if len(unknown):
                label = dataset.classes[unknown[0]]
                raise NasError(
                    "--time",
                    f"class '{label}' is in fold {number}, and in no row before it",
                    "classes that occur from the beginning",
                    "fewer --folds",
                )
    return folds


def _cut_in_time(times: NDArray[np.float64], share: float) -> float:
    """The time from which on rows belong to the second part, so that the first has that share."""
    return float(np.sort(times)[min(round(share * len(times)), len(times) - 1)])


def choose_folds(dataset: Dataset, folds: Any, options: SplitOptions) -> SplitOptions:
    """How rows are divided where the folds are the user's own.

    Args:
        dataset: The data.
        folds: A number; a splitter of scikit-learn, which divides the rows that the test part
            leaves; or pairs of row numbers, `(train, validation)`. Rows that no pair names are the
            test part then.
        options: The rest.

    Raises:
        NasError: When the folds name rows that are not there, or validate on rows that they train
            on.
    """
    if isinstance(folds, int) and not isinstance(folds, bool):
        return replace(options, folds=folds)
    if hasattr(folds, "split") and not isinstance(folds, str):
        rows, test = _development_and_test(dataset, options)
        y = dataset.y[rows]
        groups = None if dataset.groups is None else dataset.groups[rows]
        try:
            pairs = [(rows[a], rows[b]) for a, b in folds.split(y, y, groups)]
        except ValueError as error:
            raise NasError("--folds", f"{folds} cannot divide the rows ({error})") from error
    else:
        pairs, test = _as_pairs(folds, dataset.n_rows), None
    for number, (train, val) in enumerate(pairs, start=1):
        if not len(train) or not len(val):
            raise NasError("--folds", f"fold {number} has an empty part", "rows in both")
        if len(np.intersect1d(train, val)):
            raise NasError("--folds", f"fold {number} validates on rows that it trains on")
    if test is None:
        test = np.setdiff1d(
            np.arange(dataset.n_rows), np.concatenate([*map(np.concatenate, pairs)])
        )
    share = len(test) / dataset.n_rows
    packed = _pack_folds(pairs, test, dataset.n_rows)
    return replace(options, folds=len(pairs), repeats=1, test_size=share, given=packed)


def with_test_rows(dataset: Dataset, test: Any, options: SplitOptions) -> SplitOptions:
    """How rows are divided where the numbers of those that test are given.

    Args:
        dataset: The data.
        test: Numbers of the rows of the test part, or a truth value for each row.
        options: The rest.

    Raises:
        NasError: When these are no rows of the data, or all of them.
    """
    rows, n_rows = np.asarray(test), dataset.n_rows
    if rows.dtype == bool and rows.shape == (n_rows,):
        rows = np.flatnonzero(rows)
    wanted = f"row numbers from 0 to {n_rows - 1}, or a truth value for each of {n_rows} rows"
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise NasError("--test", f"an array of {rows.dtype} shaped {rows.shape}", wanted)
    if rows.min() < 0 or rows.max() >= n_rows:
        raise NasError("--test", f"row numbers from {rows.min()} to {rows.max()}", wanted)
    rows = np.unique(rows)
    if len(rows) == n_rows:
        raise NasError("--test", "all rows", "some, so that others are left to learn from")
    packed = _pack_folds((), rows, n_rows)
    return replace(options, test_size=len(rows) / n_rows, given_test=packed)


def _as_pairs(folds: Any, n_rows: int) -> list[tuple[Rows, Rows]]:
    wanted = "a number, a splitter of scikit-learn, or pairs of row numbers (train, validation)"
    try:
        pairs = [(np.asarray(train), np.asarray(val)) for train, val in folds]
    except (TypeError, ValueError) as error:
        raise NasError("--folds", f"got {folds!r}", wanted) from error
    if not pairs:
        raise NasError("--folds", "no pair", wanted)
    numbers = np.concatenate([part for pair in pairs for part in pair])
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise NasError("--folds", f"an array of {numbers.dtype}", wanted)
    if numbers.min() < 0 or numbers.max() >= n_rows:
        raise NasError(
            "--folds", f"row numbers from {numbers.min()} to {numbers.max()}", f"0 to {n_rows - 1}"
        )
    return [(train.astype(np.int64), val.astype(np.int64)) for train, val in pairs]


def _pack_folds(pairs: Iterable[tuple[Rows, Rows]], test: Rows, n_rows: int) -> str:
    """The test part and the parts of the folds as text: a bit for each row and part."""
    parts = [test, *(part for pair in pairs for part in pair)]
    bits = np.zeros((len(parts), n_rows), dtype=bool)
    for row, part in zip(bits, parts, strict=True):
        row[part] = True
    return base64.b85encode(zlib.compress(np.packbits(bits, axis=1).tobytes())).decode()


def _unpack_folds(text: str, n_rows: int) -> Split:
    packed = np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype=np.uint8)
    bits = np.unpackbits(packed.reshape(-1, -(-n_rows // 8)), axis=1, count=n_rows).astype(bool)
    test, *parts = (np.flatnonzero(row) for row in bits)
    folds = tuple(Fold(train, val) for train, val in zip(parts[::2], parts[1::2], strict=True))
    return Split(np.setdiff1d(np.arange(n_rows), test), test, folds)


def _cut(dataset: Dataset, rows: Rows, size: float, seed: int) -> tuple[Rows, Rows]:
    """Divides rows in two; the second part has the given share, of the latest where times count."""
    if dataset.times is not None:
        times = dataset.times[rows]
        is_late = times >= _cut_in_time(times, 1.0 - size)
        if is_late.all():
            raise NasError("--time", "one time only", "several")
        return rows[~is_late], rows[is_late]
    if dataset.groups is not None:
        groups = dataset.groups[rows]
        if len(np.unique(groups)) < 2:
            raise NasError("--groups", "one group only", "at least two")
        if not 0 < size < 1:
            raise NasError(dataset.name, f"cannot be divided with a share of {size:g}")
        n_parts = max(2, round(1 / size))
        splitter: Any = GroupShuffleSplit(n_splits=1, test_size=size, random_state=seed)
        if dataset.task != "regression" and len(np.unique(groups)) >= n_parts:
            # One of as many stratified parts as the share asks for.
            splitter = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
    y = dataset.y[rows]
    try:
        if dataset.groups is not None:
            first, second = next(iter(splitter.split(rows, y, groups)))
            return rows[first], rows[second]
        first, second = train_test_split(
            rows,
            test_size=size,
            random_state=seed,
            stratify=None if dataset.task == "regression" else y,
        )
    except ValueError as error:
        raise NasError(
            dataset.name, f"{len(rows)} rows cannot be divided with a share of {size:g} ({error})"
        ) from error
    return np.sort(first), np.sort(second)


def _check_class_sizes(dataset: Dataset, rows: Rows, folds: int, needs_test: bool) -> None:
    if dataset.task == "regression":
        return
    counts = np.bincount(dataset.y[rows], minlength=len(dataset.classes))
    needed = folds + needs_test
    rare = np.flatnonzero(counts < needed)
    if not len(rare):
        return
    if len(rare) == 1:
        label, number = dataset.classes[rare[0]], int(counts[rare[0]])
        received = f"class '{label}' has {counted(number, 'row')}"
    else:
        named = [
            f"'{dataset.classes[k]}' ({counted(int(counts[k]), 'row')})" for k in rare[:MAX_NAMED]
        ]
        more = f" and {len(rare) - len(named)} more" if len(rare) > len(named) else ""
        received = f"classes {', '.join(named)}{more} have too few rows"
    raise NasError(
        dataset.name,
        received,
        f"at least {needed}: one for each fold" + ", and one for the test part" * needs_test,
        "more rows of it (a larger --max-rows where one is given)",
    )
