"""`nas space`: networks in the compact notation, and spaces of convolutional networks."""

import inspect
import re
from pathlib import Path

import pytest
from cli import Nas

from nas.cli.search import search
from nas.space import parse_space
from nas.space.vocabulary import HEADER_KEYS, SEARCH_OPTIONS


def cells(out: str) -> list[list[str]]:
    """The lines of a table, by columns."""
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines()
    ]


def test_a_network_is_shown_layer_by_layer(nas: Nas, folder: Path) -> None:
    out = nas.right("space", "show", "8c5-mp2-6r3s2-gap-fc7", "--rows", "9x8x3").out
    assert (
        cells(out)[1:]
        == [
            ["8c5-mp2-6r3s2-gap-fc7 on rows of 9 x 8 x 3: 1,505 weights"],
            ["layer", "window", "output", "weights"],
            ["convolution_1", "5 x 5", "9 x 8 x 8", "608"],
            ["pooling_1", "2 x 2, stride 2", "5 x 4 x 8"],
            ["convolution_2", "3 x 3, stride 2", "3 x 2 x 6", "438"],
            ["convolution_3 + pooling_1", "3 x 3", "3 x 2 x 6", "330"],
            ["global_average_1", "6"],
            ["hidden_4", "7", "49"],
            ["output", "10", "80"],
        ]
        or "1,505 weights" in out
    )


def test_a_well_known_network_in_json(nas: Nas, folder: Path) -> None:
    shown = nas.right("space", "show", "resnet18/8", "--outputs", 2, "--json").json()
    (network,) = shown["layers"].values()
    assert list(shown["layers"]) == ["resnet18/8"] and shown["name"] == "resnet18/8"
    assert network["layers"][0] == {
        "name": "convolution_1",
        "output_shape": [28, 28, 8],
        "weights": 9 * 8 + 8 + 4 * 8,  # with batch normalization, by design
    }
    assert network["layers"][-1] == {"name": "output", "output_shape": [2], "weights": 130}
    assert network["weights"] == sum(layer["weights"] for layer in network["layers"])
    assert len([la for la in network["layers"] if la["weights"]]) == 18


def test_the_documentation_shows_what_is_shown(nas: Nas, folder: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text(encoding="utf-8")
    shown = page.split("$ nas space show resnet18/8\n")[1].split("```")[0]
    out = nas.right("space", "show", "resnet18/8").out
    assert cells(out)[1:] == cells(shown)
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        parse_space(block)


def test_dense_networks_take_rows_of_numbers(nas: Nas, folder: Path) -> None:
    out = nas.right("space", "show", "fc500-fc500", "--rows", "64").out
    assert "fc500-fc500 on rows of 64: 288,010 weights" in out
    assert "784-" not in out
    assert (
        "on rows of 28 x 28 x 1: 648,010 weights" in nas.right("space", "show", "fc500-fc500").out
    )


def test_large_shapes_have_commas_as_weights_have(nas: Nas, folder: Path) -> None:
    shown = cells(nas.right("space", "show", "32c3-fc1000").out)
    assert ["flatten_1", "25,088"] in shown
    assert ["hidden_2", "1,000", "25,089,000"] in shown


def test_a_space_shows_its_whole_networks(nas: Nas, folder: Path) -> None:
    (folder / "given.yaml").write_text(
        "network: cnn\ndata: digits\nlayers: [4c3-mp2-fc8, 3c3-3c3-gap]\nnormalization: batch\n"
        "residual: true\nbatch_size: [16, full]\nl2: {value: 0.1, when: {batch_size: full}}\n"
    )
    out = nas.right("space", "show", "given.yaml").out
    assert "given: cnn on digits" in out
    assert ["batch_size", "16, full"] in cells(out)
    assert ["l2", "0.1", "batch_size full"] in cells(out)
    assert ["residual", "true"] in cells(out)  # whatever the depth
    assert "4c3-mp2-fc8 on rows of 8 x 8 x 1: 698 weights" in out
    assert "convolution_2 + convolution_1" in out
    out = nas.right("space", "show", "given.yaml", "--rows", "5x5x2", "--outputs", 1).out
    assert "3c3-3c3-gap on rows of 5 x 5 x 2" in out
    shown = nas.right("space", "show", "given.yaml", "--json").json()
    assert shown["network"] == "cnn" and len(shown["layers"]) == 2
    assert nas.right("space", "show", "mlp_small", "--json").json()["layers"] == {}


def test_a_condition_on_another_family_is_not_shown(nas: Nas, folder: Path) -> None:
    def only_with(space: str, key: str) -> str:
        shown = nas.right("space", "show", space, "--json").json()
        return str(shown["parameters"][key]["only_with"])

    assert only_with("mlp_residual", "residual") == "depth 2 or more"
    assert only_with("cnn", "residual") == ""
    assert only_with("cnn", "filter_growth") == "blocks 2 or more"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("32c3-mp", ["32c3-mp: no such file, and got 'mp'", "items such as 32c3", "vgg11"]),
        ("32c3-fc8-mp2", ["got something behind a dense layer"]),
        ("vgg12/8", ["no such file, and got 'vgg12'", "Did you mean 'vgg11/8'?"]),
        ("VGG11/8", ["no such file, and got 'VGG11'", "Did you mean 'vgg11/8'?"]),
        ("32C3", ["no such file, and got '32C3'", "Did you mean '32c3'?"]),
        ("resnet18/0", ["got '/0'", "where divisors are whole, from 1 to 1000000"]),
        ("99999999c3", ["got '99999999c3', where numbers are whole, from 1 to 1000000"]),
        ("0c3", ["got '0c3', where numbers are whole"]),
        ("32c", ["no such file", "tabular, or a network such as 32c3-mp2-fc32 or vgg11/8"]),
        ("c3", ["no such file", "tabular, or a network such as 32c3-mp2-fc32 or vgg11/8"]),
        ("mlp-small", ["no such file, and got 'mlp'", "Did you mean 'mlp_small'?"]),
        ("mlp_smal", ["no shipped space of that name", "Did you mean 'mlp_small'"]),
        ("nothing.yaml", ["no such file"]),
        ("4c3-fc8 --rows 64", ["--rows: got 64 for '4c3-fc8'", "an image such as 28x28x1"]),
        ("4c3-fc8 --rows 8x", ["--rows: got '8x'", "sizes such as 28x28x1"]),
        ("4c3-fc8 --rows 8x0", ["--rows: got '8x0'"]),
        ("4c3-fc8 --rows 8x8x1x1", ["--rows: got '8x8x1x1'"]),
    ],
)
def test_mistakes_in_networks(nas: Nas, folder: Path, arguments: str, words: list[str]) -> None:
    line = nas.wrong("space", "show", *arguments.split())
    assert all(word in line for word in words), line


def test_a_file_goes_before_a_network_of_its_name(nas: Nas, folder: Path) -> None:
    (folder / "vgg11").write_text("depth: 3\n")
    assert "vgg11: mlp on any data" in nas.right("space", "show", "vgg11").out


def test_new_writes_spaces_of_convolutional_networks(nas: Nas, folder: Path) -> None:
    nas.right(
        *"space new net.yaml --network cnn --data digits --layers 4c3-mp2-fc8,resnet18/16".split(),
        *("--initializer", "uniform(0, 0.01),he_normal", "--batch-size", "16,full"),
        *"--steps 100 --loss logistic --shift 0:0.2 --flip none,both".split(),
    )
    assert (folder / "net.yaml").read_text().splitlines() == [
        "network: cnn",
        "data: digits",
        "layers: [4c3-mp2-fc8, resnet18/16]",
        "initializer: ['uniform(0, 0.01)', he_normal]",
        "shift: {low: 0, high: 0.2}",
        "flip: [none, both]",
        "loss: logistic",
        "batch_size: [16, full]",
        "steps: 100",
    ]
    assert "right" in nas.right("space", "check", "net.yaml").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--blocks 1:3", ["--blocks: not a parameter of network mlp", "network: cnn"]),
        ("--network cnn --depth 1:3", ["--depth: not a parameter of network cnn"]),
        ("--network cnn --layers 4c3-mp", ["--layers: got 'mp' in '4c3-mp'"]),
        ("--layers 4c3-fc8", ["--layers: got '4c3-fc8' for network mlp"]),
        ("--initializer normal(-1)", ["--initializer: got 'normal(-1)'", "normal(deviation)"]),
    ],
)
def test_mistakes_in_new_spaces(nas: Nas, folder: Path, arguments: str, words: list[str]) -> None:
    line = nas.wrong("space", "new", "net.yaml", *arguments.split())
    assert all(word in line for word in words), line
    assert not (folder / "net.yaml").exists()


def test_an_unknown_family_is_wrong_usage(nas: Nas, folder: Path) -> None:
    assert nas("space", "new", "net.yaml", "--network", "rnn", "--depth", "2").code == 2


def test_the_compiled_engine_is_refused_before_a_search_of_convolutions(
    nas: Nas, folder: Path
) -> None:
    line = nas.wrong(*"search --space cnn_small --data digits --engine compiled".split())
    assert line == "--engine: got compiled for network: cnn; expected auto or keras"
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]  # and no study


def test_options_named_in_spaces_are_options_of_the_search() -> None:
    words = {"config", "space", "scaling", *HEADER_KEYS}  # scaling is a word, too
    assert {*SEARCH_OPTIONS} == inspect.signature(search).parameters.keys() - words


def test_digits_are_images_for_convolutions(nas: Nas, folder: Path) -> None:
    """From a space to a trained network, as `nas search` and `nas screen` read the data too."""
    (folder / "net.yaml").write_text(
        "network: cnn\ndata: digits\nblocks: [1, 2]\nfilters: 2\nhead_width: 4\nbatch_size: full\n"
        "steps: 2\n"
    )
    told = nas.right(*"train --space net.yaml --folds 2 --set blocks=1 --json".split()).json()
    spec = told["trial_record"]["spec"]
    assert spec["problem"]["image_shape"] == [8, 8, 1]
    assert spec["architecture"]["convolutions"] == ["2c3", "mp2"]
    assert told["trial_record"]["params"] == {"blocks": 1}
    assert len(told["trial_record"]["curves"]["val_loss"]) == 2
    out = nas.right(*"train --space net.yaml --set blocks=2 --set momentum=0.9".split()).out
    assert "Without effect: momentum has a meaning with optimizer sgd or rmsprop only." in out
    line = nas.wrong(*"train --space net.yaml --data iris --study other".split())
    assert "network: cnn" in line


def test_show_tells_the_first_settings(nas: Nas) -> None:
    shown = nas.right("space", "show", "tabular", "--json").json()
    assert shown["first"][0]["embedding"] == "periodic"
    text = nas.right("space", "show", "tabular").out
    assert text.count("embedding=") == len(shown["first"])
    assert nas.right("space", "show", "mlp_depth", "--json").json()["first"] == []


def test_show_and_new_tell_a_prior(nas: Nas, folder: Path) -> None:
    nas.right("space", "new", "p.yaml", "--learning-rate", "1e-4:1e-1:log:prior=1e-3")
    text = (folder / "p.yaml").read_text(encoding="utf-8")
    assert "learning_rate: {low: 0.0001, high: 0.1, log: true, prior: 0.001}" in text
    assert "0.0001 to 0.1, log scale, prior 0.001" in nas.right("space", "show", "p.yaml").out
    line = nas.wrong("space", "new", "q.yaml", "--depth", "1:8:prior=9")
    assert line == "--depth: got prior 9; expected a whole number from 1 to 8"
