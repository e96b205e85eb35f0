"""Optimizers, losses and learning rates of a specification."""

from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import expit

from nas.models.steps import encode_labels, learning_rates
from nas.models.training import make_loss, make_optimizer
from nas.space.vocabulary import OPTIMIZERS, WORDS
from nas.spec import Problem, Training

SCHEDULES = keras.optimizers.schedules
BINARY = Problem("binary", 3, 1)
THREE = Problem("multiclass", 3, 3)
REGRESSION = Problem("regression", 3, 1)


def make_training(**changes: Any) -> Training:
    values = {name: WORDS[name].default for name in Training.__dataclass_fields__}
    return Training(**(values | changes))


def all_rates(training: Training, steps: int) -> np.ndarray:
    return np.concatenate([learning_rates(training, steps, e) for e in range(training.epochs)])


def keras_rates(schedule: Any, steps: int) -> np.ndarray:
    return np.array([float(schedule(step)) for step in range(steps)])


# Learning rates


@pytest.mark.parametrize("decay_to", [0.001, 0.3, 1.0])
def test_cosine_is_that_of_keras(decay_to: float) -> None:
    training = make_training(schedule="cosine", learning_rate=0.2, decay_to=decay_to, epochs=6)
    expected = keras_rates(SCHEDULES.CosineDecay(0.2, 42, alpha=decay_to), 42)
    np.testing.assert_allclose(all_rates(training, 7), expected, rtol=1e-4)


def test_cosine_with_warmup_is_that_of_keras() -> None:
    training = make_training(
        schedule="cosine", learning_rate=0.2, decay_to=0.1, warmup=1 / 3, epochs=6
    )
    schedule = SCHEDULES.CosineDecay(0.0, 28, alpha=0.1, warmup_target=0.2, warmup_steps=14)
    np.testing.assert_allclose(all_rates(training, 7), keras_rates(schedule, 42), rtol=1e-4)


def test_exponential_is_that_of_keras() -> None:
    training = make_training(schedule="exponential", learning_rate=0.2, decay_to=0.01, epochs=6)
    expected = keras_rates(SCHEDULES.ExponentialDecay(0.2, 42, 0.01), 42)
    np.testing.assert_allclose(all_rates(training, 7), expected, rtol=1e-4)


def test_exponential_decays_after_its_warmup() -> None:
    training = make_training(
        schedule="exponential", learning_rate=0.2, decay_to=0.01, warmup=1 / 3, epochs=6
    )
    rates = all_rates(training, 7)
    np.testing.assert_allclose(rates[:14], 0.2 * np.arange(14) / 14, rtol=1e-4)
    expected = keras_rates(SCHEDULES.ExponentialDecay(0.2, 28, 0.01), 28)
    np.testing.assert_allclose(rates[14:], expected, rtol=1e-4)


def test_constant_stays() -> None:
    rates = all_rates(make_training(learning_rate=0.3, epochs=4), 5)
    np.testing.assert_allclose(rates, np.full(20, 0.3), rtol=1e-6)


@pytest.mark.parametrize("schedule", WORDS["schedule"].choices)
def test_warmup_rises_linearly_from_0_to_the_peak(schedule: str) -> None:
    training = make_training(schedule=schedule, learning_rate=0.5, warmup=0.4, epochs=5)
    rates = all_rates(training, 10)
    np.testing.assert_allclose(rates[:20], 0.5 * np.arange(20) / 20, rtol=1e-6)
    if schedule == "cos_log":  # begins, too, where it ends
        assert rates[20] == pytest.approx(0.5 * training.decay_to)
        return
    assert rates.max() == rates[20]
    assert (np.diff(rates[20:]) <= 0).all()


def test_flat_cosine_falls_in_the_second_half() -> None:
    training = make_training(schedule="flat_cosine", learning_rate=0.5, decay_to=0.0, epochs=4)
    rates = all_rates(training, 100)
    assert (rates[:200] == 0.5).all()
    assert (np.diff(rates[201:]) < 0).all()
    assert rates[300] == pytest.approx(0.25)
    assert (learning_rates(training, 100, 4) == 0.0).all()


def test_cos_log_rises_and_falls_four_times() -> None:
    training = make_training(schedule="cos_log", learning_rate=0.5, decay_to=0.0, epochs=10)
    rates = all_rates(training, 1000)
    turns = np.flatnonzero(np.diff(np.sign(np.diff(rates))))
    assert len(turns) == 7  # four tops and the three valleys between them
    np.testing.assert_allclose(rates[turns[::2]], 0.5, rtol=1e-4)
    np.testing.assert_allclose(rates[turns[1::2]], 0.0, atol=1e-4)
    assert learning_rates(training, 1000, 10).max() == pytest.approx(0.0, abs=1e-6)


def test_an_exponential_schedule_to_0_ends_near_it() -> None:
    training = make_training(schedule="exponential", learning_rate=0.5, decay_to=0.0, epochs=3)
    rates = all_rates(training, 1000)
    assert (np.diff(rates) < 0).all()
    assert rates[-1] == pytest.approx(0.5e-6, rel=0.02)


@pytest.mark.parametrize("schedule", ["cosine", "exponential"])
def test_schedule_ends_at_its_end_one_step_after_the_last(schedule: str) -> None:
    training = make_training(schedule=schedule, learning_rate=0.5, decay_to=0.1, epochs=3)
    last = all_rates(training, 1000)[-1]
    after = learning_rates(training, 1000, 3)  # past the last epoch it stays
    np.testing.assert_allclose(after, np.full(1000, 0.05), rtol=1e-5)
    assert 0.05 < last < 0.0501


def test_a_warmup_of_almost_everything_leaves_no_division_by_zero() -> None:
    for schedule in WORDS["schedule"].choices:
        training = make_training(schedule=schedule, learning_rate=0.5, warmup=0.99, epochs=1)
        np.testing.assert_allclose(learning_rates(training, 2, 0), [0.0, 0.25], rtol=1e-6)
        assert np.isfinite(learning_rates(training, 2, 1)).all()


def test_rates_are_one_for_each_step() -> None:
    rates = learning_rates(make_training(), 13, 2)
    assert rates.shape == (13,)
    assert rates.dtype == np.float32


def test_rates_end_with_the_budget_of_steps() -> None:
    whole = make_training(schedule="cosine", learning_rate=0.5, warmup=0.2, epochs=5)
    rates = all_rates(whole, 7)
    # Epochs are as many as they may be: the schedule is that of the steps.
    training = make_training(schedule="cosine", learning_rate=0.5, warmup=0.2, epochs=35, steps=35)
    np.testing.assert_array_equal(all_rates(training, 7), rates)
    training = make_training(epochs=9, steps=16)
    lengths = [len(learning_rates(training, 7, epoch)) for epoch in range(5)]
    assert lengths == [7, 7, 2, 0, 0]
    training = make_training(schedule="exponential", decay_to=0.1, epochs=2, steps=100)
    same = make_training(schedule="exponential", decay_to=0.1, epochs=2)
    np.testing.assert_array_equal(all_rates(training, 7), all_rates(same, 7))


# Labels and losses


def test_labels_of_several_classes_are_one_hot() -> None:
    labels = encode_labels(THREE, np.array([2, 0, 1, 2]), 0.0, 1.0)
    assert labels.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert labels.dtype == np.float32


def test_labels_of_two_classes_are_0_and_1() -> None:
    labels = encode_labels(BINARY, np.array([1, 0, 1]), 0.0, 1.0)
    assert labels.tolist() == [[1], [0], [1]]
    assert labels.dtype == np.float32


def test_regression_targets_are_standardized() -> None:
    y = np.array([10.0, 30.0, 20.0])
    labels = encode_labels(REGRESSION, y, 20.0, 5.0)
    assert labels.tolist() == [[-2.0], [2.0], [0.0]]
    assert labels.dtype == np.float32


def test_losses_by_hand() -> None:
    logits = np.array([[1.0, -0.5, 0.2], [0.0, 2.0, 1.0]], np.float32)
    labels = np.array([[0, 1, 0], [0, 1, 0]], np.float32)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    for smoothing in (0.0, 0.3):
        training = make_training(label_smoothing=smoothing)
        smooth = labels * (1 - smoothing) + smoothing / 3
        loss = make_loss(THREE, training)(labels, logits)
        assert float(loss) == pytest.approx(-(smooth * log_p).sum(axis=1).mean(), rel=1e-5)
        one = logits[:, :1]
        smooth = labels[:, 1:2] * (1 - smoothing) + smoothing / 2
        expected = np.log1p(np.exp(one)) - smooth * one
        loss = make_loss(BINARY, training)(labels[:, 1:2], one)
        assert float(loss) == pytest.approx(expected.mean(), rel=1e-5)
    loss = make_loss(REGRESSION, make_training())(labels[:, :1], logits[:, :1])
    assert float(loss) == pytest.approx(((labels[:, :1] - logits[:, :1]) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_logistic_losses_are_summed_over_the_outputs(smoothing: float) -> None:
    logits = np.array([[1.0, -0.5, 0.2], [0.0, 2.0, 90.0]])
    labels = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    smooth = labels * (1 - smoothing) + smoothing / 2  # of two classes each
    p = expit(logits)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = -smooth * np.log(p) - (1 - smooth) * np.where(p < 1, np.log1p(-p), -logits)
    expected = terms.sum(axis=1).mean()
    training = make_training(loss="logistic", label_smoothing=smoothing)
    loss = make_loss(THREE, training)(labels.astype(np.float32), logits.astype(np.float32))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_logistic_loss_of_one_output_is_cross_entropy() -> None:
    logits, labels = np.array([[1.0], [-0.5]]), np.array([[0.0], [1.0]])
    losses = [make_loss(BINARY, make_training(loss=loss))(labels, logits)
              for loss in ("auto", "cross_entropy", "logistic")]  # fmt: skip
    assert len({float(loss) for loss in losses}) == 1


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("auto", (0.25 + 9.0 + 1.0) / 3),
        ("squared", (0.25 + 9.0 + 1.0) / 3),
        ("absolute", (0.5 + 3.0 + 1.0) / 3),
        ("huber", (0.125 + 2.5 + 0.5) / 3),  # squared up to 1, then linear
    ],
)
def test_losses_of_a_regression_by_hand(loss: str, expected: float) -> None:
    y, outputs = np.zeros((3, 1)), np.array([[0.5], [-3.0], [1.0]])
    assert float(make_loss(REGRESSION, make_training(loss=loss))(y, outputs)) == pytest.approx(
        expected
    )


# Optimizers

NUMBERS = {
    "learning_rate": 0.0123,
    "momentum": 0.61,
    "nesterov": True,
    "beta_1": 0.81,
    "beta_2": 0.93,
    "rho": 0.77,
    "epsilon": 2e-4,
    "initial_accumulator": 0.037,
}
IN_KERAS = {"initial_accumulator": "initial_accumulator_value"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_carries_every_parameter(name: str) -> None:
    optimizer = make_optimizer(
        make_training(optimizer=name, weight_decay=0.011, clip_norm=2.5, **NUMBERS)
    )
    config = optimizer.get_config()
    assert type(optimizer).__name__.lower() == name
    assert config["weight_decay"] == 0.011
    assert config["global_clipnorm"] == 2.5
    assert config["clipnorm"] is config["clipvalue"] is None
    compared = set()
    for key, value in NUMBERS.items():
        if IN_KERAS.get(key, key) in config:
            assert config[IN_KERAS.get(key, key)] == pytest.approx(value)
            compared.add(key)
    uses = {key for key in NUMBERS if name in WORDS[key].used_with.get("optimizer", (name,))}
    assert compared == uses - ({"epsilon"} if name == "sgd" else set())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_zeros_turn_decay_and_clipping_off(name: str) -> None:
    config = make_optimizer(make_training(optimizer=name)).get_config()
    assert not config["weight_decay"]
    assert config["global_clipnorm"] is None


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_touches_kernels_only(name: str) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4),
            layers.BatchNormalization(),
            layers.LayerNormalization(),
            layers.Dense(1),
        ]
    )
    optimizer = make_optimizer(
        make_training(optimizer=name, weight_decay=0.5, learning_rate=0.1, momentum=0.0)
    )
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    optimizer.build(variables)
    optimizer.apply([np.zeros(v.shape, np.float32) for v in variables], variables)
    after = {v.path.removeprefix(model.name): float(np.mean(v)) for v in variables}
    assert len(after) == 8
    for path, mean in after.items():
        expected = 1 - 0.5 * 0.1 if path.endswith("kernel") else 1.0
        assert mean == pytest.approx(expected, rel=1e-6), path


def test_an_unknown_optimizer_is_an_error() -> None:
    with pytest.raises(ValueError, match="lion"):
        make_optimizer(make_training(optimizer="lion"))
