import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEngine, open_fake_study, search_fake, smooth

from nas.analysis.effects import (
    MIN_LEVEL_TRIALS,
    fit_surrogate,
    group_trials,
    parameter_effect,
    searched_parameters,
)
from nas.errors import NasError
from nas.metrics import METRICS
from nas.report.figures import effect_figure
from nas.space import Range, SearchSpace, load_space, parameter
from nas.study import StudyRecord, study_record

WIDE = SearchSpace(
    {
        "depth": Range(1, 4),
        "width": Range(16, 512, log=True),
        "optimizer": ["adam", "sgd"],
        "learning_rate": Range(1e-4, 1e-1, log=True),
        "momentum": parameter(Range(0.0, 0.9), optimizer="sgd"),
        "dropout": Range(0.0, 0.5),
        "epochs": 9,
    },
    name="wide",
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """All 75 networks of the small space, of which two layers are best by construction."""
    study, _ = search_fake(tmp_path_factory.mktemp("effects"), n_trials=75, pruner="none")
    return study_record(study)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    study, _ = search_fake(
        tmp_path_factory.mktemp("wide"),
        space=WIDE,
        n_trials=120,
        sampler="random",
        pruner="none",
        name="wide",
    )
    return study_record(study)


def test_two_layers_are_best_where_they_are_by_construction(record: StudyRecord) -> None:
    effect = parameter_effect(record, "depth")
    assert [level.value for level in effect.levels] == [1, 2, 3, 4, 5]
    estimates = [level.estimate for level in effect.levels]
    assert np.argmax(estimates) == 1
    assert estimates[1] > estimates[2] > estimates[3] > estimates[4]
    two, four = effect.levels[1], effect.levels[3]
    assert two.interval[0] > four.interval[1]
    assert effect.doubt == "" and effect.command == ""


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
    for group in group_trials(wide, "width"):
        low, high = map(int, group.label.split("–"))
        assert all(low <= trial.params["width"] <= high for trial in group.complete)


def test_bounds_of_the_space_are_in_the_outer_bins(record: StudyRecord) -> None:
    settings = {**record.settings, "space": "learning_rate: {low: 3.0e-4, high: 0.03, log: true}"}
    groups = group_trials(replace(record, settings=settings), "learning_rate")
    assert sum(len(group.complete) for group in groups) == 75
    assert groups[0].complete and groups[-1].complete


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


def test_fewer_trials_bring_the_doubt_and_a_command(record: StudyRecord) -> None:
    few = tuple(t for t in record.complete if t.params["depth"] != 4)
    few += tuple(t for t in record.complete if t.params["depth"] == 4)[: MIN_LEVEL_TRIALS - 1]
    effect = parameter_effect(replace(record, trials=few), "depth")
    assert effect.doubt == "Fewer than 5 complete trials at 4 (4)."
    assert effect.command.startswith("nas space new fake-depth.yaml --depth 1,2,3,4,5 ")
    assert effect.levels[3].estimate is not None


def test_a_value_without_trials_has_no_estimate(record: StudyRecord) -> None:
    trials = tuple(t for t in record.complete if t.params["depth"] != 4)
    effect = parameter_effect(replace(record, trials=trials), "depth")
    assert effect.levels[3].estimate is None and effect.levels[3].best is None
    assert "4 (0)" in effect.doubt


def test_nine_trials_estimate_nothing(record: StudyRecord) -> None:
    effect = parameter_effect(replace(record, trials=record.complete[:9]), "depth")
    assert all(level.estimate is None for level in effect.levels)
    assert "9 complete trials" in effect.doubt and effect.command
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
    assert effect.command


# The command that would settle it


def run(command: str, folder: Path, nas, engine: FakeEngine) -> StudyRecord:
    """Does what the command says, with the fake engine for training."""
    new, search = command.split(" && ")
    assert new.startswith("nas space new ") and search.startswith("nas search ")
    nas(*shlex.split(new)[1:])
    words = shlex.split(search)[2:]
    options = dict(zip(words[::2], words[1::2], strict=True))
    space = load_space(folder / options["--space"])
    study, _ = search_fake(
        folder,
        engine,
        space,
        name=space.name,
        n_trials=int(options["--trials"]),
        sampler=options["--sampler"],
        pruner=options["--pruner"],
    )
    return study_record(study)


def command_line(*arguments: str) -> None:
    from nas.cli import main

    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code


@pytest.mark.parametrize("name", ["depth", "width", "optimizer", "momentum", "learning_rate"])
def test_the_command_settles_it(
    name: str, wide: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trials = tuple(t for t in wide.complete if name in t.params)[:8]
    command = parameter_effect(replace(wide, trials=trials), name).command
    settled = run(command, tmp_path, command_line, FakeEngine(smooth))
    assert len(settled.complete) == len(settled.counted) <= 60
    effect = parameter_effect(settled, name)
    assert effect.doubt == ""
    assert all(level.n_complete >= MIN_LEVEL_TRIALS for level in effect.levels)
    best = max(trials, key=lambda t: t.value)
    for other in ("dropout",):
        assert {round(t.spec.architecture.dropout, 3) for t in settled.complete} == {
            round(best.params[other], 3)
        }


def test_the_command_for_the_shipped_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for space in ("mlp_depth", "mlp_per_layer", "mlp_residual", "mlp_full"):
        study, _ = search_fake(
            tmp_path, FakeEngine(smooth), load_space(space), name=space, n_trials=9, pruner="none"
        )
        record = study_record(study)
        for name in searched_parameters(record):
            command = parameter_effect(record, name).command
            new, search = command.split(" && ")
            command_line(*shlex.split(new)[1:])
            words = shlex.split(search)
            trials = int(words[words.index("--trials") + 1])
            grid = load_space(words[words.index("--space") + 1])
            points = [p for _, p in zip(range(200), grid.grid("multiclass"), strict=False)]
            assert 5 <= trials <= min(60, len(points)), command
            assert len({point[name] for point in points}) > 1, command


def test_the_command_keeps_data_folds_and_metric(record: StudyRecord) -> None:
    data = {
        "source": "my data.csv",
        "target": "y",
        "task": None,
        "groups": "who",
        "drop": ["a", "b"],
        "categorical": [],
    }
    split = {"folds": 1, "repeats": 3, "val_size": 0.3, "test_size": 0.0, "seed": 7}
    asked = replace(
        record,
        trials=record.complete[:5],
        settings={**record.settings, "data": data, "split": split},
    )
    command = parameter_effect(asked, "depth").command
    for option in (
        "--data 'my data.csv' --target y --groups who --drop a,b --metric accuracy",
        "--folds 1 --repeats 3 --val-size 0.3 --test-size 0.0 --seed 7",
    ):
        assert option in command
    assert "--task" not in command and "--categorical" not in command


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
        assert x.startswith(f"{level.value}<br>") and "15 + 0 pruned" in x
        assert y == pytest.approx(level.estimate, rel=1e-5)
        assert y - low == pytest.approx(level.interval[0], rel=1e-4)
    assert list(best.y) == pytest.approx([level.best for level in effect.levels], rel=1e-5)
