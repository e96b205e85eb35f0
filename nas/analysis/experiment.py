"""Experiments: what to do next, as plain data.

The analysis proposes them, `nas.run` does them, and `nas.proposal` words them as a command or as a
call in Python.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.choices import PrunerName, SamplerName


@dataclass(frozen=True)
class TrainAgain:
    """One trial of a study trained again with other values, on the same data and folds.

    Attributes:
        like: Number of the trial, as `nas.train` takes it.
        params: What is changed, as `nas.train` takes it.
    """

    like: int
    params: Mapping[str, Any]


@dataclass(frozen=True)
class SearchAgain:
    """A new search on the data and folds of a study.

    The attributes are arguments of `nas.search`, and have its defaults.

    Attributes:
        space: Words of the space language with their values. Its name is that of the new study.
        trials: Trials of the new study.
        sampler: Who proposes them.
        pruner: Who ends hopeless ones; None is as for `nas.search`.
        metric: What they are scored by; None is the study's metric.
    """

    space: Mapping[str, Any]
    trials: int = 100
    sampler: SamplerName = "tpe"
    pruner: PrunerName | None = None
    metric: str | None = None


@dataclass(frozen=True)
class LookAtData:
    """A look at the data of a study; there is nothing to train."""


Experiment = TrainAgain | SearchAgain | LookAtData
