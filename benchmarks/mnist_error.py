"""The error on MNIST's test part of one network with given settings, trained once.

    python benchmarks/mnist_error.py dense
    python benchmarks/mnist_error.py cnn --validate

The settings were chosen with `--validate`, which trains on 50,000 of the 60,000 training rows and
scores on the rest. Without it all 60,000 train, and the test part is scored, of which nothing was
chosen. The last epoch counts. Nothing is augmented in `dense`; `cnn` shifts and turns its images.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from quality_runs import this_machine
from rich.console import Console

from nas.data import DataOptions, Fold, load_dataset
from nas.encoding import encode_folds
from nas.engines.selection import Selection
from nas.execution.pool import LocalPool, drive
from nas.metrics import METRICS
from nas.space import RandomSuggester, parse_settings, space_from_mapping

TRAINING_ROWS, CHOSEN_ON = 60_000, 10_000
NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {
        "depth": 3, "width": 1024, "activation": "relu", "normalization": "batch",
        "normalization_momentum": 0.99, "initializer": "he_uniform", "dropout": 0.5,
        "optimizer": "adamw", "learning_rate": 3e-3, "weight_decay": 0.05, "schedule": "cosine",
        "warmup": 0.03, "decay_to": 0.0, "label_smoothing": 0.1, "batch_size": 128, "epochs": 120,
    },
    "cnn": {
        "network": "cnn", "layers": "16c3-16c3-mp2-32c3-32c3-mp2-fc128", "activation": "relu",
        "normalization": "batch", "normalization_momentum": 0.99, "initializer": "he_uniform",
        "dropout": 0.4, "shift": 0.08, "rotation": 8.0, "optimizer": "adamw",
        "learning_rate": 3e-3, "weight_decay": 0.02, "schedule": "cosine", "warmup": 0.05,
        "decay_to": 0.0, "label_smoothing": 0.05, "batch_size": 128, "epochs": 24,
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--validate", action="store_true", help="score on training rows")
    parser.add_argument("--set", nargs="*", default=[], help="other settings, such as width=512")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    console = Console(highlight=False)
    settings = NETWORKS[options.network] | parse_settings(options.set)
    data = Path(os.environ.get("NAS_DATA_DIR", "../shared/data")) / "mnist.npz"
    dataset = load_dataset(DataOptions(str(data), images=options.network == "cnn"))
    rows = np.arange(dataset.n_rows)
    given = rows[:TRAINING_ROWS]
    fold = Fold(given, rows[TRAINING_ROWS:])
    if options.validate:
        fold = Fold(given[:-CHOSEN_ON], given[-CHOSEN_ON:])
    folds = encode_folds(dataset, [fold])
    problem = dataset.problem(folds[0].x_train.shape[1], len(fold.train))
    spec = space_from_mapping(settings).sample(RandomSuggester(0), problem)
    console.print(f"{spec.describe()}, {spec.training.epochs} epochs")
    started = time.monotonic()
    choose = Selection(folds, METRICS["accuracy"], "auto").choose
    with LocalPool(choose) as pool, console.status("Training"):
        for report in drive(pool, [(0, spec, options.seed)]):
            if report is None:
                continue
            if report.failure:
                raise SystemExit(report.failure)
            if options.validate and report.scores.size:
                console.print(f"{time.monotonic() - started:5.0f} s {report.scores[0, -1]:.4f}")
            if report.result is not None:
                result, engine = report.result, report.engine
    part = "training rows kept out" if options.validate else "the test part"
    error = 1.0 - result.fold_values[0]
    console.print(
        f"{error:.2%} of {part} wrong after {time.monotonic() - started:.0f} s "
        f"({engine} engine, {this_machine()})"
    )


if __name__ == "__main__":
    main()
