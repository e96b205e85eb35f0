"""Scores of a network that has not been trained: how far signals and gradients get through it.

All are taken from initial weights and one batch of training rows, without dropout; batch
normalization uses the batch's statistics.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.models.forward import run_forward
from nas.models.initializers import bin_weights, initial_weights
from nas.models.layer_weights import kernels_of
from nas.models.steps import encode_labels
from nas.models.training import make_loss
from nas.spec import TrialSpec

JACOBIAN_FLOOR = 1e-5  # k in Mellor et al. 2020

Weights = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class UntrainedScores:
    """What is known of a network before its training.

    Attributes:
        values: By the scores' names.
        seconds: Processor seconds that each took by itself, drawing the weights included.
    """

    values: dict[str, float]
    seconds: dict[str, float]


def untrained_scores(spec: TrialSpec, seed: int, batch: FoldData) -> UntrainedScores:
    """All scores of a network before its training.

    Args:
        spec: The network.
        seed: Of its initial weights.
        batch: All its training rows are used; 100 or so will do.
    """
    y_train = batch.for_loss(batch.y_train)
    y = encode_labels(spec.problem, y_train, batch.target_mean, batch.target_scale)
    moments = [time.process_time()]

    def took() -> float:
        moments.append(time.process_time())
        return moments[-1] - moments[-2]

    rows = batch.scaled(spec.architecture.scaling).x_train
    weights = initial_weights(spec, seed, bin_weights(spec, rows))
    drawing = took()
    tensors, x = list(map(tf.constant, weights)), tf.constant(rows)
    all_kernels = kernels_of(spec, tensors)
    kernels = [all_kernels[0], all_kernels[-1]]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([*kernels, x])
        passed = run_forward(spec, tensors, x)
        loss = _loss(spec, y, passed.outputs)
        total = tf.reduce_sum(passed.outputs)
    forward = drawing + took()
    values, seconds = {}, {}
    values["signal"] = signal_propagation([layer.numpy() for layer in passed.hidden])
    seconds["signal"] = forward + took()
    values["gradient"] = gradient_propagation([g.numpy() for g in tape.gradient(loss, kernels)])
    seconds["gradient"] = forward + took()
    values["synflow"] = synflow(spec, weights)
    seconds["synflow"] = drawing + took()
    values["jacobian"] = jacobian_covariance(tape.gradient(total, x).numpy())
    seconds["jacobian"] = forward + took()
    values["weights"] = float(spec.n_weights)
    seconds["weights"] = took()
    return UntrainedScores(values, seconds)


def signal_propagation(hidden: Sequence[NDArray[np.float32]]) -> float:
    """How much of the differences between rows reaches the last hidden layer.

    The base-10 logarithm of the outputs' variance over rows, a mean over units, in the last hidden
    layer relative to the first. 0 is best: below, all rows become alike; above, they explode
    (Glorot & Bengio 2010, section 4.2; Schoenholz et al. 2017, section 3).

    Args:
        hidden: Outputs of each hidden layer, (n_rows, n_units).
    """
    if not hidden:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        first, last = (float(layer.var(axis=0).mean()) for layer in (hidden[0], hidden[-1]))
    return _log_ratio(last, first)


def gradient_propagation(gradients: Sequence[NDArray[np.float32]]) -> float:
    """How much of the loss's gradient reaches the first kernel.

    The base-10 logarithm of its root mean square in the first kernel relative to that in the last,
    the output layer's. 0 is best: below, gradients vanish on their way back; above, they explode
    (Glorot & Bengio 2010, section 4.2.2).

    Args:
        gradients: Of kernels, from the first to the last.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        first, last = (float(np.sqrt(np.square(g).mean())) for g in (gradients[0], gradients[-1]))
    return _log_ratio(first, last)


def synflow(spec: TrialSpec, weights: Weights) -> float:
    """Natural logarithm of the synaptic flow through the kernels.

    The sum over all kernels' weights of `|w| dR / d|w|`, where `R` is the sum of the outputs for an
    input of ones when every weight is replaced by its absolute value (Tanaka et al. 2020, section
    6). Activations and normalizations pass everything on, there are no biases, and what an
    embedding gives are the ones. Factors of members are left out.
    """
    if spec.in_words.convolutions:
        return _synflow_of_maps(spec, weights)
    absolute = [np.abs(kernel).astype(np.float64) for kernel in kernels_of(spec, weights)]
    kernels, output = absolute[:-1], absolute[-1]
    # Both ways through the network with vectors that are rescaled at each layer: the product over
    # many layers would overflow.
    flow, scale = np.ones(len(absolute[0])), 0.0
    arriving = []  # at each hidden layer, before the residual connection, and its scale
    for number, kernel in enumerate(kernels):
        arrived = flow @ kernel
        arriving.append((arrived, scale))
        if spec.in_words.residual and number:
            flow, scale = _rescaled(arrived + _fit(flow, len(arrived)), scale)
        else:
            flow, scale = _rescaled(arrived, scale)
    total = float((flow @ output).sum())
    logs = [np.log(total) + scale if total > 0.0 else -np.inf]
    back, back_scale = _rescaled(output.sum(axis=1), 0.0)
    for number in reversed(range(len(kernels))):
        arrived, scale = arriving[number]
        part = float(arrived @ back)
        logs.append(np.log(part) + scale + back_scale if part > 0.0 else -np.inf)
        returned = kernels[number] @ back
        if spec.in_words.residual and number:
            returned = returned + _fit(back, len(returned))
        back, back_scale = _rescaled(returned, back_scale)
    return float(np.logaddexp.reduce(logs))


def _synflow_of_maps(spec: TrialSpec, weights: Weights) -> float:
    """The same with convolutions, by differentiation; their networks are not that deep."""
    plain = replace(spec, architecture=replace(spec.in_words, normalization="none"))
    kernels = [
        tf.constant(np.abs(kernel).astype(np.float64)) for kernel in kernels_of(spec, weights)
    ]
    without_biases = [part for kernel in kernels for part in (kernel, tf.zeros((), tf.float64))]
    ones = tf.ones((1, spec.problem.n_inputs), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(kernels)
        passed = run_forward(plain, without_biases, ones, activate=tf.identity)
        total = tf.reduce_sum(passed.outputs)
    gradients = tape.gradient(total, kernels)
    flow = sum(float(tf.reduce_sum(k * g)) for k, g in zip(kernels, gradients, strict=True))
    return float(np.log(flow)) if flow > 0.0 else float("-inf")


def jacobian_covariance(gradients: NDArray[np.float32]) -> float:
    """How differently the network answers to changes of different rows; more is better.

    With the eigenvalues `e` of the correlations between rows of the Jacobian, the score is minus
    the mean of `log(e + k) + 1 / (e + k)`, `k = 1e-5` (Mellor et al. 2020, arXiv 2006.04647v1,
    section 3, where it is the sum; `jacob_cov` in Abdelfattah et al. 2021).

    Args:
        gradients: Of the summed outputs in each row's inputs, (n_rows, n_inputs).
    """
    jacobian = gradients.astype(np.float64)
    if not np.isfinite(jacobian).all():
        return float("nan")
    centered = jacobian - jacobian.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.square(centered).sum(axis=1, keepdims=True))
    unit = centered / np.maximum(norms, np.finfo(np.float64).tiny)
    n_rows, n_inputs = unit.shape
    # Both products have the same eigenvalues, but for zeros; the smaller one has them faster.
    product = unit @ unit.T if n_rows <= n_inputs else unit.T @ unit
    found = np.clip(np.linalg.eigvalsh(product), 0.0, None)
    eigenvalues = np.concatenate([found, np.zeros(n_rows - len(found))]) + JACOBIAN_FLOOR
    return float(-np.mean(np.log(eigenvalues) + 1.0 / eigenvalues))


def _loss(spec: TrialSpec, targets: Any, outputs: Any) -> Any:
    """The mean loss, without label smoothing; Keras's losses take several times as long."""
    if spec.members > 1:
        targets = tf.repeat(targets, spec.members, axis=0)
        outputs = tf.reshape(outputs, (-1, spec.problem.n_outputs))
    if spec.loss == "squared":
        return tf.reduce_mean(tf.square(outputs - targets))
    if spec.loss == "cross_entropy" and spec.problem.task == "multiclass":
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, outputs))
    if spec.loss in ("cross_entropy", "logistic"):
        losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, outputs)
        return tf.reduce_mean(tf.reduce_sum(losses, axis=1))
    return make_loss(spec.problem, spec.training)(targets, outputs)


def _log_ratio(a: float, b: float) -> float:
    """Base-10 logarithm of `a / b`; minus infinity where `a` is 0, NaN where neither says much."""
    if not (np.isfinite(a) and np.isfinite(b)):
        return float("nan")
    if a == b:
        return 0.0
    with np.errstate(divide="ignore"):
        return float(np.log10(a) - np.log10(b))


def _fit(vector: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Filled up with zeros, or cut, as a residual connection does."""
    return np.pad(vector, (0, max(0, length - len(vector))))[:length]


def _rescaled(vector: NDArray[np.float64], scale: float) -> tuple[NDArray[np.float64], float]:
    """The vector with 1 as its largest entry, and the logarithm of what it is to be times."""
    largest = float(vector.max())
    return (vector / largest, scale + float(np.log(largest))) if largest > 0.0 else (vector, scale)
