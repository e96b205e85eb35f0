"""One given network: values by name, as `nas train --set` takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import yaml

from nas.architectures import CUSTOM, Architecture, CustomArchitecture
from nas.errors import NasError, did_you_mean
from nas.layers import convolution_blocks, is_normalized_by_design, parse_layers
from nas.space.checks import COUNTERPARTS, check_filters, mistake
from nas.space.domains import Choice, Constant, SpaceError
from nas.space.space import SearchSpace, layer_units
from nas.space.suggesters import RandomSuggester
from nas.space.vocabulary import AUTO, COMPILED_WORDS, STRUCTURE, WORDS, Value
from nas.spec import Problem, Training, TrialSpec


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
        word = WORDS.get(key)
        if word is None:
            raise NasError(
                "--set", f"unknown parameter '{key}'", "one of " + ", ".join(WORDS),
                did_you_mean(key, WORDS),
            )  # fmt: skip
        value = read_value(key, written.strip())
        if not word.accepts(value):
            received, hint = mistake(word, value, f"'{written.strip()}'")
            raise NasError("--set", f"{key}: {received}", word.allowed(value), hint)
        values[key] = int(value) if word.kind == "int" else value
    return values


def checked_settings(values: Mapping[str, Any]) -> dict[str, Value]:
    """Values by parameter, as plain values that the words can have.

    Raises:
        NasError: When there is no such parameter, or it cannot have such a value.
    """
    checked: dict[str, Value] = {}
    for key, given in values.items():
        word = WORDS.get(key)
        if word is None:
            raise NasError(
                key, "no such parameter", "one of " + ", ".join(WORDS), did_you_mean(key, WORDS)
            )
        value = word.plain(given)
        if not word.accepts(value):
            received, hint = mistake(word, value, f"'{given}'")
            raise NasError(key, received, word.allowed(value), hint)
        checked[key] = int(value) if word.kind == "int" else value
    return checked


def given_spec(space: SearchSpace, values: Mapping[str, Value], problem: Problem) -> TrialSpec:
    """The network with these values; the rest is what the space fixes, or the word's default."""
    if space.network == CUSTOM:
        raise NasError(
            "--set",
            "got values for a study whose networks a function builds",
            "--like NUMBER, the trial whose training they change",
        )
    instead = {"layers"} if values.keys() & set(STRUCTURE) else set()
    if "layers" in values:
        instead |= set(STRUCTURE)
    fixed = {
        key: entry
        for key, entry in space.parameters.items()
        if isinstance(entry.domain, Constant) and key not in values and key not in instead
    }
    try:
        given = SearchSpace({**fixed, **values}, network=space.network)
        return given.sample(RandomSuggester(0), problem)
    except SpaceError as error:
        raise NasError("--set", str(error)) from error


def changed_spec(spec: TrialSpec, values: Mapping[str, Value]) -> TrialSpec:
    """A network with other values; words about its layers replace all of them.

    Raises:
        NasError: When its layers follow no such words, or it is of a family without them.
    """
    network = spec.architecture
    if isinstance(network, CustomArchitecture) and network.optimizer:
        _check_compiled(network, values)
    fields: dict[str, Any] = dict(values)
    if fields.get("batch_size") == AUTO:
        fields["batch_size"] = spec.problem.usual_batch_size
    changed = {key: value for key, value in values.items() if key in STRUCTURE}
    training = spec.training
    if "steps" in values and "epochs" not in values and training.steps == training.epochs:
        # Its epochs were those that its steps need.
        fields["epochs"] = values["steps"] or WORDS["epochs"].default
    for key in values:
        if network.network not in WORDS[key].networks:
            fix = f"Set {COUNTERPARTS[key]} instead." if key in COUNTERPARTS else ""
            if isinstance(network, CustomArchitecture):
                fix = "Its function says that."
            raise NasError(
                "--set", f"{key} is not a parameter of network {network.network}", fix=fix
            )
    if "loss" in values:
        losses = SearchSpace({"loss": values["loss"]})
        try:
            losses.check_problem(spec.problem)
        except SpaceError as error:
            raise NasError("--set", str(error)) from error
    if isinstance(network, CustomArchitecture):
        return replace(spec, training=replace(training, **fields))
    if "layers" in values:
        if changed:
            raise NasError("--set", f"got layers and {min(changed)}", "one of the two")
        items = parse_layers(str(values["layers"]))
        fields["convolutions"] = tuple(str(item) for item in items if item.kind != "fc")
        fields["units"] = tuple(item.size for item in items if item.kind == "fc")
        if network.normalization == "none" and is_normalized_by_design(str(values["layers"])):
            fields.setdefault("normalization", "batch")
        if network.network == "mlp" and fields["convolutions"]:
            raise NasError("--set", f"layers: got '{values['layers']}' for network mlp",
                           "dense layers only, such as fc500-fc500")  # fmt: skip
    elif changed and network.network == "cnn":
        known = structure_of(network)
        if known is None:
            raise NasError(
                "--set", f"got {min(changed)} for {network}, which has no regular blocks",
                "a whole network, such as layers=32c3-mp2-fc32",
            )  # fmt: skip
        words = {**known, **changed}
        try:
            check_filters(
                "filter_growth",
                int(words["blocks"]),
                int(words["filters"]),
                float(words["filter_growth"]),
            )
        except SpaceError as error:
            raise NasError("--set", str(error)) from error
        fields["convolutions"] = _convolutions(words)
        fields["units"] = (int(words["head_width"]),) * int(words["head_depth"])
    elif changed:
        units = network.units
        depth = int(values.get("depth", len(units)))
        width = int(values.get("width", max(units, default=int(WORDS["width"].default))))
        shape = str(values.get("shape", "constant"))
        fields["units"] = layer_units(depth, width, shape) if depth else ()
    architecture = {k: v for k, v in fields.items() if k in Architecture.__dataclass_fields__}
    changes = {k: v for k, v in fields.items() if k in Training.__dataclass_fields__}
    return replace(
        spec,
        architecture=replace(network, **architecture),
        training=replace(training, **changes),
    )


def _check_compiled(network: CustomArchitecture, values: Mapping[str, Value]) -> None:
    for key in values:
        if key not in COMPILED_WORDS:
            raise NasError(
                "--set",
                f"{key}, but {network.function} returns a compiled model ({network.optimizer})",
                "one of " + ", ".join(COMPILED_WORDS),
            )


def without_effect(values: Mapping[str, Value], spec: TrialSpec) -> dict[str, str]:
    """Why some of these values do nothing in a network that has them, by parameter."""
    known: dict[str, Any] = {
        **asdict(spec.architecture),
        **asdict(spec.training),
        **(structure_of(spec.architecture) or {}),
    }
    reasons = {}
    for key in values:
        word = WORDS[key]
        needed = [f"{other} {' or '.join(allowed)}" for other, allowed in word.used_with.items()
                  if known[other] not in allowed]  # fmt: skip
        needed += [f"{other} {least} or more" for other, least in word.at_least.items()
                   if other in known and known[other] < least]  # fmt: skip
        needed += [] if spec.problem.task in word.tasks else [f"task {' or '.join(word.tasks)}"]
        needed += ["columns of numbers"] if word.of_numbers and not spec.problem.n_numbers else []
        if key == "loss" and spec.problem.quantiles:
            needed.append("no quantiles")
        if needed:
            reasons[key] = f"{key} has a meaning with {' and '.join(needed)} only"
    return reasons


def structure_of(network: Architecture | CustomArchitecture) -> dict[str, Value] | None:
    """The words with which regular blocks give a network's layers; None where they do not."""
    if isinstance(network, CustomArchitecture):
        return None
    if network.network != "cnn":
        units = network.units
        widths: dict[str, Value] = {f"width_{n}": size for n, size in enumerate(units, start=1)}
        return {"depth": len(units), "width": max(units, default=0), **widths}
    items = parse_layers("-".join(network.convolutions)) if network.convolutions else ()
    body = [item for item in items if item.kind not in ("gap", "gmp")]
    if not body or len(set(network.units)) > 1:
        return None
    ends = [item.kind if item.kind in ("mp", "ap") else "s" for item in body
            if item.stride > 1]  # fmt: skip
    filters = [item.size for item in body if item.kind == "c"]
    if not ends or not filters:
        return None
    per_block = max(1, len(filters) // len(ends))
    head = {"gap": "average", "gmp": "max"}.get(items[-1].kind, "flatten")
    words: dict[str, Value] = {
        "blocks": len(ends),
        "convolutions": per_block,
        "filters": filters[0],
        "filter_growth": _growth(filters[::per_block]),
        "kernel": body[0].window,
        "pooling": {"mp": "max", "ap": "average", "s": "stride"}[ends[0]],
        "head": head,
        "head_depth": len(network.units),
        "head_width": network.units[0] if network.units else int(WORDS["head_width"].default),
    }
    return words if _convolutions(words) == network.convolutions else None


def _growth(filters: Sequence[int]) -> float:
    """The factor with the fewest digits that gives the filters of each block, if there is one."""
    # Filters are rounded, so each block after the first narrows down where the factor lies.
    blocks = [(size, 1.0 / number) for number, size in enumerate(filters[1:], start=1)]
    if not blocks:
        return float(WORDS["filter_growth"].default)
    at_least = ((size - 0.5 if size > 1 else 0.0, root) for size, root in blocks)
    low: float = max((size / filters[0]) ** root for size, root in at_least)
    high: float = min(((size + 0.5) / filters[0]) ** root for size, root in blocks)
    middle = (low + high) / 2
    rounded = (round(middle, digits) for digits in range(1, 7))
    inside = (growth for growth in rounded if low <= growth <= high)
    return next((growth for growth in inside if _sizes(filters, growth) == [*filters]), middle)


def _sizes(filters: Sequence[int], growth: float) -> list[int]:
    items = convolution_blocks(len(filters), 1, filters[0], growth, 1, "stride", "flatten")
    return [item.size for item in items]


def _convolutions(words: Mapping[str, Value]) -> tuple[str, ...]:
    items = convolution_blocks(
        int(words["blocks"]),
        int(words["convolutions"]),
        int(words["filters"]),
        float(words["filter_growth"]),
        int(words["kernel"]),
        str(words["pooling"]),
        str(words["head"]),
    )
    return tuple(map(str, items))


def params_of(space: SearchSpace, spec: TrialSpec) -> dict[str, Value] | None:
    """The parameters with which a space gives this network; None where it does not hold it."""
    network = spec.architecture
    if space.network == CUSTOM and not space.has_function:
        return None
    words: dict[str, Value]
    if isinstance(network, CustomArchitecture):
        words = {**asdict(spec.training), **network.params}
    else:
        fields = {key: value for key, value in asdict(network).items() if key in WORDS}
        words = {**fields, **asdict(spec.training)}
        words.pop("convolutions")  # the word is their number in a block
    words |= structure_of(network) or {}
    batches = space.parameters.get("batch_size")
    if batches is not None and isinstance(batches.domain, Choice) and AUTO in batches.domain.values:
        is_usual = words["batch_size"] == spec.problem.usual_batch_size
        if is_usual and words["batch_size"] not in batches.domain.values:
            words["batch_size"] = AUTO
    variants: list[dict[str, Value]] = [{}]
    if "shape" in space.parameters:
        variants = [{"shape": shape} for shape in WORDS["shape"].choices]
    for key in ("layers", "filter_growth"):  # of which several may give the same layers
        entry = space.parameters.get(key)
        if entry is not None and isinstance(entry.domain, Choice):
            variants = [{key: value} for value in entry.domain.values]
    for variant in variants:
        known = _Known({**words, **variant})
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

    def _known(self, name: str) -> Any:
        if name not in self._words:
            raise _OutsideError
        return self._words[name]

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        value = int(self._known(name))
        if not low <= value <= high or (value - low) % step:
            raise _OutsideError
        self.params[name] = value
        return value

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        value = float(self._known(name))
        if name == "filter_growth":  # which the filters tell but roughly
            value = min(max(value, low), high)
        if not low <= value <= high:
            raise _OutsideError
        self.params[name] = value
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self._known(name)
        if value not in choices:
            raise _OutsideError
        self.params[name] = value
        return value


def read_value(key: str, text: str) -> Any:
    """A parameter's value from a text, which may be none that the parameter can have.

    Args:
        key: A word, or the name of a parameter that a function suggests.
        text: As on a command line, such as `1e-3`, `true` or `full`.
    """
    word = WORDS.get(key)
    if word is not None:
        return word.plain(_READ.get(word.kind, str)(text))
    number = _number(text)
    return {"true": True, "false": False}.get(text, text) if isinstance(number, str) else number


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


def _bool(text: str) -> Any:
    return yaml.SafeLoader.bool_values.get(text.lower(), text)


_READ = {"int": _number, "float": _number, "bool": _bool}
