"""A race: trials over rungs of epochs on the first folds, and then over the other folds.

Trials are compared where they saw the same folds and the same share of their own epochs: after a
third of 48 epochs of a falling learning rate a network stands where another does after a third of
16.
"""

from bisect import insort
from collections.abc import Sequence

import optuna
from optuna.trial import TrialState

from nas import pruning
from nas.direction import Direction
from nas.spec import TrialSpec
from nas.study.attributes import TrialAttributes

END = len(pruning.RACING_SHARES)  # the rung at the end of the first stage
FIRST = END + 1  # after the first epoch, where nobody is stopped


class Race:
    """What the trials of a study have reached at each rung.

    Args:
        study: The study; trials of earlier searches take part.
        val_rows: Validation rows of each fold; without any, there is one stage.

    Attributes:
        stages: The folds that are trained one after another; empty for all at once.
    """

    def __init__(self, study: optuna.Study, val_rows: Sequence[int]) -> None:
        self._direction = Direction[study.direction.name]
        stages = pruning.stages(val_rows)
        self.stages = stages if len(stages) > 1 else ((),)
        # By rung, as `Direction.key`, ascending.
        self._scores: list[list[float]] = [[] for _ in range(FIRST + 1)]
        for trial in study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)):
            spec = TrialAttributes.from_attributes(trial.user_attrs).spec
            if spec is None or not trial.intermediate_values:
                continue
            for rung, epoch in [(FIRST, 1), *_rungs(spec)]:
                if epoch in trial.intermediate_values:
                    self._note(rung, trial.intermediate_values[epoch])
            last = max(trial.intermediate_values)
            if trial.state == TrialState.COMPLETE or last >= spec.n_epochs:
                self._note(END, trial.intermediate_values[last])

    def epochs_until_rung(self, spec: TrialSpec, epoch: int) -> int | None:
        """Epochs until a trial of the first stage is judged next; None for its end."""
        return next((at - epoch for _, at in _rungs(spec) if at > epoch), None)

    def starts_well(self, value: float) -> bool:
        """Whether a trial with this score after its first epoch is among the better half."""
        return self._is_among_the_better(FIRST, value)

    def keeps(self, spec: TrialSpec, epoch: int, value: float, started_well: bool) -> bool:
        """Whether a trial goes on after an epoch with this score.

        Args:
            spec: The trial.
            epoch: The epoch.
            value: The score.
            started_well: What `starts_well` said of it.
        """
        for rung, at in _rungs(spec):
            if at == epoch:
                return self._is_among_the_better(rung, value) or started_well
        return True

    def _is_among_the_better(self, rung: int, value: float) -> bool:
        known = self._scores[rung]
        kept = pruning.halving([value], known, self._direction, pruning.RACING_FACTOR)
        self._note(rung, value)
        return bool(kept[0])

    def promotes(self, value: float) -> bool:
        """Whether a trial that has ended the first stage with this score goes on to the others."""
        promoted = pruning.promotes(value, self._scores[END], self._direction)
        self._note(END, value)
        return promoted

    def _note(self, rung: int, value: float) -> None:
        insort(self._scores[rung], self._direction.key(value))


def _rungs(spec: TrialSpec) -> list[tuple[int, int]]:
    """Number and epoch of each rung of a network; never after only one epoch, nor at its end."""
    total = spec.n_epochs
    epochs = [round(total * share) for share in pruning.RACING_SHARES]
    return [(rung, epoch) for rung, epoch in enumerate(epochs) if 2 <= epoch < total]
