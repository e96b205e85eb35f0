"""Temperatures: found, applied in NumPy and in Keras, and worth something on other rows."""

from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from nas.calibration import calibration, fit_temperature, with_temperature
from nas.data import DataOptions, load_dataset
from nas.whole_model import tempered_model


def drawn(n: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes drawn from their probabilities."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=2.0, size=(n, n_classes))
    p = softmax(logits, axis=1)
    y = (p.cumsum(axis=1) < generator.random((n, 1))).sum(axis=1)
    return logits, y


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_of_logits_is_found(temperature: float) -> None:
    logits, y = drawn(20_000, 4)
    too_sure = softmax(logits * temperature, axis=1)
    assert fit_temperature(too_sure, y) == pytest.approx(temperature, rel=0.05)


def test_a_temperature_divides_the_logits() -> None:
    logits, _ = drawn(50, 3)
    np.testing.assert_allclose(
        with_temperature(softmax(logits, axis=1), 2.5), softmax(logits / 2.5, axis=1), rtol=1e-4
    )
    one = logits[:, 0]
    np.testing.assert_allclose(with_temperature(expit(one), 0.5), expit(one / 0.5), rtol=1e-4)


def test_calibration_is_that_of_other_libraries() -> None:
    logits, y = drawn(5000, 3)
    p = softmax(logits, axis=1)
    told = calibration(p, y)
    assert told.log_loss == pytest.approx(log_loss(y, p))
    assert told.error < 0.03  # they were drawn from these probabilities
    too_sure = calibration(softmax(4.0 * logits, axis=1), y)
    assert too_sure.error > 0.1 and too_sure.log_loss > told.log_loss
    corrected = with_temperature(softmax(4.0 * logits, axis=1), 4.0)
    assert calibration(corrected, y).error == pytest.approx(told.error, abs=0.005)


def test_a_guess_that_is_right_half_of_the_time_has_an_error_of_a_half() -> None:
    y = np.array([0, 1] * 50)
    assert calibration(np.full(100, 1.0 - 1e-6), y).error == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_model_has_the_same_probabilities(n_classes: int) -> None:
    schema = load_dataset(DataOptions("iris")).schema
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    inputs: Any = keras.Input((4,))
    ends = (1, "sigmoid") if n_classes == 2 else (n_classes, "softmax")
    model = keras.Model(inputs, keras.layers.Dense(*ends)(inputs))
    before = model.predict(x, verbose=0).astype(np.float64)
    after = tempered_model(model, 1.7, schema).predict(x, verbose=0)
    assert after.shape == before.shape
    if n_classes == 2:
        before, after = before[:, 0], after[:, 0]
    np.testing.assert_allclose(after, with_temperature(before, 1.7), rtol=1e-4)
