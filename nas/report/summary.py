"""A study in three sentences for readers who have never trained a network."""

from collections.abc import Sequence

from nas.analysis.budget import Budget
from nas.analysis.importance import Importance, ranked_parameters
from nas.analysis.significance import correlated_t_test
from nas.analysis.winner import doubts
from nas.architectures import CustomArchitecture
from nas.direction import Direction
from nas.experiments.baselines import Baseline
from nas.report.figures import score_name
from nas.study.record import StudyRecord, TrialRecord
from nas.uncertainty import rows_ratio

SURE = 0.95  # probability from which one model is called better than another

# What a score means, with a place for it; shares of 1 are told in per cent.
PHRASES = {
    "accuracy": "is right about {} of {}",
    "balanced_accuracy": "is right about {} of {}, every class counting the same,",
    "r2": "explains {} of the differences between {}",
    "f1": "reaches an F1 score of {} (1 is perfect) on {}",
    "auc": "reaches an AUC of {} (1 is perfect, 0.5 is guessing) on {}",
    "log_loss": "reaches a log loss of {} (0 is perfect) on {}",
    "rmse": "is off by {} (root mean square) on {}",
    "mae": "is off by {} on average on {}",
    "pinball": "has a pinball loss of {} (0 is perfect) on {}",
}
# Plain models in everyday words, where their names are not.
PLAIN = {
    "random forest": "a random forest",
    "SVC": "a support vector machine",
    "SVR": "a support vector machine",
}
SPACE = "\u00a0"  # does not break a line
IN_PERCENT = ("accuracy", "balanced_accuracy", "r2")


def summarize_in_words(
    record: StudyRecord,
    importance: Importance | None = None,
    baselines: Sequence[Baseline] = (),
    budget: Budget | None = None,
) -> tuple[str, str, str]:
    """What was tried; what is best, and how sure that is; what mattered, or what to do next."""
    if not record.complete:
        return (_tried(record), *_nothing_found(record))
    return _tried(record), _best(record, baselines), _lesson(record, importance, budget)


def show_score(metric: str, value: float) -> str:
    """A score as readers know it: in per cent where 1 is all of something."""
    if metric in IN_PERCENT:
        return f"{100 * value:.1f}{SPACE}%"
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.3g}"


def tested_winner(record: StudyRecord) -> tuple[float, tuple[float, float] | None] | None:
    """Test score of the best trial with its interval; None before it was scored."""
    winner = record.winner
    if winner.get("trial") != record.best().number or winner.get("test_value") is None:
        return None
    interval = winner.get("test_interval")
    return winner["test_value"], (interval[0], interval[1]) if interval else None


def better_baseline(record: StudyRecord, baselines: Sequence[Baseline]) -> tuple[Baseline, str]:
    """The best plain model, and how it stands to the winner: `better`, `worse` or `as good`.

    Raises:
        ValueError: When no plain model has a score.
    """
    sign = Direction(record.direction).sign
    scored = [baseline for baseline in baselines if baseline.value is not None]
    plain = max(scored, key=lambda baseline: sign * (baseline.value or 0.0))
    best = record.best()
    difference = sign * ((plain.value or 0.0) - (best.value or 0.0))
    if len(best.fold_values) < 2 or len(plain.fold_values) != len(best.fold_values):
        return plain, "better" if difference > 0 else "worse"
    share = rows_ratio(record.settings.split)
    found = correlated_t_test(plain.fold_values, best.fold_values, share, 0.0)
    probability = found["p_higher" if difference > 0 else "p_lower"]
    if sign < 0:
        probability = found["p_lower" if difference > 0 else "p_higher"]
    if probability < SURE:
        return plain, "as good"
    return plain, "better" if difference > 0 else "worse"


def describe_network(trial: TrialRecord) -> str:
    """A network in everyday words."""
    if trial.spec is None:
        return f"trial {trial.number}"
    architecture, hidden = trial.spec.architecture, trial.spec.hidden
    if isinstance(architecture, CustomArchitecture) and not architecture.layers:
        return f"what {architecture.function} builds"
    units = tuple(layer.output_shape[-1] for layer in hidden if layer.kind == "dense")
    n_convolutions = len(hidden) - len(units)
    if n_convolutions:
        text = "one convolution" if n_convolutions == 1 else f"{n_convolutions} convolutions"
        if not units:
            return text
        dense = "one dense layer" if len(units) == 1 else f"{len(units)} dense layers"
        return f"{text} and {dense} of {_span(units)} units"
    if not units:
        return "no hidden layer"
    layers = "one hidden layer" if len(units) == 1 else f"{len(units)} hidden layers"
    return f"{layers} of {_span(units)} units"


def _span(units: tuple[int, ...]) -> str:
    low, high = min(units), max(units)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _tried(record: StudyRecord) -> str:
    n, outcomes = len(record.counted), [trial.outcome for trial in record.counted]
    networks = "One network was" if n == 1 else f"{n:,} networks were"
    parts = [
        f"{outcomes.count(outcome):,} {text}"
        for outcome, text in (
            ("complete", "trained to the end"),
            ("pruned", "stopped early because others were ahead"),
            ("diverged", "broke down while training"),
            ("failed", "failed with an error"),
        )
        if outcome in outcomes
    ]
    folds = record.settings.split.folds * record.settings.split.repeats
    # A race trains some trials on the first folds only.
    seen = {len(trial.fold_values) for trial in record.counted if trial.fold_values}
    up_to = "up to " if min(seen, default=folds) < folds else ""
    each = f", each on {up_to}{folds} different divisions of the data," if folds > 1 else ""
    source = record.settings.data.source
    counts = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    return f"{networks} tried on {source}{each} to find the one with the best " + (
        f"{score_name(record)}: {counts}."
    )


def _best(record: StudyRecord, baselines: Sequence[Baseline]) -> str:
    best, tested = record.best(), tested_winner(record)
    if tested is not None:
        value, interval = tested
        phrase = _phrase(record, value, "the rows that it had never seen")
        sure = ""
        if interval is not None:
            low, high = (show_score(record.metric, bound) for bound in interval)
            sure = f" (95{SPACE}% interval: {low} to {high})"
    else:
        phrase = _phrase(record, best.value or 0.0, "the rows that validate")
        sure = " (not yet tested on the rows set aside)"
    text = f"The best network has {describe_network(best)} and {phrase}{sure}"
    doubt = "".join(f" But {sentence}" for sentence in doubts(record)[:1])
    if not any(baseline.value is not None for baseline in baselines):
        return f"{text}.{doubt}"
    plain, standing = better_baseline(record, baselines)
    score = show_score(record.metric, plain.value or 0.0)
    if len(best.fold_values) > 1:
        own = show_score(record.metric, best.value or 0.0)
        score += f" against {own} over the folds"
    name = PLAIN.get(plain.name, plain.name)
    verdict = {
        "better": f"but {name} does better ({score}): use that instead",
        "as good": f"and {name}, which takes no search, is about as good ({score})",
        "worse": f"which no plain model reaches: {name} comes closest ({score})",
    }[standing]
    return f"{text}, {verdict}.{doubt}"


def _phrase(record: StudyRecord, value: float, rows: str) -> str:
    if record.metric == "r2" and value < 0:
        return f"does worse than always predicting the mean (R² {value:.3g}) on {rows}"
    phrase = PHRASES.get(record.metric, f"reaches {record.metric} {{}} on {{}}")
    return phrase.format(show_score(record.metric, value), rows)


def _lesson(record: StudyRecord, importance: Importance | None, budget: Budget | None) -> str:
    text = ""
    if importance is not None and (names := ranked_parameters(importance)):
        # Only fANOVA's shares are shares of the differences between scores.
        fanova = importance.shares["fanova"]
        names = sorted(fanova, key=lambda name: -fanova[name]) or names
        text = f"What mattered most was the {_words(names[0])}"
        if fanova:
            text += f" ({100 * fanova[names[0]]:.0f}{SPACE}% of the differences)"
        if len(names) > 1:
            text += f", then the {_words(names[1])}"
    if budget is not None and budget.gap is not None and budget.gap_interval is not None:
        low, _ = budget.gap_interval
        if low > 0:
            warning = "the search overestimates its winner, so trust the score on the test rows."
            return f"{text}; {warning}" if text else warning.capitalize()
    advice = ""
    if budget is not None and "hardly help" in budget.advice:
        advice = "more trials will hardly help"
    elif budget is not None and "may help" in budget.advice:
        advice = "more trials may still find a better one"
    elif len(record.complete) < 10:
        advice = "so few trials were completed that more should be tried"
    parts = "; ".join(part for part in (text, advice) if part)
    return (parts[:1].upper() + parts[1:] or "These trials do not show what mattered") + "."


def _words(parameter: str) -> str:
    return parameter.replace("_", " ")


def _nothing_found(record: StudyRecord) -> tuple[str, str]:
    outcomes = [trial.outcome for trial in record.counted]
    common = max(set(outcomes), key=outcomes.count)
    reasons = [trial.reason for trial in record.counted if trial.outcome == common and trial.reason]
    why = (
        f" The most frequent reason is: {max(set(reasons), key=reasons.count)}." if reasons else ""
    )
    steps = {
        "pruned": "Continue the search with more trials, or use --pruner none",
        "diverged": "Continue the search with a smaller highest learning rate",
        "failed": "Correct what the reason says, and search again",
    }
    return (
        f"No network has reached the end of its training, so there is no winner.{why}",
        steps.get(common, "Continue the search with more trials") + ".",
    )
