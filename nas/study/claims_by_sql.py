"""Claims in an SQL database: each is made in a transaction that holds the study.

So no other search can take the same in between. Optuna's storage, and with it searches that claim
by calls, does not hold a study for all that it writes; see docs/decisions/0032.
"""

import json
import time
from dataclasses import replace
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import ColumnElement, Connection, Select, bindparam, select, union_all, update

from nas.spec import TrialSpec
from nas.study.attributes import UNCOUNTED
from nas.study.claims import READ, Claims, NoPlaceError, Taken, key_of, key_of_json, taken
from nas.study.optuna_tables import (
    TRIALS,
    USER_ATTRS,
    StudyKey,
    hold_study,
    insert_trial,
    set_attributes,
    utc,
)
from nas.study.write_behind import WriteBehind


def _attributes_of(these: ColumnElement[bool]) -> Select[Any]:
    attribute = (USER_ATTRS.c.trial_id == TRIALS.c.trial_id) & USER_ATTRS.c.key.in_(READ)
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


class SqlClaims(Claims):
    """The claims of a search that writes behind.

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
        self._storage, self._database, self._key = storage, database, key
        super().__init__(study, owner)

    def refresh(self) -> None:
        with self._storage.transaction() as connection:
            self._read(connection)

    def begin(
        self,
        index: int,
        params: dict[str, Any] | None = None,
        places: int | None = None,
        **attributes: Any,
    ) -> tuple[int, int] | None:
        with self._storage.transaction() as connection:
            hold_study(connection, self._key)
            self._read(connection)
            if places is not None and self._n_taken >= places:
                raise NoPlaceError
            if places is not None and self.waiting:
                taken_over = self._take_over(connection)
                if taken_over is None:
                    return None
                (trial_id, index), trial = taken_over, None
            elif index == self.index:
                mine = {"owner": self._owner, "index": index, **attributes}
                trial = self._insert(connection, mine, {"fixed_params": params} if params else {})
                trial_id = trial._trial_id
            else:
                return None
        number = self._unfinished[trial_id].number if trial is None else trial.number
        counts = attributes.get("outcome") not in UNCOUNTED
        self._note(trial_id, Taken(number, TrialState.RUNNING, index, None, counts))
        self._storage.adopt(self._key.study_id, trial or self._database.get_trial(trial_id))
        return trial_id, index

    def take_network(self, trial: Trial, spec: TrialSpec) -> int | None:
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
        self._note(
            trial._trial_id, replace(self._unfinished[trial._trial_id], key=key, is_sure=True)
        )
        return None

    def give_back(self) -> None:
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

    def _take_over(self, connection: Connection) -> tuple[int, int] | None:
        """Id and index of a trial that waited; None if somebody else took it over.

        Who claims by calls does so without holding the study.
        """
        trial_id = min(self._waiting)
        kept = self._unfinished[trial_id].index
        # Another search may have taken the index since the trial that had it was interrupted.
        index = self.index if kept is None or self._indices[kept] > 1 else kept
        waits = (TRIALS.c.trial_id == trial_id) & (TRIALS.c.state == TrialState.WAITING)
        this = update(TRIALS).where(waits)
        now = utc(datetime.now())
        values = {"state": TrialState.RUNNING, "datetime_start": now}
        if connection.execute(this.values(values)).rowcount != 1:
            return None
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
            self._note(trial_id, taken(number, state, _decoded(texts)))
        self._read_at = time.monotonic()


class _TwinError(Exception):
    def __init__(self, number: int) -> None:
        self.number = number


def _decoded(texts: dict[str, str]) -> dict[str, Any]:
    return {
        name: key_of_json(text) if name == "spec" else json.loads(text)
        for name, text in texts.items()
        if name is not None  # of a trial without attributes
    }
