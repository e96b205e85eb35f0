"""The options of data, which several commands share."""

from pathlib import Path
from typing import get_args

import pytest
from cli import TINY

from nas.choices import Scaling
from nas.cli import data_options
from nas.cli.commands import COMMANDS, load_command
from nas.data import DataOptions

SHARED = [
    "data", "target", "task", "drop", "categorical", "groups", "sample_weight", "scaling",
    "image_size", "classes", "max_rows", "label_noise", "header", "missing", "positive",
    "test", "time", "class_weight", "merge_rare", "numeric", "date", "text", "target_scaling",
    "quantiles",
]  # fmt: skip
CNN = """\
network: cnn
data: digits
layers: 4c3-mp2-fc8
learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}
epochs: 2
"""


@pytest.fixture
def cnn(folder: Path) -> Path:
    path = folder / "cnn.yaml"
    path.write_text(CNN, encoding="utf-8")
    return path


def test_the_scalings_are_those_of_the_data() -> None:
    assert set(get_args(data_options.ScalingOption.__origin__)) == set(get_args(Scaling))


def test_every_way_to_read_data_has_an_option() -> None:
    read = {"data" if name == "source" else name for name in DataOptions.__dataclass_fields__}
    assert read - {"images"} == set(SHARED)  # a network: cnn asks for images


@pytest.mark.parametrize("name", SHARED)
def test_search_and_screen_have_the_same(name: str) -> None:
    found = []
    commands = {name: load_command(name) for name in COMMANDS}
    (trained,) = [p for p in commands["train"].params if p.name == name]
    for command in ("search", "screen"):
        (parameter,) = [p for p in commands[command].params if p.name == name]
        found.append((parameter.opts, parameter.help, parameter.default))
    assert found[0] == found[1]
    assert trained.opts == found[0][0]
    assert name == "data" or trained.help.startswith(found[0][1])
    assert trained.default is None  # what is not given is as the study has it


@pytest.mark.long
def test_a_search_reads_the_rows_that_the_options_leave(nas, folder: Path) -> None:
    command = "search --space tiny.yaml --folds 3 --study pair --workers 1".split()
    reading = "--max-rows 80 --label-noise 0.1 --scaling unit".split()
    out = nas.right(*command, "--trials", 1, *reading, "--classes", "1,2").out
    assert "iris: 80 rows, 4 numeric features, binary (2 classes)" in out
    nas.right("export", "--study", "pair", "--output", "pair.keras")  # reads them again
    line = nas.wrong(*command, "--trials", 2, *reading, "--classes", "0,2")
    assert "classes 1,2, now 0,2" in line


@pytest.mark.long
def test_a_screening_of_convolutions_gets_images(nas, cnn: Path) -> None:
    options = "--classes 4,9 --max-rows 100 --n 8 --sample 8 --folds 1 --workers 1"
    out = nas.right(*f"screen --space cnn.yaml {options}".split()).out
    assert "digits: 100 rows, 8 x 8 pixel features, binary (2 classes)" in out


def test_a_screening_reads_the_same_and_passes_them_on(nas, folder: Path) -> None:
    (folder / "one.yaml").write_text(TINY.replace("{low: 1, high: 2}", "1"), encoding="utf-8")
    options = "--classes 1,2 --max-rows 80 --label-noise 0.1 --scaling symmetric"
    small = "--n 8 --sample 8 --folds 3 --workers 1"
    out = nas.right(*f"screen --space one.yaml {small} {options}".split()).out
    assert "iris: 80 rows, 4 numeric features, binary (2 classes)" in out
    (following,) = [line for line in out.splitlines() if line.startswith("Next")]
    for option in options.replace(" --", "  --").split("  "):
        assert option in following


def test_a_given_convolutional_network_gets_images(nas, cnn: Path) -> None:
    out = nas.right(*"train --space cnn.yaml --folds 2 --set learning_rate=0.01".split()).out
    assert "4c3-mp2" in out and "Result" in out


def test_a_given_network_makes_a_study_of_any_data(nas, folder: Path) -> None:
    """No search has to come before, with whatever the data needs."""
    rows = [f"{k % 7};{k % 3};{'abc'[k % 3]};{k % 2}" for k in range(90)]
    text = "\n".join(["size;code;kind, sort;y", *rows])
    (folder / "table.csv").write_text(text + "\n", encoding="utf-8")
    reading = ["--data", "table.csv", "--target", "kind, sort", "--task", "multiclass",
               "--drop", "y", "--categorical", "code", "--scaling", "unit", "--classes", "a,b",
               "--max-rows", "40", "--label-noise", "0.1"]  # fmt: skip
    dividing = ["--folds", "2", "--repeats", "2", "--test-size", "0.3", "--seed", "3"]
    train = ["train", "--space", "tiny.yaml", "--set", "depth=1", "--set", "width=4"]
    out = nas.right(*train, *reading, *dividing).out
    assert "table: 40 rows, 1 numeric and 1 categorical features, multiclass (2 classes)" in out
    settings = nas.right("study", "show", "tiny", "--json").json()
    assert settings["data"]["drop"] == ["y"] and settings["data"]["classes"] == ["a", "b"]
    assert settings["split"]["repeats"] == 2 and settings["split"]["test_size"] == 0.3
    nas.right(*train, *reading, *dividing)  # the same again, in the same study
    nas.right(*train)
    line = nas.wrong(*train, "--drop", "code")
    assert "--drop: got 'code', but study 'tiny' has 'y'" in line
    assert "--scaling" in nas.wrong(*train, "--scaling", "none")
    assert "--test-size" in nas.wrong(*train, "--test-size", "0.2")


def test_a_study_that_cannot_be_trained_is_not_made(nas, folder: Path) -> None:
    text = "network: mlp\ndata: diabetes\ndepth: 1\nloss: logistic\n"
    (folder / "wrong.yaml").write_text(text, encoding="utf-8")
    assert "loss" in nas.wrong("train", "--space", "wrong.yaml")
    assert not (folder / "studies").exists()


@pytest.mark.parametrize("command", ["search", "screen"])
@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ("--classes 0,11", 1, ["--classes", "no class '11' in iris", "Did you mean '1'?"]),
        ("--classes 0", 1, ["--classes", "at least two"]),
        ("--data diabetes --label-noise 0.1", 1, ["--label-noise", "regression"]),
        ("--label-noise 2", 2, ["--label-noise"]),
        ("--max-rows 0", 2, ["--max-rows"]),
        ("--max-rows 9", 1, ["iris", "class", "a larger --max-rows"]),
        ("--image-size 8", 1, ["--image-size", "a folder of images"]),
        ("--scaling minmax", 2, ["--scaling", "symmetric"]),
    ],
)
def test_mistakes_get_one_line(
    nas, folder: Path, command: str, options: str, code: int, words: list[str]
) -> None:
    line = nas.wrong(command, "--space", "tiny.yaml", "--workers", 1, *options.split(), code=code)
    assert all(word in line for word in words), line
