"""Settings from outside a space: read, fitted to a space, and shared with another one."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from nas.errors import NasError
from nas.families.custom import custom_space
from nas.space import Range, SearchSpace, fitting_settings, parameter, parse_enqueued
from nas.space.settings import OutsideError, is_near, shared_settings
from nas.spec import Problem

PROBLEM = Problem("multiclass", 4, 3, n_numbers=4)
SPACE = SearchSpace(
    {
        "depth": Range(1, 5),
        "width": [16, 32, 64],
        "learning_rate": Range(1e-4, 1e-1, log=True),
        "dropout": Range(0.0, 0.5, step=0.1),
        "optimizer": ["adam", "sgd"],
        "momentum": Range(0.0, 0.99),
        "batch_size": [32, "full"],
        "initializer": ["uniform(0, 0.01)", "he_normal"],
        "epochs": 9,
    }
)
PER_LAYER = SearchSpace(
    {"depth": Range(1, 3), "width": parameter(Range(8, 64, log=True), per_layer=True)}
)


def test_a_text_is_one_setting() -> None:
    text = "depth=2, learning_rate=1e-3,batch_size=full,initializer=uniform(0, 0.01)"
    (one,) = parse_enqueued(text)
    assert one == {
        "depth": 2,
        "learning_rate": 0.001,
        "batch_size": 0,
        "initializer": "uniform(0, 0.01)",
    }
    assert fitting_settings(SPACE, [one], PROBLEM) == (one,)
    # Names of a function's own, whose types nobody knows yet.
    assert parse_enqueued("units=8,skip=true,kind=a") == [{"units": 8, "skip": True, "kind": "a"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.yaml", "- {depth: 2, learning_rate: 1e-3}\n- batch_size: full\n  units: 1e-5\n"),
        (
            "own.json",
            '[{"depth": 2, "learning_rate": 1e-3},\n {"batch_size": "full", "units": 1e-05}]',
        ),
    ],
)
def test_a_file_holds_a_list_of_settings(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    settings = parse_enqueued(str(path))
    assert settings == [
        {"depth": 2, "learning_rate": 0.001},
        {"batch_size": "full", "units": 1e-5},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth", "got 'depth'; expected values such as depth=2,width=128, or a YAML file"),
        ("depth=2,width", "not among its values; expected a whole number from 1 to 5"),
        ("depth=2,depth=3", "got 'depth' twice"),
        ("no.yaml", "no.yaml: no such file; expected a list of mappings"),
    ],
)
def test_texts_that_are_no_settings(text: str, message: str) -> None:
    with pytest.raises(NasError, match=message):
        fitting_settings(SPACE, parse_enqueued(text), PROBLEM)


@pytest.mark.parametrize(
    "text", ["", "depth: 2", "[3]", "[{depth: 2, depth: 3}]", "[{depth: [1]}]"]
)
def test_files_that_hold_no_settings_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NasError) as error:
        parse_enqueued(str(path))
    assert error.value.where == str(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([{"depth": 2}, {"dept": 3}], "setting 2 has dept: 3, which is not searched; expected one "
         "of depth, width, .* Did you mean 'depth'"),
        ([{"epochs": 9}], "setting 1 has epochs: 9, which is not searched"),
        ([{"depth": 6}], "depth: 6, which is not among its values; expected a whole number from 1 "
         "to 5"),
        ([{"depth": 2.5}], "depth: 2.5, which is not among its values"),
        ([{"depth": True}], "depth: True, which is not among its values"),
        ([{"width": 48}], "width: 48, which is not among its values; expected one of 16, 32, 64"),
        ([{"batch_size": 64}], "expected one of 32, full"),
        ([{"dropout": 0.25}], "expected a number from 0 to 0.5 in steps of 0.1"),
        ([{"learning_rate": float("nan")}], "learning_rate: nan"),
        ([{"optimizer": "nadam"}], "optimizer: 'nadam', which is not among its values"),
        ([{"optimizer": "adam", "momentum": 0.5}], "momentum: 0.5, which has no meaning beside its "
         "other values. Remove 'momentum'"),
        ([{"depth": [1, 2]}], r"depth: \[1, 2\]; expected a single value"),
        ([{}], "setting 1 is {}; expected a mapping such as"),
        (["depth=2"], "setting 1 is 'depth=2'; expected a mapping such as"),
        ({"depth": 2}, "got {'depth': 2}; expected a list of mappings"),
        ("depth=2", "got 'depth=2'; expected a list of mappings"),
        (3, "got 3; expected a list of mappings"),
    ],
)  # fmt: skip
def test_settings_that_no_trial_can_have(settings: Any, message: str) -> None:
    with pytest.raises(NasError, match=f"^enqueue: .*{message}"):
        fitting_settings(SPACE, settings, PROBLEM)


def test_settings_become_plain_values() -> None:
    import numpy as np

    given = [{"depth": 2.0, "batch_size": "full"}, {"width": np.int64(32), "momentum": 0.5}]
    settings = fitting_settings(SPACE, given, PROBLEM)
    assert settings == ({"depth": 2, "batch_size": 0}, {"width": 32, "momentum": 0.5})
    assert type(settings[0]["depth"]) is int and type(settings[1]["width"]) is int


def test_each_layer_may_have_its_width() -> None:
    settings = {"depth": 2, "width_1": 8, "width_2": 64}
    assert fitting_settings(PER_LAYER, [settings], PROBLEM) == (settings,)
    for wrong, message in (
        ({"depth": 2, "width_3": 8}, "width_3: 8, which has no meaning"),
        ({"width_1": 65}, "expected a whole number from 8 to 64"),
        ({"width": 8}, "width: 8, which is not searched; expected one of depth, width_1"),
    ):
        with pytest.raises(NasError, match=message):
            fitting_settings(PER_LAYER, [wrong], PROBLEM)
    with pytest.raises(NasError, match="width_1: 16, which is not searched"):
        fitting_settings(SPACE, [{"width_1": 16}], PROBLEM)


def build(trial: optuna.Trial) -> Any:
    import keras

    hidden = [keras.layers.Dense(trial.suggest_int("units", 2, 8, step=2), "relu")]
    if trial.suggest_categorical("kind", ["plain", "dropped"]) == "dropped":
        hidden.append(keras.layers.Dropout(trial.suggest_float("rate", 0.0, 0.5)))
    return keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(3)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": 4, "kind": "dropped", "rate": 0.25, "learning_rate": 0.01}, ""),
        ({"rate": 0.25}, ""),
        ({"units": 3}, "units: 3, which is not among its values; expected a whole number from 2 "
         "to 8 in steps of 2"),
        ({"kind": "other"}, "kind: 'other', which is not among its values; expected one of plain"),
        ({"unit": 4}, "unit: 4, which the function does not suggest; expected one of .*'units'"),
        ({"kind": "plain", "rate": 0.1}, "rate: 0.1, which the function does not suggest"),
        ({"learning_rate": 1.0}, "learning_rate: 1.0, which is not among its values"),
    ],
)  # fmt: skip
def test_a_function_says_itself_what_it_suggests(settings: dict[str, Any], message: str) -> None:
    space = custom_space(build, {"learning_rate": Range(1e-3, 1e-1, log=True)})
    if not message:
        assert fitting_settings(space, [settings], PROBLEM) == (settings,)
        return
    with pytest.raises(NasError, match=message):
        fitting_settings(space, [settings], PROBLEM)


def test_a_space_shares_what_it_searches_itself() -> None:
    known = {"depth": 2, "epochs": 5, "l2": 0.1, "optimizer": "adam", "momentum": 7.0}
    # The momentum has no meaning with Adam, so it is no matter that it lies outside.
    assert shared_settings(SPACE, known, PROBLEM) == {"depth": 2, "optimizer": "adam"}
    with pytest.raises(OutsideError, match=r"momentum: 7\.0"):
        shared_settings(SPACE, {**known, "optimizer": "sgd"}, PROBLEM)
    assert shared_settings(SPACE, {"l2": 0.1}, PROBLEM) == {}


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ({"learning_rate": 1e-3}, {"learning_rate": 1.9e-3}, True),  # 10 ** 0.3 is a tenth
        ({"learning_rate": 1e-3}, {"learning_rate": 2.1e-3}, False),
        ({"depth": 2}, {"depth": 3}, False),
        ({"width": 16}, {"width": 32}, False),
        ({"depth": 2, "width": 16}, {"depth": 2, "width": 16}, True),
        ({"depth": 2}, {"width": 16}, False),
    ],
)
def test_alike_is_less_than_a_tenth_of_the_range(one: dict, other: dict, near: bool) -> None:
    assert is_near(SPACE, one, other) is near
