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

from nas.report.figures.style import COLORWAY, GREY
from nas.study import StudyRecord

COLUMNS = {
    "time": "training time, s",
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
    """A row a network, a column a measure, with the published figures beside them."""
    published = [c for c in columns if any(c in n.published for n in networks)]
    header = ["network", *(COLUMNS[c] for c in columns)]
    header += [f"{COLUMNS[c]}, published" for c in published]
    rows = []
    for network in networks:
        cells = [
            f"{network.seconds:.1f}" if c == "time" else spread(getattr(network, c))
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


def real_differences(networks: Sequence[Trained]) -> list[tuple[str, str, float, float]]:
    """Pairs of networks whose mean test accuracies differ, with difference and p-value.

    Games and Howell's test (1976) over seeds, which corrects for the number of pairs.
    """
    # Without any spread, as of networks that all predict one class, the test is undefined.
    kept = [n for n in networks if len(n.test_value) > 1 and n.test_value.std() > 0.0]
    if len(kept) < 2:
        return []
    result = stats.tukey_hsd(*[n.test_value for n in kept], equal_var=False)
    return [
        (a.name, b.name, float(a.test_value.mean() - b.test_value.mean()), result.pvalue[i, j])
        for i, a in enumerate(kept)
        for j, b in enumerate(kept)
        if i < j and result.pvalue[i, j] < 0.05
    ]


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
                             annotation_position="bottom left")  # fmt: skip
        figure.update_xaxes(title=x_title, row=1, col=column)
    return _styled(figure)


def bars_figure(
    networks: Sequence[Trained], published: Mapping[str, float] | None = None
) -> go.Figure:
    """Test accuracies with their 95 % intervals, and published ones as diamonds."""
    figure = go.Figure()
    names = [n.name for n in networks]
    figure.add_bar(
        x=[float(np.nan_to_num(n.test_value).mean()) for n in networks],
        y=names,
        error_x={"type": "data", "array": [interval(n.test_value) for n in networks]},
        orientation="h",
        name="measured",
        marker={"color": COLORWAY[0]},
    )
    if published:
        figure.add_scatter(
            x=list(published.values()), y=list(published), mode="markers", name="published",
            marker={"symbol": "diamond", "size": 11, "color": COLORWAY[1]},
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="test accuracy")
    return _styled(figure, height=130 + 34 * len(networks))


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
        f"{best.number}: `{best.spec.describe()}`, {best.n_weights:,} weights, "
        f"validation {record.metric} {best.value:.4f}{error}.",
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
