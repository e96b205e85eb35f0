"""The settings that a search of a space should try first.

    python benchmarks/portfolio.py --settings 60 --out portfolio.json
    python benchmarks/portfolio.py --out portfolio.json --choose 8

Trains the same random settings of the space on several sets, each on so many of five folds that
they have 1,000 validation rows, and chooses some of them greedily: each next one lowers the
mean regret over the sets the most. The regret of a set is how far its best chosen setting is from
its best of all, as a share of the distance between the best and the median. Last come settings
that were chosen without each set, beside as many random ones, and the best of all. What is in the
file already is not trained again. No row is used that `quality.py` predicts, with any seed.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quality_sets import is_error, never_tested
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.special import comb

from nas.data import DataOptions, Dataset, SplitOptions, split_dataset
from nas.data.from_memory import dataset_from_memory
from nas.encoding import encode_folds
from nas.engines.compiled_engine import CompiledEngine
from nas.engines.lanes import trial_lanes
from nas.engines.startup import start_jax
from nas.metrics import METRICS
from nas.seeds import derive_seed
from nas.space import RandomSuggester, SearchSpace, load_space

FOLDS = 5
VAL_ROWS = 1000  # of the folds that are trained, at least, or all folds
SETS = (
    *("digits", "diabetes", "breast_cancer", "wine"),
    *("abalone", "california_published_split", "cpu_act", "adult"),
)


@dataclass(frozen=True)
class Trained:
    """One setting on one set.

    Attributes:
        number: Seed of the draw.
        scores: Mean over the trained folds after each epoch, larger is better; an error is negated.
        seconds: Of a processor.
        n_rows: Rows of the set without those that are kept for tests; 0 of an older file.
    """

    set: str
    number: int
    params: dict[str, Any]
    scores: list[float]
    seconds: float
    n_rows: int = 0


def read_dataset(name: str, data: Path | None) -> Dataset:
    """The rows of a set that no test looks at."""
    x, y = never_tested(name, data)
    return dataset_from_memory(x, y, DataOptions("", task="regression" if is_error(name) else None))


def train_set(
    name: str, dataset: Dataset, space: SearchSpace, numbers: Sequence[int], console: Console
) -> list[Trained]:
    """Trains settings on a set."""
    start_jax()
    split = split_dataset(dataset, SplitOptions(folds=FOLDS, test_size=0.0))
    rows = np.cumsum([len(fold.val) for fold in split.folds])
    n_folds = min(int(np.searchsorted(rows, VAL_ROWS)) + 1, FOLDS)
    folds = encode_folds(dataset, split.folds[:n_folds], scalings=space.scalings)
    is_error = dataset.task == "regression"
    engine = CompiledEngine(folds, METRICS["rmse" if is_error else "accuracy"])
    n_rows = max(len(fold.y_train) for fold in folds)
    problem = dataset.problem(folds[0].x_train.shape[1], n_rows)
    trained = []
    for number in track(numbers, name, console=console, transient=True):
        suggester = RandomSuggester(derive_seed("portfolio", number))
        spec = space.sample(suggester, problem)
        started = time.process_time()
        lanes = engine.start(trial_lanes(spec, number, n_folds))
        scores = lanes.advance(spec.training.epochs).mean(axis=0)
        seconds = time.process_time() - started
        signed = [-s if is_error else s for s in scores.tolist()]
        known = [s if np.isfinite(s) else -1e9 for s in signed]
        trained.append(
            Trained(name, number, dict(suggester.params), known, seconds, len(dataset.y))
        )
    return trained


@dataclass(frozen=True)
class Regrets:
    """The settings that were trained on all sets.

    Attributes:
        sets: Names of the sets.
        numbers: The settings.
        regret: Of each setting on each set, shape (settings, sets).
        best: The best score of each set.
        scale: What a regret of 1 is in scores.
    """

    sets: list[str]
    numbers: list[int]
    regret: NDArray[np.float64]
    best: NDArray[np.float64]
    scale: NDArray[np.float64]


def regrets(trained: Sequence[Trained]) -> Regrets:
    by_set: dict[str, dict[int, float]] = {}
    for one in trained:
        by_set.setdefault(one.set, {})[one.number] = one.scores[-1]
    sets = list(by_set)
    numbers = sorted(set.intersection(*(set(found) for found in by_set.values())))
    values = np.array([[by_set[name][number] for name in sets] for number in numbers])
    best = values.max(axis=0)
    scale = np.maximum(best - np.median(values, axis=0), 1e-12)
    return Regrets(sets, numbers, np.minimum((best - values) / scale, 5.0), best, scale)


def choose(regret: NDArray[np.float64], n: int) -> list[int]:
    """Rows that lower the mean of the lowest regrets the most, one after another."""
    chosen: list[int] = []
    lowest = np.full(regret.shape[1], np.inf)
    for _ in range(n):
        means = np.minimum(regret, lowest).mean(axis=1)
        means[chosen] = np.inf
        chosen.append(int(means.argmin()))
        lowest = np.minimum(lowest, regret[chosen[-1]])
    return chosen


def lowest_of_random(regret: NDArray[np.float64], n: int) -> float:
    """The mean over all choices of n settings of their lowest regret."""
    larger = np.arange(len(regret))[::-1]  # how many are not below each, from the lowest on
    return float(np.sum(np.sort(regret) * comb(larger, n - 1)) / comb(len(regret), n))


def show(trained: Sequence[Trained], n: int, console: Console) -> None:
    known = regrets(trained)
    params = {one.number: one.params for one in trained}
    n = min(n, len(known.numbers))
    chosen, told = choose(known.regret, n), ", ".join(known.sets)
    console.print(f"{len(known.numbers)} settings on {told}; mean regret after each of {n}:")
    for place in range(n):
        mean = known.regret[chosen[: place + 1]].min(axis=0).mean()
        setting = {k: _short(v) for k, v in params[known.numbers[chosen[place]]].items()}
        console.print(f"{mean:.3f}  - {json.dumps(setting)}", soft_wrap=True)
    table = Table(title=f"Best of {n} settings, accuracy or RMSE ↓")
    for title in ("set", "chosen without it", "random, mean", "all", "regret after each chosen"):
        table.add_column(title, justify="left" if title == "set" else "right")
    for column, name in enumerate(known.sets):
        without = choose(np.delete(known.regret, column, axis=1), n)
        lowest = np.minimum.accumulate(known.regret[without, column])
        random = lowest_of_random(known.regret[:, column], n)
        scores = known.best[column] - known.scale[column] * np.array([lowest[-1], random, 0.0])
        table.add_row(
            f"{name}{' ↓' if is_error(name) else ''}",
            *(f"{abs(score):.4f}" for score in scores),
            " ".join(f"{regret:.2f}" for regret in lowest),
        )
    console.print(table)


def _short(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--space", default="tabular")
    parser.add_argument("--data", type=Path, help="folder of the files; else NAS_DATA_DIR")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--settings", type=int, default=0, help="settings to have been trained")
    parser.add_argument("--choose", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("portfolio.json"))
    options = parser.parse_args()
    console, space = Console(), load_space(options.space)
    trained: list[Trained] = []
    if options.out.exists():
        trained = [Trained(**one) for one in json.loads(options.out.read_text(encoding="utf-8"))]
    for name in options.sets.split(",") if options.settings else ():
        dataset = read_dataset(name, options.data)
        if any(one.set == name and one.n_rows != len(dataset.y) for one in trained):
            raise SystemExit(f"{options.out} has other rows of {name}; give --out another name")
        done = {one.number for one in trained if one.set == name}
        for start in range(0, options.settings, 10):
            numbers = [k for k in range(start, min(start + 10, options.settings)) if k not in done]
            if numbers:
                trained += train_set(name, dataset, space, numbers, console)
                content = json.dumps([asdict(one) for one in trained])
                partial = options.out.with_suffix(".partial")
                partial.write_text(content, encoding="utf-8")
                partial.replace(options.out)
    show(trained, options.choose, console)


if __name__ == "__main__":
    main()
