"""The surrogate of a study: what score its trials let expect of a network."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from nas.analysis.levels import scaled, space_of, word_of
from nas.execution.processes import default_workers
from nas.seeds import derive_seed
from nas.space import Choice, Constant, Range
from nas.study.record import StudyRecord, TrialRecord

N_TREES = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Surrogate:
    """Bagged regression trees (Breiman 1996) that predict a trial's score from its parameters.

    Each tree grows on a resample of the trials. Their mean is the prediction, and the spread over
    trees the bootstrap of the trials; it holds a single tree's instability too, and so is rather
    too wide than too narrow.

    Attributes:
        columns: Encoding of each parameter: its columns, and a value as their entries.
        importance: Share of the trees' gain by parameter.
        trees: The trees.
    """

    columns: Mapping[str, tuple[slice, Callable[[Any], Sequence[float]]]]
    importance: Mapping[str, float]
    trees: tuple[DecisionTreeRegressor, ...]

    def encode(self, trials: Sequence[TrialRecord]) -> Array:
        """Parameters as numbers, shape (n_trials, n_columns); NaN where a trial lacks one."""
        width = max(where.stop for where, _ in self.columns.values())
        x = np.full((len(trials), width), np.nan)
        for row, trial in enumerate(trials):
            for name, (where, code) in self.columns.items():
                if name in trial.params:
                    x[row, where] = code(trial.params[name])
        return x

    def dependence(
        self, trials: Sequence[TrialRecord], parameter: str, values: Sequence[Any]
    ) -> list[tuple[float, tuple[float, float]]]:
        """Mean prediction over the trials, were the parameter of this value, with an interval."""
        x = self.encode(trials)
        where, code = self.columns[parameter]
        blocks = []
        for value in values:
            changed = x.copy()
            changed[:, where] = code(value)
            blocks.append(changed)
        stacked = np.concatenate(blocks).astype(np.float32)
        means = np.array(
            [tree.predict(stacked).reshape(len(values), -1).mean(axis=1) for tree in self.trees]
        )
        low, high = np.percentile(means, [2.5, 97.5], axis=0)
        return [
            (float(m), (float(a), float(b)))
            for m, a, b in zip(means.mean(axis=0), low, high, strict=True)
        ]


def fit_surrogate(record: StudyRecord, seed: int = 0) -> Surrogate:
    """Fits the surrogate of a study to its complete trials."""
    columns: dict[str, tuple[slice, Callable[[Any], Sequence[float]]]] = {}
    space, start = space_of(record), 0
    for name in dict.fromkeys(name for trial in record.complete for name in trial.params):
        code, width = _encoder(space.parameters[word_of(name, space)].domain)
        columns[name] = (slice(start, start + width), code)
        start += width
    empty = Surrogate(columns, {}, ())
    x = empty.encode(record.complete).astype(np.float32)
    y = np.array([trial.value for trial in record.complete])
    generator = np.random.default_rng(derive_seed("surrogate resamples", seed))
    resamples = generator.integers(0, len(y), (N_TREES, len(y)))

    def grow(number: int) -> DecisionTreeRegressor:
        rows = resamples[number]
        tree = DecisionTreeRegressor(random_state=derive_seed("surrogate tree", seed, number))
        return tree.fit(x[rows], y[rows])

    with ThreadPoolExecutor(default_workers()) as pool:
        trees = list(pool.map(grow, range(N_TREES)))
    gains = np.sum([tree.feature_importances_ for tree in trees], axis=0)
    total = float(gains.sum()) or 1.0
    importance = {name: float(gains[where].sum()) / total for name, (where, _) in columns.items()}
    return Surrogate(columns, importance, tuple(trees))


def _encoder(
    domain: Constant | Choice | Range,
) -> tuple[Callable[[Any], Sequence[float]], int]:
    """From a value to its entries, and how many there are."""
    if isinstance(domain, Range):
        return lambda value: (scaled(value, domain),), 1
    values = domain.values if isinstance(domain, Choice) else (domain.value,)
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return lambda value: (float(value),), 1
    return lambda value: tuple(float(value == other) for other in values), len(values)
