"""The compiled program: one epoch of several lanes of one shape, in one call.

Everything that differs between trials of a shape is an argument: optimizer, learning rates,
activation, dropout, penalties, residual connections, widths below the program's. So a program is
compiled once and serves all later trials of its shape.

Notation: axes are always lanes first, then rows, then units. All kernels of a lane lie one after
another in one vector, all its other weights in a second one, so that one fused operation updates
them; see `Shape` for where each lies.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nas.engines.update_rule import Coefficients
from nas.models.dense import NORMALIZATION_EPSILON
from nas.spec import Architecture


@dataclass(frozen=True)
class Shape:
    """What must be the same in all lanes of a program.

    Attributes:
        loss: See `TrialSpec.loss`.
        n_inputs: Columns of the features.
        n_outputs: Units of the output layer.
        depth: Hidden layers.
        width: Units of every hidden layer; a narrower layer leaves its last units unused.
        batch_size: Rows of a step.
        normalization: `none`, `batch` or `layer`.
        softplus: Whether that is the activation; all others share one formula.
        has_l1: Whether there is a penalty on absolute values.
        clips: Whether gradients are clipped.
        lanes: Lanes that train together.
    """

    loss: str
    n_inputs: int
    n_outputs: int
    depth: int
    width: int
    batch_size: int
    normalization: str
    softplus: bool
    has_l1: bool
    clips: bool
    lanes: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units from the inputs to the outputs."""
        return (self.n_inputs, *[self.width] * self.depth, self.n_outputs)

    @property
    def kernels(self) -> list[tuple[int, int]]:
        """Shape of each kernel, in the order in which they lie in the vector of kernels."""
        return list(pairwise(self.sizes))

    @property
    def others(self) -> list[int]:
        """Size of each other weight: the biases, then scale and offset of each normalization."""
        normalized = 0 if self.normalization == "none" else self.depth
        return [*self.sizes[1:], *[self.width] * (2 * normalized)]

    @property
    def n_kernel_weights(self) -> int:
        return sum(math.prod(kernel) for kernel in self.kernels)


class Weights(NamedTuple):
    """Weights of the lanes, or one of their moments; tensors of shape (lanes, n)."""

    kernels: Any
    others: Any


class State(NamedTuple):
    """All that training changes.

    Attributes:
        weights: The weights.
        first: Their first moments.
        second: Their second moments.
        moving: Moving mean and variance of each batch normalization, shape
            (depth, 2, lanes, width); of size 0 without.
    """

    weights: Weights
    first: Weights
    second: Weights
    moving: Any


class Epoch(NamedTuple):
    """What an epoch is trained on.

    Attributes:
        x: Training rows, (lanes, n_rows, n_inputs).
        y: Encoded targets, (lanes, n_rows, n_outputs).
        rows: The rows of each step, (steps, lanes, batch_size).
        row_weights: Their weights, 1 over the batch's rows; 0 fills up a smaller batch.
        share: Share of the epoch's rows in each step, (steps, lanes); 0 where a lane rests.
        coefficients: (steps, lanes, N_COEFFICIENTS), see `update_rule`; those of `RESTING` where
            a lane rests.
        seeds: Seed of the dropout in this epoch, (lanes,), uint32.
    """

    x: Any
    y: Any
    rows: Any
    row_weights: Any
    share: Any
    coefficients: Any
    seeds: Any


class Settings(NamedTuple):
    """What stays the same for a trial; tensors.

    Attributes:
        units: 1 for each unit in use, 0 for the others, (depth, width).
        activation: The coefficients of `Activation`, (n,).
        dropout: Share of units dropped.
        residual: 1 with residual connections, else 0, or None.
        l1, l2: Penalties on the kernels.
        clip_norm: Largest global norm of a gradient; 0 for no clipping.
        momentum: What a step leaves of the moving statistics of batch normalization.
    """

    units: Any
    activation: Any
    dropout: Any
    residual: Any
    l1: Any
    l2: Any
    clip_norm: Any
    momentum: Any


# Activations


class Activation(NamedTuple):
    """Coefficients of the one formula that is every activation but softplus.

    With `e = exp(-|steepness z| - bell z^2)` and a cumulative distribution `s`, which rises from
    0 to 1 and whose tail is `e t (tail_1 + tail_2 t + ...)` with `t = 1 / (1 + spread |z| +
    fold e)`, the activation is

        (positive or negative) z + exponential (e - 1 where z < 0) + (level + gate z) s + offset

    and `at_zero` is the slope of its first two terms at 0, which Keras chooses for each. For the
    logistic distribution the tail is `e / (1 + e)`; for the normal one it is the
    approximation 7.1.26 of Abramowitz & Stegun (1964), off by less than 1e-7.
    """

    positive: float = 0.0
    negative: float = 0.0
    at_zero: float = 0.0
    exponential: float = 0.0
    level: float = 0.0
    gate: float = 0.0
    offset: float = 0.0
    steepness: float = 1.0
    bell: float = 0.0
    spread: float = 0.0
    fold: float = 1.0
    tail_1: float = 1.0
    tail_2: float = 0.0
    tail_3: float = 0.0
    tail_4: float = 0.0
    tail_5: float = 0.0


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
    "softplus": Activation(),  # has a program of its own
}  # fmt: skip


_FAR = 1e18  # beyond it every tail is 0; its square is finite


def _activate(z: Any, c: Activation) -> Any:
    """The activation with coefficients that are tensors.

    One formula rather than a branch for each activation: that compiles in half the time, and runs
    as fast, because it fuses with the operations around it.
    """

    # By hand, because nothing but the distribution's slope differs between the two.
    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def activate(z: Any) -> Any:
        size, below = tf.abs(z), z < 0.0
        near = tf.minimum(size, _FAR)  # infinity times a coefficient of 0 would be NaN
        e = tf.exp(-c.steepness * near - c.bell * near * near)
        t = 1.0 / (1.0 + c.spread * near + c.fold * e)
        tail = c.tail_5
        for coefficient in (c.tail_4, c.tail_3, c.tail_2, c.tail_1):
            tail = coefficient + t * tail
        tail *= t * e
        s = tf.where(below, tail, 1.0 - tail)
        factor = tf.where(below, c.negative, c.positive)
        curved = tf.where(below, c.exponential * (e - 1.0), 0.0)
        gated = c.level + tf.math.multiply_no_nan(z, c.gate)
        output = tf.math.multiply_no_nan(z, factor) + curved + gated * s + c.offset

        def gradient(upstream: Any) -> Any:
            density = c.steepness * s * (1.0 - s) + c.bell * math.sqrt(2.0 / math.pi) * e
            slope = tf.where(below, c.negative + c.exponential * e, c.positive)
            # Also just below 0, where Keras's exponential has the value 0.
            slope = tf.where((z <= 0.0) & (e == 1.0), c.at_zero, slope)
            return upstream * (slope + c.gate * s + gated * density)

        return output, gradient

    return activate(z)


# Dropout

_ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B))  # Wellons 2018, the `lowbias32` hash


def _hash(x: Any) -> Any:
    """Mixes 32-bit numbers; every bit of the result depends on every bit of `x`."""
    shift, xor = tf.bitwise.right_shift, tf.bitwise.bitwise_xor
    for bits, factor in _ROUNDS:
        x = xor(x, shift(x, tf.constant(bits, tf.uint32))) * tf.constant(factor, tf.uint32)
    return xor(x, shift(x, tf.constant(16, tf.uint32)))


def _dropout(counters: Any, key: Any, rate: Any) -> Any:
    """What to multiply with: 0 for a dropped unit, 1 / (1 - rate) for the others.

    A counter hashed with a key; TensorFlow's own generators take as long as the rest of a step.

    Args:
        counters: A number for each row and unit, (batch_size, width).
        key: A number for each lane, drawn anew for each step and layer, (lanes,).
        rate: Share of units dropped.
    """
    bits = _hash(tf.bitwise.bitwise_xor(counters, key[:, None, None]))
    uniform = (
        tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24
    )
    return tf.where(uniform >= rate, 1.0 / (1.0 - rate), 0.0)


# The network


def _unpack(shape: Shape, weights: Weights) -> tuple[list[Any], list[Any]]:
    """Kernels, (lanes, n_in, n_out) each, and other weights, (lanes, 1, n) each."""
    sizes = [math.prod(kernel) for kernel in shape.kernels]
    kernels = [
        tf.reshape(part, (-1, *kernel))
        for part, kernel in zip(
            tf.split(weights.kernels, sizes, axis=1), shape.kernels, strict=True
        )
    ]
    rows = tf.expand_dims(weights.others, 1)
    others = tf.split(rows, shape.others, axis=2)
    return kernels, others


def forward(
    shape: Shape,
    settings: Settings,
    activate: Callable[[Any], Any],
    kernels: Sequence[Any],
    others: Sequence[Any],
    moving: Any,
    x: Any,
    row_weights: Any = None,
    dropout_keys: Any = None,
    counters: Any = None,
) -> tuple[Any, list[Any]]:
    """The outputs of all lanes, and the new moving statistics of batch normalizations.

    With `row_weights`, (lanes, n_rows), as in training, else as in prediction.
    """
    training = row_weights is not None
    statistics = []
    skip = None
    for i, units in enumerate(tf.unstack(settings.units, shape.depth)):
        a = tf.matmul(x, kernels[i]) + others[i]
        if shape.normalization != "none":
            scale, offset = others[shape.depth + 1 + 2 * i :][:2]
            if shape.normalization == "layer":
                n = tf.reduce_sum(units)
                # From the first unit on, so that equal values have a mean without rounding error:
                # else its sign would choose the side of a kink.
                one = tf.stop_gradient(a[:, :, :1])
                mean = one + tf.reduce_sum((a - one) * units, axis=2, keepdims=True) / n
                centered = (a - mean) * units
                variance = tf.reduce_sum(centered**2, axis=2, keepdims=True) / n
            else:
                mean, variance = moving[i, 0][:, None, :], moving[i, 1][:, None, :]
                if training:
                    weights = row_weights[:, :, None]
                    batch_mean = tf.reduce_sum(weights * a, axis=1, keepdims=True)
                    batch_variance = tf.reduce_sum(
                        weights * (a - batch_mean) ** 2, axis=1, keepdims=True
                    )
                    statistics.append(
                        [
                            settings.momentum * old + (1.0 - settings.momentum) * new
                            for old, new in ((mean, batch_mean), (variance, batch_variance))
                        ]
                    )
                    mean, variance = batch_mean, batch_variance
                centered = a - mean
            a = centered * tf.math.rsqrt(variance + NORMALIZATION_EPSILON) * scale + offset
        a = activate(a)
        if training:  # else nothing need be kept from unused units: no weight reads them
            keys = _hash(dropout_keys + tf.constant(i, tf.uint32))
            a = a * units * _dropout(counters, keys, settings.dropout)
        if skip is not None and settings.residual is not None:
            a = a + settings.residual * units * skip
        x = skip = a
    return tf.matmul(x, kernels[-1]) + others[shape.depth], statistics


def _row_losses(loss: str, y: Any, outputs: Any) -> Any:
    """The loss of each row, (lanes, n_rows); Keras's, from logits."""
    if loss == "cross_entropy" and outputs.shape[2] > 1:
        return tf.reduce_sum(-y * tf.nn.log_softmax(outputs), axis=2)
    if loss in ("cross_entropy", "logistic"):
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=outputs)
        return tf.reduce_sum(losses, axis=2)
    error = tf.abs(outputs - y)[:, :, 0]
    if loss == "absolute":
        return error
    if loss == "huber":
        return tf.where(error <= 1.0, 0.5 * error**2, error - 0.5)
    return error**2


# Training


def _update(
    c: Coefficients, decay: Any, w: Any, gradient: Any, m: Any, v: Any
) -> tuple[Any, Any, Any]:
    """One step of the rule of `update_rule`."""
    new_v = c.v_keep * v + c.v_add * gradient**2
    inverse = 1.0 / (tf.sqrt(c.v_scale * new_v + c.inside) + c.outside)
    q = gradient * (1.0 - c.divide_early + c.divide_early * inverse)
    new_m = c.m_keep * m + c.m_add * q
    late = c.divide_early + (1.0 - c.divide_early) * inverse
    new_w = w - decay * w - (c.m_rate * new_m + c.q_rate * q) * late
    return new_w, new_m, new_v


@cache
def compile_epoch(shape: Shape) -> Any:
    """A function from `State`, `Epoch`, `Settings` and dropout counters to `State` and losses.

    The losses, (lanes,), are means over the epoch's rows, penalties included.
    """

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def run_epoch(state: State, epoch: Epoch, settings: Settings, counters: Any) -> Any:
        activation = Activation(*tf.unstack(settings.activation))
        activate = tf.nn.softplus if shape.softplus else lambda z: _activate(z, activation)

        def step(s: Any, state: State, total: Any) -> Any:
            row_weights, share = epoch.row_weights[s], epoch.share[s]
            c = Coefficients(*tf.split(epoch.coefficients[s], len(Coefficients._fields), axis=1))
            x = tf.gather(epoch.x, epoch.rows[s], batch_dims=1)
            y = tf.gather(epoch.y, epoch.rows[s], batch_dims=1)
            keys = _hash(epoch.seeds + tf.cast(s, tf.uint32))
            weights = state.weights
            kernels, others = _unpack(shape, weights)
            with tf.GradientTape() as tape:
                tape.watch([kernels, others])
                outputs, statistics = forward(
                    shape,
                    settings,
                    activate,
                    kernels,
                    others,
                    state.moving,
                    x,
                    row_weights,
                    keys,
                    counters,
                )
                losses = tf.reduce_sum(row_weights * _row_losses(shape.loss, y, outputs), axis=1)
            gradients = tape.gradient(losses, [kernels, others])
            gradient = Weights(*[tf.concat([_flat(g) for g in part], axis=1) for part in gradients])
            w, g, m, v = weights.kernels, gradient.kernels, state.first, state.second
            losses += settings.l2 * _sum(w**2)
            g += 2.0 * settings.l2 * w
            if shape.has_l1:
                losses += settings.l1 * _sum(tf.abs(w))
                g += settings.l1 * tf.sign(w)
            gradient = gradient._replace(kernels=g)
            if shape.clips:
                gradient = _clip(gradient, settings.clip_norm)
            new = zip(
                _update(c, c.decay, w, gradient.kernels, m.kernels, v.kernels),
                _update(c, 0.0, weights.others, gradient.others, m.others, v.others),
                strict=True,
            )
            weights, m, v = (Weights(*parts) for parts in new)
            moving = state.moving
            if statistics:
                moving = tf.where(share[:, None] > 0.0, tf.stack(statistics)[:, :, :, 0, :], moving)
            return s + 1, State(weights, m, v, moving), total + share * losses

        steps = tf.shape(epoch.rows)[0]
        start = (tf.constant(0), state, tf.zeros(shape.lanes))
        _, state, total = tf.while_loop(lambda s, *_: s < steps, step, start)
        return state, total

    return run_epoch


def predict(
    shape: Shape, settings: Settings, network: Architecture, weights: Weights, moving: Any, x: Any
) -> NDArray[np.float32]:
    """The outputs, (lanes, n, n_outputs), for rows, (lanes, n, n_inputs).

    Operation by operation: so short a program is not worth its compilation.
    """
    activate = keras.activations.get(network.activation)
    if not network.residual:
        settings = settings._replace(residual=None)
    outputs, _ = forward(shape, settings, activate, *_unpack(shape, weights), moving, x)
    return np.asarray(outputs)


def _flat(gradient: Any) -> Any:
    return tf.reshape(gradient, (gradient.shape[0], -1))


def _sum(values: Any) -> Any:
    """Sums over each lane's numbers, (lanes,)."""
    # In columns first: XLA adds those side by side, but the numbers of a row one at a time.
    columns = math.gcd(values.shape[1], 64)
    return tf.reduce_sum(tf.reduce_sum(tf.reshape(values, (values.shape[0], -1, columns)), 1), 1)


def _clip(gradient: Weights, largest: Any) -> Weights:
    norm = tf.sqrt(_sum(gradient.kernels**2) + _sum(gradient.others**2))
    # A norm that overflows makes the factor NaN, as in Keras, and the lane diverges.
    factor = (largest / tf.maximum(norm, largest) + (norm - norm))[:, None]
    return Weights(factor * gradient.kernels, factor * gradient.others)


def dropout_counters(shape: Shape) -> Any:
    """A number for each row of a batch and each unit; an argument, because XLA folds constants."""
    numbers = np.arange(shape.batch_size * max(shape.width, 1), dtype=np.uint32)
    return tf.constant(numbers.reshape(shape.batch_size, -1) * np.uint32(0x9E3779B9))
