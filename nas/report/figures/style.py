"""What all figures share: colours, axes, numbers, and their way into a file."""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nas.errors import NasError, first_line
from nas.files import written_whole
from nas.space import Range, parse_space, shown_value
from nas.study.record import StudyRecord, TrialRecord

# Okabe and Ito's colours: told apart by all readers, on white and on black.
BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILLION, PURPLE = "#E69F00", "#D55E00", "#CC79A7"
COLORWAY = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
GREY = "#767676"  # the same contrast, 4.5, on white and on black: for pages of either kind
STATIC_FORMATS = (".png", ".svg", ".pdf")

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


def scale(record: StudyRecord, parameter: str) -> str:
    """`log` for a parameter whose numbers are spread over orders of magnitude, else `linear`."""
    values = [t.params[parameter] for t in record.complete if parameter in t.params]
    key = "width" if parameter.startswith("width_") else parameter
    entry = _parse(record.settings.space).parameters.get(key)
    if entry is not None and isinstance(entry.domain, Range):
        return "log" if entry.domain.log else "linear"
    numbers = [v for v in values if not isinstance(v, str | bool)]
    wide = bool(numbers) and min(numbers) > 0 and max(numbers) >= 30 * min(numbers)
    return "log" if wide else "linear"


# Asked for each parameter of a study.
_parse = lru_cache(maxsize=1)(partial(parse_space, is_stored=True))


def score_name(record: StudyRecord) -> str:
    """What trials are scored by, for an axis."""
    names = {"r2": "R²", "auc": "AUC", "rmse": "RMSE", "mae": "MAE"}
    if record.metric == "f1":
        return record.metric_title.replace("f1", "F1", 1)
    return names.get(record.metric, record.metric.replace("_", " "))


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


def log_ticks(values: Sequence[float]) -> dict[str, Any]:
    """Powers of ten, or over less than two decades 1, 2 and 5 of each; 10k rather than 10⁴."""
    if max(values) >= 100 * min(values):
        return {"dtick": 1, "exponentformat": "SI" if min(values) >= 1 else "power"}
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return {"tickvals": ticks, "ticktext": [_short(tick) for tick in ticks]}


def _short(tick: float) -> str:
    return f"{tick / 1000:g}k" if tick >= 10_000 else f"{tick:g}"


def last_score(trial: TrialRecord) -> float | None:
    """The score of a trial's last epoch, also where it was pruned."""
    if trial.value is not None or not trial.epoch_values:
        return trial.value
    return trial.epoch_values[max(trial.epoch_values)]


def rounded(value: float | None) -> float | None:
    """Six digits: fewer bytes than all, and more than anyone reads off a figure."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def has_words(parameter: str, values: Iterable[Any]) -> bool:
    """Whether a parameter has values that are no numbers, or have a name for one."""
    return any(isinstance(shown_value(parameter, value), str | bool) for value in values)


def show_value(parameter: str, value: Any) -> str:
    """A category, as spaces have it."""
    shown = shown_value(parameter, value)
    return str(shown).lower() if isinstance(shown, bool) else str(shown)


def save_figure(figure: go.Figure, path: Path) -> None:
    """Writes a figure as HTML that opens offline, or as PNG, SVG or PDF.

    Raises:
        NasError: When the ending is unknown, the folder does not exist, or a picture cannot be
            drawn because Kaleido or its browser is missing, or the file cannot be written.
    """
    if not path.parent.is_dir():
        raise NasError(str(path), f"no folder '{path.parent}'", "a folder that exists")
    suffix = path.suffix.lower()
    if suffix == ".html":
        # The button would send the figure to plotly's own servers.
        config = {"modeBarButtonsToRemove": ["sendChartToCloud"]}
        page = figure.to_html(config=config, include_plotlyjs=True, full_html=True)
        with written_whole(path) as file:
            file.write_text(page, encoding="utf-8")
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
    with written_whole(path) as file:
        file.write_bytes(picture)
