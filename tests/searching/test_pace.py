"""What the time of a search has room for."""

import time
from pathlib import Path
from typing import Any

import pytest
from fakes import (
    PROBLEM,
    SPACE,
    FakeEngine,
    SlotsPool,
    open_fake_study,
    search_fake,
    url_of,
)

from nas.options import SearchOptions
from nas.searching import enqueue, live_study, pace, run_search
from nas.searching.pace import Pace, planned_folds, to_confirm, work
from nas.space import RandomSuggester, Range, SearchSpace
from nas.spec import Problem, TrialSpec
from nas.study.record import study_record
from nas.study.storage import open_storage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def no_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was measured counts."""
    monkeypatch.setattr(pace, "PRIOR", 0.0)


def spec_of(width: int, n_rows: int = 1000) -> TrialSpec:
    space = SearchSpace({"depth": 1, "width": width, "epochs": 10})
    return space.sample(RandomSuggester(0), Problem("regression", 8, 1, n_rows=n_rows))


def test_work_counts_epochs_folds_rows_and_weights() -> None:
    small, large, longer = spec_of(8), spec_of(800), spec_of(8, n_rows=100_000)
    assert work(small, 10, 5) == 5 * work(small, 10, 1) == 10 * work(small, 1, 5)
    assert work(large, 1, 1) > 2 * work(small, 1, 1)
    assert work(longer, 1, 1) > 20 * work(small, 1, 1)


@pytest.mark.usefixtures("no_prior")
def test_a_trial_fits_if_its_work_and_what_waits_can_be_done(clock: list[float]) -> None:
    speed = Pace(workers=1)
    assert speed.seconds(1e9, spec_of(8)) == 0.0  # as long as nothing is known
    assert speed.fits(0.0, 1e9, 0.1)
    speed.begin(spec_of(8))
    clock[0] += 10.0 + pace.COMPILING
    speed.note(500.0)  # 50 a second
    assert speed.seconds(1000.0, spec_of(8)) == 20.0
    assert speed.fits(20.0, 0.0, 21.0)
    assert not speed.fits(20.0, 0.0, 19.0)
    assert not speed.fits(20.0, 100.0, 21.0)


@pytest.mark.usefixtures("no_prior")
def test_another_program_takes_time_to_compile(clock: list[float]) -> None:
    speed = Pace(workers=1)
    speed.begin(spec_of(8))
    clock[0] += 10.0 + pace.COMPILING
    speed.note(500.0)
    assert speed.seconds(500.0, spec_of(800)) == 10.0 + pace.COMPILING
    speed.begin(spec_of(800))
    clock[0] += pace.COMPILING
    assert speed.seconds(500.0, spec_of(800)) == 10.0


@pytest.mark.usefixtures("no_prior")
def test_where_programs_are_there_already_the_rate_stays_within_reason(clock: list[float]) -> None:
    speed = Pace(workers=1)
    speed.begin(spec_of(8))
    clock[0] += 1.0
    speed.note(300.0)
    assert speed.seconds(1000.0, spec_of(8)) == pytest.approx(1.0)


@pytest.mark.usefixtures("no_prior")
def test_one_of_several_workers_trains_a_trial(clock: list[float]) -> None:
    speed = Pace(workers=4)
    speed.begin(spec_of(8))
    clock[0] += 10.0 + pace.COMPILING / 4
    speed.note(2000.0)  # 50 a second of each
    own = speed.seconds(1000.0, spec_of(8))
    assert own == 20.0
    assert not speed.fits(own, 0.0, 19.0)
    assert speed.fits(own, 0.0, 21.0)
    assert not speed.fits(own, 400.0, 21.0)  # in which each has two seconds to do
    assert speed.fits(own, 400.0, 23.0)


def test_in_the_beginning_the_usual_rate_counts(clock: list[float]) -> None:
    speed = Pace(workers=1)
    speed.begin(spec_of(8))
    clock[0] += 0.1
    speed.note(1.0)  # hardly anything is told yet
    assert speed.seconds(2e10, spec_of(8)) == pytest.approx(1.0, rel=0.1)
    clock[0] += 1000.0
    speed.note(1e9 * 1000)  # a slow machine
    assert speed.seconds(2e10, spec_of(8)) == pytest.approx(20.0, rel=0.2)


@pytest.mark.usefixtures("no_prior")
def test_no_trial_takes_a_large_part_of_the_time(clock: list[float]) -> None:
    speed = Pace(workers=1, timeout=100.0)
    speed.begin(spec_of(8))
    clock[0] += 1.0
    speed.note(50.0)
    assert speed.fits(50.0, 0.0, 99.0)
    assert not speed.fits(50.1, 0.0, 99.0)


def test_folds_are_fewer_where_the_time_has_no_room_for_them() -> None:
    specs = [spec_of(width, n_rows=20_000) for width in (8, 8, 80, 800)]
    of_a_fold = work(specs[0], 10, 1) / 2e10
    room = pace.PLANNED * of_a_fold
    assert planned_folds(specs, 5_000, 5.01 * room) == 5
    assert planned_folds(specs, 5_000, 4.99 * room) == 3
    assert planned_folds(specs, 5_000, 2.99 * room) == 1
    assert planned_folds(specs, 999, 2.99 * room) == 3  # so few rows would tell little


def test_what_is_confirmed_fits_into_a_quarter_of_the_time() -> None:
    seconds = [10.0] * 5

    def planned(n_complete: int = 20, workers: int = 2, n_folds: int = 5, **options: Any) -> Any:
        return to_confirm(SearchOptions(**options), seconds, n_complete, workers, n_folds)

    five, four, two = (pace.STARTING + 5.0 * n for n in (5, 4, 2))
    assert planned() == (5, five)
    assert planned(19) == (0, 0.0)
    assert planned(timeout=4 * five) == (5, five)
    # As many as there is time for, but not one alone.
    assert planned(timeout=4 * five - 1) == (4, four)
    assert planned(timeout=4 * two) == (2, two)
    assert planned(timeout=4 * two - 1) == (0, 0.0)
    # A single split is confirmed sooner.
    assert planned(pace.LEAST_ON_A_SPLIT, n_folds=1) == (5, five)
    assert planned(pace.LEAST_ON_A_SPLIT - 1, n_folds=1) == (0, 0.0)
    # As long as the longest, however many train.
    assert planned(workers=64) == (5, pace.STARTING + 10.0)
    # What is asked for is done.
    assert planned(3, workers=1, timeout=1.0, confirm=2) == (2, pace.STARTING + 20.0)
    assert planned(confirm=0) == (0, 0.0)


def slow(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
    time.sleep(0.01)
    return 0.5


@pytest.fixture
def nothing_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "COMPILING", 0.0)
    monkeypatch.setattr(pace, "PRIOR", 0.0)  # the fake networks train far slower


@pytest.mark.usefixtures("nothing_to_compile")
@pytest.mark.long
def test_no_trial_begins_that_could_not_end(tmp_path: Path) -> None:
    # 9 epochs of 3 folds take 0.27 s.
    _, steps = search_fake(tmp_path, FakeEngine(slow), n_trials=1000, timeout=2.0, pruner="none")
    assert "too short for another trial" in steps[-1].note
    assert steps[-1].complete >= 4
    outcomes = {step.finished.outcome for step in steps if step.finished}
    assert outcomes == {"complete"}  # none was interrupted


@pytest.mark.usefixtures("nothing_to_compile")
@pytest.mark.long
def test_a_trial_that_would_take_too_long_makes_room_for_others(tmp_path: Path) -> None:
    space = SearchSpace({"depth": 1, "width": Range(16, 64), "epochs": [3, 1000]}, "fake")
    study, steps = search_fake(
        tmp_path, FakeEngine(slow), space, n_trials=1000, timeout=4.0, pruner="none"
    )
    record = study_record(study)
    rejected = [t for t in record.trials if t.outcome == "too_long"]
    assert rejected and "s of training" in rejected[0].reason
    assert rejected[0].params["epochs"] == 1000
    assert {t.params["epochs"] for t in record.complete} == {3}
    assert steps[-1].rejected >= len(rejected)
    assert steps[-1].complete >= 4


@pytest.mark.usefixtures("nothing_to_compile")
@pytest.mark.long
def test_a_setting_that_waits_is_trained_even_so(tmp_path: Path) -> None:
    space = SearchSpace({"depth": 1, "width": Range(16, 64), "epochs": [3, 60]}, "fake")
    study = open_fake_study(tmp_path, space)
    database = open_storage(url_of(tmp_path))
    settings = [{"width": 20, "epochs": 3}, {"width": 30, "epochs": 60}]
    enqueue(study, database, settings, "--enqueue", 1000)
    study, _ = search_fake(
        tmp_path, FakeEngine(slow), space, n_trials=1000, timeout=5.0, pruner="none"
    )
    trials = study_record(study).trials
    assert [t.outcome for t in trials if t.params["width"] == 30][:1] == ["complete"]


@pytest.mark.usefixtures("nothing_to_compile")
@pytest.mark.long
def test_time_to_confirm_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "STARTING", 0.0)
    done = {}
    for number in (0, 20):  # another second or so, beside what other processes take to start
        (tmp_path / str(number)).mkdir()
        _, steps = search_fake(
            tmp_path / str(number), FakeEngine(slow),
            n_trials=1000, timeout=4.0, pruner="none", confirm=number,
        )  # fmt: skip
        done[number] = steps[-1].complete
    assert 4 <= done[20] <= done[0] - 2


def test_until_there_is_a_winner_nothing_takes_turns_with_a_trial(tmp_path: Path) -> None:
    most = {}
    for timeout in (None, 60.0):
        (tmp_path / str(timeout)).mkdir()
        url = url_of(tmp_path / str(timeout))
        open_fake_study(tmp_path / str(timeout))
        options = SearchOptions(6, pruner="none", timeout=timeout)
        with live_study(open_storage(url), url, "fake") as live:
            pool = SlotsPool(FakeEngine(), 4)
            steps = list(run_search(live, url, SPACE, PROBLEM, pool, options))
        before = [step.in_training for step in steps if not step.complete]
        most[timeout] = max(before)
        assert steps[-1].complete == 6
        assert max(step.in_training for step in steps) == 4
    assert most == {None: 4, 60.0: 1}
