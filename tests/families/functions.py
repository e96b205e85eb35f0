"""Functions that build models, as users write them."""

from typing import Any

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_iris

from nas.encoding import FoldData
from nas.spec import Problem

IRIS = Problem("multiclass", 4, 3)


def build_model(trial: Any) -> keras.Model:
    """Comes compiled, with softmax and whole numbers as labels; its depth is conditional."""
    model = keras.Sequential([keras.Input((4,))])
    for number in range(trial.suggest_int("layers", 1, 2)):
        model.add(layers.Dense(trial.suggest_int(f"width_{number}", 4, 32, log=True)))
        model.add(layers.BatchNormalization())
        model.add(layers.Activation(trial.suggest_categorical("activation", ["relu", "tanh"])))
    model.add(layers.Dropout(0.1))
    model.add(layers.Dense(3, activation="softmax"))
    rate = trial.suggest_float("rate", 1e-3, 1e-1, log=True)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def plain_model(trial: Any, problem: Problem) -> keras.Model:
    """Not compiled, with logits, and built by its first rows only."""
    units = trial.suggest_categorical("units", [8, 16])
    return keras.Sequential([layers.Dense(units, "tanh"), layers.Dense(problem.n_outputs)])


@keras.saving.register_keras_serializable("nas_tests")
class Scaled(layers.Layer):
    """A layer of a user's own, which is registered."""

    def call(self, x: Any) -> Any:
        return 2.0 * x


class Residual(keras.Model):
    """A subclassed model, in which a layer is called within another model."""

    def __init__(self, units: int, n_outputs: int) -> None:
        super().__init__()
        self.first = layers.Dense(units, activation="relu")
        self.block = keras.Sequential([layers.Dense(units), layers.ReLU()])
        self.last = layers.Dense(n_outputs)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.first(x)
        return self.last(x + self.block(x))


def subclassed(trial: Any, problem: Problem) -> keras.Model:
    return Residual(trial.suggest_int("units", 4, 8), problem.n_outputs)


def iris_folds() -> list[FoldData]:
    """Two folds of different length, standardized."""
    x, y = load_iris(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    order = np.random.default_rng(0).permutation(150)
    val = order[110:]
    return [
        FoldData("multiclass", x[rows], y[rows], x[val], y[val])
        for rows in (order[:100], order[15:110])
    ]
