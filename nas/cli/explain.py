"""`nas explain`.

The file is long because it has the words and tables of all that one command shows.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from nas.about import DEFAULT_STORAGE
from nas.cli.output import (
    JsonOption,
    StorageOption,
    StudyOption,
    console,
    plain_table,
    print_json,
    say,
    show_command,
    show_experiment,
    working,
)
from nas.direction import Direction
from nas.wording import score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.analysis.budget import Budget
    from nas.analysis.effects import Effect
    from nas.analysis.importance import Importance
    from nas.analysis.significance import Comparison
    from nas.experiments.baselines import Baseline
    from nas.results import Study
    from nas.study.record import StudyRecord

STRIP, MIN_STRIP = 21, 5  # characters of the picture beside each estimate
WITHOUT_STRIP = 53  # characters of the other columns, but for the first


def explain(
    study: StudyOption = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            help="A parameter to explain; may be repeated. "
            "\\[default: depth (or blocks, or layers) where it was searched, else the most "
            "important one]",
        ),
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the effect too: an .html, .png, .svg or .pdf file, "
            "one for each parameter where there are several."
        ),
    ] = None,
    rope: Annotated[
        float,
        typer.Option(
            min=0.0, help="Differences up to this are practically equal; see docs/explain.md."
        ),
    ] = 0.01,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Whether to train plain models on the same folds; the study keeps the results.",
        ),
    ] = True,
) -> None:
    """Show the effect of depth, or of another parameter, on the score, and how certain it is."""
    with working("Assessing the parameters"):
        from nas.analysis.explanation import explain as explain_study
        from nas.api import load
        from nas.wording import counted

        found = load(study, storage)
        record = found.record
        told = explain_study(record, found.optuna, parameter or [], rope)
    if plot is not None:
        _draw(told.effects, plot)
    kept, no_baselines = kept_baselines(found) if baselines else ((), "")
    best, effects, comparisons = record.best(), told.effects, told.comparisons
    if as_json:
        print_json(
            {
                "study": record.name,
                "metric": record.metric,
                "positive": record.positive,
                "direction": record.direction,
                "n_complete": len(record.complete),
                "n_pruned": _n_pruned(record),
                "effects": [_with_command(effect, record) for effect in effects],
                "rope": told.rope,
                "comparisons": [_plain(c) for pairs in comparisons.values() for c in pairs],
                "best": _outline(best),
                "simplest": _outline(told.simplest),
                "pareto": [_outline(trial) for trial in told.pareto],
                "importance": told.importance.shares if told.importance else None,
                "budget": _plain(told.budget),
                "baselines": [baseline.to_dict() for baseline in kept] if kept else None,
            }
        )
        return

    trials = counted(len(record.complete), "complete trial")
    say(
        f"{record.name}: {record.metric_title}, {record.direction}; {trials}, "
        f"{_n_pruned(record)} pruned. Best {score(best.value, best.stderr)} "
        f"(trial {best.number})."
    )
    if not effects:
        say("No parameter differs between the complete trials: there is no effect to tell.")
    for effect in effects:
        _show_effect(effect, record, storage)
        _show_comparisons(effect, comparisons[effect.parameter], record, rope)
    _show_simplest(record)
    _show_importance(told.importance, told.no_importance)
    _show_budget(told.budget, record)
    if baselines:
        _show_baselines(kept, no_baselines, record)


def _n_pruned(record: "StudyRecord") -> int:
    return sum(trial.outcome in ("pruned", "diverged") for trial in record.counted)


def kept_baselines(study: "Study") -> "tuple[tuple[Baseline, ...], str]":
    """The plain models, trained if the study has none yet, and why there are none."""
    from nas.errors import NasError
    from nas.experiments.baselines import load_baselines

    kept = load_baselines(study.record)
    if kept:
        return kept, ""
    try:
        with working("Training the plain models, once"):
            kept = study.baselines()
    except NasError as error:
        return (), error.on_command_line
    return kept, study.not_kept


def _draw(effects: "Sequence[Effect]", path: Path) -> None:
    from nas.report.figures import effect_figure, save_figure

    for effect in effects:
        own = path.with_stem(f"{path.stem}-{effect.parameter}") if len(effects) > 1 else path
        save_figure(effect_figure(effect), own)


def _plain(result: Any) -> Any:
    """A frozen dataclass as plain data for JSON."""
    from dataclasses import asdict

    return asdict(result)


def _with_command(effect: "Effect", record: "StudyRecord") -> dict[str, Any]:
    from nas.proposal import propose

    plain = _plain(effect)
    del plain["experiment"]
    return {**plain, "command": propose(effect.experiment, record) if effect.experiment else ""}


def _outline(trial: Any) -> dict[str, Any]:
    keys = ("number", "value", "stderr", "n_weights", "params")
    return {"trial" if key == "number" else key: getattr(trial, key) for key in keys}


# The sections


def _heading(text: str) -> None:
    console.print()
    console.print(text, style="bold")


def _show_effect(effect: "Effect", record: "StudyRecord", storage: str) -> None:
    _heading(f"The effect of {effect.parameter}")
    right = ("estimate", "best", "trials", "pruned")
    table = plain_table(
        effect.parameter, "estimate", "95 % interval", "best", "trials", "pruned", right=right
    )
    table.add_column("")
    for column in table.columns[1:]:
        column.no_wrap = True
    ends = [end for level in effect.levels if level.interval for end in level.interval]
    labels = max(len(effect.parameter), *(len(level.label) for level in effect.levels))
    room = min(STRIP, console.width - labels - WITHOUT_STRIP)
    for level in effect.levels:
        interval = "–"
        if level.interval is not None:
            interval = f"{score(level.interval[0])}–{score(level.interval[1])}"
        table.add_row(
            level.label,
            score(level.estimate),
            interval,
            score(level.best),
            str(level.n_complete),
            str(level.n_pruned),
            _strip(level.estimate, level.interval, ends, room),
        )
    console.print(table)
    _advise(effect, record)
    say(effect.rests_on)
    if effect.doubt:
        say(f"Too few or too clumped to tell. {effect.doubt}")
        if effect.experiment:
            say("These commands would answer it; the last one shows the result:")
            show_experiment(effect.experiment, record, storage)
            show_command(f"nas explain --parameter {effect.parameter}", storage)


def _strip(
    estimate: float | None, interval: tuple[float, float] | None, ends: list[float], room: int
) -> str:
    """Estimate and interval on a line, from the lowest end of all intervals to the highest."""
    if estimate is None or interval is None or room < MIN_STRIP:
        return ""
    span = (max(ends) - min(ends)) or 1.0
    first, middle, last = (
        round((value - min(ends)) / span * (room - 1))
        for value in (interval[0], estimate, interval[1])
    )
    line = [" "] * room
    line[first : last + 1] = "─" * (last + 1 - first)
    line[middle] = "●"
    return "".join(line).rstrip()


def _advise(effect: "Effect", record: "StudyRecord") -> None:
    """One sentence on the best value, and those that cannot be told from it."""
    sign = Direction(record.direction).sign
    levels = [
        (level.label, level.estimate, level.interval)
        for level in effect.levels
        if level.estimate is not None and level.interval is not None
    ]
    if not levels:
        return
    top, _, (low, high) = max(levels, key=lambda level: sign * level[1])
    near = [
        label
        for label, _, (low_, high_) in levels
        if label != top and high_ >= low and low_ <= high
    ]
    text = f"With the other parameters averaged out, {effect.parameter} {top} has the best estimate"
    if not near:
        say(f"{text}, and no other interval reaches its own.")
    elif len(near) == len(levels) - 1:
        say(f"{text}, but the intervals of all others overlap with its own.")
    else:
        say(f"{text}; the intervals of {', '.join(near)} overlap with its own.")


def _show_comparisons(
    effect: "Effect", comparisons: "tuple[Comparison, ...]", record: "StudyRecord", rope: float
) -> None:
    from nas.analysis.significance import describe, rope_width
    from nas.wording import counted

    _heading("Is the difference real?")
    n_scores = len(record.best().fold_values)
    if n_scores < 2:
        say("A single split does not show how much a score varies. Search with --folds 5.")
        return
    if not comparisons:
        say("Only one value has a complete trial: there is nothing to compare.")
        return
    best = comparisons[0].b
    shown = [comparison for comparison in comparisons if comparison.b == best]
    trials = {level.label: level.n_complete for level in effect.levels}
    say(
        f"The best network of each value against the best at {best}, which had "
        f"{counted(trials[best], 'complete trial')}; paired over the {n_scores} scores of the "
        "folds:"
    )
    table = plain_table(
        effect.parameter,
        "trials",
        "difference",
        "p (Holm)",
        "verdict",
        right=("trials", "p (Holm)"),
    )
    for column in table.columns[1:4]:
        column.no_wrap = True
    for comparison in shown:
        difference, verdict = describe(comparison).split(": ", 1)[1].split(", ", 1)
        table.add_row(
            comparison.a,
            str(trials[comparison.a]),
            difference,
            f"{comparison.p_adjusted:.2g}",
            verdict,
        )
    console.print(table)
    width = rope_width(record, rope)
    text = f"Practically equal: within ±{width:.3g}"
    if width != rope:
        text += f" ({rope:g} of the best score)"
    left_out = len(comparisons) - len(shown)
    if left_out:
        others = "1 other pair is" if left_out == 1 else f"{left_out} other pairs are"
        text += f"; {others} in --json and part of Holm's correction"
    say(f"{text}. The best of many trials has an advantage over that of few.")


def _show_simplest(record: "StudyRecord") -> None:
    from nas.analysis.winner import pareto_front, simplest_equal

    _heading("The simplest network within one standard error")
    best, simplest = record.best(), simplest_equal(record)
    if best.stderr is None:
        say("With one fold there is no standard error.")
    elif simplest.number == best.number:
        say(f"The winner itself, trial {best.number}: {_weights(best)} weights.")
    else:
        say(
            f"Trial {simplest.number}: {score(simplest.value, simplest.stderr)} with "
            f"{_weights(simplest)} weights; the winner has {_weights(best)}."
        )
    table = plain_table("weights", "score", "trial", "", right=("weights", "score", "trial"))
    for column in table.columns:
        column.no_wrap = True
    table.add_column("network")
    for trial in pareto_front(record):
        mark = "winner" if trial.number == best.number else ""
        mark = "simplest" if trial.number == simplest.number != best.number else mark
        network = trial.spec.describe() if trial.spec else ""
        table.add_row(
            _weights(trial),
            score(trial.value),
            str(trial.number),
            mark,
            Text(network, no_wrap=True, overflow="ellipsis"),
        )
    say("Pareto front: no other trial scores better with as few weights.")
    console.print(table)


def _weights(trial: Any) -> str:
    return f"{trial.n_weights:,}" if trial.n_weights is not None else "–"


def _show_importance(shares: "Importance | None", reason: str) -> None:
    from nas.analysis.importance import ranked_parameters, rests_on

    _heading("Which parameters mattered")
    if shares is None:
        say(f"Not assessed: {reason}.")
        return
    table = plain_table("parameter", "fANOVA", "PED-ANOVA", right=("fANOVA", "PED-ANOVA"))
    for name in ranked_parameters(shares):
        cells = [by.get(name) for by in shares.shares.values()]
        table.add_row(name, *("–" if cell is None else f"{cell:.0%}" for cell in cells))
    console.print(table)
    n_best = max(1, shares.n_complete // 10)
    best = "best" if n_best == 1 else f"best {n_best}"
    say(
        f"{rests_on(shares)} fANOVA: over the whole space, bad networks too. PED-ANOVA: what sets "
        f"the {best} apart. Neither says which value is better, "
        "and both see the trials that the sampler chose; a dash is a conditional parameter."
    )


def _show_budget(the_budget: "Budget", record: "StudyRecord") -> None:
    _heading("Do more trials help?")
    table = plain_table("trials", *(str(n) for n, _ in the_budget.expected[-6:]))
    table.add_row("expected best", *(score(value) for _, value in the_budget.expected[-6:]))
    console.print(table)
    say(
        f"{the_budget.advice} The row is as if trials were drawn at random from those done; a "
        "sampler that learns gets there sooner."
    )
    if the_budget.gap is None:
        say("The winner has no test score to hold against its validation score.")
        return
    low, high = the_budget.gap_interval or (None, None)
    text = f"The winner scored {score(abs(the_budget.gap))} "
    text += "better" if the_budget.gap >= 0 else "worse"
    text += " on the folds it was chosen by than on the test part"
    if low is not None and high is not None:
        text += f" (95 % interval {score(low)} to {score(high)})".replace("-", "−")
        text += ": no more than chance." if low <= 0 <= high else ": more than chance."
    say(text)


def _show_baselines(kept: "tuple[Baseline, ...]", reason: str, record: "StudyRecord") -> None:
    _heading("Plain models on the same folds")
    if not kept:
        say(f"Not trained: {reason}")
        return
    best = record.best()
    tested = record.winner if record.winner.get("trial") == best.number else {}
    rows: list[tuple[float | None, tuple[str, ...]]] = [
        (
            best.value,
            (
                f"winner (trial {best.number})",
                score(best.value, best.stderr),
                _tested(tested.get("test_value"), tested.get("test_interval")),
            ),
        )
    ]
    rows.extend(
        (
            baseline.value,
            (
                baseline.name,
                score(baseline.value, baseline.stderr),
                _tested(baseline.test_value, baseline.test_interval),
            ),
        )
        for baseline in kept
    )
    sign = Direction(record.direction).sign
    rows.sort(key=lambda row: float("inf") if row[0] is None else -sign * row[0])
    table = plain_table("model", "mean over folds", "test, with 95 % interval")
    for _, cells in rows:
        table.add_row(*cells)
    console.print(table)
    for baseline in kept:
        if baseline.note:
            say(f"{baseline.name}: {baseline.note}.")
    say(
        "They have scikit-learn's default settings. The winner is the best of many, so "
        "its mean over folds is too good; the test is fair to all."
    )
    if reason:
        say(reason)


def _tested(value: float | None, interval: Any) -> str:
    if value is None or interval is None:
        return score(value)
    return f"{score(value)} ({score(interval[0])}–{score(interval[1])})"
