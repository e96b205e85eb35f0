import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import (
    PROBLEM,
    SPACE,
    FakeEngine,
    open_fake_study,
    search_fake,
    smooth,
    url_of,
)
from optuna.trial import TrialState

from nas.data import DataOptions, SplitOptions, load_dataset
from nas.data.positive import positive_class
from nas.errors import NasError
from nas.execution.pool import LocalPool
from nas.metrics import METRICS, choose_metric
from nas.proposal import data_options
from nas.searching import SearchOptions, live_study, run_search, sweep
from nas.space import Range, SearchSpace
from nas.spec import TrialSpec
from nas.study.record import study_record
from nas.study.storage import open_storage


def outcomes(study) -> list[str]:
    return [trial.outcome for trial in study_record(study).trials]


def results(study) -> list[tuple]:
    """What a search found: its counted trials, in order."""
    return [
        (trial.params, trial.outcome, trial.fold_values, trial.epoch_values)
        for trial in study_record(study).counted
    ]


def test_reaches_the_number_of_trials_and_keeps_all_of_each(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=12, pruner="none")
    record = study_record(study)
    assert len(record.counted) == 12
    for trial in record.complete:
        assert trial.value == pytest.approx(np.mean(trial.fold_values))
        assert sorted(trial.epoch_values) == list(range(1, 10))
        assert trial.value == pytest.approx(trial.epoch_values[9])
        assert trial.spec is not None and trial.n_weights == trial.spec.n_weights
        assert trial.train_value == pytest.approx(trial.value + 0.01)
        assert (trial.engine, trial.seconds, trial.reason) == ("fake", 0.1, "")
        assert trial.stderr == pytest.approx(
            np.std(trial.fold_values, ddof=1) * (1 / 3 + 1 / 2) ** 0.5
        )


@pytest.mark.parametrize("pruner", ["racing", "halving", "median", "none"])
def test_epochs_trained_in_one_go_are_reported_and_judged_one_by_one(
    tmp_path: Path, pruner: str
) -> None:
    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        diverges = spec.training.learning_rate == 0.03 and epoch == 3
        return float("nan") if diverges else smooth(spec, fold, seed, epoch)

    runs = []
    for at_once in (1, 4, 100):
        folder = tmp_path / str(at_once)
        folder.mkdir()
        engine = FakeEngine(scores, at_once=at_once)
        runs.append(results(search_fake(folder, engine, n_trials=30, pruner=pruner)[0]))
    assert {outcome for _, outcome, *_ in runs[0]} >= {
        "racing": {"complete", "pruned"},
        "halving": {"complete", "pruned", "diverged"},
        "median": {"complete", "pruned"},
        "none": {"complete", "diverged"},
    }[pruner]
    assert runs[0] == runs[1] == runs[2]


def test_the_objective_is_the_last_epoch_not_the_best(tmp_path: Path) -> None:
    engine = FakeEngine(lambda spec, fold, seed, epoch: 1.0 if epoch == 5 else 0.5)
    study, _ = search_fake(tmp_path, engine, n_trials=1)
    assert study_record(study).best().value == 0.5


def test_same_seed_same_trials_and_another_seed_others(tmp_path: Path) -> None:
    runs = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / folder).mkdir()
        runs.append(results(search_fake(tmp_path / folder, n_trials=15, seed=seed)[0]))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize(
    ("sampler", "stop_after"),
    [
        ("tpe", 1),
        ("tpe", 40),
        ("random", 5),
        ("grid", 25),
        ("qmc", 25),
        ("cmaes", 10),
        ("cmaes", 40),
    ],
)
def test_a_resumed_search_equals_an_uninterrupted_one(
    tmp_path: Path, sampler: str, stop_after: int
) -> None:
    space = SearchSpace({"depth": Range(1, 5), "learning_rate": Range(1e-4, 1e-1, True)}, "fake")
    if sampler == "grid":
        space = SPACE
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    options = {"space": space, "n_trials": 10, "sampler": sampler, "startup_trials": 4}
    uninterrupted, _ = search_fake(whole, **options)
    stopped, _ = search_fake(cut, stop_after=stop_after, **options)
    assert "running" not in outcomes(stopped)
    resumed, _ = search_fake(cut, **options)
    assert results(resumed) == results(uninterrupted)


def test_the_first_settings_of_a_space_are_trained_first(tmp_path: Path) -> None:
    first = [{"depth": 3, "learning_rate": 0.02}, {"depth": 2}, {"depth": 3, "learning_rate": 0.02}]
    ranges = {"depth": Range(1, 5), "learning_rate": Range(1e-4, 1e-1, True)}
    space = SearchSpace(ranges, "fake", first=first)
    options = {"space": space, "n_trials": 6, "sampler": "tpe", "startup_trials": 2}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    study, _ = search_fake(whole, **options)
    params = [trial.params for trial in study_record(study).counted]
    assert params[0] == first[0]
    assert params[1]["depth"] == 2 and params[1]["learning_rate"] != 0.02
    assert params[2] not in params[:2]  # the third is the first once more
    search_fake(cut, stop_after=5, **options)
    resumed, _ = search_fake(cut, **options)
    assert results(resumed) == results(study)


def test_an_interrupted_trial_is_clean_and_taken_up_again(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=5, stop_after=3)
    (trial,) = study_record(study).trials
    assert (trial.outcome, trial.reason) == ("interrupted", "stopped by the user")
    assert study.trials[0].state == TrialState.FAIL
    study, _ = search_fake(tmp_path, n_trials=5)
    record = study_record(study)
    assert len(record.counted) == 5
    assert record.trials[1].params == trial.params


def test_the_number_of_trials_counts_earlier_ones(tmp_path: Path) -> None:
    search_fake(tmp_path, n_trials=6)
    engine = FakeEngine()
    search_fake(tmp_path, engine, n_trials=6)
    assert engine.started == []
    search_fake(tmp_path, engine, n_trials=8)
    assert len(engine.started) == 2


def test_nothing_is_trained_twice(tmp_path: Path) -> None:
    engine = FakeEngine()
    study, steps = search_fake(tmp_path, engine, n_trials=40, pruner="none")
    assert len(engine.started) == len(set(engine.started)) == 40
    assert steps[-1].done == 40
    duplicates = [t for t in study_record(study).trials if t.outcome == "duplicate"]
    assert duplicates, "a space of 75 networks should have made TPE repeat itself"
    assert duplicates[0].reason.startswith("same as trial ")


def test_an_exhausted_space_ends_the_search_and_says_so(tmp_path: Path) -> None:
    engine = FakeEngine()
    space = SearchSpace({"depth": Range(1, 3), "width": [8, 16], "epochs": 9}, name="fake")
    _, steps = search_fake(tmp_path, engine, space, n_trials=50, pruner="none")
    assert len(set(engine.started)) == len(engine.started) == 6
    assert steps[-1].note == "Every network of this space has been trained."


def test_duplicates_are_trained_when_allowed(tmp_path: Path) -> None:
    engine = FakeEngine()
    space = SearchSpace({"depth": [1, 2], "epochs": 9}, name="fake")
    search_fake(tmp_path, engine, space, n_trials=10, allow_duplicates=True)
    assert len(engine.started) == 10


def test_a_grid_is_complete_and_without_repeats(tmp_path: Path) -> None:
    engine = FakeEngine()
    space = SearchSpace({"depth": [0, 1, 2], "width": [8, 16], "activation": ["relu", "tanh"]})
    _, steps = search_fake(tmp_path, engine, space, n_trials=1000, sampler="grid", pruner="none")
    assert len(set(engine.started)) == len(engine.started) == 1 + 2 * 2 * 2
    assert steps[-1].rejected == 0


@pytest.mark.long
def test_tpe_beats_random_on_a_smooth_objective(tmp_path: Path) -> None:
    space = SearchSpace(
        {"depth": Range(1, 8), "learning_rate": Range(1e-5, 1.0, log=True), "epochs": 9}, "fake"
    )
    best = {}
    for sampler in ("tpe", "random"):
        values = []
        for seed in range(3):
            folder = tmp_path / f"{sampler}{seed}"
            folder.mkdir()
            study, _ = search_fake(
                folder, space=space, n_trials=30, seed=seed, sampler=sampler, pruner="none"
            )
            values.append(study_record(study).best().value)
        best[sampler] = np.mean(values)
    assert best["tpe"] > best["random"]


def test_max_params_keeps_large_networks_from_training(tmp_path: Path) -> None:
    engine = FakeEngine()
    study, steps = search_fake(tmp_path, engine, n_trials=15, max_params=2000)
    assert len(engine.started) == 15
    assert max(spec.n_weights for spec in engine.started) <= 2000
    rejected = [t for t in study_record(study).trials if t.outcome == "too_large"]
    assert rejected and "--max-params is 2,000" in rejected[0].reason
    assert steps[-1].rejected >= len(rejected)


def test_max_params_counts_the_weights_of_convolutions(tmp_path: Path) -> None:
    engine = FakeEngine()
    space = SearchSpace(
        {"layers": [f"{n}c3-mp2-fc{n}" for n in range(1, 11)], "epochs": 2}, "fake", "cnn"
    )
    study, _ = search_fake(tmp_path, engine, space, n_trials=10, max_params=160)
    # n^2 + 14 n + 3 weights, on images of 2 x 2 pixels
    assert sorted(spec.n_weights for spec in engine.started) == [18, 35, 54, 75, 98, 123, 150]
    rejected = [t for t in study_record(study).trials if t.outcome == "too_large"]
    assert {t.n_weights for t in rejected} <= {179, 210, 243}


def test_max_params_below_every_network_ends_with_a_reason(tmp_path: Path) -> None:
    engine = FakeEngine()
    _, steps = search_fake(tmp_path, engine, n_trials=5, max_params=3)
    assert engine.started == []
    assert steps[-1].note == "No other network of this space is within --max-params."


def test_a_trial_that_raises_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        if len(spec.architecture.units) == 3 and epoch == 2:
            raise RuntimeError("no such op\nsecond line")
        return smooth(spec, fold, seed, epoch)

    study, steps = search_fake(tmp_path, FakeEngine(scores), n_trials=30, pruner="none")
    failed = [t for t in study_record(study).trials if t.outcome == "failed"]
    assert failed and steps[-1].failed == len(failed) and steps[-1].done == 30
    assert {t.reason for t in failed} == {"RuntimeError: no such op"}
    assert all(len(t.spec.architecture.units) == 3 for t in failed)


def test_a_diverging_trial_is_told_as_pruned_with_its_reason(tmp_path: Path) -> None:
    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        diverges = len(spec.architecture.units) > 3 and epoch > 3
        return float("nan") if diverges else smooth(spec, fold, seed, epoch)

    study, _ = search_fake(tmp_path, FakeEngine(scores), n_trials=20, pruner="none")
    diverged = [t for t in study_record(study).trials if t.outcome == "diverged"]
    assert diverged
    assert {t.reason for t in diverged} == {"diverged in epoch 4 on fold 1"}
    assert {study.trials[t.number].state for t in diverged} == {TrialState.PRUNED}
    assert all(sorted(t.epoch_values) == [1, 2, 3] for t in diverged)


def test_halving_prunes_at_its_rungs_and_never_the_best(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=40, sampler="random", pruner="halving")
    record = study_record(study)
    pruned = [t for t in record.trials if t.outcome == "pruned"]
    assert len(pruned) > len(record.complete)
    assert {max(t.epoch_values) for t in pruned} == {3}  # of 9 epochs
    assert record.best().value >= max(t.epoch_values[3] for t in pruned)
    assert pruned[0].reason == "halving after epoch 3"
    assert all(len(t.fold_values) == 3 and t.train_value is not None for t in pruned)


def test_the_median_pruner_prunes_half_or_more(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=40, sampler="random", pruner="median")
    share = outcomes(study).count("pruned") / 40
    assert 0.4 < share < 0.85


def test_the_pruner_none_prunes_nothing(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=20, pruner="none")
    assert outcomes(study).count("complete") == 20


def test_an_easy_first_fold_does_not_protect_a_bad_trial(tmp_path: Path) -> None:
    """The case that pruning by running means over folds gets wrong."""

    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        bad = len(spec.architecture.units) > 2
        return 0.95 if fold == 0 else smooth(spec, fold, seed, epoch) - 0.5 * bad

    study, _ = search_fake(tmp_path, FakeEngine(scores), n_trials=30, sampler="random")
    late = [t for t in study_record(study).counted[8:] if len(t.spec.architecture.units) > 2]
    assert late and all(t.outcome == "pruned" for t in late)


def test_a_minimized_metric_finds_the_smallest(tmp_path: Path) -> None:
    metric = METRICS["rmse"]
    engine = FakeEngine(lambda spec, fold, seed, epoch: -smooth(spec, fold, seed, epoch))
    study, steps = search_fake(tmp_path, engine, n_trials=20, metric=metric)
    record = study_record(study)
    assert record.direction == "minimize"
    assert record.best().value == min(t.value for t in record.complete)
    assert steps[-1].best is not None and steps[-1].best.number == record.best().number


def test_the_timeout_ends_after_an_epoch_and_leaves_no_running_trial(tmp_path: Path) -> None:
    def slow(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        time.sleep(0.1)
        return 0.5

    study, steps = search_fake(tmp_path, FakeEngine(slow), n_trials=1000, timeout=0.5)
    assert steps[-1].note == "The time is up."
    assert outcomes(study) == ["interrupted"]
    assert 1 <= len(study.trials[0].intermediate_values) <= 3


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"space": SearchSpace({"depth": [1, 2], "epochs": 9}, "fake")}, "space (depth: "),
        ({"data": "wine"}, "data set (iris)"),
        ({"scaling": "unit"}, "data set (iris; scaling standard, now unit)"),
        ({"classes": ("0", "2")}, "data set (iris; classes all, now 0,2)"),
        (
            {"max_rows": 90, "label_noise": 0.1},
            "data set (iris; max_rows None, now 90; label_noise 0.0, now 0.1)",
        ),
        ({"split": SplitOptions(folds=4)}, "folds (folds 3, now 4)"),
        ({"split": SplitOptions(folds=3, seed=5)}, "folds (seed 0, now 5)"),
        ({"metric": METRICS["f1"]}, "metric (accuracy)"),
    ],
)
def test_another_basis_under_the_same_name_is_refused(
    tmp_path: Path, change: dict, named: str
) -> None:
    open_fake_study(tmp_path)
    with pytest.raises(NasError, match="'fake' was made with other settings") as caught:
        open_fake_study(tmp_path, **change)
    assert named in str(caught.value)
    assert "--study" in caught.value.on_command_line


TWO = ("0", "1")


def by_f1(positive: str | None) -> dict:
    dataset = load_dataset(DataOptions("iris", classes=TWO))
    number = positive_class(dataset, positive)
    metric = choose_metric("f1", replace(dataset, positive=number), positive)
    return {"metric": metric, "classes": TWO, "positive": positive}


def test_f1_of_another_class_is_another_study(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path, **by_f1("0"))
    assert study.user_attrs["positive"] == {"class": 0, "label": "0"}
    record = study_record(study)
    assert (record.metric, record.positive, record.metric_title) == ("f1", "0", "f1 of '0'")
    y, answers = np.array([0, 0, 1, 1]), np.array([0.1, 0.9, 0.9, 0.9])
    assert record.scorer().score(y, answers) == pytest.approx(2 / 3)
    open_fake_study(tmp_path, **by_f1("0"))
    with pytest.raises(NasError, match="positive \\('0', now '1'\\)"):
        open_fake_study(tmp_path, **by_f1("1"))
    words = data_options(record)
    assert words[words.index("--positive") + 1] == "0"
    other = data_options(replace(record, metric="balanced_accuracy"))
    assert "--positive" not in other  # it is for f1 alone


def test_an_older_study_by_f1_keeps_the_second_class(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path, metric=METRICS["f1"], classes=TWO)
    assert "positive" not in study.user_attrs
    record = study_record(study)
    assert (record.positive, record.metric_title) == (None, "f1 of the second class")
    y, answers = np.array([0, 0, 1, 1]), np.array([0.1, 0.9, 0.9, 0.9])
    assert record.scorer().score(y, answers) == pytest.approx(4 / 5)
    open_fake_study(tmp_path, **by_f1("1"))
    with pytest.raises(NasError, match="positive \\(the second class, now '0'\\)"):
        open_fake_study(tmp_path, **by_f1("0"))


def test_a_study_keeps_what_was_said_of_its_data(tmp_path: Path) -> None:
    settings = open_fake_study(tmp_path).user_attrs
    assert settings["findings"] == []
    assert settings["constant"] == {"answer": "0", "value": pytest.approx(1 / 3)}
    wide = open_fake_study(tmp_path, name="loss", metric=METRICS["log_loss"]).user_attrs
    assert wide["constant"] == {"answer": None, "value": pytest.approx(np.log(3))}


def test_a_study_from_before_an_option_goes_on_with_its_default(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path)
    older = {key: study.user_attrs["data"][key] for key in ("source", "target", "task", "drop")}
    study.set_user_attr("data", older)
    assert open_fake_study(tmp_path).user_attrs["data"] == older
    with pytest.raises(NasError, match="scaling standard, now none"):
        open_fake_study(tmp_path, scaling="none")


def test_a_space_that_was_once_written_otherwise_goes_on(tmp_path: Path) -> None:
    space = SearchSpace({**SPACE.parameters, "batch_size": 0})
    study = open_fake_study(tmp_path, space)
    older = study.user_attrs["space"].replace("full", "0")
    assert older != study.user_attrs["space"]
    study.set_user_attr("space", older)
    open_fake_study(tmp_path, space)


def test_a_study_of_some_classes_goes_on_with_them(tmp_path: Path) -> None:
    options = {"classes": ("0", "2"), "max_rows": 60, "label_noise": 0.1}
    open_fake_study(tmp_path, **options)
    open_fake_study(tmp_path, **options)
    with pytest.raises(NasError, match=r"\(iris; classes 0,2, now 1,2\)"):
        open_fake_study(tmp_path, **{**options, "classes": ("1", "2")})


@pytest.mark.long
def test_trials_of_a_dead_process_are_swept_and_run_again_once(tmp_path: Path) -> None:
    script = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from fakes import FakeEngine, search_fake, smooth
def scores(spec, fold, seed, epoch):
    if epoch == 4:
        time.sleep(1)  # until what the trial is has reached the database
        os.kill(os.getpid(), 9)
    return smooth(spec, fold, seed, epoch)
search_fake(Path({str(tmp_path)!r}), FakeEngine(scores), n_trials=5)
"""
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
        assert killed.returncode == -9, killed.stderr.decode()
    study, _ = search_fake(tmp_path, n_trials=5)
    record = study_record(study)
    assert [t.outcome for t in record.trials[:2]] == ["interrupted", "failed"]
    assert record.trials[1].params == record.trials[0].params
    assert record.trials[1].reason.endswith("for the second time")
    assert len(record.counted) == 5


def test_trials_of_a_living_process_are_left_alone(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path)
    url = url_of(tmp_path)
    pool = LocalPool(lambda _spec: (FakeEngine(), "fake"))
    with live_study(open_storage(url), url, "fake") as live:
        steps = run_search(live, url, SPACE, PROBLEM, pool, SearchOptions(n_trials=3))
        next(step for step in steps if step.in_training)
        sweep(study, open_storage(url))
        assert outcomes(study) == ["running"]
        assert study.trials[0].user_attrs["owner"]["pid"] == os.getpid()
        assert len(list(steps)) > 0
    assert len(study_record(study).counted) == 3


def test_an_interrupted_search_leaves_nothing_in_the_pool(tmp_path: Path) -> None:
    open_fake_study(tmp_path)
    url = url_of(tmp_path)
    pool = LocalPool(lambda _spec: (FakeEngine(), "fake"))
    with live_study(open_storage(url), url, "fake") as live:
        steps = run_search(live, url, SPACE, PROBLEM, pool, SearchOptions(n_trials=3))
        next(step for step in steps if step.epoch == 2)  # it may train the third epoch
        steps.close()
    assert pool.wait(0.0) is None


def test_the_gp_sampler_searches(tmp_path: Path, need) -> None:
    try:
        import torch
    except ImportError:
        need(False, "PyTorch is not installed")
    assert torch.__version__
    study, _ = search_fake(tmp_path, n_trials=13, sampler="gp", startup_trials=10, pruner="none")
    assert outcomes(study).count("complete") == 13


def test_the_gp_sampler_without_torch_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.searching.proposals.find_spec", lambda name: None)
    with pytest.raises(NasError, match="pip install torch"):
        search_fake(tmp_path, n_trials=1, sampler="gp")


def test_a_large_grid_is_drawn_from_all_its_points(tmp_path: Path) -> None:
    space = SearchSpace(
        {
            "depth": Range(1, 8),
            "learning_rate": Range(1e-4, 1e-1, log=True),
            "l2": Range(1e-7, 1e-2, log=True),
            "l1": Range(1e-7, 1e-2, log=True),
            "dropout": Range(0.0, 0.5),
            "beta_1": Range(0.8, 0.99),
            "beta_2": Range(0.9, 0.999),
            "rho": Range(0.8, 0.99),
            "epochs": 9,
        },
        name="fake",
    )
    engine = FakeEngine()
    search_fake(tmp_path, engine, space, n_trials=30, sampler="grid", pruner="none")
    depths = {len(spec.architecture.units) for spec in engine.started}
    assert len(set(engine.started)) == 30
    assert max(depths) > 6 and min(depths) < 3
    rates = {spec.training.learning_rate for spec in engine.started}
    assert len(rates) == 5


def test_median_takes_scores_of_one_epoch_of_completed_and_pruned_trials(tmp_path: Path) -> None:
    """The two things in which it is not the median stopping rule of Vizier."""
    engine = FakeEngine()

    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        number = len(engine.started)
        if number == 6:  # once good, which does not help it
            return 0.2 if epoch == 1 else epoch / 10 - 0.02
        if 7 <= number <= 12:  # bad from the start, which helps the last one
            return 0.0
        return 0.05 if number == 13 else epoch / 10

    engine.scores = scores
    study, _ = search_fake(tmp_path, engine, n_trials=13, sampler="random", pruner="median")
    trials = study_record(study).counted
    assert [t.outcome for t in trials] == ["complete"] * 5 + ["pruned"] * 8
    assert trials[5].reason == "median after epoch 2"
    assert {t.reason for t in trials[6:12]} == {"median after epoch 1"}
    assert trials[12].reason == "median after epoch 2"
