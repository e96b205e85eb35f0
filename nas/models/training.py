"""How a network is trained, as Keras objects: optimizer and loss."""

from collections.abc import Sequence
from typing import Any

import keras

from nas.spec import Problem, Training, resolve_loss


def make_optimizer(
    training: Training, undecayed: Sequence[keras.Variable] = ()
) -> keras.optimizers.Optimizer:
    """The optimizer of a trial, at its peak learning rate.

    Weight decay touches kernels only. The schedule is not part of the optimizer: an engine sets
    each step's rate from `learning_rates`.

    Args:
        training: Names the optimizer.
        undecayed: Kernels that it does not touch.
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
        optimizer.exclude_from_weight_decay(list(undecayed), ["bias", "gamma", "beta"])
    return optimizer


def make_loss(
    problem: Problem, training: Training, from_logits: bool = True, members: int = 1
) -> keras.losses.Loss:
    """The loss between `encode_labels` of the targets and the network's outputs.

    Args:
        problem: The task.
        training: Names the loss.
        from_logits: Whether the outputs of a classifier lack their activation.
        members: Of the network; with several, each is trained by its own loss.
    """
    if members > 1:
        return LossOfMembers(make_loss(problem, training, from_logits))
    smoothing = training.label_smoothing
    match resolve_loss(problem, training):
        case "quantile":
            return Pinball(problem.quantiles)
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


class LossOfMembers(keras.losses.Loss):  # type: ignore[misc]
    """The mean of a loss over the members of a network, (n, n_members, n_outputs)."""

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name="loss_of_members")
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true = keras.ops.broadcast_to(y_true[:, None, :], keras.ops.shape(y_pred))
        return keras.ops.mean(self.loss.call(y_true, y_pred), axis=1)


class Pinball(keras.losses.Loss):  # type: ignore[misc]
    """The mean of the pinball losses of quantiles, an output each, of one target (n, 1)."""

    def __init__(self, quantiles: Sequence[float]) -> None:
        super().__init__(name="pinball")
        self.quantiles = tuple(quantiles)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        quantiles = keras.ops.convert_to_tensor(self.quantiles, y_pred.dtype)
        error = y_true - y_pred
        losses = keras.ops.maximum(quantiles * error, (quantiles - 1.0) * error)
        return keras.ops.mean(losses, axis=-1)


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
