"""What the steps of a training take: labels and learning rates, whichever engine trains."""

import numpy as np
from numpy.typing import NDArray

from nas.spec import Problem, Training

SMALLEST_DECAY = 1e-6  # where an exponential schedule ends at the lowest
FLAT_SHARE = 0.5  # of the steps, before the cosine of `flat_cosine`


def encode_labels(
    problem: Problem,
    y: NDArray[np.float64],
    target_mean: float | NDArray[np.float64],
    target_scale: float | NDArray[np.float64],
) -> NDArray[np.float32]:
    """Targets as the loss takes them: one-hot, 0 or 1, or standardized; (n, n_outputs)."""
    if problem.task == "multiclass":
        return np.eye(problem.n_outputs, dtype=np.float32)[y.astype(np.int64)]
    standardized = ((y - target_mean) / target_scale).astype(np.float32)
    return standardized if y.ndim == 2 else standardized[:, None]


def learning_rates(
    training: Training, steps_per_epoch: int, epoch: int, n_epochs: int = 1
) -> NDArray[np.float32]:
    """The learning rate of each step of one epoch, or of several.

    Args:
        training: Names the schedule, its warm-up and its end.
        steps_per_epoch: Steps of every epoch.
        epoch: The epoch, counted from 0.
        n_epochs: How many epochs, from this one on.

    Returns:
        Shape (n_epochs * steps_per_epoch,), or less where the budget of steps ends. Warm-up rises
        linearly from 0; then the rate stays, follows half a cosine (Loshchilov and Hutter 2017,
        equation 5) at once or in the second half of the steps, rises and falls four times
        (`cos_log`, Holzmueller et al. 2024, section 3) or decays exponentially, to
        `decay_to * learning_rate` at the last step.
    """
    total, end = training.epochs * steps_per_epoch, (epoch + n_epochs) * steps_per_epoch
    if training.steps:
        total, end = min(total, training.steps), min(end, training.steps)
    warm = round(training.warmup * total)
    step = np.arange(epoch * steps_per_epoch, end, dtype=np.float64)
    share = np.clip((step - warm) / max(total - warm, 1), 0.0, 1.0)
    lowest = training.decay_to
    match training.schedule:
        case "cosine":
            factor = lowest + (1.0 - lowest) * 0.5 * (1.0 + np.cos(np.pi * share))
        case "flat_cosine":
            late = np.clip((share - FLAT_SHARE) / (1.0 - FLAT_SHARE), 0.0, 1.0)
            factor = lowest + (1.0 - lowest) * 0.5 * (1.0 + np.cos(np.pi * late))
        case "cos_log":
            factor = lowest + (1.0 - lowest) * 0.5 * (
                1.0 - np.cos(2.0 * np.pi * np.log2(1.0 + 15.0 * share))
            )
        case "exponential":
            factor = max(lowest, SMALLEST_DECAY) ** share
        case _:
            factor = np.ones_like(share)
    rising = step / warm if warm else np.ones_like(step)
    return (training.learning_rate * np.where(step < warm, rising, factor)).astype(np.float32)
