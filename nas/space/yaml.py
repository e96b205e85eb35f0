"""Search spaces as YAML files, and the shipped ones by name.

The file is read as a tree of nodes rather than as plain values, so that every message can name
the line of the entry that is at fault, and a key given twice is noticed.
"""

from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from nas.architectures import CUSTOM
from nas.errors import NasError, did_you_mean
from nas.space.checks import check_network, check_steps, unknown_word
from nas.space.domains import Choice, Constant, Parameter, Range, SpaceError
from nas.space.nodes import compose_yaml, plain_value, read_yaml
from nas.space.space import SearchSpace
from nas.space.vocabulary import HEADER_KEYS, WORDS, Value, Word, shown_value

RANGE_KEYS = ("low", "high", "log", "step", "prior")
LIST_OF_SETTINGS = "a list of mappings such as '- {depth: 2, width: 64}'"
ENTRY_KEYS = (*RANGE_KEYS, "choices", "value", "when", "per_layer")


def shipped_spaces() -> dict[str, Path]:
    """The spaces that come with nas, by name."""
    installed = Path(str(resources.files("nas"))) / "search_spaces"
    # In a checkout the files lie beside the package.
    folder = installed if installed.is_dir() else Path(__file__).parents[2] / "search_spaces"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_space(path_or_name: str | Path) -> SearchSpace:
    """Reads a space from a file, or a shipped one by its name with or without `.yaml`.

    Raises:
        NasError: When there is no such file, it isn't YAML, or an entry is wrong; the message
            names file, line and key.
    """
    path = Path(path_or_name)
    shipped = shipped_spaces()
    if path.is_dir():
        raise NasError(str(path), "is a folder", "a YAML file")
    if not path.exists():
        name = path.name.removesuffix(".yaml")
        if str(path_or_name) not in (name, f"{name}.yaml") or name not in shipped:
            raise NasError(
                str(path_or_name),
                "no such file, and no shipped space of that name",
                "a YAML file or one of " + ", ".join(shipped),
                did_you_mean(name, shipped),
            )
        path = shipped[name]
    return parse_space(read_yaml(path, "a YAML file"), where=str(path), name=path.stem)


def parse_space(
    text: str, where: str = "space", name: str = "space", *, is_stored: bool = False
) -> SearchSpace:
    """Reads a space from YAML text.

    Args:
        text: The YAML.
        where: Begins each error message.
        name: The space's name.
        is_stored: Whether it is that of a study, whose mistakes can no longer be mended.
    """
    root = compose_yaml(text, where)
    if root is None:
        raise NasError(where, "the file is empty", "a mapping such as 'depth: {low: 1, high: 8}'")
    if not isinstance(root, yaml.MappingNode):
        raise NasError(
            f"{where}:{root.start_mark.line + 1}",
            "not a mapping",
            "lines such as 'depth: {low: 1, high: 8}'",
        )
    lines: dict[str, int] = {}
    try:
        header, parameters = _read_root(root, lines, is_stored)
        space = SearchSpace(
            parameters,
            name=name,
            network=str(header.get("network", "mlp")),
            data=header.get("data"),
            target=header.get("target"),
            function=header.get("function", ""),
            first=header.get("first", ()),
        )
        if not is_stored:
            check_steps(parameters)
    except SpaceError as error:
        line = f":{lines[error.key]}" if error.key in lines else ""
        raise NasError(
            f"{where}{line}: {error.key}", error.received, error.expected, error.fix
        ) from None
    return space


def _read_root(
    root: yaml.MappingNode, lines: dict[str, int], is_stored: bool
) -> tuple[dict[str, Any], dict[str, Parameter]]:
    header: dict[str, Any] = {}
    parameters: dict[str, Parameter] = {}
    items = _items(root, lines)
    network = "mlp"
    for key, node in items:  # wherever it stands, it says which words there are
        if key == "network" and isinstance(node, yaml.ScalarNode):
            network = node.value
            if not (is_stored and network == CUSTOM):
                check_network(network)
    for key, node in items:
        # A custom network's function is written by `dump_space`, for a study's own record.
        if key == "first":
            header[key] = _read_settings(key, node)
        elif key in HEADER_KEYS or (is_stored and key == "function"):
            value = _plain(key, node)
            if not isinstance(value, str):
                raise SpaceError(key, f"got {value!r}", "a word")
            header[key] = value
        elif key in WORDS:
            parameters[key] = _read_entry(key, node)
        else:
            raise unknown_word(key, network, HEADER_KEYS)
    return header, parameters


def load_settings(path: Path) -> list[dict[str, Value]]:
    """Reads a file with a list of settings, as `first` has them.

    Args:
        path: A YAML file, or a JSON file, which is YAML too.

    Raises:
        NasError: When there is no such file, or it holds anything else.
    """
    where = str(path)
    if not path.exists():
        raise NasError(where, "no such file", LIST_OF_SETTINGS)
    root = compose_yaml(read_yaml(path, LIST_OF_SETTINGS), where)
    if root is None:
        raise NasError(where, "the file is empty", LIST_OF_SETTINGS)
    try:
        return _read_settings(where, root)
    except SpaceError as error:
        raise NasError(where, error.received, error.expected, error.fix) from None


def _read_settings(where: str, node: yaml.Node) -> list[dict[str, Value]]:
    """A list of settings; `where` is blamed for what is none."""
    if not isinstance(node, yaml.SequenceNode):
        raise SpaceError(where, f"got {_plain(where, node)!r}", LIST_OF_SETTINGS)
    settings = []
    for number, item in enumerate(node.value, start=1):
        if not isinstance(item, yaml.MappingNode):
            raise SpaceError(where, f"got {_plain(where, item)!r}", LIST_OF_SETTINGS)
        one: dict[str, Value] = {}
        for key_node, value_node in item.value:
            key = _key(key_node)
            if key in one:
                raise SpaceError(where, f"setting {number} has '{key}' twice", "each key once")
            value = _value(where, value_node, WORDS.get(key))
            if isinstance(value, str) and key not in WORDS and not value_node.style:
                value = _float_or(value)  # of a parameter that a function suggests
            one[key] = value
        settings.append(one)
    return settings


def _items(node: yaml.MappingNode, lines: dict[str, int]) -> list[tuple[str, yaml.Node]]:
    """Key and value nodes of the root mapping; fills in the line of each key."""
    items = []
    for key_node, value_node in node.value:
        key = _key(key_node)
        first, lines[key] = lines.get(key), key_node.start_mark.line + 1
        if first is not None:
            raise SpaceError(key, f"given twice, first in line {first}", "each key once")
        items.append((key, value_node))
    return items


def _key(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "(a list or mapping)"


def _read_entry(key: str, node: yaml.Node) -> Parameter:
    if isinstance(node, yaml.SequenceNode):
        return Parameter(Choice([_value(key, item, WORDS[key]) for item in node.value]))
    if not isinstance(node, yaml.MappingNode):
        return Parameter(Constant(_value(key, node, WORDS[key])))
    parts: dict[str, yaml.Node] = {}
    for part_node, value_node in node.value:
        part = _key(part_node)
        if part not in ENTRY_KEYS:
            raise SpaceError(
                key,
                f"got '{part}'",
                "one of " + ", ".join(ENTRY_KEYS),
                did_you_mean(part, ENTRY_KEYS),
            )
        if part in parts:
            raise SpaceError(key, f"'{part}' given twice", "each key once")
        parts[part] = value_node
    forms = [
        form
        for form, given in (
            ("low and high", any(part in RANGE_KEYS for part in parts)),
            ("choices", "choices" in parts),
            ("value", "value" in parts),
        )
        if given
    ]
    if len(forms) != 1:
        raise SpaceError(
            key,
            "got " + (" together with ".join(forms) if forms else "neither a range nor values"),
            "one of low and high, choices, or value",
        )
    return Parameter(
        _read_domain(key, parts),
        _read_when(key, parts.get("when")),
        _bool(key, "per_layer", parts.get("per_layer")),
    )


def _read_domain(key: str, parts: dict[str, yaml.Node]) -> Constant | Choice | Range:
    if "value" in parts:
        return Constant(_value(key, parts["value"], WORDS[key]))
    if "choices" in parts:
        choices = parts["choices"]
        if not isinstance(choices, yaml.SequenceNode):
            raise SpaceError(
                key, f"got choices {_plain(key, choices)!r}", "a list such as [16, 32]"
            )
        return Choice([_value(key, item, WORDS[key]) for item in choices.value])
    for bound in ("low", "high"):
        if bound not in parts:
            raise SpaceError(key, f"a range without '{bound}'", "both low and high")
    step, prior = (
        _number(key, part, parts[part]) if part in parts else None for part in ("step", "prior")
    )
    return Range(
        _number(key, "low", parts["low"]),
        _number(key, "high", parts["high"]),
        _bool(key, "log", parts.get("log")),
        step,
        prior,
    )


def _read_when(key: str, node: yaml.Node | None) -> dict[str, tuple[Value, ...]]:
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise SpaceError(key, "'when' is not a mapping", "when: {optimizer: sgd}")
    conditions = {}
    for other_node, values in node.value:
        other = _key(other_node)
        if other in conditions:
            raise SpaceError(key, f"'{other}' given twice in its condition", "each parameter once")
        nodes = values.value if isinstance(values, yaml.SequenceNode) else [values]
        conditions[other] = tuple(_value(key, value, WORDS.get(other)) for value in nodes)
    return conditions


def _plain(key: str, node: yaml.Node) -> Any:
    """A node as a Python value; `key` is blamed where it has none."""
    try:
        return plain_value(node)
    except ValueError as error:
        raise SpaceError(key, f"cannot be read ({error})", "a plain value") from error


def _value(key: str, node: yaml.Node, word: Word | None) -> Value:
    """A value of the parameter that `word` describes, with the type that it states."""
    value = _plain(key, node)
    if value is None and word is not None and "none" in word.choices:
        return "none"
    # YAML 1.1 reads 1e-4, without a point, as text.
    if isinstance(value, str) and word is not None and word.kind in ("int", "float"):
        value = _float_or(value)
    if isinstance(value, float) and word is not None and word.kind == "int" and value.is_integer():
        return int(value)
    if isinstance(value, bool | int | float | str):
        return value
    raise SpaceError(key, f"got {value!r}", word.allowed() if word else "a single value")


def _float_or(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _number(key: str, part: str, node: yaml.Node) -> float:
    value = _value(key, node, WORDS[key])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpaceError(key, f"got {part} {value!r}", "a number")
    return value


def _bool(key: str, part: str, node: yaml.Node | None) -> bool:
    value = False if node is None else _plain(key, node)
    if not isinstance(value, bool):
        raise SpaceError(key, f"got {part} {value!r}", "true or false")
    return value


def dump_space(space: SearchSpace) -> str:
    """A space as YAML text, one line an entry; `parse_space` reads the same space back."""
    entries: dict[str, Any] = {"network": space.network}
    headers = {"data": space.data, "target": space.target, "function": space.function or None}
    entries.update((key, text) for key, text in headers.items() if text is not None)
    entries.update((key, _dump_entry(key, entry)) for key, entry in space.parameters.items())
    if space.first:
        entries["first"] = [
            {key: shown_value(key, value) for key, value in one.items()} for one in space.first
        ]
    return "".join(f"{key}: {_flow(value)}\n" for key, value in entries.items())


def _dump_entry(key: str, entry: Parameter) -> Any:
    plain: dict[str, Any]
    match entry.domain:
        case Constant(value):
            if not entry.when and not entry.per_layer:
                return shown_value(key, value)
            plain = {"value": shown_value(key, value)}
        case Choice(values):
            shown = [shown_value(key, value) for value in values]
            if not entry.when and not entry.per_layer:
                return shown
            plain = {"choices": shown}
        case Range(low, high, log, step, prior):
            plain = {"low": low, "high": high}
            if log:
                plain["log"] = True
            if step is not None:
                plain["step"] = step
            if prior is not None:
                plain["prior"] = prior
    if entry.per_layer:
        plain["per_layer"] = True
    if entry.when:
        when = {k: [shown_value(k, value) for value in v] for k, v in entry.when.items()}
        plain["when"] = {k: v[0] if len(v) == 1 else v for k, v in when.items()}
    return plain


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True
    )
    return text.removesuffix("...\n").removesuffix("\n")
