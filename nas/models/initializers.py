"""Initial weights, drawn with NumPy as Keras's initializers draw them.

The same distributions, not the same numbers: a seed gives the same weights on every machine,
whatever trains them, and drawing them needs no TensorFlow.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from nas.layers import Embedding, Layer
from nas.seeds import derive_seed
from nas.spec import TrialSpec, parse_initializer

# Scale, which fan divides it, and the distribution: Glorot and Bengio 2010, equation 16; He et al.
# 2015, equation 10; LeCun et al. 1998, section 4.6.
_SCALED = {
    "glorot_uniform": (1.0, "average", "uniform"),
    "glorot_normal": (1.0, "average", "normal"),
    "he_uniform": (2.0, "in", "uniform"),
    "he_normal": (2.0, "in", "normal"),
    "lecun_uniform": (1.0, "in", "uniform"),
    "lecun_normal": (1.0, "in", "normal"),
}
MEMBER_FACTORS = "normal(1)"  # so that members differ from the first step on
NARROWEST = 1e-6  # of a bin, as a share of all bins
_TRUNCATION = 2.0  # standard deviations beyond which a normal distribution is cut off
_DEVIATION_LEFT = 0.87962566103423978  # of a normal distribution cut off there


def initial_weights(
    spec: TrialSpec, seed: int, of_bins: Sequence[NDArray[np.float32]] = ()
) -> list[NDArray[np.float32]]:
    """Initial weights for a seed, in the order of `build_model(spec).get_weights()`.

    Args:
        spec: The network.
        seed: Its seed.
        of_bins: From `bin_weights`, for a piecewise embedding; zeros without.
    """
    with_weights = [layer for layer in spec.layers if layer.kernel]
    weights: list[NDArray[np.float32]] = []
    embedding = spec.embedding
    if embedding is not None:
        names = embedding_initializers(embedding, spec.in_words.frequency_scale)
        for number, (name, shape) in enumerate(zip(names, embedding.weight_shapes, strict=True)):
            weights.append(draw(name, shape, derive_seed("embedding", seed, number)))
        weights[: len(of_bins)] = of_bins
    for number, layer in enumerate(with_weights):
        kernel, bias = initializers_of(spec, layer)
        units = layer.output_shape[-1]
        if spec.members > 1 and (number == 0 or not layer.is_hidden):
            shape = (spec.members, layer.kernel[0])
            weights.append(draw(MEMBER_FACTORS, shape, derive_seed("members", seed, number)))
        weights += [
            draw(kernel, layer.kernel, derive_seed("kernel", seed, number)),
            draw(bias, (units,), derive_seed("bias", seed, number)),
        ]
        if layer.is_hidden and spec.in_words.normalization != "none":
            weights += [np.ones(units, np.float32), np.zeros(units, np.float32)]
        if layer.is_hidden and spec.in_words.normalization == "batch":  # moving statistics
            weights += [np.zeros(units, np.float32), np.ones(units, np.float32)]
    return weights


def initializers_of(spec: TrialSpec, layer: Layer) -> tuple[str, str]:
    """The initializers of a layer's kernel and of its bias."""
    network = spec.in_words
    if layer.is_hidden or network.output_initializer == "same":
        return network.initializer, network.bias_initializer
    return network.output_initializer, "zeros"


def embedding_initializers(embedding: Embedding, scale: float) -> list[str]:
    """Those of an embedding's weights (Gorishniy et al. 2022); those of bins are 0.

    Args:
        embedding: The embedding.
        scale: Standard deviation of the frequencies.
    """
    limit = 1.0 / math.sqrt(embedding.n_features)
    uniform = f"uniform({-limit!r}, {limit!r})"
    of_features = [f"normal({scale!r})"] if embedding.kind == "periodic" else ["zeros", "zeros"]
    return [*of_features, uniform, uniform]


def bin_weights(spec: TrialSpec, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Factors and offsets that bring each number to its place in each of its bins.

    `clip(factor * number + offset, 0, 1)` is 0 before a bin and 1 behind it. Edges are quantiles;
    where rows share a value there are fewer bins, and the others stay 0. So do those that 32-bit
    numbers could not tell apart.

    Args:
        spec: The network.
        x: Encoded training rows, (n, n_inputs), the numbers first.

    Returns:
        Two arrays, (n_numbers, bins) each; none unless its embedding is piecewise.
    """
    embedding = spec.embedding
    if embedding is None or embedding.kind != "piecewise":
        return []
    factors, offsets = np.zeros((2, embedding.n_numbers, embedding.parts), np.float32)
    numbers = x[:, : embedding.n_numbers].astype(np.float64)
    shares = np.linspace(0.0, 1.0, embedding.parts + 1)
    for number, edges in enumerate(np.quantile(numbers, shares, axis=0).T if len(x) else []):
        edges = edges[np.diff(edges, prepend=-np.inf) > NARROWEST * (edges[-1] - edges[0])]
        inverse = 1.0 / np.diff(edges)
        factors[number, : len(inverse)] = inverse
        offsets[number, : len(inverse)] = -edges[:-1] * inverse
    return [factors, offsets]


def draw(initializer: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Draws from an initializer such as `he_normal` or `uniform(0, 0.01)`.

    Raises:
        ValueError: When there is no such initializer.
    """
    name, numbers = parse_initializer(initializer)
    random = np.random.default_rng(seed)
    if name in _SCALED:
        return _draw_scaled(name, shape, random)
    match name, numbers:
        case "normal", (deviation,):
            return random.normal(0.0, deviation, shape).astype(np.float32)
        case "uniform", (low, high):
            return random.uniform(low, high, shape).astype(np.float32)
        case "constant", (value,):
            return np.full(shape, value, np.float32)
        case "zeros", ():
            return np.zeros(shape, np.float32)
        case "orthogonal", ():
            return _draw_orthogonal(shape, random)
    raise ValueError(f"unknown initializer {initializer!r}")


def _draw_scaled(
    name: str, shape: tuple[int, ...], random: np.random.Generator
) -> NDArray[np.float32]:
    scale, fan, distribution = _SCALED[name]
    if len(shape) == 1:
        fan_in = fan_out = shape[0]
    else:  # of a convolution, each place of the window counts
        window = math.prod(shape[:-2])
        fan_in, fan_out = window * shape[-2], window * shape[-1]
    variance = scale / max(1.0, fan_in if fan == "in" else (fan_in + fan_out) / 2.0)
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return random.uniform(-limit, limit, shape).astype(np.float32)
    deviation = math.sqrt(variance) / _DEVIATION_LEFT
    # By the inverse of the distribution: nothing need be drawn again.
    low = (1.0 - math.erf(_TRUNCATION / math.sqrt(2.0))) / 2.0
    normal = ndtri(random.uniform(low, 1.0 - low, shape))
    return np.asarray(deviation * normal, np.float32)


def _draw_orthogonal(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    """Saxe et al. 2014: orthonormal rows or columns, whichever are fewer."""
    n_rows, n_columns = math.prod(shape[:-1]), shape[-1]
    flat = random.standard_normal((max(n_rows, n_columns), min(n_rows, n_columns)))
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diag(r))  # else the directions would not be uniform
    rows_or_columns = q.T if n_rows < n_columns else q
    return np.asarray(rows_or_columns.reshape(shape), np.float32)
