"""Racing over folds: few see all of them, and only those can win."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEngine, Scores, search_fake, smooth

from nas.space import Range, SearchSpace
from nas.spec import TrialSpec
from nas.study.record import StudyRecord, study_record

VAL_ROWS = (1000, 1000, 1000, 1000)
SPACE = SearchSpace(
    {"depth": Range(1, 5), "learning_rate": Range(1e-4, 1e-1, True), "epochs": 9}, "fake"
)


def race(folder: Path, scores: Scores = smooth, **options: object) -> tuple[StudyRecord, dict]:
    """A search, and the epochs that it trained, by trial's seed of a lane and fold."""
    trained: dict[tuple[TrialSpec, int], int] = defaultdict(int)

    def counted(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        trained[spec, fold] += 1
        return scores(spec, fold, seed, epoch)

    engine = FakeEngine(counted, n_folds=len(VAL_ROWS), at_once=100)
    settings = {"space": SPACE, "n_trials": 40, "pruner": "racing", "val_rows": VAL_ROWS}
    study, _ = search_fake(folder, engine, **{**settings, **options})
    return study_record(study), trained


def of(trained: dict, spec: TrialSpec) -> list[int]:
    return [trained[spec, fold] for fold in range(len(VAL_ROWS))]


def test_only_what_saw_all_folds_is_complete(tmp_path: Path) -> None:
    record, trained = race(tmp_path)
    assert {trial.outcome for trial in record.counted} == {"complete", "pruned"}
    for trial in record.counted:
        epochs = of(trained, trial.spec)
        if trial.outcome == "complete":
            assert epochs == [9] * 4
            assert len(trial.fold_values) == 4
            assert trial.value == pytest.approx(np.mean(trial.fold_values))
            assert (len(trial.curves.val_value), len(trial.curves.val_value[0])) == (9, 4)
        else:
            assert epochs[1:] == [0, 0, 0]
            assert len(trial.fold_values) == 1
    reasons = {trial.reason for trial in record.counted if trial.outcome == "pruned"}
    assert "racing after 1 of 4 folds" in reasons
    assert any(reason.startswith("racing after epoch") for reason in reasons)


def test_a_promoted_trial_is_the_trial_on_all_folds(tmp_path: Path) -> None:
    for name in ("race", "all"):
        (tmp_path / name).mkdir()
    record, _ = race(tmp_path / "race", n_trials=1)
    whole, _ = race(tmp_path / "all", n_trials=1, pruner="none")
    (raced,), (plain,) = record.trials, whole.trials
    assert raced.outcome == plain.outcome == "complete"
    for name in ("params", "fold_values", "value", "curves", "train_value"):
        assert getattr(raced, name) == getattr(plain, name), name
    assert sorted(raced.epoch_values) == list(range(1, 10))  # of the first fold


def test_racing_trains_less_than_halving(tmp_path: Path) -> None:
    spent = {}
    for pruner in ("racing", "halving", "none"):
        (tmp_path / pruner).mkdir()
        record, trained = race(tmp_path / pruner, pruner=pruner, sampler="random")
        spent[pruner] = sum(trained.values())
        assert record.best().value > 0.8
    assert spent["none"] == 40 * 9 * 4
    assert spent["racing"] < 0.85 * spent["halving"] < 0.5 * spent["none"]


def test_few_validation_rows_are_raced_on_all_folds(tmp_path: Path) -> None:
    record, _ = race(tmp_path, val_rows=(50,) * 4, n_trials=12)
    assert {len(trial.fold_values) for trial in record.counted} == {4}
    assert any(trial.outcome == "pruned" for trial in record.counted)


def diverging(where: int) -> Callable[..., float]:
    return lambda spec, fold, seed, epoch: (
        float("nan") if fold == where and epoch == 4 else smooth(spec, fold, seed, epoch)
    )


@pytest.mark.parametrize("fold", [0, 2])
def test_a_trial_that_diverges_on_any_fold_does_not_win(tmp_path: Path, fold: int) -> None:
    record, _ = race(tmp_path, diverging(fold), n_trials=3)
    assert record.counted[0].outcome == "diverged"
    assert record.counted[0].reason == f"diverged in epoch 4 on fold {fold + 1}"
    assert "complete" not in {trial.outcome for trial in record.counted}


def test_trials_are_compared_after_the_same_share_of_their_epochs(tmp_path: Path) -> None:
    def late(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        """All alike after the same share of their epochs, and long trainings end higher."""
        return 0.5 + 0.4 * epoch / spec.training.epochs + spec.training.epochs / 1e6

    ranges = {"width": Range(8, 99), "epochs": [18, 36]}
    record, _ = race(tmp_path, late, space=SearchSpace(ranges, "fake"), n_trials=20)
    long = [t for t in record.counted if t.params["epochs"] == 36]
    assert len(long) > 5
    assert {t.outcome for t in long} == {"complete"}
    after = {int(t.reason.split()[-1]) for t in record.counted if "epoch" in t.reason}
    assert after <= {4, 9, 18}


def test_who_started_well_is_not_stopped_at_a_rung(tmp_path: Path) -> None:
    def crossing(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        """Wide networks lead after one epoch and at the end, narrow ones in between."""
        is_wide = spec.architecture.units[0] >= 50
        leads = is_wide == (epoch in (1, 9))
        return 0.5 + 0.3 * leads + spec.architecture.units[0] / 1e4

    space = SearchSpace({"width": Range(8, 99), "epochs": 9}, "fake")
    record, _ = race(tmp_path, crossing, space=space, n_trials=40, sampler="random")
    wide = [t for t in record.counted if t.params["width"] >= 50]
    stopped = [t for t in wide if "after epoch" in t.reason]
    assert len(wide) > 15
    assert len(stopped) <= len(wide) / 3  # those that were among the worse half in the beginning
    assert record.best().params["width"] >= 50


@pytest.mark.parametrize("stop_after", [2, 9, 30])
def test_a_stopped_race_goes_on(tmp_path: Path, stop_after: int) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole, _ = race(tmp_path / "whole", n_trials=10)
    race(tmp_path / "cut", n_trials=10, stop_after=stop_after)
    resumed, _ = race(tmp_path / "cut", n_trials=10)
    found, expected = (
        [(t.params, t.outcome, t.fold_values) for t in record.counted]
        for record in (resumed, whole)
    )
    assert found == expected
