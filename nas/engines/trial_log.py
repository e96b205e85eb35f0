"""What trials have done so far, and which of their lanes train on: alike in all engines."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.engines.base import Cohort
from nas.metrics import Metric, predictions_of
from nas.spec import Curves, Examination, Loss, Training, TrialResult


class TrialLog:
    """Losses and scores by epoch and fold.

    Attributes:
        active: Whether each fold trains on.
        scores: Validation score of each fold after its last epoch; NaN before the first one.
        epochs: Epochs that each fold has run.
        seconds: Wall time so far; the engine adds to it.
    """

    def __init__(self, training: Training, folds: Sequence[FoldData]) -> None:
        n_folds = len(folds)
        self._training = training
        self._n_epochs = [training.n_epochs(len(fold.y_train)) for fold in folds]
        self.active = [n_epochs > 0 for n_epochs in self._n_epochs]
        self.scores = [float("nan")] * n_folds
        self.epochs = [0] * n_folds
        self.seconds = 0.0
        self._curves: dict[str, list[list[float]]] = {
            "train_loss": [],
            "val_loss": [],
            "val_value": [],
        }
        self._best_loss = [float("inf")] * n_folds
        self._stale_epochs = [0] * n_folds

    def record(self, fold: int, loss: float, val_loss: float, score: float) -> None:
        """Notes an epoch of a fold; decides by early stopping and divergence whether it goes on.

        Args:
            fold: The fold.
            loss: Mean training loss, penalties included.
            val_loss: Loss on the validation part, without penalties.
            score: Score of the validation part.
        """
        training, epoch = self._training, self.epochs[fold]
        values = (loss, val_loss, score)
        for curve, value in zip(self._curves.values(), values, strict=True):
            if len(curve) == epoch:
                curve.append([float("nan")] * len(self.epochs))
            curve[epoch][fold] = value
        self.epochs[fold] += 1
        diverged = not np.isfinite(loss)
        self.scores[fold] = float("nan") if diverged else score
        if loss < self._best_loss[fold]:
            self._best_loss[fold], self._stale_epochs[fold] = loss, 0
        else:
            self._stale_epochs[fold] += 1
        stopped_early = 0 < training.early_stopping <= self._stale_epochs[fold]
        more = self.epochs[fold] < self._n_epochs[fold]
        self.active[fold] = more and not stopped_early and not diverged

    def result(self, train_values: list[float], examination: Examination | None) -> TrialResult:
        return TrialResult(
            fold_values=tuple(self.scores),
            train_values=tuple(train_values),
            epochs=tuple(self.epochs),
            seconds=self.seconds,
            curves=Curves(**{k: tuple(map(tuple, rows)) for k, rows in self._curves.items()}),
            examination=examination,
        )


def score_outputs(
    metric: Metric, fold: FoldData, y: NDArray[Any], outputs: NDArray[np.float32], loss: Loss
) -> tuple[float, float]:
    """Score and loss of a network's outputs, (n, n_outputs).

    Losses of a regression are those of the standardized target. Both are NaN without rows or with
    infinite outputs.
    """
    if not len(y) or not np.isfinite(outputs).all():
        return float("nan"), float("nan")
    prediction = predictions_of(fold.task, outputs, fold.target_mean, fold.target_scale, loss)
    if fold.task == "regression":
        losses = _REGRESSION[loss](np.abs(prediction - y) / fold.target_scale)
    elif loss == "logistic":
        truth = np.arange(outputs.shape[1]) == y.astype(np.int64)[:, None]
        losses = np.logaddexp(0.0, np.where(truth, -outputs, outputs)).sum(axis=1)
    else:
        # Of the outputs, not of the probabilities, which are 0 where a network is very wrong.
        logits = outputs if outputs.shape[1] > 1 else np.pad(outputs, [(0, 0), (1, 0)])
        of_truth = np.take_along_axis(logits, y.astype(np.int64)[:, None], axis=1)[:, 0]
        losses = np.logaddexp.reduce(logits, axis=1, dtype=np.float64) - of_truth
    return metric.score(y, prediction), float(losses.mean())


_REGRESSION: dict[Loss, Callable[[Any], Any]] = {
    "squared": np.square,
    "absolute": np.asarray,
    "huber": lambda error: np.where(error <= 1.0, 0.5 * error**2, error - 0.5),
}


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
