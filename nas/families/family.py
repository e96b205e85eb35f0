"""What the Keras engine, examination and export ask of a network with a Keras model."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.families.inside import Inside, Look, root_mean_square
from nas.models.dense import Forward
from nas.spec import Loss, TrialSpec

# What the outputs of a model are: before their activation; probabilities that add up to 1 (or one
# of them, of the second class); one probability for each class by itself; a standardized value.
Outputs = Literal["logits", "probabilities", "shares", "value"]
PARTS = 4  # into which sides of feature maps are divided, at most
SMALLEST = 1e-7  # of a probability whose logarithm is taken, as in Keras's losses


class InsideWithTape(ABC):
    """See `nas.families.inside.Inside`; TensorFlow finds the gradients.

    Attributes:
        activations: Keras names of the hidden layers' activations.
    """

    activations: list[str]

    @abstractmethod
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

    @abstractmethod
    def loss(self, labels: Any, outputs: Any) -> Any:
        """Mean loss without penalties."""

    @abstractmethod
    def plain_outputs(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Outputs as `nas.metrics.predictions_of` takes them: logits, or a standardized value."""

    def look(self, weights: Any, x: NDArray[np.float32], labels: NDArray[Any]) -> Look:
        n = len(labels)
        with tf.GradientTape() as tape:
            kernels, forward = self.run(weights, x, n, moving=False, tape=tape)
            loss = self.loss(tf.constant(labels), forward.outputs[:n])
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, kernels, unconnected_gradients=zero)
        return Look(
            tuple(root_mean_square(g.numpy()) for g in gradients),
            float(loss),
            [a.numpy() for a in forward.activations],
            [features(layer) for layer in forward.hidden],
            self.plain_outputs(forward.outputs.numpy()),
        )

    def predict(self, weights: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
        _, passed = self.run(weights, x, None, moving=True)
        return self.plain_outputs(passed.outputs.numpy())


def features(outputs: Any) -> NDArray[np.float32]:
    """A hidden layer's outputs as (n_rows, n_features): of feature maps, averages of parts."""
    if len(outputs.shape) == 4:
        window = [-(-side // PARTS) for side in outputs.shape[1:3]]
        outputs = tf.nn.avg_pool2d(outputs, window, window, "SAME")
    return np.asarray(tf.reshape(outputs, (outputs.shape[0], -1)))


class KerasNetwork(ABC):
    """A trial's network as a compiled Keras model.

    Attributes:
        spec: The trial.
        model: From rows of `input_shape` to what is trained; `run` gives its outputs.
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
    def initial_weights(self, seed: int, x: NDArray[np.float32]) -> list[NDArray[Any]]:
        """Weights before training, in the order of the model's `get_weights()`.

        Args:
            seed: Of the lane.
            x: Its encoded training rows, (n, n_inputs).
        """

    def run(self, x: Any, **options: Any) -> Any:
        """The outputs of the model, (n, n_outputs), for rows as it takes them.

        Args:
            x: The rows, which may be symbolic.
            options: Of the model's call.
        """
        return self.model(x, **options)

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
