"""nas: neural architecture and hyperparameter search for Keras, driven by Optuna.

    study = nas.search("mlp_depth", data="adult.csv", target="income", trials=50)
    study.best.params, study.best.test_value

Importing this package is cheap and changes nothing outside it: TensorFlow, Optuna and pandas are
loaded only when they are used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nas.about import DEFAULT_STORAGE, __version__

if TYPE_CHECKING:
    from nas.analysis.experiment import LookAtData as LookAtData
    from nas.analysis.experiment import SearchAgain as SearchAgain
    from nas.analysis.experiment import TrainAgain as TrainAgain
    from nas.api import load as load
    from nas.api import search as search
    from nas.api import studies as studies
    from nas.data.description import DescribedData as DescribedData
    from nas.described_data import describe_data as describe_data
    from nas.errors import NasError as NasError
    from nas.estimators import NASClassifier as NASClassifier
    from nas.estimators import NASRegressor as NASRegressor
    from nas.nested_search import Nested as Nested
    from nas.nested_search import nested as nested
    from nas.next_experiment import run as run
    from nas.one_network import Trained as Trained
    from nas.one_network import train as train
    from nas.one_search import Interrupted as Interrupted
    from nas.results import Best as Best
    from nas.results import Study as Study
    from nas.screened import Screened as Screened
    from nas.screened import screen as screen
    from nas.space import Choice as Choice
    from nas.space import Range as Range
    from nas.space import SearchSpace as SearchSpace
    from nas.space import parameter as parameter

_FACE = {
    "Best": "nas.results",
    "Choice": "nas.space",
    "DescribedData": "nas.data.description",
    "Interrupted": "nas.one_search",
    "LookAtData": "nas.analysis.experiment",
    "NASClassifier": "nas.estimators",
    "NASRegressor": "nas.estimators",
    "NasError": "nas.errors",
    "Nested": "nas.nested_search",
    "Range": "nas.space",
    "Screened": "nas.screened",
    "SearchAgain": "nas.analysis.experiment",
    "SearchSpace": "nas.space",
    "Study": "nas.results",
    "TrainAgain": "nas.analysis.experiment",
    "Trained": "nas.one_network",
    "describe_data": "nas.described_data",
    "load": "nas.api",
    "nested": "nas.nested_search",
    "parameter": "nas.space",
    "run": "nas.next_experiment",
    "screen": "nas.screened",
    "search": "nas.api",
    "studies": "nas.api",
    "train": "nas.one_network",
}

# In full, because type checkers and the API page read this list without running it.
__all__ = [
    "DEFAULT_STORAGE",
    "Best",
    "Choice",
    "DescribedData",
    "Interrupted",
    "LookAtData",
    "NASClassifier",
    "NASRegressor",
    "NasError",
    "Nested",
    "Range",
    "Screened",
    "SearchAgain",
    "SearchSpace",
    "Study",
    "TrainAgain",
    "Trained",
    "__version__",
    "describe_data",
    "load",
    "nested",
    "parameter",
    "run",
    "screen",
    "search",
    "studies",
    "train",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used (PEP 562)."""
    if name not in _FACE:
        raise AttributeError(f"module 'nas' has no attribute '{name}'")
    value = getattr(import_module(_FACE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACE})
