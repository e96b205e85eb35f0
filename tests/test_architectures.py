"""Architectures as plain data."""

import json
from dataclasses import asdict, replace

import pytest

from nas.architectures import (
    Architecture,
    CustomArchitecture,
    Suggestion,
    architecture_from_dict,
)
from nas.layers import Layer

DENSE = Layer("dense", "dense_1", (8,), (4, 8), is_hidden=True, activation="relu")
WIDE = replace(DENSE, name="dense_2", output_shape=(16,), kernel=(8, 16))
MAPS = Layer(
    "convolution", "convolution_1", (4, 4, 6), (3, 3, 1, 6), 3, is_hidden=True, has_bias=False
)
OUTPUT = Layer("dense", "output", (3,), (16, 3))
SUGGESTED = (
    Suggestion("n", 2, "int", 1, 3, step=1),
    Suggestion("kind", None, "categorical", choices=("a", None, 1.5, True)),
)


@pytest.mark.parametrize(
    ("layers", "text", "has_maps"),
    [
        ((), "build", False),
        ((OUTPUT,), "build", False),
        ((DENSE, replace(DENSE, name="dense_2"), OUTPUT), "build 2 x 8", False),
        ((DENSE, WIDE, OUTPUT), "build 8-16", False),
        ((MAPS, WIDE, OUTPUT), "build 6c3-fc16", True),
        ((*[DENSE, WIDE] * 7, OUTPUT), "build 8-16-8-16-8-16-...-16-8-16-8-16", False),
    ],
)
def test_a_custom_network_in_a_few_words(layers: tuple, text: str, has_maps: bool) -> None:
    network = CustomArchitecture("build", SUGGESTED, layers)
    assert (str(network), network.has_maps) == (text, has_maps)
    assert network.layers_for(4, (), 3) == layers


def test_a_custom_network_survives_json() -> None:
    network = CustomArchitecture("build", SUGGESTED, (MAPS, OUTPUT), 99, True, "Adam 0.1", "mse")
    again = architecture_from_dict(json.loads(json.dumps(asdict(network))))
    assert again == network and hash(again) == hash(network)
    assert isinstance(again, CustomArchitecture)
    assert again.params == {"n": 2, "kind": None}
    assert isinstance(again.suggestions[0].low, int)  # tells whole numbers from others
    # All its weights count, also those of layers that are not among the examined.
    assert again.count_weights(again.layers) == 99
    assert [again.weights_of(layer) for layer in again.layers] == [54, 51]


def test_a_network_of_the_first_studies_is_still_read() -> None:
    old = {
        "network": "mlp", "units": [8, 6], "activation": "relu", "normalization": "batch",
        "residual": False, "dropout": 0.1, "initializer": "he_normal",
    }  # fmt: skip
    network = architecture_from_dict(old)
    assert network == Architecture("mlp", (8, 6), "relu", "batch", False, 0.1, "he_normal")
    assert network.batch_normalized and not network.has_maps
    first = network.layers_for(4, (), 3)[0]
    assert (first.activation, network.weights_of(first)) == ("relu", 4 * 8 + 8 + 4 * 8)
