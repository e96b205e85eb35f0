"""What a report says about the winner: its network, score and learning curves."""

from typing import Any

from nas.analysis.winner import confirmed, doubts, simplest_equal
from nas.direction import Direction
from nas.proposal import who_tests
from nas.report.blocks import Block, Picture, Section, Table, Text
from nas.report.figures import has_curves, loss_figure, score_curves_figure, score_name
from nas.report.layer_picture import describe_layers, draw_layers
from nas.report.summary import tested_winner
from nas.space import shown_value
from nas.study.record import StudyRecord, TrialRecord

N_CURVES = 5  # best trials whose learning curves are shown


def winner_section(record: StudyRecord) -> Section:
    best, simplest = record.best(), simplest_equal(record)
    blocks: list[Block] = []
    if best.spec is not None and not best.spec.layers:
        blocks.append(
            Text(f"Not drawn: {best.spec.architecture} has no dense layer and no convolution.")
        )
    elif best.spec is not None:
        blocks.append(
            Picture(
                "layers",
                draw_layers(best.spec),
                f"The network of trial {best.number}, inputs at the top. "
                f"{describe_layers(best.spec)}",
            )
        )
    same = simplest.number == best.number
    trials = (best,) if same else (best, simplest)
    mean = "mean over folds" if best.stderr is not None else "score"
    rows = [
        ("trial", *(str(trial.number) for trial in trials)),
        (mean, *(_with_error(trial) for trial in trials)),
        ("weights", *(f"{trial.n_weights:,}" if trial.n_weights else "–" for trial in trials)),
    ]
    parameters = dict.fromkeys(name for trial in trials for name in trial.params)
    rows += [
        (name.replace("_", " "), *(_value(name, trial.params.get(name)) for trial in trials))
        for name in parameters
    ]
    heads = ("", "winner") if same else ("", "winner", "simplest as good")
    blocks.append(Table(heads, tuple(rows)))
    if best.stderr is None:
        note = "A single split has no standard error: so the uncertainty of the score is unknown."
    elif same:
        note = "No network with fewer weights is within one standard error of the winner."
    else:
        note = (
            f"Trial {simplest.number} has the fewest weights of all within one standard error of "
            "the winner; where size or speed count, take it."
        )
    if (again := confirmed(record)) is not None:
        where = "on fresh folds from fresh seeds" if again.on_fresh_folds else "from fresh seeds"
        others = f", the best of {again.n_trials} trials there" if again.n_trials > 1 else ""
        note += f" Trained again {where} it has {score_name(record)} {again.value:.4g}{others}"
        if again.interval is not None:
            note += f" (95 % interval {again.interval[0]:.4g} to {again.interval[1]:.4g})"
        note += "."
    tested = tested_winner(record)
    if tested is not None:
        value, interval = tested
        note += f" On the test part the winner has {score_name(record)} {value:.4g}"
        if interval is not None:
            note += f" (95 % interval {interval[0]:.4g} to {interval[1]:.4g})"
        note += ", scored once, on rows that no trial saw."
    elif record.settings.split.test_size:
        note += f" The test part is not scored yet: {who_tests(record)} it, once."
    constant = record.settings.constant
    if constant is not None and constant.answer is not None:
        note += (
            f" Predicting '{constant.answer}' for every row has {score_name(record)} "
            f"{constant.value:.4g}."
        )
    blocks.append(Text(note))
    blocks += [Text(f"Doubt: {doubt}") for doubt in doubts(record)]
    blocks += [Text(f"About the data: {finding.text}") for finding in record.settings.findings]
    return Section("winner", "The winner", tuple(blocks))


def _with_error(trial: TrialRecord) -> str:
    """A score over folds as the tables of the command line have it."""
    form = ".4f" if abs(trial.value or 0.0) < 100 else ",.2f"
    text = f"{trial.value:{form}}"
    return text + (f" ± {trial.stderr:{form}}" if trial.stderr is not None else "")


def _value(parameter: str, value: Any) -> str:
    if value is None:
        return "–"
    value = shown_value(parameter, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def curve_blocks(record: StudyRecord) -> list[Block]:
    best = record.best()
    sign = Direction(record.direction).sign
    ranked = sorted(record.complete, key=lambda t: (-sign * (t.value or 0.0), t.number))
    first = [best, *(trial for trial in ranked if trial.number != best.number)][:N_CURVES]
    n_folds = len(best.fold_values)
    band = f", the band from the lowest to the highest of {n_folds} folds" if n_folds > 1 else ""
    blocks: list[Block] = []
    if has_curves(best):
        blocks.append(
            Picture(
                "loss",
                loss_figure(best),
                f"The winner's loss; the line is the mean{band}. Training loss includes penalties "
                "and dropout. Validation loss that rises while the training loss falls is "
                "over-fitting; two lines that still fall want more epochs.",
            )
        )
    else:
        blocks.append(Text("Losses were not recorded: the study is of an older version of nas."))
    if any(trial.epoch_values for trial in first):
        n_others = len(first) - 1
        others = f"the next {n_others} as means" if n_others else "no other is complete"
        if n_others == 1:
            others = "the next one as a mean"
        caption = f"The winner's validation score{band if has_curves(best) else ''}; {others}."
        blocks.append(
            Picture(
                "scores",
                score_curves_figure(record, first),
                caption + " Lines that cross late say that an early end would have chosen another.",
            )
        )
    return blocks
