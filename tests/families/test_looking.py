"""What a pass through a model shows."""

import keras
import numpy as np
import pytest
from functions import Residual
from keras import layers, ops

from nas.families.looking import pass_through

ROWS = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)


def test_a_subclassed_model_is_seen_as_it_computes() -> None:
    model = Residual(5, 3)
    looked = pass_through(model, ROWS)
    first = ops.relu(model.first(ROWS))
    inner = ops.relu(model.block.layers[0](first))
    expected = [first, inner, model.last(first + inner)]
    assert [seen.activation for seen in looked.seen] == ["relu", "relu", "linear"]
    for seen, output in zip(looked.seen, expected, strict=True):
        np.testing.assert_allclose(seen.output, output, rtol=1e-6)
    np.testing.assert_allclose(looked.outputs, model(ROWS), rtol=1e-6)
    # The model is as it was: nothing is left in the way of its layers' calls.
    assert all("call" not in vars(layer) for layer in model._flatten_layers())


@pytest.mark.parametrize(
    ("last", "name"),
    [
        ([layers.Dense(2, "softmax")], "softmax"),
        ([layers.Dense(2), layers.Softmax()], "softmax"),
        ([layers.Dense(2), layers.Activation("sigmoid")], "sigmoid"),
        ([layers.Dense(2)], "linear"),
    ],
)
def test_the_activation_of_the_outputs_is_known(last: list, name: str) -> None:
    assert (
        pass_through(keras.Sequential([keras.Input((4,)), *last]), ROWS).output_activation == name
    )


def test_an_operation_at_the_end_is_known_by_its_name() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, ops.softmax(layers.Dense(2)(inputs)))
    assert pass_through(model, ROWS).output_activation == "softmax"


def test_batch_normalization_takes_the_statistics_of_the_first_rows() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(), layers.Dense(1)])
    normalization = model.layers[0]
    normalization.set_weights([np.full(4, v) for v in (2.0, 1.0, 5.0, 9.0)])
    kernel, bias = model.layers[1].get_weights()
    mean, variance = ROWS[:8].mean(axis=0), ROWS[:8].var(axis=0)
    normalized = 2.0 * (ROWS - mean) / np.sqrt(variance + 1e-3) + 1.0
    looked = pass_through(model, ROWS, 8, moving=False)
    np.testing.assert_allclose(looked.outputs, normalized @ kernel + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pass_through(model, ROWS).outputs, model(ROWS), rtol=1e-5)
    assert (normalization.get_weights()[2] == 5.0).all()
