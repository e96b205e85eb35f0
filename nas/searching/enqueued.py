"""Settings that are trained before the sampler proposes any: they wait in the study as trials.

A trial that waits comes before new ones and one search gets it, so several searches, a search that
is stopped and one that goes on share them like all other trials (`nas.study.claims`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.direction import Direction
from nas.errors import NasError
from nas.space import Constant, SearchSpace, parse_space
from nas.space.settings import OutsideError, is_near, shared_settings
from nas.space.vocabulary import Value
from nas.spec import Problem
from nas.study.attributes import UNCOUNTED
from nas.study.optuna_tables import hold, insert_trial, read_trials, transaction
from nas.study.record import StudyRecord
from nas.study.retries import ENQUEUED, FIXED
from nas.wording import counted

MOST = 8  # settings that a study takes over from another
Settings = Mapping[str, Value]


def enqueue(
    study: optuna.Study,
    storage: BaseStorage,
    settings: Sequence[Settings],
    source: str,
    n_trials: int,
) -> list[Settings]:
    """Has settings wait in a study, but for those that a trial of it has or had.

    So the same call may be made again, and by several searches at once: in an SQL database it is
    one transaction that holds the study.

    Args:
        study: The study.
        storage: Its database.
        settings: Values of searched parameters by name, in their order.
        source: Where they come from: `--enqueue`, `first`, or `--warm-start` and a study's name. A
            study takes settings over from another once, whatever is found there later.
        n_trials: Trials that the study is to have in the end.

    Returns:
        Those that wait now and did not before.

    Raises:
        NasError: When the study has no place for them.
    """
    study_id = study._study_id
    attributes = {ENQUEUED: source}
    if not isinstance(storage, RDBStorage):
        # Searches that begin at the same moment may both do this; who trains a network that
        # another has goes without it (`nas.study.claims_by_calls`).
        new = _new(storage.get_all_trials(study_id, deepcopy=False), settings, source, n_trials)
        for one in new:
            waiting = create_trial(
                state=TrialState.WAITING, user_attrs=attributes, system_attrs={FIXED: dict(one)}
            )
            storage.create_new_trial(study_id, waiting)
        return new
    with transaction(storage.engine) as connection:
        if not hold(connection, study_id):  # it was deleted, as the search is about to notice
            return []
        trials = read_trials(connection, study_id, without=("curves", "examination", "spec"))
        new = _new(trials, settings, source, n_trials)
        for number, one in enumerate(new, start=len(trials)):
            fixed = {FIXED: dict(one)}
            insert_trial(connection, study_id, number, TrialState.WAITING, attributes, fixed)
    return new


def _new(
    trials: Sequence[FrozenTrial], settings: Sequence[Settings], source: str, n_trials: int
) -> list[Settings]:
    """Those settings that no trial has, as far as there is a place for them."""
    takes_over = source.startswith("--warm-start")
    if takes_over and any(trial.user_attrs.get(ENQUEUED) == source for trial in trials):
        return []
    known: list[Any] = [trial.system_attrs.get(FIXED) for trial in trials]
    new: list[Settings] = []
    for one in settings:
        if one not in known and one not in new:
            new.append(one)
    places = n_trials - sum(t.user_attrs.get("outcome") not in UNCOUNTED for t in trials)
    if source == "first":
        return new
    if len(new) > max(places, 0) and (places <= 0 or not takes_over):
        raise NasError(
            source.split()[0],
            f"got {counted(len(new), 'setting')} for a study that has {max(places, 0)} of its "
            f"{counted(n_trials, 'trial')} left",
            fix="Give more --trials.",
        )
    return new[:places]


def best_settings(record: StudyRecord, space: SearchSpace, problem: Problem) -> list[Settings]:
    """The best distinct settings of another study that lie in a space, at most `MOST`.

    Why their scores are left behind is in docs/decisions/0039.

    Args:
        record: The other study; it may be of other data, and have another metric.
        space: The space that is searched.
        problem: What the data of this search asks of a network.

    Raises:
        NasError: When no trial of it is complete, or none lies in the space.
    """
    where, name = "--warm-start", record.name
    if not record.complete:
        raise NasError(where, f"study '{name}' has no complete trial", "a study that has some")
    key = Direction(record.direction).key
    ranked = sorted(record.complete, key=lambda trial: key(trial.value or 0.0), reverse=True)
    constants = _constants(record)
    found: list[Settings] = []
    outside: list[str] = []
    for trial in ranked:
        try:
            settings = shared_settings(space, {**constants, **trial.params}, problem)
        except OutsideError as error:
            outside.append(f"trial {trial.number} has {error}: {error.allowed}")
            continue
        if settings and not any(is_near(space, settings, one) for one in found):
            found.append(settings)
        if len(found) == MOST:
            break
    if not found:
        received = f"study '{name}' has no parameter that this space searches"
        if outside:
            received = f"no complete trial of '{name}' lies in the space; {outside[0]}"
        raise NasError(where, received, "a study of a space like this one")
    return found


def _constants(record: StudyRecord) -> dict[str, Value]:
    """What every network of a study has, by parameter."""
    parameters = parse_space(record.settings.space, is_stored=True).parameters
    return {
        key: entry.domain.value
        for key, entry in parameters.items()
        if isinstance(entry.domain, Constant) and not entry.when
    }
