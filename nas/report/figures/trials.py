"""Figures of the trials: when they ran, what their parameters were, how large they are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from nas.analysis.winner import pareto_front
from nas.direction import Direction
from nas.report.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    TEMPLATE,
    VERMILLION,
    focus,
    has_words,
    last_score,
    log_ticks,
    rounded,
    scale,
    score_name,
    show_value,
)
from nas.study.record import StudyRecord, TrialRecord

MAX_MARKS = 8  # values of an axis that each get a label
ABSENT = -0.1  # height below an axis for trials without its parameter


def history_figure(record: StudyRecord) -> go.Figure:
    """Score by trial, the best so far, and the trials that did not get to their end."""
    figure = go.Figure()
    unfinished = [t for t in record.trials if t.outcome == "pruned" and last_score(t) is not None]
    lost = [t for t in record.trials if t.outcome in ("failed", "diverged")]
    for name, trials, marker in (
        ("pruned, last score", unfinished, {"color": GREY, "symbol": "circle-open", "size": 6}),
        ("complete", record.complete, {"color": BLUE, "size": 7}),
    ):
        if trials:
            figure.add_scatter(
                name=name,
                mode="markers",
                marker=marker,
                x=[trial.number for trial in trials],
                y=[rounded(last_score(trial)) for trial in trials],
                text=[trial.spec.describe() if trial.spec else "" for trial in trials],
                hovertemplate="trial %{x}: %{y}<br>%{text}<extra></extra>",
            )
    if lost:
        figure.add_scatter(
            name="failed or diverged",
            mode="markers",
            marker={"color": VERMILLION, "symbol": "x-thin-open", "size": 8},
            x=[trial.number for trial in lost],
            y=[0.0] * len(lost),
            yaxis="y2",  # they have no score, and stand on the axis
            text=[trial.reason for trial in lost],
            hovertemplate="trial %{x}: %{text}<extra></extra>",
        )
    better = max if Direction(record.direction).sign > 0 else min
    best_so_far: list[float] = []
    for trial in record.complete:
        value = trial.value or 0.0
        best_so_far.append(better(best_so_far[-1], value) if best_so_far else value)
    if record.complete:
        last = max(trial.number for trial in record.trials)
        figure.add_scatter(
            name="best so far",
            mode="lines",
            line={"color": ORANGE, "shape": "hv", "width": 2.5},
            x=[*(trial.number for trial in record.complete), last],
            y=[rounded(value) for value in (*best_so_far, best_so_far[-1])],
            hoverinfo="skip",
        )
    scores = [trial.value for trial in record.complete if trial.value is not None]
    figure.update_layout(
        title=f"{record.name}: score by trial",
        template=TEMPLATE,
        xaxis={"title": "trial"},
        yaxis={"title": score_name(record), "range": focus(scores)},
        yaxis2={"overlaying": "y", "range": [-0.02, 1], "visible": False, "fixedrange": True},
        height=400,
    )
    return figure


def parallel_figure(record: StudyRecord, parameters: Sequence[str]) -> go.Figure:
    """A line for each complete trial, through its parameters to its score.

    Drawn as lines of a scatter plot, because plotly's own parallel coordinates need WebGL, cannot
    be printed, and have no place for a parameter that a trial does not have.
    """
    axes = [_Axis.of(record, name) for name in parameters]
    for axis in axes:
        if any(axis.name not in trial.params for trial in record.complete):
            axis.marks["none"] = ABSENT
    scores = [trial.value or 0.0 for trial in record.complete]
    low, high = focus(scores) or (min(scores) - 1e-9, max(scores) + 1e-9)
    sign = Direction(record.direction).sign
    worst, top = (low, high) if sign > 0 else (high, low)
    ranked = sorted(record.complete, key=lambda trial: -sign * (trial.value or 0.0))
    n_best, n_good = max(1, len(ranked) // 10), max(1, len(ranked) // 3)
    groups = (
        ("the others", ranked[n_good:], "rgba(118,118,118,0.35)", 1.0),
        ("best third", ranked[n_best:n_good], SKY, 1.3),
        ("best tenth", ranked[:n_best], VERMILLION, 2.0),
    )
    figure = go.Figure()
    for name, trials, color, width in groups:
        x: list[int | None] = []
        y: list[float | None] = []
        text: list[str | None] = []
        for trial in trials:
            end = min(max(((trial.value or 0.0) - worst) / (top - worst), -0.05), 1.0)
            x += [*range(len(axes) + 1), None]
            y += [*(axis.height(trial.params) for axis in axes), round(end, 4), None]
            text += [f"trial {trial.number}: {rounded(trial.value)}"] * (len(axes) + 1) + [None]
        if trials:
            figure.add_scatter(
                name=name,
                mode="lines",
                line={"color": color, "width": width},
                x=x,
                y=y,
                text=text,
                hovertemplate="%{text}<extra></extra>",
            )
    ends = _Axis(score_name(record), {f"{worst:.3g}": 0.0, f"{top:.3g}": 1.0})
    for position, axis in enumerate((*axes, ends)):
        figure.add_shape(
            type="line", x0=position, x1=position, y0=0, y1=1, line={"color": GREY, "width": 1}
        )
        for label, height in axis.marks.items():
            figure.add_annotation(
                x=position,
                y=height,
                text=label,
                showarrow=False,
                xanchor="left" if position < len(axes) else "right",
                xshift=4 if position < len(axes) else -4,
                font={"size": 11},
            )
    figure.update_layout(
        title=f"{record.name}: parallel coordinates",
        template=TEMPLATE,
        xaxis={
            "tickvals": list(range(len(axes) + 1)),
            "ticktext": [name.replace("_", "<br>") for name in (*parameters, score_name(record))],
            "showgrid": False,
            "range": [-0.5, len(axes) + 0.5],
            "ticklabeloverflow": "allow",
            "tickangle": 0,
        },
        yaxis={"visible": False, "range": [-0.14, 1.05]},
        hovermode="closest",
        height=440,
    )
    return figure


def slice_figure(record: StudyRecord, parameter: str) -> go.Figure:
    """Score of the complete trials by one parameter; triangles stand for scores beyond the edge."""
    trials = [trial for trial in record.complete if parameter in trial.params]
    values = [trial.params[parameter] for trial in trials]
    words = has_words(parameter, values)
    best = record.best()
    edges = focus(trial.value for trial in record.complete)
    low, high = edges or (-math.inf, math.inf)
    inset = 0.025 * (high - low) if edges else 0.0
    groups: dict[str, list[TrialRecord]] = {"inside": [], "below": [], "above": []}
    for trial in trials:
        value = trial.value or 0.0
        groups["below" if value < low else "above" if value > high else "inside"].append(trial)
    figure = go.Figure()
    for name, chosen, marker in (
        ("complete", groups["inside"], {"color": BLUE, "size": 6, "opacity": 0.7}),
        ("below", groups["below"], {"color": GREY, "size": 8, "symbol": "triangle-down"}),
        ("above", groups["above"], {"color": GREY, "size": 8, "symbol": "triangle-up"}),
        (
            "winner",
            [trial for trial in trials if trial.number == best.number],
            {"color": VERMILLION, "size": 11, "symbol": "diamond"},
        ),
    ):
        if not chosen and name in ("below", "above"):
            continue
        figure.add_scatter(
            name=name,
            mode="markers",
            marker=marker,
            x=[
                show_value(parameter, trial.params[parameter]) if words else trial.params[parameter]
                for trial in chosen
            ],
            y=[
                rounded(min(max(trial.value or 0.0, low + inset), high - inset)) for trial in chosen
            ],
            customdata=[trial.number for trial in chosen],
            text=[f"{rounded(trial.value)}" for trial in chosen],
            hovertemplate="trial %{customdata}: %{text}<br>" + parameter + " %{x}<extra></extra>",
        )
    figure.update_layout(
        title=f"{record.name}: score by {parameter}",
        template=TEMPLATE,
        xaxis={"title": parameter, "type": "category" if words else scale(record, parameter)},
        yaxis={"range": edges},
        showlegend=False,
        height=260,
    )
    if words:
        ordered = [show_value(parameter, value) for value in sorted(set(values), key=_order)]
        figure.update_xaxes(categoryorder="array", categoryarray=ordered)
    elif scale(record, parameter) == "log":
        figure.update_xaxes(**log_ticks(values))
    return figure


def pareto_figure(record: StudyRecord) -> go.Figure:
    """Score against weights of the complete trials, with their Pareto front."""
    front = pareto_front(record)
    joined = {trial.number for trial in front}
    others = [t for t in record.complete if t.number not in joined and t.n_weights is not None]
    figure = go.Figure()
    for name, trials, style in (
        ("complete trials", others, {"mode": "markers", "marker": {"color": GREY, "size": 6}}),
        (
            "no smaller one is better",
            front,
            {
                "mode": "lines+markers",
                "marker": {"color": ORANGE, "size": 9},
                "line": {"color": ORANGE, "shape": "hv", "width": 2},
            },
        ),
    ):
        if trials:
            figure.add_scatter(
                name=name,
                x=[trial.n_weights for trial in trials],
                y=[rounded(trial.value) for trial in trials],
                text=[f"trial {t.number}: {t.spec.describe() if t.spec else ''}" for t in trials],
                hovertemplate="%{text}<br>%{x} weights: %{y}<extra></extra>",
                **style,
            )
    figure.update_layout(
        title=f"{record.name}: score against weights",
        template=TEMPLATE,
        xaxis={
            "title": "weights",
            "type": "log",
            **log_ticks([t.n_weights for t in record.complete if t.n_weights] or [1]),
        },
        yaxis={
            "title": score_name(record),
            "range": focus(trial.value for trial in record.complete),
        },
        height=400,
    )
    return figure


@dataclass(frozen=True)
class _Axis:
    """One axis of parallel coordinates: labels by their height, in [0, 1]."""

    name: str
    marks: dict[str, float]
    to_height: Callable[[Any], float] = float

    @classmethod
    def of(cls, record: StudyRecord, name: str) -> "_Axis":
        values = sorted({t.params[name] for t in record.complete if name in t.params}, key=_order)
        if has_words(name, values):
            steps = max(1, len(values) - 1)
            heights = {show_value(name, value): k / steps for k, value in enumerate(values)}
            return cls(name, heights, lambda value: heights[show_value(name, value)])
        scaled = math.log if scale(record, name) == "log" else float
        low, high = scaled(values[0]), scaled(values[-1])

        def to_height(value: Any) -> float:
            return (scaled(value) - low) / (high - low) if high > low else 0.5

        shown = values if len(values) <= MAX_MARKS else [values[0], values[-1]]
        return cls(name, {f"{value:.3g}": to_height(value) for value in shown}, to_height)

    def height(self, params: Mapping[str, Any]) -> float:
        """Where a trial crosses the axis; below it where it does not have the parameter."""
        return round(self.to_height(params[self.name]), 4) if self.name in params else ABSENT


def _order(value: Any) -> Any:
    return str(value) if isinstance(value, str | bool) else value
