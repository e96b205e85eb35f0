"""Whether a difference is real: paired over folds, corrected for the training rows they share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.stats import t as student

from nas.analysis.levels import group_trials
from nas.direction import Direction
from nas.study.record import StudyRecord, TrialRecord
from nas.uncertainty import rows_ratio, standard_error

DECIDED = 0.9  # probability from which a verdict is said without "perhaps"
RELATIVE_METRICS = ("log_loss", "rmse", "mae", "pinball")  # without a scale of their own


@dataclass(frozen=True)
class Comparison:
    """The best networks of two values of a parameter, compared on the same folds.

    Attributes:
        parameter: Its name.
        a: One value, or bin of values.
        b: Another one, whose best network scored better.
        trial_a: Best complete trial of `a`.
        trial_b: Best complete trial of `b`.
        difference: Mean over folds of a's score less b's, in the metric's unit.
        stderr: Its standard error, corrected for the overlap of the training rows.
        p_value: Of the corrected resampled t-test, two-sided.
        p_adjusted: The same after Holm's correction over all pairs of the parameter.
        p_a_better: Posterior probability that a is better by more than the region of practical
            equivalence.
        p_equal: That the difference lies in the region.
        p_b_better: That b is better by more than the region.
    """

    parameter: str
    a: str
    b: str
    trial_a: int
    trial_b: int
    difference: float
    stderr: float
    p_value: float
    p_adjusted: float
    p_a_better: float
    p_equal: float
    p_b_better: float


def compare_levels(
    record: StudyRecord, parameter: str, rope: float = 0.01
) -> tuple[Comparison, ...]:
    """Compares the best network of each value of a parameter with that of each other one.

    Args:
        record: A study.
        parameter: One of its parameters.
        rope: Half the width of the region of practical equivalence; see `rope_width`.

    Returns:
        All pairs, those with the best value first. None with a single split, which says nothing
        of the spread.

    Raises:
        NasError: When no trial has the parameter.
    """
    share = rows_ratio(record.settings.split)
    width = rope_width(record, rope)
    best: list[tuple[str, TrialRecord]] = []
    for group in group_trials(record, parameter):
        trial = group.best(record.direction)
        if (
            trial is not None
            and len(trial.fold_values) > 1
            and np.isfinite(trial.fold_values).all()
        ):
            best.append((group.label, trial))
    sign = Direction(record.direction).sign
    best.sort(key=lambda pair: -sign * (pair[1].value or 0.0))
    comparisons = []
    for (b, trial_b), (a, trial_a) in combinations(best, 2):
        found = correlated_t_test(trial_a.fold_values, trial_b.fold_values, share, width)
        higher, lower = found.pop("p_higher"), found.pop("p_lower")
        a_better, b_better = (higher, lower) if sign > 0 else (lower, higher)
        comparisons.append(
            Comparison(
                parameter=parameter,
                a=a,
                b=b,
                trial_a=trial_a.number,
                trial_b=trial_b.number,
                p_adjusted=found["p_value"],
                p_a_better=a_better,
                p_b_better=b_better,
                **found,
            )
        )
    adjusted = holm([comparison.p_value for comparison in comparisons])
    return tuple(
        replace(comparison, p_adjusted=p)
        for comparison, p in zip(comparisons, adjusted, strict=True)
    )


def describe(comparison: Comparison) -> str:
    """A comparison in words, such as `4 against 2: −0.0040 ± 0.0030, practically equal (91 %)`."""
    verdicts = {
        f"{comparison.a} better": comparison.p_a_better,
        "practically equal": comparison.p_equal,
        f"{comparison.b} better": comparison.p_b_better,
    }
    verdict, probability = max(verdicts.items(), key=lambda item: item[1])
    if round(probability, 2) < DECIDED:
        verdict = f"perhaps {verdict}" if probability >= 0.5 else f"open, {verdict} at most"
    form = ".4f" if abs(comparison.difference) < 100 else ",.2f"
    difference = f"{comparison.difference:{form}}".replace("-", "−")
    return (
        f"{comparison.a} against {comparison.b}: {difference} ± {comparison.stderr:{form}}, "
        f"{verdict} ({_percent(probability)})"
    )


def _percent(probability: float) -> str:
    if probability > 0.995:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


def rope_width(record: StudyRecord, rope: float) -> float:
    """Half the width of the region of practical equivalence, in the metric's unit.

    Accuracy, balanced accuracy, F1, AUC and R² end at 1: `rope` is taken as it is. Log loss, RMSE
    and MAE have no such end: there it is a share of the best trial's score.
    """
    if record.metric in RELATIVE_METRICS or record.settings.own_metric:
        return rope * abs(record.best().value or 0.0)
    return rope


def correlated_t_test(
    a: Sequence[float], b: Sequence[float], test_to_train: float, rope: float
) -> dict[str, float]:
    """Compares two sets of scores on the same folds.

    The corrected resampled t-test (Nadeau & Bengio 2003, Machine Learning 52; with all folds of
    repeated cross-validation: Bouckaert & Frank 2004, PAKDD) and the Bayesian correlated t-test
    (Corani & Benavoli 2015, Machine Learning 100; Benavoli et al. 2017, JMLR 18), whose
    correlation n_test / (n_train + n_test) leads to the same standard error.

    Args:
        a: Score of each fold.
        b: The other's score of each fold.
        test_to_train: Validation rows for each training row.
        rope: Half the width of the region of practical equivalence.

    Returns:
        `difference` (a less b), `stderr`, `p_value` (two-sided), and the posterior probabilities
        `p_higher`, `p_equal` and `p_lower` of the difference.
    """
    differences = np.asarray(a) - np.asarray(b)
    n = len(differences)
    mean = float(differences.mean())
    stderr = standard_error(differences, test_to_train) or 0.0
    if stderr < 1e-12:  # the same difference on every fold, up to rounding
        equal = abs(mean) <= rope
        return {
            "difference": mean,
            "stderr": 0.0,
            "p_value": 1.0 if abs(mean) < 1e-12 else 0.0,
            "p_higher": float(mean > rope),
            "p_equal": float(equal),
            "p_lower": float(mean < -rope),
        }
    posterior = student(n - 1, loc=mean, scale=stderr)
    higher, lower = float(posterior.sf(rope)), float(posterior.cdf(-rope))
    return {
        "difference": mean,
        "stderr": stderr,
        "p_value": float(2 * student.sf(abs(mean) / stderr, n - 1)),
        "p_higher": higher,
        "p_equal": max(0.0, 1.0 - higher - lower),
        "p_lower": lower,
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979, Scandinavian Journal of Statistics 6)."""
    order = np.argsort(p_values, kind="stable")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
