"""Opening a study: what it rests on, and what an earlier search left behind."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

import nas
from nas.data import DataOptions, Dataset, Split, SplitOptions
from nas.data.findings import find
from nas.errors import NasError
from nas.metrics import SCORES_OF_CLASSES, Metric, constant_score
from nas.space import SearchSpace, dump_space, parse_space
from nas.storage import storage_errors
from nas.study import Outcome
from nas.write_behind import WriteBehind

FOREIGN_TRIAL_IS_STALE = timedelta(days=1)


def study_settings(
    space: SearchSpace,
    data: DataOptions,
    dataset: Dataset,
    split_options: SplitOptions,
    split: Split,
    metric: Metric,
) -> dict[str, Any]:
    """What a study rests on, as its attributes in the database."""
    told: dict[str, Any] = {}
    if metric.positive is not None:
        told["positive"] = {"class": metric.positive, "label": metric.positive_label}
    if dataset.task in metric.tasks:
        told["constant"] = _constant(dataset, split, metric)
    return {
        "nas_version": nas.__version__,
        "space": dump_space(space),
        "data": asdict(data),
        "data_hash": dataset.hash(),
        "task": dataset.task,
        "split": asdict(split_options),
        "split_hash": split.hash(),
        "metric": metric.name,
        **told,
        "findings": [asdict(finding) for finding in find(dataset, split, metric.name)],
        "versions": {name: metadata.version(name) for name in ("optuna", "tensorflow", "keras")},
    }


def open_study(
    storage: RDBStorage, url: str, name: str, settings: dict[str, Any], metric: Metric
) -> optuna.Study:
    """Opens or creates the study of a search, and clears away what a killed search left.

    Raises:
        NasError: When a study of that name rests on another space, data set, split or metric.
    """
    with storage_errors(url):
        # Loaded if it exists, so that two searches may begin at the same moment.
        study = optuna.create_study(
            study_name=name, storage=storage, direction=metric.direction, load_if_exists=True
        )
        described = "nas_version" in study.user_attrs
        if not described and study.get_trials(deepcopy=False):
            raise NasError("--study", f"'{name}' was not made by nas", "another name")
        if not described:
            study.set_metric_names([metric.name])
            # The version comes last: with it the description is whole.
            for key in sorted(settings, key=lambda key: key == "nas_version"):
                study.set_user_attr(key, settings[key])
        _check_same(study, settings)
        study.set_user_attr("searched_at", datetime.now(UTC).isoformat())
        sweep(study, storage)
    return study


@contextmanager
def live_study(storage: RDBStorage, url: str, name: str) -> Iterator[optuna.Study]:
    """An opened study for the search itself, whose writes reach the database in batches."""
    with storage_errors(url), WriteBehind(storage, {"owner": _owner()}) as live:
        yield optuna.load_study(study_name=name, storage=live)


def _check_same(study: optuna.Study, settings: dict[str, Any]) -> None:
    old = study.user_attrs
    differences = []
    # What is the same may once have been written otherwise.
    if parse_space(old["space"]) != parse_space(settings["space"]):
        differences.append("space (" + _space_difference(old["space"], settings["space"]) + ")")
    if old["data_hash"] != settings["data_hash"]:
        differences.append(f"data set ({_data_difference(old['data'], settings['data'])})")
    elif old["split_hash"] != settings["split_hash"]:
        before, now = old["split"], settings["split"]
        changed = [
            f"{key} {before.get(key)}, now {now[key]}" for key in now if before.get(key) != now[key]
        ]
        differences.append("folds (" + (", ".join(changed) or "other rows") + ")")
    if old["metric"] != settings["metric"]:
        differences.append(f"metric ({old['metric']})")
    elif _positive_number(old) != _positive_number(settings):
        before = f"'{old['positive']['label']}'" if "positive" in old else "the second class"
        differences.append(f"--positive ({before}, now '{settings['positive']['label']}')")
    if differences:
        raise NasError(
            "--study",
            f"'{study.study_name}' was made with other settings: " + "; ".join(differences),
            "the same, to go on",
            f"Give a new name with --study, or run 'nas study delete {study.study_name}'.",
        )


def _constant(dataset: Dataset, split: Split, metric: Metric) -> dict[str, Any]:
    """The score of one answer for all rows, and that answer where it is a class."""
    y, n_classes = dataset.y[split.development], len(dataset.classes)
    answer = None
    if metric.name in SCORES_OF_CLASSES:
        answer = str(dataset.classes[int(np.bincount(y).argmax())])
    return {"answer": answer, "value": constant_score(metric, y, dataset.task, n_classes)}


def _positive_number(settings: Mapping[str, Any]) -> int:
    # Without it the study is from before there was a choice, or by another metric.
    number: int = settings.get("positive", {}).get("class", 1)
    return number


def _space_difference(old: str, new: str) -> str:
    before, now = parse_space(old).parameters, parse_space(new).parameters
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if not keys:
        return "network or default data"
    lines = {line.split(":")[0]: line for line in old.splitlines()}
    return ", ".join(lines.get(key, f"no {key}") for key in keys)


def _data_difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    before = {**asdict(DataOptions(old["source"])), **old}  # an older study lacks newer options
    keys = (
        *("target", "task", "groups", "header", "scaling", "images", "image_size"),
        *("max_rows", "label_noise"),
    )
    changed = [f"{key} {before[key]}, now {new[key]}" for key in keys if before[key] != new[key]]
    classes, now = (",".join(data["classes"]) or "all" for data in (before, new))
    if classes != now:
        changed.append(f"classes {classes}, now {now}")
    return "; ".join([old["source"], *changed])


def _owner() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "start": _start_of(os.getpid())}


def _start_of(pid: int) -> str:
    """When a process started, where the system tells; guards against a reused process id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _is_alive(trial: FrozenTrial) -> bool:
    owner = trial.user_attrs.get("owner")
    if owner is None or owner["host"] != socket.gethostname():
        started = trial.datetime_start or datetime.now()
        limit = timedelta(minutes=1) if owner is None else FOREIGN_TRIAL_IS_STALE
        return datetime.now() - started < limit
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(owner["start"] == _start_of(owner["pid"]))


def sweep(study: optuna.Study, storage: RDBStorage) -> None:
    """Ends the trials of processes that are gone, and queues what was interrupted once more."""
    trials = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.state == TrialState.RUNNING and not _is_alive(trial):
            twice = "killed" in trial.user_attrs.get("retry_of", {})
            outcome: Outcome = "failed" if twice else "interrupted"
            reason = "the process ended while it trained" + (", for the second time" * twice)
            study_id = storage.get_study_id_from_name(study.study_name)
            trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
            for key, value in (("outcome", outcome), ("reason", reason), ("killed", True)):
                storage.set_trial_user_attr(trial_id, key, value)
            study.tell(trial.number, state=TrialState.FAIL)
    trials = study.get_trials(deepcopy=False)
    retried = {t.user_attrs["retry_of"]["trial"] for t in trials if "retry_of" in t.user_attrs}
    for trial in trials:
        if trial.user_attrs.get("outcome") == "interrupted" and trial.number not in retried:
            index = trial.user_attrs.get("index", trial.number)
            retry_of: dict[str, Any] = {"trial": trial.number, "index": index}
            if trial.user_attrs.get("killed"):
                retry_of["killed"] = True
            if trial.params:
                study.enqueue_trial(trial.params, user_attrs={"retry_of": retry_of})
