"""What a search that was killed or stopped left behind."""

from copy import copy
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, update

from nas.optuna_tables import (
    TRIALS,
    USER_ATTRS,
    hold,
    insert_trial,
    set_attributes,
    transaction,
    utc,
)
from nas.owner import is_alive
from nas.study import Outcome


def sweep(study: optuna.Study, storage: RDBStorage) -> None:
    """Ends the trials of processes that are gone, and queues what was interrupted once more.

    In one transaction that holds the study, so that several searches may do it at once.

    Args:
        study: The study, on a storage that reads what is unfinished each time.
        storage: Its database.
    """
    with transaction(storage.engine) as connection:
        if not hold(connection, study._study_id):
            return
        trials = study.get_trials(deepcopy=False)
        for place, trial in enumerate(trials):
            if trial.state == TrialState.RUNNING and not is_alive(trial):
                trials[place] = _end(connection, trial)
        retried = {t.user_attrs["retry_of"]["trial"] for t in trials if "retry_of" in t.user_attrs}
        number = len(trials)
        for trial in trials:
            if _is_to_be_retried(trial) and trial.number not in retried:
                user_attrs = {"retry_of": _retry_of(trial)}
                fixed = {"fixed_params": trial.params}  # as `Study.enqueue_trial` does
                insert_trial(
                    connection, study._study_id, number, TrialState.WAITING, user_attrs, fixed
                )
                number += 1


def _end(connection: Connection, trial: FrozenTrial) -> FrozenTrial:
    twice = "killed" in trial.user_attrs.get("retry_of", {})
    outcome: Outcome = "failed" if twice else "interrupted"
    reason = "the process ended while it trained" + (", for the second time" * twice)
    attributes = {"outcome": outcome, "reason": reason, "killed": True}
    set_attributes(connection, USER_ATTRS, trial._trial_id, attributes, trial.user_attrs)
    ended = {"state": TrialState.FAIL, "datetime_complete": utc(datetime.now())}
    connection.execute(update(TRIALS).where(TRIALS.c.trial_id == trial._trial_id).values(ended))
    trial = copy(trial)
    trial.user_attrs = {**trial.user_attrs, **attributes}
    return trial


def _is_to_be_retried(trial: FrozenTrial) -> bool:
    # Who gave a network may give it again; the search goes its own way.
    interrupted = trial.user_attrs.get("outcome") == "interrupted"
    return interrupted and bool(trial.params) and "given" not in trial.user_attrs


def _retry_of(trial: FrozenTrial) -> dict[str, Any]:
    retry_of = {"trial": trial.number, "index": trial.user_attrs.get("index", trial.number)}
    return {**retry_of, "killed": True} if trial.user_attrs.get("killed") else retry_of
