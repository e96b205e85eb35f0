"""A space as a mapping from words to values, as `nas.search` takes it in Python."""

from collections.abc import Mapping
from typing import Any

from nas.space.domains import Choice, Constant, Parameter
from nas.space.space import SearchSpace
from nas.space.vocabulary import HEADER_KEYS


def space_from_mapping(words: Mapping[str, Any]) -> SearchSpace:
    """A space from its words: a value, a list of choices or a `Range` for each.

    Beside those of the language it takes `name`, `network`, `data` and `target`, and `first`, a
    list of mappings.

    Raises:
        NasError: When a word is unknown, or its values are out of bounds.
    """
    entries = dict(words)
    header = {key: entries.pop(key) for key in HEADER_KEYS if key in entries}
    return SearchSpace(entries, name=str(entries.pop("name", "search")), **header)


def mapping_from_space(space: SearchSpace) -> dict[str, Any]:
    """The inverse of `space_from_mapping`; without the function of a custom space."""
    header = {key: getattr(space, key) for key in ("name", *HEADER_KEYS)}
    if space.network == "mlp":
        del header["network"]
    words = {key: value for key, value in header.items() if value not in (None, ())}
    return words | {key: _plain(entry) for key, entry in space.parameters.items()}


def _plain(entry: Parameter) -> Any:
    if entry.when or entry.per_layer:
        return entry
    match entry.domain:
        case Constant(value):
            return value
        case Choice(values):
            return list(values)
        case _:
            return entry.domain
