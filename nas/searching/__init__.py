"""The search: opening a study, proposing, training, pruning, telling."""

from nas.options import SearchOptions
from nas.searching.enqueued import Settings, best_settings, enqueue
from nas.searching.given_network import train_given
from nas.searching.leftovers import sweep
from nas.searching.loop import run_search
from nas.searching.opening import LiveStudy, live_study, open_study, study_settings
from nas.searching.progress import Progress
from nas.searching.proposals import make_sampler

__all__ = [
    "LiveStudy",
    "Progress",
    "SearchOptions",
    "Settings",
    "best_settings",
    "enqueue",
    "live_study",
    "make_sampler",
    "open_study",
    "run_search",
    "study_settings",
    "sweep",
    "train_given",
]
