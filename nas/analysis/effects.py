"""What depth, or any other parameter, does to the score, with the other parameters averaged out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nas.analysis.experiment import SearchAgain
from nas.analysis.levels import (
    MIN_LEVEL_TRIALS,
    MIN_TRIALS,
    Group,
    group_trials,
    is_value,
    show_value,
)
from nas.analysis.settling import settling_search
from nas.analysis.surrogate import Surrogate, fit_surrogate
from nas.space import shown_value
from nas.study.record import StudyRecord
from nas.wording import counted

IMPORTANT = 0.1  # share of the surrogate's importance from which another parameter can mislead
CLUMPED = 0.9  # share of a value's trials in one third of another parameter's settings


@dataclass(frozen=True)
class Level:
    """One value of a parameter, or one bin of many values.

    Attributes:
        label: The value or bin in words.
        value: The value; of a bin its middle, on the log scale where the space says so.
        estimate: Score that the surrogate expects, the other parameters averaged out; None where
            no complete trial has the value, or there are too few trials for a surrogate.
        interval: 95 % bootstrap interval of `estimate`, over trials.
        best: Best score of a complete trial with this value.
        best_trial: Number of that trial.
        n_complete: Complete trials with this value.
        n_pruned: Pruned and diverged ones.
    """

    label: str
    value: Any
    estimate: float | None
    interval: tuple[float, float] | None
    best: float | None
    best_trial: int | None
    n_complete: int
    n_pruned: int


@dataclass(frozen=True)
class Effect:
    """What a parameter does to the score.

    Attributes:
        parameter: Its name.
        levels: Its values, in the order of the space.
        rests_on: What the estimates rest on, in sentences.
        doubt: Why the trials cannot tell; empty where they can.
        experiment: What would settle it; None where nothing is needed, or nothing would.
    """

    parameter: str
    levels: tuple[Level, ...]
    rests_on: str
    doubt: str
    experiment: SearchAgain | None


def parameter_effect(
    record: StudyRecord, parameter: str, seed: int = 0, surrogate: "Surrogate | None" = None
) -> Effect:
    """Estimates the score for each value of a parameter, the other parameters averaged out.

    The estimate is the partial dependence (Friedman 2001, Annals of Statistics 29, section 8.2) of
    the study's surrogate, averaged over the complete trials that have the parameter.

    Args:
        record: A study.
        parameter: One of its parameters, by the name that a trial has it under.
        seed: Seeds the surrogate.
        surrogate: One of this study, where several parameters are asked for.

    Raises:
        NasError: When no trial has the parameter.
    """
    groups = group_trials(record, parameter)
    complete = [trial for group in groups for trial in group.complete]
    if surrogate is None and len(complete) >= MIN_TRIALS:
        surrogate = fit_surrogate(record, seed)
    reached = [group for group in groups if group.complete]
    estimates: dict[str, tuple[float, tuple[float, float]]] = {}
    if surrogate is not None and len(complete) >= MIN_TRIALS:
        found = surrogate.dependence(complete, parameter, [group.value for group in reached])
        estimates = {group.label: pair for group, pair in zip(reached, found, strict=True)}
    levels = []
    for group in groups:
        estimate, interval = estimates.get(group.label, (None, None))
        best = group.best(record.direction)
        levels.append(
            Level(
                label=group.label,
                value=group.value,
                estimate=estimate,
                interval=interval,
                best=best.value if best else None,
                best_trial=best.number if best else None,
                n_complete=len(group.complete),
                n_pruned=len(group.pruned),
            )
        )
    doubt = _doubt(groups, parameter, surrogate)
    experiment = settling_search(record, parameter, surrogate) if doubt else None
    return Effect(parameter, tuple(levels), _rests_on(record, groups), doubt, experiment)


def _rests_on(record: StudyRecord, groups: Sequence[Group]) -> str:
    n_complete = sum(len(group.complete) for group in groups)
    n_pruned = sum(len(group.pruned) for group in groups)
    trials = counted(n_complete, "complete trial")
    text = f"Based on {trials}."
    without = len(record.complete) - n_complete
    if without:
        have, have_not = ("has" if n == 1 else "have" for n in (n_complete, without))
        text = f"Based on the {trials} that {have} it; {without} {have_not} not."
    if n_pruned:
        ones = (
            "one has no final score and is" if n_pruned == 1 else "ones have no final score and are"
        )
        text += (
            f" {n_pruned} pruned {ones} only counted: the estimates are of networks that survived."
        )
    return text


def _doubt(groups: Sequence[Group], parameter: str, surrogate: Surrogate | None) -> str:
    n_complete = sum(len(group.complete) for group in groups)
    if n_complete < MIN_TRIALS:
        trials = counted(n_complete, "complete trial")
        return f"{trials} for all values together; it takes {MIN_TRIALS} to estimate."
    reasons = []
    few = [group for group in groups if len(group.complete) < MIN_LEVEL_TRIALS]
    if few:
        names = ", ".join(f"{group.label} ({len(group.complete)})" for group in few)
        reasons.append(f"Fewer than {MIN_LEVEL_TRIALS} complete trials at {names}.")
    if surrogate is not None:
        reasons += [
            reason
            for group in groups
            if len(group.complete) >= MIN_LEVEL_TRIALS
            for reason in _clumps(group, groups, parameter, surrogate)
        ]
    return " ".join(reasons)


def _clumps(
    group: Group, groups: Sequence[Group], parameter: str, surrogate: Surrogate
) -> Iterator[str]:
    """Where nearly all trials of a level share a setting that few others have.

    There the forest cannot tell the level from the setting.
    """
    others = [trial for other in groups if other is not group for trial in other.complete]
    for name, share in surrogate.importance.items():
        if name == parameter or share < IMPORTANT:
            continue
        mine = [trial.params[name] for trial in group.complete if name in trial.params]
        theirs = [trial.params[name] for trial in others if name in trial.params]
        if len(mine) < MIN_LEVEL_TRIALS or len(theirs) < MIN_LEVEL_TRIALS:
            continue
        for words, holds in _settings(name, theirs):
            here = sum(map(holds, mine)) / len(mine)
            there = sum(map(holds, theirs)) / len(theirs)
            if here >= CLUMPED and there < 0.5:
                yield (
                    f"At {group.label}, {100 * here:.0f} % of the trials have {name} {words}; "
                    f"of the others {100 * there:.0f} %."
                )


def _settings(name: str, values: Sequence[Any]) -> Iterator[tuple[str, Callable[[Any], bool]]]:
    """The thirds of numbers, or each category."""
    if any(isinstance(shown_value(name, value), str | bool) for value in values):
        for value in dict.fromkeys(values):
            yield show_value(name, value), partial(is_value, value=value)
        return
    first, second = np.quantile(values, [1 / 3, 2 / 3])
    yield f"up to {first:.3g}", lambda v: bool(v <= first)
    yield f"from {first:.3g} to {second:.3g}", lambda v: bool(first < v <= second)
    yield f"above {second:.3g}", lambda v: bool(v > second)
