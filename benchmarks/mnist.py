"""Seconds an epoch on larger data: MNIST's training rows, at several depths."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import peers
from rich.table import Table
from work import console, useful_flops

from nas.space import RandomSuggester, SearchSpace
from nas.spec import Problem

if TYPE_CHECKING:
    from nas.encoding import FoldData

TRAIN_ROWS = 48_000  # of the 60,000; the rest validates
DEPTHS = (1, 4, 10)


def mnist_fold() -> "FoldData":
    """48,000 rows that train and 12,000 that validate, all of MNIST's training part."""
    from nas.encoding import FoldData

    folder = Path(os.environ.get("NAS_DATA_DIR", "../shared/data"))
    with np.load(folder / "mnist.npz") as arrays:
        x, y = arrays["x_train"].reshape(60_000, -1), arrays["y_train"].astype(np.int64)
    n = TRAIN_ROWS
    mean, scale = np.float32(x[:n].mean()), np.float32(x[:n].std())
    x = (x.astype(np.float32) - mean) / scale
    return FoldData("multiclass", x[:n], y[:n], x[n:], y[n:], 0.0, 1.0)


def run_mnist(engine: str) -> list[dict[str, Any]]:
    """Seconds an epoch of `model.fit` and of an engine, by depth."""
    fold = mnist_fold()
    rows: list[dict[str, Any]] = []
    with console.status("MNIST") as status:
        for depth in DEPTHS:
            status.update(f"MNIST, depth {depth}")
            space = SearchSpace(
                {
                    "depth": depth,
                    "width": 50,
                    "activation": "relu",
                    "optimizer": "adam",
                    "learning_rate": 0.001,
                    "batch_size": 32,
                    "epochs": peers.MNIST_EPOCHS,
                }
            )
            spec = space.sample(
                RandomSuggester(0), Problem("multiclass", fold.x_train.shape[1], 10)
            )
            epochs = {
                "fit": peers.fit_epochs(fold, spec),
                "engine": peers.engine_epochs(engine, [fold], spec),
            }
            flops = useful_flops(spec, len(fold.y_train), 1) / spec.training.epochs / 1e9
            rows.append({"depth": depth, "useful_gflop_per_epoch": flops, "seconds": epochs})
    table = Table("MNIST, depth", "s / epoch, fit", f"{engine} engine", "x fit", box=None)
    for row in rows:
        fit, own = (float(np.mean(row["seconds"][way][1:])) for way in ("fit", "engine"))
        row |= {"fit_epoch": fit, "engine_epoch": own, "times_fit": fit / own}
        table.add_row(str(row["depth"]), f"{fit:.2f}", f"{own:.2f}", f"{fit / own:.1f}")
    console.print(table)
    return rows
