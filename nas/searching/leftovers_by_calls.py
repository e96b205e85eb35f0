"""What a dead search left behind, where there are only the calls that every storage has.

Several searches may sweep at once here too. Nothing is queued: `CallClaims` repeats what it finds
interrupted.
"""

from contextlib import suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from nas.study.owner import LEASE, Watch, is_alive
from nas.study.retries import end_of_killed


def sweep(study_id: int, storage: BaseStorage, watch: Watch) -> bool:
    """Like `nas.searching.leftovers.sweep`."""
    # Trials before leases: a search has its lease before it has a trial.
    try:
        trials = storage.get_all_trials(study_id, False, (TrialState.RUNNING,))
        attributes = storage.get_study_system_attrs(study_id)
    except KeyError:  # the study was deleted
        return False
    leases = {
        name.removeprefix(LEASE): value
        for name, value in attributes.items()
        if name.startswith(LEASE) and value is not None
    }
    living = watch.living(leases)
    in_doubt = False
    for trial in trials:
        if is_alive(trial, living):
            owner = trial.user_attrs.get("owner") or {}
            in_doubt |= not living.get(owner.get("lease", ""), True)
        else:
            _end(storage, trial, end_of_killed(trial))
    for lease in leases.keys() - living.keys():  # there is no call that deletes it
        storage.set_study_system_attr(study_id, LEASE + lease, None)
    return in_doubt


def end_trials_of(
    lease: str, study_id: int, storage: BaseStorage, attributes: dict[str, Any]
) -> None:
    """Ends what the search with that lease has in training."""
    try:
        trials = storage.get_all_trials(study_id, False, (TrialState.RUNNING,))
    except KeyError:  # the study was deleted
        return
    for trial in trials:
        if (trial.user_attrs.get("owner") or {}).get("lease") == lease:
            _end(storage, trial, attributes)


def _end(storage: BaseStorage, trial: FrozenTrial, attributes: dict[str, Any]) -> None:
    # Another search was faster, or it lives after all, or the study was deleted.
    with suppress(UpdateFinishedTrialError, KeyError):
        for key, value in attributes.items():
            storage.set_trial_user_attr(trial._trial_id, key, value)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
