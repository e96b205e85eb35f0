import json
import os
import socket
import sqlite3
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from fakes import FakeEngine, made_settings, search_fake, smooth, url_of

import nas.spec
from nas.analysis.winner import pareto_front, simplest_equal, summarize
from nas.errors import NasError
from nas.metrics import METRICS
from nas.report.figures import pareto_figure
from nas.spec import Curves, TrialSpec
from nas.study.record import StudyRecord, TrialRecord, delete_study, load_study, study_record
from nas.study.storage import open_storage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    search_fake(folder, n_trials=25, pruner="none", sampler="random")
    return folder


def test_what_is_read_is_what_was_searched(folder: Path) -> None:
    record = load_study("fake", url_of(folder))
    assert isinstance(record, StudyRecord)
    assert (record.metric, record.direction) == ("accuracy", "maximize")
    assert len(record.complete) == 25
    assert all(isinstance(trial.spec, TrialSpec) for trial in record.trials)


def test_curves_are_decoded_when_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_fake(tmp_path, n_trials=2)
    curves = Curves(((1.0,), (0.5,)), ((1.0,), (np.nan,)), ((0.1,), (0.2,)))
    storage = open_storage(url_of(tmp_path))
    with sqlite3.connect(tmp_path / "nas.db") as database:
        database.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE key = 'curves'",
            [json.dumps(curves.to_dict())],
        )
    database.close()
    decoded, whole = [], nas.spec._long
    monkeypatch.setattr("nas.spec._long", lambda row: decoded.append(row) or whole(row))
    record = study_record(optuna.load_study(study_name="fake", storage=storage))
    assert record.best().value is not None and decoded == []
    first = record.trials[0]
    assert first.curves.train_loss == curves.train_loss and len(decoded) == 6
    assert first.curves is first.curves and len(decoded) == 6
    assert first.to_dict()["curves"]["val_value"] == [[0.1], [0.2]]
    assert replace(first, curves=None).curves is None
    assert replace(first, curves=curves).curves is curves
    assert first.examination is None


def test_the_latest_study_is_the_one_searched_last(folder: Path) -> None:
    search_fake(folder, n_trials=1, name="younger")
    assert load_study(None, url_of(folder)).name == "younger"
    search_fake(folder, n_trials=25, pruner="none", sampler="random")
    assert load_study(None, url_of(folder)).name == "fake"


def test_the_best_has_the_best_mean(folder: Path) -> None:
    record = load_study("fake", url_of(folder))
    assert record.best().value == max(np.mean(t.fold_values) for t in record.complete)


def test_the_simplest_is_within_one_standard_error_and_none_smaller_is(tmp_path: Path) -> None:
    def noisy(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        return smooth(spec, fold, seed, epoch) + 0.1 * fold

    study, _ = search_fake(tmp_path, FakeEngine(noisy), n_trials=25, pruner="none")
    record = study_record(study)
    best, simplest = record.best(), simplest_equal(record)
    assert simplest.n_weights < best.n_weights
    assert simplest.value >= best.value - best.stderr
    for trial in record.complete:
        if trial.n_weights < simplest.n_weights:
            assert trial.value < best.value - best.stderr


def test_with_one_fold_the_simplest_is_the_best(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, FakeEngine(n_folds=1), n_trials=6, pruner="none")
    record = study_record(study)
    assert record.best().stderr is None
    assert simplest_equal(record).number == record.best().number


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_the_front_holds_what_no_smaller_network_beats(tmp_path: Path, metric: str) -> None:
    study, _ = search_fake(tmp_path, n_trials=60, pruner="none", metric=METRICS[metric])
    record = study_record(study)
    front = pareto_front(record)
    assert front[-1].number == record.best().number
    weights = [trial.n_weights for trial in front]
    assert weights == sorted(set(weights))
    is_better = METRICS[metric].direction.better
    for trial in record.complete:
        beaten = any(
            other.n_weights <= trial.n_weights and is_better(other.value, trial.value)
            for other in record.complete
        )
        assert (trial.number in {t.number for t in front}) == (not beaten)
    others, line = pareto_figure(record).data
    assert list(line.x) == weights
    assert len(others.x) + len(line.x) == len(record.complete)


def test_a_test_score_of_an_earlier_winner_is_not_shown(folder: Path) -> None:
    record = load_study("fake", url_of(folder))
    best = record.best().number
    tested = {"test_value": 0.9, "test_interval": [0.8, 1.0]}
    for trial, shown in ((best, 0.9), (best + 1, None)):
        entry = {"trial": trial, **tested}
        summary = summarize(
            StudyRecord("s", "accuracy", "maximize", record.settings, record.trials, entry)
        )
        assert summary["test_value"] == shown


def test_no_complete_trial_says_why(tmp_path: Path) -> None:
    def broken(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        raise RuntimeError("no such op")

    study, _ = search_fake(tmp_path, FakeEngine(broken), n_trials=2)
    with pytest.raises(NasError) as caught:
        study_record(study).best()
    # More trials would not help.
    assert str(caught.value) == "fake: no complete trial (2 failed): RuntimeError: no such op"


def test_networks_too_large_for_memory_say_so(tmp_path: Path) -> None:
    def large(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        raise MemoryError("Unable to allocate 3.1 TiB")

    study, _ = search_fake(tmp_path, FakeEngine(large), n_trials=1)
    with pytest.raises(NasError) as caught:
        study_record(study).best()
    assert caught.value.on_command_line.endswith(
        "there is not enough memory. Give a smaller --max-params."
    )


def test_a_study_of_somebody_else_is_refused(tmp_path: Path) -> None:
    storage = open_storage(url_of(tmp_path), create=True)
    optuna.create_study(study_name="theirs", storage=storage)
    with pytest.raises(NasError, match="holds no study"):
        load_study("theirs", url_of(tmp_path))


def test_deleting_removes_the_study_only(folder: Path) -> None:
    search_fake(folder, n_trials=1, name="gone")
    delete_study("gone", url_of(folder))
    with pytest.raises(NasError, match="no study 'gone'"):
        load_study("gone", url_of(folder))
    assert load_study("fake", url_of(folder)).complete


@pytest.mark.parametrize(
    "outcomes, words, wrong",
    [
        (["diverged"] * 3, "learning_rate", "more trials"),
        (["diverged"] * 2 + ["too_large"], "learning_rate", "--max-params"),
        (["too_large"] * 3, "larger --max-params", "more trials"),
        (["pruned"] * 3, "--pruner none", "--max-params"),
        (["interrupted"], "more time", "--max-params"),
        (["given"], "Run 'nas search'", "more trials"),
        ([], "more trials", "--max-params"),
    ],
)
def test_without_a_complete_trial_the_advice_fits_what_happened(
    outcomes: list[str], words: str, wrong: str
) -> None:
    blank = dict.fromkeys(f.name for f in fields(TrialRecord))
    trials = [
        TrialRecord(**{**blank, "number": n, "outcome": outcome, "reason": ""})
        for n, outcome in enumerate(outcomes)
    ]
    with pytest.raises(NasError) as caught:
        StudyRecord("s", "accuracy", "maximize", made_settings(), tuple(trials)).best()
    assert words in caught.value.fix and wrong not in caught.value.fix
    counts = ", ".join(
        f"{outcomes.count(o)} {o.replace('_', ' ')}" for o in dict.fromkeys(outcomes)
    )
    assert f"no complete trial ({counts or 'no trials'})" in str(caught.value)


def test_a_study_in_training_is_deleted_by_force_only(tmp_path: Path) -> None:
    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        if epoch == 2 and fold == 0 and len(engine.started) == 2:
            with pytest.raises(NasError) as caught:
                delete_study("fake", url_of(tmp_path))
            told.append(caught.value.on_command_line)
            delete_study("fake", url_of(tmp_path), force=True)
        return smooth(spec, fold, seed, epoch)

    told: list[str] = []
    engine = FakeEngine(scores)
    with pytest.raises(NasError, match="study 'fake': was deleted while it was in use"):
        search_fake(tmp_path, engine, n_trials=60)
    assert told == [
        f"study 'fake': has 1 trial in training, in process {os.getpid()} on "
        f"{socket.gethostname()}. End that first (Ctrl-C), or add --force."
    ]
    assert len(engine.started) < 5
    assert rows(tmp_path) == {}
    # Nothing is left that a later study, which gets the id, would inherit.
    study, _ = search_fake(tmp_path, n_trials=2, name="other")
    assert len(study_record(study).counted) == 2


def test_a_deleted_study_leaves_no_row_and_others_alone(tmp_path: Path) -> None:
    search_fake(tmp_path, n_trials=2, name="kept")
    before = rows(tmp_path)
    search_fake(tmp_path, n_trials=3, name="gone")
    delete_study("gone", url_of(tmp_path))
    assert rows(tmp_path) == before


@pytest.mark.parametrize("inherited", [False, True])
def test_what_an_older_nas_left_of_a_deleted_study_is_cleared_away(
    tmp_path: Path, inherited: bool
) -> None:
    """It went on making trials, which the next study inherited and was refused for."""
    study, _ = search_fake(tmp_path, n_trials=1)
    optuna.delete_study(study_name="fake", storage=open_storage(url_of(tmp_path)))
    with sqlite3.connect(tmp_path / "nas.db") as database:
        database.execute(
            "INSERT INTO trials (trial_id, number, study_id, state) VALUES (7, 0, ?, 'RUNNING')",
            [study._study_id],
        )
        database.execute(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (7, 'owner', ?)",
            [json.dumps({"host": socket.gethostname(), "pid": 0, "start": "0"})],
        )
    database.close()
    if inherited:
        optuna.create_study(
            study_name="other", storage=open_storage(url_of(tmp_path)), direction="maximize"
        )
    other, _ = search_fake(tmp_path, n_trials=2, name="other", pruner="none")
    assert other._study_id == study._study_id
    assert [trial.outcome for trial in study_record(other).trials] == ["complete"] * 2


def test_trials_that_nas_did_not_make_are_kept_and_refused(tmp_path: Path) -> None:
    storage = open_storage(url_of(tmp_path), create=True)
    theirs = optuna.create_study(study_name="fake", storage=storage, direction="maximize")
    theirs.ask()
    with pytest.raises(NasError, match="'fake' was not made by nas"):
        search_fake(tmp_path, n_trials=1)
    assert len(theirs.trials) == 1


def rows(folder: Path) -> dict[str, int]:
    """How many rows each table with any has."""
    with sqlite3.connect(folder / "nas.db") as database:
        names = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master "
                "WHERE type = 'table' AND name NOT IN ('version_info', 'alembic_version')"
            )
        ]
        counts = {n: database.execute(f"SELECT count(*) FROM {n}").fetchone()[0] for n in names}
    database.close()
    return {name: count for name, count in counts.items() if count}
