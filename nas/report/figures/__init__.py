"""Figures, each from plain results of `nas.analysis`."""

from nas.report.figures.curves import has_curves, loss_figure, score_curves_figure
from nas.report.figures.intervals import (
    baselines_figure,
    budget_figure,
    effect_figure,
    importance_figure,
    significance_figure,
)
from nas.report.figures.style import TEMPLATE, focus, save_figure, score_name
from nas.report.figures.trials import (
    history_figure,
    parallel_figure,
    pareto_figure,
    slice_figure,
)

__all__ = [
    "TEMPLATE",
    "baselines_figure",
    "budget_figure",
    "effect_figure",
    "focus",
    "has_curves",
    "history_figure",
    "importance_figure",
    "loss_figure",
    "parallel_figure",
    "pareto_figure",
    "save_figure",
    "score_curves_figure",
    "score_name",
    "significance_figure",
    "slice_figure",
]
