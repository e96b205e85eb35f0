"""The winner of a study, and the simplest network that is as good."""

from dataclasses import asdict
from typing import Any

from nas.direction import Direction
from nas.study.record import StudyRecord, TrialRecord


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
    simplest = simplest_equal(study)
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
