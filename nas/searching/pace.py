"""What fits into the time of a search: one more trial, and the confirmation of the best ones."""

import time
from bisect import insort
from collections.abc import Sequence

from nas.engines.shapes import STEP_COST
from nas.options import SearchOptions
from nas.spec import TrialSpec

CONFIRMED = 5  # trials that are confirmed where nothing else is asked for
LEAST_COMPLETE = 20  # trials below which the best one is the best of few, and nothing is confirmed
CONFIRMING_SHARE = 0.25  # of a search's time, at the most
STARTING = 5.0  # seconds until other processes train, and have compiled
LARGE = 0.75  # quantile of the work of a trial, which the next one hardly exceeds


def work(spec: TrialSpec, epochs: int, n_folds: int) -> float:
    """The operations of training a network, or what takes as long.

    Args:
        spec: The network.
        epochs: How many epochs.
        n_folds: On how many folds.
    """
    n_rows = max(spec.problem.n_rows, 1)
    steps = spec.training.steps_per_epoch(n_rows)
    return epochs * n_folds * (6.0 * spec.n_weights * n_rows + STEP_COST * steps)


class Pace:
    """The work that was done in the time since training began, compilation included.

    Args:
        workers: Processes that train; a trial is trained by one of them.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._began: float | None = None
        self._done = 0.0
        self._whole: list[float] = []  # of each trial, if it is trained to its end; ascending

    def begin(self, whole: float) -> None:
        """Notes that a trial begins, and how much work all of it is."""
        if self._began is None:
            self._began = time.monotonic()
        insort(self._whole, whole)

    def note(self, done: float) -> None:
        """Notes work that was done."""
        self._done += done

    def fits(self, waiting: float, seconds: float) -> bool:
        """Whether one more trial could be trained to its end, if it is no larger than most.

        Args:
            waiting: Work that is to be done before: that of the trials in training.
            seconds: The time that is left.
        """
        if not self._done or self._began is None:  # nothing is known yet
            return True
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        whole = self._whole[int(LARGE * (len(self._whole) - 1))]
        return waiting + self._workers * whole <= rate * seconds


def most_confirmed(options: SearchOptions) -> int:
    """How many trials are confirmed at the most."""
    return CONFIRMED if options.confirm is None else options.confirm


def to_confirm(
    options: SearchOptions, seconds: Sequence[float], n_complete: int, workers: int
) -> tuple[int, float]:
    """How many trials are confirmed, and about how long that takes.

    Args:
        options: How to search; what is asked for is done, whatever the time.
        seconds: Time that the `most_confirmed` best complete trials took.
        n_complete: How many trials are complete.
        workers: Processes that train.
    """
    number = most_confirmed(options)
    if not number or (options.confirm is None and n_complete < LEAST_COMPLETE):
        return 0, 0.0
    time_taken = STARTING + max(sum(seconds) / workers, max(seconds, default=0.0))
    too_long = options.timeout is not None and time_taken > CONFIRMING_SHARE * options.timeout
    if too_long and options.confirm is None:
        return 0, 0.0
    return number, time_taken
