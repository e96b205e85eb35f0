"""The folds of a split, encoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.choices import Task
from nas.data import Dataset, Fold
from nas.encoding.encoder import fit_encoder


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
        weights: How much each training row counts in the loss, shape (n_train,), 1 on average;
            None for all alike.
    """

    task: Task
    x_train: NDArray[np.float32]
    y_train: NDArray[Any]
    x_val: NDArray[np.float32]
    y_val: NDArray[Any]
    target_mean: float = 0.0
    target_scale: float = 1.0
    weights: NDArray[np.float32] | None = None


def encode_folds(
    dataset: Dataset,
    folds: Sequence[Fold],
    keep: Callable[[FoldData], FoldData] = lambda fold: fold,
) -> tuple[FoldData, ...]:
    """Encodes each fold with what its own training rows teach; all folds are equally wide.

    Args:
        dataset: The data.
        folds: Its folds; at least one.
        keep: Is given each fold as soon as it is encoded, and returns what is to be kept of it,
            such as a fold whose rows lie in files.
    """
    encoders = [fit_encoder(dataset, fold.train) for fold in folds]
    width = max(encoder.n_columns for encoder in encoders)
    encoded = []
    for fold, fitted in zip(folds, encoders, strict=True):
        encoder = replace(fitted, n_columns=width)
        data = FoldData(
            task=dataset.task,
            x_train=encoder.encode(dataset.features, fold.train),
            y_train=dataset.y[fold.train],
            x_val=encoder.encode(dataset.features, fold.val),
            y_val=dataset.y[fold.val],
            target_mean=fitted.statistics.target_mean,
            target_scale=fitted.statistics.target_scale,
            weights=_weights(dataset, fold.train),
        )
        encoded.append(keep(data))
    return tuple(encoded)


def _weights(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Weights of rows, 1 on average, so that a learning rate means what it does without."""
    if dataset.weights is None:
        return None
    weights = dataset.weights[rows]
    return np.asarray(weights / max(float(weights.mean()), 1e-300), np.float32)
