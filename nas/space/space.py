"""A search space, and how a trial is drawn from it.

The same space is written in YAML (`nas.space.yaml`), built here in Python, and turned into
`TrialSpec`s by `SearchSpace.sample`, which takes anything that suggests values as an
`optuna.Trial` does.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.architectures import CUSTOM, Architecture
from nas.choices import Task
from nas.layers import convolution_blocks, is_normalized_by_design, parse_layers
from nas.space.checks import check_first, check_space, largest
from nas.space.domains import (
    Choice,
    Constant,
    Domain,
    Parameter,
    Range,
    SpaceError,
    parameter,
)
from nas.space.suggesters import GridWalk, Suggester
from nas.space.vocabulary import ADAMW_WEIGHT_DECAY, AUTO, LOSSES, WORDS, Value, words_of
from nas.spec import Problem, Training, TrialSpec


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
        function: For the family `custom`, the text of the function that builds its networks;
            empty for any other. Only `nas.families.custom.CustomSpace`, which has the function
            itself, can be sampled.

        first: Settings that a search trains first, one after another: values of searched
            parameters. One that they do not name is proposed as in any other trial.

    Raises:
        SpaceError: When an entry is unknown, out of bounds, or conditional on a value that
            cannot occur.
    """

    parameters: Mapping[str, Parameter]
    name: str = "space"
    network: str = "mlp"
    data: str | None = None
    target: str | None = None
    function: str = ""
    first: tuple[Mapping[str, Value], ...] = ()

    def __init__(
        self,
        parameters: Mapping[str, Any],
        name: str = "space",
        network: str = "mlp",
        data: str | None = None,
        target: str | None = None,
        function: str = "",
        first: Sequence[Mapping[str, Value]] = (),
    ) -> None:
        settings = tuple({key: plain(key, v) for key, v in one.items()} for one in first)
        entries = {key: _without_names(key, parameter(v)) for key, v in parameters.items()}
        for attribute, value in (
            ("parameters", entries),
            ("name", name),
            ("network", network),
            ("data", data),
            ("target", target),
            ("function", function),
            ("first", settings),
        ):
            object.__setattr__(self, attribute, value)
        check_space(network, entries, function)
        check_first(settings, entries)

    @property
    def scalings(self) -> tuple[str, ...]:
        """How numbers may be scaled in its networks, beside as the data says."""
        entry = self.parameters.get("scaling")
        match entry.domain if entry is not None else None:
            case Constant(value):
                return (str(value),)
            case Choice(values):
                return tuple(map(str, values))
        return ()

    @property
    def max_epochs(self) -> int:
        """The largest number of epochs that a trial of this space can have."""
        epochs = self.parameters.get("epochs")
        if "steps" in self.parameters and (epochs is None or epochs.when):
            # Where epochs are not said, there may be one for each step.
            words = ("steps", "epochs") if epochs else ("steps",)
            largest_of = [largest(word, self.parameters) for word in words]
            return int(max(*largest_of, WORDS["epochs"].default))
        return int(largest("epochs", self.parameters))

    @property
    def is_continuous(self) -> bool:
        """Whether a searched parameter has infinitely many values."""
        return any(
            isinstance(entry.domain, Range)
            and entry.domain.step is None
            and entry.domain.low < entry.domain.high
            and not self.is_whole(key)
            for key, entry in self.parameters.items()
        )

    def is_whole(self, key: str) -> bool:
        """Whether a parameter's numbers are whole ones."""
        if key in words_of(self.network):
            return WORDS[key].kind == "int"
        # A function's own, of a custom network.
        domain = self.parameters[key].domain
        return isinstance(domain, Range) and isinstance(domain.low, int)

    def with_suggested(self, parameters: Mapping[str, Parameter]) -> "SearchSpace":
        """A custom space with what its function is known to suggest, which no word describes."""
        known = SearchSpace({}, self.name, self.network, self.data, self.target, self.function)
        object.__setattr__(known, "parameters", {**parameters, **self.parameters})
        return known

    @property
    def has_function(self) -> bool:
        """Whether the function of a custom network is at hand, and not its text alone."""
        return False

    def sample(self, suggester: Suggester, problem: Problem) -> TrialSpec:
        """Draws one trial; asks `suggester` only for parameters that have a meaning in it.

        Raises:
            SpaceError: When the space does not fit the problem, such as convolutions for rows
                that are no images.
        """
        if self.network == CUSTOM:
            raise SpaceError(
                "network", "built by a function that is not at hand", fix="Give the function again."
            )
        self.check_problem(problem)
        values = Sampling(self, suggester, problem)
        convolutions, units = self._layers(values)
        for key in words_of(self.network):  # in this order, so that a sampler always sees the same
            if key != "width":
                values.resolve(key)
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
                bias_initializer=str(values["bias_initializer"]),
                output_initializer=str(values["output_initializer"]),
                convolutions=convolutions,
                spatial_dropout=float(values["spatial_dropout"]),
                normalization_momentum=float(values["normalization_momentum"]),
                embedding=values["embedding"],  # type: ignore[arg-type]
                embedding_size=int(values["embedding_size"]),
                frequencies=int(values["frequencies"]),
                frequency_scale=float(values["frequency_scale"]),
                scaling=values["scaling"],  # type: ignore[arg-type]
                bins=int(values["bins"]),
                members=int(values["members"]),
            ),
            training=values.training(),
        )

    def check_problem(self, problem: Problem) -> None:
        """Raises a `SpaceError` if this space has no network for what the data asks."""
        if self.network == "cnn" and not problem.image_shape:
            raise SpaceError(
                "network",
                "got cnn for rows that are no images",
                "rows shaped (height, width) or (height, width, channels)",
                "Use network: mlp, or an .npz file with an array x of that shape.",
            )
        losses = self.parameters.get("loss")
        if losses is None:
            return
        if problem.quantiles:
            raise SpaceError(
                "loss",
                "given for quantiles, which have the pinball loss",
                "no such line",
            )
        given = losses.domain.values if isinstance(losses.domain, Choice) else ()
        for loss in [losses.domain.value] if isinstance(losses.domain, Constant) else given:
            if loss not in LOSSES[problem.task]:
                raise SpaceError(
                    "loss",
                    f"got {loss} for a {problem.task} task",
                    "one of " + ", ".join(LOSSES[problem.task]),
                )

    def _layers(self, values: "Sampling") -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The convolutional part in the compact notation, and the units of each dense layer."""
        if "layers" in self.parameters:
            items = parse_layers(str(values["layers"]))
            dense = [item.size for item in items if item.kind == "fc"]
            return tuple(str(item) for item in items if item.kind != "fc"), tuple(dense)
        if self.network == "cnn":
            items = convolution_blocks(
                int(values["blocks"]),
                int(values["convolutions"]),
                int(values["filters"]),
                float(values["filter_growth"]),
                int(values["kernel"]),
                str(values["pooling"]),
                str(values["head"]),
            )
            depth = int(values["head_depth"])
            width = int(values["head_width"]) if depth else 0
            return tuple(map(str, items)), (width,) * depth
        depth = int(values["depth"])
        entry = self.parameters.get("width")
        if depth == 0:
            return (), ()
        if entry is not None and entry.per_layer and values.is_searched("width"):
            layers = range(1, depth + 1)
            return (), tuple(
                int(values.draw(f"width_{layer}", "width", entry.domain)) for layer in layers
            )
        return (), layer_units(depth, int(values["width"]), str(values["shape"]))

    def _any_problem(self, task: Task) -> Problem:
        """A problem with all the networks of this space; its sizes do not matter."""
        return Problem(task, 1, 1, image_shape=(1, 1, 1), n_numbers=1)

    def grid(self, task: Task) -> Iterator[dict[str, Value]]:
        """Every combination of the searched parameters, as parameters of a trial.

        Conditional parameters multiply only the combinations in which they have a meaning.
        A continuous range has `GRID_LEVELS` values, its ends among them.
        """
        problem = self._any_problem(task)
        # A depth-first walk over the tree of suggestions: each pass replays a prefix of choices
        # and takes the first value of whatever is suggested beyond it.
        prefix: list[int] = []
        while True:
            walk = GridWalk(prefix)
            self.sample(walk, problem)
            yield dict(walk.params)
            while walk.indices and walk.indices[-1] + 1 == walk.sizes[len(walk.indices) - 1]:
                walk.indices.pop()
            if not walk.indices:
                return
            prefix = [*walk.indices[:-1], walk.indices[-1] + 1]


def plain(key: str, value: Value) -> Value:
    """A parameter's value, with a number instead of the word that stands for it."""
    word = WORDS.get(key)
    number: Value = word.plain(value) if word is not None else value
    return number


def _without_names(key: str, entry: Parameter) -> Parameter:
    """The entry with numbers instead of the words that stand for them."""
    domain = entry.domain
    match domain:
        case Constant(value):
            domain = Constant(plain(key, value))
        case Choice(values):
            domain = Choice([plain(key, value) for value in values])
    when = {k: tuple(plain(k, value) for value in values) for k, values in entry.when.items()}
    return Parameter(domain, when, entry.per_layer)


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


class Sampling:
    """The values of one trial, drawn on demand so that conditions find theirs."""

    def __init__(self, space: SearchSpace, suggester: Suggester, problem: Problem) -> None:
        self._space = space
        self._suggester = suggester
        self._problem = problem
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
                else self._default(key)
            )
        return self._drawn[key]

    def _default(self, key: str) -> Value:
        if key == "normalization" and key not in self._space.parameters:
            return "batch" if is_normalized_by_design(str(self["layers"])) else "none"
        return WORDS[key].default

    def is_searched(self, key: str) -> bool:
        """Whether the space names a parameter, and it has a meaning in this trial."""
        entry = self._space.parameters.get(key)
        return entry is not None and self._has_meaning(key, entry)

    def _has_meaning(self, key: str, entry: Parameter) -> bool:
        word = WORDS[key]
        if self._problem.task not in word.tasks or (
            word.of_numbers and not self._problem.n_numbers
        ):
            return False
        structured = "layers" not in self._space.parameters
        for other, least in word.at_least.items():
            counts = structured and self._space.network in WORDS[other].networks
            if counts and float(self[other]) < least:
                return False
        conditions = itertools.chain(word.used_with.items(), entry.when.items())
        return all(self[other] in values for other, values in conditions)

    def training(self) -> Training:
        """How the network is trained."""
        optimizer = str(self["optimizer"])
        weight_decay = float(self["weight_decay"])
        if optimizer == "adamw" and not self.is_searched("weight_decay"):
            weight_decay = ADAMW_WEIGHT_DECAY
        steps, epochs = int(self["steps"]), int(self["epochs"])
        batch_size = int(self["batch_size"])
        if steps and not self.is_searched("epochs"):
            epochs = steps  # an epoch has at least one
        return Training(
            optimizer=optimizer,
            learning_rate=float(self["learning_rate"]),
            schedule=str(self["schedule"]),
            warmup=float(self["warmup"]),
            decay_to=float(self["decay_to"]),
            momentum=float(self["momentum"]),
            nesterov=bool(self["nesterov"]),
            beta_1=float(self["beta_1"]),
            beta_2=float(self["beta_2"]),
            rho=float(self["rho"]),
            epsilon=float(self["epsilon"]),
            initial_accumulator=float(self["initial_accumulator"]),
            weight_decay=weight_decay,
            l1=float(self["l1"]),
            l2=float(self["l2"]),
            label_smoothing=float(self["label_smoothing"]),
            clip_norm=float(self["clip_norm"]),
            batch_size=self._problem.usual_batch_size if batch_size == AUTO else batch_size,
            epochs=epochs,
            early_stopping=int(self["early_stopping"]),
            steps=steps,
            loss=self["loss"],  # type: ignore[arg-type]
            shift=float(self["shift"]),
            rotation=float(self["rotation"]),
            zoom=float(self["zoom"]),
            flip=str(self["flip"]),
        )

    def draw(self, name: str, key: str, domain: Domain) -> Value:
        match domain:
            case Constant(value):
                return value
            case Choice(values):
                chosen: Value = self._suggester.suggest_categorical(name, list(values))
                return chosen
            case Range(low, high, log, step) if WORDS[key].kind == "int":
                return self._suggester.suggest_int(
                    name, int(low), int(high), step=int(step or 1), log=log
                )
            case Range(low, high, log, step):
                return self._suggester.suggest_float(name, low, high, step=step, log=log)
