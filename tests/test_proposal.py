"""What is proposed to type: commands, and calls in Python."""

import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fakes import open_fake_study, search_fake, with_settings

import nas
from nas import DEFAULT_STORAGE
from nas.analysis.experiment import Experiment, LookAtData, SearchAgain, TrainAgain
from nas.analysis.levels import space_of
from nas.analysis.study_data import study_data
from nas.cli.commands import load_command
from nas.options import IN_MEMORY, SearchOptions
from nas.proposal import (
    call_of,
    command_of,
    data_options,
    in_python_only,
    propose,
    search_options,
    wrap_command,
)
from nas.space import (
    Choice,
    Constant,
    Parameter,
    Range,
    mapping_from_space,
    parse_enqueued,
    parse_settings,
)
from nas.study.record import StudyRecord, study_record
from nas.study.storage import with_storage

LONG = (
    "nas space new 'my depth.yaml' --depth 1:8 --width 353 --learning-rate 0.0001:0.1:log && "
    "nas search --space 'my depth.yaml' --sampler grid --pruner none --trials 40"
)


@pytest.mark.parametrize("width", [20, 40, 60, 72, 200])
def test_a_wrapped_command_is_the_same_command(width: int) -> None:
    wrapped = wrap_command(LONG, width)
    assert shlex.split(wrapped.replace("\\\n", "")) == shlex.split(LONG)
    for line in wrapped.splitlines()[:-1]:
        assert line.endswith((" \\", " &&"))
        # Only an option and its value are longer.
        assert len(line) <= width or line.count(" --") <= 1


def test_it_is_broken_before_options_and_between_commands() -> None:
    assert wrap_command(LONG, 60).splitlines() == [
        "nas space new 'my depth.yaml' --depth 1:8 --width 353 \\",
        "  --learning-rate 0.0001:0.1:log &&",
        "nas search --space 'my depth.yaml' --sampler grid \\",
        "  --pruner none --trials 40",
    ]


def test_a_database_in_another_place_is_named_but_not_a_server() -> None:
    assert with_storage("nas best", "sqlite:///my own.db") == (
        "nas best --storage 'sqlite:///my own.db'"
    )
    several = with_storage("nas space new x.yaml && nas search --data 'a && b'", "sqlite:///x.db")
    assert several == (
        "nas space new x.yaml && nas search --data 'a && b' --storage sqlite:///x.db"
    )
    saved = with_storage("nas study show s --space > s.yaml && nas search", "sqlite:///x.db")
    assert saved.count("--storage sqlite:///x.db") == 2
    for storage in (DEFAULT_STORAGE, "postgresql://ann:secret@host/nas"):
        assert with_storage("nas best", storage) == "nas best"


def test_values_that_look_like_options_are_one_word(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path)
    data = {**study.user_attrs["data"], "source": "-x.csv", "target": "-1", "groups": "a b"}
    study.set_user_attr("data", data)
    words = data_options(study_record(study))
    assert words[:4] == ["--data=-x.csv", "--target=-1", "--groups", "a b"]
    search = load_command("search")
    found = search.make_context("search", words).params
    assert (found["data"], found["target"], found["groups"]) == ("-x.csv", "-1", "a b")


def test_a_short_command_stays_on_its_line() -> None:
    assert wrap_command("nas train --set depth=2", 80) == "nas train --set depth=2"


def test_the_options_are_those_of_the_data(tmp_path: Path) -> None:
    reading = {"scaling": "unit", "classes": ("2", "0"), "max_rows": 70, "label_noise": 0.1}
    record = study_record(open_fake_study(tmp_path, **reading))
    words = data_options(record)
    command = shlex.join(words)
    for option in ("--scaling unit", "--classes 2,0", "--max-rows 70", "--label-noise 0.1"):
        assert option in command
    search = load_command("search")
    known = {option for parameter in search.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    dataset, _ = study_data(record)
    assert (dataset.n_rows, dataset.classes, dataset.scaling) == (70, (0, 2), "unit")


def test_defaults_are_left_out_also_where_an_older_study_lacks_them(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path)
    plain = data_options(study_record(study))
    keys = ("source", "target", "task", "groups", "drop", "categorical")
    study.set_user_attr("data", {key: study.user_attrs["data"][key] for key in keys})
    assert data_options(study_record(study)) == plain
    assert plain[:4] == ["--data", "iris", "--metric", "accuracy"]


# Experiments


def made(folder: Path, **settings: Any) -> StudyRecord:
    """A study of all values of the small space, of which some settings are others."""
    study, _ = search_fake(folder, n_trials=9, pruner="none")
    record = study_record(study)
    for name, value in settings.items():
        if isinstance(value, dict):
            value = replace(getattr(record.settings, name), **value)
        record = with_settings(record, **{name: value})
    return record


def parsed(command: str) -> dict[str, Any]:
    """What the command line reads."""
    words = shlex.split(command)
    assert words[0] == "nas"
    return load_command(words[1]).make_context(words[1], words[2:]).params


AGAIN = TrainAgain(3, {"learning_rate": 1e-4, "activation": "relu", "l2": 0.0, "batch_size": 0})


def test_a_trial_is_trained_again_by_a_command(tmp_path: Path) -> None:
    record = replace(made(tmp_path), name="ann's try")
    command = command_of(AGAIN, record)
    assert command == (
        "nas train --study 'ann'\"'\"'s try' --like 3 --set learning_rate=0.0001 "
        "--set activation=relu --set l2=0 --set batch_size=full"
    )
    found = parsed(command)
    assert (found["study"], found["like"]) == ("ann's try", 3)
    assert parse_settings(found["settings"]) == AGAIN.params


def test_the_studys_own_space_is_read_from_the_study(tmp_path: Path) -> None:
    data = {"source": "adult.csv", "target": "income", "task": None}
    split = {"folds": 5, "repeats": 1, "val_size": 0.2, "test_size": 0.2, "seed": 3}
    record = made(tmp_path, data=data, split=split)
    space = mapping_from_space(replace(space_of(record), name="fake_balanced"))
    command = command_of(SearchAgain(space, metric="balanced_accuracy"), record)
    assert command == (
        "nas study show fake --space > fake_balanced.yaml && "
        "nas search --space fake_balanced.yaml --data adult.csv --target income "
        "--metric balanced_accuracy --folds 5 --test-size 0.2 --seed 3"
    )
    assert parsed(command.split(" && ")[1])["metric"] == "balanced_accuracy"


def test_another_space_is_written_first(tmp_path: Path) -> None:
    record = made(tmp_path)
    words = {"name": "fake-depth", "depth": [1, 2], "width": 32, "learning_rate": Range(0.01, 0.1)}
    experiment = SearchAgain(words, trials=8, sampler="grid", pruner="none")
    new, search = command_of(experiment, record).split(" && ")
    assert new == "nas space new fake-depth.yaml --depth 1,2 --width 32 --learning-rate 0.01:0.1"
    assert search.startswith(
        "nas search --space fake-depth.yaml --sampler grid --pruner none --trials 8 --data iris "
    )


IN_PYTHON = [
    ({"data": {"source": IN_MEMORY}}, ("data",)),
    ({"split": {"given": "x"}}, ("folds",)),
    ({"own_metric": True}, ("metric",)),
]


@pytest.mark.parametrize(("settings", "parts"), IN_PYTHON)
def test_what_only_python_has_is_in_no_command(settings, parts, tmp_path: Path) -> None:
    record = made(tmp_path, **settings)
    assert in_python_only(record) == parts
    search = SearchAgain({"name": "x", "depth": [1, 2]})
    assert command_of(search, record) == ""
    assert (
        propose(search, record)
        == "nas.run(nas.SearchAgain(space={'name': 'x', 'depth': [1, 2]}), study)"
    )
    # The study keeps its folds.
    assert bool(command_of(AGAIN, record)) == (parts == ("folds",))
    # Another metric has a name.
    scored = command_of(replace(search, metric="balanced_accuracy"), record)
    assert bool(scored) == (parts == ("metric",))
    assert command_of(LookAtData(), record) == "nas study show fake"


@pytest.mark.parametrize("width", [40, 84, 1000])
@pytest.mark.parametrize(
    "experiment",
    [
        AGAIN,
        LookAtData(),
        SearchAgain(
            {
                "name": "it's",
                "network": "mlp",
                "depth": Range(1, 4),
                "width": Parameter(Range(8, 64, log=True), per_layer=True),
                "optimizer": ["adam", "sgd"],
                "momentum": Parameter(Choice([0.0, 0.9]), {"optimizer": ("sgd",)}),
                "nesterov": Parameter(Constant(True), {"optimizer": ("sgd",)}),
                "dropout": Range(0.0, 0.5, step=0.25),
                "epochs": 9,
            },
            trials=40,
            sampler="grid",
            metric="auc",
        ),
    ],
)
def test_a_call_is_python_for_the_same_experiment(
    experiment: Experiment, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = call_of(experiment, width)
    assert ("\n" in call) == (max(map(len, call.splitlines())) < len(call))
    done: list[tuple[object, object]] = []
    monkeypatch.setattr(nas, "run", lambda *given: done.append(given), raising=False)
    eval(call, {"nas": nas, "study": "the study"})
    assert done == [(experiment, "the study")]


def test_a_call_is_broken_where_it_is_long() -> None:
    space = {"name": "x", "depth": [1, 2], "learning_rate": Range(0.01, 0.1, log=True)}
    assert call_of(SearchAgain(space, trials=8), 60).splitlines() == [
        "nas.run(",
        "    nas.SearchAgain(",
        "        space={",
        "            'name': 'x',",
        "            'depth': [1, 2],",
        "            'learning_rate': nas.Range(0.01, 0.1, log=True),",
        "        },",
        "        trials=8,",
        "    ),",
        "    study,",
        ")",
    ]


def test_a_command_that_repeats_a_search_has_its_own_settings(tmp_path: Path) -> None:
    own = (
        {"depth": 2, "learning_rate": 0.1 + 0.2, "initializer": "uniform(0, 0.01)"},
        {"batch_size": 0, "residual": True},
    )
    study = study_record(open_fake_study(tmp_path))
    words = search_options(with_settings(study, search=SearchOptions(enqueue=own)))
    texts = [text for option, text in pairwise(words) if option == "--enqueue"]
    assert "batch_size=full,residual=true" in texts
    assert [parse_enqueued(text) for text in texts] == [[one] for one in own]
