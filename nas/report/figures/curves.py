"""Figures of learning curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from nas.report.figures.style import (
    BLUE,
    COLORWAY,
    TEMPLATE,
    VERMILLION,
    focus,
    rounded,
    score_name,
)
from nas.study.record import StudyRecord, TrialRecord


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
            y=[rounded(trial.epoch_values[epoch]) for epoch in epochs],
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


def has_curves(trial: TrialRecord) -> bool:
    """Whether losses were recorded by epoch."""
    return trial.curves is not None and bool(trial.curves.train_loss)


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
            y=[rounded(value) for value in (*high, *low[::-1])],
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
        y=[rounded(value) for value in known.mean(axis=1).tolist()],
    )
