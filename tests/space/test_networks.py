"""Words of convolutional networks, whole networks in the notation, losses, steps and batches."""

from typing import Any

import pytest
from test_space import BINARY, IMAGE, draw_specs

from nas.errors import NasError
from nas.space import (
    Choice,
    Parameter,
    RandomSuggester,
    Range,
    SearchSpace,
    SpaceError,
    dump_space,
    parameter,
    parse_space,
    shown_value,
)
from nas.space.vocabulary import STRUCTURE, WORDS
from nas.spec import Problem, TrialSpec


def cnn(**parameters: Any) -> SearchSpace:
    return SearchSpace(parameters, network="cnn")


def one(space: SearchSpace, problem: Problem = BINARY) -> TrialSpec:
    return space.sample(RandomSuggester(0), problem)


# Regular blocks


def test_words_make_the_layers() -> None:
    spec = one(
        cnn(
            blocks=2,
            convolutions=2,
            filters=6,
            filter_growth=1.5,
            kernel=5,
            pooling="average",
            head="max",
            head_depth=2,
            head_width=7,
        )
    )
    assert spec.architecture.convolutions == ("6c5", "6c5", "ap2", "9c5", "9c5", "ap2", "gmp")
    assert spec.architecture.units == (7, 7)


@pytest.mark.parametrize("key, blocks", [("filter_growth", 1), ("head_width", 0)])
def test_what_relates_to_absent_layers_is_not_searched(key: str, blocks: int) -> None:
    searched = {"filter_growth": Range(1.0, 2.0), "head_width": Range(4, 8)}[key]
    parent = {"filter_growth": "blocks", "head_width": "head_depth"}[key]
    assert draw_specs(cnn(**{key: searched, parent: blocks}), 1)[0][1] == {}
    assert draw_specs(cnn(**{key: searched, parent: blocks + 1}), 1)[0][1].keys() == {key}


def test_words_of_one_family_are_unknown_in_the_other() -> None:
    with pytest.raises(SpaceError, match=r"blocks: not a parameter of network mlp.* network: cnn"):
        SearchSpace({"blocks": 2})
    with pytest.raises(SpaceError, match=r"depth: not a parameter of network cnn.* network: mlp"):
        cnn(depth=2)
    with pytest.raises(SpaceError, match=r"Write 'blocks' and 'convolutions' instead, or network"):
        cnn(depth=2)
    with pytest.raises(SpaceError, match=r"width: .* Write 'filters' instead, or network: mlp"):
        cnn(width=2)
    with pytest.raises(SpaceError, match=r"unknown parameter 'depth'"):
        cnn(l2=parameter(0.1, depth=2))


def test_convolutions_need_images() -> None:
    for problem in (Problem("binary", 4, 1), Problem("regression", 4, 1)):
        with pytest.raises(SpaceError, match="network: got cnn for rows that are no images"):
            one(cnn(), problem)
        with pytest.raises(SpaceError, match="network: got cnn for rows that are no images"):
            cnn().check_problem(problem)
    cnn().check_problem(BINARY)
    SearchSpace({}).check_problem(Problem("binary", 4, 1))


def test_a_grid_of_blocks() -> None:
    points = list(cnn(blocks=[1, 2], filter_growth=[1.0, 2.0], head_depth=[0, 1]).grid("binary"))
    assert len(points) == 2 + 4
    assert all(("filter_growth" in point) == (point["blocks"] == 2) for point in points)


def test_the_number_of_weights_is_that_of_the_drawn_network() -> None:
    spec = one(cnn(layers="4c3-mp2-fc8"), Problem("multiclass", 64, 10, (8, 8, 1)))
    assert spec.n_weights == (9 * 4 + 4) + (4 * 4 * 4 * 8 + 8) + (8 * 10 + 10)


def test_the_largest_words_give_a_network_that_can_be_weighed() -> None:
    spec = one(cnn(blocks=20, filters=10_000, filter_growth=1.2, kernel=100, convolutions=2))
    assert spec.n_weights > 10**12


@pytest.mark.parametrize(
    ("entries", "key", "received"),
    [
        (
            {"blocks": 20, "filters": 100, "filter_growth": 10.0},
            "filter_growth",
            "filters grow to 1e+21 in block 20",
        ),
        ({"blocks": Range(1, 16)}, "blocks", "filters grow to 1.05e+06 in block 16"),
        ({"filters": 10_000, "blocks": [1, 8]}, "blocks", "1.28e+06 in block 8"),
        ({"filter_growth": [1.0, 10.0], "blocks": 6}, "filter_growth", "3.2e+06 in block 6"),
        (  # where blocks are not searched there are the default two
            {"blocks": parameter(1, optimizer="adam"), "filters": 10_000, "filter_growth": 10.0},
            "",
            "",
        ),
        ({"blocks": 15}, "", ""),
        ({"blocks": 20, "filter_growth": 0.5, "filters": 10_000}, "", ""),
    ],
)
def test_filters_grow_within_bounds(entries: Any, key: str, received: str) -> None:
    if not key:
        cnn(**entries)
        return
    with pytest.raises(SpaceError, match=r"at most 1000000\. Lower 'blocks'") as caught:
        cnn(**entries)
    assert caught.value.key == key and received in caught.value.received


# Whole networks


def test_whole_networks_are_drawn() -> None:
    space = cnn(layers=["4c3-mp2-fc8-fc6", "resnet18/16", "vgg11/32"], learning_rate=0.1)
    drawn = {params["layers"]: spec.architecture for spec, params in draw_specs(space)}
    assert all(set(params) == {"layers"} for _, params in draw_specs(space))
    assert len(drawn) == 3
    short = drawn["4c3-mp2-fc8-fc6"]
    assert (short.convolutions, short.units) == (("4c3", "mp2"), (8, 6))
    assert len(drawn["vgg11/32"].convolutions) == 8 + 5
    assert drawn["vgg11/32"].units == (128, 128)
    assert drawn["resnet18/16"].convolutions[0] == "4c3"
    assert drawn["resnet18/16"].units == ()


def test_a_residual_network_is_normalized_where_the_space_says_nothing_else() -> None:
    choices = ["4c3-gap", "resnet18/32"]
    found = {
        params["layers"]: spec.architecture.normalization
        for spec, params in draw_specs(cnn(layers=choices))
    }
    assert found == {"4c3-gap": "none", "resnet18/32": "batch"}
    space = cnn(layers=choices, normalization="layer")
    assert {spec.architecture.normalization for spec, _ in draw_specs(space)} == {"layer"}
    space = cnn(layers="resnet18/32", normalization="none")
    assert one(space).architecture.normalization == "none"


def test_normalization_by_design_gives_its_parameters_a_meaning() -> None:
    space = cnn(layers=["4c3-gap", "resnet18/32"], normalization_momentum=Range(0.5, 0.9))
    for spec, params in draw_specs(space, 8):
        is_resnet = params["layers"] == "resnet18/32"
        assert ("normalization_momentum" in params) == is_resnet
        assert (spec.architecture.normalization_momentum < 0.95) == is_resnet


@pytest.mark.parametrize("when", [{}, {"normalization": "batch"}])
def test_words_of_batch_normalization_are_active_where_it_is_by_design(when: Any) -> None:
    space = cnn(
        layers=["resnet18/32", "8c3-gap"],
        normalization_momentum=parameter(Range(0.5, 0.9), **when),
        l2=parameter(0.1, normalization="batch"),
        l1=parameter(0.1, normalization="none"),
    )
    for spec, params in draw_specs(space, 8):
        is_resnet = params["layers"] == "resnet18/32"
        assert ("normalization_momentum" in params) == is_resnet
        assert (spec.training.l2, spec.training.l1) == ((0.1, 0.0) if is_resnet else (0.0, 0.1))


@pytest.mark.parametrize(
    ("entries", "normalization"),
    [
        ({"layers": ["8c3-gap", "vgg11/64"]}, "batch"),
        ({"layers": "resnet34/32"}, "none"),
        ({"layers": "resnet34/32"}, "layer"),
        ({"layers": "resnet34/32", "normalization": "none"}, "batch"),
        ({}, "batch"),
    ],
)
def test_a_normalization_that_never_occurs_is_refused(entries: Any, normalization: str) -> None:
    with pytest.raises(SpaceError, match=r"l2: conditional on normalization = .* never occurs"):
        cnn(l2=parameter(0.1, normalization=normalization), **entries)


def test_a_word_without_a_meaning_is_not_searched() -> None:
    """As a momentum with Adam: no mistake, as a space may be meant for more than one command."""
    space = cnn(layers="8c3-gap", normalization_momentum=Range(0.5, 0.9), momentum=Range(0.1, 0.9))
    assert draw_specs(space, 1)[0][1] == {}


@pytest.mark.parametrize("other", STRUCTURE)
def test_what_layers_replace_is_no_condition(other: str) -> None:
    network = WORDS[other].networks[0]
    entries = {"layers": ["fc3", "fc4"], "dropout": parameter(0.1, **{other: WORDS[other].default})}
    with pytest.raises(SpaceError) as caught:
        SearchSpace(entries, network=network)
    assert str(caught.value) == (
        f"dropout: conditional on '{other}', which 'layers' replaces. Depend on 'layers' instead."
    )


def test_a_dense_network_may_be_given_whole() -> None:
    space = SearchSpace({"layers": ["fc500-fc500", "fc30/3"]})
    drawn = {params["layers"]: spec.architecture for spec, params in draw_specs(space)}
    assert drawn["fc500-fc500"].units == (500, 500)
    assert drawn["fc30/3"].units == (10,)
    assert drawn["fc30/3"].convolutions == ()


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_what_belongs_to_hidden_layers_is_searched_with_whole_networks(network: str) -> None:
    searched = {"residual": [True, False], "activation": ["relu", "tanh"], "dropout": [0.0, 0.5]}
    space = SearchSpace({"layers": "fc4-fc4", **searched}, network=network)
    assert draw_specs(space, 1)[0][1].keys() == set(searched)


def test_a_condition_on_a_whole_network() -> None:
    space = cnn(
        layers=["4c3-gap", "vgg11/64", "resnet18/64"],
        dropout=parameter(Range(0.2, 0.4), layers="vgg11/64"),
        learning_rate=parameter([0.1, 0.2], layers=["4c3-gap", "vgg11/64"]),
    )
    asked = {params["layers"]: set(params) for _, params in draw_specs(space)}
    assert asked == {
        "4c3-gap": {"layers", "learning_rate"},
        "vgg11/64": {"layers", "dropout", "learning_rate"},
        "resnet18/64": {"layers"},
    }
    assert len(list(cnn(**dict(space.parameters) | {"dropout": 0.1}).grid("binary"))) == 5
    assert parse_space(dump_space(space)) == space
    text = "network: cnn\nlayers: [4c3, 5c3]\nl2: {value: 0.1, when: {layers: 5c3}}"
    assert parse_space(text).parameters["l2"].when == {"layers": ("5c3",)}


@pytest.mark.parametrize(
    ("network", "entries", "key", "received", "fix"),
    [
        ("cnn", {"layers": "vgg12"}, "layers", "'vgg12'", "Did you mean 'vgg11'?"),
        ("cnn", {"layers": "vgg12/8"}, "layers", "'vgg12'", "Did you mean 'vgg11/8'?"),
        ("cnn", {"layers": "resnet81/8"}, "layers", "'resnet81'", "Did you mean 'resnet18/8'?"),
        ("cnn", {"layers": "VGG11/8"}, "layers", "'VGG11'", "Did you mean 'vgg11/8'?"),
        ("cnn", {"layers": "32C3-MP2"}, "layers", "'32C3'", "Did you mean '32c3-mp2'?"),
        ("cnn", {"layers": "32c3 mp2"}, "layers", "'32c3 mp2'", "Did you mean '32c3-mp2'?"),
        ("cnn", {"layers": ["4c3", "4c3-mp"]}, "layers", "'mp' in '4c3-mp'", ""),
        ("cnn", {"layers": 3}, "layers", "3", ""),
        ("cnn", {"layers": ["4c3", "4c3"]}, "layers", "'4c3' twice", ""),
        ("cnn", {"layers": Range(1, 2)}, "layers", "a range", ""),
        ("mlp", {"layers": ["fc3", "4c3-fc3"]}, "layers", "'4c3-fc3' for network mlp", "cnn"),
        ("cnn", {"layers": "4c3", "kernel": 3}, "kernel", "together with layers", "Remove"),
        ("mlp", {"layers": "fc3", "width": 3}, "width", "together with layers", "Remove"),
        (
            "cnn",
            {"layers": Parameter(Choice(["4c3", "5c3"]), {"optimizer": ("adam",)})},
            "layers",
            "a condition",
            "Remove 'when'",
        ),
        (
            "cnn",
            {"layers": ["4c3", "5c3"], "l2": parameter(0.1, layers="6c3")},
            "l2",
            "layers = '6c3', which never occurs",
            "",
        ),
        ("cnn", {"layers": "4c3", "l2": parameter(0.1, layers="6x3")}, "l2", "layers = '6x3'", ""),
    ],
)
def test_mistakes_in_whole_networks(
    network: str, entries: Any, key: str, received: str, fix: str
) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace(entries, network=network)
    assert caught.value.key == key
    assert received in caught.value.received
    assert fix in caught.value.fix
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["vgg11/0", "VGG11/0", "0c3", "fc0", "1000001c3-mp2"])
def test_a_number_out_of_bounds_is_what_is_named(text: str) -> None:
    with pytest.raises(SpaceError, match="whole, from 1 to 1000000; expected items") as caught:
        cnn(layers=["8c3", text])
    assert caught.value.fix == ""


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("head", "gap", "average"),
        ("head", "gmp", "max"),
        ("pooling", "mp", "max"),
        ("pooling", "ap", "average"),
    ],
)
def test_the_notations_names_are_understood(key: str, value: str, meant: str) -> None:
    with pytest.raises(SpaceError, match=f"got '{value}'.* Did you mean '{meant}'"):
        cnn(**{key: value})


# Initializers


@pytest.mark.parametrize("key", ["initializer", "bias_initializer", "output_initializer"])
def test_initializers_with_numbers(key: str) -> None:
    space = SearchSpace({key: ["normal(1)", "uniform(0, 0.01)", "constant(-1)"]})
    drawn = {getattr(spec.architecture, key) for spec, _ in draw_specs(space)}
    assert drawn == {"normal(1)", "uniform(0, 0.01)", "constant(-1)"}
    assert parse_space(dump_space(space)) == space


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("initializer", "normal"),
        ("initializer", "uniform(1, 0)"),
        ("initializer", "same"),
        ("initializer", "zeros"),
        ("bias_initializer", "he_normal"),
        ("output_initializer", "triangle(1)"),
        ("output_initializer", 3),
    ],
)
def test_initializers_that_are_refused(key: str, value: Any) -> None:
    with pytest.raises(SpaceError, match=r"normal\(deviation\), uniform\(low, high\)"):
        SearchSpace({key: value})


def test_an_unquoted_initializer_in_a_list_is_explained() -> None:
    with pytest.raises(NasError, match=r"got 'uniform\(0'.*in quotes"):
        parse_space("initializer: [uniform(0, 0.01), he_normal]")
    space = parse_space('initializer: ["uniform(0, 0.01)", he_normal]')
    assert space == SearchSpace({"initializer": ["uniform(0, 0.01)", "he_normal"]})
    assert parse_space("initializer: uniform(0, 0.01)") == SearchSpace(
        {"initializer": "uniform(0, 0.01)"}
    )


# Losses, batches and steps


@pytest.mark.parametrize(
    ("task", "losses"),
    [
        ("binary", {"auto", "cross_entropy", "logistic"}),
        ("multiclass", {"auto", "cross_entropy", "logistic"}),
        ("regression", {"auto", "squared", "absolute", "huber"}),
    ],
)
def test_losses_fit_their_tasks(task: Any, losses: set[str]) -> None:
    problem = Problem(task, 4, 1, IMAGE)
    for loss in ("auto", "cross_entropy", "logistic", "squared", "absolute", "huber"):
        for entry in (loss, ["auto", loss] if loss != "auto" else ["auto"]):
            space = SearchSpace({"loss": entry})
            if loss in losses:
                space.check_problem(problem)
                one(space, problem)
                continue
            with pytest.raises(SpaceError, match=f"loss: got {loss} for a {task} task") as caught:
                one(space, problem)
            assert all(name in caught.value.expected for name in losses)


@pytest.mark.parametrize("text", ["full", "0"])
def test_a_full_batch_is_zero(text: str) -> None:
    space = parse_space(f"batch_size: [{text}, 16]\nl2: {{value: 0.1, when: {{batch_size: full}}}}")
    assert space == SearchSpace({"batch_size": ["full", 16], "l2": parameter(0.1, batch_size=0)})
    sizes = {spec.training.batch_size: spec.training.l2 for spec, _ in draw_specs(space)}
    assert sizes == {0: 0.1, 16: 0.0}
    assert {params["batch_size"] for _, params in draw_specs(space)} == {0, 16}
    assert dump_space(space) == (
        "network: mlp\nbatch_size: [full, 16]\nl2: {value: 0.1, when: {batch_size: full}}\n"
    )
    assert "batch_size: full\n" in dump_space(SearchSpace({"batch_size": 0}))
    several = SearchSpace({"batch_size": [0, 8], "l1": parameter([0, 1], batch_size=[0, 8])})
    assert "l1: {choices: [0, 1], when: {batch_size: [full, 8]}}" in dump_space(several)
    assert parse_space(f"batch_size: {text}") == SearchSpace({"batch_size": "full"})
    assert parse_space(dump_space(space)) == space


def test_a_shown_value_is_a_name_where_a_number_has_one() -> None:
    assert shown_value("batch_size", 0) == "full"
    assert [shown_value("batch_size", 32), shown_value("steps", 0)] == [32, 0]
    assert shown_value("width_1", 0) == 0  # of a layer, and no word of its own


def test_a_batch_that_is_neither_full_nor_a_number() -> None:
    with pytest.raises(SpaceError, match="got 'ful'; expected a whole number >= 0 or auto or full"):
        SearchSpace({"batch_size": "ful"})


def test_steps_without_epochs_have_all_the_epochs_they_need() -> None:
    spec = one(SearchSpace({"steps": 50}))
    assert (spec.training.steps, spec.training.epochs) == (50, 50)
    assert spec.training.n_steps(1000) == 50 and spec.training.n_epochs(1000) == 2
    spec = one(SearchSpace({"steps": 50, "epochs": 1}))
    assert spec.training.n_steps(1000) == 32
    spec = one(SearchSpace({"steps": 0}))
    assert spec.training.epochs == 20


def test_largest_number_of_epochs_with_steps() -> None:
    assert SearchSpace({"steps": 50}).max_epochs == 50
    assert SearchSpace({"steps": [0, 5]}).max_epochs == 20
    assert SearchSpace({"steps": Range(10, 70)}).max_epochs == 70
    assert SearchSpace({"steps": 50, "epochs": 3}).max_epochs == 3
