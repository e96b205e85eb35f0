"""Causes of a bad network: rules that read the curves and the examination of one trial.

A sign that also occurs in networks that work names a cause only where the network falls short of a
linear model on the inputs. Thresholds were set, and precision and recall measured, with planted
faults: see `benchmarks/diagnosis.py` and `docs/diagnosis.md`.

The file is long because it has all rules, one short function each.

Notation: a skill is a score relative to that of the largest class (accuracy) or of the mean
(coefficient of determination); 0 is worth nothing, 1 is perfect.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from nas.architectures import CustomArchitecture
from nas.direction import Direction
from nas.spec import Curves, Examination, TrialSpec
from nas.uncertainty import standard_error
from nas.wording import counted

SHORT = 0.05  # of skill below the linear model: worse than chance can explain
WORTHLESS = 0.1  # of skill: nothing was learned
FITTED = 0.9  # of skill on training rows: they are learned
LARGE_STEP = 1.5  # change of a kernel in the first epoch, relative to its norm; healthy: 0.4
WASTED_STEP = 1.0  # the same where nothing was learned
SMALL_STEP = 0.01  # healthy: 0.07
RISEN = 1.05  # loss after training, relative to that before
FEW_STEPS = 100  # of the optimizer
STILL_FALLING = 0.03  # of the loss, that the last quarter of the epochs took off
VANISHING = 1e-3  # gradient of the first kernel relative to that of the last one; healthy: 0.06
EXPLODING_LOSS = 8.0  # first loss, relative to that of a guess; healthy: 1.5
BOUNDLESS_LOSS = 1000.0  # the same for a network that learns all the same; ten residual layers: 200
MANY_UNITS = 0.5  # share of a layer's units; healthy: 0.1 before, 0.4 after training
HEAVY_PENALTY = 1.0  # penalty before training relative to the loss; healthy: 0.05
SHRUNK = 0.3  # norm of the kernels after training relative to that before; healthy: 0.9
WIDE_GAP = 0.16  # between the scores of training and validation rows
LAGGING = 0.03  # of the score, lost by moving averages; healthy: 0.015
FEW_ROWS = 100  # for training, with which labels cannot be told from noise
IMBALANCED = 0.85  # share of the largest class
CERTAIN = 2.0  # standard errors, by which a better epoch is better than the last one
FLAT = 0.03  # of a score: what the second half of the layers must gain
# Keras's names of losses that a model may come with, and nas's.
KNOWN_LOSSES = {
    "sparse_categorical_crossentropy": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "cross_entropy",
    "mean_squared_error": "squared",
}
TITLES = {
    "learning_rate_too_high": "learning rate too high",
    "learning_rate_too_low": "learning rate too low",
    "too_few_epochs": "too few epochs",
    "vanishing_gradients": "vanishing gradients",
    "exploding_gradients": "exploding gradients",
    "dead_units": "dead units",
    "saturation": "saturated units",
    "moving_averages": "moving averages that are off",
    "too_narrow": "a layer is too narrow",
    "over_regularized": "too much regularization",
    "over_fitting": "over-fitting",
    "trained_too_long": "trained too long",
    "label_noise": "labels without relation to the inputs",
    "imbalanced": "an imbalanced sample",
    "idle_layers": "layers that add nothing",
}


@dataclass(frozen=True)
class Earlier:
    """An epoch after which a network was better than in the end.

    Attributes:
        epoch: Its number, counted from 1.
        gain: How much better the validation score was, a mean over the folds.
        stderr: Standard error of `gain`.
    """

    epoch: int
    gain: float
    stderr: float


@dataclass(frozen=True)
class _Signs:
    """The measures of a trial, ready for the rules."""

    spec: TrialSpec
    exam: Examination
    train: float
    val: float
    linear: float
    loss: tuple[float, ...]
    earlier: "Earlier | None"

    @property
    def diverged(self) -> bool:
        return not math.isfinite(self.exam.loss_after) or not all(map(math.isfinite, self.loss))

    @property
    def learned_little(self) -> bool:
        """Whether not even the training rows are fitted as a linear model would."""
        return self.diverged or self.train < max(self.linear - SHORT, WORTHLESS)

    @property
    def falls_short(self) -> bool:
        """Whether it is worse than a linear model."""
        return self.learned_little or self.val < self.linear - SHORT

    @property
    def lags(self) -> bool:
        """Whether moving averages of batch normalization make it predict worse than it could."""
        return self.exam.val_value - self.exam.moving_value > LAGGING

    @property
    def penalty_ratio(self) -> float:
        """Penalty before training, relative to the loss."""
        return self.exam.penalty_before / max(self.exam.loss_before, 1e-9)

    @property
    def guess(self) -> float:
        """Loss of a network that knows nothing; of an unknown loss, what it was at first."""
        if isinstance(self.spec.architecture, CustomArchitecture) and self.spec.architecture.loss:
            known = KNOWN_LOSSES.get(self.spec.architecture.loss)
            if known != self.spec.loss:
                return max(self.exam.loss_before, 1e-9)
        n_classes = max(self.spec.problem.n_outputs, 2)
        if self.spec.loss == "cross_entropy":
            return math.log(n_classes)
        if self.spec.loss == "logistic":  # each output is sure to one in so many
            others = (n_classes - 1) * math.log(n_classes / (n_classes - 1))
            return math.log(n_classes) + others
        # Of a standardized target with a normal distribution.
        if self.spec.loss == "quantile":
            deviations = ndtri(self.spec.problem.quantiles)
            return float(np.mean(np.exp(-0.5 * deviations**2)) / math.sqrt(2.0 * math.pi))
        return {"squared": 1.0, "absolute": math.sqrt(2.0 / math.pi), "huber": 0.4}[self.spec.loss]


def find_causes(
    spec: TrialSpec,
    curves: Curves,
    examination: Examination,
    direction: Direction = Direction.MAXIMIZE,
    test_to_train: float | None = None,
) -> list[tuple[str, float, str]]:
    """Names of causes with the strength of their evidence and a sentence, the strongest first.

    Args:
        spec: The network.
        curves: Its losses and scores by epoch.
        examination: What it looks like inside.
        direction: Whether more or less of the validation score is better.
        test_to_train: As for `better_epoch`.
    """
    signs = _signs(spec, curves, examination, better_epoch(curves, direction, test_to_train))
    rules = (
        _exploding,
        _vanishing,
        _dead_from_the_start,
        _saturated_from_the_start,
        _learning_rate_too_high,
        _narrow,
        _over_regularized,
        _imbalanced,
        _label_noise,
        _undertrained,
        _moving_averages,
        _dead,
        _saturated,
        _over_fitting,
        _trained_too_long,
        _idle_layers,
    )
    found: dict[str, tuple[float, str]] = {}
    for rule in rules:
        cause = rule(signs, frozenset(found))
        if cause is not None:
            name, strength, evidence = cause
            found[name] = (min(max(strength, 0.0), 1.0), evidence)
    ranked = sorted(found.items(), key=lambda item: -item[1][0])
    return [(name, strength, evidence) for name, (strength, evidence) in ranked]


def better_epoch(
    curves: Curves, direction: Direction, test_to_train: float | None = None
) -> Earlier | None:
    """The epoch after which a network was better than in the end, by more than noise.

    The best of many epochs is better by chance. So for each fold the epoch is chosen by the other
    folds, and the gain on that fold counts.

    Args:
        curves: Scores by epoch and fold.
        direction: Whether more or less of them is better.
        test_to_train: Validation rows for each training row; None is that of one cross-validation.

    Returns:
        None with one fold, or where the last epoch is about as good as any.
    """
    values = np.array([row for row in curves.val_value if np.isfinite(row).all()])
    if values.ndim < 2 or min(values.shape) < 2 or len(values) < len(curves.val_value):
        return None
    scores = direction.sign * values
    n_folds = scores.shape[1]
    others = scores.sum(axis=1, keepdims=True) - scores
    gains = scores[others.argmax(axis=0), np.arange(n_folds)] - scores[-1]
    ratio = 1.0 / (n_folds - 1) if test_to_train is None else test_to_train
    stderr = standard_error(tuple(gains), ratio)
    epoch = int(scores.mean(axis=1).argmax()) + 1
    gain = float(gains.mean())
    if stderr is None or epoch == len(scores) or gain <= CERTAIN * stderr:
        return None
    return Earlier(epoch, gain, stderr)


def _signs(spec: TrialSpec, curves: Curves, exam: Examination, earlier: Earlier | None) -> _Signs:
    def skill(value: float) -> float:
        if not math.isfinite(value):
            return 0.0
        return max((value - exam.true_share) / max(1.0 - exam.true_share, 1e-9), -1.0)

    loss = tuple(
        statistics.fmean(known) if (known := [v for v in row if not math.isnan(v)]) else math.nan
        for row in curves.train_loss
    )
    linear = skill(exam.probe[0]) if exam.probe else 0.0
    return _Signs(spec, exam, skill(exam.train_value), skill(exam.val_value), linear, loss, earlier)


# The rules: signs and the causes found so far, to a cause with strength and evidence

Found = tuple[str, float, str] | None


def _exploding(s: _Signs, _found: frozenset[str]) -> Found:
    first = s.exam.loss_before / s.guess
    least = EXPLODING_LOSS if s.falls_short else BOUNDLESS_LOSS
    if len(s.exam.gradient_before) < 3 or (math.isfinite(first) and first < least):
        return None
    return (
        "exploding_gradients",
        0.97,
        f"before training the loss is {s.exam.loss_before:.3g}, where a guess has {s.guess:.2g}: "
        "signals grow from layer to layer",
    )


def _vanishing(s: _Signs, _found: frozenset[str]) -> Found:
    gradients = s.exam.gradient_before
    if len(gradients) < 4 or not s.falls_short:
        return None
    ratio = gradients[0] / max(gradients[-1], 1e-30)
    if ratio > VANISHING:
        return None
    return (
        "vanishing_gradients",
        0.97,
        f"before training the first layer's gradient is {ratio:.1g} of the last one's",
    )


def _dead_from_the_start(s: _Signs, _found: frozenset[str]) -> Found:
    share, layer = _largest(s.exam.dead_before)
    if share < MANY_UNITS:
        return None
    return (
        "dead_units",
        0.99,
        f"{share:.0%} of the units of layer {layer} are zero on nearly all rows, and were before "
        "training",
    )


def _saturated_from_the_start(s: _Signs, _found: frozenset[str]) -> Found:
    share, layer = _largest(s.exam.saturated_before)
    if share < MANY_UNITS:
        return None
    return (
        "saturation",
        0.96,
        f"{share:.0%} of the units of layer {layer} are at a bound of "
        f"{s.spec.hidden[layer - 1].activation} on nearly all rows, and were before training",
    )


def _learning_rate_too_high(s: _Signs, found: frozenset[str]) -> Found:
    # All of these make steps large, or losses high, by themselves.
    if found & {"exploding_gradients", "vanishing_gradients", "dead_units", "saturation"}:
        return None
    if s.diverged:
        return "learning_rate_too_high", 1.0, "the loss is no longer a finite number"
    first = statistics.median(s.exam.first_step)
    risen = s.exam.loss_after > RISEN * max(s.exam.loss_before, s.guess)
    # A heavy penalty takes large steps, too.
    wasted = s.train < WORTHLESS and s.penalty_ratio < HEAVY_PENALTY and first > WASTED_STEP
    if first < LARGE_STEP and not (wasted or (risen and s.learned_little and first > SMALL_STEP)):
        return None
    text = f"the first epoch changed the kernels by {first:.2g} times their norm"
    if risen:
        text += f", and the loss rose from {s.exam.loss_before:.3g} to {s.exam.loss_after:.3g}"
    elif s.exam.predicted_share > max(0.9, s.exam.true_share + 0.2):
        text += f"; one class is predicted for {s.exam.predicted_share:.0%} of the rows"
    return "learning_rate_too_high", 0.98, text


def _narrow(s: _Signs, _found: frozenset[str]) -> Found:
    narrowest, n_outputs = _narrowest(s.spec), s.spec.problem.n_outputs
    if narrowest is None or narrowest[0] >= n_outputs - 1 or s.train > FITTED:
        return None
    if s.spec.problem.quantiles:  # which go together
        return None
    size, layer = narrowest
    what = "targets" if s.spec.problem.task == "regression" else "classes"
    text, where = f"layer {layer} hands on {counted(size, 'number')} for {n_outputs} {what}", ""
    # Rank and probe are of the layer itself.
    if size < math.prod(s.spec.hidden[layer - 1].output_shape):
        text += " after pooling"
        where = ", before the pooling"
    else:
        text += f" (effective rank {s.exam.rank[layer - 1]:.1f})"
    return (
        "too_narrow",
        0.85,
        f"{text}; a linear model scores {s.exam.probe[0]:.3f} on the inputs and "
        f"{s.exam.probe[layer]:.3f} behind it{where}",
    )


def _narrowest(spec: TrialSpec) -> tuple[int, int] | None:
    """The fewest numbers that a hidden layer hands on, pooled where it is, and which layer."""
    number, sizes = 0, []
    for layer in spec.layers[:-1]:
        number += layer.is_hidden
        if number:
            # A feature map has a number at each place.
            sizes.append((math.prod(layer.output_shape), number))
    return min(sizes, default=None)


def _over_regularized(s: _Signs, found: frozenset[str]) -> Found:
    # Large weights have a large penalty, too.
    if not (s.falls_short or s.lags) or found & {"saturation", "exploding_gradients"}:
        return None
    norm = statistics.median(s.exam.norm_ratio)
    penalized = s.spec.training.weight_decay > 0 or s.exam.penalty_before > 0
    heavy = s.penalty_ratio >= HEAVY_PENALTY
    shrunk = penalized and norm < SHRUNK
    if not heavy and (not shrunk or "learning_rate_too_high" in found):
        return None
    signs = [f"before training the penalty is {s.penalty_ratio:.2g} times the loss"] * heavy
    signs += [f"training has shrunk the kernels to {norm:.2g} of their norm"] * shrunk
    return "over_regularized", 0.84, ", and ".join(signs)


def _imbalanced(s: _Signs, _found: frozenset[str]) -> Found:
    if s.exam.true_share < IMBALANCED:
        return None
    return "imbalanced", 0.94, f"{s.exam.true_share:.0%} of the rows are of one class"


def _label_noise(s: _Signs, found: frozenset[str]) -> Found:
    if found or s.exam.n_train < FEW_ROWS or max(s.val, s.linear) > WORTHLESS:
        return None
    return (
        "label_noise",
        0.93,
        f"neither the network (skill {s.val:.2f}) nor a linear model ({s.linear:.2f}) has any on "
        "new rows",
    )


def _undertrained(s: _Signs, found: frozenset[str]) -> Found:
    if s.exam.n_steps < FEW_STEPS and s.train < FITTED and not s.diverged:
        return "too_few_epochs", 0.9, f"training ended after {counted(s.exam.n_steps, 'step')}"
    if found or not s.learned_little:
        return None
    step = statistics.median(s.exam.first_step)
    if step < SMALL_STEP:
        return (
            "learning_rate_too_low",
            0.9,
            f"the first epoch changed the kernels by only {step:.2g} of their norm",
        )
    epochs = len(s.loss)
    start = s.loss[-1 - max(1, epochs // 4)] if epochs > 1 else s.exam.loss_before
    falling = (start - s.loss[-1]) / max(abs(start), 1e-9)
    if falling < STILL_FALLING:
        return None
    when = f"the last quarter of {epochs} epochs" if epochs > 1 else "its only epoch"
    return "too_few_epochs", 0.75, f"the loss was still falling, by {falling:.0%} in {when}"


def _moving_averages(s: _Signs, found: frozenset[str]) -> Found:
    # All of these change the weights so much, or so few times, that no averages could follow.
    if found & {"learning_rate_too_high", "exploding_gradients", "over_regularized"}:
        return None
    if not s.lags:
        return None
    return (
        "moving_averages",
        0.88,
        f"with the statistics of training rows it scores {s.exam.val_value:.3f} on new ones, with "
        f"its moving averages, by which it predicts, {s.exam.moving_value:.3f}",
    )


def _dead(s: _Signs, found: frozenset[str]) -> Found:
    share, layer = _largest(s.exam.dead)
    if found or not s.falls_short or share < MANY_UNITS:
        return None
    return (
        "dead_units",
        0.8,
        f"{share:.0%} of the units of layer {layer} have become zero on nearly all rows",
    )


def _saturated(s: _Signs, found: frozenset[str]) -> Found:
    share, layer = _largest(s.exam.saturated)
    if found or not s.falls_short or share < MANY_UNITS:
        return None
    return (
        "saturation",
        0.8,
        f"{share:.0%} of the units of layer {layer} have come to a bound of "
        f"{s.spec.hidden[layer - 1].activation} on nearly all rows",
    )


def _over_fitting(s: _Signs, found: frozenset[str]) -> Found:
    gap = s.exam.train_value - s.exam.val_value
    # With so few epochs not even the training rows are fitted.
    if not gap > WIDE_GAP or found & {"label_noise", "too_few_epochs"}:
        return None
    text = f"the score is {s.exam.train_value:.3f} on training rows"
    if s.exam.n_train < FEW_ROWS:
        text += f", of which there {'is' if s.exam.n_train == 1 else 'are'} {s.exam.n_train},"
    return (
        "over_fitting",
        0.7 + 0.1 * min(gap, 1.0),
        f"{text} and {s.exam.val_value:.3f} on new ones",
    )


def _trained_too_long(s: _Signs, found: frozenset[str]) -> Found:
    # A rate that is too high, or a moving average that lags, makes scores go up and down.
    if s.earlier is None or found & {"learning_rate_too_high", "moving_averages"}:
        return None
    return (
        "trained_too_long",
        0.65,
        f"after epoch {s.earlier.epoch} of {len(s.loss)} the validation score was better than in "
        f"the end, by {s.earlier.gain:.2g} ± {s.earlier.stderr:.1g}",
    )


def _idle_layers(s: _Signs, found: frozenset[str]) -> Found:
    depth, probe = len(s.spec.hidden), s.exam.probe
    if depth < 4 or found - {"over_fitting"}:
        return None
    half = depth // 2
    # The network itself is better than the linear probes only if it uses what lies behind.
    if not probe[half] > max(*probe[half:], s.exam.val_value) - FLAT:
        return None
    return (
        "idle_layers",
        0.81,
        f"a linear model on layer {half} scores {probe[half]:.3f}, the network "
        f"{s.exam.val_value:.3f}: layers {half + 1} to {depth} add nothing",
    )


def _largest(shares: Sequence[float]) -> tuple[float, int]:
    """The largest share and its layer, counted from 1."""
    known = [(share, -k) for k, share in enumerate(shares, start=1) if not math.isnan(share)]
    share, layer = max(known, default=(0.0, -1))
    return share, -layer
