"""Probabilities that mean what they say: one temperature for all, found on rows not trained on.

Guo et al. (2017, ICML, section 4.2). Which class is the most probable does not change.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMALLEST = 1e-7  # of a probability whose logarithm is taken, in 32 bits
BINS = 15
LOWEST, HIGHEST = 0.05, 20.0  # temperatures


@dataclass(frozen=True)
class Calibration:
    """How far probabilities are from the shares that come true.

    Attributes:
        log_loss: Mean negative logarithm of the probability of the truth.
        error: Expected calibration error: the mean distance between the probability of the answer
            and the share of right answers, over bins of equal width (Naeini et al. 2015, AAAI).
    """

    log_loss: float
    error: float


def fit_temperature(prediction: Array, y: Array) -> float:
    """The temperature with the least log loss.

    Args:
        prediction: Probabilities, shape (n,) of the second class or (n, n_classes).
        y: Class numbers, shape (n,).
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return calibration(with_temperature(prediction, np.exp(log_temperature)), y).log_loss

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def with_temperature(prediction: Array, temperature: float) -> Array:
    """Probabilities as if the logits had been divided by a temperature; above 1 is less sure."""
    logits = np.log(np.clip(_by_class(prediction), SMALLEST, 1.0)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    changed = powers / powers.sum(axis=1, keepdims=True)
    return np.asarray(changed if prediction.ndim == 2 else changed[:, 1])


def calibration(prediction: Array, y: Array) -> Calibration:
    """How far probabilities are from the truth.

    Args:
        prediction: Probabilities, shape (n,) of the second class or (n, n_classes).
        y: Class numbers, shape (n,).
    """
    p = _by_class(prediction)
    truth = np.clip(p[np.arange(len(y)), y], SMALLEST, 1.0)
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, sure - right, BINS)
    return Calibration(float(-np.log(truth).mean()), float(np.abs(gaps).sum() / len(y)))


def _by_class(prediction: Array) -> Array:
    """Probabilities of all classes, shape (n, n_classes)."""
    if prediction.ndim == 2:
        return prediction
    return np.stack([1.0 - prediction, prediction], axis=1)
