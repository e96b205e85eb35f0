"""What trials have done so far, and which of their lanes train on: alike in all engines."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.data import FoldData
from nas.engines.base import Cohort
from nas.metrics import Metric, predictions_of
from nas.spec import Training, TrialResult


class TrialLog:
    """Losses and scores by epoch and fold.

    Attributes:
        active: Whether each fold trains on.
        scores: Validation score of each fold after its last epoch; NaN before the first one.
        epochs: Epochs that each fold has run.
        seconds: Wall time so far; the engine adds to it.
    """

    def __init__(self, training: Training, n_folds: int) -> None:
        self._training = training
        self.active = [training.epochs > 0] * n_folds
        self.scores = [float("nan")] * n_folds
        self.epochs = [0] * n_folds
        self.seconds = 0.0
        self._losses: list[list[float]] = []
        self._best_loss = [float("inf")] * n_folds
        self._stale_epochs = [0] * n_folds

    def record(self, fold: int, loss: float, score: float) -> None:
        """Notes an epoch of a fold; decides by early stopping and divergence whether it goes on."""
        training = self._training
        if len(self._losses) == self.epochs[fold]:
            self._losses.append([float("nan")] * len(self.epochs))
        self._losses[self.epochs[fold]][fold] = loss
        self.epochs[fold] += 1
        diverged = not np.isfinite(loss)
        self.scores[fold] = float("nan") if diverged else score
        if loss < self._best_loss[fold]:
            self._best_loss[fold], self._stale_epochs[fold] = loss, 0
        else:
            self._stale_epochs[fold] += 1
        stopped_early = 0 < training.early_stopping <= self._stale_epochs[fold]
        more = self.epochs[fold] < training.epochs
        self.active[fold] = more and not stopped_early and not diverged

    def result(self, train_values: list[float]) -> TrialResult:
        return TrialResult(
            fold_values=tuple(self.scores),
            train_values=tuple(train_values),
            losses=tuple(map(tuple, self._losses)),
            epochs=tuple(self.epochs),
            seconds=self.seconds,
        )


def score_outputs(
    metric: Metric, fold: FoldData, y: NDArray[Any], outputs: NDArray[np.float32]
) -> float:
    """Score of a network's outputs, (n, n_outputs); NaN without rows or with infinite outputs."""
    if not len(y) or not np.isfinite(outputs).all():
        return float("nan")
    prediction = predictions_of(fold.task, outputs, fold.target_mean, fold.target_scale)
    return metric.score(y, prediction)


class LoggedTrial(Protocol):
    """A trial in training, as an engine makes it."""

    log: TrialLog

    def run_epoch(self) -> None: ...

    def result(self) -> TrialResult: ...

    def weights(self, fold: int) -> list[NDArray[np.float32]]: ...


class TrialsInTurn(Cohort):
    """A cohort whose trials train one after the other; see `Cohort`."""

    def __init__(self, trials: Sequence[LoggedTrial]) -> None:
        self._trials = trials
        self._kept = np.ones(len(trials), dtype=bool)

    def advance(self, epochs: int = 1) -> NDArray[np.float64]:
        for trial, kept in zip(self._trials, self._kept, strict=True):
            for _ in range(epochs if kept else 0):
                trial.run_epoch()
        return np.array([trial.log.scores for trial in self._trials])

    def running(self) -> NDArray[np.bool_]:
        return np.asarray(self._kept & [any(trial.log.active) for trial in self._trials])

    def keep(self, mask: Sequence[bool] | NDArray[np.bool_]) -> None:
        self._kept &= np.asarray(mask, dtype=bool)

    def finish(self) -> list[TrialResult]:
        return [trial.result() for trial in self._trials]

    def weights(self, trial: int, fold: int) -> list[NDArray[np.float32]]:
        return self._trials[trial].weights(fold)
