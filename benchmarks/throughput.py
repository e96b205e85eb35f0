"""Trials per second of the engines against `model.fit` per fold, side by side in one run.

The same random trials (digits, 5 folds, 20 epochs, batch 32; depth 1-4, width 32, 64 or 128) are
trained by each; ratios are what counts, times are of the machine. Usage:

    python benchmarks/throughput.py [--trials 4] [--json FILE]
"""

import argparse
import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nas.cli.output import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from nas.data import DataOptions, FoldData, SplitOptions, load_dataset, split_dataset  # noqa: E402
from nas.engines.base import lane_seed  # noqa: E402
from nas.engines.keras_engine import KerasEngine  # noqa: E402
from nas.metrics import METRICS, predictions_of  # noqa: E402
from nas.models.network import build_model  # noqa: E402
from nas.models.preprocessing import encode_folds  # noqa: E402
from nas.models.training import encode_labels, make_loss, make_optimizer  # noqa: E402
from nas.space import RandomSuggester, Range, SearchSpace  # noqa: E402
from nas.spec import Problem, TrialSpec  # noqa: E402

SPACE = SearchSpace(
    {
        "depth": Range(1, 4),
        "width": [32, 64, 128],
        "activation": ["relu", "gelu", "tanh", "sigmoid"],
        "optimizer": ["adam", "sgd", "rmsprop"],
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "l2": Range(1e-7, 1e-2, log=True),
        "dropout": Range(0.0, 0.5),
        "batch_size": 32,
        "epochs": 20,
    },
    name="throughput",
)


def with_engine(engine: KerasEngine, spec: TrialSpec, seed: int) -> float:
    """Mean validation accuracy of a trial on all folds, by an engine."""
    cohort = engine.start([spec], [seed])
    while cohort.running()[0]:
        scores = cohort.advance()
    cohort.finish()
    return float(scores[0].mean())


def with_fit(folds: tuple[FoldData, ...], spec: TrialSpec, seed: int) -> float:
    """The same by a fresh model and `model.fit` for each fold, as most people write it."""
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
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    dataset = load_dataset(DataOptions("digits"))
    split = split_dataset(dataset, SplitOptions(folds=5))
    folds = encode_folds(dataset, split.folds)
    problem = Problem("multiclass", folds[0].x_train.shape[1], 10)
    specs = [SPACE.sample(RandomSuggester(k), problem) for k in range(arguments.trials)]
    engine = KerasEngine(folds, METRICS["accuracy"])
    ways = {
        "model.fit per fold": lambda spec, seed: with_fit(folds, spec, seed),
        "keras engine": lambda spec, seed: with_engine(engine, spec, seed),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    accuracies: dict[str, list[float]] = {name: [] for name in ways}
    # Trial by trial, so that all ways share whatever else the machine does.
    for seed, spec in enumerate(specs):
        for name, train in ways.items():
            started = time.perf_counter()
            accuracies[name].append(train(spec, seed))
            seconds[name].append(time.perf_counter() - started)

    base = sum(seconds["model.fit per fold"])
    rows = {
        name: {
            "seconds_per_trial": sum(times) / len(times),
            "times_fit": base / sum(times),
            "mean_accuracy": float(np.mean(accuracies[name])),
        }
        for name, times in seconds.items()
    }
    table = Table("", "s / trial", "x fit", "mean accuracy", box=None)
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['seconds_per_trial']:.2f}",
            f"{row['times_fit']:.1f}",
            f"{row['mean_accuracy']:.4f}",
        )
    Console().print(table)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
