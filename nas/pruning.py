"""Which trials go on: pure functions from the scores known at an epoch to a mask.

All trials report the mean over their folds after the same epoch, so a comparison is between
equals. Unlike Optuna's pruners, which judge one arriving trial at a time, these look at a whole
cohort at once: the answer does not depend on the order in which its trials were asked for.

Notation: `values` has the scores of the trials that wait for a verdict, shape (n_trials,);
`known` the scores that all other trials had at the same epoch, as keys of the direction
(`Direction.key`) in ascending order, shape (n_known,). They are kept in that order, so that a
verdict costs no more with many trials than with few. A score that is NaN is worse than any other.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.direction import Direction

REDUCTION_FACTOR = 3  # one trial of three goes on beyond a rung (Li et al. 2018, section 3.3)
MEDIAN_STARTUP_TRIALS = 5
RACING_SHARES = (1 / 4, 1 / 2)  # of a trial's own epochs, after which racing decides
RACING_FACTOR = 2  # one trial of two is safe at a rung of a race, and after its first epoch
FIRST_VAL_ROWS = 1000  # of the folds that racing trains first, at least
PROMOTION_FACTOR = 2  # one trial of two that have ended a stage goes on to the next


def rungs(max_epochs: int, reduction_factor: int = REDUCTION_FACTOR) -> tuple[int, ...]:
    """Epochs after which halving decides: `max_epochs` over powers of the reduction factor.

    The first epoch is left out: after one epoch a small learning rate looks worse than it is.
    """
    epochs: list[int] = []
    epoch = max_epochs / reduction_factor
    while round(epoch) >= 2:
        epochs.append(round(epoch))
        epoch /= reduction_factor
    return tuple(reversed(epochs))


def halving(
    values: Sequence[float],
    known: Sequence[float],
    direction: Direction,
    reduction_factor: int = REDUCTION_FACTOR,
) -> NDArray[np.bool_]:
    """Keeps the trials among the best `1 / reduction_factor` of all that reached this rung.

    Asynchronous successive halving (Li et al. 2020, MLSys, algorithm 2) for cohorts. Nothing is
    pruned before `reduction_factor` trials have reached the rung, and ties go on together.

    Returns:
        Mask of the trials to keep, shape (n_trials,).
    """
    own = [direction.key(value) for value in values]
    cohort = sorted(own)
    n = len(cohort) + len(known)
    places = -(-n // reduction_factor) if n >= reduction_factor else n
    return np.array(
        [math.isfinite(k) and _better(cohort, k) + _better(known, k) < places for k in own]
    )


def median(
    values: Sequence[float],
    known: Sequence[float],
    direction: Direction,
    n_startup_trials: int = MEDIAN_STARTUP_TRIALS,
) -> NDArray[np.bool_]:
    """Keeps the trials that are not worse than the median of the others at this epoch.

    Not quite the median stopping rule of Vizier (Golovin et al. 2017, section 3.2.2): that one
    compares a trial's best score so far with the running averages of completed trials. Here a
    trial's score after this epoch, by which it would be judged if it ended, is compared with the
    scores of all others after the same epoch, also of those that were pruned later or still train.
    So as many epochs are saved and the best trial is lost less often: without the pruned ones the
    bar rises with every trial that is pruned. Nothing is pruned before `n_startup_trials` other
    trials are known.

    Returns:
        Mask of the trials to keep, shape (n_trials,).
    """
    n = len(known)
    bar = (known[(n - 1) // 2] + known[n // 2]) / 2 if n >= n_startup_trials else -math.inf
    own = [direction.key(value) for value in values]
    return np.array([math.isfinite(key) and key >= bar for key in own])


def stages(val_rows: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The folds that racing trains first, and those that only the better trials go on to.

    The first ones have so many validation rows that their score tells networks apart. Where that
    takes more than half of the folds there is one stage.

    Args:
        val_rows: Validation rows of each fold.
    """
    folds, rows = tuple(range(len(val_rows))), 0
    for n, more in enumerate(val_rows, start=1):
        rows += more
        if rows >= FIRST_VAL_ROWS:
            return (folds[:n], folds[n:]) if 2 * n <= len(folds) else (folds,)
    return (folds,)


def promotes(
    value: float,
    known: Sequence[float],
    direction: Direction,
    reduction_factor: int = PROMOTION_FACTOR,
) -> bool:
    """Whether a trial goes on to the next stage: as asynchronous halving, and forgiving.

    It is among the best `1 / reduction_factor` of all that have ended the stage. Unlike at a rung,
    nobody goes on for being early but the first one: the next stage takes far longer.
    """
    key = direction.key(value)
    places = -(-(len(known) + 1) // reduction_factor)
    return math.isfinite(key) and _better(known, key) < places


def _better(ascending: Sequence[float], key: float) -> int:
    """How many are better than the key."""
    return len(ascending) - bisect_right(ascending, key)
