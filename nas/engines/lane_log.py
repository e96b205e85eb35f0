"""What lanes have done so far, and which of them train on: alike in all engines."""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.data.logarithms import from_logs
from nas.encoding import FoldData
from nas.engines.lanes import Lane, LaneResult, Lanes
from nas.metrics import Metric, pinball, predictions_of
from nas.spec import Examination, Loss

SMALLEST = 1e-300  # probability; smaller ones have fewer digits


class LaneLog:
    """Losses and scores of one lane by epoch.

    Attributes:
        lane: The lane.
        active: Whether it trains on.
        seconds: Wall time so far; the engine adds to it.
        best_loss: The lowest training loss of its epochs.
        stale_epochs: Epochs since then.
    """

    def __init__(self, lane: Lane, n_rows: int) -> None:
        self.lane = lane
        self._n_epochs = lane.spec.training.n_epochs(n_rows)
        self.active = self._n_epochs > 0
        self.seconds = 0.0
        self._train_loss: list[float] = []
        self._val_loss: list[float] = []
        self._val_value: list[float] = []
        self._scores: list[float] = []  # NaN where it diverged
        self.best_loss = float("inf")
        self.stale_epochs = 0

    @property
    def epochs(self) -> int:
        """Epochs that it has run."""
        return len(self._train_loss)

    @property
    def epochs_left(self) -> int:
        """Epochs that it would train for at the most."""
        return self._n_epochs - self.epochs if self.active else 0

    @property
    def score(self) -> float:
        """Validation score after its last epoch; NaN before the first one."""
        return self._scores[-1] if self._scores else float("nan")

    def scores(self, first: int, n: int) -> list[float]:
        """Scores after `n` epochs from `first` on, counted from 0; the last one repeats."""
        found = self._scores[first : first + n]
        return found + [self.score] * (n - len(found))

    def record(self, loss: float, val_loss: float, score: float, finite: bool) -> None:
        """Notes an epoch; decides by early stopping and divergence whether the lane goes on.

        Args:
            loss: Mean training loss, penalties included.
            val_loss: Loss on the validation part, without penalties.
            score: Score of the validation part.
            finite: Whether the loss and all outputs for the validation part are finite.
        """
        self._train_loss.append(loss)
        self._val_loss.append(val_loss)
        self._val_value.append(score)
        self._scores.append(score if finite else float("nan"))
        if loss < self.best_loss:
            self.best_loss, self.stale_epochs = loss, 0
        else:
            self.stale_epochs += 1
        stopped_early = 0 < self.lane.spec.training.early_stopping <= self.stale_epochs
        self.active = self.epochs < self._n_epochs and not stopped_early and finite

    def result(self, train_value: float, examination: Examination | None) -> LaneResult:
        return LaneResult(
            value=self.score,
            train_value=train_value,
            seconds=self.seconds,
            train_loss=tuple(self._train_loss),
            val_loss=tuple(self._val_loss),
            val_value=tuple(self._val_value),
            examination=examination,
        )


class LaneEnd(NamedTuple):
    """What is found out when a lane has ended.

    Attributes:
        train_value: Score on its training part.
        examination: Of its network, if that is wanted.
    """

    train_value: float
    examination: Examination | None


class LoggedLanes(Lanes):
    """Lanes with a log each; an engine says how they train an epoch.

    Args:
        folds: The engine's folds.
    """

    def __init__(self, folds: Sequence[FoldData]) -> None:
        self.folds = folds
        self.logs: dict[int, LaneLog] = {}  # by number
        self._n_added = 0

    def add(self, lanes: Sequence[Lane]) -> list[int]:
        numbers = list(range(self._n_added, self._n_added + len(lanes)))
        self._n_added += len(lanes)
        for number, lane in zip(numbers, lanes, strict=True):
            self.logs[number] = LaneLog(lane, len(self.folds[lane.fold].y_train))
        try:
            self._prepare(numbers)
        except Exception:  # of a network that cannot be made; the others know nothing of it
            self.release(numbers)
            raise
        return numbers

    def advance(self, epochs: int | Mapping[int, int] = 1) -> NDArray[np.float64]:
        wanted = dict.fromkeys(self.logs, epochs) if isinstance(epochs, int) else dict(epochs)
        before = {number: self.logs[number].epochs for number in wanted}
        running = {number: n for number, n in wanted.items() if self.logs[number].active}
        if running:
            self._train(running)
        most = max(wanted.values(), default=0)
        return np.array([self.logs[number].scores(first, most) for number, first in before.items()])

    def epochs(self, numbers: Sequence[int] | None = None) -> NDArray[np.int64]:
        return np.array([log.epochs for log in self._logs_of(numbers)], dtype=np.int64)

    def running(self, numbers: Sequence[int] | None = None) -> NDArray[np.bool_]:
        return np.array([log.active for log in self._logs_of(numbers)], dtype=bool)

    def _logs_of(self, numbers: Sequence[int] | None) -> list[LaneLog]:
        return [self.logs[n] for n in (self.logs if numbers is None else numbers)]

    def drop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.logs[number].active = False

    def results(self, numbers: Sequence[int] | None = None) -> list[LaneResult]:
        wanted = list(self.logs) if numbers is None else numbers
        with self._timed(wanted):
            ends = self._ended(wanted)
        return [self.logs[n].result(*end) for n, end in zip(wanted, ends, strict=True)]

    def release(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._forget(number)
            del self.logs[number]

    @contextmanager
    def _timed(self, numbers: Sequence[int]) -> Iterator[None]:
        """Shares the time of the block among lanes."""
        started = time.perf_counter()
        yield
        share = (time.perf_counter() - started) / max(len(numbers), 1)
        for number in numbers:
            self.logs[number].seconds += share

    @abstractmethod
    def _prepare(self, numbers: Sequence[int]) -> None:
        """Makes lanes ready that were added."""

    @abstractmethod
    def _train(self, epochs: Mapping[int, int]) -> None:
        """Trains running lanes for so many epochs each, and notes them in their logs."""

    @abstractmethod
    def _forget(self, number: int) -> None:
        """Lets go of what a lane has learned."""

    @abstractmethod
    def _ended(self, numbers: Sequence[int]) -> list[LaneEnd]:
        """What is found out when lanes have ended."""


def score_outputs(
    metric: Metric, fold: FoldData, y: NDArray[Any], outputs: NDArray[np.float32], loss: Loss
) -> tuple[float, float]:
    """Score and loss of a network's outputs, (n, n_outputs): see `score_epochs`."""
    ((score, mean_loss),) = score_epochs(metric, fold, y, outputs[None], loss)
    return score, mean_loss


def score_epochs(
    metric: Metric, fold: FoldData, y: NDArray[Any], outputs: NDArray[np.float32], loss: Loss
) -> list[tuple[float, float]]:
    """Score and loss of a network's outputs after each epoch, (epochs, n, n_outputs).

    Losses of a regression are those of the standardized target. Both are NaN without rows or with
    infinite outputs.
    """
    n_epochs, n, n_outputs = outputs.shape
    finite = np.isfinite(outputs).all(axis=(1, 2)) & (n > 0)
    results = [(float("nan"), float("nan"))] * n_epochs
    if not finite.any():
        return results
    outputs = outputs[finite].reshape(-1, n_outputs)
    # Of all epochs at once: a call for each would take longer than the arithmetic.
    predicted = _before_logs(fold, outputs, loss)
    y_of_loss = fold.for_loss(np.concatenate([y] * int(finite.sum())))
    losses = _row_losses(fold, y_of_loss, outputs, predicted, loss)
    prediction = from_logs(predicted, fold.log_shift)
    scored = zip(
        np.flatnonzero(finite),
        prediction.reshape(-1, n, *prediction.shape[1:]),
        losses.reshape(-1, n).mean(axis=1),
        strict=True,
    )
    for epoch, of_epoch, mean_loss in scored:
        results[epoch] = metric.score(y, of_epoch), float(mean_loss)
    return results


def predictions_on(fold: FoldData, outputs: NDArray[np.float32], loss: Loss) -> NDArray[Any]:
    """Outputs, (n, n_outputs), for rows of a fold as predictions; see `predictions_of`."""
    return from_logs(_before_logs(fold, outputs, loss), fold.log_shift)


def _before_logs(fold: FoldData, outputs: NDArray[np.float32], loss: Loss) -> NDArray[Any]:
    prediction = predictions_of(fold.task, outputs, fold.target_mean, fold.target_scale, loss)
    if fold.target_bounds is not None:
        prediction = np.clip(prediction, *fold.target_bounds)
    return prediction


def _row_losses(
    fold: FoldData,
    y: NDArray[Any],
    outputs: NDArray[np.float32],
    prediction: NDArray[Any],
    loss: Loss,
) -> NDArray[np.float64]:
    if fold.task == "regression":
        if loss == "quantile":
            of_quantiles = pinball(fold.quantiles, y, prediction)
            return np.asarray(of_quantiles.mean(axis=1) / fold.target_scale)
        losses = np.asarray(_REGRESSION[loss](np.abs(prediction - y) / fold.target_scale))
        return losses if losses.ndim == 1 else losses.mean(axis=1)
    if loss == "logistic":
        is_true = np.arange(outputs.shape[1]) == y.astype(np.int64)[:, None]
        return np.asarray(_softplus(np.where(is_true, -outputs, outputs)).sum(axis=1))
    if outputs.shape[1] == 1:
        return _softplus(np.where(y == 1, -outputs[:, 0], outputs[:, 0]))
    truth = y.astype(np.int64)[:, None]
    probability = np.take_along_axis(prediction, truth, axis=1)[:, 0]
    with np.errstate(divide="ignore"):
        losses = -np.log(probability)
    # Where a network is very wrong the probability is 0, and only the outputs tell how wrong.
    (wrong,) = np.nonzero(probability < SMALLEST)
    far = outputs[wrong].astype(np.float64)
    of_truth = np.take_along_axis(far, truth[wrong], axis=1)[:, 0]
    losses[wrong] = np.logaddexp.reduce(far, axis=1) - of_truth
    return np.asarray(losses)


def _softplus(x: NDArray[np.float32]) -> NDArray[np.float64]:
    x64 = x.astype(np.float64)
    return np.asarray(np.log1p(np.exp(-np.abs(x64))) + np.maximum(x64, 0.0))


_REGRESSION: dict[Loss, Callable[[Any], Any]] = {
    "squared": np.square,
    "absolute": np.asarray,
    "huber": lambda error: np.where(error <= 1.0, 0.5 * error**2, error - 0.5),
}
