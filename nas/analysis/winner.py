"""The winner of a study, how good it really is, and the simplest network that is as good."""

import math
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.direction import Direction
from nas.errors import NasError
from nas.metrics import BOUNDS
from nas.spec import TrialSpec
from nas.study.record import StudyRecord, TrialRecord
from nas.uncertainty import rows_ratio, standard_error

NO_BOUNDS = (-math.inf, math.inf)


@dataclass(frozen=True)
class Confirmed:
    """What the winner scores where it was trained again, which did not choose among all trials.

    Attributes:
        on_fresh_folds: Whether that was on other folds; else only the seeds were others, and the
            luck with the folds is still in the score.
        value: Mean score over these folds.
        stderr: Its standard error; None with one fold.
        interval: 95 % interval, of Student's t over the folds, around `value` less `optimism_left`;
            None with one fold, and on the same folds.
        fold_values: Score of each.
        n_trials: Of how many trials on these folds it is the best.
        optimism: How much better the score was by which the search chose it; positive is too good,
            whatever the direction of the metric.
        optimism_left: What is left of that in `value`, as it is the best of a few: `value` minus
            the mean over the folds of what the trial scores that is best on the other folds of the
            same repeat. None with one fold.
    """

    on_fresh_folds: bool
    value: float
    stderr: float | None
    interval: tuple[float, float] | None
    fold_values: tuple[float, ...]
    n_trials: int
    optimism: float
    optimism_left: float | None


def confirmed(study: StudyRecord) -> Confirmed | None:
    """The winner's score on fresh folds; None where it was not trained on any."""
    best, sign = study.best(), Direction(study.direction).sign
    mine = study.confirmed.get(best.number, ())
    if not mine or best.value is None or not np.isfinite(mine).all():
        return None
    value, split = fmean(mine), study.settings.split
    scores = sign * np.array([v for v in study.confirmed.values() if np.isfinite(v).all()])
    left = _optimism_left(sign * value, scores, 1 if split.given else split.repeats)
    stderr = standard_error(mine, rows_ratio(split))
    # With an order in time, folds cannot be drawn anew.
    interval, is_fresh = None, not (split.given or study.settings.data.time)
    if stderr is not None and is_fresh:
        from scipy.stats import t

        center, half = value - sign * (left or 0.0), stderr * float(t.ppf(0.975, len(mine) - 1))
        least, most = NO_BOUNDS
        if not study.settings.own_metric:
            least, most = BOUNDS.get(study.metric, NO_BOUNDS)
        interval = (max(center - half, least), min(center + half, most))
    searched = sign * (best.value - value)
    return Confirmed(is_fresh, value, stderr, interval, mine, len(scores), searched, left)


def _optimism_left(value: float, scores: NDArray[np.float64], repeats: int) -> float | None:
    """How much better the best of some trials looks than it is; see `Confirmed.optimism_left`.

    Args:
        value: Its mean score; more is better.
        scores: Of each trial and fold, the folds of one repeat after another.
        repeats: How often the folds were drawn.
    """
    by_repeat = scores.reshape(len(scores), repeats, -1)
    n_folds = by_repeat.shape[2]
    if n_folds < 2:
        return None
    others = by_repeat.sum(axis=2, keepdims=True) - by_repeat
    chosen = np.take_along_axis(by_repeat, others.argmax(axis=0)[None], axis=0)
    return value - float(chosen.mean())


def best_trials(
    study: StudyRecord, number: int, raced: bool = False
) -> list[tuple[TrialRecord, TrialSpec]]:
    """The winner and the trials with the next best scores, with their specifications.

    Args:
        study: A study with a complete trial.
        number: How many at the most. A network counts once.
        raced: Whether trials belong to them that were trained to their last epoch on the first
            folds of a race, and not on the others. All are ranked by those folds then.

    Raises:
        NasError: When no complete trial has a specification.
    """
    best, key = study.best(), Direction(study.direction).key
    scored = [(t, t.value if not raced else _first_value(t)) for t in study.trials]
    is_one = {t.number for t in study.complete}
    ranked = sorted(
        ((t, v) for t, v in scored if v is not None and (raced or t.number in is_one)),
        key=lambda pair: (pair[0].number != best.number, -key(pair[1])),
    )
    distinct: list[tuple[TrialRecord, TrialSpec]] = []
    for trial, _ in ranked:
        spec = trial.spec
        if spec is not None and all(spec != other for _, other in distinct):
            distinct.append((trial, spec))
        if len(distinct) == number:
            break
    if not distinct:
        raise NasError(study.name, f"trial {best.number} has no specification")
    return distinct


def _first_value(trial: TrialRecord) -> float | None:
    """Mean score after the last epoch, of a raced trial over the first folds; None before that."""
    if trial.outcome not in ("complete", "pruned") or trial.spec is None or not trial.epoch_values:
        return trial.value
    last = max(trial.epoch_values)
    is_whole = trial.outcome == "complete" or last >= trial.spec.n_epochs
    return trial.epoch_values[last] if is_whole else None


def simplest_equal(study: StudyRecord) -> TrialRecord:
    """The complete trial with the fewest weights within one standard error of the best.

    The one-standard-error rule (Breiman et al. 1984, section 3.4.3), with the standard error of
    the best trial; see `nas.uncertainty.standard_error`. With one fold there is none, and the best
    trial itself is it.
    """
    best = study.best()
    margin = best.stderr or 0.0
    equal = [
        trial
        for trial in study.complete
        if abs(_value(trial) - _value(best)) <= margin and trial.n_weights is not None
    ]
    return min(
        equal, key=lambda t: (t.n_weights, abs(_value(t) - _value(best)), t.number), default=best
    )


def pareto_front(study: StudyRecord) -> tuple[TrialRecord, ...]:
    """The complete trials that no other one beats in score with as few weights.

    The fewest weights come first, and so the worst score of the front; the best trial is last.
    """
    sign = Direction(study.direction).sign
    weighed = [trial for trial in study.complete if trial.n_weights is not None]
    front: list[TrialRecord] = []
    for trial in sorted(weighed, key=lambda t: (t.n_weights, -sign * _value(t), t.number)):
        if not front or sign * _value(trial) > sign * _value(front[-1]):
            front.append(trial)
    return tuple(front)


def _value(trial: TrialRecord) -> float:
    return trial.value if trial.value is not None else float("nan")


def doubts(study: StudyRecord) -> tuple[str, ...]:
    """Why the winner may be worth nothing, a sentence each: it answers the same for every row.

    That is seen from its answers, once it was trained on all folds together, and from its score
    over the folds, which has to be better by more than a standard error than the best score of
    one answer for all rows. An older study kept neither.
    """
    best, found = study.best(), []
    tested = study.winner if study.winner.get("trial") == best.number else {}
    counts: dict[str, int] = tested.get("predicted_classes") or {}
    answered = [label for label, count in counts.items() if count]
    if len(answered) == 1:
        part = "the test part" if tested["predicted_on"] == "test" else "the training rows"
        found.append(
            f"the winner predicts '{answered[0]}' for all {sum(counts.values()):,} rows of {part}."
        )
    constant = study.settings.constant
    if constant is not None and best.value is not None:
        sign = Direction(study.direction).sign
        if sign * (best.value - constant.value) <= (best.stderr or 0.0):
            same = "the same for every row"
            if constant.answer is not None:
                same = f"'{constant.answer}' for every row"
            found.append(
                f"over the folds the winner is not clearly better than predicting {same} "
                f"({study.metric_title} {constant.value:.4g})."
            )
    if found and study.metric == "accuracy":
        found.append("--metric balanced_accuracy, in a new study, counts every class the same.")
    return tuple(found)


def summarize(study: StudyRecord) -> dict[str, Any]:
    """The winner as plain data; the keys of `nas best --json`."""
    best, constant = study.best(), study.settings.constant
    simplest, again = simplest_equal(study), confirmed(study)
    # The test part is scored for the winner only; an older winner's score says nothing of it.
    tested = study.winner if study.winner.get("trial") == best.number else {}
    return {
        "study": study.name,
        "trial": best.number,
        "metric": study.metric,
        "positive": study.positive,
        "direction": study.direction,
        "value": best.value,
        "stderr": best.stderr,
        "fold_values": list(best.fold_values),
        "confirmed": asdict(again) if again else None,
        "test_value": tested.get("test_value"),
        "test_interval": tested.get("test_interval"),
        "predicted_on": tested.get("predicted_on"),
        "predicted_classes": tested.get("predicted_classes"),
        "constant": asdict(constant) if constant else None,
        "doubts": list(doubts(study)),
        "findings": [asdict(finding) for finding in study.settings.findings],
        "n_weights": best.n_weights,
        "params": best.params,
        "spec": best.spec.to_dict() if best.spec else None,
        "simplest": {
            "trial": simplest.number,
            "value": simplest.value,
            "stderr": simplest.stderr,
            "n_weights": simplest.n_weights,
            "params": simplest.params,
        },
    }
