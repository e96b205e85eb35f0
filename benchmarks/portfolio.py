"""The settings that a search of a space should try first.

    python benchmarks/portfolio.py --settings 60 --out portfolio.json
    python benchmarks/portfolio.py --out portfolio.json --choose 8

Trains the same random settings of the space on several sets, each on so many of five folds that
they have 1,000 validation rows, and chooses some of them greedily: each next one lowers the
mean regret over the sets the most. The regret of a set is how far its best chosen setting is from
its best of all, as a share of the distance between the best and the median. Last come the regrets
of settings that were chosen without each set. What is in the file already is not trained again.
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
from rich.console import Console
from rich.progress import track

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.encoding import encode_folds
from nas.engines.compiled_engine import CompiledEngine
from nas.engines.lanes import trial_lanes
from nas.engines.startup import start_jax
from nas.metrics import METRICS
from nas.seeds import derive_seed
from nas.space import RandomSuggester, SearchSpace, load_space

FOLDS = 5
VAL_ROWS = 1000  # of the folds that are trained, at least, or all folds
# Name: source and target. Test parts are never read.
SETS: dict[str, tuple[str, str | None]] = {
    "abalone": ("{data}/abalone.csv", "rings"),
    "cpu_act": ("{data}/cpu_act.npz", None),
    "adult": ("{data}/adult.csv", "income"),
    "california": ("{data}/california_published_split.npz", None),
    "digits": ("digits", None),
    "diabetes": ("diabetes", None),
    "breast_cancer": ("breast_cancer", None),
}


@dataclass(frozen=True)
class Trained:
    """One setting on one set.

    Attributes:
        number: Seed of the draw.
        scores: Mean over the trained folds after each epoch, larger is better; an error is negated.
    """

    set: str
    number: int
    params: dict[str, Any]
    scores: list[float]
    seconds: float


def train_set(
    name: str, data: str, space: SearchSpace, numbers: Sequence[int], console: Console
) -> list[Trained]:
    """Trains settings on a set."""
    start_jax()
    source, target = SETS[name]
    dataset = load_dataset(DataOptions(source.format(data=data), target))
    split = split_dataset(dataset, SplitOptions(folds=FOLDS))
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
        trained.append(Trained(name, number, dict(suggester.params), known, seconds))
    return trained


def regrets(trained: Sequence[Trained]) -> tuple[list[str], list[int], NDArray[np.float64]]:
    """Sets, settings that were trained on all of them, and their regrets, (settings, sets)."""
    by_set: dict[str, dict[int, float]] = {}
    for one in trained:
        by_set.setdefault(one.set, {})[one.number] = one.scores[-1]
    sets = list(by_set)
    numbers = sorted(set.intersection(*(set(found) for found in by_set.values())))
    values = np.array([[by_set[name][number] for name in sets] for number in numbers])
    best = values.max(axis=0)
    scale = np.maximum(best - np.median(values, axis=0), 1e-12)
    return sets, numbers, np.minimum((best - values) / scale, 5.0)


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


def show(trained: Sequence[Trained], n: int, console: Console) -> None:
    sets, numbers, regret = regrets(trained)
    params = {one.number: one.params for one in trained}
    chosen = choose(regret, n)
    console.print(f"{len(numbers)} settings on {', '.join(sets)}; mean regret after each of {n}:")
    for place in range(n):
        mean = regret[chosen[: place + 1]].min(axis=0).mean()
        setting = {k: _short(v) for k, v in params[numbers[chosen[place]]].items()}
        console.print(f"{mean:.3f}  - {json.dumps(setting)}", soft_wrap=True)
    console.print("\nChosen without a set, and its own regret then; of one random setting 1 or so:")
    for column, name in enumerate(sets):
        others = np.delete(regret, column, axis=1)
        without = choose(others, n)
        lowest = np.minimum.accumulate(regret[without, column])
        console.print(f"{name:16s} " + " ".join(f"{value:.2f}" for value in lowest))


def _short(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--space", default="tabular")
    parser.add_argument("--data", default="../shared/data", help="folder of the files")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--settings", type=int, default=0, help="settings to have been trained")
    parser.add_argument("--choose", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("portfolio.json"))
    options = parser.parse_args()
    console, space = Console(), load_space(options.space)
    trained: list[Trained] = []
    if options.out.exists():
        trained = [Trained(**one) for one in json.loads(options.out.read_text(encoding="utf-8"))]
    for name in options.sets.split(","):
        done = {one.number for one in trained if one.set == name}
        for start in range(0, options.settings, 10):
            numbers = [k for k in range(start, min(start + 10, options.settings)) if k not in done]
            if numbers:
                trained += train_set(name, options.data, space, numbers, console)
                content = json.dumps([asdict(one) for one in trained])
                options.out.write_text(content, encoding="utf-8")
    show(trained, options.choose, console)


if __name__ == "__main__":
    main()
