"""What depth, or any other parameter, does to the score, with the other parameters averaged out."""

import math
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from nas.analysis.reproduction import data_options
from nas.errors import NasError, did_you_mean
from nas.space import Choice, Constant, Parameter, Range, SearchSpace, parse_space
from nas.space.vocabulary import WORDS
from nas.study import StudyRecord, TrialRecord

MAX_LEVELS = 12  # whole numbers with more values than this are put into bins, like all others
BINS = 5  # as many as a grid has levels in a range, and each bin holds one of them
MIN_TRIALS = 10  # the random trials that a search begins with, unless it is told otherwise
# With half of all other settings bad, the chance that a value met bad ones only falls below
# one in twenty with the fifth trial.
MIN_LEVEL_TRIALS = 5
IMPORTANT = 0.1  # share of the surrogate's importance from which another parameter can mislead
CLUMPED = 0.9  # share of a value's trials in one third of another parameter's settings
N_TREES = 400
MAX_GRID = 60  # trials that a grid of many points is left with
GRID_BOUND = 10_000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """One value of a parameter, or one bin of many values.

    Attributes:
        label: The value or bin in words.
        value: The value; of a bin its middle, on the log scale where the space says so.
        estimate: Score that the surrogate expects, the other parameters averaged out; None where
            no complete trial has the value, or there are too few trials for a surrogate.
        interval: 95 % bootstrap interval of `estimate`, over trials.
        best: Best score of a complete trial with this value.
        best_trial: Number of that trial.
        n_complete: Complete trials with this value.
        n_pruned: Pruned and diverged ones.
    """

    label: str
    value: Any
    estimate: float | None
    interval: tuple[float, float] | None
    best: float | None
    best_trial: int | None
    n_complete: int
    n_pruned: int


@dataclass(frozen=True)
class Effect:
    """What a parameter does to the score.

    Attributes:
        parameter: Its name.
        levels: Its values, in the order of the space.
        rests_on: What the estimates rest on, in sentences.
        doubt: Why the trials cannot tell; empty where they can.
        command: What would settle it; empty where nothing is needed.
    """

    parameter: str
    levels: tuple[Level, ...]
    rests_on: str
    doubt: str
    command: str


@dataclass(frozen=True)
class Group:
    """The trials of one level."""

    label: str
    value: Any
    complete: tuple[TrialRecord, ...]
    pruned: tuple[TrialRecord, ...]

    def best(self, direction: str) -> TrialRecord | None:
        """Its best complete trial."""
        sign = 1.0 if direction == "maximize" else -1.0
        return max(self.complete, key=lambda trial: sign * (trial.value or 0.0), default=None)


def searched_parameters(record: StudyRecord) -> list[str]:
    """Parameters that took more than one value in the complete trials, by first appearance."""
    seen: dict[str, set[object]] = {}
    for trial in record.complete:
        for name, value in trial.params.items():
            seen.setdefault(name, set()).add(value)
    return [name for name, values in seen.items() if len(values) > 1]


def parameter_effect(
    record: StudyRecord, parameter: str, seed: int = 0, surrogate: "Surrogate | None" = None
) -> Effect:
    """Estimates the score for each value of a parameter, the other parameters averaged out.

    The estimate is the partial dependence (Friedman 2001, Annals of Statistics 29, section 8.2) of
    the study's surrogate, averaged over the complete trials that have the parameter.

    Args:
        record: A study.
        parameter: One of its parameters, by the name that a trial has it under.
        seed: Seeds the surrogate.
        surrogate: One of this study, where several parameters are asked for.

    Raises:
        NasError: When no trial has the parameter.
    """
    groups = group_trials(record, parameter)
    complete = [trial for group in groups for trial in group.complete]
    if surrogate is None and len(complete) >= MIN_TRIALS:
        surrogate = fit_surrogate(record, seed)
    reached = [group for group in groups if group.complete]
    estimates: dict[str, tuple[float, tuple[float, float]]] = {}
    if surrogate is not None and len(complete) >= MIN_TRIALS:
        found = surrogate.dependence(complete, parameter, [group.value for group in reached])
        estimates = {group.label: pair for group, pair in zip(reached, found, strict=True)}
    levels = []
    for group in groups:
        estimate, interval = estimates.get(group.label, (None, None))
        best = group.best(record.direction)
        levels.append(
            Level(
                label=group.label,
                value=group.value,
                estimate=estimate,
                interval=interval,
                best=best.value if best else None,
                best_trial=best.number if best else None,
                n_complete=len(group.complete),
                n_pruned=len(group.pruned),
            )
        )
    doubt = _doubt(groups, parameter, surrogate)
    command = _settling_command(record, parameter, surrogate) if doubt else ""
    return Effect(parameter, tuple(levels), _rests_on(record, groups), doubt, command)


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
    entry = _space(record).parameters[_key(parameter)]
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
        for label, value, holds in _levels(entry.domain, WORDS[_key(parameter)].kind == "int")
    )


def _levels(
    domain: Constant | Choice | Range, is_int: bool
) -> Iterator[tuple[str, Any, Callable[[Any], bool]]]:
    """Label, value and membership of each level."""
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
        yield _plain(value), value, partial(_is, value=value)


def _bins(domain: Range, is_int: bool) -> Iterator[tuple[str, Any, Callable[[Any], bool]]]:
    low, high = (_scaled(bound, domain) for bound in (domain.low, domain.high))
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


def _is(found: Any, value: Any) -> bool:
    return bool(found == value)


def _is_within(found: float, domain: Range, least: float, most: float) -> bool:
    return least < _scaled(found, domain) <= most


def _scaled(value: float, domain: Range) -> float:
    return math.log(value) if domain.log else float(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _key(parameter: str) -> str:
    """The word of the space that a trial's parameter comes from: `width` for `width_3`."""
    return "width" if parameter.startswith("width_") else parameter


def _space(record: StudyRecord) -> SearchSpace:
    return parse_space(record.settings["space"], name=record.name)


# The surrogate


@dataclass(frozen=True)
class Surrogate:
    """Bagged regression trees (Breiman 1996) that predict a trial's score from its parameters.

    Each tree grows on a resample of the trials. Their mean is the prediction, and the spread over
    trees the bootstrap of the trials; it holds a single tree's instability too, and so is rather
    too wide than too narrow.

    Attributes:
        columns: Encoding of each parameter: its columns, and a value as their entries.
        importance: Share of the trees' gain by parameter.
        trees: The trees.
    """

    columns: Mapping[str, tuple[slice, Callable[[Any], Sequence[float]]]]
    importance: Mapping[str, float]
    trees: tuple[DecisionTreeRegressor, ...]

    def encode(self, trials: Sequence[TrialRecord]) -> Array:
        """Parameters as numbers, shape (n_trials, n_columns); NaN where a trial lacks one."""
        width = max(where.stop for where, _ in self.columns.values())
        x = np.full((len(trials), width), np.nan)
        for row, trial in enumerate(trials):
            for name, (where, code) in self.columns.items():
                if name in trial.params:
                    x[row, where] = code(trial.params[name])
        return x

    def dependence(
        self, trials: Sequence[TrialRecord], parameter: str, values: Sequence[Any]
    ) -> list[tuple[float, tuple[float, float]]]:
        """Mean prediction over the trials, were the parameter of this value, with an interval."""
        x = self.encode(trials)
        where, code = self.columns[parameter]
        blocks = []
        for value in values:
            changed = x.copy()
            changed[:, where] = code(value)
            blocks.append(changed)
        stacked = np.concatenate(blocks).astype(np.float32)
        means = np.array(
            [tree.predict(stacked).reshape(len(values), -1).mean(axis=1) for tree in self.trees]
        )
        low, high = np.percentile(means, [2.5, 97.5], axis=0)
        return [
            (float(m), (float(a), float(b)))
            for m, a, b in zip(means.mean(axis=0), low, high, strict=True)
        ]


def fit_surrogate(record: StudyRecord, seed: int = 0) -> Surrogate:
    """Fits the surrogate of a study to its complete trials."""
    columns: dict[str, tuple[slice, Callable[[Any], Sequence[float]]]] = {}
    parameters, start = _space(record).parameters, 0
    for name in dict.fromkeys(name for trial in record.complete for name in trial.params):
        code, width = _encoder(parameters[_key(name)].domain)
        columns[name] = (slice(start, start + width), code)
        start += width
    empty = Surrogate(columns, {}, ())
    x = empty.encode(record.complete).astype(np.float32)
    y = np.array([trial.value for trial in record.complete])
    generator = np.random.default_rng(seed)
    trees, gains = [], np.zeros(start)
    for tree_seed in range(N_TREES):
        rows = generator.integers(0, len(y), len(y))
        tree = DecisionTreeRegressor(random_state=tree_seed).fit(x[rows], y[rows])
        gains += tree.feature_importances_
        trees.append(tree)
    total = float(gains.sum()) or 1.0
    importance = {name: float(gains[where].sum()) / total for name, (where, _) in columns.items()}
    return Surrogate(columns, importance, tuple(trees))


def _encoder(
    domain: Constant | Choice | Range,
) -> tuple[Callable[[Any], Sequence[float]], int]:
    """From a value to its entries, and how many there are."""
    if isinstance(domain, Range):
        return lambda value: (_scaled(value, domain),), 1
    values = domain.values if isinstance(domain, Choice) else (domain.value,)
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return lambda value: (float(value),), 1
    return lambda value: tuple(float(value == other) for other in values), len(values)


# What the trials cannot tell, and what would


def _rests_on(record: StudyRecord, groups: Sequence[Group]) -> str:
    n_complete = sum(len(group.complete) for group in groups)
    n_pruned = sum(len(group.pruned) for group in groups)
    text = f"Rests on {n_complete} complete trials."
    without = len(record.complete) - n_complete
    if without:
        text = f"Rests on the {n_complete} complete trials that have it; {without} have not."
    if n_pruned:
        text += (
            f" {n_pruned} pruned ones have no final score and are only counted:"
            " the estimates are of networks that survived."
        )
    return text


def _doubt(groups: Sequence[Group], parameter: str, surrogate: Surrogate | None) -> str:
    n_complete = sum(len(group.complete) for group in groups)
    if n_complete < MIN_TRIALS:
        return f"{_trials(n_complete)} for all values together; it takes {MIN_TRIALS} to estimate."
    reasons = []
    few = [group for group in groups if len(group.complete) < MIN_LEVEL_TRIALS]
    if few:
        names = ", ".join(f"{group.label} ({len(group.complete)})" for group in few)
        reasons.append(f"Fewer than {MIN_LEVEL_TRIALS} complete trials at {names}.")
    if surrogate is not None:
        reasons += [
            reason
            for group in groups
            if len(group.complete) >= MIN_LEVEL_TRIALS
            for reason in _clumps(group, groups, parameter, surrogate)
        ]
    return " ".join(reasons)


def _trials(count: int) -> str:
    return f"{count} complete trial{'s' if count != 1 else ''}"


def _clumps(
    group: Group, groups: Sequence[Group], parameter: str, surrogate: Surrogate
) -> Iterator[str]:
    """Where nearly all trials of a level share a setting that few others have.

    There the forest cannot tell the level from the setting.
    """
    others = [trial for other in groups if other is not group for trial in other.complete]
    for name, share in surrogate.importance.items():
        if name == parameter or share < IMPORTANT:
            continue
        mine = [trial.params[name] for trial in group.complete if name in trial.params]
        theirs = [trial.params[name] for trial in others if name in trial.params]
        if len(mine) < MIN_LEVEL_TRIALS or len(theirs) < MIN_LEVEL_TRIALS:
            continue
        for words, holds in _settings(theirs):
            here = sum(map(holds, mine)) / len(mine)
            there = sum(map(holds, theirs)) / len(theirs)
            if here >= CLUMPED and there < 0.5:
                yield (
                    f"At {group.label}, {100 * here:.0f} % of the trials have {name} {words}; "
                    f"of the others {100 * there:.0f} %."
                )


def _settings(values: Sequence[Any]) -> Iterator[tuple[str, Callable[[Any], bool]]]:
    """The thirds of numbers, or each category."""
    if any(isinstance(value, str | bool) for value in values):
        for value in dict.fromkeys(values):
            yield _plain(value), partial(_is, value=value)
        return
    first, second = np.quantile(values, [1 / 3, 2 / 3])
    yield f"up to {first:.3g}", lambda v: bool(v <= first)
    yield f"from {first:.3g} to {second:.3g}", lambda v: bool(first < v <= second)
    yield f"above {second:.3g}", lambda v: bool(v > second)


def _settling_command(record: StudyRecord, parameter: str, surrogate: Surrogate | None) -> str:
    """A small grid: every value of the parameter, crossed with what matters most beside it.

    Everything else is as in the best trial that has the parameter, nothing is pruned, and data and
    folds are those of the study. Each value gets at least `MIN_LEVEL_TRIALS` trials, spread alike.
    """
    space, key = _space(record), _key(parameter)
    having = [trial for trial in record.counted if parameter in trial.params]
    sign = 1.0 if record.direction == "maximize" else -1.0
    base = max(having, key=lambda t: -math.inf if t.value is None else sign * t.value)
    entries = _fixed(space, base, key)
    per_layer = parameter != key
    entries[key] = Parameter(_gridded(space.parameters[key].domain, key), per_layer=per_layer)
    trials, fewest = _grid_size(entries, parameter, record)
    alone = dict(entries)
    for name, domain in () if per_layer else _companions(space, key, base, surrogate):
        entries = {**alone, name: Parameter(domain)}
        trials, fewest = _grid_size(entries, parameter, record)
        if fewest >= MIN_LEVEL_TRIALS and trials <= MAX_GRID:
            break
    name = f"{record.name}-{parameter}"
    file = shlex.quote(f"{name}.yaml")
    words = [f"--{entry.replace('_', '-')} {_option(entries[entry])}" for entry in entries]
    new = f"nas space new {file} {' '.join(words)}"
    search = f"nas search --space {file} --sampler grid --pruner none"
    search += f" --trials {min(trials, MAX_GRID)}"
    return f"{new} && {search} {shlex.join(data_options(record))}"


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
        elif entry.per_layer and base.spec is not None and base.spec.architecture.units:
            entries[other] = Parameter(Constant(max(base.spec.architecture.units)))
    return entries


def _gridded(domain: Constant | Choice | Range, key: str) -> Constant | Choice | Range:
    """The domain with few enough values for a grid."""
    if not isinstance(domain, Range):
        return domain
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
    name = "learning_rate" if key != "learning_rate" else "width"
    centre: float = base.params.get(name, WORDS[name].default)
    if base.spec is not None and name == "learning_rate":
        centre = base.spec.training.learning_rate
    low, high = centre / 4, centre * 4
    if WORDS[name].kind == "int":
        low, high = max(1, round(low)), max(1, round(high))
    yield name, Range(low, high, log=True)


def _grid_size(
    entries: Mapping[str, Parameter], parameter: str, record: StudyRecord
) -> tuple[int, int]:
    """Points of the grid, and the fewest that share a value of the parameter; up to a bound."""
    points = islice(SearchSpace(entries).grid(record.settings["task"]), GRID_BOUND)
    counts = Counter(point.get(parameter) for point in points)
    return counts.total(), min(counts.values())


def _option(entry: Parameter) -> str:
    """An entry as a value of `nas space new`."""
    match entry.domain:
        case Constant(value):
            text = _plain(value)
        case Choice(values):
            text = ",".join(map(_plain, values))
        case Range(low, high, log, step):
            text = f"{low:.6g}:{high:.6g}" + ":log" * log
            text += f":step={step:.6g}" if step is not None else ""
    return text + ":per_layer" * entry.per_layer
