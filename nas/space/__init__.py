"""The search space language: YAML or Python to `SearchSpace` to `TrialSpec`."""

from nas.space.domains import Choice, Constant, Parameter, Range, SpaceError, parameter
from nas.space.given import (
    changed_spec,
    checked_settings,
    given_spec,
    params_of,
    parse_settings,
    without_effect,
)
from nas.space.mapping import mapping_from_space, space_from_mapping
from nas.space.settings import fitting_settings, parse_enqueued
from nas.space.space import SearchSpace, layer_units
from nas.space.suggesters import GridWalk, RandomSuggester, Replay, Suggester
from nas.space.vocabulary import shown_value
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
    "changed_spec",
    "checked_settings",
    "dump_space",
    "fitting_settings",
    "given_spec",
    "layer_units",
    "load_space",
    "mapping_from_space",
    "parameter",
    "params_of",
    "parse_enqueued",
    "parse_settings",
    "parse_space",
    "shipped_spaces",
    "shown_value",
    "space_from_mapping",
    "without_effect",
]
