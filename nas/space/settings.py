"""Settings that come from outside a space and are to be trained first in its search.

A user gives them, or they were good in another study. Like the space's own `first`, one names
values of parameters that the space searches, and leaves the others to the sampler.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.architectures import CUSTOM
from nas.errors import NasError, did_you_mean
from nas.space.checks import LAYER, check_setting
from nas.space.domains import Range, SpaceError, share_of
from nas.space.given import read_value
from nas.space.space import SearchSpace
from nas.space.suggesters import RandomSuggester
from nas.space.vocabulary import WORDS, Value
from nas.space.yaml import load_settings
from nas.spec import Problem

# Random networks in which a value may have a meaning. To build one of a function's takes long.
DRAWS, DRAWS_OF_A_FUNCTION = 1000, 20
FILES = (".yaml", ".yml", ".json")
NEAR = 0.1  # of a range, below which two numbers are alike


def parse_enqueued(text: str) -> list[dict[str, Any]]:
    """Settings as `--enqueue` takes them; whether a space has them is for `fitting_settings`.

    Args:
        text: One setting such as `depth=2,width=128`, or a YAML or JSON file with a list of them.

    Raises:
        NasError: When it is neither.
    """
    if Path(text).suffix in FILES:
        return load_settings(Path(text))
    # A comma within a value, as in uniform(0, 0.01), has no name and = behind it.
    parts = [part.partition("=") for part in re.split(r",(?=\s*\w+\s*=)", text)]
    settings: dict[str, Any] = {}
    for name, equals, written in parts:
        key = name.strip()
        if not equals:
            raise NasError(
                "--enqueue", f"got '{text}'", "values such as depth=2,width=128, or a YAML file"
            )
        if key in settings:
            raise NasError("--enqueue", f"got '{key}' twice in '{text}'", "each parameter once")
        settings[key] = read_value(key, written.strip())
    return [settings]


def fitting_settings(
    space: SearchSpace, given: Sequence[Mapping[str, Any]], problem: Problem
) -> tuple[dict[str, Value], ...]:
    """Settings as plain values, all of which some trial of the space can have.

    Args:
        space: The space that is searched.
        given: Values by name of a trial's parameter.
        problem: What the data asks of a network.

    Raises:
        NasError: For the first value that the space does not have, or that has no meaning beside
            the others.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise NasError("--enqueue", f"got {given!r}", "a list of mappings such as {'depth': 2}")
    return tuple(_fitting(space, one, f"setting {n}", problem) for n, one in enumerate(given, 1))


def _fitting(space: SearchSpace, given: Any, place: str, problem: Problem) -> dict[str, Value]:
    if not isinstance(given, Mapping) or not given:
        raise NasError("--enqueue", f"{place} is {given!r}", "a mapping such as {'depth': 2}")
    settings = {key: _plain(key, value) for key, value in given.items()}
    for key, value in settings.items():
        # What a function suggests by itself is known when it is called.
        if space.network == CUSTOM and key not in WORDS:
            continue
        try:
            if not isinstance(value, bool | int | float | str):
                raise SpaceError("--enqueue", f"{place} has {key}: {value!r}", "a single value")
            check_setting("--enqueue", place, key, value, space.parameters)
        except SpaceError as error:
            raise NasError("--enqueue", error.received, error.expected, error.fix) from None
    asked: set[str] = set()
    for seed in range(DRAWS_OF_A_FUNCTION if space.network == CUSTOM else DRAWS):
        suggester = Completed(settings, seed)
        try:
            space.sample(suggester, problem)
        except OutsideError as outside:
            raise NasError("--enqueue", f"{place} has {outside}", outside.allowed) from None
        asked |= suggester.params.keys()
        if settings.keys() <= asked:
            return settings
    key = next(key for key in settings if key not in asked)
    received = f"{place} has {key}: {settings[key]!r}, which has no meaning beside its other values"
    if space.network == CUSTOM and key not in WORDS:
        received = f"{place} has {key}: {settings[key]!r}, which the function does not suggest"
        others = sorted(asked)
        raise NasError("--enqueue", received, "one of " + ", ".join(others),
                       did_you_mean(key, others))  # fmt: skip
    raise NasError("--enqueue", received, fix=f"Remove '{key}', or change what it depends on.")


def _plain(key: str, value: Any) -> Any:
    """A value as a trial has it: no word for a number, and no number of NumPy's."""
    word = WORDS.get("width" if LAYER.fullmatch(key) else key)
    value = value.item() if hasattr(value, "item") else value
    if word is None:
        return value
    value = word.plain(value)
    is_whole = word.kind == "int" and isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def shared_settings(
    space: SearchSpace, known: Mapping[str, Value], problem: Problem
) -> dict[str, Value]:
    """Those values of another study's trial that a space searches, and that have a meaning in it.

    Args:
        space: The space.
        known: The trial's values by name of its parameter.
        problem: What the data asks of a network.

    Raises:
        OutsideError: When the space has another range or other choices for one of them.
    """
    suggester = Completed(known, 0)
    space.sample(suggester, problem)
    return {key: value for key, value in suggester.params.items() if key in known}


def is_near(space: SearchSpace, one: Mapping[str, Value], other: Mapping[str, Value]) -> bool:
    """Whether two settings are so alike that to train both tells little.

    They have the same parameters and choices, and numbers that are less than a tenth of their
    range apart, on its scale.
    """
    if one.keys() != other.keys():
        return False
    return all(_is_near(space, key, one[key], other[key]) for key in one)


def _is_near(space: SearchSpace, key: str, one: Value, other: Value) -> bool:
    entry = space.parameters.get("width" if LAYER.fullmatch(key) else key)
    domain = entry.domain if entry is not None else None
    if not isinstance(domain, Range) or isinstance(one, str) or isinstance(other, str):
        return one == other
    return abs(share_of(domain, one) - share_of(domain, other)) < NEAR


class OutsideError(Exception):
    """A value is none of those that a space has for it.

    Attributes:
        allowed: Those, in words.
    """

    def __init__(self, name: str, value: Any, allowed: str) -> None:
        super().__init__(f"{name}: {value!r}, which is not among its values")
        self.allowed = allowed


class Completed:
    """A suggester that answers with known values, and draws the others at random.

    Args:
        known: Values by name.
        seed: Seeds the draws.

    Attributes:
        params: What it suggested.
    """

    def __init__(self, known: Mapping[str, Any], seed: int) -> None:
        self._known, self._random = known, RandomSuggester(seed)

    @property
    def params(self) -> dict[str, Value]:
        return self._random.params

    def _answer(self, name: str, is_right: bool, allowed: str) -> Any:
        value = self._known[name]
        if not is_right:
            raise OutsideError(name, value, allowed)
        self._random.params[name] = value
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        if name not in self._known:
            return self._random.suggest_int(name, low, high, step=step, log=log)
        value = self._known[name]
        is_right = _is_number(value) and value == int(value) and low <= value <= high
        is_right = is_right and not (value - low) % step
        allowed = f"a whole number from {low} to {high}" + f" in steps of {step}" * (step > 1)
        return int(self._answer(name, is_right, allowed))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        if name not in self._known:
            return self._random.suggest_float(name, low, high, step=step, log=log)
        value = self._known[name]
        is_right = _is_number(value) and low <= value <= high
        if is_right and step is not None:
            is_right = abs((value - low) / step - round((value - low) / step)) < 1e-9
        allowed = f"a number from {low:g} to {high:g}"
        allowed += f" in steps of {step:g}" if step is not None else ""
        return float(self._answer(name, is_right, allowed))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name not in self._known:
            return self._random.suggest_categorical(name, choices)
        allowed = "one of " + ", ".join(map(str, choices))
        return self._answer(name, self._known[name] in choices, allowed)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
