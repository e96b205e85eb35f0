"""What the trials of a study take from each other: places, indices and networks.

Several searches may run on one study. This is what they may rely on, in whatever storage the study
lies:

- A trial that trains has a place among the `--trials`. There are never more than so many.
- It has an index that no other trial has: the lowest that was free, or that of the interrupted
  trial that it repeats.
- With `take_network` it gets a network that no other trial has.
- A waiting trial comes before new ones, and one search gets it.
- What is taken stands in the trials themselves: a trial gives back what it took by its outcome, and
  one of a dead process by the sweep.

`nas.study.claims_by_sql` keeps this with transactions, `nas.study.claims_by_calls` with the calls
that every storage of Optuna has. tests/study/test_claims_contract.py asks the same of both.
"""

import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any, Literal

import optuna
from optuna.trial import Trial, TrialState

from nas.spec import TrialSpec
from nas.study.attributes import UNCOUNTED

LOOK_AGAIN = 1.0  # seconds after which a full study is asked whether a place came back
CLAIM = "claim"  # attribute of a trial that is about to take a network: the network in short
READ = ("index", "outcome", "retry_of", "spec", CLAIM)  # the attributes that others must mind


class NoPlaceError(Exception):
    """As many trials as the study is to have are done or in training."""


@dataclass(frozen=True)
class Taken:
    """A trial as far as others must mind it.

    Attributes:
        number: Its number.
        state: Its state.
        index: Its index; None for one that gets it later.
        key: Its network and training as text; None where it has none yet.
        counts: Whether it is not, by its outcome, one that does not count.
        is_sure: Whether its network is its own, rather than one that it is about to take.
        retries: Number of the trial that it repeats; None for one that repeats none.
    """

    number: int
    state: TrialState
    index: int | None
    key: str | None
    counts: bool
    is_sure: bool = True
    retries: int | None = None

    @property
    def has_place(self) -> bool:
        return self.counts and self.state != TrialState.WAITING


class Claims(ABC):
    """The trials that a search makes in a study which others may search too.

    Args:
        study: The study.
        owner: Whose its trials are.
    """

    def __init__(self, study: optuna.Study, owner: dict[str, Any]) -> None:
        self._study, self._owner = study, owner
        # Sums are kept as trials change, since to sum up all for each proposal would make it cost
        # more with every trial.
        self._n_trials, self._newest = 0, -1
        self._unfinished: dict[int, Taken] = {}
        self._waiting: set[int] = set()
        self._n_taken = 0
        # Indices of trials that count. All below `_beyond` that are free are in the heap `_free`,
        # beside some that were taken since.
        self._indices: Counter[int] = Counter()
        self._free: list[int] = []
        self._beyond = 0
        self._networks: dict[str, list[int]] = {}
        self._read_at = 0.0
        self.refresh()

    # What is known since it was last asked

    @property
    def index(self) -> int:
        """The lowest index that no trial has."""
        while self._free and self._free[0] in self._indices:
            heappop(self._free)
        return self._free[0] if self._free else self._beyond

    @property
    def waiting(self) -> bool:
        """Whether a trial waits, which comes before new ones."""
        return bool(self._waiting)

    def twin(self, spec: TrialSpec) -> int | None:
        """Number of a trial that has this network and training; None if there is none."""
        numbers = self._networks.get(key_of(spec))
        return numbers[-1] if numbers else None

    @property
    def n_training(self) -> int:
        """Trials in training, here or elsewhere."""
        return len(self._unfinished) - len(self._waiting)

    def is_full(self, places: int) -> bool:
        """Whether so many trials are done or in training; asks again where it was so a second ago.

        Args:
            places: Trials that the study is to have.
        """
        if self._n_taken >= places and time.monotonic() - self._read_at >= LOOK_AGAIN:
            self.refresh()
        return self._n_taken >= places

    @abstractmethod
    def refresh(self) -> None:
        """Looks what is taken now."""

    # Taking and giving back

    @abstractmethod
    def begin(
        self,
        index: int,
        params: dict[str, Any] | None = None,
        places: int | None = None,
        **attributes: Any,
    ) -> tuple[int, int] | None:
        """Makes a trial in training, or takes over the one that has waited longest.

        Args:
            index: The index that it is to have; ignored for one that waited, which keeps its own.
            params: Its parameters; None leaves them to the sampler.
            places: Trials that the study is to have at most; None for no limit. With None, no
                waiting trial is taken over either.
            attributes: Further user attributes of a new trial.

        Returns:
            Id and index; None when another search was faster: `index`, `waiting` and `twin`
            have changed then.

        Raises:
            NoPlaceError: When all places are taken.
            NasError: When the study was deleted.
        """

    def trial(self, trial_id: int) -> Trial:
        """A trial that `begin` returned, for suggesting its parameters with `study.sampler`.

        It is what `Study.ask` does with the trial that it chose itself.
        """
        self._study._thread_local.cached_all_trials = None  # samplers see what others did
        return Trial(self._study, trial_id)

    @abstractmethod
    def take_network(self, trial: Trial, spec: TrialSpec) -> int | None:
        """Makes a network the trial's own; the number of the trial that has it, if one has."""

    @abstractmethod
    def give_back(self) -> None:
        """Has others know at once that a trial which was told just now does not count."""

    # Taking in what was read

    def _note(self, trial_id: int, trial: Taken) -> None:
        """Takes in a trial that is new or has changed."""
        before = self._unfinished.pop(trial_id, None)
        self._count(trial, 1)
        if before is not None:
            self._count(before, -1)
        elif trial_id > self._newest:
            self._n_trials += 1
            self._newest = trial_id
        self._waiting.discard(trial_id)
        if trial.state == TrialState.WAITING:
            self._waiting.add(trial_id)
        if not trial.state.is_finished():
            self._unfinished[trial_id] = trial

    def _count(self, trial: Taken, by: Literal[-1, 1]) -> None:
        if not trial.counts:
            return
        self._n_taken += by * trial.has_place
        if trial.index is not None:
            self._indices[trial.index] += by
            if not self._indices[trial.index]:
                del self._indices[trial.index]
                heappush(self._free, trial.index)
            while self._beyond <= trial.index:
                heappush(self._free, self._beyond)
                self._beyond += 1
        if trial.key is not None and by == 1:
            self._networks.setdefault(trial.key, []).append(trial.number)
        elif trial.key is not None:
            numbers = self._networks[trial.key]
            numbers.remove(trial.number)
            if not numbers:
                del self._networks[trial.key]


def taken(number: int, state: TrialState, attributes: Mapping[str, Any]) -> Taken:
    """From the attributes of a trial, those of `READ`; the specification may be its key instead."""
    retry_of, spec = attributes.get("retry_of", {}), attributes.get("spec")
    index = retry_of.get("index")
    if state != TrialState.WAITING:  # one of nas 0.1 has its number
        index = attributes.get("index", number if state.is_finished() else index)
    key = key_of(spec) if isinstance(spec, dict) else spec
    return Taken(
        number=number,
        state=state,
        index=index,
        key=attributes.get(CLAIM) if key is None else key,
        counts=attributes.get("outcome") not in UNCOUNTED,
        is_sure=key is not None,
        retries=retry_of.get("trial"),
    )


@lru_cache(maxsize=256)  # trials in training are read again and again
def key_of_json(spec: str) -> str:
    """Like `key_of`, of a specification as text."""
    return key_of(json.loads(spec))


def key_of(spec: TrialSpec | dict[str, Any]) -> str:
    """A network and its training in short, the same before and after a way through the database."""
    data = spec.to_dict() if isinstance(spec, TrialSpec) else spec
    return blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=16).hexdigest()
