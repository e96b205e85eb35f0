"""What is wrong with a search space, if anything.

The file is long because it has a check, with a message of its own, for each mistake that a
space can have.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from nas.architectures import CUSTOM
from nas.errors import did_you_mean
from nas.layers import LARGEST_SIZE, NAMED, is_normalized_by_design, parse_layers
from nas.space.domains import Choice, Constant, Domain, Parameter, Range, SpaceError
from nas.space.vocabulary import (
    LARGEST,
    NETWORKS,
    SEARCH_OPTIONS,
    STRUCTURE,
    WORDS,
    Value,
    Word,
    shown_value,
    words_of,
)

# Words of dense networks, and those that a convolutional network has in their place.
COUNTERPARTS = {"depth": "'blocks' and 'convolutions'", "width": "'filters'"}
LAYER = re.compile(r"width_\d+")  # a trial's parameter for one layer, where each has its own width
# The notation's names for what a word calls otherwise.
SAME_AS = {"gap": "average", "ap": "average", "gmp": "max", "mp": "max"}


def check_space(network: str, parameters: Mapping[str, Parameter], function: str = "") -> None:
    """Raises a `SpaceError` for the first entry that is wrong.

    A custom network may have parameters of its function's own, besides the words of training.
    """
    words = words_of(network)
    if function:
        parameters = {key: entry for key, entry in parameters.items() if key in words}
    else:
        check_network(network)
    for key, entry in parameters.items():
        word = words.get(key)
        if word is None:
            raise unknown_word(key, network)
        _check_domain(key, word, entry.domain)
        if entry.per_layer and key != "width":
            raise SpaceError(key, "got 'per_layer'", "it with 'width' only")
        _check_conditions(key, entry, parameters, words)
    _check_layers(network, parameters)
    _check_growth(network, parameters)
    width = parameters.get("width")
    if width is not None and width.per_layer and "shape" in parameters:
        raise SpaceError(
            "shape",
            "given together with a width per layer",
            "one of the two",
            "Remove 'shape' or 'per_layer'.",
        )
    _check_cycles(parameters)


def check_first(first: Sequence[Mapping[str, Value]], parameters: Mapping[str, Parameter]) -> None:
    """Raises a `SpaceError` for settings that a search could not propose itself."""
    for number, settings in enumerate(first, start=1):
        for key, value in settings.items():
            check_setting("first", f"setting {number}", key, value, parameters)


def check_setting(
    where: str, place: str, key: str, value: Value, parameters: Mapping[str, Parameter]
) -> None:
    """Raises a `SpaceError` for a value that no trial of a space can have.

    Args:
        where: What is blamed.
        place: Which of its settings it is.
        key: Name of the trial's parameter: a word, or `width_2` of a width for each layer.
        value: Its value.
        parameters: The space.
    """
    received = f"{place} has {key}: {shown_value(key, value)!r}"
    layer = LAYER.fullmatch(key)
    word = "width" if layer else key
    entry = parameters.get(word)
    if entry is None or isinstance(entry.domain, Constant) or entry.per_layer != bool(layer):
        names = [
            f"{k}_1" if e.per_layer else k
            for k, e in parameters.items()
            if not isinstance(e.domain, Constant)
        ]
        expected = "one of " + ", ".join(names) if names else "none, since all are constant"
        raise SpaceError(
            where, f"{received}, which is not searched", expected, did_you_mean(key, names)
        )
    # A word's own check knows that 2.5 is no depth.
    if (word in WORDS and not WORDS[word].accepts(value)) or not _holds(entry.domain, value):
        raise SpaceError(
            where, f"{received}, which is not among its values", _described(word, entry.domain)
        )


def _described(key: str, domain: Domain) -> str:
    """The values of a domain in words, for a message."""
    match domain:
        case Constant(value):
            return str(shown_value(key, value))
        case Choice(values):
            return "one of " + ", ".join(str(shown_value(key, value)) for value in values)
        case Range(low, high, step=step):
            is_whole = WORDS[key].kind == "int"
            noun = "a whole number" if is_whole else "a number"
            steps = f" in steps of {step:g}" if step is not None else ""
            return f"{noun} from {low:g} to {high:g}{steps}"


def _holds(domain: Domain, value: Value) -> bool:
    """Whether a value is one of a domain's."""
    match domain:
        case Constant(constant):
            return bool(value == constant)
        case Choice(values):
            return value in values
        case Range(low, high, step=step):
            if isinstance(value, bool | str) or not low <= value <= high:
                return False
            return step is None or abs((value - low) / step - round((value - low) / step)) < 1e-9


def check_network(network: str) -> None:
    """Raises a `SpaceError` if there is no such family of networks."""
    if network not in NETWORKS:
        raise SpaceError(
            "network",
            f"got {network!r}",
            "one of " + ", ".join(NETWORKS),
            "For networks that a function builds, give the function instead of a space."
            if network == CUSTOM
            else did_you_mean(network, NETWORKS),
        )


def unknown_word(key: str, network: str, headers: Sequence[str] = ()) -> SpaceError:
    """The error for a key that is no word of a family of networks, nor one of the headers."""
    allowed = (*headers, *words_of(network))
    if key in WORDS and network == CUSTOM:
        fix = "Have your function suggest it: trial.suggest_float and the like."
        return SpaceError(key, "not a word of training", "one of " + ", ".join(allowed), fix)
    if key in WORDS:
        owner = WORDS[key].networks[0]
        fix = f"Write network: {owner}, or remove '{key}'."
        if key in COUNTERPARTS:
            fix = f"Write {COUNTERPARTS[key]} instead, or network: {owner}."
        return SpaceError(key, f"not a parameter of network {network}", fix=fix)
    option = key.replace("-", "_")
    if option in SEARCH_OPTIONS:
        fix = f"It is an option of nas search: --{option.replace('_', '-')}."
    else:
        fix = did_you_mean(key, allowed)
    return SpaceError(key, "unknown parameter", "one of " + ", ".join(allowed), fix)


def _check_layers(network: str, parameters: Mapping[str, Parameter]) -> None:
    """The compact notation says everything about the layers, and fits the family of networks."""
    entry = parameters.get("layers")
    if entry is None:
        return
    both = [key for key in STRUCTURE if key in parameters]
    if both:
        raise SpaceError(
            both[0], "given together with layers", "one of the two", f"Remove '{both[0]}'."
        )
    if entry.when:
        raise SpaceError("layers", "got a condition", "networks for every trial", "Remove 'when'.")
    for text in _texts(entry):
        if network == "mlp" and any(item.kind != "fc" for item in parse_layers(text)):
            raise SpaceError(
                "layers",
                f"got '{text}' for network mlp",
                "dense layers only, such as fc500-fc500",
                "Write network: cnn.",
            )


def _texts(entry: Parameter) -> list[str]:
    """The whole networks of a `layers` entry."""
    values = entry.domain.values if isinstance(entry.domain, Choice) else ()
    return list(map(str, [entry.domain.value] if isinstance(entry.domain, Constant) else values))


def _check_growth(network: str, parameters: Mapping[str, Parameter]) -> None:
    named = [key for key in ("filter_growth", "blocks", "filters") if key in parameters]
    if network == "cnn" and named:
        blocks = int(largest("blocks", parameters))
        filters, growth = largest("filters", parameters), largest("filter_growth", parameters)
        check_filters(named[0], blocks, filters, growth)


def check_filters(key: str, blocks: int, filters: float, growth: float) -> None:
    """Raises a `SpaceError` for `key` if the last block would have too many filters."""
    most = filters * growth ** (blocks - 1)
    if round(most) > LARGEST_SIZE:
        raise SpaceError(
            key,
            f"filters grow to {most:.3g} in block {blocks}",
            f"at most {LARGEST_SIZE}",
            "Lower 'blocks', 'filters' or 'filter_growth'.",
        )


def largest(key: str, parameters: Mapping[str, Parameter]) -> float:
    """The largest number that a parameter can be in a space."""
    default = float(WORDS[key].default)
    entry = parameters.get(key)
    if entry is None:
        return default
    match entry.domain:
        case Constant(value):
            most = float(value)
        case Choice(values):
            most = float(max(values))
        case Range(high=high):
            most = high
    return max(most, default) if entry.when else most


def _check_value(key: str, word: Word, value: object) -> None:
    if word.accepts(value):
        return
    received, fix = mistake(word, value, repr(value))
    if word.kind == "initializer" and "(" in str(value) and ")" not in str(value):
        fix = 'In a list, put it in quotes: ["uniform(0, 0.01)", he_normal].'
    raise SpaceError(key, received, word.allowed(value), fix)


def mistake(word: Word, value: object, written: str) -> tuple[str, str]:
    """What was received instead of a value of a word, and what may be meant, if anything."""
    if word.kind == "layers" and isinstance(value, str):
        try:
            parse_layers(value)
        except ValueError as error:
            return str(error), nearest_network(value)
    if SAME_AS.get(str(value)) in word.choices:
        return f"got {written}", f"Did you mean '{SAME_AS[str(value)]}'?"
    return f"got {written}", did_you_mean(value, word.choices) if word.choices else ""


def nearest_network(text: str) -> str:
    """The network in the notation that may be meant, as a question; empty where none is near."""
    meant = re.sub(r"[\s-]+", "-", text.strip().lower())
    name, slash, divisor = meant.partition("/")
    # The first of those that are equally near, where `did_you_mean` takes the last.
    near = max(NAMED, key=lambda known: difflib.SequenceMatcher(None, known, name).ratio())
    guesses = [meant]
    if near != name and did_you_mean(name, [near]):
        guesses += [near + slash + divisor, near]
    return next((f"Did you mean '{guess}'?" for guess in guesses if _is_network(guess)), "")


def _is_network(text: str) -> bool:
    try:
        return bool(parse_layers(text))
    except ValueError:
        return False


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
        case Range(low, high, log, step, prior):
            if word.kind not in ("int", "float"):
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
                _check_step(key, word, step)
            if prior is not None and not (word.accepts(prior) and low <= prior <= high):
                whole = "a whole number" if word.kind == "int" else "a number"
                expected = f"{whole} from {low:g} to {high:g}"
                raise SpaceError(key, f"got prior {prior!r}", expected)


def _check_step(key: str, word: Word, step: float) -> None:
    fits = 0 < step <= LARGEST and (word.kind == "float" or step == int(step))
    if not fits:
        bounds = "> 0" if not step > LARGEST else f"> 0 and <= {LARGEST:g}"
        kind = "a whole number" if word.kind == "int" else "a number"
        shown = f"{step:g}" if isinstance(step, float) else str(step)
        raise SpaceError(key, f"got step {shown}", f"{kind} {bounds}")


def check_steps(parameters: Mapping[str, Parameter]) -> None:
    """Raises a `SpaceError` where the steps of a range miss its high end.

    Optuna would leave that end out. It is no part of `check_space`, since studies made without it
    have such ranges.
    """
    for key, entry in parameters.items():
        match entry.domain:
            case Range(low, high, step=step) if step is not None:
                below = last_step(low, high, step)
                if below == high:
                    continue
                above = float(_exact(below) + _exact(step))
                near = [x for x in (below, above) if WORDS[key].accepts(x)]
                raise SpaceError(
                    key,
                    f"got step {step:g} from {low:g}, which misses high {high:g}",
                    "high " + " or ".join(f"{x:.12g}" for x in near),
                )


def last_step(low: float, high: float, step: float) -> float:
    """The largest value of a range with steps, computed as Optuna does: with decimal numbers."""
    rest = (_exact(high) - _exact(low)) % _exact(step)
    return float(_exact(high) - rest) if rest else high


def _exact(number: float) -> Decimal:
    return Decimal(str(number))


def _check_conditions(
    key: str,
    entry: Parameter,
    parameters: Mapping[str, Parameter],
    words: Mapping[str, Word],
) -> None:
    for other, values in entry.when.items():
        word = words.get(other)
        if word is None:
            raise SpaceError(
                key,
                f"conditional on the unknown parameter '{other}'",
                "one of " + ", ".join(words),
                did_you_mean(other, words),
            )
        if other in STRUCTURE and "layers" in parameters:
            raise SpaceError(
                key,
                f"conditional on '{other}', which 'layers' replaces",
                fix="Depend on 'layers' instead.",
            )
        parent = parameters.get(other)
        if parent is not None and parent.per_layer:
            raise SpaceError(key, f"conditional on '{other}', which differs from layer to layer")
        for value in values:
            if not word.accepts(value):
                raise SpaceError(
                    key,
                    f"conditional on {other} = {value!r}",
                    word.allowed(value),
                    did_you_mean(value, word.choices) if word.choices else "",
                )
        if not any(_can_be(other, parameters, value) for value in values):
            wanted = " or ".join(repr(v) for v in values)
            raise SpaceError(
                key,
                f"conditional on {other} = {wanted}, which never occurs in this space",
                fix=f"Add the value to '{other}', or remove '{key}'.",
            )


def _can_be(key: str, parameters: Mapping[str, Parameter], value: Value) -> bool:
    parent, word = parameters.get(key), WORDS[key]
    if parent is None and key == "normalization" and "layers" in parameters:
        by_design = map(is_normalized_by_design, _texts(parameters["layers"]))
        return value in ["batch" if batch else "none" for batch in by_design]
    if parent is None:
        return value == word.default
    is_conditional = parent.when or word.used_with or word.at_least or len(word.tasks) < 3
    is_conditional = is_conditional or word.of_numbers
    if is_conditional and value == word.default:
        return True
    return _holds(parent.domain, value)


def _check_cycles(parameters: Mapping[str, Parameter]) -> None:
    def visit(key: str, path: tuple[str, ...]) -> None:
        if key in path:
            raise SpaceError(
                path[0], "conditional on itself, by way of " + " -> ".join((*path, key))
            )
        entry = parameters.get(key)
        word = WORDS[key]
        parents = [*word.used_with, *word.at_least, *(entry.when if entry else ())]
        for parent in parents:
            visit(parent, (*path, key))

    for key in parameters:
        visit(key, ())
