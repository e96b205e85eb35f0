"""Opening a study: what it rests on, and what an earlier search left behind."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np
import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import Select

from nas.about import __version__
from nas.data import DataOptions, Dataset, Split, SplitOptions
from nas.data.findings import find
from nas.errors import NasError
from nas.metrics import SCORES_OF_CLASSES, Metric, constant_score
from nas.searching.leftovers import end_trials_of, sweep, why_interrupted
from nas.shell import quoted
from nas.space import SearchSpace, dump_space, parse_space
from nas.space.vocabulary import NAME_LISTS
from nas.study.attributes import VERSION, OneAnswer, PositiveClass, StudySettings
from nas.study.claims import Claims
from nas.study.claims_by_calls import CallClaims
from nas.study.claims_by_sql import SqlClaims
from nas.study.live_storage import LiveStorage
from nas.study.optuna_tables import (
    IDENTITY,
    StudyKey,
    delete_trials,
    hold,
    orphans,
    set_study_attribute,
    transaction,
    trials_of,
)
from nas.study.owner import Lease, Watch
from nas.study.record import settings_of
from nas.study.storage import quiet_optuna, storage_errors, with_storage
from nas.study.write_behind import WriteBehind
from nas.study.write_through import WriteThrough
from nas.study_name import check_study_name
from nas.wording import join_names


@dataclass(frozen=True)
class LiveStudy:
    """A study that this process searches.

    Attributes:
        study: Optuna's study, on `storage`.
        storage: What its writes go through.
        claims: What its trials take from those of other searches.
        watch: What it saw of other searches.
        database: The database itself.
    """

    study: optuna.Study
    storage: LiveStorage
    claims: Claims
    watch: Watch
    database: BaseStorage


def study_settings(
    space: SearchSpace,
    data: DataOptions,
    dataset: Dataset,
    split_options: SplitOptions,
    split: Split,
    metric: Metric,
) -> StudySettings:
    """What a study of this data, divided so and scored by this metric, rests on."""
    positive = None
    if metric.positive is not None:
        positive = PositiveClass(metric.positive, metric.positive_label)
    return StudySettings(
        space=dump_space(space),
        data=data,
        data_hash=dataset.hash(),
        task=dataset.task,
        split=split_options,
        split_hash=split.hash(),
        metric=metric.name,
        versions={name: metadata.version(name) for name in ("optuna", "tensorflow", "keras")},
        nas_version=__version__,
        positive=positive,
        constant=_constant(dataset, split, metric) if dataset.task in metric.tasks else None,
        own_metric=metric.is_own,
        findings=find(dataset, split, metric.name),
    )


@quiet_optuna()
def open_study(
    storage: BaseStorage, url: str, name: str, settings: StudySettings, metric: Metric
) -> optuna.Study:
    """Opens or creates the study of a search, and clears away what a killed search left.

    Raises:
        NasError: When a study of that name rests on another space, data set, split or metric, or
            no study can have that name.
    """
    with storage_errors(url):
        if name not in optuna.get_all_study_names(storage):
            check_study_name(name)
        if isinstance(storage, RDBStorage):
            _drop(storage, orphans())
        # Loaded if it exists, so that two searches may begin at the same moment.
        study = optuna.create_study(
            study_name=name, storage=storage, direction=metric.direction.value, load_if_exists=True
        )
        described = "nas_version" in study.user_attrs
        if not described:
            # Trials first: another search may be describing the study, and begins them after that.
            trials = study.get_trials(deepcopy=False)
            described = "nas_version" in study.user_attrs
            if trials and not described:
                of_nas = all("owner" in trial.user_attrs for trial in trials)
                if not of_nas or not isinstance(storage, RDBStorage):
                    raise NasError("--study", f"'{name}' was not made by nas", "another name")
                # Those of a deleted study whose id this one was given.
                _drop(storage, trials_of(study._study_id))
        if not described:
            study.set_metric_names([metric.name])
            # The version comes last: with it the description is whole.
            attributes = settings.to_attributes()
            for key in sorted(attributes, key=lambda key: key == "nas_version"):
                study.set_user_attr(key, attributes[key])
        _check_same(study, settings, url)
        if study.user_attrs.get("version") != VERSION:  # it gets trials of this version
            study.set_user_attr("version", VERSION)
        study.set_user_attr("searched_at", datetime.now(UTC).isoformat())
        sweep(study, storage)
    return study


@contextmanager
def live_study(storage: BaseStorage, url: str, name: str) -> Iterator[LiveStudy]:
    """An opened study for the search itself.

    What is in training when it is left, by an exception wherever it came from, is interrupted.

    Raises:
        NasError: When the study or its database has gone, also in the middle.
    """
    with storage_errors(url), quiet_optuna():
        opened = optuna.load_study(study_name=name, storage=storage)
        lease = Lease()
        try:
            with _live(storage, opened._study_id, name, lease) as (study, live, claims):
                yield LiveStudy(study, live, claims, Watch(), storage)
        except BaseException as error:
            with suppress(Exception):  # the error itself is what is to be told
                end_trials_of(lease.id, opened, storage, why_interrupted(error))
            raise
        end_trials_of(lease.id, opened, storage, "the search ended")


@contextmanager
def _live(
    storage: BaseStorage, study_id: int, name: str, lease: Lease
) -> Iterator[tuple[optuna.Study, LiveStorage, Claims]]:
    """What a search runs on: SQL where there is a database, and else Optuna's calls."""
    if isinstance(storage, RDBStorage):
        key = StudyKey(study_id, name, _identity(study_id, storage))
        with WriteBehind(storage, key, lease) as behind:
            study = optuna.load_study(study_name=name, storage=behind)
            yield study, behind, SqlClaims(study, behind, storage, key, lease.owner)
    else:
        with WriteThrough(storage, study_id, name, lease) as through:
            study = optuna.load_study(study_name=name, storage=through)
            yield study, through, CallClaims(study, through, lease.owner)


def _identity(study_id: int, storage: RDBStorage) -> str:
    """What no other study has; made by the first search."""
    with transaction(storage.engine) as connection:
        hold(connection, study_id)
        attributes = storage.get_study_user_attrs(study_id)
        if IDENTITY not in attributes:
            attributes[IDENTITY] = uuid.uuid4().hex
            set_study_attribute(connection, study_id, IDENTITY, attributes[IDENTITY])
    return str(attributes[IDENTITY])


def _drop(storage: RDBStorage, trial_ids: Select[Any]) -> None:
    with transaction(storage.engine) as connection:
        if connection.execute(trial_ids.limit(1)).first() is not None:
            delete_trials(connection, trial_ids)


def _check_same(study: optuna.Study, settings: StudySettings, url: str) -> None:
    old = settings_of(study)
    differences = []
    # What is the same may once have been written otherwise.
    if parse_space(old.space, is_stored=True) != parse_space(settings.space, is_stored=True):
        differences.append("space (" + _space_difference(old.space, settings.space) + ")")
    if old.data_hash != settings.data_hash:
        differences.append(f"data set ({_data_difference(old.data, settings.data)})")
    elif old.split_hash != settings.split_hash:
        names = ("folds", "repeats", "val_size", "test_size", "seed")
        changed = _changed(old.split, settings.split, names)
        differences.append("folds (" + (", ".join(changed) or "other rows") + ")")
    if old.metric != settings.metric:
        differences.append(f"metric ({old.metric})")
    elif _positive_number(old) != _positive_number(settings):
        before = f"'{old.positive.label}'" if old.positive else "the second class"
        now = settings.positive.label if settings.positive else "the second class"
        differences.append(f"--positive ({before}, now '{now}')")
    if differences:
        delete = with_storage(f"nas study delete {quoted(study.study_name)}", url)
        raise NasError(
            "--study",
            f"'{study.study_name}' was made with other settings: " + "; ".join(differences),
            "the same, to go on",
            f"Give a new name with --study, or delete this one: {delete}",
        )


def _constant(dataset: Dataset, split: Split, metric: Metric) -> OneAnswer:
    """The score of one answer for all rows, and that answer where it is a class."""
    y, n_classes = dataset.y[split.development], len(dataset.classes)
    answer = None
    if metric.name in SCORES_OF_CLASSES:
        commonest = int(np.bincount(y).argmax())
        is_f1 = metric.name == "f1" and dataset.positive is not None
        answered = dataset.positive if is_f1 else commonest
        answer = str(dataset.classes[answered or 0])
    return OneAnswer(answer, constant_score(metric, y, dataset.task, n_classes))


def _positive_number(settings: StudySettings) -> int:
    # Without it the study is from before there was a choice, or by another metric.
    return settings.positive.number if settings.positive else 1


def _space_difference(old: str, new: str) -> str:
    spaces = [parse_space(text, is_stored=True) for text in (old, new)]
    if spaces[0].function != spaces[1].function:
        return "another function, or another text of it"
    before, now = (space.parameters for space in spaces)
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if not keys:
        return "network or default data"
    lines = {line.split(":")[0]: line for line in old.splitlines()}
    return ", ".join(lines.get(key, f"no {key}") for key in keys)


def _data_difference(old: DataOptions, new: DataOptions) -> str:
    names = (
        *("target", "test", "task", "groups", "sample_weight", "class_weight", "time", "header"),
        *(
            "scaling",
            "target_scaling",
            "quantiles",
            "images",
            "image_size",
            "merge_rare",
            "max_rows",
            "label_noise",
        ),
    )
    changed = _changed(old, new, names)
    for name in NAME_LISTS:
        before, given = (join_names(getattr(data, name)) for data in (old, new))
        if before != given and name != "classes":
            changed.append(f"{name} {before or 'none'}, now {given or 'none'}")
    classes, now = (",".join(data.classes) or "all" for data in (old, new))
    if classes != now:
        changed.append(f"classes {classes}, now {now}")
    return "; ".join([old.source, *changed])


def _changed(old: Any, new: Any, names: Iterable[str]) -> list[str]:
    """Those of the named options that differ, with both values."""
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in names)
    return [f"{name} {before}, now {now}" for name, before, now in pairs if before != now]
