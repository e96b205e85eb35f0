"""The entrants of `quality.py` whose networks are built in Keras and trained by `fit`."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from quality_sets import ENDLESS, FOLDS, Answer, Array, Task, folds_of, preprocessing

EPOCHS = 20  # of a network, at most
VALIDATION = 0.2  # share of the rows that KerasTuner validates on
ACTIVATIONS = ["relu", "tanh", "gelu"]
BATCH_SIZES = [32, 64, 128, 256]


@dataclass(frozen=True)
class KerasRows:
    """A task as a network in Keras takes it.

    Attributes:
        x: Rows to learn from, all numbers.
        y: Numbers of classes, or standardized values.
        x_test: Rows to predict.
        classes: What the numbers mean; None for regression.
        mean: Of the values before they were standardized.
        scale: Their standard deviation.
    """

    x: Array
    y: Array
    x_test: Array
    classes: Array | None
    mean: float
    scale: float

    def answers(self, model: Any, x: Array) -> Array:
        """Classes or values that a network predicts."""
        outputs = model.predict(x, batch_size=4096, verbose=0)
        if self.classes is None:
            return np.asarray(outputs[:, 0] * self.scale + self.mean)
        return np.asarray(self.classes[outputs.argmax(1)])


def keras_rows(task: Task) -> KerasRows:
    encoder = preprocessing(task).fit(task.x)
    x, x_test = (np.asarray(encoder.transform(f), np.float32) for f in (task.x, task.x_test))
    if task.is_regression:
        mean, scale = float(task.y.mean()), float(task.y.std())
        return KerasRows(x, (task.y - mean) / scale, x_test, None, mean, scale)
    classes, y = np.unique(task.y, return_inverse=True)
    return KerasRows(x, y, x_test, classes, 0.0, 1.0)


def keras_network(
    rows: KerasRows, params: Mapping[str, Any], seed: int, metrics: Sequence[str] = ()
) -> Any:
    """A compiled network of equal layers."""
    import keras

    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((rows.x.shape[1],))])
    for _ in range(params["depth"]):
        model.add(keras.layers.Dense(params["width"], params["activation"]))
        model.add(keras.layers.Dropout(params["dropout"]))
    model.add(keras.layers.Dense(1 if rows.classes is None else len(rows.classes)))
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(params["learning_rate"]),
        "mse" if rows.classes is None else loss,
        metrics=list(metrics),
    )
    return model


def raising(error: BaseException, is_over: Callable[[], bool]) -> Any:
    """A callback of Keras that raises an error after an epoch when the time is up."""
    import keras

    def check(epoch: int, logs: Any = None) -> None:
        if is_over():
            raise error

    return keras.callbacks.LambdaCallback(on_epoch_end=check)


def with_optuna_and_fit(task: Task, seconds: float, seed: int) -> Answer:
    """Optuna's TPE over Keras networks that `fit` trains, on all folds, pruned by fold."""
    import keras  # noqa: F401  (before the time begins)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = keras_rows(task)
    until = time.monotonic() + seconds
    folds = list(folds_of(task).split(rows.x, rows.y))

    def train(params: Mapping[str, Any], which: Array, *callbacks: Any) -> Any:
        model = keras_network(rows, params, seed)
        model.fit(
            rows.x[which],
            rows.y[which],
            batch_size=params["batch_size"],
            epochs=EPOCHS,
            callbacks=list(callbacks),
            verbose=0,
        )
        return model

    def objective(trial: Any) -> float:
        params = {
            "depth": trial.suggest_int("depth", 1, 4),
            "width": trial.suggest_int("width", 16, 256, log=True),
            "activation": trial.suggest_categorical("activation", ACTIVATIONS),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "batch_size": trial.suggest_categorical("batch_size", BATCH_SIZES),
        }
        # The first one goes to its end, whatever the time, so that there is an answer.
        stop = raising(optuna.TrialPruned(), lambda: trial.number > 0 and time.monotonic() > until)
        values: list[float] = []
        for number, (train_rows, val_rows) in enumerate(folds):
            model = train(params, train_rows, stop)
            found, truth = rows.answers(model, rows.x[val_rows]), task.y[val_rows]
            if task.is_regression:
                values.append(-float(np.sqrt(np.mean((found - truth) ** 2))))
            else:
                values.append(float(np.mean(found == truth)))
            trial.report(float(np.mean(values)), number)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(values))

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(1, FOLDS),
    )
    study.optimize(objective, timeout=seconds)
    complete = [t for t in study.trials if t.state.name == "COMPLETE"]
    model = train(study.best_params, np.arange(len(rows.x)))
    return Answer(rows.answers(model, rows.x_test), len(complete), json.dumps(study.best_params))


def with_keras_tuner(name: str) -> Callable[[Task, float, int], Answer]:
    """A tuner of KerasTuner, in the space of `with_optuna_and_fit`.

    It has neither folds nor a limit of time: it validates on a part of the rows, and is stopped.
    """

    def fit(task: Task, seconds: float, seed: int) -> Answer:
        import keras_tuner
        from sklearn.model_selection import train_test_split

        rows = keras_rows(task)
        until = time.monotonic() + seconds
        metrics = () if task.is_regression else ("accuracy",)

        class Network(keras_tuner.HyperModel):  # type: ignore[misc]
            def build(self, hp: Any) -> Any:
                params = {
                    "depth": hp.Int("depth", 1, 4),
                    "width": hp.Int("width", 16, 256, sampling="log"),
                    "activation": hp.Choice("activation", ACTIVATIONS),
                    "dropout": hp.Float("dropout", 0.0, 0.5),
                    "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
                }
                hp.Choice("batch_size", BATCH_SIZES)  # which `fit` needs
                return keras_network(rows, params, seed, metrics)

            def fit(self, hp: Any, model: Any, *given: Any, **options: Any) -> Any:
                return model.fit(*given, batch_size=hp.get("batch_size"), **options)

        train, val = train_test_split(
            np.arange(len(rows.x)),
            test_size=VALIDATION,
            random_state=seed,
            stratify=None if task.is_regression else rows.y,
        )
        goal = ("val_loss", "min") if task.is_regression else ("val_accuracy", "max")
        kinds = {
            "Hyperband": partial(
                keras_tuner.Hyperband, max_epochs=EPOCHS, hyperband_iterations=ENDLESS
            ),
            "BayesianOptimization": partial(keras_tuner.BayesianOptimization, max_trials=ENDLESS),
        }
        with tempfile.TemporaryDirectory() as folder:
            tuner = kinds[name](
                Network(),
                objective=keras_tuner.Objective(*goal),
                seed=seed + 1,  # it takes 0 for none
                directory=folder,
            )

            # It imports TensorBoard, which TensorFlow no longer brings.
            tuner._configure_tensorboard_dir = lambda *_given: None

            def complete() -> list[Any]:
                return [t for t in tuner.oracle.trials.values() if t.status == "COMPLETED"]

            def is_over() -> bool:
                return time.monotonic() > until and bool(complete())

            error = keras_tuner.errors.FatalError("the time is up")
            with suppress(keras_tuner.errors.FatalError):
                tuner.search(
                    rows.x[train],
                    rows.y[train],
                    validation_data=(rows.x[val], rows.y[val]),
                    epochs=EPOCHS,
                    callbacks=[raising(error, is_over)],
                    verbose=0,
                )
            best = tuner.oracle.get_best_trials()[0]
            n_trials = len(complete())
        hp = best.hyperparameters
        epochs = hp.values.get("tuner/initial_epoch", 0) + best.best_step + 1
        model = tuner.hypermodel.build(hp)
        tuner.hypermodel.fit(hp, model, rows.x, rows.y, epochs=epochs, verbose=0)
        chosen = json.dumps({**hp.values, "epochs": epochs}, default=str)
        return Answer(rows.answers(model, rows.x_test), n_trials, chosen)

    return fit
