"""What the trials of a study take from each other: places, indices and networks.

Several searches may run on one study. Each takes a place among the `--trials`, the lowest free
index and a network that nobody has in a transaction that holds the study, so that no other search
can take the same in between. What is taken stands in the trials themselves: a trial gives back what
it took by its outcome, and one of a dead process by the sweep.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any, Literal

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import ColumnElement, Connection, Select, bindparam, select, union_all, update

from nas.attributes import UNCOUNTED
from nas.optuna_tables import (
    TRIALS,
    USER_ATTRS,
    StudyKey,
    hold_study,
    insert_trial,
    set_attributes,
    utc,
)
from nas.spec import TrialSpec
from nas.write_behind import WriteBehind

LOOK_AGAIN = 1.0  # seconds after which a full study is asked whether a place came back


def _attributes_of(these: ColumnElement[bool]) -> Select[Any]:
    attribute = (USER_ATTRS.c.trial_id == TRIALS.c.trial_id) & USER_ATTRS.c.key.in_(
        ("index", "outcome", "retry_of", "spec")
    )
    columns = (TRIALS.c.trial_id, TRIALS.c.number, TRIALS.c.state)
    return (
        select(*columns, USER_ATTRS.c.key, USER_ATTRS.c.value_json)
        .join_from(TRIALS, USER_ATTRS, attribute, isouter=True)
        .where(TRIALS.c.study_id == bindparam("study"), these)
    )


# Trials, each with its attributes in as many rows; built once, which takes longer than to run it.
# In two halves, since a database that has to mind both conditions at once looks at each trial.
_WHAT_MAY_BE_NEW = union_all(
    _attributes_of(TRIALS.c.trial_id > bindparam("newest")),
    _attributes_of(TRIALS.c.trial_id.in_(bindparam("unfinished", expanding=True))),
)


class NoPlaceError(Exception):
    """As many trials as the study is to have are done or in training."""


@dataclass(frozen=True)
class _Taken:
    """A trial as far as others must mind it.

    Attributes:
        number: Its number.
        state: Its state.
        index: Its index; None for a waiting one that gets it later.
        key: Its network and training as text; None where it has none yet.
        counts: Whether it is not, by its outcome, one that does not count.
    """

    number: int
    state: TrialState
    index: int | None
    key: str | None
    counts: bool

    @property
    def has_place(self) -> bool:
        return self.counts and self.state != TrialState.WAITING


class Claims:
    """The trials that a search makes in a study which others may search too.

    Args:
        study: The study, on `storage`.
        storage: Where the trials in training are kept.
        database: The database below it.
        key: The study.
        owner: Whose its trials are.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: WriteBehind,
        database: RDBStorage,
        key: StudyKey,
        owner: dict[str, Any],
    ) -> None:
        self._study, self._storage, self._database, self._key = study, storage, database, key
        self._owner = owner
        # Sums are kept as trials change, since to sum up all for each proposal would make it cost
        # more with every trial.
        self._n_trials, self._newest = 0, -1
        self._unfinished: dict[int, _Taken] = {}
        self._waiting: set[int] = set()
        self._n_taken = 0
        # Indices of trials that count. All below `_beyond` that are free are in the heap `_free`,
        # beside some that were taken since.
        self._indices: Counter[int] = Counter()
        self._free: list[int] = []
        self._beyond = 0
        self._networks: dict[str, list[int]] = {}
        self.refresh()

    # What is known since the last transaction

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

    def refresh(self) -> None:
        """Looks what is taken now."""
        with self._storage.transaction() as connection:
            self._read(connection)

    # Taking and giving back

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
        with self._storage.transaction() as connection:
            hold_study(connection, self._key)
            self._read(connection)
            if places is not None and self._n_taken >= places:
                raise NoPlaceError
            if places is not None and self.waiting:
                trial_id, index = self._take_over(connection)
                trial = None
            elif index == self.index:
                mine = {"owner": self._owner, "index": index, **attributes}
                trial = self._insert(connection, mine, {"fixed_params": params} if params else {})
                trial_id = trial._trial_id
            else:
                return None
        number = self._unfinished[trial_id].number if trial is None else trial.number
        counts = attributes.get("outcome") not in UNCOUNTED
        self._note(trial_id, _Taken(number, TrialState.RUNNING, index, None, counts))
        self._storage.adopt(self._key.study_id, trial or self._database.get_trial(trial_id))
        return trial_id, index

    def trial(self, trial_id: int) -> Trial:
        """A trial that `begin` returned, for suggesting its parameters with `study.sampler`.

        It is what `Study.ask` does with the trial that it chose itself.
        """
        self._study._thread_local.cached_all_trials = None  # samplers see what others did
        return Trial(self._study, trial_id)

    def take_network(self, trial: Trial, spec: TrialSpec) -> int | None:
        """Makes a network the trial's own; the number of the trial that has it, if one has."""
        key = key_of(spec)

        def check(connection: Connection) -> None:
            hold_study(connection, self._key)
            self._read(connection)
            if key in self._networks:
                raise _TwinError(self._networks[key][-1])

        try:
            self._storage.set_new_user_attr_if(trial._trial_id, "spec", spec.to_dict(), check)
        except _TwinError as twin:
            return twin.number
        self._note(trial._trial_id, replace(self._unfinished[trial._trial_id], key=key))
        return None

    def give_back(self) -> None:
        """Has others know at once that a trial which was told just now does not count."""
        self._storage.flush()
        self.refresh()

    def _insert(
        self, connection: Connection, user_attrs: dict[str, Any], system_attrs: dict[str, Any]
    ) -> FrozenTrial:
        number, now = self._n_trials, datetime.now()
        running = TrialState.RUNNING
        trial_id = insert_trial(
            connection, self._key.study_id, number, running, user_attrs, system_attrs, now
        )
        return FrozenTrial(
            number=number,
            state=running,
            value=None,
            datetime_start=now,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs=json.loads(json.dumps(user_attrs)),
            system_attrs=json.loads(json.dumps(system_attrs)),
            intermediate_values={},
            trial_id=trial_id,
        )

    def _take_over(self, connection: Connection) -> tuple[int, int]:
        trial_id = min(self._waiting)
        kept = self._unfinished[trial_id].index
        index = self.index if kept is None else kept
        this = update(TRIALS).where(TRIALS.c.trial_id == trial_id)
        now = utc(datetime.now())
        connection.execute(this.values(state=TrialState.RUNNING, datetime_start=now))
        keys = select(USER_ATTRS.c.key).where(USER_ATTRS.c.trial_id == trial_id)
        present = connection.execute(keys).scalars().all()
        mine = {"owner": self._owner, "index": index}
        set_attributes(connection, USER_ATTRS, trial_id, mine, present)
        return trial_id, index

    # Reading

    def _read(self, connection: Connection) -> None:
        """Reads trials that are new, and those that may have changed: the unfinished ones."""
        unfinished = list(self._unfinished)
        these = {"study": self._key.study_id, "newest": self._newest, "unfinished": unfinished}
        attributes: dict[tuple[int, int, TrialState], dict[str, str]] = {}
        for trial_id, number, state, name, text in connection.execute(_WHAT_MAY_BE_NEW, these):
            attributes.setdefault((trial_id, number, state), {})[name] = text
        for (trial_id, number, state), texts in sorted(attributes.items()):  # oldest first
            self._note(trial_id, _taken(number, state, texts))
        self._read_at = time.monotonic()

    def _note(self, trial_id: int, trial: _Taken) -> None:
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

    def _count(self, trial: _Taken, by: Literal[-1, 1]) -> None:
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


class _TwinError(Exception):
    def __init__(self, number: int) -> None:
        self.number = number


def _taken(number: int, state: TrialState, attributes: dict[str, str]) -> _Taken:
    """From the attributes of a trial as JSON."""
    index = json.loads(attributes.get("index", str(number)))
    if state == TrialState.WAITING:
        index = json.loads(attributes.get("retry_of", "{}")).get("index")
    key = _key_of_json(attributes["spec"]) if "spec" in attributes else None
    return _Taken(
        number, state, index, key, json.loads(attributes.get("outcome", "null")) not in UNCOUNTED
    )


@lru_cache(maxsize=256)  # trials in training are read again and again
def _key_of_json(spec: str) -> str:
    return key_of(json.loads(spec))


def key_of(spec: TrialSpec | dict[str, Any]) -> str:
    """A network and its training in short, the same before and after a way through the database."""
    data = spec.to_dict() if isinstance(spec, TrialSpec) else spec
    return blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=16).hexdigest()
