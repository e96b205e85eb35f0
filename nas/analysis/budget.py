"""Whether more trials would help, and how far the winner's score can be trusted."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nas.analysis.levels import MIN_TRIALS
from nas.direction import Direction
from nas.study.record import StudyRecord, TrialRecord
from nas.wording import counted

LEAST_TO_STOP = 30  # trials


@dataclass(frozen=True)
class Budget:
    """What trials bought.

    Attributes:
        expected: Numbers of trials, and the best score to be expected of as many.
        gap: How much better the winner scored over the folds than on the test part, in the
            metric's unit; negative where the test was better, None where it was not scored.
        gap_interval: 95 % interval of the gap, from that of the test score.
        advice: Whether more trials would help, in sentences.
    """

    expected: tuple[tuple[int, float], ...]
    gap: float | None
    gap_interval: tuple[float, float] | None
    advice: str


def budget(record: StudyRecord) -> Budget:
    """The expected best score against the number of trials, and the gap to the test.

    Raises:
        NasError: When no trial is complete.
    """
    best = record.best()
    scores = _scores(record)
    n = len(scores)
    sizes = [2**k for k in range(n.bit_length()) if 2**k < n] + [n]
    expected = tuple((size, expected_best(scores, size, record.direction)) for size in sizes)
    gap, gap_interval = _gap(record, best)
    return Budget(expected, gap, gap_interval, _advice(record, scores, best))


def why_enough(record: StudyRecord) -> str:
    """Why a search may end, in a sentence; empty where more trials may still be worth their time.

    Both what the second half of the trials was worth by chance (`expected_best`) and what it really
    brought are below half of the winner's standard error. It takes `LEAST_TO_STOP` trials.
    """
    if len(record.counted) < LEAST_TO_STOP or not record.complete:
        return ""
    scores, best = _scores(record), record.best()
    if best.stderr is None:
        return ""
    n, direction = len(scores), Direction(record.direction)
    gain = abs(expected_best(scores, n, direction) - expected_best(scores, n // 2, direction))
    first = [trial.value or 0.0 for trial in record.counted[: n // 2] if trial.value is not None]
    if not first:
        return ""
    brought = abs(max(map(direction.key, first)) - direction.key(_best_value(record)))
    if max(gain, brought) >= best.stderr / 2:
        return ""
    return (
        f"As many trials again would gain about {max(gain, brought):.2g}, less than half of the "
        f"winner's standard error of {best.stderr:.2g}."
    )


def _best_value(record: StudyRecord) -> float:
    """The best mean score over the folds of any trial."""
    better: Callable[..., float] = max if Direction(record.direction).sign > 0 else min
    return better(trial.value or 0.0 for trial in record.complete)


def expected_best(scores: Sequence[float], n: int, direction: str = "maximize") -> float:
    """The mean best score of n trials drawn from these, with replacement.

    Exactly, from the distribution of the largest of n (Dodge et al. 2019, EMNLP).
    """
    ordered = np.asarray(sorted(scores, key=Direction(direction).key))
    share = np.arange(len(ordered) + 1) / len(ordered)
    return float(ordered @ np.diff(share**n))


def _scores(record: StudyRecord) -> list[float]:
    """A score for each complete and pruned trial.

    A pruned one counts with its last epoch's, but never as better than the best: it would hardly
    have become that. One that diverged counts like the worst.
    """
    worse: Callable[..., float] = min if Direction(record.direction).sign > 0 else max
    best = _best_value(record)
    found = [_last_score(trial) for trial in record.counted if trial.outcome != "failed"]
    worst = worse([score for score in found if score is not None])
    return [worst if score is None else worse(score, best) for score in found]


def _last_score(trial: TrialRecord) -> float | None:
    if trial.value is not None:
        return trial.value
    if trial.outcome == "pruned" and trial.epoch_values:
        last = trial.epoch_values[max(trial.epoch_values)]
        return last if math.isfinite(last) else None
    return None


def _gap(record: StudyRecord, best: TrialRecord) -> tuple[float | None, tuple[float, float] | None]:
    winner = record.winner if record.winner.get("trial") == best.number else {}
    test, interval = winner.get("test_value"), winner.get("test_interval")
    if test is None or best.value is None:
        return None, None
    sign = Direction(record.direction).sign
    gap = sign * (best.value - test)
    if interval is None:
        return gap, None
    first, second = (sign * (best.value - bound) for bound in interval)
    return gap, (min(first, second), max(first, second))


def _advice(record: StudyRecord, scores: Sequence[float], best: TrialRecord) -> str:
    n = len(scores)
    if n < MIN_TRIALS:
        return f"{counted(n, 'trial')} cannot tell; it takes {MIN_TRIALS}."
    half = n // 2
    gain = abs(
        expected_best(scores, n, record.direction) - expected_best(scores, half, record.direction)
    )
    text = f"The second half of {n} trials is worth {gain:.2g}"
    if best.stderr is None:
        return f"{text}; with one fold there is no standard error to hold it against."
    against = f"the winner's standard error of {best.stderr:.2g}"
    if gain < best.stderr / 2:
        return f"{text}, less than half of {against}: more trials will hardly help."
    return f"{text}, not small against {against}: more trials may help."
