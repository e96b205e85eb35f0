"""YAML text as a tree of nodes, within limits: no text takes long, or ends in a traceback."""

from pathlib import Path
from typing import Any

import yaml

from nas.errors import NasError

MAX_CHARACTERS = 1_000_000  # of a file
MAX_VALUES = 10_000  # of a list or mapping, with all that is in it
MAX_NESTING = 20  # lists and mappings within each other; a recipe with a space has 5


def read_yaml(path: Path, what: str) -> str:
    """The text of a YAML file.

    Raises:
        NasError: When it cannot be read, is not UTF-8 or is too large; `what` says what it is.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise NasError(str(path), f"cannot be read ({error})", what) from error
    if len(text) > MAX_CHARACTERS:
        raise NasError(str(path), "too large", f"{what} of {MAX_CHARACTERS:,} characters at most")
    return text


def compose_yaml(text: str, where: str) -> yaml.Node | None:
    """The root of YAML text; None where it is empty. `where` begins each error message.

    Raises:
        NasError: When it is not valid, nested too deep, or holds too many values; a few lines of
            aliases can stand for millions.
    """
    try:
        _check_events(text, where)
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise NasError(f"{where}{line}", f"not valid YAML ({problem})") from error
    return root


def _check_events(text: str, where: str) -> None:
    counts = [0]  # values so far in each list or mapping that is open, the root's at the end
    opened: list[str | None] = []  # their anchors
    sizes: dict[str, int] = {}  # values that an alias stands for
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = f"{where}:{event.start_mark.line + 1}"  # type: ignore[union-attr]
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(event.anchor)
            counts.append(0)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, anchor = counts.pop() + 1, opened.pop()
            counts[-1] += size
            if anchor is not None:
                sizes[anchor] = size
        elif isinstance(event, yaml.ScalarEvent):
            counts[-1] += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in opened:
                raise NasError(place, f"*{event.anchor} stands within itself", "an end")
            counts[-1] += sizes.get(str(event.anchor), 1)
        if len(opened) > MAX_NESTING:
            raise NasError(place, "nested too deep", f"{MAX_NESTING} levels at most")
        if counts[-1] > MAX_VALUES:
            raise NasError(place, "too many values", f"{MAX_VALUES:,} at most")


def plain_value(node: yaml.Node) -> Any:
    """A node as a Python value.

    Raises:
        ValueError: When it has none, with the reason.
    """
    try:
        value = yaml.SafeLoader("").construct_object(node, deep=True)
        repr(value)  # messages show it; Python refuses that for a number of thousands of digits
    except Exception as error:  # of many classes, for a tag that does not fit its value
        text = getattr(error, "problem", None) or f"got {_start(node)} as {_short(node.tag)}"
        raise ValueError(text) from error
    return value


def _start(node: yaml.Node) -> str:
    return f"'{node.value[:40]}'" if isinstance(node, yaml.ScalarNode) else "several values"


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix("tag:yaml.org,2002:")
