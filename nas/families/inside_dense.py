"""A look inside dense networks, which needs no Keras."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.families.inside import Look, penalty_in_words, plain_labels, root_mean_square
from nas.models.dense import kernel_gradients, loss_and_slope, run_dense
from nas.models.layer_weights import kernels_of
from nas.models.members import joined
from nas.spec import TrialSpec


class InsideDense:
    """See `nas.families.inside.Inside`."""

    def __init__(self, spec: TrialSpec) -> None:
        self._spec = spec
        self.activations = [spec.in_words.activation] * len(spec.in_words.units)
        self.labels = partial(plain_labels, spec)

    def kernels(self, weights: Any) -> list[Any]:
        return kernels_of(self._spec, weights)

    def look(self, weights: Any, x: NDArray[np.float32], labels: NDArray[Any]) -> Look:
        n, members = len(labels), self._spec.members
        passed = run_dense(self._spec, weights, x, n)
        loss, slope = loss_and_slope(self._spec, labels, passed.outputs[:n])
        gradients = kernel_gradients(self._spec, passed, slope)
        return Look(
            tuple(map(root_mean_square, gradients)),
            loss,
            passed.activations,
            [outputs[:, 0] if members > 1 else outputs for outputs in passed.hidden],
            joined(np, passed.outputs, self._spec),
        )

    def predict(self, weights: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = run_dense(self._spec, weights, x, moving=True).outputs
        return np.asarray(joined(np, outputs, self._spec))

    def penalty(self, kernels: Any) -> float:
        return penalty_in_words(self._spec, kernels)
