"""A report as one HTML file that opens without a network."""

import base64
import gzip
import html
import json
from collections.abc import Sequence
from importlib import resources
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from nas.about import __version__
from nas.errors import visible
from nas.files import written_whole
from nas.report.blocks import Block, Code, Picture, Report, Section, Table, Text
from nas.report.figures import TEMPLATE

MARGIN = {"l": 8, "r": 12, "t": 36, "b": 8}  # labels widen it as far as they need


def render_page(report: Report) -> str:
    """The whole page; plotly's library in it is compressed, see docs/decisions/0013."""
    blocks = [block for section in report.sections for block in section.blocks]
    plots = {
        block.name: _plot(block.figure, block.small)
        for block in blocks
        if isinstance(block, Picture) and not isinstance(block.figure, str)
    }
    page = Template(resources.files("nas.report").joinpath("page.html").read_text("utf-8"))
    library = gzip.compress(get_plotlyjs().encode(), mtime=0)
    return page.substitute(
        version=_escape(__version__),
        title=_escape(f"{report.study}: search report"),
        body=_body(report),
        figures=_script_json(plots),
        template=_script_json(TEMPLATE.to_plotly_json()),
        library=base64.b64encode(library).decode(),
    )


def write_page(report: Report, path: Path) -> None:
    """Writes the page, whole or not at all.

    Raises:
        NasError: When the file cannot be written.
    """
    with written_whole(path) as file:
        file.write_text(render_page(report), encoding="utf-8")


def _body(report: Report) -> str:
    facts = "".join(
        f"<div><dt>{_escape(what)}</dt><dd>{_escape(value)}</dd></div>"
        for value, what in report.facts
    )
    links = "".join(
        f'<a href="#{section.name}">{_escape(section.title)}</a> ' for section in report.sections
    )
    summary = "".join(f"<p>{_escape(sentence)}</p>" for sentence in report.summary)
    return "\n".join(
        [
            '<header><p class="kind">Search report</p>',
            f"<h1>{_escape(report.study)}</h1>",
            f'<div class="summary">{summary}</div>',
            f'<dl class="facts">{facts}</dl>',
            f'<nav aria-label="Sections">{links}</nav></header>',
            "<noscript><p>The figures are drawn by JavaScript, which is off.</p></noscript>",
            '<p id="trouble" role="status"></p>',
            *map(_section, report.sections),
            f"<footer>Made by nas {_escape(__version__)}; 'nas report' writes a new one.</footer>",
        ]
    )


def _section(section: Section) -> str:
    parts = []
    for small, blocks in groupby(section.blocks, lambda b: isinstance(b, Picture) and b.small):
        inner = "\n".join(map(_block, blocks))
        parts.append(f'<div class="beside">{inner}</div>' if small else inner)
    inner = "\n".join(parts)
    return f'<section id="{section.name}"><h2>{_escape(section.title)}</h2>\n{inner}\n</section>'


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return f"<p>{_escape(text)}</p>"
        case Code(text):
            return f"<pre>{_escape(text)}</pre>"
        case Table(columns, rows):
            head = _row("th", columns) if any(columns) else ""
            cells = "".join(_row("td", row) for row in rows)
            return f'<div class="table"><table>{head}{cells}</table></div>'
    caption = f"<figcaption>{_escape(block.caption)}</figcaption>"
    if isinstance(block.figure, str):
        return f"<figure>{block.figure}{caption}</figure>"
    height = int(block.figure.layout.height or 400)
    style = f"height:{height}px;min-width:{block.min_width}px"
    plot = f'<div data-figure="{_escape(block.name)}" style="{style}"></div>'
    if block.min_width:
        plot = f'<div class="wide">{plot}</div>'
    return f"<figure>{plot}{caption}</figure>"


def _escape(text: str) -> str:
    return html.escape(visible(text, keep="\n"))


def _row(cell: str, values: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{_escape(value)}</{cell}>' for value in values)}</tr>"


def _plot(plot: go.Figure, small: bool) -> dict[str, Any]:
    """A figure without what the page says itself: its title, template and colours of text."""
    figure = json.loads(plot.to_json())
    layout = figure["layout"]
    for key in ("title", "template"):
        layout.pop(key, None)
    layout["margin"] = {**MARGIN, **layout.get("margin", {})}
    if small:
        layout["margin"]["t"] = 8
    return {"data": figure["data"], "layout": layout}


def _script_json(data: Any) -> str:
    """JSON that can stand in a script element, whatever text it holds."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
