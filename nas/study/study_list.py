"""All studies of a database, in a line each."""

import math
from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from nas.direction import Direction
from nas.study.attributes import UNCOUNTED
from nas.study.optuna_tables import ends_of_trials, transaction
from nas.study.record import outcome_of
from nas.study.storage import open_storage, storage_errors, study_names


@dataclass(frozen=True)
class StudySummary:
    """What a list of studies tells of one.

    Attributes:
        name: Its name.
        metric: What trials are scored by.
        n_trials: Trials that ended and count towards `--trials`.
        n_complete: Those of them that trained to their end.
        best: The best score of those; None without any.
    """

    name: str
    metric: str
    n_trials: int
    n_complete: int
    best: float | None


def summarize_studies(url: str) -> tuple[StudySummary, ...]:
    """All studies that nas made, the one searched last at the end; reads no trial as a whole.

    Raises:
        NasError: When there is no such database.
    """
    storage = open_storage(url)
    with storage_errors(url):
        return tuple(_summary(storage, name) for name in study_names(storage))


def _summary(storage: BaseStorage, name: str) -> StudySummary:
    study_id = storage.get_study_id_from_name(name)
    ends = _ends(storage, study_id)
    outcomes = [outcome_of(state, stored) for state, stored, _ in ends]
    values = [value for _, _, value in ends]
    complete = [v or 0.0 for v, o in zip(values, outcomes, strict=True) if o == "complete"]
    key = Direction[storage.get_study_directions(study_id)[0].name].key
    return StudySummary(
        name=name,
        metric=storage.get_study_user_attrs(study_id)["metric"],
        n_trials=sum(outcome not in (*UNCOUNTED, "running") for outcome in outcomes),
        n_complete=len(complete),
        best=max(complete, key=key, default=None),
    )


def _ends(storage: BaseStorage, study_id: int) -> list[tuple[TrialState, Any, float | None]]:
    """State, attribute `outcome` and finite value of each trial, by number."""
    if isinstance(storage, RDBStorage):
        with transaction(storage.engine) as connection:
            return ends_of_trials(connection, study_id)
    trials = storage.get_all_trials(study_id, deepcopy=False)
    values = [trial.value for trial in trials]
    finite = [value if value is not None and math.isfinite(value) else None for value in values]
    return [
        (trial.state, trial.user_attrs.get("outcome"), value)
        for trial, value in zip(trials, finite, strict=True)
    ]
