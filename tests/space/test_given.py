"""Given networks: values from texts, specifications from values, and parameters of a space."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nas.errors import NasError
from nas.space import (
    RandomSuggester,
    SearchSpace,
    changed_spec,
    given_spec,
    load_space,
    params_of,
    parse_settings,
    shipped_spaces,
    without_effect,
)
from nas.space.given import structure_of
from nas.spec import Problem, TrialSpec

PROBLEM = Problem("multiclass", 64, 10, (8, 8, 1))


def test_settings_have_the_type_of_their_word() -> None:
    texts = ["depth=4", "learning_rate=1e-3", "activation=sigmoid", "residual=true", "l2=1"]
    assert parse_settings(texts) == {
        "depth": 4,
        "learning_rate": 0.001,
        "activation": "sigmoid",
        "residual": True,
        "l2": 1,
    }
    texts = ["layers=32c3-mp2-fc32", "batch_size=full", "initializer=uniform(0, 0.01)"]
    assert parse_settings(texts) == {
        "layers": "32c3-mp2-fc32",
        "batch_size": 0,
        "initializer": "uniform(0, 0.01)",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("depth", ["got 'depth'", "such as depth=4"]),
        ("dept=4", ["unknown parameter 'dept'", "Did you mean 'depth'?"]),
        ("depth=-1", ["depth: got '-1'", "a whole number >= 0"]),
        ("depth=2.5", ["depth: got '2.5'", "a whole number"]),
        ("activation=rulu", ["got 'rulu'", "Did you mean 'relu'?"]),
        ("learning_rate=fast", ["learning_rate: got 'fast'", "a number > 0"]),
        ("residual=3", ["residual: got '3'", "true or false"]),
        ("activation=[", ["activation: got '['", "one of relu"]),
        ("layers=32c3-mp", ["layers: got 'mp' in '32c3-mp'", "items such as 32c3"]),
        ("layers=3", ["layers: got '3'", "items such as 32c3"]),
        ("layers=vgg12", ["layers: got 'vgg12'", "Did you mean 'vgg11'?"]),
        ("layers=VGG11/8", ["layers: got 'VGG11'", "Did you mean 'vgg11/8'?"]),
        ("layers=vgg11/0", ["got '/0' in 'vgg11/0', where divisors are whole, from 1 to 1000000"]),
        ("head=gap", ["head: got 'gap'", "Did you mean 'average'?"]),
        ("initializer=uniform(1, 0)", ["got 'uniform(1, 0)'", "uniform(low, high)"]),
        ("learning_rate=1e20", ["learning_rate: got '1e20'", "a number > 0 and <= 1e+15"]),
        ("residual=!!bool x", ["residual: got '!!bool x'", "true or false"]),
        ("activation=!!timestamp z", ["activation: got '!!timestamp z'", "one of relu"]),
        ("activation=" + "[" * 300, ["activation: got '[[", "one of relu"]),
        ("batch_size=ful", ["batch_size: got 'ful'", "a whole number >= 0 or auto or full"]),
    ],
)
def test_wrong_settings_are_told(text: str, words: list[str]) -> None:
    with pytest.raises(NasError) as error:
        parse_settings([text])
    assert all(word in error.value.on_command_line for word in ["--set", *words]), error.value


def test_a_given_network_has_the_values_then_the_fixed_ones_then_the_defaults() -> None:
    space = SearchSpace({"width": 24, "epochs": 7, "depth": [1, 2], "activation": ["tanh", "relu"]})
    spec = given_spec(space, {"depth": 3, "epochs": 4}, PROBLEM)
    assert spec.architecture.units == (24, 24, 24)
    assert spec.training.epochs == 4
    assert spec.architecture.activation == "relu"  # the default of the language


def test_a_changed_network_keeps_what_is_not_named() -> None:
    spec = given_spec(SearchSpace({}), {"depth": 2, "width": 16, "l2": 0.1}, PROBLEM)
    deeper = changed_spec(spec, {"depth": 4})
    assert deeper.architecture.units == (16,) * 4 and deeper.training == spec.training
    wider = changed_spec(spec, {"width": 32, "learning_rate": 0.5})
    assert wider.architecture.units == (32, 32) and wider.training.learning_rate == 0.5
    assert changed_spec(spec, {"depth": 0}).architecture.units == ()
    assert changed_spec(spec, {"activation": "tanh"}).architecture.units == (16, 16)


def test_changed_steps_have_the_epochs_they_need() -> None:
    spec = given_spec(SearchSpace({}), {"steps": 30}, PROBLEM)
    longer = changed_spec(spec, {"steps": 150}).training
    assert (longer.steps, longer.epochs) == (150, 150)
    assert changed_spec(spec, {"steps": 0}).training.epochs == 20
    assert changed_spec(spec, {"steps": 150, "epochs": 2}).training.epochs == 2
    both = given_spec(SearchSpace({}), {"steps": 30, "epochs": 2}, PROBLEM)
    assert changed_spec(both, {"steps": 150}).training.epochs == 2


@pytest.mark.parametrize("name", shipped_spaces())
def test_parameters_of_a_drawn_network_are_those_it_was_drawn_with(name: str) -> None:
    space = load_space(name)
    for seed in range(20):
        suggester = RandomSuggester(seed)
        spec = space.sample(suggester, PROBLEM)
        params = params_of(space, spec)
        assert params is not None
        # Several shapes or factors may give the same layers; the network is what counts.
        shapes = {"shape", "filter_growth"}
        assert {k: v for k, v in params.items() if k not in shapes} == pytest.approx(
            {k: v for k, v in suggester.params.items() if k not in shapes}
        )


def test_a_network_outside_a_space_has_no_parameters_there() -> None:
    space = SearchSpace({"depth": [1, 2], "width": [16, 32], "epochs": 5})
    inside = given_spec(space, {"depth": 2, "width": 16}, PROBLEM)
    assert params_of(space, inside) == {"depth": 2, "width": 16}
    for outside in ({"depth": 3}, {"width": 17}, {"epochs": 6}, {"activation": "tanh"}):
        assert params_of(space, changed_spec(inside, outside)) is None


# Convolutions


def cnn(**values: Any) -> TrialSpec:
    return given_spec(SearchSpace({}, network="cnn"), values, PROBLEM)


def test_given_layers_stand_for_the_words_of_a_space_and_the_other_way_round() -> None:
    regular = SearchSpace({"blocks": 3, "filters": 4, "epochs": 2}, network="cnn")
    assert str(given_spec(regular, {}, PROBLEM).architecture).startswith("4c3-mp2-8c3-mp2-16c3-")
    spec = given_spec(regular, {"layers": "5c3-gap"}, PROBLEM)
    assert spec.architecture.convolutions == ("5c3", "gap") and spec.training.epochs == 2
    whole = SearchSpace({"layers": "5c3-gap", "epochs": 2}, network="cnn")
    spec = given_spec(whole, {"blocks": 1, "filters": 6}, PROBLEM)
    assert spec.architecture.convolutions == ("6c3", "mp2") and spec.training.epochs == 2


def test_a_changed_structure_keeps_the_rest_of_it() -> None:
    spec = cnn(blocks=2, convolutions=2, filters=5, pooling="stride", head="average", head_depth=2)
    assert changed_spec(spec, {"blocks": 3}) == cnn(
        blocks=3, convolutions=2, filters=5, pooling="stride", head="average", head_depth=2
    )
    wider = changed_spec(spec, {"head_width": 7, "shift": 0.1})
    assert wider.architecture.units == (7, 7) and wider.training.shift == 0.1
    assert wider.architecture.convolutions == spec.architecture.convolutions
    given = changed_spec(spec, {"layers": "3c3-fc4"})
    assert (given.architecture.convolutions, given.architecture.units) == (("3c3",), (4,))


@pytest.mark.parametrize(
    ("spec", "values", "words"),
    [
        (
            cnn(layers="4c3-mp2-5c5-fc3"),
            {"filters": 8},
            ["filters", "no regular blocks", "layers="],
        ),
        (cnn(layers="mp2-fc3"), {"blocks": 2}, ["blocks", "no regular blocks"]),
        (cnn(layers="4r3s2-fc3"), {"blocks": 2}, ["blocks", "no regular blocks"]),
        (cnn(), {"depth": 3}, ["depth is not a parameter of network cnn", "Set 'blocks' and"]),
        (cnn(blocks=20, filter_growth=1.0), {"filter_growth": 2.0}, ["filters grow to 1.68e+07"]),
        (cnn(), {"layers": "4c3", "blocks": 1}, ["got layers and blocks", "one of the two"]),
        (cnn(), {"loss": "absolute"}, ["loss: got absolute for a multiclass task", "logistic"]),
    ],
)
def test_changes_that_cannot_be(spec: TrialSpec, values: Any, words: list[str]) -> None:
    with pytest.raises(NasError) as error:
        changed_spec(spec, values)
    assert all(word in error.value.on_command_line for word in ["--set", *words]), error.value


def test_a_changed_network_is_normalized_by_design() -> None:
    def normalization(before: str, **values: Any) -> str:
        spec = cnn(layers="4c3-fc4", normalization=before)
        return changed_spec(spec, values).architecture.normalization

    assert normalization("none", layers="resnet18/32") == "batch"
    assert normalization("none", layers="vgg11/32") == "none"
    assert normalization("none", layers="resnet18/32", normalization="none") == "none"
    assert normalization("layer", layers="resnet18/32") == "layer"  # as it was
    assert normalization("none", l2=0.1) == "none"


@pytest.mark.parametrize(
    ("values", "reasons"),
    [
        ({"momentum": 0.9, "optimizer": "adam"}, ["momentum", "optimizer sgd or rmsprop"]),
        ({"momentum": 0.9, "optimizer": "sgd"}, None),
        ({"momentum": 0.9}, ["momentum", "optimizer sgd or rmsprop"]),
        (
            {"decay_to": 0.1},
            ["decay_to", "schedule cosine or flat_cosine or cos_log or exponential"],
        ),
        ({"normalization_momentum": 0.9}, ["normalization_momentum", "normalization batch"]),
        ({"normalization_momentum": 0.9, "layers": "resnet18/32"}, None),
        ({"filter_growth": 3.0, "blocks": 1}, ["filter_growth", "blocks 2 or more"]),
        ({"filter_growth": 3.0, "blocks": 2}, None),
        ({"residual": True, "activation": "tanh", "layers": "4c3-gap"}, None),
    ],
)
def test_values_without_effect_are_found(values: Any, reasons: Any) -> None:
    spec = given_spec(SearchSpace({}, network="cnn"), values, PROBLEM)
    found = without_effect(values, spec)
    expected = {reasons[0]: f"{reasons[0]} has a meaning with {reasons[1]} only"} if reasons else {}
    assert found == expected
    assert without_effect(values, changed_spec(cnn(), values)) == expected


def test_values_without_effect_in_dense_networks() -> None:
    values = {"depth": 1, "shape": "funnel", "activation": "tanh", "label_smoothing": 0.1}
    problem = Problem("regression", 4, 1)
    spec = given_spec(SearchSpace({}), values, problem)
    assert without_effect(values, spec) == {
        "shape": "shape has a meaning with depth 2 or more only",
        "label_smoothing": "label_smoothing has a meaning with task binary or multiclass only",
    }
    linear = given_spec(SearchSpace({}), {**values, "depth": 0}, problem)
    assert "activation" in without_effect(values, linear)


def test_a_dense_network_gets_no_convolutions() -> None:
    spec = given_spec(SearchSpace({}), {}, PROBLEM)
    assert changed_spec(spec, {"layers": "fc5-fc4"}).architecture.units == (5, 4)
    for values in ({"layers": "4c3-fc4"}, {"blocks": 2}):
        with pytest.raises(NasError, match="network mlp"):
            changed_spec(spec, values)
        with pytest.raises(NasError, match="network mlp"):
            given_spec(SearchSpace({}), values, PROBLEM)


# With a factor of 1.5, within the bounds of its filters, 22.5 would be rounded to even.
EVEN = {"blocks": 2, "convolutions": 1, "kernel": 1, "pooling": "max", "head": "flatten",
        "head_depth": 0, "head_width": 1}  # fmt: skip


@example({**EVEN, "filters": 15, "filter_growth": 1.5625})
@given(
    st.fixed_dictionaries(
        {
            "blocks": st.integers(1, 6),
            "convolutions": st.integers(1, 4),
            "filters": st.integers(1, 70),
            "filter_growth": st.floats(0.1, 4.0),
            "kernel": st.integers(1, 7),
            "pooling": st.sampled_from(["max", "average", "stride"]),
            "head": st.sampled_from(["flatten", "average", "max"]),
            "head_depth": st.integers(0, 3),
            "head_width": st.integers(1, 100),
        }
    )
)
def test_the_structure_of_regular_blocks_is_found(words: dict[str, Any]) -> None:
    spec = cnn(**words)
    found = structure_of(spec.architecture)
    assert found is not None
    assert cnn(**found) == spec
    unsure = {"filter_growth"} | ({"head_width"} if not words["head_depth"] else set())
    assert {k: v for k, v in found.items() if k not in unsure} == {
        k: v for k, v in words.items() if k not in unsure
    }


@pytest.mark.parametrize("growth", [1.0, 1.25, 1.5, 2.0, 3.0])
def test_a_factor_is_the_one_with_the_fewest_digits(growth: float) -> None:
    found = structure_of(cnn(blocks=4, filters=12, filter_growth=growth).architecture)
    assert found is not None and found["filter_growth"] == growth


@pytest.mark.parametrize("network", ["4c3-mp2-5c5-fc3", "resnet18/16", "4c3-mp2-8c3-mp2-fc3-fc4"])
def test_irregular_networks_have_no_structure(network: str) -> None:
    spec = cnn(layers=network)
    assert structure_of(spec.architecture) is None
    for domains in ({"convolutions": [1, 2]}, {"blocks": [1, 2]}, {"kernel": [3, 5]}):
        assert params_of(SearchSpace(domains, network="cnn"), spec) is None


def test_parameters_of_whole_networks() -> None:
    space = SearchSpace({"layers": ["4c3-mp2-fc8", "vgg11/16"], "epochs": [2, 3]}, network="cnn")
    spec = given_spec(space, {"layers": "vgg11/16", "epochs": 3}, PROBLEM)
    assert params_of(space, spec) == {"layers": "vgg11/16", "epochs": 3}
    assert params_of(space, changed_spec(spec, {"layers": "4c3-fc8"})) is None
