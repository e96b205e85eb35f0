"""The Keras network of a trial, of whatever family."""

from collections.abc import Callable

import keras

from nas.architectures import CustomArchitecture
from nas.errors import NasError
from nas.families.family import KerasNetwork
from nas.families.in_words import NetworkInWords
from nas.families.own_model import OwnNetwork
from nas.families.suggestions import BuildModel
from nas.spec import TrialSpec


def network_of(
    spec: TrialSpec,
    build: BuildModel | None,
    adapt: Callable[[keras.Model], keras.Model] = lambda model: model,
) -> KerasNetwork:
    """The network of a trial, compiled.

    Args:
        spec: The trial.
        build: The function that builds custom networks.
        adapt: From the model of any other network to the one that is trained.

    Raises:
        NasError: When it takes a function that is not at hand, or that returns no model that fits.
        Exception: Whatever the function raises.
    """
    if not isinstance(spec.architecture, CustomArchitecture):
        return NetworkInWords(spec, adapt)
    if build is None:
        raise NasError(
            spec.architecture.function,
            "builds this network, and is not at hand",
            "the function itself",
            "Give it again, with --model or in Python.",
        )
    return OwnNetwork(spec, build)
