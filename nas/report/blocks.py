"""What a report is made of, for the page and for Markdown alike."""

from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure with the sentence that says what it rests on and what to see.

    Attributes:
        name: Names its file; unique in the report.
        figure: Plotly's figure, or SVG.
        caption: The sentence.
        small: Whether it stands beside others of its kind.
        min_width: Pixels below which it would be illegible; narrower screens scroll it.
    """

    name: str
    figure: go.Figure | str
    caption: str
    small: bool = False
    min_width: int = 0


@dataclass(frozen=True)
class Table:
    """Cells as text, row by row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Code:
    """Commands or a file, as they are."""

    text: str


Block = Text | Picture | Table | Code


@dataclass(frozen=True)
class Section:
    """One section; `name` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        study: Name of the study.
        summary: Three sentences.
        facts: The main figures, each with what it is.
        sections: In their order.
    """

    study: str
    summary: tuple[str, str, str]
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
