"""How often `nas diagnose` names the right cause: planted faults, and healthy networks.

Networks that work are drawn at random on four data sets. Into some of them a fault is planted, one
each, and they are trained again with the same seed and rows. A network counts as healthy if it
comes within 0.05 of the best of three scikit-learn baselines, and a plant counts if it does harm
(its twin without the fault is better by 0.03; layers that add nothing do none by definition).
Neither criterion is known to the diagnosis. Its thresholds were set on other draws than those of
the default seed.

    python benchmarks/diagnosis.py                # 24 plants a fault, 240 healthy networks
    python benchmarks/diagnosis.py --plants 8     # a quick look
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from nas.analysis.causes import TITLES, find_causes
from nas.data import DataOptions, Dataset, Fold, load_dataset
from nas.encoding import FoldData
from nas.execution.pool import drive
from nas.execution.workers import WorkerPool
from nas.metrics import METRICS
from nas.space import RandomSuggester, Range, SearchSpace
from nas.spec import Architecture, Curves, Examination, Problem, TrialSpec

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)

N_TRAIN, N_VAL = 2400, 800
HEALTHY = SearchSpace(
    {
        "depth": Range(1, 3),
        "width": [64, 128],
        "activation": ["relu", "gelu", "tanh"],
        "normalization": ["none", "batch"],
        "optimizer": ["adam", "rmsprop"],
        "learning_rate": Range(7e-4, 3e-3, log=True),
        "l2": Range(1e-6, 1e-4, log=True),
        "dropout": Range(0.0, 0.3),
        "epochs": [15, 20, 25],
    }
)
SOURCES = {
    "digits": ("digits", None, None),
    "mnist": ("mnist.npz", None, None),
    "adult": ("adult.csv", "income", None),
    "california": ("california_housing.csv", "median_house_value", None),
}


@dataclass(frozen=True)
class Fault:
    """One way to spoil a network.

    Attributes:
        cause: What the diagnosis is to name.
        plant: From a working specification to the faulty one.
        rows: Which rows it trains on: see `spoil_rows`.
        only: Data sets on which it is a fault; all where empty.
        harmless: Whether it makes the network no worse, by definition.
        times: How many more of it are planted, because many do no harm.
        batch: Whether it is planted into networks with batch normalization alone; None where that
            does not matter.
    """

    cause: str
    plant: Callable[[TrialSpec], TrialSpec]
    rows: str = "all"
    only: tuple[str, ...] = ()
    harmless: bool = False
    times: int = 1
    batch: bool | None = None

    def fits(self, spec: TrialSpec) -> bool:
        """Whether it is a fault in this network."""
        has_batch = spec.in_words.normalization == "batch"
        return self.batch is None or self.batch == has_batch


def changed(spec: TrialSpec, depth: int | None = None, **fields: Any) -> TrialSpec:
    """A specification with other values in its architecture or training."""
    names = set(Architecture.__dataclass_fields__)
    architecture = {key: value for key, value in fields.items() if key in names}
    training = {key: value for key, value in fields.items() if key not in names}
    if depth is not None:
        architecture["units"] = (max(spec.in_words.units),) * depth
    return replace(
        spec,
        architecture=replace(spec.architecture, **architecture),
        training=replace(spec.training, **training),
    )


FAULTS = {
    "learning rate x 100": Fault(
        "learning_rate_too_high",
        lambda s: changed(s, learning_rate=100 * s.training.learning_rate),
        times=2,
    ),
    "learning rate / 1000": Fault(
        "learning_rate_too_low",
        lambda s: changed(s, learning_rate=s.training.learning_rate / 1000),
    ),
    "5 iterations": Fault(
        "too_few_epochs",
        lambda s: changed(s, batch_size=N_TRAIN, epochs=5),
    ),
    "12 sigmoid layers, small weights": Fault(
        "vanishing_gradients",
        lambda s: changed(s, depth=12, activation="sigmoid", initializer="normal(0.05)"),
        batch=False,  # which keeps signals and gradients from shrinking and growing
    ),
    "8 layers, large weights": Fault(
        "exploding_gradients",
        lambda s: changed(s, depth=8, activation="relu", initializer="normal(0.7)"),
        batch=False,
    ),
    "bias of -20": Fault(
        "dead_units",
        lambda s: changed(s, activation="relu", bias_initializer="constant(-20)"),
        batch=False,  # which takes biases and scales away
    ),
    "tanh, weights of deviation 30": Fault(
        "saturation",
        lambda s: changed(s, activation="tanh", initializer="normal(30)"),
        batch=False,
    ),
    "batch normalization, momentum 0.9999": Fault(
        "moving_averages",
        lambda s: changed(s, normalization_momentum=0.9999),
        batch=True,
        times=4,
    ),
    "5-unit layers": Fault(
        "too_narrow",
        lambda s: changed(s, units=(5,) * len(s.in_words.units)),
        only=("digits", "mnist"),
    ),
    "lambda = 1": Fault("over_regularized", lambda s: changed(s, l2=1.0)),
    "20 training rows": Fault("over_fitting", lambda s: changed(s, epochs=100), rows="few"),
    "shuffled labels": Fault("label_noise", lambda s: s, rows="shuffled"),
    "95 % of one class": Fault(
        "imbalanced", lambda s: s, rows="imbalanced", only=("digits", "mnist", "adult")
    ),
    "10 layers": Fault("idle_layers", lambda s: changed(s, depth=10, residual=True), harmless=True),
}


# Data


def read(name: str) -> Dataset:
    source, target, task = SOURCES[name]
    folder = Path(os.environ.get("NAS_DATA_DIR", "../shared/data"))
    if "." in source:
        source = str(folder / source)
    return load_dataset(DataOptions(source, target, task))


def spoil_rows(dataset: Dataset, how: str, seed: int) -> tuple[Dataset, Fold]:
    """The rows of a fold: `all`, `few` (20), with `shuffled` targets, or `imbalanced`."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(dataset.y))
    n_val = min(N_VAL, len(order) // 4)
    val, train = order[:n_val], order[n_val : n_val + N_TRAIN]
    if how == "few":
        train = train[:20]
    if how == "shuffled":
        y = dataset.y.copy()
        both = np.concatenate([train, val])
        y[both] = y[random.permutation(both)]
        dataset = replace(dataset, y=y)
    if how == "imbalanced":
        classes, counts = np.unique(dataset.y, return_counts=True)
        largest = classes[counts.argmax()]

        def keep(rows: Any) -> Any:
            is_largest = dataset.y[rows] == largest
            others = rows[~is_largest]
            return np.concatenate([rows[is_largest], others[: max(2, is_largest.sum() // 19)]])

        train, val = random.permutation(keep(train)), keep(val)
    return dataset, Fold(train, val)


def best_baseline(fold: FoldData) -> float:
    """The best of three scikit-learn models on the encoded rows: accuracy, or R squared."""
    classify = fold.task != "regression"
    models: list[Any] = (
        [LogisticRegression(max_iter=300), HistGradientBoostingClassifier(max_iter=60), SVC()]
        if classify
        else [Ridge(), HistGradientBoostingRegressor(max_iter=60), SVR()]
    )
    y = fold.y_train if classify else (fold.y_train - fold.target_mean) / fold.target_scale
    y_val = fold.y_val if classify else (fold.y_val - fold.target_mean) / fold.target_scale
    return max(
        float(make_pipeline(StandardScaler(), m).fit(fold.x_train, y).score(fold.x_val, y_val))
        for m in models
    )


def encode(dataset: Dataset, fold: Fold) -> tuple[FoldData, float]:
    from nas.encoding import encode_folds

    (data,) = encode_folds(dataset, [fold])
    return data, best_baseline(data) if len(fold.train) > 100 else float("nan")


# Training


@dataclass(frozen=True)
class Run:
    """One trained network.

    Attributes:
        data: Name of the data set.
        fault: Name of the fault; empty for a network as it was drawn.
        network: Number of the drawn network.
        spec, curves, examination: As a trial has them.
        good: Score that counts as working; NaN for plants.
    """

    data: str
    fault: str
    network: int
    spec: TrialSpec
    curves: Curves
    examination: Examination
    good: float


def train_all(
    pool: WorkerPool, specs: Sequence[TrialSpec], seeds: Sequence[int]
) -> list[tuple[Curves, Examination] | None]:
    """Trains specifications to their end."""
    results: list[tuple[Curves, Examination] | None] = [None] * len(specs)
    trials = enumerate(zip(specs, seeds, strict=True))
    jobs = [(job, spec, seed) for job, (spec, seed) in trials]
    for report in drive(pool, jobs, lambda report: bool(np.isfinite(report.scores).all())):
        if report is None:
            continue
        if report.result is not None and report.result.examination is not None:
            results[report.job] = (report.result.curves, report.result.examination)
        elif report.failure:
            console.print(f"  failed: {report.failure}")
    return results


def collect(
    n_plants: int, n_healthy: int, names: Sequence[str], causes: Sequence[str], seed: int
) -> list[Run]:
    runs: list[Run] = []
    for name in names:
        started = time.perf_counter()
        dataset = read(name)
        faults = [
            key
            for key, fault in FAULTS.items()
            if fault.cause in causes and (not fault.only or name in fault.only)
        ]
        for rows in sorted({"all", *(FAULTS[key].rows for key in faults)}):
            spoilt, fold = spoil_rows(dataset, rows, seed)
            pool = WorkerPool(2)
            try:
                data, baseline = pool.call(encode, spoilt, fold)
                pool.load(
                    [data], METRICS["r2" if data.task == "regression" else "accuracy"], "auto"
                )
                problem = Problem(dataset.task, data.x_train.shape[1], dataset.n_outputs)
                drawn = [
                    HEALTHY.sample(RandomSuggester(f"{seed} {k}"), problem)
                    for k in range(n_healthy)
                ]
                jobs = [("", k, spec) for k, spec in enumerate(drawn)] if rows == "all" else []
                for fault in faults:
                    if FAULTS[fault].rows != rows:
                        continue
                    n_sets = len(FAULTS[fault].only or SOURCES)
                    n = -(-n_plants * FAULTS[fault].times // n_sets)
                    fitting = [k for k, spec in enumerate(drawn) if FAULTS[fault].fits(spec)]
                    jobs += [(fault, k, FAULTS[fault].plant(drawn[k])) for k in fitting[:n]]
                results = train_all(pool, [spec for *_, spec in jobs], [k for _, k, _ in jobs])
            finally:
                pool.close()
            for (fault, k, spec), result in zip(jobs, results, strict=True):
                if result is not None:
                    runs.append(Run(name, fault, k, spec, *result, baseline - 0.05))
        console.print(f"{name}: {time.perf_counter() - started:.0f} s")
    return runs


# Counting


def judge(runs: Sequence[Run]) -> tuple[list[Run], list[Run], int, int]:
    """Healthy networks and harmful plants, and how many of each do not count."""
    drawn = {(run.data, run.network): run for run in runs if not run.fault}
    # `moving_value` is the score with which a network predicts.
    healthy = [run for run in drawn.values() if run.examination.moving_value >= run.good]
    works = {(run.data, run.network) for run in healthy}
    plants, harmless = [], 0
    for run in runs:
        if not run.fault or (run.data, run.network) not in works:
            continue
        twin = drawn[run.data, run.network].examination.moving_value
        own = run.examination.moving_value
        harm = not np.isfinite(own) or own < twin - 0.03
        if harm or FAULTS[run.fault].harmless or FAULTS[run.fault].cause == "imbalanced":
            plants.append(run)
        else:
            harmless += 1
    return healthy, plants, len(drawn) - len(healthy), harmless


def named(run: Run) -> list[str]:
    return [name for name, _, _ in find_causes(run.spec, run.curves, run.examination)]


def table_of(runs: Sequence[Run]) -> dict[str, Any]:
    """Prints precision and recall by cause, and returns them."""
    healthy, plants, not_working, harmless = judge(runs)
    causes = {id(run): named(run) for run in (*healthy, *plants)}
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("cause", "plants", "recall", "named first", "precision"):
        table.add_column(column, justify="left" if column == "cause" else "right")
    numbers: dict[str, Any] = {}
    for cause, title in TITLES.items():
        own = [run for run in plants if FAULTS[run.fault].cause == cause]
        if not own:
            continue
        found = sum(cause in causes[id(run)] for run in own)
        first = sum(causes[id(run)][:1] == [cause] for run in own)
        everywhere = sum(causes[id(run)][:1] == [cause] for run in (*healthy, *plants))
        numbers[cause] = {
            "plants": len(own),
            "recall": found / len(own),
            "recall_first": first / len(own),
            "precision": first / everywhere if everywhere else None,
        }
        row = numbers[cause]
        precision = f"{row['precision']:.2f}" if everywhere else "–"
        table.add_row(
            title, str(len(own)), f"{row['recall']:.2f}", f"{row['recall_first']:.2f}", precision
        )
    console.print(table)
    clean = sum(not causes[id(run)] for run in healthy)
    share = clean / max(len(healthy), 1)
    console.print(
        f"Healthy: {len(healthy)}, no cause named for {share:.1%}. Left out: {not_working} drawn "
        f"networks that do not work, {harmless} plants that do no harm."
    )
    confused: dict[str, int] = {}
    for run in (*healthy, *plants):
        wanted = FAULTS[run.fault].cause if run.fault else "nothing"
        got = (causes[id(run)] or ["nothing"])[0]
        if got != wanted:
            key = f"{run.data}, {run.fault or 'healthy'}: {got}"
            confused[key] = confused.get(key, 0) + 1
    for key, count in sorted(confused.items()):
        console.print(f"  {count:3d} {key}", style="dim")
    numbers["healthy"] = {"networks": len(healthy), "nothing_named": share}
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plants", type=int, default=24, help="plants of each fault")
    parser.add_argument("--healthy", type=int, default=60, help="networks of each data set")
    parser.add_argument("--seed", type=int, default=2, help="of the networks and rows")
    parser.add_argument("--data", nargs="*", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument(
        "--causes", nargs="*", choices=list(TITLES), default=list(TITLES), metavar="CAUSE",
        help="plant faults of these alone",
    )  # fmt: skip
    parser.add_argument("--runs", type=Path, metavar="FILE", help="keep the runs, or read them")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    kept = arguments.runs
    if kept is not None and kept.exists():
        runs = [
            Run(
                **{
                    **entry,
                    "spec": TrialSpec.from_dict(entry["spec"]),
                    "curves": Curves.from_dict(entry["curves"]),
                    "examination": Examination.from_dict(entry["examination"]),
                }
            )
            for entry in json.loads(kept.read_text(encoding="utf-8"))
        ]
    else:
        runs = collect(
            arguments.plants, arguments.healthy, arguments.data, arguments.causes, arguments.seed
        )
        if kept is not None:
            entries = [
                {
                    **{key: getattr(run, key) for key in ("data", "fault", "network", "good")},
                    **{
                        key: getattr(run, key).to_dict()
                        for key in ("spec", "curves", "examination")
                    },
                }
                for run in runs
            ]
            kept.write_text(json.dumps(entries), encoding="utf-8")
    numbers = table_of(runs)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
