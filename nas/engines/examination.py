"""What a network looks like from inside, before and after its training: see `nas.spec.Examination`.

Alike for all engines: made from weights in the order of `build_model(spec).get_weights()`.

Notation: a layer's output is (n_rows, n_units), or (n_rows, height, width, n_filters). Batch
normalization uses the statistics of the examined training rows, for validation rows too; but for
`moving_value`, which is what these conceal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.families.inside import Inside, plain_labels
from nas.families.inside_dense import InsideDense
from nas.spec import Examination, TrialSpec

N_ROWS = 500  # of the training and of the validation part, at most
N_IMAGES = 250  # instead of these, where feature maps take much memory
N_UNITS = 128  # of a hidden layer, at most, that rank and probe look at
DEAD = 0.99  # share of rows on which a dead unit is zero
SATURATED = 0.9  # share of rows on which a saturated unit is at a bound
BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
MARGIN = 0.01  # of the range between the bounds, that counts as at a bound
RIDGE = 1e-2  # of the probe, relative to the mean variance of its inputs

Weights = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class Snapshots:
    """One fold's weights at four moments.

    Attributes:
        initial: Before training.
        first: After the first epoch.
        previous: Before the last epoch.
        final: After the last epoch.
    """

    initial: Weights
    first: Weights
    previous: Weights
    final: Weights


def examine(
    spec: TrialSpec,
    fold: FoldData,
    epochs: int,
    snapshots: Snapshots,
    inside: Inside | None = None,
) -> Examination | None:
    """Examines a fold's network.

    None where the fold has no rows to train or to validate on, or a custom network has no layer
    that can be examined.

    Args:
        spec: The network.
        fold: The fold.
        epochs: Epochs that it has run.
        snapshots: Its weights.
        inside: How to look inside; None for a dense network in the words of a space.
    """
    inside = InsideDense(spec) if inside is None else inside
    if not len(fold.y_train) or not len(fold.y_val) or not inside.kernels(snapshots.initial):
        return None
    most = N_IMAGES if spec.has_maps else N_ROWS
    rows = _spread(len(fold.y_train), most)
    x, y = fold.x_train[rows], fold.y_train[rows]
    val_rows = _spread(len(fold.y_val), most)
    x_val, y_val = fold.x_val[val_rows], fold.y_val[val_rows]
    targets, val_targets = (plain_labels(spec, fold, values) for values in (y, y_val))
    labels = inside.labels(fold, y)

    with np.errstate(all="ignore"):  # a diverged network's numbers
        examination = _examination(spec, inside, snapshots, x, x_val, labels, targets, val_targets)
    n_train, training = len(fold.y_train), spec.training
    steps = min(epochs * training.steps_per_epoch(n_train), training.n_steps(n_train))
    return replace(examination, n_train=n_train, n_steps=steps)


def _examination(
    spec: TrialSpec,
    inside: Inside,
    snapshots: Snapshots,
    x: NDArray[np.float32],
    x_val: NDArray[np.float32],
    labels: NDArray[Any],
    targets: NDArray[np.float32],
    val_targets: NDArray[np.float32],
) -> Examination:
    n = len(x)
    before = inside.look(snapshots.initial, x, labels)
    both = np.concatenate([x, x_val])
    after = inside.look(snapshots.final, both, labels)
    layers = [both, *after.features]
    kernels = [inside.kernels(weights) for weights in vars(snapshots).values()]
    initial, first, previous, final = kernels
    looked_at = [
        slice(None) if not number else _spread(layer.shape[1], N_UNITS)
        for number, layer in enumerate(layers)
    ]
    probes = zip(layers, looked_at, strict=True)
    val_value = _value(spec, after.outputs[n:], val_targets)
    moving_value = val_value
    if spec.architecture.batch_normalized and spec.hidden:
        moving_value = _value(spec, inside.predict(snapshots.final, x_val), val_targets)
    names = inside.activations
    predicted_share, true_share = _shares(spec, after.outputs[n:], val_targets)
    return Examination(
        n_train=0,
        n_steps=0,
        gradient_before=before.gradients,
        gradient_after=after.gradients,
        first_step=_changes(initial, first),
        last_step=_changes(previous, final),
        norm_ratio=tuple(_norm(b) / _norm(a) for a, b in zip(initial, final, strict=True)),
        dead_before=tuple(map(_dead, before.activations)),
        dead=tuple(_dead(a[:n]) for a in after.activations),
        saturated_before=tuple(map(_saturated, names, before.activations)),
        saturated=tuple(
            _saturated(name, a[:n]) for name, a in zip(names, after.activations, strict=True)
        ),
        rank=tuple(effective_rank(layer[:n]) for layer in after.features),
        probe=tuple(_probe(spec, a[:n, k], targets, a[n:, k], val_targets) for a, k in probes),
        loss_before=before.loss,
        loss_after=after.loss,
        penalty_before=inside.penalty(initial),
        penalty_after=inside.penalty(final),
        train_value=_value(spec, after.outputs[:n], targets),
        val_value=val_value,
        predicted_share=predicted_share,
        true_share=true_share,
        moving_value=moving_value,
    )


def effective_rank(outputs: NDArray[Any]) -> float:
    """The exponential of the entropy of the normalized singular values of centred outputs.

    Roy & Vetterli 2007, equation 3; 0 where all rows are equal. At most `N_UNITS` units, spread
    evenly, are looked at.
    """
    units = outputs[:, _spread(outputs.shape[1], N_UNITS)].astype(np.float64)
    if not np.isfinite(units).all():
        return float("nan")
    centered = units - units.mean(0)
    singular = np.sqrt(np.clip(np.linalg.eigvalsh(centered.T @ centered), 0.0, None))
    # Constant units leave rounding errors of their size, not of the differences'.
    floor = 1e-6 * np.sqrt(np.square(units).sum())
    singular = singular[singular > floor]
    if not len(singular):
        return 0.0
    shares = singular / singular.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _spread(total: int, most: int) -> NDArray[np.int64]:
    """At most so many indices, evenly over all."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).astype(np.int64))


def _changes(start: Weights, end: Weights) -> tuple[float, ...]:
    return tuple(_norm(b - a) / _norm(a) for a, b in zip(start, end, strict=True))


def _norm(kernel: NDArray[np.float32]) -> float:
    return max(float(np.linalg.norm(kernel)), 1e-30)


def _dead(activations: NDArray[np.float32]) -> float:
    if not np.isfinite(activations).all():
        return float("nan")
    units = activations.reshape(-1, activations.shape[-1])  # a filter is one unit at all places
    return float(((np.abs(units) < 1e-9).mean(0) > DEAD).mean())


def _saturated(activation: str, activations: NDArray[np.float32]) -> float:
    bounds = BOUNDS.get(activation)
    if bounds is None:
        return 0.0
    if not np.isfinite(activations).all():
        return float("nan")
    low, high = bounds
    margin = MARGIN * (high - low)
    units = activations.reshape(-1, activations.shape[-1])
    at_bound = (units < low + margin) | (units > high - margin)
    return float((at_bound.mean(0) > SATURATED).mean())


def _probe(
    spec: TrialSpec,
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    val_inputs: NDArray[np.float32],
    val_targets: NDArray[np.float32],
) -> float:
    """Validation score of a ridge regression in closed form (Alain & Bengio 2017, section 3)."""
    if not np.isfinite(inputs).all():
        return float("nan")
    mean = inputs.mean(0)
    x, offset = inputs - mean, targets.mean(0)
    scale = np.float32(max(float(np.square(x).mean()), 1e-12))
    if x.shape[1] <= len(x):
        gram = x.T @ x + RIDGE * len(x) * scale * np.eye(x.shape[1], dtype=np.float32)
        coefficients = np.linalg.solve(gram, x.T @ (targets - offset))
    else:
        gram = x @ x.T + RIDGE * len(x) * scale * np.eye(len(x), dtype=np.float32)
        coefficients = x.T @ np.linalg.solve(gram, targets - offset)
    prediction = (val_inputs - mean) @ coefficients + offset
    if spec.problem.task == "binary":
        prediction = prediction - 0.5
    return _value(spec, prediction, val_targets)


def _value(spec: TrialSpec, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Accuracy of logits, or coefficient of determination."""
    if not np.isfinite(outputs).all():
        return float("nan")
    if spec.problem.task == "multiclass":
        return float(np.mean(outputs.argmax(1) == targets.argmax(1)))
    if spec.problem.task == "binary":
        return float(np.mean((outputs > 0) == (targets > 0.5)))
    residuals = _middle(spec, outputs) - targets
    if spec.problem.quantiles:  # of which the middle need not be the mean of the target
        residuals = residuals - residuals.mean(0)
    residual = float(np.square(residuals).sum())
    return 1.0 - residual / max(float(np.square(targets - targets.mean(0)).sum()), 1e-30)


def _middle(spec: TrialSpec, outputs: NDArray[Any]) -> NDArray[Any]:
    """Of quantiles the middle one, or the mean of the two in the middle."""
    n = outputs.shape[1]
    if not spec.problem.quantiles or n == 1:
        return outputs
    middle: NDArray[Any] = outputs[:, (n - 1) // 2 : n // 2 + 1].mean(1, keepdims=True)
    return middle


def _shares(spec: TrialSpec, outputs: NDArray[Any], targets: NDArray[Any]) -> tuple[float, float]:
    """Share of the class that is predicted most, and of the largest one."""
    if not np.isfinite(outputs).all():
        return float("nan"), float(targets.mean(0).max())
    if spec.problem.task == "regression":
        deviation = float(_middle(spec, outputs).std()) / max(float(targets.std()), 1e-30)
        return max(0.0, 1.0 - deviation), 0.0
    if spec.problem.task == "binary":
        predicted, true = float((outputs > 0).mean()), float((targets > 0.5).mean())
        return max(predicted, 1.0 - predicted), max(true, 1.0 - true)
    counts = np.bincount(outputs.argmax(1), minlength=spec.problem.n_outputs)
    return float(counts.max() / counts.sum()), float(targets.mean(0).max())
