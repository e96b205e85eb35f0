"""What a search tells of itself."""

from dataclasses import dataclass

from nas.spec import TrialSpec
from nas.study.record import TrialRecord


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
        deadline: When the search ends at the latest, by `time.monotonic`; None for no such time.
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
    deadline: float | None = None
    note: str = ""

    @property
    def done(self) -> int:
        """Trials that count towards `n_trials`."""
        return self.complete + self.pruned + self.failed
