"""What preprocessing learns, from the training part of one fold and nothing else."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data import MAX_CATEGORIES, Dataset, Features, Schema, numeric_values, take_rows
from nas.data.logarithms import log_shift, to_logs
from nas.encoding.quantiles import Knots, fit_knots
from nas.encoding.texts import Terms, fit_terms

TARGET_MARGIN = 0.1  # of the range of a target, by which predictions may be beyond it
FAR = 1e15  # scaled numbers beyond it are drawn in to it first; its square is finite

Values = float | NDArray[np.float64]  # of one target, or of each of several, (n_targets,)


@dataclass(frozen=True)
class Statistics:
    """What an encoder holds; the Keras form holds the same.

    Attributes:
        mean: What is subtracted from each numeric column, or from all pixels of an image, shape
            (n_numeric,) or (), or (n_inputs,) where each feature of a sequence has its own scale.
            With scaling `standard` and `quantile` it is their mean, with `robust` the median,
            with `unit` the minimum, with `symmetric` the middle between minimum and maximum, with
            `none` 0.
        scale: What the rest is divided by: the standard deviation, the distance of the quartiles,
            the range, half the range, or 1, which it also is where all values are the same; same
            shape.
        fill: What takes the place of missing numbers: the mean of each column, with `robust` and
            `quantile` the median; same shape.
        missing: Numeric columns that have missing values, as positions; each gets a column of
            its own that says so.
        categories: The known texts of each categorical column, most frequent first.
        target_mean: Mean of the target, or of its logarithms; 0 unless regression. Of several
            targets this and what follows is of each, shape (n_targets,).
        target_scale: Standard deviation of them; 1 unless regression.
        target_bounds: Least and largest value that a regression predicts: the range of the target
            and a tenth of it on either side; None for classes. Of the logarithms, if a network is
            given those.
        log_shift: What is added to the target before its logarithm is taken; None where it is not.
        soft_clip: Whether scaled numbers are drawn in, see `soft_clipped`.
        knots: What makes a normal distribution of scaled numbers; None where they stay.
        texts: The known terms of each column of text.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    fill: NDArray[np.float64]
    missing: tuple[int, ...]
    categories: Mapping[str, tuple[str, ...]]
    target_mean: Values
    target_scale: Values
    target_bounds: tuple[Values, Values] | None = None
    soft_clip: bool = False
    knots: Knots | None = None
    texts: Mapping[str, Terms] = field(default_factory=dict)
    log_shift: float | None = None

    def n_columns(self, schema: Schema) -> int:
        """Columns of the encoded matrix."""
        numeric = schema.n_numbers if schema.is_table else int(np.prod(schema.row_shape))
        n_categories = sum(map(len, self.categories.values()))
        n_terms = sum(len(terms.texts) for terms in self.texts.values())
        return numeric + len(self.missing) + n_categories + n_terms

    @property
    def inverse_scale(self) -> NDArray[np.float32]:
        """What numbers are multiplied by, in 32 bits, which hold 1e-30 and 1e30 but no squares."""
        return np.asarray(1.0 / self.scale, dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "fill": self.fill.tolist(),
            "missing": list(self.missing),
            "categories": {name: list(texts) for name, texts in self.categories.items()},
            "target_mean": np.asarray(self.target_mean).tolist(),
            "target_scale": np.asarray(self.target_scale).tolist(),
            "target_bounds": self.target_bounds and np.asarray(self.target_bounds).tolist(),
            "log_shift": self.log_shift,
            "soft_clip": self.soft_clip,
            "knots": None
            if self.knots is None
            else [self.knots.places.tolist(), self.knots.heights.tolist()],
            "texts": {
                name: [list(terms.texts), terms.weights.tolist()]
                for name, terms in self.texts.items()
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Statistics":
        """The inverse of `to_dict`, also after a way through JSON."""
        knots, bounds = data.get("knots"), data.get("target_bounds")
        return cls(
            mean=np.asarray(data["mean"], np.float64),
            scale=np.asarray(data["scale"], np.float64),
            fill=np.asarray(data["fill"], np.float64),
            missing=tuple(data["missing"]),
            categories={name: tuple(texts) for name, texts in data["categories"].items()},
            target_mean=_values(data["target_mean"]),
            target_scale=_values(data["target_scale"]),
            target_bounds=bounds and (_values(bounds[0]), _values(bounds[1])),
            log_shift=data.get("log_shift"),
            soft_clip=data.get("soft_clip", False),
            knots=None if knots is None else Knots(*(np.asarray(k, np.float32) for k in knots)),
            texts={
                name: Terms(tuple(texts), np.asarray(weights, np.float32))
                for name, (texts, weights) in data.get("texts", {}).items()
            },
        )


def fit_statistics(dataset: Dataset, rows: NDArray[np.int64]) -> Statistics:
    """Learns means, deviations, ranges and categories from the given rows."""
    features = take_rows(dataset.features, rows)
    mean, scale, fill, missing = _numeric_statistics(dataset, features)
    categories: dict[str, tuple[str, ...]] = {}
    texts: dict[str, Terms] = {}
    if isinstance(features, Mapping):
        for column in dataset.schema.columns:
            if column.kind == "categorical":
                categories[column.name] = _most_frequent(features[column.name])
            elif column.kind == "text":
                texts[column.name] = fit_terms(features[column.name])
    target_mean: Values = 0.0
    target_scale: Values = 1.0
    bounds, shift = None, None
    if dataset.task == "regression":
        if dataset.target_scaling == "log":
            shift = log_shift(dataset.y)
        y = to_logs(dataset.y[rows], shift)
        mean_of_y, deviation = y.mean(axis=0), y.std(axis=0)
        constant = _is_constant(np.asarray(mean_of_y), np.asarray(deviation), len(y))
        target_mean = _values(mean_of_y)
        target_scale = _values(np.where(constant, 1.0, deviation))
        low, high = _values(y.min(axis=0)), _values(y.max(axis=0))
        margin = TARGET_MARGIN * (high - low)
        least = np.log(shift) if shift else -np.inf  # of 0
        bounds = (_values(np.maximum(low - margin, least)), high + margin)
    learned = Statistics(
        *(mean, scale, fill, missing, categories, target_mean, target_scale, bounds),
        texts=texts,
        log_shift=shift,
    )
    if dataset.scaling == "robust":
        return replace(learned, soft_clip=True)
    values = numeric_values(features, dataset.schema)
    if dataset.scaling != "quantile" or values is None:
        return learned
    return replace(learned, knots=fit_knots(_scaled(learned, values)))


def _values(values: Any) -> Values:
    """A number of one target, an array of several."""
    return np.asarray(values, np.float64) if np.ndim(values) else float(values)


def _scaled(learned: Statistics, values: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers as the encoder scales them before they become a normal distribution."""
    return (values.astype(np.float32) - learned.mean.astype(np.float32)) * learned.inverse_scale


def _most_frequent(values: NDArray[Any]) -> tuple[str, ...]:
    """The categories that are kept: the most frequent first, equally frequent ones by name."""
    codes, texts = pd.factorize(values)
    counts = np.bincount(codes)
    ranked = sorted(range(len(texts)), key=lambda code: (-counts[code], texts[code]))
    return tuple(texts[code] for code in ranked[:MAX_CATEGORIES])


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
        average = np.asarray(np.nanmean(values, axis=axis, dtype=np.float64))
        deviation = np.asarray(np.nanstd(values, axis=axis, dtype=np.float64))
        low = np.asarray(np.nanmin(values, axis=axis), dtype=np.float64)
        high = np.asarray(np.nanmax(values, axis=axis), dtype=np.float64)
        fill = average
        spread = deviation
        if dataset.scaling in ("robust", "quantile"):
            quartiles = np.nanquantile(values.astype(np.float64), [0.25, 0.5, 0.75], axis=axis)
            fill, spread = np.asarray(quartiles[1]), np.asarray(quartiles[2] - quartiles[0])
            # Where half of the values and more are the same.
            spread = np.where(spread > 0.0, spread, (high - low) / 2.0)
    mean, scale = {
        "standard": (average, deviation),
        "robust": (fill, spread),
        "quantile": (average, deviation),
        "unit": (low, high - low),
        "symmetric": ((high + low) / 2, (high - low) / 2),
        "none": (np.zeros_like(average), np.ones_like(average)),
    }[dataset.scaling]
    mean, fill = np.nan_to_num(mean, nan=0.0), np.nan_to_num(fill, nan=0.0)
    average = np.nan_to_num(average, nan=0.0)
    scale = np.where(_is_constant(average, deviation, len(values)), 1.0, scale)
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


def soft_clipped(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Numbers drawn in, so that none is beyond 3 (Holzmueller et al. 2024, section 3)."""
    x = np.clip(numbers, np.float32(-FAR), np.float32(FAR))
    return np.asarray(x / np.sqrt(np.float32(1.0) + (x / np.float32(3.0)) ** 2), np.float32)
