"""The contract between a search and what trains its networks.

A lane is one network on one fold with one seed. An engine trains any list of lanes side by side:
the folds of a trial, some of its folds, several trials, or several seeds of one network. The search
pulls: it advances the lanes by whole epochs, drops some, adds others, and collects results. An
engine knows nothing of Optuna.

What every engine guarantees, and `tests/contract.py` checks:

- A lane's result depends on its specification, its fold and its seed only, never on its company.
- Batches are drawn from `batch_order`, initial weights from `initial_weights`; from equal weights
  and batches, training agrees with Keras's `fit`.
- Lanes that are dropped or added leave the others unchanged.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.engines.hashing import mixed, spread
from nas.metrics import Metric
from nas.seeds import derive_seed
from nas.spec import Curves, Examination, TrialResult, TrialSpec


@dataclass(frozen=True)
class Lane:
    """One network on one fold.

    Attributes:
        spec: The network and its training.
        fold: The position of the fold among the engine's.
        seed: Seeds everything random in it; see `lane_seed`.
        examined: Whether its network is looked into at the end.
    """

    spec: TrialSpec
    fold: int
    seed: int
    examined: bool = False


@dataclass(frozen=True)
class LaneResult:
    """What an engine hands back for one lane.

    Attributes:
        value: Validation score after its last epoch; NaN where it diverged.
        train_value: Score of the training part after its last epoch, without dropout.
        seconds: Wall time that it took, its share of what it shared with others included.
        train_loss: Mean loss of each epoch's batches, with penalties and dropout.
        val_loss: Loss of the validation part after each epoch, without either.
        val_value: Score of the validation part after each epoch.
        examination: What its network looks like inside; None where that was not asked for, or not
            possible.
    """

    value: float
    train_value: float
    seconds: float
    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    val_value: tuple[float, ...]
    examination: Examination | None = None


class Lanes(ABC):
    """Lanes in training, each with a number: its place in the order of adding.

    Where a method speaks of all lanes, those that were released are not among them.
    """

    @abstractmethod
    def add(self, lanes: Sequence[Lane]) -> list[int]:
        """Adds lanes, which begin with their first epoch; returns their numbers."""

    @abstractmethod
    def advance(self, epochs: int | Mapping[int, int] = 1) -> NDArray[np.float64]:
        """Trains running lanes for some epochs and scores their validation parts after each.

        A lane stops by itself after its specification's epochs, by early stopping, or when it
        diverges: its loss, or an output for a validation row, is no longer finite.

        Args:
            epochs: How many for every lane, or by the numbers of those that are to train.

        Returns:
            Scores after each of these epochs, shape (n_lanes, most epochs), of the lanes that were
            to train; NaN from where a lane diverged. A lane that has ended or was dropped keeps its
            last score.
        """

    @abstractmethod
    def epochs(self, numbers: Sequence[int] | None = None) -> NDArray[np.int64]:
        """Epochs that lanes have run, shape (n_lanes,); None is all of them."""

    @abstractmethod
    def running(self, numbers: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Which lanes would train on, shape (n_lanes,); None is all of them."""

    @abstractmethod
    def drop(self, numbers: Sequence[int]) -> None:
        """Ends lanes; what they have learned is kept for `results`."""

    @abstractmethod
    def results(self, numbers: Sequence[int] | None = None) -> list[LaneResult]:
        """The results so far of lanes; None is all of them."""

    @abstractmethod
    def weights(self, number: int) -> list[NDArray[np.float32]]:
        """A lane's weights, in the order of `build_model(spec).get_weights()`."""

    @abstractmethod
    def release(self, numbers: Sequence[int]) -> None:
        """Forgets lanes and what they have learned; running ones end."""


class Engine(ABC):
    """Trains lanes on given folds.

    Args:
        folds: Encoded folds, all equally wide.
        metric: What validation and training parts are scored by.
    """

    name: str

    def __init__(self, folds: Sequence[FoldData], metric: Metric) -> None:
        self.folds = tuple(folds)
        self.metric = metric

    @abstractmethod
    def start(self, lanes: Sequence[Lane]) -> Lanes:
        """Prepares lanes for training."""

    def epochs_at_once(self, spec: TrialSpec, n_lanes: int) -> int:
        """Epochs of so many lanes of a network after which a search should hear of them.

        As many as take a fraction of a second. It depends on the network only, never on the
        machine or its load.
        """
        return 1


def trial_lanes(
    spec: TrialSpec,
    seed: int,
    n_folds: int,
    replicates: int = 1,
    folds: Sequence[int] | None = None,
) -> list[Lane]:
    """The lanes of a trial on all folds, of which that of the first fold is examined.

    Args:
        spec: The network and its training.
        seed: Of the trial.
        n_folds: Folds that there are.
        replicates: How often each is trained, each time with other seeds.
        folds: Those that are trained; None is all of them. A lane is the same beside any others.
    """
    numbers = [k for k in range(n_folds * replicates) if folds is None or k % n_folds in folds]
    return [Lane(spec, k % n_folds, lane_seed(seed, k), examined=not k) for k in numbers]


def trial_result(lanes: Sequence[LaneResult]) -> TrialResult:
    """The results of a trial's lanes, in the order of its folds, as one."""
    longest = max(len(lane.train_loss) for lane in lanes)

    def by_epoch(name: str) -> tuple[tuple[float, ...], ...]:
        rows = [getattr(lane, name) for lane in lanes]
        filled = [row + (float("nan"),) * (longest - len(row)) for row in rows]
        return tuple(zip(*filled, strict=True))

    return TrialResult(
        fold_values=tuple(lane.value for lane in lanes),
        train_values=tuple(lane.train_value for lane in lanes),
        epochs=tuple(len(lane.train_loss) for lane in lanes),
        seconds=sum(lane.seconds for lane in lanes),
        curves=Curves(*map(by_epoch, ("train_loss", "val_loss", "val_value"))),
        examination=lanes[0].examination,
    )


def joined_results(first: TrialResult, second: TrialResult) -> TrialResult:
    """The results of a trial on some folds, and later on those that follow them, as one."""
    longest = max(len(first.curves.train_loss), len(second.curves.train_loss))

    def joined(name: str) -> tuple[tuple[float, ...], ...]:
        filled = []
        for result in (first, second):
            rows = getattr(result.curves, name)
            missing = (float("nan"),) * len(result.fold_values)
            filled.append([*rows, *[missing] * (longest - len(rows))])
        return tuple(a + b for a, b in zip(*filled, strict=True))

    return TrialResult(
        fold_values=first.fold_values + second.fold_values,
        train_values=first.train_values + second.train_values,
        epochs=first.epochs + second.epochs,
        seconds=first.seconds + second.seconds,
        curves=Curves(*map(joined, ("train_loss", "val_loss", "val_value"))),
        examination=first.examination or second.examination,
    )


def lane_seed(trial_seed: int, number: int) -> int:
    """The seed of everything random in one lane of a trial: its fold's, without replicates."""
    return derive_seed("lane", trial_seed, number)


def batch_order(seed: int, epoch: int, n_rows: int) -> NDArray[np.int32]:
    """The order in which a lane sees its training rows in an epoch, counted from 0.

    Sorted by a hash of each row's number, as a GPU can do it, too: see `program.order_of_rows`.
    """
    keys = mixed(spread(n_rows) ^ np.uint32(batch_order_seed(seed, epoch)))
    # Key and number in one, since NumPy sorts numbers far faster than it finds out an order.
    both = keys.astype(np.uint64) << np.uint64(32) | np.arange(n_rows, dtype=np.uint64)
    both.sort()
    order: NDArray[np.int32] = both.astype(np.uint32).astype(np.int32)
    return order


def batch_order_seed(seed: int, epoch: int) -> int:
    """The seed of a lane's order of rows in an epoch."""
    return derive_seed("batch order", seed, epoch)
