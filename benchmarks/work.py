"""What is trained in most benchmarks: the trials of one random search, on its folds."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from nas.space import Range, SearchSpace
from nas.spec import Problem, TrialSpec

if TYPE_CHECKING:
    from nas.encoding import FoldData

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

console = Console(highlight=False, markup=False, emoji=False)


@dataclass(frozen=True)
class Work:
    """What is trained: trial `k` has `specs[k]` and `seeds[k]`."""

    folds: tuple["FoldData", ...]
    specs: list[TrialSpec]
    seeds: list[int]

    def sample(self, n: int) -> list[int]:
        """Numbers of `n` trials, evenly spread over all of them in order of their weights."""
        by_size = sorted(range(len(self.specs)), key=lambda k: self.specs[k].n_weights)
        n = min(n, len(by_size))
        return sorted(by_size[int((i + 0.5) * len(by_size) / n)] for i in range(n))


def digits_work(n_trials: int) -> Work:
    """The trials that `nas search` proposes, on its folds."""
    from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
    from nas.encoding import encode_folds

    dataset = load_dataset(DataOptions("digits"))
    folds = encode_folds(dataset, split_dataset(dataset, SplitOptions()).folds)
    problem = dataset.problem(folds[0].x_train.shape[1], max(len(f.y_train) for f in folds))
    specs, seeds = draw_trials(n_trials, problem)
    return Work(folds, specs, seeds)


def draw_trials(n_trials: int, problem: Problem) -> tuple[list[TrialSpec], list[int]]:
    """Specifications and seeds of a random search, in its order."""
    import optuna

    from nas.searching.proposals import make_sampler
    from nas.seeds import derive_seed

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    specs, seeds = [], []
    for index in range(n_trials):
        study.sampler = make_sampler("random", 0, index, 0)
        specs.append(SPACE.sample(study.ask(), problem))
        seeds.append(derive_seed("trial", 0, index))
    return specs, seeds


def useful_flops(spec: TrialSpec, n_rows: float, folds: int) -> float:
    """Arithmetic that no way can avoid: that of the matrix products.

    A multiplication and an addition for each kernel weight and row, once forwards and twice
    backwards. (The first layer's gradient by its inputs is counted, though nobody needs it.)

    Args:
        spec: The trial.
        n_rows: Training rows of a fold, as a mean.
        folds: Number of folds.
    """
    sizes = [spec.problem.n_inputs, *spec.in_words.units, spec.problem.n_outputs]
    kernels = sum(a * b for a, b in itertools.pairwise(sizes))
    return 6.0 * kernels * n_rows * spec.training.epochs * folds
