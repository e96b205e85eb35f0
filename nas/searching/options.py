"""What a search is told, and what it tells of itself."""

from dataclasses import dataclass
from typing import Literal

from nas.spec import TrialSpec
from nas.study import TrialRecord

SamplerName = Literal["tpe", "random", "grid", "qmc", "cmaes", "gp"]
PrunerName = Literal["halving", "median", "none"]


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Attributes:
        n_trials: Trials that the study has in the end, earlier ones included.
        sampler: Who proposes.
        startup_trials: Random trials before the sampler's own proposals; None for a tenth of
            `n_trials`, and at least 10.
        pruner: Who ends hopeless trials.
        seed: Seeds proposals, weights, batches and dropout.
        timeout: Seconds after which the search ends.
        max_params: Largest number of weights; larger networks are not trained.
        allow_duplicates: Whether the same network and training may be trained twice.
    """

    n_trials: int = 100
    sampler: SamplerName = "tpe"
    startup_trials: int | None = None
    pruner: PrunerName = "halving"
    seed: int = 0
    timeout: float | None = None
    max_params: int | None = None
    allow_duplicates: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Attributes:
        n_trials: Trials to reach.
        complete: Trials trained to their end, those of earlier runs included.
        pruned: Trials pruned, diverged ones included.
        failed: Trials that raised.
        rejected: Proposals that were not trained: duplicates and too large ones.
        best: The best complete trial.
        in_training: Trials begun and not ended; with workers, some of them still wait for one.
        running: The specification of the one last heard of.
        number: Its number.
        epoch: Epochs that it has run.
        score: Its mean score over the folds.
        finished: The trial that ended just now.
        note: Why the search ends before its last trial, in a sentence.
    """

    n_trials: int
    complete: int
    pruned: int
    failed: int
    rejected: int
    best: TrialRecord | None
    in_training: int = 0
    running: TrialSpec | None = None
    number: int = 0
    epoch: int = 0
    score: float | None = None
    finished: TrialRecord | None = None
    note: str = ""

    @property
    def done(self) -> int:
        """Trials that count towards `n_trials`."""
        return self.complete + self.pruned + self.failed
