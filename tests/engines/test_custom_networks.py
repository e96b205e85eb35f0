"""A function's networks in the Keras engine."""

import gc
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from scipy.special import expit
from sklearn.metrics import log_loss

pytest.register_assert_rewrite("contract")

from contract import (  # noqa: E402
    Cohort,
    assert_same_trial,
    assert_same_weights,
    folds_of,
    train,
)

from nas.engines.keras_engine import KerasEngine  # noqa: E402
from nas.engines.lanes import batch_order, lane_seed  # noqa: E402
from nas.engines.selection import Selection  # noqa: E402
from nas.errors import NasError  # noqa: E402
from nas.families.custom import custom_space  # noqa: E402
from nas.metrics import METRICS  # noqa: E402
from nas.space import RandomSuggester  # noqa: E402
from nas.spec import Problem, TrialSpec  # noqa: E402

DIGITS = Problem("multiclass", 64, 10, (8, 8, 1))


@pytest.fixture(autouse=True, scope="module")
def frozen_heap() -> Iterator[None]:
    """Spares the collections of garbage that Keras makes for each trial the imported modules."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def compiled(trial: Any) -> keras.Model:
    """Sparse labels, probabilities, momentum, a penalty and batch normalization."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2")(inputs)
    x = layers.BatchNormalization()(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    rate = keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.9)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def noisy(trial: Any) -> keras.Model:
    """Not compiled, logits, with dropout."""
    return keras.Sequential(
        [layers.Flatten(), layers.Dense(8), layers.Dropout(0.5), layers.Dense(10)]
    )


def spec_of(build: Any, problem: Problem = DIGITS, **training: Any) -> TrialSpec:
    return custom_space(build, {"epochs": 2, **training}).sample(RandomSuggester(0), problem)


def engine(folds: Any, build: Any, metric: str = "log_loss") -> KerasEngine:
    return KerasEngine(folds, METRICS[metric], build)


def test_a_compiled_model_agrees_with_its_own_fit() -> None:
    fold = folds_of("multiclass")[0]
    spec = spec_of(compiled, batch_size=64)
    cohort = Cohort(engine([fold], compiled), [spec], [11])
    initial = cohort.weights(0, 0)
    trained = train(cohort)
    model, n = compiled(None), len(fold.y_train)
    model.set_weights(initial)

    def batches() -> Iterator[Any]:
        for epoch in range(2):
            order = batch_order(lane_seed(11, 0), epoch, n)
            for start in range(0, n, 64):
                rows = order[start : start + 64]
                yield fold.x_train[rows].reshape(-1, 8, 8, 1), fold.y_train[rows]

    history = model.fit(batches(), steps_per_epoch=-(-n // 64), epochs=2, shuffle=False, verbose=0)
    assert_same_weights(trained.weights[0][0], model.get_weights(), 1e-4)
    result = trained.results[0]
    losses = [row[0] for row in result.curves.train_loss]
    np.testing.assert_allclose(losses, history.history["loss"], rtol=1e-4)
    prediction = model.predict(fold.x_val.reshape(-1, 8, 8, 1), verbose=0).astype(float)
    prediction /= prediction.sum(axis=1, keepdims=True)
    expected = log_loss(fold.y_val, prediction, labels=np.arange(10))
    np.testing.assert_allclose(result.fold_values[0], expected, rtol=1e-4)
    np.testing.assert_allclose(result.curves.val_loss[-1][0], expected, rtol=1e-4)  # no penalty
    exam = result.examination
    assert exam is not None and exam.penalty_before > 0.0
    assert [len(exam.rank), len(exam.gradient_before), len(exam.probe)] == [1, 2, 2]
    assert exam.train_value > exam.true_share


def test_a_lane_depends_on_its_fold_and_seed_alone() -> None:
    first, second, _ = folds_of("multiclass")
    spec = spec_of(noisy)
    together = train(Cohort(engine([first, second], noisy), [spec, spec], [2, 1]))
    keras.utils.set_random_seed(99)
    alone = train(Cohort(engine([first], noisy), [spec], [1]))
    assert_same_trial(alone, 0, together, 1, 0.0, folds=[0])
    kernels = [together.weights[trial][fold][0] for trial, fold in ((1, 0), (0, 0), (1, 1))]
    for other in kernels[1:]:  # another seed, another fold
        assert np.linalg.norm(other - kernels[0]) > 1e-3


@pytest.mark.parametrize(
    ("task", "activated"), [("binary", True), ("binary", False), ("regression", False)]
)
def test_outputs_become_predictions_with_and_without_an_activation(
    task: Any, activated: bool
) -> None:
    def build(trial: Any, problem: Problem) -> keras.Model:
        activation = "sigmoid" if activated else None
        return keras.Sequential([keras.Input((problem.n_inputs,)), layers.Dense(1, activation)])

    fold = folds_of(task)[0]
    spec = spec_of(build, Problem(task, fold.x_train.shape[1], 1), epochs=1)
    metric = "rmse" if task == "regression" else "log_loss"
    trained = train(Cohort(engine([fold], build, metric), [spec], [1]))
    kernel, bias = trained.weights[0][0]
    z = (fold.x_val.astype(float) @ kernel + bias)[:, 0]
    if task == "binary":
        expected = log_loss(fold.y_val, expit(z))
        np.testing.assert_allclose(trained.results[0].curves.val_loss[0][0], expected, rtol=1e-4)
    else:
        expected = np.sqrt(np.mean((z * fold.target_scale + fold.target_mean - fold.y_val) ** 2))
    np.testing.assert_allclose(trained.results[0].fold_values[0], expected, rtol=1e-4)


def test_the_function_is_asked_for_where_it_is_not_at_hand() -> None:
    spec, folds = spec_of(noisy), folds_of("multiclass")
    chosen = Selection(folds, METRICS["accuracy"], "auto", noisy).choose(spec)
    assert (chosen.engine.name, chosen.reason) == ("keras", "built by a function")
    with pytest.raises(NasError, match="compiled cannot train this network: built by a function"):
        Selection(folds, METRICS["accuracy"], "compiled", noisy).choose(spec)
    with pytest.raises(NasError, match="noisy: builds this network, and is not at hand"):
        Cohort(Selection(folds, METRICS["accuracy"], "auto").choose(spec).engine, [spec], [1])
