"""How sure a score is: the standard error over folds, and the interval of a test score."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.metrics import Array, Metric
from nas.options import SplitOptions
from nas.seeds import derive_seed

LEVEL = 0.95
BY_CLASS = ("balanced_accuracy", "f1", "auc")  # which weigh a rare class like the others


def rows_ratio(split: SplitOptions) -> float:
    """Validation rows of a fold for each of its training rows, from the settings of a study."""
    if split.folds == 1:
        return split.val_size / (1 - split.val_size)
    return 1.0 / (split.folds - 1)


def standard_error(fold_values: Sequence[float], test_to_train: float) -> float | None:
    """Standard error of a mean over folds, corrected for the training rows that folds share.

    The corrected variance of Nadeau & Bengio (2003, Machine Learning 52, section 3), for all folds
    of a repeated cross-validation as in Bouckaert & Frank (2004, PAKDD): the variance over folds
    times `1 / k + test_to_train`. With `1 / k` alone it would vanish with the number of repeats,
    although no row is new.

    Args:
        fold_values: Score of each fold of each repeat.
        test_to_train: Validation rows for each training row; see `rows_ratio`.

    Returns:
        None with one fold, which says nothing of the spread.
    """
    n = len(fold_values)
    if n < 2:
        return None
    return math.sqrt((1 / n + test_to_train) * float(np.var(fold_values, ddof=1)))


def score_interval(
    metric: Metric,
    y: Array,
    prediction: Array,
    groups: Array | None = None,
    n_resamples: int = 1000,
) -> tuple[float, float] | None:
    """95 % interval of a score on test rows; its width is never 0.

    Accuracy over independent rows has the score interval of Wilson (1927, JASA 22; recommended by
    Brown, Cai & DasGupta 2001, Statistical Science 16). Everything else has a percentile bootstrap
    (Efron 1979) over rows, or over whole groups where there are groups, whose rows are alike
    (Field & Welsh 2007, JRSS B 69). Where all resamples have the same score, as at 100 %, it is
    widened by what `n` rows or groups without an exception leave possible; see `_widened`.

    Args:
        metric: The score.
        y: Target, shape (n,) or (n, n_targets).
        prediction: As `metric.score` takes it.
        groups: Group of each row, shape (n,); None where rows are independent.
        n_resamples: Draws of the bootstrap.

    Returns:
        Its ends; None where the score is undefined on every resample, and for a score that nothing
        moves: an error that is the same on all rows of a constant target, or a function of the
        user's that is the same on all resamples.
    """
    from scipy.stats import binomtest

    value = metric.score(y, prediction)
    if metric.name == "accuracy" and groups is None:
        share = binomtest(round(value * len(y)), len(y)).proportion_ci(LEVEL, "wilson")
        return float(share.low), float(share.high)
    draw = _row_draws(len(y)) if groups is None else _group_draws(groups)
    generator = np.random.default_rng(derive_seed("test interval"))
    n_classes = len(np.unique(y)) if metric.name == "auc" else 0
    scores = []
    for _ in range(n_resamples):
        rows = draw(generator)
        if metric.name == "auc" and len(np.unique(y[rows])) < n_classes:
            continue  # undefined without every class
        try:
            scores.append(metric.score(y[rows], prediction[rows]))
        except ValueError:  # a function of the user's may be undefined on some rows, too
            if not metric.is_own:
                raise
    if not scores:
        return None
    tail = 50.0 * (1.0 - LEVEL)
    low, high = (float(end) for end in np.percentile(scores, [tail, 100.0 - tail]))
    if high - low > 1e-12 * max(1.0, abs(value)):
        return low, high
    if metric.is_own:  # whose bounds are not known
        return None
    low, high = _widened(metric, y, prediction, groups)
    return (low, high) if high > low else None


def _row_draws(n_rows: int) -> Callable[[np.random.Generator], NDArray[np.int64]]:
    return lambda generator: generator.integers(0, n_rows, n_rows)


def _group_draws(groups: Array) -> Callable[[np.random.Generator], NDArray[np.int64]]:
    """All rows of as many groups as there are, drawn with replacement."""
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)

    def draw(generator: np.random.Generator) -> NDArray[np.int64]:
        chosen = generator.integers(0, len(sizes), len(sizes))
        lengths = sizes[chosen]
        # From where a group begins among the rows drawn to where it begins in `order`.
        shift = starts[chosen] - np.concatenate([[0], np.cumsum(lengths)[:-1]])
        return np.asarray(order[np.arange(lengths.sum()) + np.repeat(shift, lengths)])

    return draw


def _widened(
    metric: Metric, y: Array, prediction: Array, groups: Array | None
) -> tuple[float, float]:
    """The interval of a score that is the same on every resample.

    When none of `n` rows is an exception, up to a share `1 - 0.025^(1 / n)` of all rows may be
    (Clopper & Pearson 1934, Biometrika 26). The interval reaches as far as the score moves if that
    share is wrong; for log loss, R² and errors, if it is predicted no better than by a guess among
    the classes or the mean of the target. `n` counts groups where there are groups, and the rarest
    class alone where the score weighs all classes alike.
    """
    from scipy.stats import binomtest

    units = np.arange(len(y)) if groups is None else groups
    counted = [units[y == c] for c in np.unique(y)] if metric.name in BY_CLASS else [units]
    n = min(len(np.unique(part)) for part in counted)
    share = float(binomtest(0, n).proportion_ci(LEVEL, "exact").high)
    value = metric.score(y, prediction)
    match metric.name:
        case "rmse":
            return value, math.sqrt(value**2 + share * float(np.var(y, axis=0).mean()))
        case "mae" | "pinball":
            return value, value + share * float(np.mean(np.abs(y - y.mean(axis=0))))
        case "log_loss":
            n_classes = prediction.shape[1] if prediction.ndim == 2 else 2
            return value, value + share * math.log(n_classes)
        case "r2":
            return value - share, min(1.0, value + share)
    return max(0.0, value - share), min(1.0, value + share)
