"""What a search needs to know of all trials, kept up to date as they change.

To look through all trials for each proposal and each epoch would make a trial cost more the more
there are. Here a change costs its own size, and a question next to nothing.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from nas.direction import Direction
from nas.study.attributes import Outcome
from nas.study.live_storage import LiveStorage
from nas.study.record import outcome_of


class Ledger:
    """The trials of a study, those of other searches included, in sums.

    What is read is as it was at the last `refresh`.

    Args:
        study: The study.
        storage: Where it lies.

    Attributes:
        outcomes: How many trials ended how.
        best: The complete trial with the best value, the first of several; None without any.
    """

    def __init__(self, study: optuna.Study, storage: LiveStorage) -> None:
        self._study_id, self._storage = study._study_id, storage
        self._direction = Direction[study.direction.name]
        self._version = 0  # of the storage's changes, as far as they are taken in
        self._ended: set[int] = set()
        # By epoch the scores of all trials that reached it, as `Direction.key`, ascending; and by
        # trial in training, its scores among them.
        self._scores: defaultdict[int, list[float]] = defaultdict(list)
        self._of_trial: dict[int, dict[int, float]] = {}
        self.outcomes: Counter[Outcome] = Counter()
        self.best: FrozenTrial | None = None
        self.refresh()

    def refresh(self) -> None:
        """Takes in what has changed."""
        self._version, changed = self._storage.changed(self._study_id, self._version)
        for trial in changed:
            if trial.number not in self._ended:
                self._take_in(trial)

    def scores(self, epoch: int) -> Sequence[float]:
        """The scores of all trials after an epoch, as `Direction.key`, in ascending order.

        Interrupted trials are left out; they are trained again. To be read only.
        """
        return self._scores.get(epoch, ())

    def _take_in(self, trial: FrozenTrial) -> None:
        known = self._of_trial.setdefault(trial.number, {})
        for epoch in trial.intermediate_values.keys() - known.keys():
            known[epoch] = self._direction.key(trial.intermediate_values[epoch])
            insort(self._scores[epoch], known[epoch])
        if not trial.state.is_finished():
            return
        self._ended.add(trial.number)
        del self._of_trial[trial.number]
        outcome = outcome_of(trial.state, trial.user_attrs.get("outcome"))
        self.outcomes[outcome] += 1
        if outcome == "interrupted":
            for epoch, key in known.items():
                scores = self._scores[epoch]
                del scores[bisect_left(scores, key)]
        if outcome == "complete" and trial.value is not None and self._is_best(trial):
            self.best = trial

    def _is_best(self, trial: FrozenTrial) -> bool:
        if self.best is None:
            return True
        ours, best = (self._direction.key(t.value or 0.0) for t in (trial, self.best))
        return ours > best or (ours == best and trial.number < self.best.number)
