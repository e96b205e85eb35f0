"""Networks that the words of a space describe: dense and convolutional ones."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.families.family import InsideWithTape, KerasNetwork
from nas.families.inside import Inside, penalty_in_words, plain_labels
from nas.families.inside_dense import InsideDense
from nas.models.dense import Forward
from nas.models.forward import run_forward
from nas.models.initializers import bin_weights, initial_weights
from nas.models.layer_weights import kernels_of
from nas.models.members import joined
from nas.models.network import build_model, undecayed
from nas.models.training import make_loss, make_optimizer
from nas.spec import TrialSpec


class InsideConvolutional(InsideWithTape):
    """Of a convolutional network; needs no Keras model."""

    def __init__(self, spec: TrialSpec) -> None:
        self._spec = spec
        self.activations = [layer.activation for layer in spec.hidden]
        self.labels = partial(plain_labels, spec)
        self._loss = make_loss(spec.problem, spec.training, members=spec.members)

    def kernels(self, weights: Any) -> list[Any]:
        return kernels_of(self._spec, weights)

    def run(
        self, weights: Any, x: Any, n_statistics: int | None, moving: bool, tape: Any = None
    ) -> tuple[list[Any], Forward]:
        tensors = [tf.constant(weight) for weight in weights]
        kernels = kernels_of(self._spec, tensors)
        if tape is not None:
            tape.watch(kernels)
        passed = run_forward(self._spec, tensors, tf.constant(x), n_statistics, moving)
        if self._spec.members > 1:
            passed = replace(passed, hidden=[outputs[:, 0] for outputs in passed.hidden])
        return kernels, passed

    def loss(self, labels: Any, outputs: Any) -> Any:
        return self._loss(labels, outputs)

    def penalty(self, kernels: Any) -> float:
        return penalty_in_words(self._spec, kernels)

    def plain_outputs(self, outputs: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(joined(np, outputs, self._spec))


def inside_in_words(spec: TrialSpec) -> Inside:
    """A look inside a network in the words of a space."""
    return InsideConvolutional(spec) if spec.in_words.convolutions else InsideDense(spec)


class NetworkInWords(KerasNetwork):
    """A dense or convolutional network.

    Args:
        spec: The trial.
        adapt: From its Keras model to the one that is trained.
    """

    def __init__(
        self, spec: TrialSpec, adapt: Callable[[keras.Model], keras.Model] = lambda model: model
    ) -> None:
        self.spec, self.inside = spec, inside_in_words(spec)
        self.model = adapt(build_model(spec))
        # Compiled to XLA, a program of this kind takes longer to compile than it saves.
        loss = make_loss(spec.problem, spec.training, members=spec.members)
        optimizer = make_optimizer(spec.training, undecayed(self.model))
        self.model.compile(optimizer, loss, jit_compile=False)
        self.input_shape = (spec.problem.n_inputs,)
        self.sets_rates = True
        self.outputs = "value" if spec.problem.task == "regression" else "logits"
        self.scored_as = spec.loss

    def initial_weights(self, seed: int, x: NDArray[np.float32]) -> list[NDArray[Any]]:
        return list(initial_weights(self.spec, seed, bin_weights(self.spec, x)))

    def run(self, x: Any, **options: Any) -> Any:
        return joined(keras.ops, super().run(x, **options), self.spec)

    def mean_loss(
        self, fold: FoldData, y: NDArray[Any], outputs: NDArray[np.float32]
    ) -> float | None:
        return None
