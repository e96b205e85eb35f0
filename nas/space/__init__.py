"""The search space language: YAML or Python to `SearchSpace` to `TrialSpec`."""

from nas.space.space import (
    Choice,
    Constant,
    Parameter,
    RandomSuggester,
    Range,
    SearchSpace,
    SpaceError,
    Suggester,
    layer_units,
    parameter,
)
from nas.space.yaml import dump_space, load_space, parse_space, shipped_spaces

__all__ = [
    "Choice",
    "Constant",
    "Parameter",
    "RandomSuggester",
    "Range",
    "SearchSpace",
    "SpaceError",
    "Suggester",
    "dump_space",
    "layer_units",
    "load_space",
    "parameter",
    "parse_space",
    "shipped_spaces",
]
