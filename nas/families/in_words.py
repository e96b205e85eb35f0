"""Networks that the words of a space describe: dense and convolutional ones."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.families.family import KerasNetwork, plain_labels
from nas.models.forward import Forward, kernels_of, run_forward
from nas.models.network import build_model, initial_weights
from nas.models.training import make_loss, make_optimizer
from nas.spec import TrialSpec


class InsideInWords:
    """See `nas.families.family.Inside`; needs no Keras model."""

    def __init__(self, spec: TrialSpec) -> None:
        self._spec = spec
        self.activations = [layer.activation for layer in spec.hidden]
        self.labels = partial(plain_labels, spec)
        self.loss = make_loss(spec.problem, spec.training)

    def kernels(self, weights: Any) -> list[Any]:
        return kernels_of(self._spec, weights)

    def run(
        self, weights: Any, x: Any, n_statistics: int | None, moving: bool, tape: Any = None
    ) -> tuple[list[Any], Forward]:
        tensors = [tf.constant(weight) for weight in weights]
        kernels = kernels_of(self._spec, tensors)
        if tape is not None:
            tape.watch(kernels)
        return kernels, run_forward(self._spec, tensors, tf.constant(x), n_statistics, moving)

    def penalty(self, kernels: Any) -> float:
        l1, l2 = self._spec.training.l1, self._spec.training.l2
        return float(sum(l1 * np.abs(k).sum() + l2 * np.square(k).sum() for k in kernels))

    def plain_outputs(self, outputs: NDArray[Any]) -> NDArray[Any]:
        return outputs


class NetworkInWords(KerasNetwork):
    """A dense or convolutional network.

    Args:
        spec: The trial.
        adapt: From its Keras model to the one that is trained.
    """

    def __init__(
        self, spec: TrialSpec, adapt: Callable[[keras.Model], keras.Model] = lambda model: model
    ) -> None:
        self.spec, self.inside = spec, InsideInWords(spec)
        self.model = adapt(build_model(spec))
        # Compiled to XLA, a program of this kind takes longer to compile than it saves.
        self.model.compile(make_optimizer(spec.training), self.inside.loss, jit_compile=False)
        self.input_shape = (spec.problem.n_inputs,)
        self.sets_rates = True
        self.outputs = "value" if spec.problem.task == "regression" else "logits"
        self.scored_as = spec.loss

    def initial_weights(self, seed: int) -> list[NDArray[Any]]:
        return list(initial_weights(self.spec, seed))

    def mean_loss(
        self, fold: FoldData, y: NDArray[Any], outputs: NDArray[np.float32]
    ) -> float | None:
        return None
