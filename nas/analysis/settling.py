"""The search that would settle what the trials of a study cannot tell of a parameter."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from nas.analysis.experiment import SearchAgain
from nas.analysis.levels import BINS, MAX_LEVELS, MIN_LEVEL_TRIALS, space_of, word_of
from nas.analysis.surrogate import Surrogate
from nas.architectures import CUSTOM
from nas.direction import Direction
from nas.space import Choice, Constant, Parameter, Range, SearchSpace, mapping_from_space
from nas.space.checks import last_step
from nas.space.vocabulary import WORDS
from nas.study.record import StudyRecord, TrialRecord

MAX_GRID = 60  # trials that a grid of many points is left with
GRID_BOUND = 10_000


def settling_search(
    record: StudyRecord, parameter: str, surrogate: Surrogate | None
) -> SearchAgain | None:
    """A small grid: every value of the parameter, crossed with what matters most beside it.

    Everything else is as in the best trial that has the parameter, nothing is pruned, and data and
    folds are those of the study. Each value gets at least `MIN_LEVEL_TRIALS` trials, spread alike.
    None for a custom network, whose function no experiment changes.
    """
    space = space_of(record)
    if space.network == CUSTOM:
        return None
    key = word_of(parameter, space)
    having = [trial for trial in record.counted if parameter in trial.params]
    sign = Direction(record.direction).sign
    base = max(having, key=lambda t: -math.inf if t.value is None else sign * t.value)
    entries = _fixed(space, base, key)
    per_layer = parameter != key
    entries[key] = Parameter(_gridded(space.parameters[key].domain, key), per_layer=per_layer)
    trials, fewest = _grid_size(space, entries, parameter, record)
    alone = dict(entries)
    for name, domain in () if per_layer else _companions(space, key, base, surrogate):
        entries = {**alone, name: Parameter(domain)}
        trials, fewest = _grid_size(space, entries, parameter, record)
        if fewest >= MIN_LEVEL_TRIALS and trials <= MAX_GRID:
            break
    grid = SearchSpace(entries, name=f"{record.name}-{parameter}", network=space.network)
    return SearchAgain(
        mapping_from_space(grid), trials=min(trials, MAX_GRID), sampler="grid", pruner="none"
    )


def _fixed(space: SearchSpace, base: TrialRecord, key: str) -> dict[str, Parameter]:
    """The other parameters of the space, each with its value in one trial."""
    entries = {}
    for other, entry in space.parameters.items():
        if other == key:
            entries[other] = entry
        elif other in base.params:
            entries[other] = Parameter(Constant(base.params[other]))
        elif isinstance(entry.domain, Constant) and not entry.when:
            entries[other] = Parameter(entry.domain)
        elif entry.per_layer and base.spec is not None and base.spec.in_words.units:
            entries[other] = Parameter(Constant(max(base.spec.in_words.units)))
    return entries


def _gridded(domain: Constant | Choice | Range, key: str) -> Constant | Choice | Range:
    """The domain with few enough values for a grid."""
    if not isinstance(domain, Range):
        return domain
    if domain.step is not None:  # the study's space may be from before steps had to meet the end
        domain = replace(domain, high=last_step(domain.low, domain.high, domain.step))
    few = (domain.high - domain.low) / (domain.step or 1) < MAX_LEVELS
    if WORDS[key].kind != "int":
        return domain if few or domain.step is None else Range(domain.low, domain.high)
    if few or domain.log:
        # Each value is a level of its own, and a grid on a log scale would leave some out.
        return Range(domain.low, domain.high, step=domain.step) if few else domain
    step = math.ceil((domain.high - domain.low) / (BINS - 1))
    return Range(domain.low, domain.low + step * int((domain.high - domain.low) // step), step=step)


def _smallest(space: SearchSpace, key: str) -> float:
    """The smallest number that a parameter can be."""
    entry = space.parameters.get(key)
    if entry is None:
        return float(WORDS[key].default)
    match entry.domain:
        case Constant(value):
            return float(value)
        case Choice(values):
            return min(map(float, values))
        case Range(low=low):
            return low


def _companions(
    space: SearchSpace, key: str, base: TrialRecord, surrogate: Surrogate | None
) -> Iterator[tuple[str, Choice | Range]]:
    """Other parameters to vary beside this one, the most important first."""
    own = WORDS[key]
    conditions = {*space.parameters[key].when, *own.used_with, *own.at_least}
    shares = surrogate.importance if surrogate is not None else {"learning_rate": 2.0, "width": 1.0}
    for name in sorted(space.parameters, key=lambda name: -shares.get(name, 0.0)):
        entry, word = space.parameters[name], WORDS[name]
        if (
            name != key
            and name not in conditions
            and not (entry.when or word.used_with or entry.per_layer)
            and all(_smallest(space, other) >= least for other, least in word.at_least.items())
            and not isinstance(entry.domain, Constant)
        ):
            domain = _gridded(entry.domain, name)
            assert not isinstance(domain, Constant)
            yield name, domain
    # Nothing else was searched: what a fair comparison needs to adapt.
    other = "width" if space.network == "mlp" and "layers" not in space.parameters else "batch_size"
    name = "learning_rate" if key != "learning_rate" else other
    centre: float = base.params.get(name, WORDS[name].default)
    if base.spec is not None and name == "learning_rate":
        centre = base.spec.training.learning_rate
    low, high = centre / 4, centre * 4
    if WORDS[name].kind == "int":
        low, high = max(1, round(low)), max(1, round(high))
    yield name, Range(low, high, log=True)


def _grid_size(
    space: SearchSpace, entries: Mapping[str, Parameter], parameter: str, record: StudyRecord
) -> tuple[int, int]:
    """Points of the grid, and the fewest that share a value of the parameter; up to a bound."""
    grid = SearchSpace(entries, network=space.network).grid(record.settings.task)
    points = islice(grid, GRID_BOUND)
    counts = Counter(point.get(parameter) for point in points)
    return counts.total(), min(counts.values())
