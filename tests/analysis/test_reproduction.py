import shlex
from pathlib import Path

import pytest
from fakes import open_fake_study

from nas import DEFAULT_STORAGE
from nas.analysis.reproduction import data_options, wrap_command
from nas.analysis.study_data import study_data
from nas.cli.commands import load_command
from nas.storage import with_storage
from nas.study import study_record

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
