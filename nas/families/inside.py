"""What an examination sees of a network, whatever its family."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.models.steps import encode_labels
from nas.spec import TrialSpec


@dataclass(frozen=True)
class Look:
    """What one pass through the network shows.

    Attributes:
        gradients: Root mean square of each kernel's gradient.
        loss: Without penalties.
        activations: Of each hidden layer, without its residual connection.
        features: Outputs of each hidden layer, (n_rows, n_features); of feature maps, averages of
            parts.
        outputs: The network's, as `nas.metrics.predictions_of` takes them: logits, or a
            standardized value.
    """

    gradients: tuple[float, ...]
    loss: float
    activations: list[NDArray[np.float32]]
    features: list[NDArray[np.float32]]
    outputs: NDArray[np.float32]


class Inside(Protocol):
    """A look inside a network, with weights in the order of the model's `get_weights()`.

    Attributes:
        activations: Keras names of the hidden layers' activations.
    """

    activations: list[str]

    def kernels(self, weights: Any) -> list[Any]:
        """The kernels of the layers that can be examined, the output layer's last."""

    def look(self, weights: Any, x: NDArray[np.float32], labels: NDArray[Any]) -> Look:
        """Passes rows, (n, n_inputs), through the network, without dropout.

        Args:
            weights: Its weights.
            x: The rows.
            labels: Targets of the first of these rows as the loss takes them. From those rows
                loss, gradients and the statistics of batch normalization are taken.
        """

    def predict(self, weights: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs as in `Look`, with the moving statistics of batch normalization."""

    def labels(self, fold: FoldData, y: NDArray[Any]) -> NDArray[Any]:
        """Targets as the loss takes them."""

    def penalty(self, kernels: Any) -> float:
        """What is added to the loss for the size of these kernels."""


def plain_labels(spec: TrialSpec, fold: FoldData, y: NDArray[Any]) -> NDArray[np.float32]:
    """Targets one-hot, 0 or 1, or standardized."""
    return encode_labels(spec.problem, fold.for_loss(y), fold.target_mean, fold.target_scale)


def penalty_in_words(spec: TrialSpec, kernels: Any) -> float:
    """The penalty of the words `l1` and `l2`."""
    l1, l2 = spec.training.l1, spec.training.l2
    return float(sum(l1 * np.abs(k).sum() + l2 * np.square(k).sum() for k in kernels))


def root_mean_square(gradient: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(gradient))))
