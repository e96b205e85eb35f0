"""Which of a network's weights belong to which layer.

Weights are in the order of `build_model(spec).get_weights()`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from nas.layers import Layer
from nas.spec import TrialSpec


def layer_weights(spec: TrialSpec, weights: Sequence[Any]) -> Iterator[tuple[Layer, Sequence[Any]]]:
    """All layers with their own weights, from the first layer to the output layer."""
    position = 0
    for layer in spec.layers:
        end = position + len(layer.weight_shapes(spec.in_words.normalization))
        yield layer, weights[position:end]
        position = end


def kernels_of(spec: TrialSpec, weights: Sequence[Any]) -> list[Any]:
    """The kernels among the weights, from the first layer to the output layer."""
    return [own[0] for layer, own in layer_weights(spec, weights) if layer.kernel]
