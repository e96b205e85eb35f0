"""A space of what a function builds: drawn, refused, stored."""

import json
from functools import partial
from typing import Any

import keras
import optuna
import pytest
from functions import IRIS, build_model, plain_model, subclassed
from keras import layers

from nas.architectures import CustomArchitecture
from nas.errors import NasError
from nas.families.custom import custom_space, function_text
from nas.space import (
    RandomSuggester,
    Range,
    Replay,
    changed_spec,
    dump_space,
    given_spec,
    params_of,
    parse_space,
)
from nas.spec import Problem, TrialSpec


def custom(spec: TrialSpec) -> CustomArchitecture:
    assert isinstance(spec.architecture, CustomArchitecture)
    return spec.architecture


def test_a_trial_knows_its_layers_weights_and_what_it_came_with() -> None:
    space = custom_space(build_model, {"epochs": 3, "batch_size": [16, 32]})
    assert (space.name, space.network, space.max_epochs) == ("build_model", "custom", 3)
    params = {"layers": 2, "width_0": 8, "width_1": 4, "activation": "relu", "rate": 0.01}
    spec = space.sample(Replay({**params, "batch_size": 16}), IRIS)
    model = build_model(optuna.trial.FixedTrial(params))
    assert spec.n_weights == model.count_params()
    assert custom(spec).params == params
    assert [(layer.name, layer.kernel, layer.activation) for layer in spec.layers] == [
        ("dense_1", (4, 8), "relu"),
        ("dense_2", (8, 4), "relu"),
        ("output", (4, 3), "softmax"),
    ]
    assert custom(spec).batch_normalized
    assert spec.describe() == "build_model 8-4, Adam 0.01"
    assert custom(spec).loss == "sparse_categorical_crossentropy"
    assert (spec.training.epochs, spec.training.batch_size) == (3, 16)
    again = TrialSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec and hash(again) == hash(spec)
    assert space.sample(Replay({**params, "batch_size": 16}), IRIS) == spec
    with pytest.raises(NasError, match="custom network: its layers are built by a function"):
        _ = spec.in_words


def test_words_of_training_are_drawn_for_a_model_that_is_not_compiled() -> None:
    space = custom_space(plain_model, {"learning_rate": Range(0.001, 0.1, log=True), "epochs": 2})
    space.check_problem(IRIS)
    spec = space.sample(Replay({"units": 16, "learning_rate": 0.05}), IRIS)
    assert spec.describe() == "plain_model 1 x 16, adam 0.05"
    assert space.is_continuous
    found = params_of(space, spec)
    assert found == {"units": 16, "learning_rate": 0.05}
    changed = changed_spec(spec, {"learning_rate": 0.01, "epochs": 5})
    assert (changed.training.learning_rate, changed.training.epochs) == (0.01, 5)
    assert changed.architecture == spec.architecture
    with pytest.raises(NasError, match="depth is not a parameter of network custom"):
        changed_spec(spec, {"depth": 3})


def test_layers_of_nested_and_subclassed_models_are_found() -> None:
    spec = custom_space(subclassed).sample(Replay({"units": 6}), IRIS)
    assert [(layer.name, layer.activation) for layer in spec.layers] == [
        ("dense_1", "relu"),
        ("dense_2", "relu"),
        ("output", "linear"),
    ]
    assert spec.n_weights == (4 * 6 + 6) + (6 * 6 + 6) + (6 * 3 + 3)


def test_convolutions_of_images_are_found() -> None:
    def build(trial: Any) -> keras.Model:
        return keras.Sequential(
            [
                layers.Conv2D(4, 3, 2, padding="same", use_bias=False),
                layers.ReLU(),
                layers.Flatten(),
                layers.Dense(10, "softmax"),
            ]
        )

    spec = custom_space(build).sample(RandomSuggester(0), Problem("multiclass", 64, 10, (8, 8, 1)))
    first, last = spec.layers
    assert (first.kind, first.output_shape, first.window, first.stride, first.activation) == (
        "convolution", (4, 4, 4), 3, 2, "relu",
    )  # fmt: skip
    assert [spec.architecture.weights_of(layer) for layer in (first, last)] == [36, 650]
    assert spec.n_weights == 686 and spec.has_maps
    assert str(spec.architecture) == "build 4c3"


def test_the_function_is_called_once_for_the_same_values() -> None:
    calls = []

    def counting(trial: Any) -> keras.Model:
        calls.append(trial)
        if trial.suggest_categorical("deep", [True, False]):
            trial.suggest_int("width", 1, 2)
        return keras.Sequential([keras.Input((4,)), layers.Dense(3)])

    space = custom_space(counting)
    specs = [space.sample(RandomSuggester(seed), IRIS) for seed in range(20)]
    assert len(calls) == len(set(specs)) == 3
    assert list(space.grid("multiclass")) == [
        {"deep": True, "width": 1},
        {"deep": True, "width": 2},
        {"deep": False},
    ]
    assert len(calls) == 3
    assert not space.is_continuous


def test_drawing_leaves_the_generators_of_the_caller_alone() -> None:
    import random

    import numpy as np

    random.seed(1)
    np.random.seed(1)
    expected = (random.random(), np.random.random())
    random.seed(1)
    np.random.seed(1)
    custom_space(plain_model).sample(RandomSuggester(0), IRIS)
    assert (random.random(), np.random.random()) == expected


def test_a_function_that_fails_gives_a_trial_without_layers() -> None:
    def failing(trial: Any) -> keras.Model:
        trial.suggest_int("a", 1, 3)
        raise RuntimeError("no such layer")

    space = custom_space(failing)
    space.check_problem(IRIS)
    spec = space.sample(Replay({"a": 2}), IRIS)
    assert custom(spec).params == {"a": 2} and spec.layers == () and spec.n_weights == 0
    assert spec.describe() == "failing, adam 0.001"


def net(*more: Any, shape: tuple[int, ...] = (4,)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *more])


def two_inputs(_: Any) -> keras.Model:
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], layers.Dense(3)(layers.Add()([a, b])))


def two_outputs(_: Any) -> keras.Model:
    a = keras.Input((4,))
    return keras.Model(a, [layers.Dense(3)(a), layers.Dense(3)(a)])


def unlogical(_: Any) -> keras.Model:
    model = net(layers.Dense(3))
    model.compile("adam", "categorical_crossentropy")
    return model


class OwnStep(keras.Model):
    def train_step(self, data: Any) -> Any:
        return {}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda t: None, "returned NoneType; expected a keras.Model. Does it lack a return"),
        (two_inputs, "returned a model with 2 inputs; expected one input"),
        (two_outputs, "returned a model with 2 outputs; expected one output"),
        (lambda t: net(layers.Dense(4)), r"outputs of shape \(4,\); expected \(3,\)"),
        (lambda t: net(layers.Dense(3), shape=(5,)), r"rows of shape \(5,\); expected \(4,\)"),
        (unlogical, "ends without an activation, and its loss categorical_crossentropy"),
        (lambda t: OwnStep(), "its own train_step"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_trained_is_refused(build: Any, message: str) -> None:
    with pytest.raises(NasError, match=message):
        custom_space(build).check_problem(IRIS)


def test_words_that_do_nothing_are_refused() -> None:
    with pytest.raises(NasError, match="training: got learning_rate, but build_model returns"):
        custom_space(build_model, {"learning_rate": 0.1}).check_problem(IRIS)
    with pytest.raises(NasError, match=r"width: not a word of training.*suggest it"):
        custom_space(build_model, {"width": 3})
    with pytest.raises(NasError, match=r"epoch: unknown parameter.*Did you mean 'epochs'"):
        custom_space(build_model, {"epoch": 3})
    with pytest.raises(NasError, match="space: got int; expected a function"):
        custom_space(3)  # type: ignore[arg-type]


def test_a_study_keeps_the_text_of_the_function() -> None:
    space = custom_space(build_model, {"epochs": 3})
    stored = parse_space(dump_space(space), is_stored=True)
    assert stored.function == function_text(build_model)
    assert "suggest_categorical" in stored.function
    assert stored.parameters == space.parameters
    assert stored != parse_space(dump_space(custom_space(subclassed)), is_stored=True)
    with pytest.raises(NasError, match="function that is not at hand"):
        stored.sample(RandomSuggester(0), IRIS)
    spec = space.sample(RandomSuggester(0), IRIS)
    assert params_of(stored, spec) is None
    with pytest.raises(NasError, match="networks a function builds"):
        given_spec(stored, {"epochs": 1}, IRIS)
    with pytest.raises(NasError, match=r"network: got 'custom'.*give the function"):
        parse_space("network: custom")
    with pytest.raises(NasError, match="function"):
        parse_space("network: mlp\nfunction: x")


def test_functions_of_every_kind_have_a_text() -> None:
    assert function_text(partial(plain_model, size=3, rows=object())).endswith("# with {'size': 3}")
    scope: dict[str, Any] = {"__name__": "there"}
    exec("def made(trial): ...", scope)
    assert function_text(scope["made"]) == "there:made"
