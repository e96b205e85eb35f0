"""What a parameter does to the score, with all that the answer rests on."""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna

from nas.analysis.budget import Budget, budget
from nas.analysis.effects import Effect, parameter_effect
from nas.analysis.importance import Importance, importance, ranked_parameters
from nas.analysis.levels import MIN_TRIALS, depth_word, searched_parameters
from nas.analysis.significance import Comparison, compare_levels, rope_width
from nas.analysis.surrogate import fit_surrogate
from nas.analysis.winner import pareto_front, simplest_equal
from nas.errors import NasError
from nas.study.record import StudyRecord, TrialRecord


@dataclass(frozen=True)
class Explanation:
    """What parameters do to the score.

    Attributes:
        study: Name of the study.
        effects: Of each parameter that was asked for.
        comparisons: By parameter, its levels in pairs: which differences are real.
        rope: Differences up to this, in the metric's unit, are practically none.
        importance: The share of every parameter; None where it cannot be told.
        no_importance: Why it cannot.
        budget: Whether more trials would pay.
        simplest: The smallest trial within one standard error of the best.
        pareto: The trials that no smaller one beats.
    """

    study: str
    effects: tuple[Effect, ...]
    comparisons: dict[str, tuple[Comparison, ...]]
    rope: float
    importance: Importance | None
    no_importance: str
    budget: Budget
    simplest: TrialRecord
    pareto: tuple[TrialRecord, ...]


def explain(
    record: StudyRecord, study: optuna.Study, parameters: Sequence[str], rope: float
) -> Explanation:
    """Explains parameters of a study.

    Args:
        record: The study.
        study: The same, of Optuna.
        parameters: Searched ones; empty for depth where it was searched, else the most important.
        rope: Differences up to this are practically none; see `rope_width`.

    Raises:
        NasError: When no trial is complete, or there is no such parameter.
    """
    record.best()  # says why there is no complete trial, if there is none
    shares: Importance | None = None
    no_importance = ""
    try:
        shares = importance(study)
    except NasError as error:
        no_importance = error.received + (f"; expected {error.expected}" * bool(error.expected))
    ranked = ranked_parameters(shares) if shares else []
    names = list(parameters) or _default_parameters(record, ranked)
    surrogate = fit_surrogate(record) if len(record.complete) >= MIN_TRIALS else None
    return Explanation(
        study=record.name,
        effects=tuple(parameter_effect(record, name, surrogate=surrogate) for name in names),
        comparisons={name: tuple(compare_levels(record, name, rope)) for name in names},
        rope=rope_width(record, rope),
        importance=shares,
        no_importance=no_importance,
        budget=budget(record),
        simplest=simplest_equal(record),
        pareto=tuple(pareto_front(record)),
    )


def _default_parameters(record: StudyRecord, ranked: Sequence[str]) -> list[str]:
    searched, depth = searched_parameters(record), depth_word(record)
    return [depth] if depth in searched else list(ranked or searched)[:1]
