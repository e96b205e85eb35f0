"""The options of data, which several commands share."""

from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from nas.cli import app, data_options
from nas.cli.data_options import names_of
from nas.data import DataOptions, Scaling

SHARED = [
    "data", "target", "task", "drop", "categorical", "groups", "scaling", "image_size", "classes",
    "max_rows", "label_noise",
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
    for command in ("search", "screen"):
        (parameter,) = [p for p in get_command(app).commands[command].params if p.name == name]
        found.append((parameter.opts, parameter.help, parameter.default))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("text", "names"),
    [(None, ()), ("", ()), ("a", ("a",)), (" a, b c ,,d", ("a", "b c", "d"))],
)
def test_names_with_commas(text: str | None, names: tuple[str, ...]) -> None:
    assert names_of(text) == names


def test_a_search_reads_the_rows_that_the_options_leave(nas, folder: Path) -> None:
    command = "search --space tiny.yaml --data digits --folds 2 --study pair --workers 1".split()
    reading = "--max-rows 120 --label-noise 0.1 --scaling unit".split()
    out = nas.right(*command, "--trials", 1, *reading, "--classes", "4,9").out
    assert "digits: 120 rows, 64 numeric features, binary (2 classes)" in out
    nas.right("export", "--study", "pair", "--output", "pair.keras")  # reads them again
    line = nas.wrong(*command, "--trials", 2, *reading, "--classes", "4,8")
    assert "classes 4,9, now 4,8" in line


def test_a_screening_reads_the_same_and_passes_them_on(nas, cnn: Path) -> None:
    options = "--classes 4,9 --max-rows 100 --label-noise 0.1 --scaling symmetric"
    small = "--n 8 --sample 8 --folds 2 --workers 1"
    out = nas.right(*f"screen --space cnn.yaml {small} {options}".split()).out
    assert "digits: 100 rows, 8 x 8 pixel features, binary (2 classes)" in out
    (following,) = [line for line in out.splitlines() if line.startswith("Next")]
    for option in options.replace(" --", "  --").split("  "):
        assert option in following


def test_a_given_convolutional_network_gets_images(nas, cnn: Path) -> None:
    out = nas.right(*"train --space cnn.yaml --folds 2 --set learning_rate=0.01".split()).out
    assert "4c3-mp2" in out and "Result" in out


def test_a_study_that_cannot_be_trained_is_not_made(nas, folder: Path) -> None:
    text = "network: mlp\ndata: diabetes\ndepth: 1\nloss: logistic\n"
    (folder / "wrong.yaml").write_text(text, encoding="utf-8")
    assert "loss" in nas.wrong("train", "--space", "wrong.yaml")
    assert nas.right("study", "list", "--json").json() == []


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
