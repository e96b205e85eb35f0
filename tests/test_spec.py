"""Trial specifications: a way to JSON and back, their size, their description."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.space import RandomSuggester, load_space, shipped_spaces
from nas.spec import Architecture, Problem, Training, TrialSpec, parse_initializer


def make(n_inputs=4, n_outputs=3, **changes):
    spec = TrialSpec(
        Problem("multiclass", n_inputs, n_outputs),
        Architecture("mlp", (8, 6), "relu", "none", False, 0.0, "glorot_uniform"),
        Training(
            optimizer="adam",
            learning_rate=0.001,
            schedule="constant",
            warmup=0.0,
            decay_to=0.01,
            momentum=0.0,
            nesterov=False,
            beta_1=0.9,
            beta_2=0.999,
            rho=0.9,
            epsilon=1e-7,
            initial_accumulator=0.1,
            weight_decay=0.0,
            l1=0.0,
            l2=0.0,
            label_smoothing=0.0,
            clip_norm=0.0,
            batch_size=32,
            epochs=20,
            early_stopping=0,
        ),
    )
    inner = {key: value for key, value in changes.items() if key in Architecture.__slots__}
    outer = {key: value for key, value in changes.items() if key not in inner}
    return replace(
        spec,
        architecture=replace(spec.architecture, **inner),
        training=replace(spec.training, **outer),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(shipped_spaces())),
    st.sampled_from(["binary", "multiclass", "regression"]),
    st.integers(1, 1000),
    st.integers(0, 2**32),
)
def test_a_spec_survives_json(name, task, n_inputs, seed):
    problem = Problem(task, 2 * n_inputs, 3, (1, n_inputs, 2))
    spec = load_space(name).sample(RandomSuggester(seed), problem)
    again = TrialSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert hash(again) == hash(spec)
    assert isinstance(again.architecture.units, tuple)
    assert isinstance(again.architecture.convolutions, tuple)


def test_a_spec_from_before_convolutions_is_read():
    data = make().to_dict()
    del data["problem"]["image_shape"]
    later = ("bias_initializer", "output_initializer", "convolutions", "spatial_dropout")
    for field in (*later, "normalization_momentum"):
        del data["architecture"][field]
    for field in ("steps", "loss", "shift", "rotation", "zoom", "flip"):
        del data["training"][field]
    assert TrialSpec.from_dict(data) == make()


def test_to_dict_is_plain():
    data = make().to_dict()
    assert set(data) == {"problem", "architecture", "training"}
    problem = {
        "task": "multiclass",
        "n_inputs": 4,
        "n_outputs": 3,
        "image_shape": (),
        "n_numbers": 0,
        "n_rows": 0,
        "quantiles": (),
    }
    assert data["problem"] == problem
    assert data["architecture"]["units"] == (8, 6)
    assert data["training"]["learning_rate"] == 0.001


@pytest.mark.parametrize("part", ["problem", "architecture", "training"])
def test_a_missing_part_is_an_error(part):
    data = make().to_dict()
    del data[part]
    with pytest.raises(KeyError, match=part):
        TrialSpec.from_dict(data)


@pytest.mark.parametrize(
    "part, field", [("problem", "task"), ("architecture", "dropout"), ("training", "epochs")]
)
def test_a_missing_field_is_an_error(part, field):
    data = make().to_dict()
    del data[part][field]
    with pytest.raises(TypeError, match=field):
        TrialSpec.from_dict(data)


@pytest.mark.parametrize("part", ["problem", "architecture", "training"])
def test_an_unknown_field_is_an_error(part):
    data = make().to_dict()
    data[part]["colour"] = "red"
    with pytest.raises(TypeError, match="colour"):
        TrialSpec.from_dict(data)


def test_from_dict_leaves_its_argument_alone():
    data = json.loads(json.dumps(make().to_dict()))
    before = json.dumps(data)
    TrialSpec.from_dict(data)
    assert json.dumps(data) == before


@pytest.mark.parametrize(
    "n_inputs, units, n_outputs, normalization, n_weights",
    [
        (4, (), 1, "none", 4 + 1),
        (4, (), 1, "batch", 4 + 1),
        (64, (), 10, "none", 640 + 10),
        (4, (8,), 1, "none", (32 + 8) + (8 + 1)),
        (4, (8, 6), 3, "none", (32 + 8) + (48 + 6) + (18 + 3)),
        # Scale and offset of each unit.
        (4, (8, 6), 3, "layer", (32 + 8 + 16) + (48 + 6 + 12) + (18 + 3)),
        # Moving mean and variance as well.
        (4, (8, 6), 3, "batch", (32 + 8 + 32) + (48 + 6 + 24) + (18 + 3)),
        (784, (128,), 10, "none", 101_770),
    ],
)
def test_number_of_weights(n_inputs, units, n_outputs, normalization, n_weights):
    spec = make(n_inputs, n_outputs, units=units, normalization=normalization)
    assert spec.n_weights == n_weights


@pytest.mark.parametrize(
    "normalization, n_weights",
    [
        ("none", (72 + 8) + (288 + 4) + (24 * 5 + 5) + (15 + 3)),
        ("layer", (72 + 24) + (288 + 12) + (24 * 5 + 15) + (15 + 3)),
        ("batch", (72 + 40) + (288 + 20) + (24 * 5 + 25) + (15 + 3)),
    ],
)
def test_number_of_weights_with_convolutions(normalization, n_weights):
    spec = make(4, 3, units=(5,), convolutions=("8c3", "mp2", "4c3"), normalization=normalization)
    spec = replace(spec, problem=replace(spec.problem, n_inputs=15, image_shape=(3, 5, 1)))
    assert spec.layers[3].output_shape == (2 * 3 * 4,)  # 3 x 5 pixels, halved and rounded up
    assert spec.n_weights == n_weights


def test_hidden_layers_have_weights():
    spec = make(4, 3, units=(5,), convolutions=("8c3", "mp2", "4r3", "gap"))
    spec = replace(spec, problem=replace(spec.problem, image_shape=(2, 2, 1)))
    assert [layer.kind for layer in spec.hidden] == ["convolution"] * 3 + ["dense"]
    assert len(spec.layers) == 7


def test_what_has_no_weights_does_not_count():
    spec = make(residual=True, dropout=0.5, l2=0.1, optimizer="sgd", momentum=0.9)
    assert spec.n_weights == make().n_weights


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"units": (64, 64, 64)}, "3 x 64 relu, adam 0.001"),
        ({"units": (64,)}, "1 x 64 relu, adam 0.001"),
        ({"units": (64, 32, 16), "activation": "tanh"}, "64-32-16 tanh, adam 0.001"),
        ({"units": (), "optimizer": "sgd", "learning_rate": 0.0123}, "linear, sgd 0.012"),
        ({"units": (8, 8), "learning_rate": 1e-5}, "2 x 8 relu, adam 1e-05"),
        ({"units": (8,), "convolutions": ("4c3", "mp2")}, "4c3-mp2-fc8 relu, adam 0.001"),
        ({"units": (), "convolutions": ("4r3s2", "gap")}, "4r3s2-gap relu, adam 0.001"),
        (
            {"units": (8,), "convolutions": ("4c3", "mp2") * 6},
            "4c3-mp2-4c3-mp2-4c3-mp2-...-4c3-mp2-4c3-mp2-fc8 relu, adam 0.001",
        ),
        (
            {
                "units": (),
                "convolutions": (
                    "8c3",
                    "8r3",
                    "8r3",
                    "16r3s2",
                    "16r3",
                    "32r3s2",
                    "32r3",
                    "64r3s2",
                    "64r3",
                    "gap",
                ),
            },
            "resnet18/8 relu, adam 0.001",
        ),
    ],
)
def test_description(changes, text):
    assert make(**changes).describe() == text


# Initializers with numbers


@pytest.mark.parametrize(
    "text, expected",
    [
        ("he_normal", ("he_normal", ())),
        ("normal(1)", ("normal", (1.0,))),
        ("normal(1e-3)", ("normal", (0.001,))),
        ("uniform(0, 0.01)", ("uniform", (0.0, 0.01))),
        ("uniform(-1,-0.5)", ("uniform", (-1.0, -0.5))),
        ("constant(-3.5)", ("constant", (-3.5,))),
    ],
)
def test_initializers_are_read(text, expected):
    assert parse_initializer(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "normal",
        "normal()",
        "normal(a)",
        "normal(1, 2)",
        "normal(-1)",
        "normal(1",
        "normal(1))",
        "normal(inf)",
        "constant(nan)",
        "uniform(1)",
        "uniform(1, 0)",
        "uniform(0, 1) ",
        "he_normal(2)",
    ],
)
def test_initializers_that_cannot_be_read(text):
    with pytest.raises(ValueError):
        parse_initializer(text)


# Steps and epochs


@pytest.mark.parametrize(
    "changes, n_rows, per_step, per_epoch, n_steps, n_epochs",
    [
        ({"batch_size": 32, "epochs": 3}, 100, 32, 4, 12, 3),
        ({"batch_size": 0, "epochs": 3}, 100, 100, 1, 3, 3),
        ({"batch_size": 500, "epochs": 3}, 100, 100, 1, 3, 3),
        ({"batch_size": 32, "epochs": 3, "steps": 6}, 100, 32, 4, 6, 2),
        ({"batch_size": 32, "epochs": 3, "steps": 8}, 100, 32, 4, 8, 2),
        ({"batch_size": 32, "epochs": 3, "steps": 2}, 100, 32, 4, 2, 1),
        ({"batch_size": 32, "epochs": 3, "steps": 500}, 100, 32, 4, 12, 3),
        ({"batch_size": 0, "epochs": 9, "steps": 5}, 100, 100, 1, 5, 5),
        ({"batch_size": 32, "epochs": 3}, 0, 1, 0, 0, 0),
    ],
)
def test_steps_of_a_training(changes, n_rows, per_step, per_epoch, n_steps, n_epochs):
    training = make(**changes).training
    assert training.rows_per_step(n_rows) == per_step
    assert training.steps_per_epoch(n_rows) == per_epoch
    assert training.n_steps(n_rows) == n_steps
    assert training.n_epochs(n_rows) == n_epochs


@pytest.mark.parametrize(
    "task, loss, resolved",
    [
        ("binary", "auto", "cross_entropy"),
        ("binary", "logistic", "cross_entropy"),  # one output, where the two are the same
        ("multiclass", "auto", "cross_entropy"),
        ("multiclass", "logistic", "logistic"),
        ("regression", "auto", "squared"),
        ("regression", "huber", "huber"),
    ],
)
def test_loss_of_a_task(task, loss, resolved):
    spec = make(loss=loss)
    assert replace(spec, problem=replace(spec.problem, task=task)).loss == resolved
