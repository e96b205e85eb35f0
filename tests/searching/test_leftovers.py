"""Trials of searches on other machines, which cannot be asked whether they live."""

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from fakes import PROBLEM, SPACE, FakeEngine, SlotsPool, open_fake_study, url_of
from optuna.trial import TrialState

from nas.searching import SearchOptions, live_study, run_search, sweep
from nas.searching.loop import Progress
from nas.study import owner
from nas.study.record import study_record
from nas.study.storage import open_storage

ELSEWHERE = {**owner.this_process(), "host": "another", "machine": "another"}


@pytest.fixture
def theirs(tmp_path: Path) -> optuna.Study:
    """A study with a trial in training on another machine, which holds a lease."""
    study = open_fake_study(tmp_path)
    study._storage.set_study_system_attr(study._study_id, "nas:lease:1", {**ELSEWHERE, "count": 1})
    trial = study.ask()
    for name, value in (("owner", {**ELSEWHERE, "lease": "1"}), ("index", 0)):
        trial.set_user_attr(name, value)
    trial.suggest_categorical("depth", list(range(1, 6)))
    return study


def search(folder: Path, n_trials: int) -> Iterator[Progress]:
    url = url_of(folder)
    with live_study(open_storage(url), url, "fake") as live:
        options = SearchOptions(n_trials, sampler="random")
        yield from run_search(live, url, SPACE, PROBLEM, SlotsPool(FakeEngine(), 2), options)


def leases(study: optuna.Study) -> list[str]:
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return [key for key in attributes if key.startswith(owner.LEASE)]


def test_one_who_died_is_waited_for_and_replaced(
    theirs: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "LIFETIME", 1.0)
    for _ in search(tmp_path, 4):
        pass
    trials = study_record(theirs).trials
    assert (trials[0].outcome, trials[0].reason) == (
        "interrupted",
        "the process ended while it trained",
    )
    assert len(study_record(theirs).counted) == 4
    again = [t for t in theirs.get_trials() if "retry_of" in t.user_attrs]
    assert [(t.user_attrs["index"], t.params["depth"]) for t in again] == [
        (0, trials[0].params["depth"])
    ]
    assert leases(theirs) == []


def test_one_who_lives_is_neither_waited_for_nor_touched(
    theirs: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "LIFETIME", 1e6)
    count = 1
    for _ in search(tmp_path, 4):
        count += 1
        value = {**ELSEWHERE, "count": count}
        theirs._storage.set_study_system_attr(theirs._study_id, "nas:lease:1", value)
    record = study_record(theirs)
    assert record.trials[0].outcome == "running"
    assert len(record.counted) == 3
    assert leases(theirs) == ["nas:lease:1"]


def test_one_who_may_live_is_left_alone_and_one_without_a_lease_has_ended(
    theirs: optuna.Study, tmp_path: Path
) -> None:
    storage = open_storage(url_of(tmp_path))
    watch = owner.Watch()
    assert sweep(theirs, storage, watch), "in doubt"
    assert theirs.trials[0].state == TrialState.RUNNING
    value = {**ELSEWHERE, "count": 2}
    theirs._storage.set_study_system_attr(theirs._study_id, "nas:lease:1", value)
    assert not sweep(theirs, storage, watch)
    assert theirs.trials[0].state == TrialState.RUNNING
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM study_system_attributes WHERE key LIKE 'nas:%'")
    assert not sweep(theirs, storage, watch)
    assert [trial.state for trial in theirs.trials] == [TrialState.FAIL, TrialState.WAITING]
    sweep(theirs, storage, watch)
    assert len(theirs.trials) == 2
