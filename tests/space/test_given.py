"""Given networks: values from texts, specifications from values, and parameters of a space."""

import pytest

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
)
from nas.spec import Problem

PROBLEM = Problem("multiclass", 64, 10)


def test_settings_have_the_type_of_their_word() -> None:
    texts = ["depth=4", "learning_rate=1e-3", "activation=sigmoid", "residual=true", "l2=1"]
    assert parse_settings(texts) == {
        "depth": 4,
        "learning_rate": 0.001,
        "activation": "sigmoid",
        "residual": True,
        "l2": 1,
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
    ],
)
def test_wrong_settings_are_told(text: str, words: list[str]) -> None:
    with pytest.raises(NasError) as error:
        parse_settings([text])
    assert all(word in str(error.value) for word in ["--set", *words]), error.value


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


@pytest.mark.parametrize("name", shipped_spaces())
def test_parameters_of_a_drawn_network_are_those_it_was_drawn_with(name: str) -> None:
    space = load_space(name)
    for seed in range(20):
        suggester = RandomSuggester(seed)
        spec = space.sample(suggester, PROBLEM)
        params = params_of(space, spec)
        assert params is not None
        # Several shapes may give the same layers; the network is what counts.
        shapes = {"shape"}
        assert {k: v for k, v in params.items() if k not in shapes} == pytest.approx(
            {k: v for k, v in suggester.params.items() if k not in shapes}
        )


def test_a_network_outside_a_space_has_no_parameters_there() -> None:
    space = SearchSpace({"depth": [1, 2], "width": [16, 32], "epochs": 5})
    inside = given_spec(space, {"depth": 2, "width": 16}, PROBLEM)
    assert params_of(space, inside) == {"depth": 2, "width": 16}
    for outside in ({"depth": 3}, {"width": 17}, {"epochs": 6}, {"activation": "tanh"}):
        assert params_of(space, changed_spec(inside, outside)) is None
