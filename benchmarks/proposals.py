"""Which sampler proposes best, and what it costs to propose several trials at once.

    python benchmarks/proposals.py

Random trials of the usual space are trained on a few sets, and a forest learns their scores; then
whole searches are simulated on the forest, whose errors are the noise of a score. The regret of a
search is how far what the forest says of its winner is from the best that the forest knows, as a
share of the distance between the best and the median.

With several workers, and more so on a GPU, a trial is proposed before the scores of those are known
that are in training. Here a search proposes so many trials, learns all their scores, and proposes
the next ones.
"""

import argparse
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from joblib import Parallel, delayed
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from quality_sets import is_error, never_tested
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.ensemble import ExtraTreesRegressor

from nas.searching import make_sampler
from nas.seeds import derive_seed
from nas.space import RandomSuggester, Replay, SearchSpace, load_space
from nas.spec import Problem

SETS = ("digits", "diabetes", "concrete")
# What is compared: how it is called, and how many trials are proposed at once.
WAYS = (
    *(("TPE, grouped", batch) for batch in (1, 2, 8, 16, 64)),
    *((name, 1) for name in ("TPE, each parameter by itself", "TPE, all together", "random")),
)
STARTUP = 10  # random trials first, as in a search of 100
KNOWN = 2000  # random settings of which the forest's best and median are taken


@dataclass(frozen=True)
class Landscape:
    """The scores of all settings of a space on a set, as a forest has learned them.

    Attributes:
        values: See `coded`.
        forest: From coded settings to scores, larger is better.
        distributions: Of all parameters that any setting has.
        noise: Standard deviation of a score around it, on settings that it did not learn.
        best: The best score of many random settings.
        median: Their median.
    """

    space: SearchSpace
    problem: Problem
    values: Mapping[str, Sequence[Any]]
    forest: Any
    distributions: dict[str, BaseDistribution]
    noise: float
    best: float
    median: float

    def score(self, params: dict[str, Any]) -> float:
        return float(self.forest.predict([coded(self.values, params)])[0])


def coded(values: Mapping[str, Sequence[Any]], params: Mapping[str, Any]) -> list[float]:
    """A setting as numbers, of which a forest asks no scale; what it does not have is -1.

    Args:
        values: The choices of each parameter that has words; those of a range are empty.
        params: The setting.
    """
    row = []
    for name, choices in values.items():
        value = params.get(name)
        if value is None:
            row.append(-1.0)
        else:
            row.append(float(choices.index(value) if choices else value))
    return row


def learn(name: str, n_trials: int) -> Landscape:
    """Trains random settings on rows that no test looks at, and learns their scores."""
    import nas

    space, (x, y) = load_space("tabular"), never_tested(name)
    without_first = SearchSpace(space.parameters, "tabular")
    with tempfile.TemporaryDirectory() as folder:
        study = nas.search(
            without_first, x, y, trials=n_trials, test_size=0.0, confirm=0, sampler="random",
            pruner="none", metric="rmse" if is_error(name) else "accuracy",
            storage=f"sqlite:///{folder}/nas.db", quiet=True,
        )  # fmt: skip
        trials = study.record.complete
        distributions = {k: d for t in study.optuna.trials for k, d in t.distributions.items()}
    sign = -1.0 if is_error(name) else 1.0
    values: dict[str, list[Any]] = {}
    for trial in trials:
        for parameter, value in trial.params.items():
            known = values.setdefault(parameter, [])
            if isinstance(value, str) and value not in known:
                known.append(value)
    rows = [coded(values, trial.params) for trial in trials]
    scores = np.array([sign * (trial.value or 0.0) for trial in trials])
    # One network that has diverged would stretch the scale of all others.
    scores = np.maximum(scores, 2 * np.median(scores) - scores.max())
    forest = ExtraTreesRegressor(300, min_samples_leaf=2, bootstrap=True, oob_score=True)
    forest.set_params(random_state=0).fit(rows, scores)
    spec = trials[0].spec
    assert spec is not None
    drawn = []
    for seed in range(KNOWN):
        suggester = RandomSuggester(seed)
        space.sample(suggester, spec.problem)
        drawn.append(coded(values, suggester.params))
    predicted = forest.predict(drawn)
    noise = float(np.std(scores - forest.oob_prediction_))
    best, median = float(predicted.max()), float(np.median(predicted))
    return Landscape(
        without_first, spec.problem, values, forest, distributions, noise, best, median
    )


def sampler_of(way: str, seed: int, index: int) -> BaseSampler:
    if way == "random":
        return make_sampler("random", seed, index, STARTUP)
    if way == "TPE, grouped":  # what a search has
        return make_sampler("tpe", seed, index, STARTUP)
    together = way == "TPE, all together"
    return TPESampler(
        n_startup_trials=STARTUP, multivariate=together, seed=derive_seed(way, seed, index)
    )


class _Read(dict[str, Any]):
    """Remembers what was read of it."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self.read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        self.read[name] = super().__getitem__(name)
        return self.read[name]


def used_params(landscape: Landscape, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of all that a setting has: a network without an embedding has no frequencies."""
    known = _Read(params)
    landscape.space.sample(Replay(known), landscape.problem)
    return known.read


def simulate(landscape: Landscape, way: str, batch: int, n_trials: int, seed: int) -> float:
    """The regret of one search."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # groups are experimental
    study = optuna.create_study(direction="maximize")
    random = np.random.default_rng(seed)
    # Also those that a setting does not have, as OptunaHub's union-multivariate TPE proposes them.
    given = landscape.distributions if way == "TPE, all together" else None
    told: list[tuple[float, float]] = []
    while len(told) < n_trials:
        asked: list[optuna.Trial] = []
        for _ in range(min(batch, n_trials - len(told))):
            study.sampler = sampler_of(way, seed, len(told) + len(asked))
            asked.append(study.ask(given))
            landscape.space.sample(asked[-1], landscape.problem)
        for trial in asked:
            score = landscape.score(used_params(landscape, trial.params))
            seen = score + landscape.noise * random.normal()
            study.tell(trial, seen)
            told.append((seen, score))
    return (landscape.best - max(told)[1]) / (landscape.best - landscape.median)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--settings", type=int, default=200, help="random ones that are trained")
    parser.add_argument("--trials", type=int, default=128, help="of a simulated search")
    parser.add_argument("--searches", type=int, default=40)
    options = parser.parse_args()
    console = Console()
    columns: dict[str, Sequence[str]] = {}
    for name in track(options.sets.split(","), "Sets", console=console, transient=True):
        landscape = learn(name, options.settings)
        cells = []
        for way, batch in WAYS:
            found = Parallel(n_jobs=-1)(
                delayed(simulate)(landscape, way, batch, options.trials, seed)
                for seed in range(options.searches)
            )
            cells.append(f"{np.mean(found):.3f} ± {np.std(found) / len(found) ** 0.5:.3f}")
        columns[name] = cells
    table = Table(title=f"Regret of {options.searches} searches of {options.trials} trials")
    for title in ("sampler", "at once", *columns):
        table.add_column(title, justify="left" if title == "sampler" else "right")
    for k, (way, batch) in enumerate(WAYS):
        table.add_row(way, str(batch), *(cells[k] for cells in columns.values()))
    console.print(table)


if __name__ == "__main__":
    main()
