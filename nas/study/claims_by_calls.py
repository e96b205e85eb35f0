"""Claims through the calls that every storage of Optuna has; see docs/decisions/0032.

`create_new_trial` numbers the trials, one after the other, and writes a trial with its attributes
or not at all. What one search has written another reads from then on. That is enough:

- Who wants a place, an index, or to repeat an interrupted trial, makes a trial that says so, then
  reads. What a trial with a lower number has not given back by then is not to be had. The trial
  with the higher number always sees the one with the lower, so that two never have the same.
- Who wants a network, writes so to its trial, then reads. Of two who do so at once, at least one
  sees the other.

A trial that goes without ends without parameters, and is repeated only where it was to repeat one.
That `set_trial_state_values` has a waiting trial run for one caller only is not so on SQLite, so
nothing rests on it: who takes over a trial that waits makes one that repeats it.
"""

import time
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from nas.spec import TrialSpec
from nas.study.attributes import UNCOUNTED, Outcome
from nas.study.claims import CLAIM, READ, Claims, NoPlaceError, Taken, key_of, taken
from nas.study.retries import is_to_be_retried, retry_of
from nas.study.write_through import EndedElsewhereError, WriteThrough

PAUSE = 0.02  # seconds between two looks at a trial that is about to take the same network
PATIENCE = 5.0  # seconds after which it has it


class CallClaims(Claims):
    """The claims of a search that writes through.

    Args:
        study: The study, on `storage`.
        storage: Where it lies.
        owner: Whose its trials are.
    """

    def __init__(self, study: optuna.Study, storage: WriteThrough, owner: dict[str, Any]) -> None:
        self._storage = storage
        self._trials: list[Taken] = []  # by number
        # By number of a trial that is to be repeated, attributes of the one that does: of one that
        # was interrupted, or waits.
        self._to_repeat: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._repeated: dict[int, int] = {}  # by number of a trial, the first that repeats it
        super().__init__(study, owner)

    @property
    def waiting(self) -> bool:
        return bool(self._to_repeat)

    def refresh(self) -> None:
        trials = self._storage.get_all_trials(self._study._study_id, deepcopy=False)
        unfinished = sorted(trial.number for trial in self._unfinished.values())
        for number in (*unfinished, *range(len(self._trials), len(trials))):
            self._take_in(trials[number])
        self._read_at = time.monotonic()

    def begin(
        self,
        index: int,
        params: dict[str, Any] | None = None,
        places: int | None = None,
        **attributes: Any,
    ) -> tuple[int, int] | None:
        self._storage.check_there()
        self.refresh()
        if places is not None and self._n_taken >= places:
            raise NoPlaceError
        system_attrs = {"fixed_params": params} if params else {}
        repeats = min(self._to_repeat, default=None) if places is not None else None
        if repeats is not None:
            attributes, system_attrs = self._to_repeat[repeats]
            kept = attributes["retry_of"].get("index")
            index = self.index if kept is None or kept in self._indices else kept
        elif index != self.index:
            return None
        new = create_trial(
            state=TrialState.RUNNING,
            user_attrs={**attributes, "owner": self._owner, "index": index},
            system_attrs=system_attrs,
        )
        trial_id = self._storage.create_new_trial(self._study._study_id, new)
        self.refresh()
        number = self._unfinished[trial_id].number
        if repeats is not None and self._repeated[repeats] < number:
            self._withdraw(trial_id, "duplicate", f"same as trial {self._repeated[repeats]}")
            return None
        if attributes.get("outcome") in UNCOUNTED:  # it takes neither place nor index
            return trial_id, index
        later = self._trials[number:]
        if places is not None and self._n_taken - sum(t.has_place for t in later) >= places:
            self._withdraw(trial_id, "interrupted", "another search took the last place first")
            raise NoPlaceError
        if self._indices[index] > sum(t.counts and t.index == index for t in later):
            self._withdraw(trial_id, "interrupted", "another search took its index first")
            return None
        if repeats is not None:
            self._end_waiting(repeats, number)
        return trial_id, index

    def take_network(self, trial: Trial, spec: TrialSpec) -> int | None:
        trial_id, key = trial._trial_id, key_of(spec)
        self._storage.set_trial_user_attr(trial_id, CLAIM, key)
        end = time.monotonic() + PATIENCE
        while True:
            self.refresh()
            others = [n for n in self._networks[key] if n != trial.number]
            if not others:
                break
            for number in others:
                if number < trial.number or self._trials[number].is_sure:
                    return number
            # A later one saw that we want it, and goes without, or did not, and has it in a moment.
            if time.monotonic() >= end:
                return others[0]
            time.sleep(PAUSE)
        self._storage.set_trial_user_attr(trial_id, "spec", spec.to_dict())
        return None

    def give_back(self) -> None:
        self.refresh()

    # Taking in what was read, and giving back

    def _take_in(self, trial: FrozenTrial) -> None:
        number = trial.number
        attributes = {name: trial.user_attrs[name] for name in trial.user_attrs.keys() & READ}
        this = taken(number, trial.state, attributes)
        if this.retries is not None:
            self._repeated.setdefault(this.retries, number)  # they come by number
            self._to_repeat.pop(this.retries, None)
        is_first = this.retries is None or self._repeated[this.retries] == number
        if trial.state == TrialState.WAITING:
            this = replace(this, counts=False)  # the one that repeats it will
        elif not is_first:
            this = replace(this, counts=False)
        self._note(trial._trial_id, this)
        self._to_repeat.pop(number, None)
        if is_first and number not in self._repeated and (again := _again(trial)) is not None:
            self._to_repeat[number] = again

    def _note(self, trial_id: int, trial: Taken) -> None:
        super()._note(trial_id, trial)
        if trial.number == len(self._trials):
            self._trials.append(trial)
        else:
            self._trials[trial.number] = trial

    def _withdraw(self, trial_id: int, outcome: Outcome, reason: str) -> None:
        """Ends a trial that goes without."""
        # The outcome comes first: from then on it holds nothing, whatever becomes of us.
        self._storage.set_trial_user_attr(trial_id, "outcome", outcome)
        self._storage.set_trial_user_attr(trial_id, "reason", reason)
        self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        self.refresh()

    def _end_waiting(self, number: int, repeated_by: int) -> None:
        """Ends a trial that waited, and that one of ours repeats; not one that had ended."""
        waiting = (i for i in self._waiting if self._unfinished[i].number == number)
        for trial_id in list(waiting):
            try:
                self._withdraw(trial_id, "interrupted", f"trained as trial {repeated_by}")
            except EndedElsewhereError:
                self.refresh()


def _again(trial: FrozenTrial) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """User and system attributes of a trial that repeats this one; None if none is to."""
    if trial.state == TrialState.WAITING:
        kept = {**trial.user_attrs.get("retry_of", {}), "trial": trial.number}
        return {**trial.user_attrs, "retry_of": kept}, trial.system_attrs
    interrupted = trial.user_attrs.get("outcome") == "interrupted"
    if trial.state.is_finished() and interrupted and is_to_be_retried(trial):
        return retry_of(trial)
    return None
