"""Settings that are trained first: given by the user, or good in another study."""

import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
from fakes import PROBLEM, SPACE, FakeEngine, fill_study, open_fake_study, search_fake, url_of
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from nas.errors import NasError
from nas.execution.pool import LocalPool
from nas.metrics import METRICS
from nas.searching import (
    SearchOptions,
    best_settings,
    enqueue,
    live_study,
    open_study,
    run_search,
    sweep,
)
from nas.space import Range, SearchSpace
from nas.study.attributes import StudySettings
from nas.study.record import study_record
from nas.study.storage import open_storage

FIRST = [{"depth": 1, "learning_rate": 0.05}, {"depth": 4}]
RANGES = {"depth": Range(1, 5), "learning_rate": Range(1e-4, 1e-1, log=True), "epochs": 9}
WITH_FIRST = SearchSpace(RANGES, "fake", first=FIRST)
OWN = [{"depth": 3, "learning_rate": 0.02}, {"depth": 5}]


def wait(folder: Path, space: SearchSpace = SPACE, settings: Any = OWN, n_trials: int = 20) -> int:
    """As `nas.search` does it."""
    study = open_fake_study(folder, space)
    storage = open_storage(url_of(folder))
    new = enqueue(study, storage, settings, "--enqueue", n_trials)
    enqueue(study, storage, space.first, "first", n_trials)
    return len(new)


def params(study: optuna.Study) -> list[dict]:
    return [trial.params for trial in study_record(study).counted]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_own_settings_come_first_then_those_of_the_space(tmp_path: Path, sampler: str) -> None:
    assert wait(tmp_path, WITH_FIRST) == 2
    study, _ = search_fake(tmp_path, space=WITH_FIRST, n_trials=7, sampler=sampler)
    found = params(study)
    assert found[0] == OWN[0] and found[2] == FIRST[0]
    assert [one["depth"] for one in found[:4]] == [3, 5, 1, 4]
    assert len(found) == 7 and all(one not in found[:4] for one in found[4:])
    # What a setting does not name is drawn.
    assert len({one["learning_rate"] for one in found}) == 7


def test_the_same_call_trains_nothing_twice(tmp_path: Path) -> None:
    wait(tmp_path, WITH_FIRST)
    whole, _ = search_fake(tmp_path, space=WITH_FIRST, n_trials=6)
    engine = FakeEngine()
    assert wait(tmp_path, WITH_FIRST) == 0
    study, _ = search_fake(tmp_path, engine, WITH_FIRST, n_trials=6)
    assert engine.started == [] and params(study) == params(whole)
    # Others are trained next, also in a study that has begun.
    assert wait(tmp_path, WITH_FIRST, [*OWN, {"depth": 2, "learning_rate": 0.07}]) == 1
    study, _ = search_fake(tmp_path, engine, WITH_FIRST, n_trials=8)
    assert len(engine.started) == 2
    assert params(study)[6] == {"depth": 2, "learning_rate": 0.07}


@pytest.mark.parametrize("stop_after", [1, 4, 13, 24])
def test_a_stopped_search_goes_on_as_if_it_had_not_been(tmp_path: Path, stop_after: int) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    found = []
    for folder, stop in ((whole, None), (cut, stop_after)):
        folder.mkdir()
        wait(folder, WITH_FIRST)
        options = {"space": WITH_FIRST, "n_trials": 6, "pruner": "none"}
        search_fake(folder, stop_after=stop, **options)
        wait(folder, WITH_FIRST)
        study, _ = search_fake(folder, **options)
        ended = [t for t in study.get_trials() if t.user_attrs["outcome"] != "interrupted"]
        # The interrupted one is trained behind those that waited already, with its own index.
        found.append(sorted((t.user_attrs["index"], repr(t.params), t.value) for t in ended))
    assert found[0] == found[1] and len(found[0]) == 6


def test_one_that_was_killed_before_it_had_parameters_is_trained(tmp_path: Path) -> None:
    wait(tmp_path, settings=OWN[1:])
    url = url_of(tmp_path)
    with live_study(open_storage(url), url, "fake") as live:
        assert live.claims.begin(-1, None, 5) == (1, 0)
        live.storage.flush()
    study = optuna.load_study(study_name="fake", storage=open_storage(url))
    (trial,) = study.get_trials()
    assert (trial.params, trial.state) == ({}, TrialState.FAIL)
    sweep(study, open_storage(url))
    assert wait(tmp_path, settings=OWN[1:]) == 0
    study, _ = search_fake(tmp_path, n_trials=1)
    assert [one["depth"] for one in params(study)] == [5]


def test_searches_that_begin_together_enqueue_once(tmp_path: Path) -> None:
    open_fake_study(tmp_path)
    storages = [open_storage(url_of(tmp_path)) for _ in range(4)]
    studies = [optuna.load_study(study_name="fake", storage=storage) for storage in storages]
    together, new = threading.Barrier(4), []

    def begin(study: optuna.Study, storage: Any) -> None:
        together.wait()
        new.extend(enqueue(study, storage, OWN, "--enqueue", 20))

    threads = [
        threading.Thread(target=begin, args=pair) for pair in zip(studies, storages, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert new == OWN and len(studies[0].get_trials()) == 2


def test_a_storage_without_sql_has_them_too(tmp_path: Path) -> None:
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    described = open_fake_study(tmp_path, WITH_FIRST)
    settings = StudySettings.from_attributes(described.user_attrs, "fake")
    for _ in range(2):
        study = open_study(storage, "journal", "fake", settings, METRICS["accuracy"])
        enqueue(study, storage, OWN, "--enqueue", 20)
        enqueue(study, storage, FIRST, "first", 20)
        with live_study(storage, "journal", "fake") as live:
            pool = LocalPool(lambda _spec: (FakeEngine(), "fake"))
            options = SearchOptions(n_trials=5)
            for _ in run_search(live, "journal", WITH_FIRST, PROBLEM, pool, options):
                pass
    assert [one["depth"] for one in params(study)[:4]] == [3, 5, 1, 4]
    assert len(params(study)) == 5


def test_settings_need_places(tmp_path: Path) -> None:
    message = "^enqueue: got 2 settings for a study that has {} of its {} left. Give more trials."
    with pytest.raises(NasError, match=message.format(1, "1 trial")):
        wait(tmp_path, n_trials=1)
    search_fake(tmp_path, n_trials=4)
    with pytest.raises(NasError, match=message.format(0, "4 trials")):
        wait(tmp_path, n_trials=4)
    assert wait(tmp_path, settings=[*OWN, *OWN], n_trials=6) == 2


def test_a_network_that_was_trained_is_not_trained_again(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=3)
    twin = params(study)[0]
    wait(tmp_path, settings=[twin, {"depth": 5, "width": 64, "learning_rate": 0.03}])
    engine = FakeEngine()
    study, _ = search_fake(tmp_path, engine, n_trials=4)
    assert len(engine.started) == 1 and len(engine.started[0].architecture.units) == 5
    assert study_record(study).trials[3].outcome == "duplicate"


# Another study's


def other_study(space: SearchSpace, n_trials: int = 30) -> Any:
    """A study that is best at two layers and a learning rate of 0.003, in memory."""

    def score(spec: Any) -> float:
        from fakes import smooth

        return smooth(spec, 0, 0, 9)

    return study_record(fill_study(space, n_trials, score))


def test_the_best_distinct_settings_are_taken_over_without_their_scores(tmp_path: Path) -> None:
    other = other_study(SearchSpace(RANGES, "other"), 100)
    ours = SearchSpace({**RANGES, "width": [16, 32], "epochs": 3}, "fake")
    settings = best_settings(other, ours, PROBLEM)
    ranked = sorted(other.complete, key=lambda trial: trial.value, reverse=True)
    assert settings[0] == ranked[0].params and len(settings) == 8
    assert all(one in [trial.params for trial in ranked] for one in settings)
    assert [one.params for one in ranked[:8]] != settings, "some are alike"
    study = open_fake_study(tmp_path, ours)
    storage = open_storage(url_of(tmp_path))
    assert enqueue(study, storage, settings, "--warm-start other", 5) == settings[:5]
    study, _ = search_fake(tmp_path, space=ours, n_trials=5)
    assert [{**one, "width": 0} for one in params(study)] == [
        {**one, "width": 0} for one in settings[:5]
    ]
    assert {one["width"] for one in params(study)} <= {16, 32}
    assert {trial.spec.training.epochs for trial in study_record(study).trials} == {3}
    # Once: what the other study found since is for another search.
    assert enqueue(study, storage, settings, "--warm-start other", 50) == []


def test_less_is_better_for_an_error() -> None:
    from dataclasses import replace

    other = replace(other_study(SPACE), direction="minimize")
    settings = best_settings(other, SPACE, PROBLEM)
    assert settings[0] == min(other.complete, key=lambda trial: trial.value).params


def test_trials_outside_the_space_stay_behind() -> None:
    other = other_study(SPACE)
    ours = SearchSpace({"depth": [2, 5], "learning_rate": Range(1e-3, 1e-2), "l2": [0.0, 0.1]})
    settings = best_settings(other, ours, PROBLEM)
    assert settings and all(one["depth"] in (2, 5) for one in settings)
    assert all(one.keys() == {"depth", "learning_rate"} for one in settings)
    # What every network of the other study has counts, too.
    ours = SearchSpace({"depth": Range(1, 5), "epochs": [9, 20]})
    assert all(one["epochs"] == 9 for one in best_settings(other, ours, PROBLEM))


@pytest.mark.parametrize(
    ("n_trials", "entries", "words"),
    [
        (30, {"l2": [0.0, 0.1]}, ["study 'fake' has no parameter that this space searches"]),
        (30, {"width": [8, 9]}, ["no complete trial of 'fake' lies in the space; trial ",
                                 "which is not among its values: one of 8, 9"]),
        (0, {"width": [16, 32]}, ["study 'fake' has no complete trial"]),
    ],
)  # fmt: skip
def test_nothing_to_take_over_is_told(n_trials: int, entries: dict, words: list[str]) -> None:
    with pytest.raises(NasError) as error:
        best_settings(other_study(SPACE, n_trials), SearchSpace(entries), PROBLEM)
    assert error.value.where == "--warm-start"
    assert all(word in error.value.on_command_line for word in words), error.value
