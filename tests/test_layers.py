"""The compact notation, read and written, and the layers that follow from it."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.layers import (
    NAMED,
    Item,
    Layer,
    build_layers,
    convolution_blocks,
    is_normalized_by_design,
    parse_layers,
    well_known_name,
)


def layers_of(
    text: str, shape: tuple[int, ...] = (32, 32, 3), n_outputs: int = 10, residual: bool = False
) -> tuple[Layer, ...]:
    items = parse_layers(text)
    convolutions = tuple(str(item) for item in items if item.kind != "fc")
    units = tuple(item.size for item in items if item.kind == "fc")
    return build_layers(shape, convolutions, units, n_outputs, residual)


def kinds(layers: tuple[Layer, ...]) -> list[str]:
    return [layer.kind for layer in layers]


# Reading and writing


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("32c3", Item("c", 32, 3)),
        ("32c3s2", Item("c", 32, 3, 2)),
        ("64r5", Item("r", 64, 5)),
        ("64r3s2", Item("r", 64, 3, 2)),
        ("mp2", Item("mp", window=2, stride=2)),
        ("ap3", Item("ap", window=3, stride=3)),
        ("gap", Item("gap")),
        ("gmp", Item("gmp")),
        ("fc500", Item("fc", 500)),
    ],
)
def test_items(text: str, item: Item) -> None:
    assert parse_layers(text) == (item,)
    assert str(item) == text


def test_a_stride_of_one_is_not_written() -> None:
    assert [str(item) for item in parse_layers("8c3s1-8r3s1")] == ["8c3", "8r3"]


sizes = st.integers(1, 10**6)
small = st.integers(1, 9)
body = st.one_of(
    st.builds(Item, st.sampled_from(["c", "r"]), sizes, small, small),
    st.builds(lambda kind, n: Item(kind, window=n, stride=n), st.sampled_from(["mp", "ap"]), small),
)


@st.composite
def networks(draw: Any) -> list[Item]:
    """Any network that the notation can name."""
    items = draw(st.lists(body, max_size=6))
    items += draw(st.sampled_from([[], [Item("gap")], [Item("gmp")]]))
    items += [Item("fc", size) for size in draw(st.lists(sizes, max_size=3))]
    return items or [Item("fc", 1)]


@given(networks(), st.integers(1, 1000))
def test_what_is_written_is_read_back(items: list[Item], divisor: int) -> None:
    text = "-".join(map(str, items))
    assert parse_layers(text) == tuple(items)
    for whole, part in zip(items, parse_layers(f"{text}/{divisor}"), strict=True):
        assert (part.kind, part.window, part.stride) == (whole.kind, whole.window, whole.stride)
        if whole.size:
            assert part.size >= 1
            assert part.size == 1 or abs(part.size - whole.size / divisor) <= 0.5
        else:
            assert part.size == 0


@given(st.text(st.sampled_from("0123456789crsmpagf-/vresnt"), max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        items = parse_layers(text)
    except ValueError as error:
        assert text in str(error) or f"'{text.partition('/')[0]}'" in str(error)
    else:
        assert parse_layers("-".join(map(str, items))) == items


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got ''"),
        ("32c", "got '32c'"),
        ("c3", "got 'c3'"),
        ("32c3-", "got '' in '32c3-'"),
        ("32c3--mp2", "got '' in '32c3--mp2'"),
        ("32c3 - mp2", "got '32c3 ' in '32c3 - mp2'"),
        ("32C3-mp2", "got '32C3' in '32C3-mp2'"),
        ("32c3-mp", "got 'mp' in '32c3-mp'"),
        ("0c3-mp2", "got '0c3' in '0c3-mp2', where numbers are whole, from 1 to 1000000"),
        ("32c0", "got '32c0', where numbers are whole, from 1 to 1000000"),
        ("32c3s0-fc2", "got '32c3s0' in '32c3s0-fc2', where numbers are whole, from 1 to 1000000"),
        ("fc0", "got 'fc0', where numbers are whole, from 1 to 1000000"),
        ("mp0", "got 'mp0', where numbers are whole, from 1 to 1000000"),
        ("1000001c3", "got '1000001c3', where numbers are whole, from 1 to 1000000"),
        ("vgg12", "got 'vgg12'"),
        ("vgg11-fc10", "got 'vgg11' in 'vgg11-fc10'"),
        ("vgg11/0", "got '/0' in 'vgg11/0', where divisors are whole, from 1 to 1000000"),
        ("vgg11/", "got '/' in 'vgg11/', where divisors are whole, from 1 to 1000000"),
        ("vgg11/2.5", "got '/2.5' in 'vgg11/2.5', where divisors are whole, from 1 to 1000000"),
        ("vgg11/8/2", "got '/8/2' in 'vgg11/8/2', where divisors are whole, from 1 to 1000000"),
        ("fc10-32c3", "got something behind a dense layer in 'fc10-32c3'"),
        ("32c3-fc10-gap", "got something behind a dense layer in '32c3-fc10-gap'"),
        ("gap-32c3", "got convolutions or poolings behind a global pooling in 'gap-32c3'"),
        ("gap-mp2-fc3", "got convolutions or poolings behind a global pooling in 'gap-mp2-fc3'"),
        ("gap-gmp", "got convolutions or poolings behind a global pooling in 'gap-gmp'"),
    ],
)
def test_mistakes_name_the_part(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_layers(text)


# Well-known networks


@pytest.mark.parametrize(
    ("name", "n_weights"),
    [  # Simonyan & Zisserman 2015, table 2, which has them in millions
        ("vgg11", 132_863_336),
        ("vgg13", 133_047_848),
        ("vgg16", 138_357_544),
        ("vgg19", 143_667_240),
    ],
)
def test_vgg_has_the_published_weights(name: str, n_weights: int) -> None:
    layers = layers_of(name, (224, 224, 3), 1000)
    assert sum(layer.n_weights("none") for layer in layers) == n_weights
    assert sum(bool(layer.kernel) for layer in layers) == int(name.removeprefix("vgg"))
    assert layers[kinds(layers).index("flatten")].output_shape == (7 * 7 * 512,)


def test_the_convolutions_of_vgg11() -> None:
    layers = layers_of("vgg11")
    convolutions = [layer for layer in layers if layer.kind == "convolution"]
    assert [layer.output_shape[-1] for layer in convolutions] == [64, 128] + [256] * 2 + [512] * 4
    assert sum(layer.n_weights("none") for layer in convolutions) == 9_220_480


@pytest.mark.parametrize(
    ("name", "published"), [("resnet18", 11_689_512), ("resnet34", 21_797_672)]
)
def test_resnet_has_the_published_weights(name: str, published: int) -> None:
    """Those of ImageNet's network, but for its first layer and its shortcuts with weights."""
    layers = layers_of(name, (32, 32, 3), 1000)
    with_weights = [layer for layer in layers if layer.kernel]
    assert len(with_weights) == int(name.removeprefix("resnet"))
    first = 7 * 7 * 3 * 64 - 3 * 3 * 3 * 64
    shortcuts = sum(n * 2 * n + 2 * (2 * n) for n in (64, 128, 256))
    # Published without biases of the convolutions, which batch normalization makes useless.
    ours = sum(
        math.prod(layer.kernel) + layer.output_shape[-1] * (2 if layer.is_hidden else 1)
        for layer in with_weights
    )
    assert ours == published - first - shortcuts
    skips = [(layers[layer.skip].name, layer.name) for layer in layers if layer.skip is not None]
    assert len(skips) == (len(with_weights) - 2) / 2
    assert skips[:2] == [
        ("convolution_1", "convolution_3"),
        ("convolution_3", "convolution_5"),
    ]
    assert all(layer.skip_first for layer in layers if layer.skip is not None)
    assert [layer.output_shape for layer in layers if layer.stride > 1] == [
        (16, 16, 128),
        (8, 8, 256),
        (4, 4, 512),
    ]
    assert kinds(layers)[-2:] == ["global_average", "dense"]


@pytest.mark.parametrize("name", NAMED)
def test_a_divisor_divides_filters_and_units(name: str) -> None:
    for whole, eighth in zip(parse_layers(name), parse_layers(f"{name}/8"), strict=True):
        assert eighth.size == whole.size / 8
        assert (eighth.kind, eighth.window) == (whole.kind, whole.window)
    assert {item.size for item in parse_layers(f"{name}/100000")} <= {0, 1}


def test_resnet_is_normalized_by_design() -> None:
    names = [name for name in NAMED if is_normalized_by_design(name)]
    assert names == ["resnet18", "resnet34"]
    assert is_normalized_by_design("resnet18/8")
    assert not is_normalized_by_design("64c3-64r3-gap")


# Layers and shapes


def test_layers_by_hand() -> None:
    layers = layers_of("4c3-mp2-6c5s2-ap2-fc7", (9, 5, 2), 3)
    assert [(layer.name, layer.output_shape, layer.kernel) for layer in layers] == [
        ("convolution_1", (9, 5, 4), (3, 3, 2, 4)),
        ("pooling_1", (5, 3, 4), ()),
        ("convolution_2", (3, 2, 6), (5, 5, 4, 6)),
        ("pooling_2", (2, 1, 6), ()),
        ("flatten_1", (12,), ()),
        ("hidden_3", (7,), (12, 7)),
        ("output", (3,), (7, 3)),
    ]
    assert [layer.is_hidden for layer in layers] == [True, False, True, False, False, True, False]
    assert [layer.stride for layer in layers] == [1, 2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize("text", ["3c3s2", "3r3s2", "mp2", "ap2", "3c3s3", "mp3", "3c1s5", "mp50"])
@pytest.mark.parametrize("side", [1, 2, 7, 8, 28])
def test_sizes_are_rounded_up(text: str, side: int) -> None:
    stride = parse_layers(text)[0].stride
    shape = layers_of(text, (side, 2 * side, 1))[0].output_shape
    assert shape[:2] == (math.ceil(side / stride), math.ceil(2 * side / stride))


def test_dense_networks_take_rows_of_numbers() -> None:
    layers = build_layers((12,), (), (5, 4), 2, True)
    assert [(layer.name, layer.kernel, layer.skip) for layer in layers] == [
        ("hidden_1", (12, 5), None),
        ("hidden_2", (5, 4), 0),
        ("output", (4, 2), None),
    ]
    assert build_layers((12,), (), (), 2, True) == (Layer("dense", "output", (2,), (12, 2)),)


def test_with_residual_each_hidden_layer_but_the_first_adds_its_input() -> None:
    layers = layers_of("4c3-mp2-6c3-8r3-gap-fc5-fc5", residual=True)
    inputs = {layer.name: layers[layer.skip].name for layer in layers if layer.skip is not None}
    assert inputs == {
        "convolution_2": "pooling_1",
        "convolution_4": "convolution_2",  # its residual block is as it is without
        "hidden_5": "global_average_1",
        "hidden_6": "hidden_5",
    }
    assert [layer.name for layer in layers if layer.skip_first] == ["convolution_4"]


def test_a_residual_block_may_be_first() -> None:
    layers = layers_of("4r3-gap")
    assert [layer.skip for layer in layers] == [None, -1, None, None]


def test_weights_of_a_layer() -> None:
    convolution = layers_of("4c3-fc5")[0]
    assert convolution.weight_shapes("none") == [(3, 3, 3, 4), (4,)]
    assert convolution.weight_shapes("layer") == [(3, 3, 3, 4), *[(4,)] * 3]
    assert convolution.weight_shapes("batch") == [(3, 3, 3, 4), *[(4,)] * 5]
    assert convolution.n_weights("batch") == 108 + 5 * 4
    output = layers_of("4c3-fc5")[-1]
    assert output.weight_shapes("batch") == [(5, 10), (10,)]  # which is not normalized


# Regular blocks


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ((2, 1, 8, 2.0, 3, "max", "flatten"), "8c3-mp2-16c3-mp2"),
        ((1, 3, 8, 2.0, 5, "average", "average"), "8c5-8c5-8c5-ap2-gap"),
        ((2, 2, 8, 1.5, 3, "stride", "max"), "8c3-8c3s2-12c3-12c3s2-gmp"),
        ((3, 1, 9, 1.5, 3, "max", "flatten"), "9c3-mp2-14c3-mp2-20c3-mp2"),
        ((3, 1, 2, 0.3, 3, "max", "flatten"), "2c3-mp2-1c3-mp2-1c3-mp2"),
    ],
)
def test_blocks(blocks: Any, text: str) -> None:
    assert "-".join(map(str, convolution_blocks(*blocks))) == text


@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 64),
    st.floats(0.25, 3.0),
    st.sampled_from(["max", "average", "stride"]),
    st.integers(1, 100),
)
def test_each_block_halves_the_resolution(
    blocks: int, convolutions: int, filters: int, growth: float, pooling: str, side: int
) -> None:
    items = convolution_blocks(blocks, convolutions, filters, growth, 3, pooling, "flatten")
    assert sum(item.kind == "c" for item in items) == blocks * convolutions
    layers = build_layers((side, side, 1), tuple(map(str, items)), (), 2, False)
    assert layers[-3].output_shape[0] == math.ceil(side / 2**blocks)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("divisor", ["", "/2", "/3", "/8", "/10", "/32"])
def test_a_well_known_network_is_known_by_its_items(name: str, divisor: str) -> None:
    text = name + divisor
    assert well_known_name(tuple(map(str, parse_layers(text)))) == text


def test_any_other_network_has_no_name() -> None:
    items = [str(item) for item in parse_layers("vgg11/8")]
    for other in (items[:-1], [*items[:-1], "fc513"], ["16c3", *items[1:]], ["8c3"], ["gap"]):
        assert well_known_name(tuple(other)) == ""
