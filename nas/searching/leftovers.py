"""What a search that was killed or stopped left behind."""

from copy import copy
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, update

from nas.errors import first_line
from nas.searching import leftovers_by_calls
from nas.study.optuna_tables import (
    TRIALS,
    USER_ATTRS,
    delete_system_attribute,
    hold,
    insert_trial,
    interrupted_trials,
    n_trials_of,
    retries,
    set_attributes,
    system_attributes,
    transaction,
    trials_in_training,
    utc,
)
from nas.study.owner import LEASE, Watch, is_alive
from nas.study.retries import end_of_killed, is_to_be_retried, retry_of


def sweep(study: optuna.Study, storage: BaseStorage, watch: Watch | None = None) -> bool:
    """Ends the trials of searches that are dead, and queues what was interrupted once more.

    Several searches may do it at once: in an SQL database it is one transaction that holds the
    study. It reads the trials that are in training or were interrupted, and no others.

    Args:
        study: The study.
        storage: Its database.
        watch: What is known of the searches of other machines; None when they are seen for the
            first time.

    Returns:
        Whether a trial is in training in a search that may be dead, since it was not watched for
        long enough.
    """
    study_id, watch = study._study_id, watch or Watch()
    if not isinstance(storage, RDBStorage):
        return leftovers_by_calls.sweep(study_id, storage, watch)
    with transaction(storage.engine) as connection:
        if not hold(connection, study_id):
            return False
        leases = system_attributes(connection, study_id, LEASE)
        living = watch.living(leases)
        for lease in leases.keys() - living.keys():
            delete_system_attribute(connection, study_id, LEASE + lease)
        in_doubt, ended = False, {}
        for trial_id in connection.execute(trials_in_training(study_id)).scalars().all():
            trial = storage.get_trial(trial_id)
            if is_alive(trial, living):
                owner = trial.user_attrs.get("owner") or {}
                in_doubt |= not living.get(owner.get("lease", ""), True)
            else:
                ended[trial_id] = _end(connection, trial, end_of_killed(trial))
        retried = {retry["trial"] for retry in retries(connection, study_id)}
        number = n_trials_of(connection, study_id)
        for place, trial_id in interrupted_trials(connection, study_id).items():
            if place in retried:
                continue
            trial = ended.get(trial_id) or storage.get_trial(trial_id)
            if is_to_be_retried(trial):
                insert_trial(connection, study_id, number, TrialState.WAITING, *retry_of(trial))
                number += 1
    return in_doubt


def why_interrupted(error: BaseException) -> str:
    """What a trial is told that an exception interrupted."""
    if isinstance(error, (GeneratorExit, KeyboardInterrupt)):
        return "stopped by the user"
    return f"the search ended: {first_line(error)}"


def end_trials_of(lease: str, study: optuna.Study, storage: BaseStorage, reason: str) -> None:
    """Ends what a search of this process left in training, as interrupted.

    A search ends its own trials. This is for what an exception left, wherever it came from.

    Args:
        lease: Id of the search's lease.
        study: The study.
        storage: Its database.
        reason: Why, for the study.
    """
    interrupted = {"outcome": "interrupted", "reason": reason}
    if not isinstance(storage, RDBStorage):
        leftovers_by_calls.end_trials_of(lease, study._study_id, storage, interrupted)
        return
    with transaction(storage.engine) as connection:
        if not hold(connection, study._study_id):
            return
        ids = connection.execute(trials_in_training(study._study_id)).scalars().all()
        for trial in map(storage.get_trial, ids):
            if (trial.user_attrs.get("owner") or {}).get("lease") == lease:
                _end(connection, trial, interrupted)


def _end(connection: Connection, trial: FrozenTrial, attributes: dict[str, Any]) -> FrozenTrial:
    set_attributes(connection, USER_ATTRS, trial._trial_id, attributes, trial.user_attrs)
    ended = {"state": TrialState.FAIL, "datetime_complete": utc(datetime.now())}
    connection.execute(update(TRIALS).where(TRIALS.c.trial_id == trial._trial_id).values(ended))
    trial = copy(trial)
    trial.user_attrs = {**trial.user_attrs, **attributes}
    return trial
