"""What preprocessing learns, from the training part of one fold and nothing else."""

import math
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.dataset import Dataset, Features, Schema, take_rows
from nas.spec import Task
from nas.wording import counted

UNUSUAL_SIZE = 1e6  # numbers beyond it, or below its inverse, are hard to learn from unscaled
MAX_CATEGORIES = 100  # of a column; rarer ones are treated like unknown ones


@dataclass(frozen=True)
class Statistics:
    """What the preprocessing layers of one model hold.

    Attributes:
        mean: What is subtracted from each numeric column, or from all pixels of an image, shape
            (n_numeric,) or (), or (n_inputs,) where each feature of a sequence has its own scale.
            With scaling `standard` it is their mean, with `unit` the minimum,
            with `symmetric` the middle between minimum and maximum, with `none` 0.
        scale: What the rest is divided by: the standard deviation, the range, half the range, or
            1, which it also is where all values are the same; same shape.
        fill: What takes the place of missing numbers: the mean of each column; same shape.
        missing: Numeric columns that have missing values, as positions; each gets a column of
            its own that says so.
        categories: The known texts of each categorical column, most frequent first.
        target_mean: Mean of the target; 0 unless regression.
        target_scale: Standard deviation of the target; 1 unless regression.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    fill: NDArray[np.float64]
    missing: tuple[int, ...]
    categories: Mapping[str, tuple[str, ...]]
    target_mean: float
    target_scale: float

    def n_columns(self, schema: Schema) -> int:
        """Columns of the encoded matrix."""
        numeric = (
            sum(column.kind == "numeric" for column in schema.columns)
            if schema.is_table
            else int(np.prod(schema.row_shape))
        )
        return numeric + len(self.missing) + sum(map(len, self.categories.values()))


@dataclass(frozen=True)
class FoldData:
    """One fold, encoded: what an engine trains and scores on.

    Attributes:
        task: What is to be predicted.
        x_train: Shape (n_train, n_inputs), float32.
        y_train: Shape (n_train,): class numbers, or values in their own unit.
        x_val: Shape (n_val, n_inputs), float32; n_val may be 0.
        y_val: Shape (n_val,).
        target_mean: A regression network predicts `(y - target_mean) / target_scale`.
        target_scale: See `target_mean`; 1 for classes.
    """

    task: Task
    x_train: NDArray[np.float32]
    y_train: NDArray[Any]
    x_val: NDArray[np.float32]
    y_val: NDArray[Any]
    target_mean: float = 0.0
    target_scale: float = 1.0


def fit_statistics(dataset: Dataset, rows: NDArray[np.int64]) -> Statistics:
    """Learns means, deviations, ranges and categories from the given rows."""
    features = take_rows(dataset.features, rows)
    mean, scale, fill, missing = _numeric_statistics(dataset, features)
    categories: dict[str, tuple[str, ...]] = {}
    if isinstance(features, Mapping):
        for column in dataset.schema.columns:
            if column.kind == "categorical":
                counts = Counter(features[column.name].tolist())
                ranked = sorted(counts, key=lambda text: (-counts[text], text))
                categories[column.name] = tuple(ranked[:MAX_CATEGORIES])
    target_mean, target_scale = 0.0, 1.0
    if dataset.task == "regression":
        y = dataset.y[rows]
        target_mean, target_scale = float(y.mean()), float(y.std())
        if _is_constant(np.array(target_mean), np.array(target_scale), len(y)):
            target_scale = 1.0
    return Statistics(mean, scale, fill, missing, categories, target_mean, target_scale)


def numeric_values(features: Features, schema: Schema) -> NDArray[Any] | None:
    """The numbers, shape (n_rows, n_numeric) or that of the array; None where there are none."""
    if not isinstance(features, Mapping):
        return features
    names = [column.name for column in schema.columns if column.kind == "numeric"]
    return np.stack([features[name] for name in names], axis=1) if names else None


def _numeric_statistics(
    dataset: Dataset, features: Features
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], tuple[int, ...]]:
    row_shape = dataset.schema.row_shape
    values = numeric_values(features, dataset.schema)
    if values is None:
        return np.zeros(0), np.ones(0), np.zeros(0), ()
    # Pixels share one scale: a pixel that is nearly constant must not be blown up.
    axis: Any = 0 if len(row_shape) == 1 else None
    if dataset.scale_per_feature:
        axis = tuple(range(len(row_shape)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        fill = np.asarray(np.nanmean(values, axis=axis, dtype=np.float64))
        deviation = np.asarray(np.nanstd(values, axis=axis, dtype=np.float64))
        low = np.asarray(np.nanmin(values, axis=axis), dtype=np.float64)
        high = np.asarray(np.nanmax(values, axis=axis), dtype=np.float64)
    fill = np.nan_to_num(fill, nan=0.0)
    mean, scale = {
        "standard": (fill, deviation),
        "unit": (low, high - low),
        "symmetric": ((high + low) / 2, (high - low) / 2),
        "none": (np.zeros_like(fill), np.ones_like(fill)),
    }[dataset.scaling]
    mean = np.nan_to_num(mean, nan=0.0)
    scale = np.where(_is_constant(fill, deviation, len(values)), 1.0, scale)
    scale = np.where(scale < np.finfo(np.float32).tiny, 1.0, scale)  # 1 / scale would be infinite
    if dataset.scale_per_feature:
        repeats = math.prod(row_shape[:-1])
        mean, scale, fill = (np.tile(part, repeats) for part in (mean, scale, fill))
    missing: tuple[int, ...] = ()
    if values.ndim == 2 and values.dtype.kind == "f":
        missing = tuple(np.flatnonzero(np.isnan(values).any(axis=0)).tolist())
    return mean, scale, fill, missing


def _is_constant(
    mean: NDArray[np.float64], scale: NDArray[np.float64], n_rows: int
) -> NDArray[np.bool_]:
    """Whether a deviation is no more than the rounding error of its computation.

    The bound of scikit-learn's `StandardScaler`, for the two-pass algorithm (Chan et al. 1983).
    """
    variance = np.nan_to_num(scale, nan=0.0) ** 2
    eps = np.finfo(np.float64).eps
    return np.asarray(variance <= n_rows * eps * variance + (n_rows * mean * eps) ** 2)


def scaling_notes(dataset: Dataset) -> tuple[str, ...]:
    """What the user is to know of how numbers are scaled, a sentence each."""
    if dataset.scaling != "none":
        if not dataset.scale_per_feature:
            return ()
        n_features = dataset.schema.row_shape[-1]
        return (
            f"the {n_features} entries of the last axis differ in scale by orders of magnitude: "
            "each is scaled by itself, unlike the pixels of images",
        )
    values = numeric_values(dataset.features, dataset.schema)
    if values is None or values.dtype.itemsize == 1:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        largest = np.nan_to_num(np.nanmax(np.abs(values.reshape(len(values), -1)), axis=0))
    unusual = (largest > UNUSUAL_SIZE) | ((largest > 0) & (largest < 1 / UNUSUAL_SIZE))
    if not unusual.any():
        return ()
    return (
        f"{counted(int(unusual.sum()), 'column')} of numbers up to {largest[unusual.argmax()]:.2g} "
        "without scaling: networks hardly learn from them; leave --scaling none out",
    )
