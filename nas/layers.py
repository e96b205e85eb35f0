"""What a network's layers are: the compact notation, and the shapes that follow from it.

A network is written as items with hyphens between them, from the input to the output layer, which
is left out:

    32c3     convolution, 32 filters of 3 x 3; `32c3s2` with a stride of 2
    64r3     residual block: two such convolutions, whose input is added to their output
             (He et al. 2016, figure 2; its shortcuts are those without weights, option A)
    mp2      max pooling over 2 x 2, with that stride; `ap2` is average pooling
    gap      the average of each feature map; `gmp` is its maximum
    fc32     dense layer of 32 units

A well-known network may stand for its items, and `/8` after a network divides all its filters and
units. Convolutions and poolings pad ("same" in Keras), so sizes are rounded up and every
network fits every image.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

ItemKind = Literal["c", "r", "mp", "ap", "gap", "gmp", "fc"]
EmbeddingKind = Literal["periodic", "piecewise"]
LayerKind = Literal[
    "convolution", "max_pooling", "average_pooling", "global_average", "global_max", "flatten",
    "embedding", "members", "dense",
]  # fmt: skip

_VGG_ENDS = "-fc4096-fc4096"
_VGG = {  # Simonyan & Zisserman 2015, table 1: convolutions before each of the five poolings
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
_RESNET = {  # He et al. 2016, table 1; the first layer as for small images, section 4.2
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
}
NAMED = (*_VGG, *_RESNET)
SHORTEST = "items such as 32c3, 64r3, mp2, ap2, gap, gmp and fc32 with hyphens between them, or "
EXPECTED = SHORTEST + "one of " + ", ".join(NAMED) + "; /8 behind it divides filters and units"

_ITEM = re.compile(r"(?:(\d+)([cr])(\d+)(?:s(\d+))?|(mp|ap)(\d+)|(gap|gmp)|fc(\d+))")
LARGEST_DIVISOR = 512  # with which a well-known network is still told as such
LARGEST_SIZE = 10**6  # filters, units or pixels
MEMBER_INPUTS, MEMBER_OUTPUTS = "member_inputs", "member_outputs"  # names of layers
_BOUNDS = f"whole, from 1 to {LARGEST_SIZE}"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the notation.

    Attributes:
        kind: Its letters.
        size: Filters or units; 0 for poolings.
        window: Side of a convolution or pooling window.
        stride: Step of a convolution's window; of a residual block's first.
    """

    kind: ItemKind
    size: int = 0
    window: int = 1
    stride: int = 1

    def __str__(self) -> str:
        match self.kind:
            case "c" | "r":
                stride = f"s{self.stride}" if self.stride > 1 else ""
                return f"{self.size}{self.kind}{self.window}{stride}"
            case "mp" | "ap":
                return f"{self.kind}{self.window}"
            case "fc":
                return f"fc{self.size}"
        return self.kind


def parse_layers(text: str) -> tuple[Item, ...]:
    """The items of a network in the compact notation.

    Raises:
        ValueError: When it cannot be read; the message says which part.
    """
    body, slash, divisor_text = text.partition("/")
    divisor = int(divisor_text) if divisor_text.isdecimal() else 0
    if slash and not 0 < divisor <= LARGEST_SIZE:
        raise ValueError(f"got '/{divisor_text}' in '{text}', where divisors are {_BOUNDS}")
    items = [_parse_item(part, text) for part in _expand(body).split("-")]
    if divisor > 1:
        items = [
            replace(item, size=_divided(item.size, divisor)) if item.size else item
            for item in items
        ]
    kinds = [item.kind for item in items]
    first_dense = kinds.index("fc") if "fc" in kinds else len(kinds)
    if any(kind != "fc" for kind in kinds[first_dense:]):
        raise ValueError(f"got something behind a dense layer in '{text}'")
    if any(kind in ("gap", "gmp") for kind in kinds[: first_dense - 1]):
        raise ValueError(f"got convolutions or poolings behind a global pooling in '{text}'")
    return tuple(items)


def _parse_item(part: str, text: str) -> Item:
    wrong = f"got '{part}' in '{text}'" if part != text else f"got '{text}'"
    match = _ITEM.fullmatch(part)
    if match is None:
        raise ValueError(wrong)
    groups: tuple[Any, ...] = match.groups()
    filters, letter, kernel, stride, pooling, window, pool_all, units = groups
    numbers = [int(n) for n in (filters, kernel, stride, window, units) if n is not None]
    if any(not 0 < n <= LARGEST_SIZE for n in numbers):
        raise ValueError(f"{wrong}, where numbers are {_BOUNDS}")
    if letter:
        return Item(letter, int(filters), int(kernel), int(stride or 1))
    if pooling:
        return Item(pooling, window=int(window), stride=int(window))
    return Item(pool_all) if pool_all else Item("fc", int(units))


def _expand(body: str) -> str:
    """The items of a well-known network; anything else as it is."""
    if body in _VGG:
        filters = (64, 128, 256, 512, 512)
        blocks = zip(filters, _VGG[body], strict=True)
        return "-".join(f"{n}c3-" * count + "mp2" for n, count in blocks) + _VGG_ENDS
    if body in _RESNET:
        stages = []
        for number, count in enumerate(_RESNET[body]):
            filters = 64 * 2**number
            first = f"{filters}r3" + ("s2" if number else "")
            stages += [first, *[f"{filters}r3"] * (count - 1)]
        return "-".join(["64c3", *stages, "gap"])
    return body


@lru_cache(maxsize=1024)
def well_known_name(texts: tuple[str, ...]) -> str:
    """The well-known network that has these items, such as `vgg11/8`; empty if there is none."""
    items = tuple(_parse_item(text, text) for text in texts)
    for name in NAMED:
        whole = parse_layers(name)
        if _without_sizes(whole) != _without_sizes(items):
            continue
        divisors = range(1, LARGEST_DIVISOR + 1)
        near = [n for n in divisors if _divided(whole[0].size, n) == items[0].size]
        # Of those that give the same network, the roundest one.
        for divisor in sorted(near, key=lambda n: (n & (n - 1) > 0, n % 5 > 0, n)):
            text = name if divisor == 1 else f"{name}/{divisor}"
            if parse_layers(text) == items:
                return text
    return ""


def _without_sizes(items: Sequence[Item]) -> list[Item]:
    return [replace(item, size=0) for item in items]


def _divided(size: int, divisor: int) -> int:
    return max(1, round(size / divisor))


def is_normalized_by_design(text: str) -> bool:
    """Whether a well-known network has batch normalization in its paper."""
    return text.partition("/")[0] in _RESNET


def convolution_blocks(
    blocks: int,
    convolutions: int,
    filters: int,
    growth: float,
    kernel: int,
    pooling: str,
    head: str,
) -> tuple[Item, ...]:
    """The items of a regular network, but for its dense layers.

    Args:
        blocks: Each ends with half the resolution.
        convolutions: Of a block.
        filters: Of the first block's convolutions.
        growth: Factor of the filters from one block to the next, up to `LARGEST_SIZE` of them.
        kernel: Side of the convolutions' windows.
        pooling: What halves the resolution: `max`, `average`, or `stride`, of a block's last
            convolution.
        head: What follows the last block: `flatten`, `average` or `max`.
    """
    items: list[Item] = []
    for block in range(blocks):
        size = min(max(1, round(filters * growth**block)), LARGEST_SIZE)
        items += [Item("c", size, kernel)] * convolutions
        if pooling == "stride":
            items[-1] = Item("c", size, kernel, 2)
        else:
            items.append(Item("mp" if pooling == "max" else "ap", window=2, stride=2))
    if head != "flatten":
        items.append(Item("gap" if head == "average" else "gmp"))
    return tuple(items)


@dataclass(frozen=True, slots=True)
class Embedding:
    """Embeddings of numbers (Gorishniy et al. 2022, sections 3.2 and 3.3).

    Each number becomes several features, with a dense layer of its own and ReLU behind them. The
    numbers themselves go on beside their embeddings (Holzmueller et al. 2024, section 3).

    - `periodic`: cosines and sines of learned frequencies.
    - `piecewise`: how far it is through each of some bins, from 0 to 1. The bins have as many
      training rows each, and are not learned.

    Attributes:
        kind: Which one.
        n_numbers: How many of the inputs, the first ones, are embedded.
        parts: Frequencies of each number, or bins.
        size: Of what each number becomes.
    """

    kind: EmbeddingKind
    n_numbers: int
    parts: int
    size: int

    @property
    def n_features(self) -> int:
        """What each number becomes before its dense layer."""
        return 2 * self.parts if self.kind == "periodic" else self.parts

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of its weights.

        Its frequencies, or factors and offsets of its bins; then kernels and biases.
        """
        n = self.n_numbers
        of_features = [(n, self.parts)] * (1 if self.kind == "periodic" else 2)
        return [*of_features, (n, self.n_features, self.size), (n, self.size)]

    def n_outputs(self, n_inputs: int) -> int:
        """Numbers that so many inputs become: the embeddings, and the inputs."""
        return self.n_numbers * self.size + n_inputs


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a network, with its shapes.

    A hidden layer, dense or convolution, is followed by normalization, activation and dropout.

    Attributes:
        kind: What it computes.
        name: Its name in the Keras model.
        output_shape: Of one row: (n_units,), or (height, width, channels).
        kernel: Shape of its kernel; empty for a layer without weights.
        window: Side of its window.
        stride: Step of its window.
        is_hidden: Whether it is a hidden layer, and not the output layer or one without weights.
        skip: Position of the layer whose output is added to this one's, -1 for the network's
            input; None for no residual connection.
        skip_first: Whether it is added before the activation, as in a residual block.
        activation: Keras name of its activation; empty where it has none.
        has_bias: Whether it has a bias.
        embedding: What it is, of the kind `embedding`.
        members: How many members it has factors for, of the kind `members`.
    """

    kind: LayerKind
    name: str
    output_shape: tuple[int, ...]
    kernel: tuple[int, ...] = ()
    window: int = 1
    stride: int = 1
    is_hidden: bool = False
    skip: int | None = None
    skip_first: bool = False
    activation: str = ""
    has_bias: bool = True
    embedding: Embedding | None = None
    members: int = 1

    def weight_shapes(self, normalization: str) -> list[tuple[int, ...]]:
        """Shapes of its weights, in Keras's order: kernel, bias, then those of a normalization."""
        if self.embedding is not None:
            return self.embedding.weight_shapes
        if self.kind == "members":
            return [(self.members, *self.output_shape)]
        if not self.kernel:
            return []
        units = self.output_shape[-1:]
        more = {"none": 0, "layer": 2, "batch": 4}[normalization] if self.is_hidden else 0
        return [self.kernel, *[units] * self.has_bias, *[units] * more]

    def n_weights(self, normalization: str) -> int:
        """Numbers in its weights, moving statistics included."""
        return sum(map(math.prod, self.weight_shapes(normalization)))


@lru_cache(maxsize=1024)
def build_layers(
    input_shape: tuple[int, ...],
    convolutions: tuple[str, ...],
    units: tuple[int, ...],
    n_outputs: int,
    residual: bool,
    activation: str = "",
    embedding: Embedding | None = None,
    members: int = 1,
) -> tuple[Layer, ...]:
    """The layers of a network, the output layer included.

    With several members, each has factors of its own for what the first hidden layer and the
    output layer get, and all share the kernels (Wen et al. 2020, section 3.1; for tables, Gorishniy
    et al. 2025, section 3.3).

    Args:
        input_shape: Of one row: (n_inputs,), or (height, width, channels) with convolutions.
        convolutions: Items before the dense layers.
        units: Of each hidden dense layer.
        n_outputs: Of the output layer.
        residual: Whether each hidden layer after the first adds its input.
        activation: Of each hidden layer.
        embedding: Of numbers among the inputs.
        members: Networks that share the hidden layers, with dense layers only.
    """
    layers: list[Layer] = []
    shape = input_shape
    n_hidden = 0

    def add(kind: LayerKind, prefix: str, output: tuple[int, ...], **more: object) -> None:
        nonlocal shape
        others = sum(layer.name.startswith(f"{prefix}_") for layer in layers)
        number = n_hidden if more.get("is_hidden") else 1 + others
        if more.get("is_hidden"):
            more["activation"] = activation
        layers.append(Layer(kind, f"{prefix}_{number}", output, **more))  # type: ignore[arg-type]
        shape = output

    def convolve(item: Item, stride: int, skip: int | None, skip_first: bool = False) -> None:
        nonlocal n_hidden
        n_hidden += 1
        add(
            "convolution",
            "convolution",
            (*_reduced(shape, stride), item.size),
            kernel=(item.window, item.window, shape[-1], item.size),
            window=item.window,
            stride=stride,
            is_hidden=True,
            skip=skip,
            skip_first=skip_first,
        )

    for text in convolutions:
        item = _parse_item(text, text)
        match item.kind:
            case "c":
                convolve(item, item.stride, _skip(layers, n_hidden, residual))
            case "r":
                start = len(layers) - 1
                convolve(item, item.stride, None)
                convolve(item, 1, start, skip_first=True)
            case "mp" | "ap":
                kind: LayerKind = "max_pooling" if item.kind == "mp" else "average_pooling"
                output = (*_reduced(shape, item.window), shape[-1])
                add(kind, "pooling", output, window=item.window, stride=item.window)
            case _:
                kind = "global_average" if item.kind == "gap" else "global_max"
                add(kind, kind, shape[-1:])
    if len(shape) > 1:
        add("flatten", "flatten", (math.prod(shape),))
    if embedding is not None:
        shape = (embedding.n_outputs(shape[0]),)
        layers.append(Layer("embedding", "embedding", shape, embedding=embedding))

    def add_members(name: str) -> None:
        if members > 1:
            layers.append(Layer("members", name, shape, members=members))

    add_members(MEMBER_INPUTS)
    for size in units:
        skip = _skip(layers, n_hidden, residual)
        n_hidden += 1
        add("dense", "hidden", (size,), kernel=(shape[0], size), is_hidden=True, skip=skip)
    add_members(MEMBER_OUTPUTS)
    layers.append(Layer("dense", "output", (n_outputs,), (shape[0], n_outputs)))
    return tuple(layers)


def _skip(layers: Sequence[Layer], n_hidden: int, residual: bool) -> int | None:
    return len(layers) - 1 if residual and n_hidden else None


def _reduced(shape: tuple[int, ...], stride: int) -> tuple[int, int]:
    return -(-shape[0] // stride), -(-shape[1] // stride)
