"""A look inside dense networks, which needs no Keras."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.families.inside import Look, penalty_in_words, plain_labels, root_mean_square
from nas.models.dense import dense_kernels, kernel_gradients, loss_and_slope, run_dense
from nas.spec import TrialSpec


class InsideDense:
    """See `nas.families.inside.Inside`."""

    def __init__(self, spec: TrialSpec) -> None:
        self._spec = spec
        self.activations = [spec.in_words.activation] * len(spec.in_words.units)
        self.labels = partial(plain_labels, spec)

    def kernels(self, weights: Any) -> list[Any]:
        return dense_kernels(self._spec, weights)

    def look(self, weights: Any, x: NDArray[np.float32], labels: NDArray[Any]) -> Look:
        n = len(labels)
        passed = run_dense(self._spec, weights, x, n)
        loss, slope = loss_and_slope(self._spec, labels, passed.outputs[:n])
        gradients = kernel_gradients(self._spec, passed, slope)
        return Look(
            tuple(map(root_mean_square, gradients)),
            loss,
            passed.activations,
            passed.hidden,
            passed.outputs,
        )

    def predict(self, weights: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs: NDArray[np.float32] = run_dense(self._spec, weights, x, moving=True).outputs
        return outputs

    def penalty(self, kernels: Any) -> float:
        return penalty_in_words(self._spec, kernels)
