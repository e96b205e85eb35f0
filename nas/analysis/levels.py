"""The trials of a study by the value of one parameter, many values put into bins."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nas.architectures import CUSTOM, CustomArchitecture, Suggestion
from nas.direction import Direction
from nas.errors import NasError, did_you_mean
from nas.layers import Item
from nas.space import (
    Choice,
    Constant,
    Parameter,
    Range,
    SearchSpace,
    parse_space,
    shown_value,
)
from nas.study.record import StudyRecord, TrialRecord

MAX_LEVELS = 12  # whole numbers with more values than this are put into bins, like all others
BINS = 5  # as many as a grid has levels in a range, and each bin holds one of them
DEPTHS = ("depth", "layers", "n_layers", "num_layers")  # as functions call it
MIN_TRIALS = 10  # the random trials that a search begins with, unless it is told otherwise
# With half of all other settings bad, the chance that a value met bad ones only falls below
# one in twenty with the fifth trial.
MIN_LEVEL_TRIALS = 5


@dataclass(frozen=True)
class Group:
    """The trials of one level."""

    label: str
    value: Any
    complete: tuple[TrialRecord, ...]
    pruned: tuple[TrialRecord, ...]

    def best(self, direction: str) -> TrialRecord | None:
        """Its best complete trial."""
        sign = Direction(direction).sign
        return max(self.complete, key=lambda trial: sign * (trial.value or 0.0), default=None)


def searched_parameters(record: StudyRecord) -> list[str]:
    """Parameters that took more than one value in the complete trials, by first appearance."""
    seen: dict[str, set[object]] = {}
    for trial in record.complete:
        for name, value in trial.params.items():
            seen.setdefault(name, set()).add(value)
    return [name for name, values in seen.items() if len(values) > 1]


def group_trials(record: StudyRecord, parameter: str) -> tuple[Group, ...]:
    """The trials of a study by the value of a parameter, also values that none has.

    Raises:
        NasError: When no trial has the parameter.
    """
    trials = [trial for trial in record.counted if parameter in trial.params]
    if not trials:
        names = list(dict.fromkeys(name for trial in record.counted for name in trial.params))
        raise NasError(
            "--parameter",
            f"no trial of '{record.name}' has '{parameter}'",
            "one of " + ", ".join(names) if names else "a study that searched something",
            did_you_mean(parameter, names),
        )
    space = space_of(record)
    key = word_of(parameter, space)
    domain, is_int = space.parameters[key].domain, space.is_whole(key)
    return tuple(
        Group(
            label,
            value,
            tuple(t for t in trials if t.outcome == "complete" and holds(t.params[parameter])),
            tuple(
                t
                for t in trials
                if t.outcome in ("pruned", "diverged") and holds(t.params[parameter])
            ),
        )
        for label, value, holds in _levels(domain, key, is_int)
    )


def _levels(
    domain: Constant | Choice | Range, key: str, is_int: bool
) -> Iterator[tuple[str, Any, Callable[[Any], bool]]]:
    """Label, value and membership of each level of a word."""
    if isinstance(domain, Range):
        step = domain.step or (1 if is_int else None)
        if step and (domain.high - domain.low) / step < MAX_LEVELS:
            count = int((domain.high - domain.low) / step + 1e-9) + 1
            values: Sequence[Any] = [domain.low + step * k for k in range(count)]
            for value in map(int, values) if is_int else values:
                yield f"{value:g}", value, partial(_is_near, value=value, tolerance=1e-6 * step)
            return
        yield from _bins(domain, is_int)
        return
    for value in domain.values if isinstance(domain, Choice) else (domain.value,):
        yield show_value(key, value), value, partial(is_value, value=value)


def _bins(domain: Range, is_int: bool) -> Iterator[tuple[str, Any, Callable[[Any], bool]]]:
    low, high = (scaled(bound, domain) for bound in (domain.low, domain.high))
    edges = np.linspace(low, high, BINS + 1)
    for k in range(BINS):
        ends = [math.exp(edge) if domain.log else float(edge) for edge in edges[k : k + 2]]
        middle = float(edges[k : k + 2].mean())
        value: Any = math.exp(middle) if domain.log else middle
        label = "–".join(f"{end:.2g}" for end in ends)
        if is_int:
            value = round(value)
            first = math.ceil(ends[0] - 1e-9) if k == 0 else math.floor(ends[0] + 1e-9) + 1
            label = f"{first}–{math.floor(ends[1] + 1e-9)}"
        # The first and last bin have no outer end: rounding must not lose a trial at the bound.
        least = -math.inf if k == 0 else edges[k] + 1e-12
        most = math.inf if k == BINS - 1 else edges[k + 1] + 1e-12
        yield label, value, partial(_is_within, domain=domain, least=least, most=most)


def _is_near(found: float, value: float, tolerance: float) -> bool:
    return abs(found - value) <= tolerance


def is_value(found: Any, value: Any) -> bool:
    """Whether a trial has this value."""
    return bool(found == value)


def _is_within(found: float, domain: Range, least: float, most: float) -> bool:
    return least < scaled(found, domain) <= most


def scaled(value: float, domain: Range) -> float:
    """A number on the scale of its range: its logarithm where the space says so."""
    return math.log(value) if domain.log else float(value)


def show_value(parameter: str, value: Any) -> str:
    """A value in words, which `nas space new` understands."""
    value = shown_value(parameter, value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def depth_word(record: StudyRecord) -> str:
    """The word for depth in a study's space: `depth`, `blocks`, or `layers` of whole networks.

    Of a custom space the name that its function gives it, if it has one of the usual ones.
    """
    space = space_of(record)
    if space.network == CUSTOM:
        return next((name for name in DEPTHS if name in space.parameters), "depth")
    if "layers" in space.parameters:
        return "layers"
    return "blocks" if space.network == "cnn" else "depth"


def hidden_layers(item: Item) -> int:
    """How many hidden layers an item of the compact notation stands for."""
    return {"c": 1, "r": 2, "fc": 1}.get(item.kind, 0)


def word_of(parameter: str, space: SearchSpace) -> str:
    """The word of the space that a trial's parameter comes from: `width` for `width_3`."""
    of_a_layer = parameter.startswith("width_") and parameter not in space.parameters
    return "width" if of_a_layer else parameter


def space_of(record: StudyRecord) -> SearchSpace:
    """The space that a study searched; of a custom one, what its function suggested in trials."""
    space = parse_space(record.settings.space, name=record.name, is_stored=True)
    if space.network != CUSTOM:
        return space
    suggested: dict[str, Parameter] = {}
    for trial in record.trials:
        network = trial.spec.architecture if trial.spec else None
        if isinstance(network, CustomArchitecture):
            for suggestion in network.suggestions:
                domain = _joined(suggested.get(suggestion.name), suggestion)
                suggested[suggestion.name] = Parameter(domain)
    return space.with_suggested(suggested)


def _joined(known: Parameter | None, suggestion: Suggestion) -> Choice | Range:
    """What a parameter may be, with one suggestion more."""
    before = known.domain if known else None
    if suggestion.kind == "categorical":
        values = before.values if isinstance(before, Choice) else ()
        more = [value for value in suggestion.choices if value not in values]
        return Choice([*values, *more])  # type: ignore[list-item]  # None may be among them
    low, high = suggestion.low, suggestion.high
    if isinstance(before, Range):  # the bounds may depend on other parameters
        low, high = min(low, before.low), max(high, before.high)
    step = suggestion.step if suggestion.kind == "float" or suggestion.step != 1 else None
    return Range(low, high, suggestion.log, step)
