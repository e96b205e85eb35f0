"""Losses and scores of validation rows within a program, for the metrics that are sums over rows.

The program adds up, in 32 bits, and NumPy does the rest. What else a metric may be, NumPy finds out
from the outputs: see `lane_log.score_epochs`, which gives the same.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.engines.lane_network import row_losses
from nas.engines.shapes import Shape
from nas.metrics import Metric
from nas.models.steps import encode_labels
from nas.spec import Problem

SUMMED = ("accuracy", "log_loss", "rmse", "mae", "r2")
MOST_OF_A_ROW = -float(np.log(np.finfo(np.float64).eps))  # in scikit-learn's log loss
# Sigmoids of larger outputs are 1 in 64 bits, of which the first class is predicted.
SURE = 54.0 * float(np.log(2.0))


def is_summed(metric: Metric, folds: Sequence[FoldData]) -> bool:
    """Whether a program can score folds by a metric.

    It knows no values behind logarithms, and no mean of the scores of several targets.
    """
    is_plain = all(fold.log_shift is None and fold.y_val.ndim == 1 for fold in folds)
    return metric.name in SUMMED and not metric.is_own and is_plain


def encode_targets(problem: Problem, fold: FoldData) -> NDArray[np.float32]:
    """The targets of a fold's validation rows as `sums` takes them, (n_val, n_outputs)."""
    return encode_labels(problem, fold.for_loss(fold.y_val), fold.target_mean, fold.target_scale)


def encode_bounds(fold: FoldData) -> NDArray[np.float32]:
    """What a network's outputs for a fold are kept between, (2,) or (2, n_targets)."""
    if fold.target_bounds is None:
        return np.array([-np.inf, np.inf], np.float32)
    bounds = np.array(fold.target_bounds)
    return ((bounds - fold.target_mean) / fold.target_scale).astype(np.float32)


def sums(shape: Shape, metric: str, y: Any, outputs: Any, is_row: Any, bounds: Any) -> Any:
    """Sums over the rows of what a network loses, and of what a metric counts; (2,).

    Args:
        shape: The network's.
        metric: One of `SUMMED`.
        y: Encoded targets, (n, n_outputs).
        outputs: Of the network, (n, n_outputs).
        is_row: Which rows there are, (n,).
        bounds: What the outputs of a regression are kept between, (2,).
    """
    if metric in ("accuracy", "log_loss"):
        losses = row_losses(shape, y, outputs)
        of_rows = _are_right if metric == "accuracy" else _log_losses
        counted = of_rows(shape, y, outputs)
    else:
        outputs = jnp.clip(outputs, bounds[0], bounds[1])
        losses = row_losses(shape, y, outputs)
        errors = (outputs - y)[:, 0]
        counted = jnp.abs(errors) if metric == "mae" else errors**2
    both = jnp.stack([losses, counted.astype(jnp.float32)])
    return jnp.sum(jnp.where(is_row, both, 0.0), axis=1)


def _are_right(shape: Shape, y: Any, outputs: Any) -> Any:
    if shape.n_outputs == 1:
        return (outputs[:, 0] > 0.0) == (y[:, 0] > 0.5)
    if shape.loss == "logistic":
        outputs = jnp.minimum(outputs, SURE)
    return jnp.argmax(outputs, axis=1) == jnp.argmax(y, axis=1)


def _log_losses(shape: Shape, y: Any, outputs: Any) -> Any:
    if shape.loss == "logistic" and shape.n_outputs > 1:  # sigmoids that are divided by their sum
        outputs = -jnp.logaddexp(0.0, -outputs)
        losses = jnp.log(jnp.sum(jnp.exp(outputs), axis=1)) - jnp.sum(y * outputs, axis=1)
    else:
        losses = row_losses(shape, y, outputs)
    return jnp.minimum(losses, MOST_OF_A_ROW)


def losses_and_scores(
    metric: Metric, fold: FoldData, found: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean loss and the score of each of some `sums` of a fold, (..., 2)."""
    n, scale = len(fold.y_val), fold.target_scale
    if not n:
        nothing = np.full(found.shape[:-1], np.nan)
        return nothing, nothing
    means = found.astype(np.float64) / n
    losses, means = means[..., 0], means[..., 1]
    match metric.name:
        case "rmse":
            return losses, scale * np.sqrt(means)
        case "mae":
            return losses, scale * means
        case "r2":
            variance = np.var(fold.y_val)
            if not variance:  # as scikit-learn has it
                return losses, np.where(means > 0.0, 0.0, np.where(np.isnan(means), np.nan, 1.0))
            return losses, 1.0 - scale**2 * means / variance
    return losses, means
