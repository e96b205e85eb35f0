"""Tables, figures and the README of a study."""

import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from runs import Trained
from scipy import stats

from nas.cli.output import show_params
from nas.report.figures.style import COLORWAY, GREY
from nas.study.record import StudyRecord

COLUMNS = {
    "time": "time, s",
    "epochs": "epochs",
    "train_loss": "training loss",
    "train_value": "training accuracy",
    "test_loss": "test loss",
    "test_value": "test accuracy",
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is flush right."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def spread(values: Sequence[float] | np.ndarray, digits: int = 4) -> str:
    """Mean and standard deviation over seeds."""
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        n = int((~np.isfinite(values)).sum())
        return f"diverged ({n} of {len(values)})"
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def results_table(networks: Sequence[Trained], columns: Sequence[str] = tuple(COLUMNS)) -> str:
    """A row a network, a column a measure, with the published figures beside them.

    Time is that of all seeds, which train together, divided by their number.
    """
    published = [c for c in columns if any(c in n.published for n in networks)]
    header = ["network", *(COLUMNS[c] for c in columns)]
    header += [f"{COLUMNS[c]}, published" for c in published]
    rows = []
    for network in networks:
        cells = [
            f"{network.seconds:.1f}"
            if c == "time"
            else spread(getattr(network, c), digits=1 if c == "epochs" else 4)
            for c in columns
        ]
        rows.append([network.name, *cells, *(network.published.get(c, "–") for c in published)])
    return table(header, rows)


def causes_table(networks: Sequence[Trained]) -> str:
    """What `nas diagnose` finds in the first seed's network of each."""
    rows = [
        [n.name, "; ".join(f"**{title}** ({why})" for title, why in n.causes) or "nothing wrong"]
        for n in networks
    ]
    return table(["network", "causes, the strongest evidence first"], rows).replace("---:|", "---|")


def real_differences(
    networks: Sequence[Trained], measure: str = "test_value"
) -> list[tuple[str, str, float, float]]:
    """Pairs of networks whose means of a measure differ, with difference and p-value.

    Games and Howell's test (1976) over seeds, which corrects for the number of pairs.
    """
    # Without any spread, as of networks that all predict one class, the test is undefined.
    values = {n.name: getattr(n, measure) for n in networks}
    kept = [n for n in networks if len(values[n.name]) > 1 and values[n.name].std() > 0.0]
    if len(kept) < 2:
        return []
    result = stats.tukey_hsd(*[values[n.name] for n in kept], equal_var=False)
    return [
        (a.name, b.name, float(values[a.name].mean() - values[b.name].mean()), result.pvalue[i, j])
        for i, a in enumerate(kept)
        for j, b in enumerate(kept)
        if i < j and result.pvalue[i, j] < 0.05
    ]


def difference(a: Trained, b: Trained, measure: str = "test_value", n_comparisons: int = 1) -> str:
    """By how much `a` is above `b`, in words, with the 95 % interval and p-value over seeds.

    Welch's test; with several comparisons the p-value is multiplied by their number (Bonferroni).
    """
    x, y = getattr(a, measure), getattr(b, measure)
    by = float(x.mean() - y.mean())
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return "not to be told, since a network diverged"
    if len(x) < 2 or not x.std() + y.std() > 0.0:
        return f"{by:+.4f}"
    test = stats.ttest_ind(x, y, equal_var=False)
    low, high = test.confidence_interval(0.95)
    p = min(1.0, n_comparisons * float(test.pvalue))
    shown = f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"
    return f"{by:+.4f} ({low:+.4f} to {high:+.4f}, {shown})"


def interval(values: np.ndarray) -> float:
    """Half the 95 % interval of a mean over seeds, by Student's t."""
    if len(values) < 2:
        return 0.0
    quantile = float(stats.t.ppf(0.975, len(values) - 1))
    return quantile * float(values.std(ddof=1)) / math.sqrt(len(values))


def lines_figure(
    panels: Mapping[str, Mapping[str, tuple[Sequence[Any], Sequence[np.ndarray]]]],
    x_title: str,
    published: Mapping[str, tuple[float, float]] | None = None,
) -> go.Figure:
    """Panels side by side, each with lines of means and their 95 % intervals.

    Args:
        panels: By title, then by line: positions, and the values at each.
        x_title: Of the axis.
        published: A published range for a panel, shaded.
    """
    figure = make_subplots(1, len(panels), subplot_titles=list(panels), horizontal_spacing=0.1)
    for column, (title, lines) in enumerate(panels.items(), start=1):
        for number, (name, (x, groups)) in enumerate(lines.items()):
            figure.add_scatter(
                x=list(x),
                y=[float(np.mean(g)) for g in groups],
                error_y={"type": "data", "array": [interval(np.asarray(g)) for g in groups]},
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                mode="lines+markers",
                line={"color": COLORWAY[number % len(COLORWAY)]},
                row=1,
                col=column,
            )
        if published and title in published:
            low, high = published[title]
            figure.add_hrect(y0=low, y1=high, fillcolor=GREY, opacity=0.15, line_width=0,
                             row=1, col=column, annotation_text="published",
                             annotation_position="top left")  # fmt: skip
        figure.update_xaxes(title=x_title, row=1, col=column)
    return _styled(figure)


def points_figure(
    networks: Sequence[Trained],
    published: Mapping[str, float] | None = None,
    start: float = 0.0,
) -> go.Figure:
    """Test accuracies of all seeds, their means with 95 % intervals, and published ones.

    Args:
        networks: From top to bottom.
        published: Published accuracies by network, drawn as diamonds.
        start: Where the axis begins, which ends at 1.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[float(value) for n in networks for value in n.test_value],
        y=[n.name for n in networks for _ in n.test_value],
        mode="markers", name="each seed",
        marker={"size": 6, "color": COLORWAY[0], "opacity": 0.4},
    )  # fmt: skip
    figure.add_scatter(
        x=[float(n.test_value.mean()) for n in networks],
        y=[n.name for n in networks],
        error_x={"type": "data", "array": [interval(n.test_value) for n in networks]},
        mode="markers", name="mean, 95 % interval",
        marker={"symbol": "line-ns-open", "size": 14, "line_width": 2, "color": COLORWAY[0]},
    )  # fmt: skip
    if published:
        figure.add_scatter(
            x=list(published.values()), y=list(published), mode="markers", name="published",
            marker={"symbol": "diamond-open", "size": 13, "line_width": 2, "color": COLORWAY[1]},
        )  # fmt: skip
    names = [n.name for n in networks]
    figure.update_yaxes(categoryorder="array", categoryarray=names, range=[len(names) - 0.5, -0.5])
    figure.update_xaxes(title="test accuracy", range=[start, 1.0])
    # Without titles above it, the picture needs no room there.
    return _styled(figure, height=120 + 30 * len(networks)).update_layout(margin_t=20)


def _styled(figure: go.Figure, height: int = 380) -> go.Figure:
    figure.update_layout(
        template="plotly_white", width=900, height=height, margin={"t": 50, "r": 20},
        font={"family": "sans-serif", "size": 13},
        legend={"orientation": "h", "y": -0.25},
    )  # fmt: skip
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def search_text(record: StudyRecord, minutes: float) -> str:
    """What a search found, in a few lines."""
    best = record.best()
    assert best.spec is not None
    outcomes = [trial.outcome for trial in record.counted]
    counts = ", ".join(f"{outcomes.count(o)} {o}" for o in sorted(set(outcomes)))
    error = f" ± {best.stderr:.4f}" if best.stderr is not None else ""
    lines = [
        f"{len(record.counted)} trials ({counts}) in {minutes:.1f} minutes. The best, trial "
        f"{best.number}: `{best.spec.describe()}` ({show_params(best.params)}), "
        f"{best.n_weights:,} weights, validation {record.metric} {best.value:.4f}{error}.",
    ]
    if record.winner.get("test_value") is not None:
        low, high = record.winner["test_interval"]
        lines.append(
            f"Trained again on all but the test rows, and scored there once: **"
            f"{record.winner['test_value']:.4f}** (95 % interval {low:.4f} to {high:.4f})."
        )
    return " ".join(lines)


def machine() -> str:
    """The machine in a few words."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{n_cores} cores of {model}"
