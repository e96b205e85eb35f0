"""A search space: which values each parameter may take, and how a trial is drawn from it.

The same space is written in YAML (`nas.space.yaml`), built here in Python, and turned into
`TrialSpec`s by `SearchSpace.sample`, which takes anything that suggests values as an
`optuna.Trial` does.
"""

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nas.errors import NasError, did_you_mean
from nas.space.vocabulary import ADAMW_WEIGHT_DECAY, MLP, NETWORKS, Value, Word
from nas.spec import Architecture, Problem, Task, Training, TrialSpec

GRID_LEVELS = 5  # points that a continuous range has in a grid


class Suggester(Protocol):
    """What `SearchSpace.sample` needs of its source of values; `optuna.Trial` has it."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class Constant:
    """A parameter that always has one value."""

    value: Value


@dataclass(frozen=True)
class Choice:
    """A parameter that has one of several values, without an order."""

    values: tuple[Value, ...]

    def __init__(self, values: Sequence[Value]) -> None:
        object.__setattr__(self, "values", tuple(values))


@dataclass(frozen=True)
class Range:
    """A parameter between two numbers, both included, in Optuna's words."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


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


def parameter(value: Any, **when: Any) -> Parameter:
    """A `Parameter` from a scalar, a sequence of choices, a domain, or a `Parameter` itself.

    Keyword arguments are conditions: `parameter(Range(0, 0.99), optimizer="sgd")`.
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
    return Parameter(domain, conditions)


@dataclass(frozen=True)
class SearchSpace:
    """All networks and trainings among which a search chooses.

    Parameters that a space does not name have the default of `nas.space.vocabulary`. A parameter
    that belongs to some optimizers or schedules only is searched with those alone.

    Attributes:
        parameters: The entries by name; plain values are turned into `Parameter`s.
        name: Names the space, and its study unless another name is given.
        network: Family of networks.
        data: Data set to search on where none is given.
        target: Target column of that data set.

    Raises:
        SpaceError: When an entry is unknown, out of bounds, or conditional on a value that
            cannot occur.
    """

    parameters: Mapping[str, Parameter]
    name: str = "space"
    network: str = "mlp"
    data: str | None = None
    target: str | None = None

    def __init__(
        self,
        parameters: Mapping[str, Any],
        name: str = "space",
        network: str = "mlp",
        data: str | None = None,
        target: str | None = None,
    ) -> None:
        entries = {key: parameter(value) for key, value in parameters.items()}
        for attribute, value in (
            ("parameters", entries),
            ("name", name),
            ("network", network),
            ("data", data),
            ("target", target),
        ):
            object.__setattr__(self, attribute, value)
        _check(self)

    @property
    def max_epochs(self) -> int:
        """The largest number of epochs that a trial of this space can have."""
        entry = self.parameters.get("epochs")
        default = int(MLP["epochs"].default)
        if entry is None:
            return default
        match entry.domain:
            case Constant(value):
                largest = int(value)
            case Choice(values):
                largest = int(max(values))
            case Range(high=high):
                largest = int(high)
        return max(largest, default) if entry.when else largest

    @property
    def is_continuous(self) -> bool:
        """Whether a searched parameter has infinitely many values."""
        return any(
            isinstance(entry.domain, Range)
            and entry.domain.step is None
            and entry.domain.low < entry.domain.high
            and MLP[key].kind == "float"
            for key, entry in self.parameters.items()
        )

    def sample(self, suggester: Suggester, problem: Problem) -> TrialSpec:
        """Draws one trial; asks `suggester` only for parameters that have a meaning in it."""
        values = _Sampling(self, suggester, problem.task)
        depth = int(values["depth"])
        entry = self.parameters.get("width")
        if depth == 0:
            units: tuple[int, ...] = ()
        elif entry is not None and entry.per_layer and values.is_searched("width"):
            units = tuple(
                int(values.draw(f"width_{layer}", "width", entry.domain))
                for layer in range(1, depth + 1)
            )
        else:
            units = layer_units(depth, int(values["width"]), str(values["shape"]))
        for key in MLP:  # in this order, so that a sampler always sees the same one
            if key != "width":
                values.resolve(key)
        optimizer = str(values["optimizer"])
        weight_decay = float(values["weight_decay"])
        if optimizer == "adamw" and not values.is_searched("weight_decay"):
            weight_decay = ADAMW_WEIGHT_DECAY
        return TrialSpec(
            problem=problem,
            architecture=Architecture(
                network=self.network,
                units=units,
                activation=str(values["activation"]),
                normalization=str(values["normalization"]),
                residual=bool(values["residual"]),
                dropout=float(values["dropout"]),
                initializer=str(values["initializer"]),
            ),
            training=Training(
                optimizer=optimizer,
                learning_rate=float(values["learning_rate"]),
                schedule=str(values["schedule"]),
                warmup=float(values["warmup"]),
                decay_to=float(values["decay_to"]),
                momentum=float(values["momentum"]),
                nesterov=bool(values["nesterov"]),
                beta_1=float(values["beta_1"]),
                beta_2=float(values["beta_2"]),
                rho=float(values["rho"]),
                epsilon=float(values["epsilon"]),
                initial_accumulator=float(values["initial_accumulator"]),
                weight_decay=weight_decay,
                l1=float(values["l1"]),
                l2=float(values["l2"]),
                label_smoothing=float(values["label_smoothing"]),
                clip_norm=float(values["clip_norm"]),
                batch_size=int(values["batch_size"]),
                epochs=int(values["epochs"]),
                early_stopping=int(values["early_stopping"]),
            ),
        )

    def grid(self, task: Task) -> Iterator[dict[str, Value]]:
        """Every combination of the searched parameters, as parameters of a trial.

        Conditional parameters multiply only the combinations in which they have a meaning.
        A continuous range has `GRID_LEVELS` values, its ends among them.
        """
        problem = Problem(task, 1, 1)
        # A depth-first walk over the tree of suggestions: each pass replays a prefix of choices
        # and takes the first value of whatever is suggested beyond it.
        prefix: list[int] = []
        while True:
            walk = _GridWalk(prefix)
            self.sample(walk, problem)
            yield dict(walk.params)
            while walk.indices and walk.indices[-1] + 1 == walk.sizes[len(walk.indices) - 1]:
                walk.indices.pop()
            if not walk.indices:
                return
            prefix = [*walk.indices[:-1], walk.indices[-1] + 1]


def layer_units(depth: int, width: int, shape: str) -> tuple[int, ...]:
    """Units of each hidden layer for a shape, widest layer `width`, narrowest a quarter of it.

    The widths between the ends are spaced geometrically.
    """
    if shape == "constant" or depth == 1:
        return (width,) * depth
    narrow = max(1.0, width / 4)
    units = tuple(
        round(width * (narrow / width) ** (layer / (depth - 1))) for layer in range(depth)
    )
    return units if shape == "funnel" else units[::-1]


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


class _GridWalk:
    """Suggests the values at given positions of each parameter's grid, then the first ones."""

    def __init__(self, prefix: Sequence[int]) -> None:
        self._prefix = prefix
        self.indices: list[int] = []
        self.sizes: list[int] = []
        self.params: dict[str, Value] = {}

    def _take(self, name: str, values: Sequence[Any]) -> Any:
        position = len(self.indices)
        index = self._prefix[position] if position < len(self._prefix) else 0
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


def _n_steps(low: float, high: float, step: float) -> int:
    return math.floor((high - low) / step + 1e-9) + 1


def _levels(low: float, high: float, *, log: bool) -> list[float]:
    shares = [k / (GRID_LEVELS - 1) for k in range(1, GRID_LEVELS - 1)]
    if log:
        inner = [low * (high / low) ** share for share in shares]
    else:
        inner = [low + (high - low) * share for share in shares]
    return [low, *inner, high]  # the ends exactly, without rounding errors


class _Sampling:
    """The values of one trial, drawn on demand so that conditions find theirs."""

    def __init__(self, space: SearchSpace, suggester: Suggester, task: Task) -> None:
        self._space = space
        self._suggester = suggester
        self._task = task
        self._drawn: dict[str, Value] = {}

    def __getitem__(self, key: str) -> Value:
        return self.resolve(key)

    def resolve(self, key: str) -> Value:
        """The value of a parameter; drawn at the first call if it has a meaning, or default."""
        if key not in self._drawn:
            entry = self._space.parameters.get(key)
            self._drawn[key] = (
                self.draw(key, key, entry.domain)
                if entry is not None and self.is_searched(key)
                else MLP[key].default
            )
        return self._drawn[key]

    def is_searched(self, key: str) -> bool:
        """Whether the space names a parameter, and it has a meaning in this trial."""
        entry = self._space.parameters.get(key)
        return entry is not None and self._has_meaning(key, entry)

    def _has_meaning(self, key: str, entry: Parameter) -> bool:
        word = MLP[key]
        if self._task not in word.tasks:
            return False
        if word.min_depth and int(self["depth"]) < word.min_depth:
            return False
        conditions = itertools.chain(word.used_with.items(), entry.when.items())
        return all(self[other] in values for other, values in conditions)

    def draw(self, name: str, key: str, domain: Domain) -> Value:
        match domain:
            case Constant(value):
                return value
            case Choice(values):
                chosen: Value = self._suggester.suggest_categorical(name, list(values))
                return chosen
            case Range(low, high, log, step) if MLP[key].kind == "int":
                return self._suggester.suggest_int(
                    name, int(low), int(high), step=int(step or 1), log=log
                )
            case Range(low, high, log, step):
                return self._suggester.suggest_float(name, low, high, step=step, log=log)


def _check(space: SearchSpace) -> None:
    if space.network not in NETWORKS:
        raise SpaceError(
            "network",
            f"got {space.network!r}",
            "one of " + ", ".join(NETWORKS),
            did_you_mean(space.network, NETWORKS),
        )
    for key, entry in space.parameters.items():
        word = MLP.get(key)
        if word is None:
            raise SpaceError(
                key,
                "unknown parameter",
                "one of " + ", ".join(MLP),
                did_you_mean(key, MLP),
            )
        _check_domain(key, word, entry.domain)
        if entry.per_layer and key != "width":
            raise SpaceError(key, "got 'per_layer'", "it with 'width' only")
        _check_conditions(key, entry, space)
    width = space.parameters.get("width")
    if width is not None and width.per_layer and "shape" in space.parameters:
        raise SpaceError(
            "shape",
            "given together with a width per layer",
            "one of the two",
            "Remove 'shape' or 'per_layer'.",
        )
    _check_cycles(space)


def _check_value(key: str, word: Word, value: object) -> None:
    if not word.accepts(value):
        raise SpaceError(
            key,
            f"got {value!r}",
            word.allowed(),
            did_you_mean(value, word.choices) if word.kind == "str" else "",
        )


def _check_domain(key: str, word: Word, domain: Domain) -> None:
    match domain:
        case Constant(value):
            _check_value(key, word, value)
        case Choice(values):
            if not values:
                raise SpaceError(key, "got an empty list", "at least one choice")
            for value in values:
                _check_value(key, word, value)
            if len(set(values)) != len(values):
                twice = next(v for v in values if values.count(v) > 1)
                raise SpaceError(key, f"got {twice!r} twice", "each choice once")
        case Range(low, high, log, step):
            if word.kind in ("str", "bool"):
                raise SpaceError(key, f"got a range from {low} to {high}", word.allowed())
            for bound in (low, high):
                _check_value(key, word, bound)
            if low > high:
                raise SpaceError(
                    key, f"got low {low:g} > high {high:g}", "low <= high", "Swap the two."
                )
            if log and low <= 0:
                raise SpaceError(
                    key,
                    f"got a log range from {low:g}",
                    "low > 0 where log is true",
                    "Give a small positive low, such as 1.0e-6, or leave log out.",
                )
            if log and step is not None:
                raise SpaceError(key, "got both log and step", "one of the two")
            if step is not None:
                finite = math.isfinite(step)
                whole = word.kind == "float" or (finite and step == int(step))
                if not finite or step <= 0 or not whole:
                    kind = "a whole number" if word.kind == "int" else "a number"
                    raise SpaceError(key, f"got step {step:g}", f"{kind} > 0")


def _check_conditions(key: str, entry: Parameter, space: SearchSpace) -> None:
    for other, values in entry.when.items():
        word = MLP.get(other)
        if word is None:
            raise SpaceError(
                key,
                f"conditional on the unknown parameter '{other}'",
                "one of " + ", ".join(MLP),
                did_you_mean(other, MLP),
            )
        parent = space.parameters.get(other)
        if parent is not None and parent.per_layer:
            raise SpaceError(key, f"conditional on '{other}', which differs from layer to layer")
        for value in values:
            if not word.accepts(value):
                raise SpaceError(
                    key,
                    f"conditional on {other} = {value!r}",
                    word.allowed(),
                    did_you_mean(value, word.choices) if word.kind == "str" else "",
                )
        if not any(_can_be(parent, word, value) for value in values):
            wanted = " or ".join(repr(v) for v in values)
            raise SpaceError(
                key,
                f"conditional on {other} = {wanted}, which never occurs in this space",
                fix=f"Add the value to '{other}', or remove '{key}'.",
            )


def _can_be(parent: Parameter | None, word: Word, value: Value) -> bool:
    if parent is None:
        return value == word.default
    is_conditional = parent.when or word.used_with or word.min_depth or len(word.tasks) < 3
    if is_conditional and value == word.default:
        return True
    match parent.domain:
        case Constant(constant):
            return value == constant
        case Choice(values):
            return value in values
        case Range(low, high, step=step):
            if not isinstance(value, int | float) or not low <= value <= high:
                return False
            return step is None or abs((value - low) / step - round((value - low) / step)) < 1e-9


def _check_cycles(space: SearchSpace) -> None:
    def visit(key: str, path: tuple[str, ...]) -> None:
        if key in path:
            raise SpaceError(
                path[0], "conditional on itself, by way of " + " -> ".join((*path, key))
            )
        entry = space.parameters.get(key)
        word = MLP[key]
        parents = [*word.used_with, *(entry.when if entry else ())]
        if word.min_depth:
            parents.append("depth")
        for parent in parents:
            visit(parent, (*path, key))

    for key in space.parameters:
        visit(key, ())
