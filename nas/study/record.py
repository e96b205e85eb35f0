"""A study as plain data: what a search left in the database, for everything that reads it.

The file is long because most of it says what each part of a record means.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Generic, TypeVar

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import Connection

from nas.direction import Direction
from nas.errors import OUT_OF_MEMORY, NasError
from nas.metrics import Metric, get_metric
from nas.options import SplitOptions
from nas.spec import Curves, Examination, TrialSpec
from nas.study.attributes import UNCOUNTED, Outcome, StudySettings, TrialAttributes
from nas.study.optuna_tables import (
    delete_study_rows,
    hold,
    read_trials,
    system_attributes,
    transaction,
    trials_in_training,
)
from nas.study.owner import LEASE, Watch, is_alive
from nas.study.storage import open_optuna_study, open_storage, storage_errors
from nas.uncertainty import rows_ratio, standard_error
from nas.wording import counted

T = TypeVar("T")

CONFIRMED = (
    "confirmed:"  # with a trial's number: the study's attribute of its scores on fresh folds
)


class _Decoded(Generic[T]):
    """A field of a dataclass that is given as it is stored, and decoded when it is first read.

    To decode the curves and examinations of all trials takes longer than to read a study, and
    most readers want none of them, or those of a few trials.
    """

    def __init__(self, decode: Callable[[Mapping[str, Any]], T]) -> None:
        self._decode = decode

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, record: object | None, _owner: type | None = None) -> T | None:
        if record is None:
            return None  # asked for by `dataclass`, the field's default
        value: T | Mapping[str, Any] | None = record.__dict__[self._name]
        if isinstance(value, Mapping):
            value = record.__dict__[self._name] = self._decode(value)
        return value

    def __set__(self, record: object, value: T | Mapping[str, Any] | None) -> None:
        record.__dict__[self._name] = value


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study.

    Attributes:
        number: Optuna's number of the trial.
        outcome: How it ended.
        value: Mean over folds of the last epoch's validation score; None unless complete.
        stderr: Standard error of `value`; see `nas.uncertainty.standard_error`. None with one fold.
        params: What Optuna suggested.
        spec: The whole specification; None when the trial ended before it had one.
        fold_values: Validation score of each fold after its last epoch.
        train_value: Mean score of the training parts.
        epoch_values: Mean validation score by epoch, counted from 1; of a raced trial, over the
            folds of its first stage.
        seconds: Wall time of the training.
        n_weights: Weights of the network.
        engine: Name of the engine that trained it.
        engine_reason: Why that one.
        reason: Why it was pruned or failed; empty for a complete trial.
        curves: Losses and scores by epoch and fold; None where the trial has no result.
        examination: Of the first fold's network; None where there is none.
    """

    number: int
    outcome: Outcome
    value: float | None
    stderr: float | None
    params: dict[str, Any]
    spec: TrialSpec | None
    fold_values: tuple[float, ...]
    train_value: float | None
    epoch_values: dict[int, float]
    seconds: float | None
    n_weights: int | None
    engine: str | None
    engine_reason: str
    reason: str
    curves: _Decoded[Curves] = _Decoded(Curves.from_dict)
    examination: _Decoded[Examination] = _Decoded(Examination.from_dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "trial": self.number,
            "outcome": self.outcome,
            "value": self.value,
            "stderr": self.stderr,
            "fold_values": [value if math.isfinite(value) else None for value in self.fold_values],
            "train_value": self.train_value,
            "n_weights": self.n_weights,
            "seconds": self.seconds,
            "engine": self.engine,
            "engine_reason": self.engine_reason,
            "reason": self.reason,
            "params": self.params,
            "spec": self.spec.to_dict() if self.spec else None,
            "epoch_values": {str(epoch): value for epoch, value in self.epoch_values.items()},
            "curves": self.curves.to_dict() if self.curves else None,
            "examination": self.examination.to_dict() if self.examination else None,
        }


@dataclass(frozen=True)
class StudyRecord:
    """A whole study.

    Attributes:
        name: Its name.
        metric: What trials are scored by.
        direction: Whether more or less of it is better.
        settings: What it rests on.
        trials: All trials, by number.
        winner: Test score of the refitted winner; see `nas.export`. Empty until a search ended.
        baselines: Plain models on the same folds, as `nas.experiments.baselines` keeps them.
        confirmed: Scores on fresh folds of the trials that were trained again there, by number;
            see `nas.confirmation`.
    """

    name: str
    metric: str
    direction: Direction
    settings: StudySettings
    trials: tuple[TrialRecord, ...]
    winner: dict[str, Any] = field(default_factory=dict)
    baselines: tuple[Mapping[str, Any], ...] = ()
    confirmed: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    @property
    def complete(self) -> tuple[TrialRecord, ...]:
        """The trials that trained to their end."""
        return tuple(trial for trial in self.trials if trial.outcome == "complete")

    @property
    def counted(self) -> tuple[TrialRecord, ...]:
        """The trials that ended and count towards `--trials`."""
        return tuple(
            trial
            for trial in self.trials
            if trial.outcome not in UNCOUNTED and trial.outcome != "running"
        )

    @property
    def positive(self) -> str | None:
        """Label of the class that f1 is about; None of other metrics, and of older studies."""
        return self.settings.positive.label if self.settings.positive else None

    @property
    def metric_title(self) -> str:
        """The metric's name, with the class that it is about."""
        if self.metric != "f1" or self.settings.task != "binary":
            return self.metric
        return self.scorer().title if self.positive is not None else "f1 of the second class"

    def scorer(self) -> Metric:
        """The metric itself, about the study's positive class; of older studies the second.

        Raises:
            NasError: When it is a function of the user's own, which a study does not keep.
        """
        if self.settings.own_metric:
            raise NasError(
                self.name,
                f"its metric '{self.metric}' is a Python function, which a study does not keep",
                fix="Give it again: metric=... in Python.",
            )
        positive = self.settings.positive
        number = positive.number if positive else None
        quantiles = self.settings.data.quantiles
        metric = get_metric(self.metric, self.settings.task, number, quantiles)
        return replace(metric, positive_label=self.positive) if self.positive else metric

    def only(self, number: int) -> "StudyRecord":
        """The study as if it had one complete trial alone.

        Raises:
            NasError: When there is no such trial, or it is not complete.
        """
        known = {trial.number: trial for trial in self.trials}
        if number not in known:
            raise NasError("--trial", f"got {number}", f"0 to {max(known, default=0)}")
        if known[number] not in self.complete:
            raise NasError(
                "--trial", f"trial {number} is {known[number].outcome}", "a complete one"
            )
        return replace(self, trials=(known[number],), confirmed={}, winner={})

    def best(self) -> TrialRecord:
        """The winner: the trial with the best mean score over its folds.

        Where that one was confirmed, the best of those that were, by their scores on fresh folds.

        Raises:
            NasError: When no trial is complete.
        """
        if not self.complete:
            ended = [trial for trial in self.trials if trial.outcome != "running"]
            counts = Counter(trial.outcome for trial in ended)
            told = ", ".join(f"{n} {outcome.replace('_', ' ')}" for outcome, n in counts.items())
            # What failed at all is not mended by what helps the others.
            blamed = (
                "failed" if counts["failed"] else max(counts, key=counts.__getitem__, default="")
            )
            reason = next((t.reason for t in ended if t.outcome == blamed == "failed"), "")
            raise NasError(
                self.name,
                f"no complete trial ({told or 'no trials'})" + (f": {reason}" if reason else ""),
                fix=_way_out(blamed, reason),
            )
        key = Direction(self.direction).key
        first = max(self.complete, key=lambda trial: key(trial.value or 0.0))
        if first.number not in self.confirmed:
            return first
        means = {number: fmean(values) for number, values in self.confirmed.items()}
        again = [t for t in self.complete if math.isfinite(means.get(t.number, math.nan))]
        return max(again, key=lambda trial: key(means[trial.number]), default=first)


def _way_out(outcome: str, reason: str) -> str:
    """What to do about trials of which none is complete."""
    if outcome == "failed":
        if reason == OUT_OF_MEMORY:
            return "Give a smaller --max-params."
        ended = "worker process ended" in reason
        return "Give a smaller --max-params, or --workers 1." if ended else ""
    ways = {
        "diverged": "Lower the highest learning_rate of the space, set clip_norm: 1 in it, or look "
        "for extreme values in the data.",
        "too_large": "Give a larger --max-params, or smaller networks in the space.",
        "too_long": "Search with more time, or smaller networks in the space.",
        "interrupted": "Search with more time: the same command goes on.",
        "pruned": "Search with --pruner none, or with more trials.",
        "given": "Run 'nas search' on the study.",
    }
    return ways.get(outcome, "Search with more trials or more time.")


def outcome_of(state: TrialState, stored: Outcome | None) -> Outcome:
    """How a trial ended, from its state in Optuna and its attribute `outcome`."""
    if state == TrialState.RUNNING:
        return "running"  # though one that will not count may say so already
    if stored is not None:
        return stored
    ends: dict[TrialState, Outcome] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    return ends.get(state, "running")


def trial_record(trial: FrozenTrial, split: SplitOptions) -> TrialRecord:
    """One of Optuna's trials as plain data.

    Args:
        trial: The trial.
        split: How its study divides the rows, from the study's settings.
    """
    kept = TrialAttributes.from_attributes(trial.user_attrs)
    outcome = outcome_of(trial.state, kept.outcome)
    is_complete = outcome == "complete"
    return TrialRecord(
        number=trial.number,
        outcome=outcome,
        value=trial.value if is_complete else None,
        stderr=standard_error(kept.fold_values, rows_ratio(split)) if is_complete else None,
        params=dict(trial.params),
        spec=kept.spec,
        fold_values=kept.fold_values,
        train_value=kept.train_value,
        epoch_values=dict(trial.intermediate_values),
        seconds=kept.seconds,
        n_weights=kept.n_weights,
        engine=kept.engine,
        engine_reason=kept.engine_reason,
        reason=kept.reason,
        curves=kept.curves,
        examination=kept.examination,
    )


def set_attributes(trial: Trial, attributes: TrialAttributes) -> None:
    """Writes those attributes of a trial that are given; the others stay as they are."""
    for key, value in attributes.to_attributes().items():
        trial.set_user_attr(key, value)


def settings_of(study: optuna.Study) -> StudySettings:
    """What one of Optuna's studies rests on.

    Raises:
        NasError: When nas did not make it, or a newer one did.
    """
    return StudySettings.from_attributes(study.user_attrs, study.study_name)


def study_record(study: optuna.Study) -> StudyRecord:
    """One of Optuna's studies as plain data.

    Raises:
        NasError: When nas did not make it, or a newer one did.
    """
    attributes, settings = study.user_attrs, settings_of(study)
    trials, split = _trials_of(study), settings.split
    return StudyRecord(
        name=study.study_name,
        metric=settings.metric,
        direction=Direction[study.direction.name],
        settings=settings,
        trials=tuple(trial_record(t, split) for t in trials if t.state != TrialState.WAITING),
        winner=attributes.get("winner", {}),
        baselines=tuple(attributes.get("baselines", ())),
        confirmed={
            int(key.removeprefix(CONFIRMED)): tuple(v if v is not None else math.nan for v in kept)
            for key, kept in attributes.items()
            if key.startswith(CONFIRMED)
        },
    )


def _trials_of(study: optuna.Study) -> list[FrozenTrial]:
    storage = getattr(study._storage, "_backend", study._storage)  # below Optuna's cache
    if not isinstance(storage, RDBStorage):
        return study.get_trials(deepcopy=False)
    with transaction(storage.engine) as connection:
        return read_trials(connection, study._study_id)


def load_study(name: str | None, url: str) -> StudyRecord:
    """Reads a study; the one that was searched last where `name` is None.

    Raises:
        NasError: When there is no such study or database.
    """
    storage = open_storage(url)
    with storage_errors(url):
        return study_record(open_optuna_study(storage, name, url))


def check_not_searched(name: str, url: str) -> None:
    """Refuses to go on with a study that a living process searches.

    Raises:
        NasError: When there is no such study, or it is being searched.
    """
    storage = open_storage(url)
    with storage_errors(url):
        study_id = open_optuna_study(storage, name, url)._study_id
        if isinstance(storage, RDBStorage):
            with transaction(storage.engine) as connection:
                _check_none_in_training(name, storage, study_id, connection)
        else:
            _check_none_in_training(name, storage, study_id)


def _check_none_in_training(
    name: str, storage: BaseStorage, study_id: int, connection: Connection | None = None
) -> None:
    """Reads with the connection, or where there is none with the calls that every storage has."""
    if connection is not None:
        leases = system_attributes(connection, study_id, LEASE)
        ids = connection.execute(trials_in_training(study_id)).scalars().all()
        trials = [storage.get_trial(trial_id) for trial_id in ids]
    else:
        running = (TrialState.RUNNING,)
        trials = storage.get_all_trials(study_id, deepcopy=False, states=running)
        attributes = storage.get_study_system_attrs(study_id).items()
        leases = {k.removeprefix(LEASE): v for k, v in attributes if k.startswith(LEASE)}
    known = Watch().living(leases)
    if living := [trial for trial in trials if is_alive(trial, known)]:
        owners = (trial.user_attrs.get("owner", {}) for trial in living)
        who = {f"process {o['pid']} on {o['host']}" if o else "a process" for o in owners}
        raise NasError(
            f"study '{name}'",
            f"has {counted(len(living), 'trial')} in training, in " + ", ".join(sorted(who)),
            fix="End that first (Ctrl-C), or add --force.",
        )


def delete_study(name: str, url: str, *, force: bool = False) -> None:
    """Removes a study and its trials from the database.

    Args:
        name: Its name.
        url: Its database.
        force: Whether to do it even while it is searched; the search ends with an error then.

    Raises:
        NasError: When there is no such study, or it is being searched.
    """
    storage = open_storage(url)
    study = open_optuna_study(storage, name, url)
    study_id = study._study_id
    with storage_errors(url):
        if not isinstance(storage, RDBStorage):
            if not force:
                _check_none_in_training(name, storage, study_id)
            storage.delete_study(study_id)
            return
        with transaction(storage.engine) as connection:
            hold(connection, study_id)  # no trial is begun from here on
            if not force:
                _check_none_in_training(name, storage, study_id, connection)
            delete_study_rows(connection, study_id)
