"""What a data set is once it has been read: features, target, task and a hash of it all."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nas.choices import ClassWeight, Scaling, TargetScaling, Task
from nas.data.date_values import DateOrder, DatePart, n_columns
from nas.data.value_checks import check_target
from nas.errors import NasError
from nas.spec import Problem
from nas.wording import counted

# A numeric array of shape (n_rows, *row_shape), or where there are categories a mapping of
# columns, each of shape (n_rows,): float64 for numbers (NaN is missing) and for dates (days since
# 1970), object for text.
Features = NDArray[Any] | Mapping[str, NDArray[Any]]

MAX_CATEGORIES = 100  # of a column; rarer ones are treated like unknown ones
ColumnKind = Literal["numeric", "categorical", "date", "text"]
MAX_CLASSES_OF_NUMBERS = 20  # whole numbers with more values than this are a regression target


@dataclass(frozen=True, slots=True)
class Column:
    """One feature column.

    Attributes:
        name: Its name.
        kind: What it is for a network.
        unit: `%` or a currency that its cells are written with; empty for none.
        largest: The largest absolute value of a column in percent, as a share; 0 of others.
        numbers: Whether its categories are numbers, of which 1.0 is 1.
        parts: What a network is told of its dates; see `nas.data.date_values`.
        origin: The day, since 1970, from which dates are counted.
        order: How day and month of its dates are told apart.
        lenient: Whether cells that are no number, or no date, count as missing, as the user said.
    """

    name: str
    kind: ColumnKind
    # How cells are written is not learned from: no part of `==`, nor of `Dataset.hash`.
    unit: str = field(default="", repr=False, compare=False)
    largest: float = field(default=0.0, repr=False, compare=False)
    numbers: bool = field(default=False, repr=False, compare=False)
    # Of dates alone; not in `repr`, which the hashes of stored studies have.
    parts: tuple[DatePart, ...] = field(default=(), repr=False)
    origin: float = field(default=0.0, repr=False)
    order: DateOrder = field(default="", repr=False, compare=False)
    lenient: bool = field(default=False, repr=False, compare=False)

    @property
    def n_numbers(self) -> int:
        """Numbers that it has for a network."""
        return n_columns(self.parts) if self.kind == "date" else int(self.kind == "numeric")


@dataclass(frozen=True, slots=True)
class Schema:
    """What a row of features looks like; the exported model takes exactly this.

    Attributes:
        columns: The columns of a table; empty for an array without names.
        row_shape: Shape of a row of an array, such as (64,) or (28, 28).
        marks: The decimal mark of the file, then those between thousands (`.,` for 1,234.5).
        missing: Words of the user that stand for a missing value.
        n_unnamed: Columns of a file without a header, which are called 1, 2 ...; 0 with a header.
        target: The name of the target column in such a file; of several with commas between them.
    """

    columns: tuple[Column, ...]
    row_shape: tuple[int, ...]
    # How a file is read is not learned from: no part of `==`, nor of `Dataset.hash`.
    marks: str = field(default=".", repr=False, compare=False)
    missing: tuple[str, ...] = field(default=(), repr=False, compare=False)
    n_unnamed: int = field(default=0, repr=False, compare=False)
    target: str = field(default="", repr=False, compare=False)

    @property
    def is_table(self) -> bool:
        """Whether features are a mapping of columns rather than one numeric array."""
        return any(column.kind != "numeric" for column in self.columns)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width and channels of rows that are images; () of all others."""
        if len(self.row_shape) == 2:
            return (*self.row_shape, 1)
        return self.row_shape if len(self.row_shape) == 3 else ()

    @property
    def n_numbers(self) -> int:
        """Columns of numbers; 0 for images and sequences."""
        if self.is_table:
            return sum(column.n_numbers for column in self.columns)
        return self.row_shape[0] if len(self.row_shape) == 1 else 0

    def describe(self) -> str:
        """The feature types in a few words."""
        if self.is_table:
            kinds = Counter(column.kind for column in self.columns)
            always = ("numeric", "categorical") if not kinds["date"] + kinds["text"] else ()
            told = [
                f"{kinds[kind]} {kind}"
                for kind in get_args(ColumnKind)
                if kinds[kind] or kind in always
            ]
            return " and ".join((", ".join(told[:-1]), told[-1])) if told[:-1] else told[-1]
        if len(self.row_shape) > 1:
            return " x ".join(map(str, self.row_shape)) + " pixel"
        return f"{self.row_shape[0]} numeric"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Schema":
        """The inverse of `to_dict`, also after a way through JSON, and of earlier versions."""
        values = dict(data)
        values["columns"] = tuple(
            Column(**{**column, "parts": tuple(column.get("parts", ()))})
            for column in data["columns"]
        )
        values["row_shape"] = tuple(data["row_shape"])
        values["missing"] = tuple(data.get("missing", ()))
        return cls(**values)


@dataclass(frozen=True)
class Dataset:
    """A data set in memory.

    Attributes:
        name: Short name for people.
        features: All rows, those of a given test part last.
        y: Target, shape (n_rows,): class numbers (int64) or values (float64); of several targets
            values, shape (n_rows, n_targets).
        schema: What a row of features looks like.
        task: What is to be predicted.
        classes: The class labels, by class number; empty for regression.
        targets: The names of several targets, which are values; empty for one.
        quantiles: Those of the target that are predicted, rising; empty where it is itself.
        groups: Group of each row, shape (n_rows,), or None.
        weights: How much each row counts in training, shape (n_rows,), or None.
        times: When each row was, shape (n_rows,), where folds are in time order; else None.
        test_rows: Rows of the test part that the data set brings, or None.
        dropped: Columns left out, with the reason.
        class_weight: `balanced` where all classes weigh the same in the training, however rare.
        scaling: How preprocessing scales the numbers.
        target_scaling: How a network is given the target of a regression.
        scale_per_feature: Whether each entry of the last axis of rows with several axes has a
            scale of its own, as the features of a sequence need it, rather than all one.
        positive: Number of the class that f1 is about, of two; None where there are not two.
        notes: What the user is to know of how the data was read, a sentence each.
    """

    name: str
    features: Features
    y: NDArray[Any]
    schema: Schema
    task: Task
    classes: tuple[Any, ...]
    targets: tuple[str, ...] = ()
    quantiles: tuple[float, ...] = ()
    groups: NDArray[Any] | None = None
    weights: NDArray[np.float64] | None = None
    times: NDArray[np.float64] | None = None
    test_rows: NDArray[np.int64] | None = None
    dropped: Mapping[str, str] | None = None
    class_weight: ClassWeight = "none"
    scaling: Scaling = "standard"
    target_scaling: TargetScaling = "standard"
    scale_per_feature: bool = False
    positive: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows, those of a given test part included."""
        return len(self.y)

    @property
    def n_outputs(self) -> int:
        """Units of the output layer that the task needs."""
        return (
            len(self.classes)
            if self.task == "multiclass"
            else max(1, len(self.targets), len(self.quantiles))
        )

    def problem(self, n_inputs: int, n_rows: int = 0) -> Problem:
        """What it asks of a network.

        Args:
            n_inputs: Columns of the encoded matrix.
            n_rows: Training rows of the longest fold; 0 where that is not known.
        """
        return Problem(
            task=self.task,
            n_inputs=n_inputs,
            n_outputs=self.n_outputs,
            image_shape=self.schema.image_shape,
            n_numbers=self.schema.n_numbers,
            n_rows=n_rows,
            quantiles=self.quantiles,
        )

    def describe(self) -> str:
        """One line: rows, feature types and task."""
        task = f"{self.task} ({len(self.classes)} classes)" if self.classes else self.task
        if self.targets:
            task += f" of {len(self.targets)} targets"
        if self.quantiles:
            task += " of quantiles " + ", ".join(f"{q:g}" for q in self.quantiles)
        return f"{self.name}: {self.n_rows:,} rows, {self.schema.describe()} features, {task}"

    def hash(self) -> str:
        """Hash of everything a search learns from.

        That is features, target, task, groups, weights, test part, and scaling.
        """
        digest = hashlib.sha256(repr((self.schema, self.task, self.classes)).encode())
        if self.scaling != "standard":  # with that, hashes are those from before there were others
            digest.update(self.scaling.encode())
        if self.target_scaling != "standard":
            digest.update(b"target" + self.target_scaling.encode())
        if self.quantiles:
            digest.update(f"quantiles {self.quantiles}".encode())
        if self.targets:
            digest.update(repr(self.targets).encode())
        if self.scale_per_feature:
            digest.update(b"scale_per_feature")
        if self.weights is not None:
            digest.update(b"weights" + np.ascontiguousarray(self.weights).tobytes())
        if self.class_weight != "none":
            digest.update(self.class_weight.encode())
        if self.times is not None:
            digest.update(b"times" + np.ascontiguousarray(self.times).tobytes())
        columns = (
            [self.features[column.name] for column in self.schema.columns]
            if isinstance(self.features, Mapping)
            else [self.features]
        )
        for values in (*columns, self.y, self.groups, self.test_rows):
            if values is None:
                digest.update(b"none")
            elif values.dtype == object:
                digest.update("\0".join(map(str, values)).encode())
            else:
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def check_weights(weights: NDArray[Any], n_rows: int, where: str) -> NDArray[np.float64]:
    """Weights of rows as numbers.

    Raises:
        NasError: When they are no numbers of 0 or more, one for each row, or all 0.
    """
    expected = "a number of 0 or more for each row, and not 0 for all"
    try:
        values = np.asarray(weights, np.float64)
    except (TypeError, ValueError) as error:
        raise NasError(where, "got what is no number", expected) from error
    if values.ndim != 1:
        raise NasError(where, f"got an array of shape {values.shape}", expected)
    if len(values) != n_rows:
        raise NasError(where, f"{counted(len(values), 'weight')} for {n_rows} rows", expected)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))
    if len(wrong):
        raise NasError(where, f"got {values[wrong[0]]:g} in row {wrong[0] + 1}", expected)
    if not values.any():
        raise NasError(where, "got 0 for every row", expected)
    return values


def n_rows(features: Features) -> int:
    """Rows of an array or of a mapping of columns."""
    if isinstance(features, Mapping):
        return len(next(iter(features.values())))
    return len(features)


def take_rows(features: Features, rows: NDArray[np.int64] | slice) -> Features:
    """The given rows, in the given order; a slice of them is no copy."""
    if isinstance(features, Mapping):
        return {name: values[rows] for name, values in features.items()}
    taken: NDArray[Any] = features[rows]
    return taken


def infer_task(target: NDArray[Any]) -> Task:
    """The task that a target column suggests.

    Text and booleans are classes. Whole numbers are classes when they have few values
    (`MAX_CLASSES_OF_NUMBERS`), each with several rows; other numbers are a regression target.
    """
    values = np.unique(target)
    if target.dtype.kind in "fiu":
        whole = bool(np.all(values == np.floor(values)))
        few = len(values) <= MAX_CLASSES_OF_NUMBERS and len(values) * 5 <= len(target)
        if len(values) > 2 and not (whole and few):
            return "regression"
        if not whole:
            return "regression"
    return "binary" if len(values) == 2 else "multiclass"


def most_classes(n_rows: int) -> int:
    """The number of classes that so many rows may have at most."""
    return max(100, n_rows // 10)


def encode_target(
    target: NDArray[Any], task: Task | None, where: str
) -> tuple[NDArray[Any], Task, tuple[Any, ...]]:
    """Checks a target column and numbers its classes.

    Args:
        target: Shape (n_rows,), numbers or text; no missing values.
        task: The task, or None to infer it.
        where: What an error message begins with.

    Returns:
        Class numbers (int64) or values (float64), the task, and the class labels.

    Raises:
        NasError: When the target doesn't fit the task, or has one value only.
    """
    values = np.unique(target)
    if len(values) == 1:
        raise NasError(
            where,
            f"the target has one value only ({values[0]})",
            "at least two classes, or numbers that differ",
        )
    task = task or infer_task(target)
    # What is proposed has to work: no classes where there are too many, no numbers from text.
    as_classes = len(values) <= most_classes(len(target))
    as_numbers = target.dtype.kind in "fiub"
    if task == "regression":
        if not as_numbers:
            raise NasError(
                where,
                f"the target is text (such as '{target[0]}')",
                "numbers for regression",
                ("Leave --task out, or choose" if as_classes else "Choose") + " another --target.",
            )
        numbers = target.astype(np.float64)
        check_target(numbers, where)
        return numbers, task, ()
    if task == "binary" and len(values) != 2:
        fits = ["multiclass"] * as_classes + ["regression"] * as_numbers
        other = f"Use --task {' or '.join(fits)}, or choose" if fits else "Choose"
        raise NasError(
            where,
            f"the target has {len(values)} values",
            "2 for a binary task",
            f"{other} another --target.",
        )
    if not as_classes:
        raise NasError(
            where,
            f"the target has {len(values)} different values in {len(target)} rows",
            "classes with several rows each",
            ("Use --task regression, or choose" if as_numbers else "Choose") + " another --target.",
        )
    codes = np.searchsorted(values, target).astype(np.int64)
    labels = values.tolist()
    if all(isinstance(label, float) and label.is_integer() for label in labels):
        labels = [int(label) for label in labels]
    return codes, task, tuple(labels)
