"""What a published study is, and what is told of it once it was repeated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from runs import Network, Trained

from nas.data import DataOptions
from nas.study import StudyRecord


@dataclass(frozen=True)
class Told:
    """What a study's own module makes of its results.

    Attributes:
        text: Markdown: the tables, and what they say.
        figure: Its picture.
    """

    text: str
    figure: go.Figure


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
    """

    title: str
    question: str
    data: DataOptions
    networks: Callable[[bool], Sequence[Network]]
    n_seeds: int
    tell: Callable[[Sequence[Trained], StudyRecord], Told]
    family: str = "mlp"
    caption: str = ""
