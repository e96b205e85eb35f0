"""How a network is trained, as Keras objects: optimizer, loss and learning rates."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from nas.spec import Problem, Training, resolve_loss


def make_optimizer(training: Training) -> keras.optimizers.Optimizer:
    """The optimizer of a trial, at its peak learning rate.

    Weight decay touches kernels only. The schedule is not part of the optimizer: an engine sets
    each step's rate from `learning_rates`.
    """
    t = training
    common = {
        "learning_rate": t.learning_rate,
        "weight_decay": t.weight_decay or None,
        "global_clipnorm": t.clip_norm or None,
    }
    betas = {"beta_1": t.beta_1, "beta_2": t.beta_2, "epsilon": t.epsilon}
    optimizers = keras.optimizers
    match t.optimizer:
        case "adam":
            optimizer = optimizers.Adam(**betas, **common)
        case "adamw":
            # AdamW wants a number where the others take None.
            optimizer = optimizers.AdamW(**betas, **{**common, "weight_decay": t.weight_decay})
        case "nadam":
            optimizer = optimizers.Nadam(**betas, **common)
        case "rmsprop":
            optimizer = optimizers.RMSprop(
                rho=t.rho, momentum=t.momentum, epsilon=t.epsilon, **common
            )
        case "sgd":
            optimizer = optimizers.SGD(momentum=t.momentum, nesterov=t.nesterov, **common)
        case "adagrad":
            optimizer = optimizers.Adagrad(
                initial_accumulator_value=t.initial_accumulator, epsilon=t.epsilon, **common
            )
        case unknown:
            raise ValueError(f"unknown optimizer {unknown!r}")
    if t.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def make_loss(problem: Problem, training: Training, from_logits: bool = True) -> keras.losses.Loss:
    """The loss between `encode_labels` of the targets and the network's outputs.

    Args:
        problem: The task.
        training: Names the loss.
        from_logits: Whether the outputs of a classifier lack their activation.
    """
    smoothing = training.label_smoothing
    match resolve_loss(problem.task, training):
        case "squared":
            return keras.losses.MeanSquaredError()
        case "absolute":
            return keras.losses.MeanAbsoluteError()
        case "huber":
            return keras.losses.Huber()
        case "logistic":
            return SumOfLogistic(smoothing, from_logits)
        case _ if problem.task == "binary":
            return keras.losses.BinaryCrossentropy(from_logits, label_smoothing=smoothing)
        case _:
            return keras.losses.CategoricalCrossentropy(from_logits, label_smoothing=smoothing)


class SumOfLogistic(keras.losses.Loss):  # type: ignore[misc]
    """One logistic loss for each output, summed over the outputs."""

    def __init__(self, label_smoothing: float = 0.0, from_logits: bool = True) -> None:
        super().__init__(name="sum_of_logistic")
        self.label_smoothing, self.from_logits = label_smoothing, from_logits

    def call(self, y_true: Any, y_pred: Any) -> Any:
        mean = keras.losses.binary_crossentropy(
            y_true, y_pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )
        return mean * y_pred.shape[-1]


def encode_labels(
    problem: Problem, y: NDArray[np.float64], target_mean: float, target_scale: float
) -> NDArray[np.float32]:
    """Targets as the loss takes them: one-hot, 0 or 1, or standardized; (n, n_outputs)."""
    if problem.task == "multiclass":
        return np.eye(problem.n_outputs, dtype=np.float32)[y.astype(np.int64)]
    return ((y - target_mean) / target_scale).astype(np.float32)[:, None]


def learning_rates(training: Training, steps_per_epoch: int, epoch: int) -> NDArray[np.float32]:
    """The learning rate of each step of one epoch.

    Args:
        training: Names the schedule, its warm-up and its end.
        steps_per_epoch: Steps of every epoch.
        epoch: The epoch, counted from 0.

    Returns:
        Shape (steps_per_epoch,), or less where the budget of steps ends. Warm-up rises linearly
        from 0; then the rate stays, follows half a cosine (Loshchilov and Hutter 2017,
        equation 5) or decays exponentially, to `decay_to * learning_rate` at the last step.
    """
    total, end_of_epoch = training.epochs * steps_per_epoch, (epoch + 1) * steps_per_epoch
    if training.steps:
        total, end_of_epoch = min(total, training.steps), min(end_of_epoch, training.steps)
    warm = round(training.warmup * total)
    step = np.arange(epoch * steps_per_epoch, end_of_epoch, dtype=np.float64)
    share = np.clip((step - warm) / max(total - warm, 1), 0.0, 1.0)
    end = training.decay_to
    if training.schedule == "cosine":
        factor = end + (1.0 - end) * 0.5 * (1.0 + np.cos(np.pi * share))
    elif training.schedule == "exponential":
        factor = end**share
    else:
        factor = np.ones_like(share)
    rising = step / warm if warm else np.ones_like(step)
    return (training.learning_rate * np.where(step < warm, rising, factor)).astype(np.float32)
