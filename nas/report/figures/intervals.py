"""Figures of what the analysis found, with intervals."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from scipy.stats import t as student

from nas.analysis.budget import Budget
from nas.analysis.effects import Effect
from nas.analysis.importance import Importance, ranked_parameters, rests_on
from nas.analysis.significance import Comparison, describe
from nas.direction import Direction
from nas.experiments.baselines import Baseline
from nas.report.figures.style import BLUE, GREEN, GREY, ORANGE, TEMPLATE, rounded, score_name
from nas.study.record import StudyRecord

EVALUATOR_NAMES = {"fanova": "fANOVA", "ped_anova": "PED-ANOVA"}
COLORS = {"fanova": BLUE, "ped_anova": ORANGE}
MAX_LABEL = 18  # characters of a line beside a figure
APART = 0.14  # two scores of one model, where a row is 1 high
FARTHEST = 15  # the picture ends at so many times the region of equivalence


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


def effect_figure(effect: Effect) -> go.Figure:
    """Estimated score by value with its interval, and the best found; trials below each value."""
    names = [
        f"{level.label}<br>{level.n_complete}" + f" ({level.n_pruned})" * (level.n_pruned > 0)
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
            y=[rounded(estimate) for _, estimate, _ in known],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [rounded(high - estimate) for _, estimate, (_, high) in known],
                "arrayminus": [rounded(estimate - low) for _, estimate, (low, _) in known],
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
        y=[rounded(level.best) for level in effect.levels],
        text=["" if level.best is None else f"trial {level.best_trial}" for level in effect.levels],
        hovertemplate="%{text}: %{y}<extra></extra>",
    )
    figure.update_layout(
        title=f"The effect of {effect.parameter}, other parameters averaged out",
        template=TEMPLATE,
        xaxis={
            "title": f"{effect.parameter.replace('_', ' ')}; below it complete trials"
            + " (pruned)" * any(level.n_pruned for level in effect.levels),
            "type": "category",
            "categoryorder": "array",
            "categoryarray": names,
        },
        yaxis={"title": "score"},
        height=420,
    )
    return figure


def significance_figure(comparisons: Sequence[Comparison], rope: float, n_folds: int) -> go.Figure:
    """Differences with 95 % intervals, and the region of practical equivalence behind them.

    The picture ends at `FARTHEST` times the region, so that a wide interval, as two folds have it,
    leaves the region visible; triangles stand for differences beyond.

    Args:
        comparisons: What is compared, the first at the top.
        rope: Half the width of the region, in the metric's unit; see `rope_width`.
        n_folds: Scores that each comparison rests on.
    """
    quantile = float(student.ppf(0.975, n_folds - 1))
    rows = list(comparisons)[::-1]
    edge = FARTHEST * rope if rope else math.inf
    far = [row for row in rows if abs(row.difference) > edge]
    reach = [
        row.difference + side * (0.0 if row in far else quantile * row.stderr)
        for row in rows
        for side in (-1, 1)
    ]
    ends = _cut(min([-rope, *reach]), max([rope, *reach]), edge)
    inset = 0.02 * (ends[1] - ends[0]) if ends else 0.0
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
            x=[rounded(row.difference) for row in chosen]
            if width
            else [sign * (edge - inset) for sign in signs],
            y=[_pair(row) for row in chosen],
            error_x={
                "type": "data",
                "array": [rounded(width * row.stderr) for row in chosen] if width else None,
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
        xaxis={"title": "difference in score", "range": ends},
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [_pair(row) for row in rows],
            "range": [-0.6, len(rows) - 0.4],
        },
        height=130 + (44 if any("<br>" in _pair(row) for row in rows) else 32) * len(rows),
    )
    return figure


def _cut(low: float, high: float, edge: float) -> list[float] | None:
    """The range of an axis that ends at `edge` on either side; None where nothing lies beyond."""
    if -edge <= low and high <= edge:
        return None
    pad = 0.04 * (min(high, edge) - max(low, -edge))
    return [max(low - pad, -edge), min(high + pad, edge)]


def _pair(comparison: Comparison) -> str:
    """Both values; over two lines where one would leave a phone's width no room for the rest."""
    text = f"{comparison.a} against {comparison.b}"
    return text if len(text) <= MAX_LABEL else text.replace(" against ", "<br>against ")


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
    sign = Direction(record.direction).sign
    rows.sort(key=lambda row: sign * (row[1] or 0.0))
    names = [f"<b>{row[0]}</b>" if row[0] == "this network" else row[0] for row in rows]
    figure = go.Figure()
    figure.add_scatter(
        name="mean over folds ± standard error",
        mode="markers",
        marker={"color": BLUE, "size": 10},
        x=[rounded(row[1]) for row in rows],
        y=[place + APART for place in range(len(rows))],
        text=names,
        hovertemplate="%{text}: %{x}<extra></extra>",
        error_x={"type": "data", "array": [row[2] for row in rows], "color": BLUE},
    )
    test = [
        (place, row[3], row[4] or (row[3], row[3]))
        for place, row in enumerate(rows)
        if row[3] is not None
    ]
    if test:
        figure.add_scatter(
            name="test part, 95 % interval",
            mode="markers",
            marker={"color": ORANGE, "size": 10, "symbol": "diamond"},
            x=[rounded(value) for _, value, _ in test],
            y=[place - APART for place, _, _ in test],
            text=[names[place] for place, _, _ in test],
            hovertemplate="%{text}: %{x}<extra></extra>",
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
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": names,
            "range": [-0.6, len(rows) - 0.4],
        },
        height=150 + 48 * len(rows),
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
        y=[rounded(value) for _, value in budget.expected],
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
