from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import open_fake_study, search_fake

from nas.analysis.effects import parameter_effect
from nas.analysis.levels import MIN_LEVEL_TRIALS, searched_parameters
from nas.analysis.surrogate import fit_surrogate
from nas.errors import NasError
from nas.metrics import METRICS
from nas.report.figures import effect_figure
from nas.study.record import StudyRecord, study_record


def test_two_layers_are_best_where_they_are_by_construction(record: StudyRecord) -> None:
    effect = parameter_effect(record, "depth")
    assert [level.value for level in effect.levels] == [1, 2, 3, 4, 5]
    estimates = [level.estimate for level in effect.levels]
    assert np.argmax(estimates) == 1
    assert estimates[1] > estimates[2] > estimates[3] > estimates[4]
    two, four = effect.levels[1], effect.levels[3]
    assert two.interval[0] > four.interval[1]
    assert effect.doubt == "" and effect.experiment is None


def test_the_estimate_is_near_the_truth_and_inside_its_interval(record: StudyRecord) -> None:
    for level in parameter_effect(record, "depth").levels:
        mine = [t.value for t in record.complete if t.params["depth"] == level.value]
        assert level.n_complete == len(mine) == 15
        # All combinations were trained: the average over the others is the plain mean.
        assert level.estimate == pytest.approx(np.mean(mine), abs=0.03)
        assert level.interval[0] <= level.estimate <= level.interval[1]
        assert level.best == max(mine)
        assert record.trials[level.best_trial].value == level.best


def test_a_parameter_without_effect_has_none(record: StudyRecord) -> None:
    levels = parameter_effect(record, "width").levels
    estimates = [level.estimate for level in levels]
    assert max(estimates) - min(estimates) < 0.01
    assert all(a.interval[0] < b.estimate < a.interval[1] for a in levels for b in levels)


def test_where_less_is_better_the_best_is_the_least(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=40, pruner="none", metric=METRICS["log_loss"])
    record = study_record(study)
    for level in parameter_effect(record, "depth").levels:
        mine = [t.value for t in record.complete if t.params["depth"] == level.value]
        assert level.best == min(mine, default=None)


def test_what_goes_along_with_depth_is_averaged_out(record: StudyRecord) -> None:
    """Of the deep networks only the well trained ones, of the others all."""
    kept = tuple(
        trial
        for trial in record.complete
        if trial.params["depth"] < 3 or trial.params["learning_rate"] in (0.001, 0.003, 0.01)
    )
    skewed = replace(record, trials=kept)

    def raw(depth: int) -> float:
        return float(np.mean([t.value for t in kept if t.params["depth"] == depth]))

    levels = parameter_effect(skewed, "depth").levels
    # One layer and three are equally far from the best depth; the plain means are not.
    assert raw(3) - raw(1) > 0.05
    assert abs(levels[2].estimate - levels[0].estimate) < (raw(3) - raw(1)) / 2


def test_the_same_seed_gives_the_same_and_one_surrogate_serves_all(record: StudyRecord) -> None:
    surrogate = fit_surrogate(record)
    assert sum(surrogate.importance.values()) == pytest.approx(1)
    assert surrogate.importance["width"] < 0.1 < surrogate.importance["depth"]
    for name in searched_parameters(record):
        given = parameter_effect(record, name, surrogate=surrogate)
        assert given == parameter_effect(record, name)


def test_numbers_with_many_values_are_put_into_bins(wide: StudyRecord) -> None:
    for name, ends in (("learning_rate", (1e-4, 1e-1)), ("width", (16, 512)), ("dropout", (0, 1))):
        effect = parameter_effect(wide, name)
        assert len(effect.levels) == 5
        assert sum(level.n_complete for level in effect.levels) == len(wide.complete)
        values = [level.value for level in effect.levels]
        assert values == sorted(values) and ends[0] < values[0] and values[-1] < ends[1]
    rates = parameter_effect(wide, "learning_rate").levels
    assert np.argmax([level.estimate for level in rates]) == 2  # where 0.003 lies


def test_a_conditional_parameter_rests_on_the_trials_that_have_it(wide: StudyRecord) -> None:
    having = sum("momentum" in trial.params for trial in wide.complete)
    effect = parameter_effect(wide, "momentum")
    assert sum(level.n_complete for level in effect.levels) == having < len(wide.complete)
    assert f"the {having} complete trials that have it" in effect.rests_on
    assert all(level.estimate is not None for level in effect.levels)


def test_categories_are_levels(wide: StudyRecord) -> None:
    effect = parameter_effect(wide, "optimizer")
    assert [level.label for level in effect.levels] == ["adam", "sgd"]


def test_pruned_trials_are_counted_and_said(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=60, sampler="random", pruner="median")
    record = study_record(study)
    effect = parameter_effect(record, "depth")
    pruned = [trial for trial in record.trials if trial.outcome == "pruned"]
    assert len(pruned) > 5
    assert sum(level.n_pruned for level in effect.levels) == len(pruned)
    for level in effect.levels:
        mine = sum(trial.params["depth"] == level.value for trial in pruned)
        assert level.n_pruned == mine
    assert f"{len(pruned)} pruned" in effect.rests_on and "survived" in effect.rests_on


# What the trials cannot tell


def test_fewer_trials_bring_the_doubt_and_an_experiment(record: StudyRecord) -> None:
    few = tuple(t for t in record.complete if t.params["depth"] != 4)
    few += tuple(t for t in record.complete if t.params["depth"] == 4)[: MIN_LEVEL_TRIALS - 1]
    effect = parameter_effect(replace(record, trials=few), "depth")
    assert effect.doubt == "Fewer than 5 complete trials at 4 (4)."
    assert effect.experiment.space["name"] == "fake-depth"
    assert effect.experiment.space["depth"] == [1, 2, 3, 4, 5]
    assert (effect.experiment.sampler, effect.experiment.pruner) == ("grid", "none")
    assert effect.levels[3].estimate is not None


def test_a_value_without_trials_has_no_estimate(record: StudyRecord) -> None:
    trials = tuple(t for t in record.complete if t.params["depth"] != 4)
    effect = parameter_effect(replace(record, trials=trials), "depth")
    assert effect.levels[3].estimate is None and effect.levels[3].best is None
    assert "4 (0)" in effect.doubt


def test_nine_trials_estimate_nothing(record: StudyRecord) -> None:
    effect = parameter_effect(replace(record, trials=record.complete[:9]), "depth")
    assert all(level.estimate is None for level in effect.levels)
    assert "9 complete trials" in effect.doubt and effect.experiment
    ten = parameter_effect(replace(record, trials=record.complete[:10]), "depth")
    assert any(level.estimate is not None for level in ten.levels)


def test_trials_that_share_a_setting_bring_the_doubt(record: StudyRecord) -> None:
    """All networks with two layers had the best rates, of the others few: which of both was it?"""
    trials = tuple(
        trial
        for trial in record.complete
        if (trial.params["depth"] == 2) == (trial.params["learning_rate"] in (0.003, 0.01))
    )
    effect = parameter_effect(replace(record, trials=trials), "depth")
    assert "At 2, 100 % of the trials have learning_rate" in effect.doubt
    assert effect.experiment


# Bad input, and the figure


def test_bad_parameters(record: StudyRecord, tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r"no trial of 'fake' has 'dept'.*Did you mean 'depth'"):
        parameter_effect(record, "dept")
    with pytest.raises(NasError, match="a study that searched something"):
        parameter_effect(study_record(open_fake_study(tmp_path)), "depth")


def test_one_trial(record: StudyRecord) -> None:
    one = replace(record, trials=record.complete[:1])
    assert searched_parameters(one) == []
    effect = parameter_effect(one, "depth")
    assert "1 complete trial for all values" in effect.doubt
    assert sum(level.n_complete for level in effect.levels) == 1


def test_the_figure_has_a_mark_for_each_value(record: StudyRecord) -> None:
    effect = parameter_effect(record, "depth")
    estimates, best = effect_figure(effect).data
    assert len(estimates.x) == len(best.x) == 5
    for level, x, y, low in zip(
        effect.levels, estimates.x, estimates.y, estimates.error_y.arrayminus, strict=True
    ):
        assert x.startswith(f"{level.value}<br>") and x.endswith("<br>15")
        assert y == pytest.approx(level.estimate, rel=1e-5)
        assert y - low == pytest.approx(level.interval[0], rel=1e-4)
    assert list(best.y) == pytest.approx([level.best for level in effect.levels], rel=1e-5)
