"""The search: opening a study, proposing, training, pruning, telling."""

from nas.search.given import train_given
from nas.search.leftovers import sweep
from nas.search.loop import run_search
from nas.search.opening import LiveStudy, live_study, open_study, study_settings
from nas.search.options import Progress, PrunerName, SamplerName, SearchOptions
from nas.search.proposals import make_sampler

__all__ = [
    "LiveStudy",
    "Progress",
    "PrunerName",
    "SamplerName",
    "SearchOptions",
    "live_study",
    "make_sampler",
    "open_study",
    "run_search",
    "study_settings",
    "sweep",
    "train_given",
]
