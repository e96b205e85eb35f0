"""Activations as one formula with coefficients, and their slopes; and each by itself in NumPy.

One formula, rather than a branch for each activation, lets lanes with different activations train
side by side in one program. Where one network is looked at, it would take many times as long.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit


class Activation(NamedTuple):
    """Coefficients of the one formula that is every activation but softplus and mish.

    With `e = exp(-|steepness z| - bell z^2)` and a cumulative distribution `s`, which rises from
    0 to 1 and whose tail is `e t (tail_1 + tail_2 t + ...)` with `t = 1 / (1 + spread |z| +
    fold e)`, the activation is

        (positive or negative) z + exponential (e - 1 where z < 0) + (level + gate z) s + offset

    and `at_zero` is the slope of its first two terms at 0, which Keras chooses for each. For the
    logistic distribution the tail is `e / (1 + e)`; for the normal one it is the
    approximation 7.1.26 of Abramowitz & Stegun (1964), off by less than 1e-7.
    """

    positive: Any = 0.0
    negative: Any = 0.0
    at_zero: Any = 0.0
    exponential: Any = 0.0
    level: Any = 0.0
    gate: Any = 0.0
    offset: Any = 0.0
    steepness: Any = 1.0
    bell: Any = 0.0
    spread: Any = 0.0
    fold: Any = 1.0
    tail_1: Any = 1.0
    tail_2: Any = 0.0
    tail_3: Any = 0.0
    tail_4: Any = 0.0
    tail_5: Any = 0.0


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_NORMAL_TAIL = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)

ACTIVATIONS = {
    "relu": Activation(positive=1.0),
    "leaky_relu": Activation(positive=1.0, negative=0.2, at_zero=0.2),
    "linear": Activation(positive=1.0, negative=1.0, at_zero=1.0),
    "elu": Activation(positive=1.0, exponential=1.0, at_zero=1.0),
    "selu": Activation(
        positive=_SELU_SCALE, exponential=_SELU_SCALE * _SELU_ALPHA, at_zero=_SELU_SCALE
    ),
    "sigmoid": Activation(level=1.0),
    "tanh": Activation(level=2.0, offset=-1.0, steepness=2.0),
    "silu": Activation(gate=1.0),
    "gelu": Activation(
        0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.5, 0.3275911 / math.sqrt(2.0), 0.0,
        *[coefficient / 2.0 for coefficient in _NORMAL_TAIL],
    ),
    "softplus": Activation(),  # these are not of this form
    "mish": Activation(),
}  # fmt: skip

_FAR = 1e18  # beyond it every tail is 0; its square is finite


def activate(xp: Any, z: Any, c: Activation) -> tuple[Any, Any]:
    """The activation of `z`, and its slope there.

    Args:
        xp: NumPy, or `jax.numpy`.
        z: An array.
        c: The activation's coefficients.
    """
    size, below = xp.abs(z), z < 0.0
    near = xp.minimum(size, _FAR)  # infinity times a coefficient of 0 would be NaN
    e = xp.exp(-c.steepness * near - c.bell * near * near)
    t = 1.0 / (1.0 + c.spread * near + c.fold * e)
    tail = c.tail_5
    for coefficient in (c.tail_4, c.tail_3, c.tail_2, c.tail_1):
        tail = coefficient + t * tail
    tail = tail * t * e
    s = xp.where(below, tail, 1.0 - tail)
    factor = xp.where(below, c.negative, c.positive)
    curved = xp.where(below, c.exponential * (e - 1.0), 0.0)
    gated = c.level + _times(xp, z, c.gate)
    output = _times(xp, z, factor) + curved + gated * s + c.offset
    density = c.steepness * s * (1.0 - s) + c.bell * math.sqrt(2.0 / math.pi) * e
    slope = xp.where(below, c.negative + c.exponential * e, c.positive)
    # Also just below 0, where Keras's exponential has the value 0.
    slope = xp.where((z <= 0.0) & (e == 1.0), c.at_zero, slope)
    return output, slope + c.gate * s + gated * density


def _times(xp: Any, z: Any, factor: Any) -> Any:
    """The product, which is 0 where the factor is, whatever `z` is."""
    return xp.where(factor == 0.0, 0.0, z * factor)


def softplus(xp: Any, z: Any) -> tuple[Any, Any]:
    """The logarithm of `1 + exp(z)`, and its slope."""
    e = xp.exp(-xp.abs(z))
    return xp.maximum(z, 0.0) + xp.log1p(e), xp.where(z < 0.0, e, 1.0) / (1.0 + e)


def mish(xp: Any, z: Any) -> tuple[Any, Any]:
    """`z` times the hyperbolic tangent of its softplus, and its slope (Misra 2020)."""
    e, below = xp.exp(-xp.abs(z)), z < 0.0
    small, large = e * (e + 2.0), 1.0 + 2.0 * e
    gate = xp.where(below, small / (small + 2.0), large / (large + 2.0 * e * e))
    logistic = xp.where(below, e, 1.0) / (1.0 + e)
    return z * gate, gate + z * (1.0 - gate * gate) * logistic


FORMULAS = {"softplus": softplus, "mish": mish}  # of those that do not share one


def activation(name: str, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """An activation in NumPy."""
    match name:
        case "relu":
            return np.maximum(z, np.float32(0.0))
        case "linear":
            return z
        case "sigmoid":
            return np.asarray(expit(z))
        case "tanh":
            return np.tanh(z)
        case "silu":
            return np.asarray(z * expit(z))
        case "gelu":
            return z * _normal(z)
        case "softplus" | "mish":
            return np.asarray(FORMULAS[name](np, z)[0])
    c = ACTIVATIONS[name]
    below = np.float32(c.negative) * z
    if c.exponential:
        below = np.float32(c.exponential) * np.expm1(np.minimum(z, np.float32(0.0)))
    return np.where(z < 0.0, below, np.float32(c.positive) * z)


def activation_slope(name: str, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """The slope of an activation in NumPy; at kinks the one that Keras chooses."""
    match name:
        case "linear":
            return np.ones_like(z)
        case "sigmoid":
            s = expit(z)
            return np.asarray(s * (1.0 - s))
        case "tanh":
            return np.asarray(1.0 - np.tanh(z) ** 2)
        case "silu":
            s = expit(z)
            return np.asarray(s + z * s * (1.0 - s))
        case "gelu":
            density = np.exp(-0.5 * z * z) * np.float32(1.0 / math.sqrt(2.0 * math.pi))
            return np.asarray(_normal(z) + z * density)
        case "softplus" | "mish":
            return np.asarray(FORMULAS[name](np, z)[1])
    c = ACTIVATIONS[name]
    below: Any = np.float32(c.negative)
    if c.exponential:
        below = np.float32(c.exponential) * np.exp(np.minimum(z, np.float32(0.0)))
    slope = np.where(z < 0.0, below, np.float32(c.positive))
    return np.where(z == 0.0, np.float32(c.at_zero), slope)


def _normal(z: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cumulative normal distribution."""
    return np.asarray(0.5 * (1.0 + erf(z * np.float32(math.sqrt(0.5)))))
