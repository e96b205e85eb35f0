"""Figures, each from plain results of `nas.analysis`, and their way into a file."""

from pathlib import Path

import plotly.graph_objects as go

from nas.analysis.importance import Importance, ranked_parameters, rests_on
from nas.errors import NasError, first_line

EVALUATOR_NAMES = {"fanova": "fANOVA", "ped_anova": "PED-ANOVA"}
# Okabe and Ito's colours: told apart by all readers, on white and on black.
COLORS = {"fanova": "#0072B2", "ped_anova": "#E69F00"}
STATIC_FORMATS = (".png", ".svg", ".pdf")


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
        template="plotly_white",
        xaxis={"tickformat": ".0%", "title": "share of importance"},
        legend={"traceorder": "reversed"},
        height=180 + 50 * len(names),
    )
    return figure


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
        path.write_text(figure.to_html(include_plotlyjs=True, full_html=True), encoding="utf-8")
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
