"""The search space language: YAML or Python to `SearchSpace` to `TrialSpec`."""

from nas.space.domains import Choice, Constant, Parameter, Range, SpaceError, parameter
from nas.space.space import SearchSpace, layer_units
from nas.space.suggesters import GridWalk, RandomSuggester, Replay, Suggester
from nas.space.yaml import dump_space, load_space, parse_space, shipped_spaces

__all__ = [
    "Choice",
    "Constant",
    "GridWalk",
    "Parameter",
    "RandomSuggester",
    "Range",
    "Replay",
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
