"""What a search has not yet written to the database, and how it is written in one go."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from nas.study.optuna_tables import (
    PARAMS,
    REPORTS,
    SYSTEM_ATTRS,
    TRIALS,
    USER_ATTRS,
    VALUES,
    StudyKey,
)

# The column that is unique within a trial.
KEY_COLUMNS = {
    PARAMS: "param_name",
    USER_ATTRS: "key",
    SYSTEM_ATTRS: "key",
    REPORTS: "step",
    VALUES: "objective",
}

Key = tuple[Table, str | int]
Row = dict[str, Any]


@dataclass
class Batch:
    """What the database does not have yet, by trial: rows of the tables, and how it ended."""

    rows: dict[int, dict[Key, Row]] = field(default_factory=dict)
    ends: dict[int, Row] = field(default_factory=dict)

    def add(self, newer: "Batch") -> None:
        for trial_id, rows in newer.rows.items():
            self.rows.setdefault(trial_id, {}).update(rows)
        self.ends.update(newer.ends)

    def drop(self, trial_id: int) -> None:
        self.rows.pop(trial_id, None)
        self.ends.pop(trial_id, None)


def lock_running(
    connection: Connection, trial_ids: AbstractSet[int], study: StudyKey | None
) -> set[int]:
    """Those of the trials that still run, which nobody else can end until we commit.

    An update, because SQLite has no other lock; a transaction that begins with a query could not
    wait for another process's either.
    """
    running = TRIALS.c.trial_id.in_(trial_ids) & (TRIALS.c.state == TrialState.RUNNING)
    if study is not None:
        running &= (TRIALS.c.study_id == study.study_id) & study.is_there()
    lock = update(TRIALS).where(running).values(state=TrialState.RUNNING)
    if connection.execute(lock).rowcount == len(trial_ids):
        return set(trial_ids)
    return set(connection.execute(select(TRIALS.c.trial_id).where(running)).scalars())


def insert_rows(
    connection: Connection,
    batch: Batch,
    replaced: Mapping[int, AbstractSet[Key]],
    running: AbstractSet[int],
) -> None:
    # Deleted and inserted anew, as every database has another statement to do both in one.
    for table, column in KEY_COLUMNS.items():
        old, new = [], []
        for trial_id in running & batch.rows.keys():
            for key, row in batch.rows[trial_id].items():
                if key[0] is table:
                    new.append(row)
                    if key in replaced[trial_id]:
                        old.append({"id": trial_id, "name": key[1]})
        if old:
            this = (table.c.trial_id == bindparam("id")) & (table.c[column] == bindparam("name"))
            connection.execute(delete(table).where(this), old)
        if new:
            connection.execute(insert(table), new)


def end_trials(connection: Connection, ends: list[Row]) -> None:
    if ends:
        connection.execute(update(TRIALS).where(TRIALS.c.trial_id == bindparam("id")), ends)
