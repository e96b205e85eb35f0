"""The folds of a split, encoded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from nas.choices import Scaling, Task
from nas.data import Dataset, Fold
from nas.data.logarithms import to_logs
from nas.encoding.encoder import Encoder, fit_encoder
from nas.encoding.statistics import Values


@dataclass(frozen=True)
class FoldData:
    """One fold, encoded: what an engine trains and scores on.

    Attributes:
        task: What is to be predicted.
        x_train: Shape (n_train, n_inputs), float32.
        y_train: Shape (n_train,): class numbers, or values in their own unit; of several targets
            (n_train, n_targets), and what is said of the target is of each of them then.
        x_val: Shape (n_val, n_inputs), float32; n_val may be 0.
        y_val: Shape (n_val,).
        target_mean: A regression network predicts `(y - target_mean) / target_scale`, or so the
            logarithm of y.
        target_scale: See `target_mean`; 1 for classes.
        target_bounds: What predictions of a regression are kept between, as logarithms if those
            are predicted; None for no bounds.
        weights: How much each training row counts in the loss, shape (n_train,), 1 on average;
            None for all alike.
        scaling: How the numbers are scaled.
        log_shift: What is added to y before its logarithm is taken; None where it is not.
        quantiles: Those of the target that are predicted; empty where it is itself.
        otherwise: `x_train` and `x_val` with the numbers scaled in other ways, by name.
    """

    task: Task
    x_train: NDArray[np.float32]
    y_train: NDArray[Any]
    x_val: NDArray[np.float32]
    y_val: NDArray[Any]
    target_mean: Values = 0.0
    target_scale: Values = 1.0
    weights: NDArray[np.float32] | None = None
    target_bounds: tuple[Values, Values] | None = None
    scaling: Scaling = "standard"
    log_shift: float | None = None
    quantiles: tuple[float, ...] = ()
    otherwise: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = field(
        default_factory=dict
    )

    def for_loss(self, y: NDArray[Any]) -> NDArray[Any]:
        """Targets, or their logarithms where a network is given those, before they are scaled."""
        return to_logs(y, self.log_shift)

    def scaled(self, scaling: str) -> "FoldData":
        """The fold with the numbers scaled so; `data` is the scaling that it has."""
        if scaling in ("data", self.scaling):
            return self
        x_train, x_val = self.otherwise[scaling]
        return replace(self, x_train=x_train, x_val=x_val)


def encode_folds(
    dataset: Dataset,
    folds: Sequence[Fold],
    keep: Callable[[FoldData], FoldData] = lambda fold: fold,
    scalings: Sequence[str] = (),
) -> tuple[FoldData, ...]:
    """Encodes each fold with what its own training rows teach; all folds are equally wide.

    Args:
        dataset: The data.
        folds: Its folds; at least one.
        keep: Is given each fold as soon as it is encoded, and returns what is to be kept of it,
            such as a fold whose rows lie in files.
        scalings: Names of scalings that networks may have instead of that of the data.
    """
    encoders = [fit_encoder(dataset, fold.train) for fold in folds]
    width = max(encoder.n_columns for encoder in encoders)
    others = [name for name in get_args(Scaling) if name in scalings and name != dataset.scaling]
    encoded = []
    for fold, fitted in zip(folds, encoders, strict=True):
        rows = partial(_rows, dataset, fold)
        x_train, x_val = rows(replace(fitted, n_columns=width))
        scaled = {name: fit_encoder(replace(dataset, scaling=name), fold.train) for name in others}
        data = FoldData(
            task=dataset.task,
            x_train=x_train,
            y_train=dataset.y[fold.train],
            x_val=x_val,
            y_val=dataset.y[fold.val],
            target_mean=fitted.statistics.target_mean,
            target_scale=fitted.statistics.target_scale,
            weights=_weights(dataset, fold.train),
            target_bounds=fitted.statistics.target_bounds,
            scaling=dataset.scaling,
            log_shift=fitted.statistics.log_shift,
            quantiles=dataset.quantiles,
            otherwise={name: rows(replace(e, n_columns=width)) for name, e in scaled.items()},
        )
        encoded.append(keep(data))
    return tuple(encoded)


def _rows(
    dataset: Dataset, fold: Fold, encoder: Encoder
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    features = dataset.features
    return encoder.encode(features, fold.train), encoder.encode(features, fold.val)


def _weights(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Weights of rows, 1 on average, so that a learning rate means what it does without."""
    if dataset.weights is None and dataset.class_weight == "none":
        return None
    weights = np.ones(len(rows)) if dataset.weights is None else dataset.weights[rows]
    if dataset.class_weight == "balanced":  # so that all classes of these rows weigh the same
        y = dataset.y[rows]
        totals = np.bincount(y, weights, minlength=len(dataset.classes))
        weights = weights / np.maximum(totals, 1e-300)[y]
    return np.asarray(weights / max(float(weights.mean()), 1e-300), np.float32)
