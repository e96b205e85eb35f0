from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEngine, open_fake_study, search_fake, smooth

from nas.analysis.budget import budget, expected_best, why_enough
from nas.errors import NasError
from nas.metrics import METRICS
from nas.report.figures import budget_figure
from nas.spec import TrialSpec
from nas.study.record import StudyRecord, study_record

SCORES = [0.2, 0.9, 0.5, 0.5, 0.7]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_it_is_the_mean_best_of_all_draws(n: int) -> None:
    draws = list(product(SCORES, repeat=n))
    assert expected_best(SCORES, n) == pytest.approx(np.mean([max(draw) for draw in draws]))
    least = np.mean([min(draw) for draw in draws])
    assert expected_best(SCORES, n, "minimize") == pytest.approx(least)


def test_many_draws_find_the_best() -> None:
    assert expected_best(SCORES, 1) == pytest.approx(np.mean(SCORES))
    assert expected_best(SCORES, 1000) == pytest.approx(0.9)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    study, _ = search_fake(
        tmp_path_factory.mktemp("budget"), n_trials=40, sampler="random", pruner="median"
    )
    return study_record(study)


def test_it_rises_to_all_trials_pruned_ones_too(record: StudyRecord) -> None:
    found = budget(record)
    sizes, values = zip(*found.expected, strict=True)
    assert sizes == (1, 2, 4, 8, 16, 32, 40)
    assert list(values) == sorted(values) and values[-1] <= record.best().value
    assert any(trial.outcome == "pruned" for trial in record.trials)
    last = [
        trial.value if trial.value is not None else trial.epoch_values[max(trial.epoch_values)]
        for trial in record.counted
    ]
    assert values[0] == pytest.approx(np.mean(last))  # none was pruned above the best


def test_the_advice_weighs_the_gain_against_the_noise(record: StudyRecord) -> None:
    assert "more trials may help" in budget(record).advice  # the fakes' folds hardly differ

    def loud(trial):
        return replace(trial, stderr=0.5)

    noisy = replace(record, trials=tuple(map(loud, record.trials)))
    assert "more trials will hardly help" in budget(noisy).advice
    quiet = replace(record, trials=tuple(replace(t, stderr=None) for t in record.trials))
    assert "with one fold" in budget(quiet).advice
    assert "cannot tell" in budget(replace(record, trials=record.trials[:4])).advice


def test_the_gap_is_how_much_the_folds_flattered(record: StudyRecord) -> None:
    best = record.best()
    winner = {
        "trial": best.number,
        "test_value": best.value - 0.02,
        "test_interval": [best.value - 0.05, best.value + 0.01],
    }
    found = budget(replace(record, winner=winner))
    assert found.gap == pytest.approx(0.02)
    assert found.gap_interval == pytest.approx((-0.01, 0.05))
    falling = budget(replace(record, winner=winner, direction="minimize"))
    assert falling.gap is None  # another trial is the best then
    assert budget(replace(record, winner={**winner, "trial": best.number + 1})).gap is None
    assert budget(record).gap is None


def test_the_gap_of_a_score_that_is_better_when_smaller(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=12, pruner="none", metric=METRICS["log_loss"])
    record = study_record(study)
    best = record.best()
    winner = {
        "trial": best.number,
        "test_value": best.value + 0.02,
        "test_interval": [best.value - 0.01, best.value + 0.05],
    }
    found = budget(replace(record, winner=winner))
    assert found.gap == pytest.approx(0.02)
    assert found.gap_interval == pytest.approx((-0.01, 0.05))
    values = [value for _, value in found.expected]
    assert values == sorted(values, reverse=True)


def test_diverged_trials_count_like_the_worst(tmp_path: Path) -> None:
    def diverging(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        deep = len(spec.architecture.units) > 3
        return float("nan") if deep else smooth(spec, fold, seed, epoch)

    study, _ = search_fake(tmp_path, FakeEngine(diverging), n_trials=20, pruner="none")
    record = study_record(study)
    n_diverged = sum(trial.outcome == "diverged" for trial in record.trials)
    assert n_diverged > 0
    values = [trial.value for trial in record.complete]
    mean = (sum(values) + n_diverged * min(values)) / 20
    assert budget(record).expected[0] == (1, pytest.approx(mean))


def test_one_trial_and_none(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=1)
    found = budget(study_record(study))
    assert len(found.expected) == 1 and "1 trial cannot tell" in found.advice
    (tmp_path / "none").mkdir()
    with pytest.raises(NasError, match="no complete trial"):
        budget(study_record(open_fake_study(tmp_path / "none")))


def test_the_figure_shows_every_size(record: StudyRecord) -> None:
    found = budget(record)
    (line,) = budget_figure(found).data
    assert list(line.x) == [n for n, _ in found.expected]
    assert list(line.y) == pytest.approx([value for _, value in found.expected], rel=1e-5)


# Stopping


def jagged(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
    """Folds that differ far more than networks do."""
    return smooth(spec, fold, seed, epoch) / 50 + 0.2 * fold


def test_a_search_ends_when_the_noise_is_larger_than_what_it_could_gain(tmp_path: Path) -> None:
    study, steps = search_fake(
        tmp_path, FakeEngine(jagged), n_trials=300, pruner="none", why_enough=why_enough
    )
    assert "As many trials again would gain about" in steps[-1].note
    assert 30 <= steps[-1].done <= 40
    assert why_enough(study_record(study))


def test_it_goes_on_while_there_is_something_to_gain(record: StudyRecord) -> None:
    assert why_enough(record) == ""  # the fakes' folds hardly differ
    few = tuple(trial for trial in record.trials if trial.number < 25)

    def loud(trial):
        return replace(trial, stderr=0.5)

    assert why_enough(replace(record, trials=tuple(map(loud, record.trials))))
    assert why_enough(replace(record, trials=tuple(map(loud, few)))) == ""


def test_one_fold_never_ends_it(record: StudyRecord) -> None:
    def alone(trial):
        return replace(trial, stderr=None)

    assert why_enough(replace(record, trials=tuple(map(alone, record.trials)))) == ""
