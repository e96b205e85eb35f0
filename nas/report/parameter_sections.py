"""What a report says about the parameters: depth, importance, values and real differences."""

from collections.abc import Sequence
from dataclasses import replace

from nas.analysis.effects import Level, parameter_effect
from nas.analysis.importance import Importance, rests_on
from nas.analysis.levels import depth_word, hidden_layers
from nas.analysis.significance import compare_levels, rope_width
from nas.errors import NasError
from nas.layers import parse_layers
from nas.report.blocks import Block, Picture, Text
from nas.report.figures import (
    effect_figure,
    importance_figure,
    parallel_figure,
    significance_figure,
    slice_figure,
)
from nas.report.next_steps import experiment_blocks
from nas.study.record import StudyRecord
from nas.wording import counted

MAX_AXES = 8  # of the parallel coordinates, besides the score
MAX_SLICES = 12
MAX_NARROW = 5  # labels side by side that a phone's width holds
MAX_COMPARISONS = 10
ROPE = 0.01


def depth_blocks(record: StudyRecord, storage: str) -> list[Block]:
    parameter = depth_word(record)
    if not any(parameter in trial.params for trial in record.complete):
        return [Text(f"Not available: this study did not search {parameter}.")]
    effect = parameter_effect(record, parameter)
    caption = effect.rests_on
    if parameter == "layers" and all(isinstance(level.value, str) for level in effect.levels):
        effect = replace(effect, levels=_by_depth(effect.levels))
        caption += " Whole networks, the shallowest first; they may differ in more than depth."
    blocks: list[Block] = [
        Picture(
            "depth",
            effect_figure(effect),
            f"{caption} What to see: whether more layers help, and where the intervals "
            "are so wide that nothing can be said.",
            min_width=60 * len(effect.levels) if len(effect.levels) > MAX_NARROW else 0,
        )
    ]
    if effect.doubt:
        blocks.append(Text(f"Doubt: {effect.doubt}"))
    if effect.experiment:
        blocks.append(Text("This would answer it:"))
        blocks += experiment_blocks(effect.experiment, record, storage)
    return blocks


def _by_depth(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Whole networks with their hidden layers, those with the fewest first."""
    depths = {level.label: sum(map(hidden_layers, parse_layers(level.value))) for level in levels}
    return tuple(
        replace(level, label=f"{level.label}<br>{counted(depths[level.label], 'hidden layer')}")
        for level in sorted(levels, key=lambda level: depths[level.label])
    )


def importance_blocks(importance: Importance | str, names: Sequence[str]) -> list[Block]:
    if isinstance(importance, str):
        return [Text(f"Not available: {importance}")]
    caption = (
        f"{rests_on(importance)} fANOVA says what moves the score over the whole space, PED-ANOVA "
        "what sets the best tenth of the trials apart."
    )
    blocks: list[Block] = [Picture("importance", importance_figure(importance), caption)]
    left_out = dict.fromkeys(name for names in importance.left_out.values() for name in names)
    if left_out:
        blocks.append(
            Text(f"Not assessed by both, as not every trial has them: {', '.join(left_out)}.")
        )
    return blocks


def parallel_blocks(record: StudyRecord, names: Sequence[str]) -> list[Block]:
    _need_several(record, names)
    shown = list(names[:MAX_AXES])
    caption = (
        f"Based on {len(record.complete)} complete trials; each is a line through its parameters "
        "to its score. Where the lines of the best run together, the value matters; a click in "
        "the legend hides a group."
    )
    if len(names) > len(shown):
        caption += f" Of {len(names)} parameters the {len(shown)} that mattered most are drawn."
    picture = Picture(
        "parallel", parallel_figure(record, shown), caption, min_width=90 * (len(shown) + 1)
    )
    return [picture]


def slice_blocks(record: StudyRecord, names: Sequence[str]) -> list[Block]:
    _need_several(record, names)
    text = (
        f"Based on {len(record.complete)} complete trials, each a dot; the diamond is the winner, "
        "and triangles stand for far outliers beyond the edge. "
        "The other parameters vary too, so that a slope may be theirs."
    )
    if len(names) > MAX_SLICES:
        text += f" Not drawn, as they mattered least: {', '.join(names[MAX_SLICES:])}."
    return [
        Text(text),
        *(
            Picture(f"slice-{name}", slice_figure(record, name), f"Score by {name}.", small=True)
            for name in names[:MAX_SLICES]
        ),
    ]


def _need_several(record: StudyRecord, names: Sequence[str]) -> None:
    if len(record.complete) < 2 or not names:
        raise NasError(
            record.name,
            "nothing differs between the complete trials",
            "two complete trials with different parameters",
        )


def significance_blocks(record: StudyRecord, names: Sequence[str]) -> list[Block]:
    best = record.best()
    if len(best.fold_values) < 2:
        return [Text("Not available: a single split says nothing of the spread between folds.")]
    depth = depth_word(record)
    chosen = [depth] if depth in names else []
    chosen += [name for name in names if name != depth][:1]
    rope = rope_width(record, ROPE)
    blocks: list[Block] = []
    for name in chosen:
        comparisons = compare_levels(record, name, ROPE)
        if not comparisons:
            continue
        shown = comparisons[:MAX_COMPARISONS]
        unshown = len(comparisons) - len(shown)
        caption = (
            f"{name.replace('_', ' ').capitalize()}: the best network of each value against that "
            f"of another, paired over {len(best.fold_values)} folds, with the 95 % interval of the "
            "corrected resampled t-test. An interval inside the green region is "
            f"practically no difference (± {rope:.2g}), one outside of it a real one; any other is "
            "open."
        )
        figure = significance_figure(shown, rope, len(best.fold_values))
        if figure.layout.xaxis.range is not None:
            caption += " Intervals that reach an edge of the picture end beyond it"
            if any("triangle" in str(trace.marker.symbol) for trace in figure.data):
                caption += ", and triangles stand for differences there"
            caption += "."
        if unshown:
            pairs = "further pair is" if unshown == 1 else "further pairs are"
            caption += f" {unshown} {pairs} in 'nas explain'."
        blocks.append(
            Picture(f"significance-{'depth' if name == depth else name}", figure, caption)
        )
    return blocks or [
        Text("Not available: there are no two values with complete trials to compare.")
    ]
