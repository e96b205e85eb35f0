"""Ways to train the same trials on the same folds, each as its users would write it.

Every way takes the folds, the trials' specifications and seeds, and a function to call after each
trial; it returns a `Timing`. Whatever a way imports, it imports itself: the processes of the
compiled loop then start with no more than they need, and a missing package ends one way only.
"""

import gc
import importlib
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.spec import TrialSpec

if TYPE_CHECKING:
    from nas.encoding import FoldData
    from nas.engines.lanes import Engine
    from nas.space import SearchSpace

Array = NDArray[Any]
Folds = Sequence["FoldData"]
Tick = Callable[[], object]

MNIST_EPOCHS = 6  # of which the first compiles


@dataclass(frozen=True)
class Timing:
    """What a way took for the trials that it was given.

    Attributes:
        accuracies: Mean validation accuracy over the folds, of each trial.
        seconds: Wall time of it all.
        fixed: The part of it that more trials don't make longer, such as starting processes.
        compiling: The part of it that grows with the number of architectures instead.
        details: Whatever else is worth keeping.
    """

    accuracies: list[float]
    seconds: float
    fixed: float = 0.0
    compiling: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


def usable_cpus() -> list[int]:
    """Numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def engine_class(name: str) -> "type[Engine]":
    """The engine that trials record by this name, from `nas.engines.<name>_engine`."""
    module = importlib.import_module(f"nas.engines.{name}_engine")
    engines: dict[str, type[Engine]] = {
        value.name: value
        for value in vars(module).values()
        if hasattr(value, "start") and hasattr(value, "name")
    }
    return engines[name]


# Keras


def warm_up() -> None:
    """A network of one step, so that no way pays for TensorFlow's own first steps."""
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 1)), np.zeros((2, 1)), verbose=0)
    model.predict(np.zeros((2, 1)), verbose=0)


def with_fit(folds: Folds, specs: Sequence[TrialSpec], seeds: Sequence[int], tick: Tick) -> Timing:
    """A fresh model and `model.fit` for each fold, as most people write it."""
    import keras

    from nas.engines.lanes import lane_seed
    from nas.metrics import METRICS, predictions_of
    from nas.models.network import build_model
    from nas.models.steps import encode_labels
    from nas.models.training import make_loss, make_optimizer

    started = time.perf_counter()
    accuracies = []
    for spec, seed in zip(specs, seeds, strict=True):
        scores = []
        for number, fold in enumerate(folds):
            keras.utils.set_random_seed(lane_seed(seed, number))
            model = build_model(spec)
            model.compile(make_optimizer(spec.training), make_loss(spec.problem, spec.training))
            y = encode_labels(spec.problem, fold.y_train, 0.0, 1.0)
            y_val = encode_labels(spec.problem, fold.y_val, 0.0, 1.0)
            model.fit(
                fold.x_train,
                y,
                batch_size=spec.training.batch_size,
                epochs=spec.training.epochs,
                validation_data=(fold.x_val, y_val),
                verbose=0,
            )
            prediction = predictions_of("multiclass", model.predict(fold.x_val, verbose=0))
            scores.append(METRICS["accuracy"].score(fold.y_val, prediction))
        accuracies.append(float(np.mean(scores)))
        tick()
    return Timing(accuracies, time.perf_counter() - started)


def with_keras_tuner(
    folds: Folds, specs: Sequence[TrialSpec], seeds: Sequence[int], tick: Tick
) -> Timing:
    """KerasTuner's random search, with a `run_trial` that trains all folds.

    Only the draws are given, so that it trains the same trials as the others. `run_trial` is
    replaced rather than `HyperModel.fit`, because the one that calls `fit` needs TensorBoard,
    which TensorFlow no longer brings.
    """
    import keras
    import keras_tuner
    from keras import layers
    from keras_tuner.oracles import RandomSearchOracle

    problem = specs[0].problem
    optimizers = {
        "adam": keras.optimizers.Adam,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
    }

    class Network(keras_tuner.HyperModel):  # type: ignore[misc]
        def build(self, hp: Any) -> Any:
            depth = hp.Int("depth", 1, 4)
            width = hp.Choice("width", [32, 64, 128])
            activation = hp.Choice("activation", ["relu", "gelu", "tanh", "sigmoid"])
            dropout = hp.Float("dropout", 0.0, 0.5)
            penalty = keras.regularizers.L2(hp.Float("l2", 1e-7, 1e-2, sampling="log"))
            model = keras.Sequential([keras.Input((problem.n_inputs,))])
            for _ in range(depth):
                model.add(layers.Dense(width, activation=activation, kernel_regularizer=penalty))
                model.add(layers.Dropout(dropout))
            model.add(layers.Dense(problem.n_outputs, kernel_regularizer=penalty))
            optimizer = optimizers[hp.Choice("optimizer", list(optimizers))]
            rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimizer(learning_rate=rate), loss, metrics=["accuracy"])
            return model

    class CrossValidated(keras_tuner.Tuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, **_options: Any) -> dict[str, float]:
            keras.backend.clear_session()
            scores = []
            for fold in folds:
                model = self.hypermodel.build(trial.hyperparameters)
                history = model.fit(
                    fold.x_train,
                    fold.y_train,
                    batch_size=specs[0].training.batch_size,
                    epochs=specs[0].training.epochs,
                    validation_data=(fold.x_val, fold.y_val),
                    verbose=0,
                )
                scores.append(history.history["val_accuracy"][-1])
            accuracies.append(float(np.mean(scores)))
            tick()
            return {"val_accuracy": accuracies[-1]}

    given = iter(specs)

    class GivenDraws(RandomSearchOracle):  # type: ignore[misc]
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            spec = next(given)
            values = {
                "depth": len(spec.in_words.units),
                "width": spec.in_words.units[0],
                "activation": spec.in_words.activation,
                "dropout": spec.in_words.dropout,
                "optimizer": spec.training.optimizer,
                "learning_rate": spec.training.learning_rate,
                "l2": spec.training.l2,
            }
            return {"status": "RUNNING", "values": values}

    accuracies: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        tuner = CrossValidated(
            oracle=GivenDraws(
                objective=keras_tuner.Objective("val_accuracy", "max"),
                max_trials=len(specs),
                seed=seeds[0],
            ),
            hypermodel=Network(),
            directory=folder,
        )
        tuner.search(verbose=0)
        seconds = time.perf_counter() - started
    for trial in tuner.oracle.trials.values():
        if trial.status != "COMPLETED":  # it goes on after any error
            raise RuntimeError((trial.message or "a trial failed").strip().splitlines()[-1])
    return Timing(accuracies, seconds)


def with_engine(
    engine: "Callable[[Folds, Any], Engine]",
    folds: Folds,
    specs: Sequence[TrialSpec],
    seeds: Sequence[int],
    tick: Tick,
    at_once: int = 1,
) -> Timing:
    """One of nas's engines, without a study; `at_once` trials are in training together."""
    from nas.engines.lanes import trial_lanes
    from nas.metrics import METRICS

    started = time.perf_counter()
    made = engine(folds, METRICS["accuracy"])
    fixed = time.perf_counter() - started
    accuracies: list[float] = []
    for first in range(0, len(specs), at_once):
        part = slice(first, first + at_once)
        trials = zip(specs[part], seeds[part], strict=True)
        lanes = made.start([lane for trial in trials for lane in trial_lanes(*trial, len(folds))])
        epochs = made.epochs_at_once(specs[first], len(folds) * len(specs[part]))
        while lanes.running().any():
            scores = lanes.advance(epochs)[:, -1]
        lanes.results()
        accuracies += scores.reshape(-1, len(folds)).mean(axis=1).tolist()
        for _ in specs[part]:
            tick()
    return Timing(accuracies, time.perf_counter() - started, fixed)


# scikit-learn


def with_sklearn(
    folds: Folds, specs: Sequence[TrialSpec], seeds: Sequence[int], tick: Tick
) -> Timing:
    """`MLPClassifier` under `RandomizedSearchCV` on all processors.

    It has no GELU (ReLU instead), no RMSprop (Adam instead) and no dropout, and does not score
    the validation part after each epoch.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.neural_network import MLPClassifier

    # The folds are standardized each in its own way: all of them one after the other, and the
    # cross-validation knows where each begins.
    x = np.concatenate([part for fold in folds for part in (fold.x_train, fold.x_val)])
    y = np.concatenate([part for fold in folds for part in (fold.y_train, fold.y_val)])
    sizes = [len(part) for fold in folds for part in (fold.y_train, fold.y_val)]
    parts = np.split(np.arange(len(y)), np.cumsum(sizes)[:-1])
    pairs = list(zip(parts[::2], parts[1::2], strict=True))

    activations = {"sigmoid": "logistic", "gelu": "relu"}
    draws: list[dict[str, list[Any]]] = [
        {
            "hidden_layer_sizes": [spec.in_words.units],
            "activation": [activations.get(name := spec.in_words.activation, name)],
            "solver": ["sgd" if spec.training.optimizer == "sgd" else "adam"],
            "learning_rate_init": [spec.training.learning_rate],
            # It halves the penalty, and divides it by the rows of a batch.
            "alpha": [2 * spec.training.batch_size * spec.training.l2],
            "batch_size": [spec.training.batch_size],
            "max_iter": [spec.training.epochs],
            "random_state": [seed],
        }
        for spec, seed in zip(specs, seeds, strict=True)
    ]

    def search(candidates: list[dict[str, list[Any]]]) -> Any:
        network = MLPClassifier(momentum=0.0, epsilon=1e-7, n_iter_no_change=1_000_000)
        return RandomizedSearchCV(
            network,
            candidates,
            n_iter=len(candidates),
            scoring="accuracy",
            cv=pairs,
            refit=False,
            n_jobs=-1,
            error_score="raise",
        ).fit(x, y)

    with warnings.catch_warnings():
        # It takes an end after `max_iter` epochs for a failure.
        warnings.simplefilter("ignore", ConvergenceWarning)
        started = time.perf_counter()
        search([{**draws[0], "max_iter": [1]}])  # starts its processes
        fixed = time.perf_counter() - started
        results = search(draws).cv_results_
        seconds = time.perf_counter() - started
    # Candidates come back in an order of their own; the seed tells them apart.
    scores = dict(zip(results["param_random_state"], results["mean_test_score"], strict=True))
    for _ in specs:
        tick()
    return Timing([float(scores[seed]) for seed in seeds], seconds, fixed)


def with_nas_search(
    space: "SearchSpace",
    engine: str,
    workers: int | None,
    cache: str,
    folds: Folds,
    specs: Sequence[TrialSpec],
    seeds: Sequence[int],
    tick: Tick,
) -> Timing:
    """The whole command from a cold start: imports, study, training, the winner's refit and test.

    It proposes the trials itself; `specs` are what it is expected to propose. Compiled programs
    are kept in the directory `cache`, and those that are there need not be compiled.
    """
    from nas.space import dump_space
    from nas.study.record import load_study

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "space.yaml").write_text(dump_space(space), encoding="utf-8")
        storage = f"sqlite:///{folder / 'nas.db'}"
        command = [sys.executable, "-m", "nas", "search", "--space", "space.yaml"]
        command += ["--data", "digits", "--trials", str(len(specs)), "--engine", engine]
        command += ["--sampler", "random", "--pruner", "none"]
        command += ["--storage", storage, "--study", "throughput"]
        if workers is not None:
            command += ["--workers", str(workers)]
        # From this checkout, whatever else is installed.
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "NAS_CACHE_DIR": cache,
        }
        with (folder / "errors.txt").open("w+", encoding="utf-8") as errors:
            started = time.perf_counter()
            with subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process:
                for line in process.stdout or ():
                    if line.startswith("["):  # a trial has ended
                        tick()
            seconds = time.perf_counter() - started
            errors.seek(0)
            if process.returncode:
                lines = errors.read().strip().splitlines() or ["no message"]
                raise RuntimeError(f"nas search ended with {process.returncode}: {lines[-1]}")
        record = load_study("throughput", storage)
    values = {trial.spec: trial.value for trial in record.complete}
    engines = [trial.engine for trial in record.counted]
    if not set(values) <= set(specs):
        raise RuntimeError("nas search has trained other networks than the other ways")
    details = {
        "engines": {name: engines.count(name) for name in sorted(map(str, set(engines)))},
        "seconds_in_trials": sum(trial.seconds or 0.0 for trial in record.counted),
        "not_complete": len(record.counted) - len(record.complete),
    }
    nan = float("nan")
    accuracies = [value if (value := values.get(spec)) is not None else nan for spec in specs]
    return Timing(accuracies, seconds, details=details)


# Epochs on larger data


def fit_epochs(fold: "FoldData", spec: TrialSpec) -> list[float]:
    """Seconds of each epoch of `model.fit`, its validation included."""
    import keras

    from nas.models.network import build_model
    from nas.models.steps import encode_labels
    from nas.models.training import make_loss, make_optimizer

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            self.times = [time.perf_counter()]

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.times.append(time.perf_counter())

    keras.backend.clear_session()
    gc.collect()
    clock = Clock()
    model = build_model(spec)
    model.compile(make_optimizer(spec.training), make_loss(spec.problem, spec.training))
    model.fit(
        fold.x_train,
        encode_labels(spec.problem, fold.y_train, 0.0, 1.0),
        batch_size=spec.training.batch_size,
        epochs=spec.training.epochs,
        validation_data=(fold.x_val, encode_labels(spec.problem, fold.y_val, 0.0, 1.0)),
        callbacks=[clock],
        verbose=0,
    )
    return np.diff(clock.times).tolist()


def engine_epochs(
    engine: str, folds: Sequence["FoldData"], spec: TrialSpec, at_once: int = 1
) -> list[float]:
    """Seconds an epoch by an engine in a worker of `nas search`, in a single thread.

    Args:
        engine: Its name.
        folds: What it is trained and scored on.
        spec: The network.
        at_once: Epochs between two looks at the clock; fewer where the engine reports sooner.
    """
    from nas.encoding.shared_rows import share_rows
    from nas.execution.workers import WorkerPool
    from nas.metrics import METRICS

    seconds: list[float] = []
    pool = WorkerPool(1, "jax" if engine == "compiled" else "tensorflow")
    try:
        shared = [share_rows(fold, pool.rows_folder) for fold in folds]
        pool.load(shared, METRICS["accuracy"], engine)
        pool.submit(0, spec, 0, at_once)
        running, started = True, time.perf_counter()
        while running:
            report = pool.wait(1.0)
            if report is None:
                continue
            if report.failure:
                raise RuntimeError(report.failure)
            now = time.perf_counter()
            seconds.append((now - started) / max(report.scores.shape[1], 1))
            running, started = report.running, now
            pool.answer(0, True, at_once)
    finally:
        pool.close()
    # The last report has what is found out at the end of a training, too.
    return seconds[:-1]
