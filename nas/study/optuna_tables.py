"""Optuna's tables, as far as nas reads and writes them itself; no other module names them.

They are not public. tests/study/test_optuna_tables.py fails where a later Optuna has others.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.exceptions import StorageInternalError
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    Update,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from nas.errors import NasError

STUDIES: Table = models.StudyModel.__table__
STUDY_USER_ATTRS: Table = models.StudyUserAttributeModel.__table__
STUDY_SYSTEM_ATTRS: Table = models.StudySystemAttributeModel.__table__
STUDY_DIRECTIONS: Table = models.StudyDirectionModel.__table__
TRIALS: Table = models.TrialModel.__table__
PARAMS: Table = models.TrialParamModel.__table__
USER_ATTRS: Table = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRS: Table = models.TrialSystemAttributeModel.__table__
REPORTS: Table = models.TrialIntermediateValueModel.__table__
VALUES: Table = models.TrialValueModel.__table__
HEARTBEATS: Table = models.TrialHeartbeatModel.__table__

OF_A_STUDY = (STUDY_USER_ATTRS, STUDY_SYSTEM_ATTRS, STUDY_DIRECTIONS)
OF_A_TRIAL = (PARAMS, USER_ATTRS, SYSTEM_ATTRS, REPORTS, VALUES, HEARTBEATS)

NOT_FOUND_MSG = models.NOT_FOUND_MSG  # of the KeyError that Optuna raises for what was deleted

IDENTITY = "identity"  # the study's attribute that no other study ever has


@dataclass(frozen=True)
class StudyKey:
    """A study, told from a later one: databases give the id of a deleted study to the next.

    Attributes:
        study_id: Its id.
        name: Its name, for messages.
        identity: Its attribute `identity`.
    """

    study_id: int
    name: str
    identity: str

    def is_there(self) -> ColumnElement[bool]:
        """The condition that the database still has this very study."""
        return exists().where(
            STUDY_USER_ATTRS.c.study_id == self.study_id,
            STUDY_USER_ATTRS.c.key == IDENTITY,
            STUDY_USER_ATTRS.c.value_json == json.dumps(self.identity),
        )

    def gone(self) -> NasError:
        """What to raise when it does not."""
        return NasError(
            f"study '{self.name}'",
            "was deleted while it was in use",
            fix="The same command creates a new one.",
        )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction whose errors are Optuna's.

    Raises:
        StorageInternalError: When the database refuses.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise StorageInternalError("the database refused") from error


def hold(connection: Connection, study_id: int) -> bool:
    """Keeps others from making trials in a study until the transaction ends.

    Comes first in its transaction, so that all that is read next is the latest. An update, which is
    a lock in every database; SQLite has no other, and locks all of the file. Optuna's own storage
    locks the same row where it makes a trial.

    Returns:
        Whether there is such a study.
    """
    this = update(STUDIES).where(STUDIES.c.study_id == study_id)
    return connection.execute(this.values(study_name=STUDIES.c.study_name)).rowcount == 1


def hold_study(connection: Connection, key: StudyKey) -> None:
    """Like `hold`, for this very study.

    Raises:
        NasError: When it was deleted.
    """
    if connection.execute(_hold_statement(key)).rowcount != 1:
        raise key.gone()


@lru_cache  # to build it takes longer than to run it
def _hold_statement(key: StudyKey) -> Update:
    this = update(STUDIES).where(STUDIES.c.study_id == key.study_id, key.is_there())
    return this.values(study_name=STUDIES.c.study_name)


def insert_trial(
    connection: Connection,
    study_id: int,
    number: int,
    state: TrialState,
    user_attrs: Mapping[str, Any],
    system_attrs: Mapping[str, Any],
    started: datetime | None = None,
) -> int:
    """Makes a trial in a study that the transaction holds; returns its id."""
    start = utc(started) if started else None
    row = {"study_id": study_id, "number": number, "state": state, "datetime_start": start}
    key = connection.execute(insert(TRIALS).values(row)).inserted_primary_key
    assert key is not None  # as after every insert of one row
    trial_id: int = key[0]
    set_attributes(connection, USER_ATTRS, trial_id, user_attrs)
    set_attributes(connection, SYSTEM_ATTRS, trial_id, system_attrs)
    return trial_id


def set_attributes(
    connection: Connection,
    table: Table,
    trial_id: int,
    attributes: Mapping[str, Any],
    present: Iterable[str] = (),
) -> None:
    """Writes attributes of a trial; `present` names those that it has, in the database, already."""
    for key in attributes.keys() & set(present):
        connection.execute(delete(table).where(table.c.trial_id == trial_id, table.c.key == key))
    rows = [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attributes.items()
    ]
    if rows:
        connection.execute(insert(table), rows)


def set_study_attribute(connection: Connection, study_id: int, key: str, value: Any) -> None:
    """Writes an attribute that a study does not have yet."""
    row = {"study_id": study_id, "key": key, "value_json": json.dumps(value)}
    connection.execute(insert(STUDY_USER_ATTRS), row)


def set_system_attribute(connection: Connection, key: StudyKey, name: str, value: Any) -> None:
    """Writes a system attribute of this very study, if it is still there."""
    this = (STUDY_SYSTEM_ATTRS.c.study_id == key.study_id) & (STUDY_SYSTEM_ATTRS.c.key == name)
    text = json.dumps(value)
    changed = connection.execute(update(STUDY_SYSTEM_ATTRS).where(this).values(value_json=text))
    if changed.rowcount == 0 and connection.execute(select(key.is_there())).scalar():
        row = {"study_id": key.study_id, "key": name, "value_json": text}
        connection.execute(insert(STUDY_SYSTEM_ATTRS), row)


def delete_system_attribute(connection: Connection, study_id: int, name: str) -> None:
    """Deletes a system attribute of a study, if it has it."""
    this = (STUDY_SYSTEM_ATTRS.c.study_id == study_id) & (STUDY_SYSTEM_ATTRS.c.key == name)
    connection.execute(delete(STUDY_SYSTEM_ATTRS).where(this))


def system_attributes(connection: Connection, study_id: int, prefix: str) -> dict[str, Any]:
    """The system attributes of a study whose names begin so, by the rest of their names."""
    names = STUDY_SYSTEM_ATTRS.c.key.startswith(prefix, autoescape=True)
    columns = (STUDY_SYSTEM_ATTRS.c.key, STUDY_SYSTEM_ATTRS.c.value_json)
    query = select(*columns).where(STUDY_SYSTEM_ATTRS.c.study_id == study_id, names)
    found = connection.execute(query)
    return {name.removeprefix(prefix): json.loads(text) for name, text in found}


def trials_in_training(study_id: int) -> Select[Any]:
    """Ids of a study's trials in training."""
    return trials_of(study_id).where(TRIALS.c.state == TrialState.RUNNING)


def interrupted_trials(connection: Connection, study_id: int) -> dict[int, int]:
    """Ids of a study's trials that were interrupted, by number, in their order."""
    outcome = (USER_ATTRS.c.trial_id == TRIALS.c.trial_id) & (USER_ATTRS.c.key == "outcome")
    query = (
        select(TRIALS.c.number, TRIALS.c.trial_id)
        .join(USER_ATTRS, outcome)
        .where(TRIALS.c.study_id == study_id)
        .where(USER_ATTRS.c.value_json == json.dumps("interrupted"))
        .order_by(TRIALS.c.number)
    )
    return {row.number: row.trial_id for row in connection.execute(query)}


def retries(connection: Connection, study_id: int) -> list[dict[str, Any]]:
    """The attributes `retry_of` of a study's trials."""
    this = (USER_ATTRS.c.trial_id == TRIALS.c.trial_id) & (USER_ATTRS.c.key == "retry_of")
    query = select(USER_ATTRS.c.value_json).join(TRIALS, this).where(TRIALS.c.study_id == study_id)
    return [json.loads(text) for text in connection.execute(query).scalars()]


def n_trials_of(connection: Connection, study_id: int) -> int:
    """How many trials a study has."""
    query = select(func.count()).select_from(trials_of(study_id).subquery())
    return int(connection.execute(query).scalar_one())


def delete_trials(connection: Connection, trial_ids: Select[Any]) -> None:
    """Deletes trials with all that they have."""
    for table in OF_A_TRIAL:
        connection.execute(delete(table).where(table.c.trial_id.in_(trial_ids)))
    connection.execute(delete(TRIALS).where(TRIALS.c.trial_id.in_(trial_ids)))


def delete_study_rows(connection: Connection, study_id: int) -> None:
    """Deletes a study that the transaction holds, with all that it has."""
    delete_trials(connection, trials_of(study_id))
    for table in (*OF_A_STUDY, STUDIES):
        connection.execute(delete(table).where(table.c.study_id == study_id))


def read_trials(
    connection: Connection,
    study_id: int,
    newer_than: int = -1,
    including: Iterable[int] = (),
    without: Iterable[str] = (),
) -> list[FrozenTrial]:
    """Trials of a study, by number, as Optuna's storage reads them in ten times the time.

    Args:
        connection: To the database.
        study_id: The study.
        newer_than: Those with larger ids are read.
        including: Ids of others that are read too.
        without: User attributes that are left out.

    Raises:
        KeyError: When there is no such study; as Optuna's own.
    """
    study = select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id)
    if connection.execute(study).first() is None:
        raise KeyError(NOT_FOUND_MSG)
    of_study = TRIALS.c.study_id == study_id
    # Apart, since a database that has to mind both at once looks at each trial of the study.
    rows = connection.execute(select(TRIALS).where(of_study, TRIALS.c.trial_id > newer_than)).all()
    others = [trial_id for trial_id in including if trial_id <= newer_than]
    if others:
        these = TRIALS.c.trial_id.in_(others)
        rows = [*connection.execute(select(TRIALS).where(of_study, these)), *rows]
    if not rows:
        return []
    found = {
        row.trial_id: FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            datetime_start=row.datetime_start,
            datetime_complete=row.datetime_complete,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=row.trial_id,
        )
        for row in sorted(rows, key=lambda row: row.trial_id)
    }

    def of_trials(
        table: Table, order: ColumnElement[Any], *conditions: ColumnElement[bool]
    ) -> Iterator[Any]:
        query = select(table).where(*conditions).order_by(order)
        if newer_than >= 0:
            query = query.where(table.c.trial_id.in_(list(found)))
        else:
            query = query.join(TRIALS, TRIALS.c.trial_id == table.c.trial_id).where(of_study)
        for row in connection.execute(query):
            if row.trial_id in found:  # it may be newer than the trials that were read
                yield row

    for row in of_trials(PARAMS, PARAMS.c.param_id):
        trial, distribution = found[row.trial_id], _distribution(row.distribution_json)
        trial.params[row.param_name] = distribution.to_external_repr(row.param_value)
        trial.distributions[row.param_name] = distribution
    wanted = USER_ATTRS.c.key.not_in(list(without))
    for row in of_trials(USER_ATTRS, USER_ATTRS.c.trial_user_attribute_id, wanted):
        found[row.trial_id].user_attrs[row.key] = json.loads(row.value_json)
    for row in of_trials(SYSTEM_ATTRS, SYSTEM_ATTRS.c.trial_system_attribute_id):
        found[row.trial_id].system_attrs[row.key] = json.loads(row.value_json)
    of_report = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    for row in of_trials(REPORTS, REPORTS.c.trial_intermediate_value_id):
        value = of_report(row.intermediate_value, row.intermediate_value_type)
        found[row.trial_id].intermediate_values[row.step] = value
    of_value = models.TrialValueModel.stored_repr_to_value
    for row in of_trials(VALUES, VALUES.c.objective):
        trial = found[row.trial_id]
        trial.values = [*(trial.values or ()), of_value(row.value, row.value_type)]
    return list(found.values())


@lru_cache(maxsize=1024)  # the same for many trials
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def ends_of_trials(
    connection: Connection, study_id: int
) -> list[tuple[TrialState, Any, float | None]]:
    """State, attribute `outcome` and value of each trial of a study, by number.

    The value is None for a trial without one, and for one that is not finite.
    """
    outcome = (USER_ATTRS.c.trial_id == TRIALS.c.trial_id) & (USER_ATTRS.c.key == "outcome")
    value = (VALUES.c.trial_id == TRIALS.c.trial_id) & (VALUES.c.objective == 0)
    query = (
        select(TRIALS.c.state, USER_ATTRS.c.value_json, VALUES.c.value)
        .select_from(TRIALS)
        .join(USER_ATTRS, outcome, isouter=True)
        .join(VALUES, value, isouter=True)
        .where(TRIALS.c.study_id == study_id)
        .order_by(TRIALS.c.number)
    )
    return [
        (state, json.loads(text) if text is not None else None, score)
        for state, text, score in connection.execute(query)
    ]


def trials_of(study_id: int) -> Select[Any]:
    """Ids of a study's trials."""
    return select(TRIALS.c.trial_id).where(TRIALS.c.study_id == study_id)


def orphans() -> Select[Any]:
    """Ids of trials whose study was deleted; SQLite does not see to it that there are none."""
    return select(TRIALS.c.trial_id).where(TRIALS.c.study_id.not_in(select(STUDIES.c.study_id)))


def utc(local: datetime) -> datetime:
    """As Optuna's tables keep times."""
    return local.astimezone(UTC).replace(tzinfo=None)
