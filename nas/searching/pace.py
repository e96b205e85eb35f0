"""What the time of a search has room for: folds, one more trial, confirming the best ones."""

import math
import time
from collections.abc import Sequence
from typing import Any

from nas.engines.shapes import STEP_COST, program_of, unsupported
from nas.options import SearchOptions
from nas.pruning import FIRST_VAL_ROWS
from nas.spec import TrialSpec

CONFIRMED = 5  # trials that are confirmed where nothing else is asked for
LEAST_COMPLETE = 20  # trials below which the best one is the best of few, and nothing is confirmed
LEAST_ON_A_SPLIT = 8  # the same with a single split, whose scores have more luck in them
LEAST_CONFIRMED = 2  # with one, nothing is chosen
CONFIRMING_SHARE = 0.25  # of a search's time, at the most
STARTING = 5.0  # seconds until other processes train, and have compiled
COMPILING = 4.0  # seconds in which a worker compiles a program, or reads it from the disk
LEAST_TRAINING = 0.3  # of the time, if programs took less than that to compile
PRIOR = 10.0  # seconds of a worker that the usual rate counts for
USUALLY_TRAINED = 0.6  # of the epochs and folds of a trial; a pruner spares the rest
TRIAL_SHARE = 0.5  # of a search's time, which no trial may take longer than; but for the first one
FOLDS = (5, 3, 1)  # as many as the time has room for
PLANNED = 8  # trials of each worker that it has to have room for
SMALLER = 0.25  # quantile of the work of networks, which those of a short search do not exceed


def work(spec: TrialSpec, epochs: int, n_folds: int) -> float:
    """The operations of training a network, or what takes as long.

    Args:
        spec: The network.
        epochs: How many epochs.
        n_folds: On how many folds.
    """
    n_rows = max(spec.problem.n_rows, 1)
    steps = spec.training.steps_per_epoch(n_rows)
    operations = 6.0 * spec.members * spec.n_weights
    return epochs * n_folds * (operations * n_rows + STEP_COST * steps)


class Pace:
    """How fast trials train, and so which ones the time has room for.

    Args:
        workers: Processes that train; a trial is trained by one of them.
        timeout: Seconds of the whole search; None for as many as one likes.
    """

    def __init__(self, workers: int, timeout: float | None = None) -> None:
        self._workers = workers
        self._longest = math.inf if timeout is None else TRIAL_SHARE * timeout
        self._began: float | None = None
        self._done = 0.0
        self._usual_rate = 0.0
        self._programs: set[Any] = set()

    def begin(self, spec: TrialSpec) -> None:
        """Notes that a trial begins."""
        if self._began is None:
            self._began, self._usual_rate = time.monotonic(), _usual_rate(spec)
        self._programs.add(program_of(spec))

    def note(self, done: float) -> None:
        """Notes work that was done."""
        self._done += done

    def seconds(self, whole: float, spec: TrialSpec) -> float:
        """How long one worker takes to train a trial, and to compile its program if need be.

        Args:
            whole: All its work.
            spec: The trial.
        """
        compiling = 0.0 if program_of(spec) in self._programs else COMPILING
        return compiling + whole / self._rate if self._rate else 0.0

    def fits(self, own: float, waiting: float, seconds: float) -> bool:
        """Whether one more trial has room: it can end in time, and is no large part of the search.

        Args:
            own: Seconds that it takes, of `seconds`.
            waiting: Work that is to be done before: that of the trials in training.
            seconds: The time that is left.
        """
        if not self._rate:  # nothing is known yet
            return True
        return own <= self._longest and waiting / (self._workers * self._rate) + own <= seconds

    @property
    def _rate(self) -> float:
        """The work that a worker does in a second; 0 as long as nothing is known.

        As if the usual rate had been seen for some seconds, too: in the beginning, most of the
        work that was done is not told yet.
        """
        if not self._done or self._began is None:
            return 0.0
        elapsed = self._workers * (time.monotonic() - self._began)
        training = max(elapsed - COMPILING * len(self._programs), LEAST_TRAINING * elapsed, 0.0)
        return (self._done + PRIOR * self._usual_rate) / (training + PRIOR)


def planned_folds(specs: Sequence[TrialSpec], n_val: int, timeout: float) -> int:
    """How many folds the time has room for, where nobody has said it.

    So many that each worker can train at least `PLANNED` of the smaller networks on all of them; a
    single split only where its validation part tells networks apart by itself.

    Args:
        specs: Some networks of the space.
        n_val: Validation rows of a single split.
        timeout: Seconds of the search.
    """
    whole = sorted(work(spec, spec.n_epochs, 1) / _usual_rate(spec) for spec in specs)
    of_a_fold = whole[int(SMALLER * (len(whole) - 1))]
    telling = FOLDS if n_val >= FIRST_VAL_ROWS else FOLDS[:-1]
    fitting = (folds for folds in telling if folds * of_a_fold * PLANNED <= timeout)
    return next(fitting, telling[-1])


def _usual_rate(spec: TrialSpec) -> float:
    """The work that a core does in a second; that of convolutions is not in their weights."""
    return 1e9 if unsupported(spec) else 2e10


def most_confirmed(options: SearchOptions) -> int:
    """How many trials are confirmed at the most."""
    return CONFIRMED if options.confirm is None else options.confirm


def to_confirm(
    options: SearchOptions, seconds: Sequence[float], n_complete: int, workers: int, n_folds: int
) -> tuple[int, float]:
    """How many trials are confirmed, and about how long that takes.

    Args:
        options: How to search; what is asked for is done, whatever the time.
        seconds: Time that the `most_confirmed` best complete trials took, the best one first.
        n_complete: How many trials are complete.
        workers: Processes that train.
        n_folds: Of the search.
    """

    def taken(number: int) -> float:
        first = seconds[:number]
        return STARTING + max(sum(first) / workers, max(first, default=0.0))

    number = most_confirmed(options)
    if options.confirm is None:
        if n_complete < (LEAST_ON_A_SPLIT if n_folds == 1 else LEAST_COMPLETE):
            return 0, 0.0
        longest = math.inf if options.timeout is None else CONFIRMING_SHARE * options.timeout
        while number and taken(number) > longest:
            number -= 1
        if number < LEAST_CONFIRMED:
            return 0, 0.0
    return (number, taken(number)) if number else (0, 0.0)
