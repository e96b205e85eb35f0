"""The target of a regression as logarithms, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.dataset import Dataset
from nas.errors import NasError


def log_shift(y: NDArray[np.float64]) -> float:
    """What is added before the logarithm: nothing, or where there are zeros the smallest amount.

    Args:
        y: All values of the target, none below 0. That of all rows is taken, as a unit is: a fold
            without zeros has no logarithm for those that it validates on.
    """
    return float(y[y > 0.0].min()) if (y == 0.0).any() else 0.0


def to_logs(y: NDArray[Any], shift: float | None) -> NDArray[Any]:
    """Values as logarithms; as they are where `shift` is None."""
    return y if shift is None else np.log(y + shift)


def from_logs(values: NDArray[Any], shift: float | None) -> NDArray[Any]:
    """The inverse of `to_logs`."""
    return values if shift is None else np.exp(values) - shift


def check_logarithms(dataset: Dataset) -> None:
    """Refuses `--target-scaling log` where there are no logarithms."""
    if dataset.task != "regression":
        raise NasError("--target-scaling", f"got 'log' for a {dataset.task} task", "a regression")
    if dataset.targets:
        raise NasError("--target-scaling", "got 'log' for several targets", "one target")
    if dataset.y.min() < 0.0:
        raise NasError(
            "--target-scaling", f"got 'log' for values such as {dataset.y.min():g}", "0 or more"
        )
