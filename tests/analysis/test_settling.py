"""The search that would settle a doubt: run as its command stands, with fake training."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeEngine, fill_study, search_fake, smooth, with_settings

from nas.analysis.effects import parameter_effect
from nas.analysis.levels import MIN_LEVEL_TRIALS, searched_parameters
from nas.options import DataOptions, SplitOptions
from nas.proposal import command_of
from nas.space import Range, SearchSpace, load_space
from nas.spec import Problem
from nas.study.record import StudyRecord, study_record


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


def settling(record: StudyRecord, parameter: str) -> str:
    """The command of the search that is to settle a parameter."""
    experiment = parameter_effect(record, parameter).experiment
    assert experiment is not None
    return command_of(experiment, record)


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
    command = settling(replace(wide, trials=trials), name)
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


@pytest.mark.long
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
            command = settling(record, name)
            new, search = command.split(" && ")
            command_line(*shlex.split(new)[1:])
            words = shlex.split(search)
            trials = int(words[words.index("--trials") + 1])
            grid = load_space(words[words.index("--space") + 1])
            points = [p for _, p in zip(range(200), grid.grid("multiclass"), strict=False)]
            assert 5 <= trials <= min(60, len(points)), command
            assert len({point[name] for point in points}) > 1, command


def test_the_command_keeps_data_folds_and_metric(record: StudyRecord) -> None:
    data = DataOptions("my data.csv", target="y", groups="who", drop=("a", "b"))
    split = SplitOptions(folds=1, repeats=3, val_size=0.3, test_size=0.0, seed=7)
    asked = replace(with_settings(record, data=data, split=split), trials=record.complete[:5])
    command = settling(asked, "depth")
    for option in (
        "--data 'my data.csv' --target y --groups who --drop a,b --metric accuracy",
        "--folds 1 --repeats 3 --val-size 0.3 --test-size 0.0 --seed 7",
    ):
        assert option in command
    assert "--task" not in command and "--categorical" not in command


IMAGES = Problem("multiclass", 64, 3, image_shape=(8, 8, 1))


@pytest.mark.parametrize(
    "entries",
    [
        {"blocks": Range(1, 3), "filters": Range(4, 64, log=True), "kernel": [3, 5]},
        {"blocks": Range(1, 3), "initializer": "normal(0.05)", "batch_size": 0},
        {"layers": ["8c3-mp2", "16c3-gap", "8r3-gap-fc16"]},
        {"learning_rate": Range(1e-4, 1e-1, log=True), "layers": "8c3-mp2"},
        {"learning_rate": Range(1e-4, 1e-1, log=True)},
    ],
)
def test_the_command_for_convolutions(
    entries: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    space = SearchSpace(entries, network="cnn", name="images")
    record = study_record(fill_study(space, 8, lambda spec: 0.9 - 1e-6 * spec.n_weights, IMAGES))
    for name in searched_parameters(record):
        command = settling(record, name)
        command_line(*shlex.split(command.split(" && ")[0])[1:])
        (file,) = tmp_path.glob(f"*-{name}.yaml")
        grid = load_space(file)
        assert grid.network == "cnn"
        points = list(grid.grid("multiclass"))
        assert len(points) >= 5 and len({point[name] for point in points}) > 1
        file.unlink()
