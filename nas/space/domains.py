"""What a parameter may be: a constant, one of several choices, or a range."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.errors import NasError
from nas.space.vocabulary import Value


@dataclass(frozen=True)
class Constant:
    """A parameter that always has one value."""

    value: Value


@dataclass(frozen=True)
class Choice:
    """A parameter that has one of several values, without an order.

    A list of values means the same.
    """

    values: tuple[Value, ...]

    def __init__(self, values: Sequence[Value]) -> None:
        object.__setattr__(self, "values", tuple(values))


@dataclass(frozen=True)
class Range:
    """A parameter between two numbers, both included.

    Attributes:
        low: The lowest value.
        high: The highest value.
        log: Whether values are drawn on a log scale.
        step: Distance between values; None is 1 for a whole number and no step for any other.
        prior: Where good values are believed to be: the random trials at the start of a search are
            drawn around it. None is no belief.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    prior: float | None = None


Domain = Constant | Choice | Range


@dataclass(frozen=True)
class Parameter:
    """One entry of a space.

    Attributes:
        domain: The values it may take.
        when: Values of other parameters for which it is searched; elsewhere it has its default.
        per_layer: Whether each hidden layer draws its own value (`width` only).
    """

    domain: Domain
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    per_layer: bool = False


class SpaceError(NasError):
    """A mistake in a search space; `key` and `part` say where, for the reader of the file."""

    def __init__(self, key: str, received: str, expected: str = "", fix: str = "") -> None:
        self.key = key
        super().__init__(key, received, expected, fix)


def share_of(domain: Range, value: float) -> float:
    """Where a value lies between the ends of a range, from 0 to 1, on its scale."""
    low, high = domain.low, domain.high
    if low == high:
        return 0.0
    if domain.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def value_at(domain: Range, share: float) -> float:
    """The inverse of `share_of`."""
    low, high = domain.low, domain.high
    value = low * (high / low) ** share if domain.log else low + (high - low) * share
    return min(max(value, low), high)


def parameter(value: Any, *, per_layer: bool = False, **when: Any) -> Parameter:
    """Makes a parameter of a space, with conditions if there are any.

    Args:
        value: A single value, a sequence of choices, a `Range` or `Choice`, or a `Parameter`.
        per_layer: Whether each hidden layer draws its own value.
        when: Conditions. `parameter(Range(0, 0.99), optimizer="sgd")` is searched only with SGD.
    """
    if isinstance(value, Parameter):
        return value
    domain: Domain
    if isinstance(value, Constant | Choice | Range):
        domain = value
    elif isinstance(value, Sequence) and not isinstance(value, str):
        domain = Choice(value)
    else:
        domain = Constant(value)
    conditions = {
        key: tuple(v) if isinstance(v, Sequence) and not isinstance(v, str) else (v,)
        for key, v in when.items()
    }
    return Parameter(domain, conditions, per_layer)
