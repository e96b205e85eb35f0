"""The storage of a running search: what it writes reaches the database a moment later, in batches.

Optuna's own storage asks the database several times for every parameter, report and attribute,
which costs a trial 50 to 100 ms of processor time. Here the trials in training are kept in memory,
and a thread writes what is new of all of them in one transaction, about once a second.

The file is long because it is one storage: every method of Optuna's interface, around one lock.
"""

import copy
import json
import math
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
)
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Table, select

from nas.study.live_storage import LiveStorage
from nas.study.optuna_tables import (
    PARAMS,
    REPORTS,
    SYSTEM_ATTRS,
    TRIALS,
    USER_ATTRS,
    VALUES,
    StudyKey,
    delete_system_attribute,
    read_trials,
    set_attributes,
    set_system_attribute,
    transaction,
    utc,
)
from nas.study.owner import RENEWAL, Lease
from nas.study.write_batch import (
    KEY_COLUMNS,
    Batch,
    Key,
    Row,
    end_trials,
    insert_rows,
    lock_running,
)

INTERVAL = 1.0  # seconds between two writes, and between two looks at other processes' trials
SOON = 0.15  # until all but reports is written: a killed search is resumed from it

# User attributes that no search needs of the trials before, and that are most of what a trial is.
LEFT_OUT = ("curves", "examination")


@dataclass
class _Study:
    """What is known of a study.

    Attributes:
        trials: All trials up to `newest`, oldest first.
        newest: Id of the last of them.
        theirs: Ids of unfinished trials that are not in training here, and so may change.
        distributions: The first of each parameter, which later ones must be compatible with.
        read_at: When the database was last asked for changes.
        version: Number of the last change of a trial.
        changes: Number of the last change of each trial, in the order of these numbers.
    """

    trials: list[FrozenTrial] = field(default_factory=list)
    newest: int = -1
    theirs: set[int] = field(default_factory=set)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    read_at: float = -math.inf
    version: int = 0
    changes: dict[int, int] = field(default_factory=dict)

    def note_change(self, trial_id: int) -> None:
        self.version += 1
        self.changes.pop(trial_id, None)  # it goes to the end
        self.changes[trial_id] = self.version


class WriteBehind(LiveStorage):
    """An Optuna storage around an `RDBStorage`, for the process that runs a search.

    Trials are created in, and taken over from, the database at once, since processes share them
    (`nas.study.claims` does it for a search).
    What this process then makes of its trials is readable here at once, and in the database
    within about a second; the end of a trial never comes there before the rest of it. Trials of
    other processes are as they were at most a second ago. Attributes that are `LEFT_OUT` are here
    only until they are in the database.

    An error of the writing thread is raised by the next call. To be closed after use; it is a
    context manager for that.

    Args:
        database: Any that several threads may connect to.
        study: The study that is searched; for no other anything is written then, not even for one
            that has the id of this one since this one was deleted.
        lease: The lease of the search; it is renewed until the storage is closed, and then given
            up. It needs the study.
    """

    _database: RDBStorage

    def __init__(
        self, database: RDBStorage, study: StudyKey | None = None, lease: Lease | None = None
    ) -> None:
        super().__init__(database)
        self._study = study
        self._lease = lease
        self._renew_at = -math.inf if lease is not None else math.inf
        self._studies: dict[int, _Study] = {}
        self._directions: dict[int, list[StudyDirection]] = {}
        self._places: dict[int, tuple[_Study, int]] = {}  # of each trial: study and position
        # Trials in training here, each with the keys that the database may have already.
        self._own: dict[int, set[Key]] = {}
        self._batch = Batch()
        self._due = math.inf  # when the thread writes next
        self._closed = False
        self._error: Exception | None = None
        # `_lock` guards all of the above, and nobody waits for it within a transaction. Who needs
        # both locks takes `_writing` first; it keeps our transactions from waiting for each other
        # by the database's coarser means.
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._writing = threading.Lock()
        self._write()  # the lease, before there is a trial
        self._thread = threading.Thread(target=self._run, name="write-behind", daemon=True)
        self._thread.start()

    def flush(self) -> None:
        """Writes everything to the database now.

        Raises:
            StorageInternalError: When the database refuses. What was to be written is kept.
        """
        self._check()
        self._write()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction of the caller's own, which those of the thread do not wait beside.

        Raises:
            StorageInternalError: When the database refuses, or has refused the thread.
        """
        with self._changing(), transaction(self._database.engine) as connection:
            yield connection

    def close(self) -> None:
        """Writes everything to the database, gives the lease up, and ends the thread.

        Raises:
            StorageInternalError: When the database refuses, or has refused the thread.
        """
        with self._lock:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        try:
            self._write()
            self._give_lease_up()
        finally:
            if self._lease is not None:
                self._lease.release()
        self._check()

    # Studies

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        with self._changing():
            return self._database.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        with self._changing():
            with self._lock:
                self._directions.pop(study_id, None)
                for trial in self._studies.pop(study_id, _Study()).trials:
                    del self._places[trial._trial_id]
                    self._own.pop(trial._trial_id, None)
                    self._batch.drop(trial._trial_id)
            self._database.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        with self._changing():
            self._database.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        with self._changing():
            self._database.set_study_system_attr(study_id, key, value)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        with self._lock:
            if study_id not in self._directions:
                self._directions[study_id] = self._database.get_study_directions(study_id)
            return self._directions[study_id]

    # Trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        with self._changing():
            trial_id = self._database.create_new_trial(study_id, template_trial)
            with self._lock:
                if trial_id not in self._places:
                    self._read(study_id, self._studies.setdefault(study_id, _Study()))
                if self._trial(trial_id).state == TrialState.RUNNING:
                    self._take(trial_id)
        return trial_id

    def adopt(self, study_id: int, trial: FrozenTrial) -> None:
        """A trial that was just made, or taken over, in the database is in training here.

        Args:
            study_id: Its study's id.
            trial: As it is in the database now.
        """
        with self._lock:
            study = self._studies.setdefault(study_id, _Study())
            # Its number tells whether others made trials in between.
            if trial._trial_id in self._places or trial.number == len(study.trials):
                self._keep(study, trial)
            else:
                self._read(study_id, study)
            self._take(trial._trial_id)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        with self._lock:
            trial = self._to_change(trial_id)
            if trial is not None:
                study, _ = self._places[trial_id]
                first = study.distributions.setdefault(param_name, distribution)
                check_distribution_compatibility(first, distribution)
                value = distribution.to_external_repr(float(param_value_internal))
                trial.params = {**trial.params, param_name: value}
                trial.distributions = {**trial.distributions, param_name: distribution}
                text = distribution_to_json(distribution)
                row = {"param_value": float(param_value_internal), "distribution_json": text}
                self._change(trial, PARAMS, param_name, row, SOON)
                return
        self._database.set_trial_param(trial_id, param_name, param_value_internal, distribution)
        self._reread(trial_id)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        with self._lock:
            trial = self._to_change(trial_id)
            if trial is not None:
                value = float(intermediate_value)
                trial.intermediate_values = {**trial.intermediate_values, step: value}
                to_stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
                stored, kind = to_stored(value)
                row = {"intermediate_value": stored, "intermediate_value_type": kind}
                self._change(trial, REPORTS, step, row, INTERVAL)
                return
        self._database.set_trial_intermediate_value(trial_id, step, intermediate_value)
        self._reread(trial_id)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        text = json.dumps(value)
        with self._lock:
            trial = self._to_change(trial_id)
            if trial is not None:
                trial.user_attrs = {**trial.user_attrs, key: json.loads(text)}
                self._change(trial, USER_ATTRS, key, {"value_json": text}, SOON)
                return
        self._database.set_trial_user_attr(trial_id, key, value)
        self._reread(trial_id)

    def set_new_user_attr_if(
        self, trial_id: int, key: str, value: Any, allow: Callable[[Connection], None]
    ) -> None:
        """Writes an attribute, and all else that is to be written, unless a check raises.

        Args:
            trial_id: A trial in training here.
            key: An attribute that it does not have.
            value: Fit for JSON.
            allow: Is called at the beginning of the transaction; what it raises is raised.
        """
        plain = json.loads(json.dumps(value))

        def write(connection: Connection) -> None:
            allow(connection)
            set_attributes(connection, USER_ATTRS, trial_id, {key: plain})

        with self._lock:
            self._to_change(trial_id)  # raises unless it may be changed
        self._write(write)
        with self._lock:
            trial = copy.copy(self._trial(trial_id))
            trial.user_attrs = {**trial.user_attrs, key: plain}
            self._set(trial)
            self._own[trial_id].add((USER_ATTRS, key))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        text = json.dumps(value)
        with self._lock:
            trial = self._to_change(trial_id)
            if trial is not None:
                trial.system_attrs = {**trial.system_attrs, key: json.loads(text)}
                self._change(trial, SYSTEM_ATTRS, key, {"value_json": text}, SOON)
                return
        self._database.set_trial_system_attr(trial_id, key, value)
        self._reread(trial_id)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        if state == TrialState.RUNNING:
            return self._take_over(trial_id)
        if state == TrialState.WAITING:
            raise ValueError("a trial cannot be made to wait")
        with self._lock:
            trial = self._to_change(trial_id)
            if trial is not None:
                now = datetime.now()
                trial.state, trial.datetime_complete = state, now
                if values is not None:
                    trial.values = [float(value) for value in values]
                    for objective, value in enumerate(trial.values):
                        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
                        row = {"value": stored, "value_type": kind}
                        self._change(trial, VALUES, objective, row, SOON)
                self._end(trial, {"state": state, "datetime_complete": utc(now)})
                return True
        changed = self._database.set_trial_state_values(trial_id, state, values)
        self._reread(trial_id)
        return changed

    def _take_over(self, trial_id: int) -> bool:
        with self._changing():
            taken = self._database.set_trial_state_values(trial_id, TrialState.RUNNING)
            trial = self._database.get_trial(trial_id)
            with self._lock:
                if taken:
                    self._keep(self._place(trial_id)[0], trial)
                    self._take(trial_id)
                elif trial_id not in self._own:
                    self._reread(trial_id)
        return taken

    def get_trial(self, trial_id: int) -> FrozenTrial:
        self._check()
        with self._lock:
            trial = self._trial(trial_id)
            if trial.state.is_finished():
                return trial
            # Copied, since Optuna's `Trial` changes what it gets.
            trial = copy.copy(trial)
            trial.params, trial.distributions = {**trial.params}, {**trial.distributions}
            trial.user_attrs, trial.system_attrs = {**trial.user_attrs}, {**trial.system_attrs}
            trial.intermediate_values = {**trial.intermediate_values}
            return trial

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        self._check()
        with self._lock:
            study = self._refreshed(study_id)
            trials = [t for t in study.trials if states is None or t.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def changed(self, study_id: int, since: int = 0) -> tuple[int, list[FrozenTrial]]:
        # Costs as much as there are.
        self._check()
        with self._lock:
            study = self._refreshed(study_id)
            newer = takewhile(lambda id_: study.changes[id_] > since, reversed(study.changes))
            trials = [self._trial(trial_id) for trial_id in newer]
            return study.version, trials[::-1]

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        with self._lock:
            trials = self._studies.setdefault(study_id, _Study()).trials
            if 0 <= trial_number < len(trials) and trials[trial_number].number == trial_number:
                return trials[trial_number]._trial_id
        return self._database.get_trial_id_from_study_id_trial_number(study_id, trial_number)

    # What is known of trials

    def _refreshed(self, study_id: int) -> _Study:
        """A study as it was a moment ago."""
        study = self._studies.setdefault(study_id, _Study())
        if time.monotonic() - study.read_at >= INTERVAL:
            self._read(study_id, study)
        return study

    def _read(self, study_id: int, study: _Study) -> None:
        """Asks the database for trials that are new, and for those that may have changed."""
        read_at = time.monotonic()
        try:
            with transaction(self._database.engine) as connection:
                trials = read_trials(
                    connection, study_id, study.newest, study.theirs, without=LEFT_OUT
                )
        except KeyError:
            if self._study is None:
                raise
            raise self._study.gone() from None
        for trial in trials:
            self._keep(study, trial)
        study.read_at = read_at

    def _keep(self, study: _Study, trial: FrozenTrial) -> None:
        """Takes in a trial from the database; new ones in the order of their ids."""
        trial_id = trial._trial_id
        if trial_id in self._places:
            self._set(trial)
        else:
            self._places[trial_id] = (study, len(study.trials))
            study.trials.append(trial)
            study.note_change(trial_id)
            study.newest = trial_id
        if trial.state.is_finished():
            study.theirs.discard(trial_id)
        else:
            study.theirs.add(trial_id)
        for name, distribution in trial.distributions.items():
            study.distributions.setdefault(name, distribution)

    def _trial(self, trial_id: int) -> FrozenTrial:
        study, position = self._place(trial_id)
        return study.trials[position]

    def _place(self, trial_id: int) -> tuple[_Study, int]:
        place = self._places.get(trial_id)
        if place is None:
            query = select(TRIALS.c.study_id).where(TRIALS.c.trial_id == trial_id)
            with transaction(self._database.engine) as connection:
                study_id = connection.execute(query).scalar()
            if study_id is None:
                raise KeyError(f"no trial with the id {trial_id}")
            self._read(study_id, self._studies.setdefault(study_id, _Study()))
            place = self._places[trial_id]
        return place

    def _set(self, trial: FrozenTrial) -> None:
        study, position = self._places[trial._trial_id]
        study.trials[position] = trial
        study.note_change(trial._trial_id)

    def _take(self, trial_id: int) -> None:
        """From now on the trial is in training here, and memory knows it best."""
        study, position = self._places[trial_id]
        trial = study.trials[position]
        study.theirs.discard(trial_id)
        self._own[trial_id] = {
            *((PARAMS, name) for name in trial.params),
            *((USER_ATTRS, key) for key in trial.user_attrs),
            *((SYSTEM_ATTRS, key) for key in trial.system_attrs),
            *((REPORTS, step) for step in trial.intermediate_values),
            *((VALUES, objective) for objective in range(len(trial.values or ()))),
        }

    def _reread(self, trial_id: int) -> None:
        """The database knows the trial better, and is asked next time."""
        with self._lock:
            study, _ = self._place(trial_id)
            study.theirs.add(trial_id)
            study.read_at = -math.inf

    def _leave_out(self, trial_id: int) -> None:
        study, position = self._places[trial_id]
        trial = copy.copy(study.trials[position])
        trial.user_attrs = {k: v for k, v in trial.user_attrs.items() if k not in LEFT_OUT}
        study.trials[position] = trial

    # What is to be written

    def _to_change(self, trial_id: int) -> FrozenTrial | None:
        """A copy of a trial in training here; None for others."""
        self._check()
        trial = self._trial(trial_id)
        self.check_trial_is_updatable(trial_id, trial.state)
        if trial_id not in self._own:
            return None
        if self._closed:
            raise RuntimeError("the storage is closed")
        return copy.copy(trial)

    def _change(
        self, trial: FrozenTrial, table: Table, key: str | int, row: Row, delay: float
    ) -> None:
        self._set(trial)
        row = {"trial_id": trial._trial_id, KEY_COLUMNS[table]: key, **row}
        self._batch.rows.setdefault(trial._trial_id, {})[table, key] = row
        self._plan(delay)

    def _end(self, trial: FrozenTrial, row: Row) -> None:
        self._set(trial)
        self._batch.ends[trial._trial_id] = {"id": trial._trial_id, **row}
        self._plan(SOON)

    def _plan(self, delay: float) -> None:
        """Has the thread write after that time, unless it is to do so earlier."""
        due = time.monotonic() + delay
        if due < self._due:
            self._due = due
            self._wake.notify()

    # Writing

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._closed and (left := self._next_write() - time.monotonic()) > 0:
                    self._wake.wait(min(left, threading.TIMEOUT_MAX))
                if self._closed:
                    return
            try:
                self._write()
            except Exception as error:
                self._error = error

    def _next_write(self) -> float:
        return min(self._due, self._renew_at)

    def _check(self) -> None:
        if self._error is not None:
            with self._lock:
                error, self._error = self._error, None
            if error is not None:
                raise error

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._check()
        with self._writing:
            yield

    def _write(self, first: Callable[[Connection], None] | None = None) -> None:
        """Writes all that is new, after what `first` writes in the same transaction."""
        with self._writing:
            with self._lock:
                batch, self._batch = self._batch, Batch()
                self._due = math.inf
                replaced = {id_: self._own[id_] & rows.keys() for id_, rows in batch.rows.items()}
                # Noted before the attempt: even one that fails may have come to its end.
                for trial_id, rows in batch.rows.items():
                    self._own[trial_id] |= rows.keys()
            trial_ids = batch.rows.keys() | batch.ends.keys()
            renews = time.monotonic() >= self._renew_at
            if not trial_ids and first is None and not renews:
                return
            try:
                with transaction(self._database.engine) as connection:
                    if first is not None:
                        first(connection)
                    running = set()
                    if trial_ids:
                        running = lock_running(connection, trial_ids, self._study)
                    if renews:
                        self._renew(connection)
                    insert_rows(connection, batch, replaced, running)
                    end_trials(
                        connection, [end for id_, end in batch.ends.items() if id_ in running]
                    )
            except BaseException:
                with self._lock:
                    batch.add(self._batch)
                    self._batch = batch
                    self._plan(INTERVAL)
                raise
            with self._lock:
                lost = trial_ids - running
                for trial_id in lost:
                    self._batch.drop(trial_id)
                    self._reread(trial_id)
                for trial_id in lost | batch.ends.keys():
                    del self._own[trial_id]
                    self._leave_out(trial_id)
                numbers = sorted(self._trial(trial_id).number for trial_id in lost)
        if numbers and self._study is not None and not self._is_there(self._study):
            raise self._study.gone()
        if numbers:
            trials = ", ".join(map(str, numbers))
            raise StorageInternalError(f"another process ended or deleted trial {trials}")

    def _renew(self, connection: Connection) -> None:
        assert self._lease is not None and self._study is not None
        self._renew_at = time.monotonic() + RENEWAL
        set_system_attribute(connection, self._study, self._lease.key, self._lease.next_value())

    def _give_lease_up(self) -> None:
        if self._lease is not None and self._study is not None:
            with self._writing, transaction(self._database.engine) as connection:
                delete_system_attribute(connection, self._study.study_id, self._lease.key)

    def _is_there(self, study: StudyKey) -> bool:
        with transaction(self._database.engine) as connection:
            return bool(connection.execute(select(study.is_there())).scalar())
