"""Figures, each from plain results of `nas.analysis`, and their way into a file."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import t as student

from nas.analysis.baselines import Baseline
from nas.analysis.budget import Budget
from nas.analysis.effects import Effect
from nas.analysis.importance import Importance, ranked_parameters, rests_on
from nas.analysis.significance import Comparison, describe
from nas.analysis.winner import pareto_front
from nas.errors import NasError, first_line
from nas.space import Range, parse_space
from nas.study import StudyRecord, TrialRecord

EVALUATOR_NAMES = {"fanova": "fANOVA", "ped_anova": "PED-ANOVA"}
# Okabe and Ito's colours: told apart by all readers, on white and on black.
BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILLION, PURPLE = "#E69F00", "#D55E00", "#CC79A7"
COLORWAY = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
GREY = "#767676"  # the same contrast, 4.5, on white and on black: for pages of either kind
COLORS = {"fanova": BLUE, "ped_anova": ORANGE}
STATIC_FORMATS = (".png", ".svg", ".pdf")
MAX_MARKS = 8  # values of an axis that each get a label
ABSENT = -0.1  # height below an axis for trials without its parameter
FARTHEST = 15  # differences are drawn up to so many times the region of equivalence

_GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "automargin": True}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": COLORWAY,
        "xaxis": _GRID,
        "yaxis": _GRID,
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
)


def importance_figure(importance: Importance) -> go.Figure:
    """Horizontal bars, one group a parameter, one bar an evaluator."""
    names = ranked_parameters(importance)[::-1]
    figure = go.Figure()
    for evaluator, shares in reversed(importance.shares.items()):
        figure.add_bar(
            name=EVALUATOR_NAMES[evaluator],
            y=names,
            x=[shares.get(name) for name in names],
            orientation="h",
            marker_color=COLORS[evaluator],
            texttemplate="%{x:.0%}",
            textposition="outside",
            cliponaxis=False,
        )
    figure.update_layout(
        title=f"{importance.study}: which parameters mattered<br><sup>{rests_on(importance)}</sup>",
        template=TEMPLATE,
        xaxis={
            "tickformat": ".0%",
            "title": "share of importance",
            "range": [0, 1.15 * max(max(shares.values()) for shares in importance.shares.values())],
        },
        legend={"traceorder": "reversed"},
        height=180 + 50 * len(names),
    )
    return figure


def history_figure(record: StudyRecord) -> go.Figure:
    """Score by trial, the best so far, and the trials that did not get to their end."""
    figure = go.Figure()
    unfinished = [t for t in record.trials if t.outcome == "pruned" and _last_score(t) is not None]
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
                y=[_rounded(_last_score(trial)) for trial in trials],
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
    better = _better(record)
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
            y=[_rounded(value) for value in (*best_so_far, best_so_far[-1])],
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
    sign = 1.0 if record.direction == "maximize" else -1.0
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
            text += [f"trial {trial.number}: {_rounded(trial.value)}"] * (len(axes) + 1) + [None]
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
    """Score of the complete trials by one parameter."""
    trials = [trial for trial in record.complete if parameter in trial.params]
    values = [trial.params[parameter] for trial in trials]
    words = any(isinstance(value, str | bool) for value in values)
    best = record.best()
    figure = go.Figure()
    for name, chosen, marker in (
        ("complete", trials, {"color": BLUE, "size": 6, "opacity": 0.7}),
        (
            "winner",
            [trial for trial in trials if trial.number == best.number],
            {"color": VERMILLION, "size": 11, "symbol": "diamond"},
        ),
    ):
        figure.add_scatter(
            name=name,
            mode="markers",
            marker=marker,
            x=[
                _plain(trial.params[parameter]) if words else trial.params[parameter]
                for trial in chosen
            ],
            y=[_rounded(trial.value) for trial in chosen],
            customdata=[trial.number for trial in chosen],
            hovertemplate="trial %{customdata}: %{y}<br>" + parameter + " %{x}<extra></extra>",
        )
    figure.update_layout(
        title=f"{record.name}: score by {parameter}",
        template=TEMPLATE,
        xaxis={"title": parameter, "type": "category" if words else scale(record, parameter)},
        yaxis={"range": focus([trial.value for trial in record.complete if trial.value])},
        showlegend=False,
        height=260,
    )
    if words:
        figure.update_xaxes(categoryorder="category ascending")
    elif scale(record, parameter) == "log":
        figure.update_xaxes(**_log_ticks(values))
    return figure


def loss_figure(trial: TrialRecord) -> go.Figure:
    """Training and validation loss by epoch: the mean over folds, and a band from fold to fold.

    Raises:
        ValueError: When the trial has no curves.
    """
    if not has_curves(trial) or trial.curves is None:
        raise ValueError(f"trial {trial.number} has no curves")
    figure = go.Figure()
    for name, rows, color in (
        ("training", trial.curves.train_loss, BLUE),
        ("validation", trial.curves.val_loss, VERMILLION),
    ):
        _add_band(figure, name, np.array(rows), color)
    figure.update_layout(
        title=f"Trial {trial.number}: loss by epoch",
        template=TEMPLATE,
        xaxis={"title": "epoch"},
        yaxis={"title": "loss", "rangemode": "tozero"},
        height=360,
    )
    return figure


def score_curves_figure(record: StudyRecord, trials: Sequence[TrialRecord]) -> go.Figure:
    """Validation score by epoch: the first trial with its folds, the others as means."""
    figure = go.Figure()
    for rank, (trial, color) in enumerate(zip(trials, COLORWAY, strict=False)):
        name = f"trial {trial.number}" + (" (winner)" if rank == 0 else "")
        if rank == 0 and has_curves(trial) and trial.curves is not None:
            _add_band(figure, name, np.array(trial.curves.val_value), color)
            continue
        epochs = sorted(trial.epoch_values)
        figure.add_scatter(
            name=name,
            mode="lines",
            line={"color": color, "width": 2.5 if rank == 0 else 1.5},
            x=epochs,
            y=[_rounded(trial.epoch_values[epoch]) for epoch in epochs],
        )
    late = [
        value
        for trial in trials
        for epoch, value in trial.epoch_values.items()
        if epoch > max(trial.epoch_values) / 4
    ]
    if trials and (curves := trials[0].curves) is not None:
        late += [v for row in curves.val_value[len(curves.val_value) // 4 :] for v in row]
    figure.update_layout(
        title=f"{record.name}: score by epoch",
        template=TEMPLATE,
        xaxis={"title": "epoch"},
        yaxis={"title": f"validation {score_name(record)}", "range": focus(late)},
        height=360,
    )
    return figure


def significance_figure(comparisons: Sequence[Comparison], rope: float, n_folds: int) -> go.Figure:
    """Differences with 95 % intervals, and the region of practical equivalence behind them.

    Args:
        comparisons: What is compared, the first at the top.
        rope: Half the width of the region, in the metric's unit; see `rope_width`.
        n_folds: Scores that each comparison rests on.
    """
    quantile = float(student.ppf(0.975, n_folds - 1))
    rows = list(comparisons)[::-1]
    edge = FARTHEST * rope if rope else math.inf
    far = [row for row in rows if abs(row.difference) > edge]
    figure = go.Figure()
    figure.add_vrect(x0=-rope, x1=rope, fillcolor=GREEN, opacity=0.18, line_width=0)
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    for chosen, width in (([row for row in rows if row not in far], quantile), (far, None)):
        signs = [math.copysign(1, row.difference) for row in chosen]
        figure.add_scatter(
            mode="markers" if width else "markers+text",
            marker={
                "color": BLUE,
                "size": 9,
                "symbol": "circle"
                if width
                else [f"triangle-{'left' if sign < 0 else 'right'}" for sign in signs],
            },
            x=[_rounded(row.difference) for row in chosen]
            if width
            else [sign * edge for sign in signs],
            y=[_pair(row) for row in chosen],
            error_x={
                "type": "data",
                "array": [_rounded(width * row.stderr) for row in chosen] if width else None,
                "color": BLUE,
                "thickness": 2,
                "width": 5,
            },
            text=None if width else [f"{row.difference:.2g}" for row in chosen],
            textposition=None
            if width
            else [f"middle {'right' if s < 0 else 'left'}" for s in signs],
            hovertext=[describe(row) for row in chosen],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
    figure.update_layout(
        title="Which differences are real",
        template=TEMPLATE,
        xaxis={"title": "difference in score"},
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [_pair(row) for row in rows],
            "range": [-0.6, len(rows) - 0.4],
        },
        height=130 + 32 * len(rows),
    )
    return figure


def _pair(comparison: Comparison) -> str:
    return f"{comparison.a} against {comparison.b}"


def baselines_figure(record: StudyRecord, baselines: Sequence[Baseline]) -> go.Figure:
    """The winner beside plain models: scores over folds and on the test part, with intervals."""
    best = record.best()
    tested = record.winner if record.winner.get("trial") == best.number else {}
    rows = [
        (
            "this network",
            best.value,
            best.stderr,
            tested.get("test_value"),
            tested.get("test_interval"),
        )
    ]
    rows += [(b.name, b.value, b.stderr, b.test_value, b.test_interval) for b in baselines]
    rows = [row for row in rows if row[1] is not None]
    sign = 1.0 if record.direction == "maximize" else -1.0
    rows.sort(key=lambda row: sign * (row[1] or 0.0))
    names = [f"<b>{row[0]}</b>" if row[0] == "this network" else row[0] for row in rows]
    figure = go.Figure()
    figure.add_scatter(
        name="mean over folds ± standard error",
        mode="markers",
        marker={"color": BLUE, "size": 10},
        x=[_rounded(row[1]) for row in rows],
        y=names,
        error_x={"type": "data", "array": [row[2] for row in rows], "color": BLUE},
    )
    test = [
        (name, row[3], row[4] or (row[3], row[3]))
        for name, row in zip(names, rows, strict=True)
        if row[3] is not None
    ]
    if test:
        figure.add_scatter(
            name="test part, 95 % interval",
            mode="markers",
            marker={"color": ORANGE, "size": 10, "symbol": "diamond"},
            x=[_rounded(value) for _, value, _ in test],
            y=[name for name, _, _ in test],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - value for _, value, (_, high) in test],
                "arrayminus": [value - low for _, value, (low, _) in test],
                "color": ORANGE,
            },
        )
    figure.update_layout(
        title=f"{record.name}: the winner beside plain models",
        template=TEMPLATE,
        xaxis={"title": score_name(record)},
        yaxis={"type": "category", "automargin": True},
        height=150 + 44 * len(rows),
    )
    return figure


def effect_figure(effect: Effect) -> go.Figure:
    """Estimated score by value with its interval, and the best found; trials below each value."""
    names = [
        f"{level.label}<br><sup>{level.n_complete} + {level.n_pruned} pruned</sup>"
        for level in effect.levels
    ]
    known = [
        (name, level.estimate, level.interval)
        for name, level in zip(names, effect.levels, strict=True)
        if level.estimate is not None and level.interval is not None
    ]
    figure = go.Figure()
    if known:
        figure.add_scatter(
            name="estimate, 95 % interval",
            mode="markers",
            marker={"color": BLUE, "size": 10},
            x=[name for name, _, _ in known],
            y=[_rounded(estimate) for _, estimate, _ in known],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [_rounded(high - estimate) for _, estimate, (_, high) in known],
                "arrayminus": [_rounded(estimate - low) for _, estimate, (low, _) in known],
                "color": BLUE,
                "thickness": 2,
                "width": 6,
            },
        )
    figure.add_scatter(
        name="best found",
        mode="markers",
        marker={"color": ORANGE, "size": 10, "symbol": "diamond"},
        x=names,
        y=[_rounded(level.best) for level in effect.levels],
        text=["" if level.best is None else f"trial {level.best_trial}" for level in effect.levels],
        hovertemplate="%{text}: %{y}<extra></extra>",
    )
    figure.update_layout(
        title=f"The effect of {effect.parameter}, other parameters averaged out",
        template=TEMPLATE,
        xaxis={
            "title": f"{effect.parameter}, with complete trials",
            "type": "category",
            "categoryorder": "array",
            "categoryarray": names,
        },
        yaxis={"title": "score"},
        height=420,
    )
    return figure


def budget_figure(budget: Budget) -> go.Figure:
    """The best score to be expected against the number of trials, on a log scale."""
    figure = go.Figure()
    figure.add_scatter(
        mode="lines+markers",
        line={"color": BLUE, "width": 2.5},
        marker={"size": 8},
        x=[n for n, _ in budget.expected],
        y=[_rounded(value) for _, value in budget.expected],
        hovertemplate="%{x} trials: %{y}<extra></extra>",
    )
    figure.update_layout(
        title="Do more trials help?",
        template=TEMPLATE,
        xaxis={
            "title": "trials",
            "type": "log",
            "tickvals": [n for n, _ in budget.expected],
            "ticktext": [str(n) for n, _ in budget.expected],
        },
        yaxis={"title": "expected best score"},
        height=360,
    )
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
                y=[_rounded(trial.value) for trial in trials],
                text=[f"trial {t.number}: {t.spec.describe() if t.spec else ''}" for t in trials],
                hovertemplate="%{text}<br>%{x} weights: %{y}<extra></extra>",
                **style,
            )
    figure.update_layout(
        title=f"{record.name}: score against weights",
        template=TEMPLATE,
        xaxis={"title": "weights", "type": "log"},
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
        if any(isinstance(value, str | bool) for value in values):
            heights = {_plain(v): k / max(1, len(values) - 1) for k, v in enumerate(values)}
            return cls(name, heights, lambda value: heights[_plain(value)])
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


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def scale(record: StudyRecord, parameter: str) -> str:
    """`log` for a parameter whose numbers are spread over orders of magnitude, else `linear`."""
    values = [t.params[parameter] for t in record.complete if parameter in t.params]
    key = "width" if parameter.startswith("width_") else parameter
    entry = parse_space(record.settings["space"]).parameters.get(key)
    if entry is not None and isinstance(entry.domain, Range):
        return "log" if entry.domain.log else "linear"
    numbers = [v for v in values if not isinstance(v, str | bool)]
    wide = bool(numbers) and min(numbers) > 0 and max(numbers) >= 30 * min(numbers)
    return "log" if wide else "linear"


def score_name(record: StudyRecord) -> str:
    """What trials are scored by, for an axis."""
    return {"r2": "R²", "auc": "AUC", "rmse": "RMSE", "mae": "MAE", "f1": "F1"}.get(
        record.metric, record.metric.replace("_", " ")
    )


def has_curves(trial: TrialRecord) -> bool:
    """Whether losses were recorded by epoch."""
    return trial.curves is not None and bool(trial.curves.train_loss)


def focus(scores: Iterable[float | None]) -> list[float] | None:
    """A range that holds all scores but far outliers; None where nothing differs.

    Outliers lie beyond three times the distance of the quartiles from these (Tukey 1977).
    """
    known = [score for score in scores if score is not None and math.isfinite(score)]
    if len(set(known)) < 2:
        return None
    first, third = np.percentile(known, [25, 75])
    margin = 3 * (third - first)
    inner = [score for score in known if first - margin <= score <= third + margin]
    low, high = min(inner), max(inner)
    pad = 0.06 * (high - low) or 0.06 * abs(high)
    return [float(low - pad), float(high + pad)]


def _log_ticks(values: Sequence[float]) -> dict[str, Any]:
    """Powers of ten, or over less than two decades 1, 2 and 5 of each."""
    if max(values) >= 100 * min(values):
        return {"dtick": 1, "exponentformat": "power"}
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _last_score(trial: TrialRecord) -> float | None:
    if trial.value is not None or not trial.epoch_values:
        return trial.value
    return trial.epoch_values[max(trial.epoch_values)]


def _better(record: StudyRecord) -> Callable[[float, float], float]:
    return max if record.direction == "maximize" else min


def _rounded(value: float | None) -> float | None:
    """Six digits: fewer bytes than all, and more than anyone reads off a figure."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _add_band(figure: go.Figure, name: str, rows: NDArray[Any], color: str) -> None:
    """The mean over folds by epoch, and the range from the lowest to the highest fold.

    Args:
        rows: Shape (n_epochs, n_folds); NaN after a fold's end.
    """
    known = np.ma.masked_invalid(rows)
    x = np.flatnonzero(known.count(axis=1) > 0)
    known = known[x]
    epochs = (x + 1).tolist()
    if rows.shape[1] > 1:
        low, high = known.min(axis=1).tolist(), known.max(axis=1).tolist()
        red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
        figure.add_scatter(
            x=[*epochs, *epochs[::-1]],
            y=[_rounded(value) for value in (*high, *low[::-1])],
            fill="toself",
            fillcolor=f"rgba({red},{green},{blue},0.2)",
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        name=name,
        mode="lines" if len(epochs) > 1 else "markers",
        line={"color": color, "width": 2.5},
        x=epochs,
        y=[_rounded(value) for value in known.mean(axis=1).tolist()],
    )


def save_figure(figure: go.Figure, path: Path) -> None:
    """Writes a figure as HTML that opens offline, or as PNG, SVG or PDF.

    Raises:
        NasError: When the ending is unknown, the folder does not exist, or a picture cannot be
            drawn because Kaleido or its browser is missing.
    """
    if not path.parent.is_dir():
        raise NasError(str(path), f"no folder '{path.parent}'", "a folder that exists")
    suffix = path.suffix.lower()
    if suffix == ".html":
        # The button would send the figure to plotly's own servers.
        config = {"modeBarButtonsToRemove": ["sendChartToCloud"]}
        page = figure.to_html(config=config, include_plotlyjs=True, full_html=True)
        path.write_text(page, encoding="utf-8")
        return
    if suffix not in STATIC_FORMATS:
        raise NasError(str(path), f"the ending '{suffix}'", ".html, " + ", ".join(STATIC_FORMATS))
    try:
        picture = figure.to_image(format=suffix[1:], width=900, scale=2)
    except Exception as error:  # Kaleido raises its own, plotly ValueError, the browser others
        raise NasError(
            str(path),
            f"a picture cannot be drawn ({first_line(error, 100)})",
            fix="Install Kaleido and Chrome or Chromium (pip install 'nas[png]'), or write .html.",
        ) from error
    path.write_bytes(picture)
