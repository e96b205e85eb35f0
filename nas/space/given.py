"""One given network: values by name, as `nas train --set` takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import yaml

from nas.errors import NasError, did_you_mean
from nas.space.domains import Constant, SpaceError
from nas.space.space import SearchSpace, layer_units
from nas.space.suggesters import RandomSuggester
from nas.space.vocabulary import MLP, Value
from nas.spec import Architecture, Problem, Training, TrialSpec


def parse_settings(texts: Sequence[str]) -> dict[str, Value]:
    """Values by parameter, from texts such as `depth=4`.

    Raises:
        NasError: When a text has no `=`, or names no parameter, or a value that it cannot have.
    """
    values: dict[str, Value] = {}
    for text in texts:
        key, equals, written = text.partition("=")
        key = key.strip()
        if not equals:
            raise NasError("--set", f"got '{text}'", "a parameter and its value, such as depth=4")
        word = MLP.get(key)
        if word is None:
            raise NasError(
                "--set", f"unknown parameter '{key}'", "one of " + ", ".join(MLP),
                did_you_mean(key, MLP),
            )  # fmt: skip
        value = _number(written.strip()) if word.kind in ("int", "float") else _plain(written)
        if not word.accepts(value):
            hint = did_you_mean(value, word.choices) if word.kind == "str" else ""
            raise NasError("--set", f"{key}: got '{written.strip()}'", word.allowed(), hint)
        values[key] = int(value) if word.kind == "int" else value
    return values


def given_spec(space: SearchSpace, values: Mapping[str, Value], problem: Problem) -> TrialSpec:
    """The network with these values; the rest is what the space fixes, or the word's default."""
    fixed = {
        key: entry
        for key, entry in space.parameters.items()
        if isinstance(entry.domain, Constant) and key not in values
    }
    try:
        given = SearchSpace({**fixed, **values}, network=space.network)
    except SpaceError as error:
        raise NasError("--set", str(error)) from error
    return given.sample(RandomSuggester(0), problem)


def changed_spec(spec: TrialSpec, values: Mapping[str, Value]) -> TrialSpec:
    """A network with other values; depth, width and shape replace all its hidden layers."""
    units = spec.architecture.units
    if {"depth", "width", "shape"} & values.keys():
        depth = int(values.get("depth", len(units)))
        width = int(values.get("width", max(units, default=int(MLP["width"].default))))
        units = layer_units(depth, width, str(values.get("shape", "constant"))) if depth else ()
    fields: dict[str, Any] = {**values, "units": units}
    architecture = {k: v for k, v in fields.items() if k in Architecture.__dataclass_fields__}
    training = {k: v for k, v in fields.items() if k in Training.__dataclass_fields__}
    return replace(
        spec,
        architecture=replace(spec.architecture, **architecture),
        training=replace(spec.training, **training),
    )


def params_of(space: SearchSpace, spec: TrialSpec) -> dict[str, Value] | None:
    """The parameters with which a space gives this network; None where it does not hold it."""
    units = spec.architecture.units
    words: dict[str, Value] = {
        **asdict(spec.architecture),
        **asdict(spec.training),
        "depth": len(units),
        "width": max(units, default=0),
        **{f"width_{number}": n for number, n in enumerate(units, start=1)},
    }
    shapes = MLP["shape"].choices if "shape" in space.parameters else ("constant",)
    for shape in shapes:
        known = _Known({**words, "shape": shape})
        try:
            same = space.sample(known, spec.problem) == spec
        except _OutsideError:
            continue
        if same:
            return known.params
    return None


class _OutsideError(Exception):
    """A value lies outside the domain that a space gives it."""


class _Known:
    """A suggester that answers with known values."""

    def __init__(self, words: Mapping[str, Value]) -> None:
        self._words = words
        self.params: dict[str, Value] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        value = int(self._words[name])
        if not low <= value <= high or (value - low) % step:
            raise _OutsideError
        self.params[name] = value
        return value

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        value = float(self._words[name])
        if not low <= value <= high:
            raise _OutsideError
        self.params[name] = value
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self._words[name]
        if value not in choices:
            raise _OutsideError
        self.params[name] = value
        return value


def _plain(text: str) -> Any:
    return yaml.safe_load(text)


def _number(text: str) -> Any:
    # YAML takes 1e-3 for a text.
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
