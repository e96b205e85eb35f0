"""What a search trains on a GPU, and how fast. Needs JAX for the GPU; TensorFlow is not used.

    pip install 'jax[cuda12]'
    python benchmarks/gpu.py [--trials 1000] [--only cold rate] [--json FILE]

The trials are those of `throughput.py`. On a machine without a GPU the same code runs with
`--platform cpu --trials 20 --lanes 50`, to see that it does; its times mean nothing.

- `cold`: from an empty directory of programs until all trials are trained on all folds.
- `again`: the same with the programs that are on disk then.
- `rate`: 4 x 128, warm: arithmetic per second with many lanes, and with one trial at a time.
- `busy`: how many of the places had a lane in training, with halving at its usual epochs.
- `scores`: the same trials on GPU and processor.
- `mnist`, `california`: one split each of larger data, in `NAS_DATA_DIR`.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from rich.progress import track
from rich.table import Table
from work import Work, console, digits_work, useful_flops

from nas import pruning
from nas.direction import Direction
from nas.execution import devices
from nas.execution.pool import Report, drive
from nas.execution.together import TogetherPool
from nas.execution.workers import JOBS_OF_A_GPU, WorkerPool
from nas.metrics import METRICS
from nas.space import RandomSuggester, SearchSpace
from nas.spec import Problem, TrialResult, TrialSpec

PARTS = ("cold", "again", "rate", "busy", "scores", "mnist", "california")


def train_all(pool: Any, work: Work, title: str) -> dict[int, TrialResult]:
    """Trains all trials to their end; results by number."""
    results: dict[int, TrialResult] = {}
    jobs = ((k, spec, work.seeds[k]) for k, spec in enumerate(work.specs))
    for report in track(drive(pool, jobs), title, console=console, transient=True):
        if report is None:
            continue
        if report.failure:
            raise RuntimeError(report.failure)
        if report.result is not None:
            results[report.job] = report.result
    return results


def in_workers(work: Work, title: str, gpus: Sequence[int]) -> tuple[float, dict[int, TrialResult]]:
    """Seconds from nothing, processes included, until all trials are trained; and the results."""
    started = time.perf_counter()
    pool = WorkerPool(len(os.sched_getaffinity(0)), gpus=gpus)
    try:
        pool.load(work.folds, METRICS["accuracy"], "compiled")
        results = train_all(pool, work, title)
    finally:
        pool.close()
    return time.perf_counter() - started, results


def flops_of(work: Work) -> float:
    rows = float(np.mean([len(fold.y_train) for fold in work.folds]))
    return sum(useful_flops(spec, rows, len(work.folds)) for spec in work.specs)


def measure_cold(work: Work) -> dict[str, float]:
    seconds, _ = in_workers(work, "cold", (0,))
    return {"seconds": seconds, "TFLOP": flops_of(work) / 1e12}


def measure_scores(work: Work) -> dict[str, float]:
    """Paired differences of mean scores, and how many are beyond three standard errors."""
    few = Work(work.folds, work.specs[:100], work.seeds[:100])
    there = in_workers(few, "scores on the GPU", (0,))[1]
    here = in_workers(few, "scores on the processor", ())[1]
    values = np.array([[there[k].fold_values, here[k].fold_values] for k in sorted(there)])
    differences = (values[:, 0] - values[:, 1]).mean(axis=1)
    n_folds, n = values.shape[2], len(values)
    errors = values[:, 1].std(axis=1, ddof=1) * np.sqrt(1 / n_folds + 1 / (n_folds - 1))
    return {
        "trials": n,
        "mean difference": float(differences.mean()),
        "standard error": float(differences.std(ddof=1) / np.sqrt(n)),
        "beyond 3 standard errors of the trial": int((np.abs(differences) > 3 * errors).sum()),
    }


def network(problem: Problem, **words: Any) -> TrialSpec:
    return SearchSpace(words).sample(RandomSuggester(0), problem)


def epoch_seconds(engine: Any, lanes: Sequence[Any], epochs: int = 9) -> float:
    """Seconds of an epoch of these lanes, warm."""
    started_lanes = engine.start(lanes)
    started_lanes.advance(epochs)
    started = time.perf_counter()
    started_lanes.advance(epochs)
    return (time.perf_counter() - started) / epochs


def measure_rate(work: Work, n_lanes: int) -> dict[str, float]:
    from nas.engines.compiled_engine import CompiledEngine, memory_of_device
    from nas.engines.lanes import trial_lanes

    problem = work.specs[0].problem
    spec = network(problem, depth=4, width=128, batch_size=32, epochs=1000, dropout=0.1)
    n_folds, accuracy = len(work.folds), METRICS["accuracy"]
    trials = [trial_lanes(spec, seed, n_folds) for seed in range(n_lanes // n_folds)]
    lanes = [lane for trial in trials for lane in trial]
    flops = flops_of(Work(work.folds, [spec], [0])) / spec.training.epochs / n_folds
    together = epoch_seconds(CompiledEngine(work.folds, accuracy, memory_of_device()), lanes)
    alone = epoch_seconds(CompiledEngine(work.folds, accuracy), trials[0])
    return {
        "lanes": len(lanes),
        "TFLOP/s": len(lanes) * flops / together / 1e12,
        "TFLOP/s, one trial": n_folds * flops / alone / 1e12,
        "times as fast as one trial": (alone / n_folds) / (together / len(lanes)),
    }


def measure_busy(work: Work, slots: int) -> dict[str, float]:
    """The share of places with a lane in training, over all calls of the programs.

    Small networks, because it depends on the trials' ends only, and so may be counted anywhere.
    """
    from nas.engines.block import Block

    counted = np.zeros(2)
    train = Block.train

    def counting(block: Any, active: Any) -> int:
        counted[:] += len(active), len(block.numbers)
        return train(block, active)

    problem = work.specs[0].problem
    rungs, known = pruning.rungs(60), dict[int, list[float]]()
    epochs: dict[int, int] = {}

    def verdict(report: Report) -> bool:
        epochs[report.job] = epochs.get(report.job, 0) + report.scores.shape[1]
        epoch = epochs[report.job]
        if epoch not in rungs:
            return True
        score, others = float(report.scores[:, -1].mean()), known.setdefault(epoch, [])
        keeps = bool(pruning.halving([score], others, Direction.MAXIMIZE)[0])
        others.append(score)
        others.sort()
        return keeps

    pool = TogetherPool(one_engine(work), slots)
    generator = np.random.default_rng(0)
    jobs = [
        (k, network(problem, depth=1, width=32, epochs=60, learning_rate=rate), k)
        for k, rate in enumerate(10.0 ** generator.uniform(-4, -1, len(work.specs)))
    ]
    Block.train = counting  # type: ignore[assignment,method-assign]
    try:
        for _ in track(drive(pool, jobs, verdict), "busy", console=console, transient=True):
            pass
    finally:
        Block.train = train  # type: ignore[method-assign]
    return {"share of places in training": counted[0] / counted[1]}


def one_engine(work: Work, metric: str = "accuracy") -> Callable[[TrialSpec], tuple[Any, str]]:
    from nas.engines.compiled_engine import CompiledEngine, memory_of_device

    engine = CompiledEngine(work.folds, METRICS[metric], memory_of_device())
    return lambda spec: (engine, "")


def measure_large(name: str, n_trials: int) -> dict[str, float]:
    """One split of larger data: seconds from a cold start, in a worker."""
    from nas.encoding import FoldData
    from nas.encoding.shared_rows import share_rows

    folder = Path(os.environ.get("NAS_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    if name == "mnist":
        data = np.load(folder / "mnist.npz")
        x, y = data["x_train"].reshape(-1, 784) / 255.0, data["y_train"].astype(np.int64)
        task, words = "multiclass", {"depth": 3, "width": 256, "epochs": 20, "batch_size": 32}
        n_train, n_trials, scale = 48_000, min(n_trials, 100), (0.0, 1.0)
    else:
        data = np.load(folder / "california_published_split.npz")
        x, y = data["x_train"], data["y_train"]
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        task, words = "regression", {"depth": 3, "width": 384, "epochs": 100, "batch_size": 256}
        n_train, n_trials, scale = 13_200, min(n_trials, 200), (float(y.mean()), float(y.std()))
    x = x.astype(np.float32)
    train, val = slice(0, n_train), slice(n_train, None)
    fold = FoldData(task, x[train], y[train], x[val], y[val], *scale)  # type: ignore[arg-type]
    problem = Problem(task, x.shape[1], 10 if name == "mnist" else 1)  # type: ignore[arg-type]
    generator = np.random.default_rng(0)
    rates = 10.0 ** generator.uniform(-4, -2, n_trials)
    specs = [network(problem, **words, learning_rate=float(rate)) for rate in rates]
    work = Work((fold,), specs, list(range(n_trials)))
    started = time.perf_counter()
    pool = WorkerPool(1, gpus=(0,))
    try:
        folds = [share_rows(fold, pool.rows_folder)]  # as a search does
        pool.load(folds, METRICS["accuracy" if name == "mnist" else "rmse"], "compiled")
        results = train_all(pool, work, name)
    finally:
        pool.close()
    seconds = time.perf_counter() - started
    values = [result.fold_values[0] for result in results.values()]
    best = max(values) if name == "mnist" else min(values)
    return {"trials": n_trials, "seconds": seconds, "TFLOP": flops_of(work) / 1e12, "best": best}


def card() -> str:
    """Name of the GPU; empty without one."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.splitlines()[0].strip()


def measured(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, float]]]:
    work = digits_work(arguments.trials)
    slots = max(1, min(JOBS_OF_A_GPU, arguments.lanes // len(work.folds)))
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "cold": lambda: measure_cold(work),
        "again": lambda: measure_cold(work),
        "scores": lambda: measure_scores(work),
        "mnist": lambda: measure_large("mnist", arguments.trials),
        "california": lambda: measure_large("california", arguments.trials),
        # Last, since they take the GPU for this process.
        "rate": lambda: measure_rate(work, arguments.lanes),
        "busy": lambda: measure_busy(work, slots),
    }
    for name, measure in parts.items():
        if name in arguments.only:
            yield name, measure()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=500, help="of the parts rate and busy")
    parser.add_argument("--only", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--platform", default=devices.GPU_PLATFORM, help="of JAX")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    devices.GPU_PLATFORM = arguments.platform
    os.environ["JAX_PLATFORMS"] = arguments.platform
    name = card() if arguments.platform != "cpu" else "a processor, to try the code"
    if not name:
        console.print("No GPU was found: not measured.")
        return
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NAS_CACHE_DIR"] = cache
        for part, figures in measured(arguments):
            found[part] = figures
            table = Table(part, title=name)
            for title in figures:
                table.add_column(title)
            table.add_row("", *[f"{value:,.4g}" for value in figures.values()])
            console.print(table)
    if arguments.json is not None:
        everything = {"gpu": name, "machine": describe_machine(), "parts": found}
        arguments.json.write_text(json.dumps(everything, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
