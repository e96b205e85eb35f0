"""What a published study is, what came of it, and what is told of that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from runs import Network, Trained

from nas.data import DataOptions
from nas.study.record import StudyRecord


@dataclass(frozen=True)
class Told:
    """What a study's own module makes of its results.

    Attributes:
        text: Markdown: the tables, and what they say.
        figure: Its picture.
        after_search: Markdown on what the search found.
    """

    text: str
    figure: go.Figure
    after_search: str = ""


@dataclass(frozen=True)
class Study:
    """A published study.

    Attributes:
        title: Of its README.
        question: What was published, and what is asked, in Markdown.
        data: The rows.
        networks: Those of the publication, and variations; fewer epochs when they are to be quick.
        n_seeds: Seeds of each network.
        tell: From the trained networks and the search to text and picture.
        family: Family of the networks.
        caption: Of the picture.
        options: Of `nas search`, that the page's command has besides the recipe.
    """

    title: str
    question: str
    data: DataOptions
    networks: Callable[[bool], Sequence[Network]]
    n_seeds: int
    tell: Callable[[Sequence[Trained], StudyRecord], Told]
    family: str = "mlp"
    caption: str = ""
    options: str = ""


@dataclass(frozen=True)
class Results:
    """What a page is written from, kept beside it in `results.pkl`; the search has its database.

    Attributes:
        trained: The published networks and the variations of them.
        rows: How many rows there were, in words.
        n_seeds: Seeds of each network.
        minutes: That the networks took, and the search.
        day: When.
        machine: On which machine.
        quick: Whether it was a quick run.
    """

    trained: tuple[Trained, ...]
    rows: str
    n_seeds: int
    minutes: tuple[float, float]
    day: str
    machine: str
    quick: bool
