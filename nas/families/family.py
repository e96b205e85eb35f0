"""What engines, examination and export ask of a network, whatever its family."""

from abc import ABC, abstractmethod
from typing import Any, Literal, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.models.forward import Forward
from nas.models.training import encode_labels
from nas.spec import Loss, TrialSpec

# What the outputs of a model are: before their activation; probabilities that add up to 1 (or one
# of them, of the second class); one probability for each class by itself; a standardized value.
Outputs = Literal["logits", "probabilities", "shares", "value"]
SMALLEST = 1e-7  # of a probability whose logarithm is taken, as in Keras's losses


class Inside(Protocol):
    """A look inside a network, with weights in the order of the model's `get_weights()`.

    Attributes:
        activations: Keras names of the hidden layers' activations.
    """

    activations: list[str]

    def kernels(self, weights: Any) -> list[Any]:
        """The kernels of the layers that can be examined, the output layer's last."""

    def run(
        self, weights: Any, x: Any, n_statistics: int | None, moving: bool, tape: Any = None
    ) -> tuple[list[Any], Forward]:
        """Passes encoded rows, (n, n_inputs), through the network, without dropout.

        Args:
            weights: Its weights.
            x: The rows.
            n_statistics: The first of them, from which batch normalization takes its statistics.
            moving: Whether it takes its moving statistics instead.
            tape: Is told to watch the kernels.

        Returns:
            The kernels, as the tape knows them, and what the pass computes.
        """

    def labels(self, fold: FoldData, y: NDArray[Any]) -> NDArray[Any]:
        """Targets as the loss takes them."""

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Mean loss without penalties."""

    def penalty(self, kernels: Any) -> float:
        """What is added to the loss for the size of these kernels."""

    def plain_outputs(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Outputs as `nas.metrics.predictions_of` takes them: logits, or a standardized value."""


class KerasNetwork(ABC):
    """A trial's network as a compiled Keras model.

    Attributes:
        spec: The trial.
        model: From rows of `input_shape` to outputs, (n, n_outputs).
        input_shape: Of one row; the encoded columns are brought into it, row by row.
        sets_rates: Whether the learning rates are those of the specification's schedule, and not
            those of the optimizer that the model came with.
        outputs: What the model's outputs are.
        scored_as: The loss by which logits become predictions.
        inside: What examination sees.
    """

    spec: TrialSpec
    model: keras.Model
    input_shape: tuple[int, ...]
    sets_rates: bool
    outputs: Outputs
    scored_as: Loss
    inside: Inside

    @abstractmethod
    def initial_weights(self, seed: int) -> list[NDArray[Any]]:
        """Weights before training, in the order of the model's `get_weights()`."""

    @abstractmethod
    def mean_loss(
        self, fold: FoldData, y: NDArray[Any], outputs: NDArray[np.float32]
    ) -> float | None:
        """Mean loss of outputs; None where the specification's own says all (see `scored_as`)."""


def as_logits(outputs: NDArray[Any], kind: Outputs) -> NDArray[Any]:
    """Outputs of a model as logits; values of a regression as they are."""
    if kind in ("logits", "value"):
        return outputs
    p = np.clip(outputs.astype(np.float64), SMALLEST, 1.0 - SMALLEST)
    if outputs.shape[1] == 1:
        return np.asarray(np.log(p) - np.log1p(-p))
    return np.asarray(np.log(p))  # softmax of these divides by their sum


def plain_labels(spec: TrialSpec, fold: FoldData, y: NDArray[Any]) -> NDArray[np.float32]:
    """Targets one-hot, 0 or 1, or standardized."""
    return encode_labels(spec.problem, y, fold.target_mean, fold.target_scale)
