"""Sources of values for `SearchSpace.sample`; `optuna.Trial` is another one."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nas.space.vocabulary import Value

GRID_LEVELS = 5  # points that a continuous range has in a grid


class Suggester(Protocol):
    """What `SearchSpace.sample` needs of its source of values; `optuna.Trial` has it."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


class RandomSuggester:
    """Draws uniformly (or log-uniformly) from a seeded generator, and keeps what it drew."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)
        self.params: dict[str, Value] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        if log:
            drawn = math.exp(self._random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            value = min(max(round(drawn), low), high)
        else:
            value = low + step * self._random.randrange((high - low) // step + 1)
        self.params[name] = value
        return value

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        if step is not None:
            value = min(low + step * self._random.randrange(_n_steps(low, high, step)), high)
        elif log:
            drawn = math.exp(self._random.uniform(math.log(low), math.log(high)))
            value = min(max(drawn, low), high)
        else:
            value = self._random.uniform(low, high)
        self.params[name] = value
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self._random.choice(list(choices))
        self.params[name] = value
        return value


class GridWalk:
    """Suggests values of each parameter's grid, and keeps their positions.

    Args:
        prefix: Positions of the first parameters.
        seed: Draws the positions beyond the prefix; None takes the first of each.
    """

    def __init__(self, prefix: Sequence[int] = (), seed: int | str | None = None) -> None:
        self._prefix = prefix
        self._random = None if seed is None else random.Random(seed)
        self.indices: list[int] = []
        self.sizes: list[int] = []
        self.params: dict[str, Value] = {}

    def _take(self, name: str, values: Sequence[Any]) -> Any:
        position = len(self.indices)
        if position < len(self._prefix):
            index = self._prefix[position]
        else:
            index = self._random.randrange(len(values)) if self._random else 0
        self.indices.append(index)
        self.sizes.append(len(values))
        self.params[name] = values[index]
        return values[index]

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        if log:
            levels = sorted({round(v) for v in _levels(low, high, log=True)})
        else:
            levels = list(range(low, high + 1, step))
        return int(self._take(name, levels))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        if step is None:
            levels = sorted(set(_levels(low, high, log=log)))
        else:
            levels = [min(low + step * k, high) for k in range(_n_steps(low, high, step))]
        return float(self._take(name, levels))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._take(name, list(choices))


class Replay:
    """Suggests given values."""

    def __init__(self, params: Mapping[str, Value]) -> None:
        self._params = params

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return int(self._params[name])

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        return float(self._params[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._params[name]


def _n_steps(low: float, high: float, step: float) -> int:
    return math.floor((high - low) / step + 1e-9) + 1


def _levels(low: float, high: float, *, log: bool) -> list[float]:
    shares = [k / (GRID_LEVELS - 1) for k in range(1, GRID_LEVELS - 1)]
    if log:
        inner = [low * (high / low) ** share for share in shares]
    else:
        inner = [low + (high - low) * share for share in shares]
    return [low, *inner, high]  # the ends exactly, without rounding errors
