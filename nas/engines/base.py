"""The contract between the search and whatever trains its networks.

The search pulls: it starts a cohort of trials, advances all of them by whole epochs, says which
go on, and collects the results. An engine knows nothing of Optuna, and nothing of other cohorts.

Notation: axes are always trials, then folds. A lane is one trial on one fold.

What every engine guarantees, and `tests/contract.py` checks:

- A lane's result depends on its specification, its fold and its seed only, never on its company.
- Batches are drawn from `batch_order`, initial weights from `initial_weights`; from equal weights
  and batches, training agrees with Keras's `fit`.
- Dropped trials leave the others unchanged.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.metrics import Metric
from nas.seeds import derive_seed
from nas.spec import TrialResult, TrialSpec


class Cohort(ABC):
    """Trials in training, advanced together epoch by epoch."""

    @abstractmethod
    def advance(self, epochs: int = 1) -> NDArray[np.float64]:
        """Trains every running lane for some epochs and scores its validation part.

        A lane stops by itself after its specification's epochs, by early stopping, or when its
        loss is no longer finite.

        Returns:
            Score of each lane after its last epoch, shape (n_trials, n_folds); NaN where the lane
            diverged. Dropped trials keep their last scores.
        """

    @abstractmethod
    def running(self) -> NDArray[np.bool_]:
        """Trials that have a lane left to train, shape (n_trials,)."""

    @abstractmethod
    def keep(self, mask: Sequence[bool] | NDArray[np.bool_]) -> None:
        """Drops the trials that the mask, shape (n_trials,), does not keep."""

    @abstractmethod
    def finish(self) -> list[TrialResult]:
        """The results of all trials, dropped ones included, in the order of `start`."""

    @abstractmethod
    def weights(self, trial: int, fold: int) -> list[NDArray[np.float32]]:
        """A lane's weights, in the order of `build_model(spec).get_weights()`."""


class Engine(ABC):
    """Trains cohorts on given folds.

    Args:
        folds: Encoded folds, all equally wide.
        metric: What validation and training parts are scored by.
    """

    name: str

    def __init__(self, folds: Sequence[FoldData], metric: Metric) -> None:
        self.folds = tuple(folds)
        self.metric = metric

    @abstractmethod
    def start(self, specs: Sequence[TrialSpec], seeds: Sequence[int]) -> Cohort:
        """Prepares trials for training.

        Args:
            specs: The trials.
            seeds: One for each trial; a lane's seed is `lane_seed(seed, fold)`.
        """


def lane_seed(trial_seed: int, fold: int) -> int:
    """The seed of everything random in one lane."""
    return derive_seed("lane", trial_seed, fold)


def batch_order(seed: int, epoch: int, n_rows: int) -> NDArray[np.int32]:
    """The order in which a lane sees its training rows in an epoch, counted from 0."""
    generator = np.random.default_rng(derive_seed("batch order", seed, epoch))
    return generator.permutation(n_rows).astype(np.int32)
