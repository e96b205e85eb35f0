"""Whether more or less of a score is better."""

import math
from enum import StrEnum


class Direction(StrEnum):
    """As Optuna's `StudyDirection`, equal to the strings that are stored and shown."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @property
    def sign(self) -> float:
        """1 where more is better, -1 where less is: for differences."""
        return 1.0 if self is Direction.MAXIMIZE else -1.0

    def key(self, value: float) -> float:
        """The score, negated where less is better: for `max`, `sorted` and differences.

        NaN becomes minus infinity, since it is worse than any score.
        """
        if math.isnan(value):
            return -math.inf
        return self.sign * value

    def better(self, a: float, b: float) -> bool:
        """Whether score `a` is better than score `b`; any score is better than NaN."""
        return self.key(a) > self.key(b)
