"""A compiled loop for each architecture: a peer of `nas search`, written by hand in TensorFlow.

Whatever its processes import, they import themselves, so that they start with no more.
"""

import itertools
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from peers import Array, Folds, Tick, Timing, usable_cpus

from nas.spec import TrialSpec


def architecture(spec: TrialSpec) -> tuple[Any, ...]:
    """What trials must share to share a compiled program."""
    return spec.in_words.units, spec.in_words.activation, spec.training.optimizer


@dataclass(frozen=True)
class _LoopFold:
    """A fold as the compiled loop takes it; all folds have the same shapes.

    Attributes:
        n_rows: Training rows; those after them are zeros, and never drawn.
        x: Shape (most training rows of a fold, n_inputs).
        y: Class numbers.
        x_val: Shape (most validation rows of a fold, n_inputs).
        y_val: Class numbers; -1, which is never right, for rows that are none.
        n_val: Validation rows.
    """

    n_rows: int
    x: Array
    y: Array
    x_val: Array
    y_val: Array
    n_val: int


@dataclass(frozen=True)
class _LoopPart:
    """What one call of a process of the compiled loop returns."""

    accuracies: list[float]
    compiling: float
    start_seconds: float


def with_compiled_loop(
    folds: Folds, specs: Sequence[TrialSpec], seeds: Sequence[int], tick: Tick
) -> Timing:
    """A hand-written epoch in one XLA program for each architecture, as of a good engineer's day.

    One process for each processor, pinned and with a single thread; all trials of an architecture
    go to the same one, large ones first. TensorFlow's import is part of the time.
    """
    most = max(len(fold.y_train) for fold in folds)
    most_val = max(len(fold.y_val) for fold in folds)
    data = [
        _LoopFold(
            len(fold.y_train),
            _padded(fold.x_train, most, 0),
            _padded(fold.y_train.astype(np.int32), most, 0),
            _padded(fold.x_val, most_val, 0),
            _padded(fold.y_val.astype(np.int32), most_val, -1),
            len(fold.y_val),
        )
        for fold in folds
    ]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, spec in enumerate(specs):
        groups.setdefault(architecture(spec), []).append(index)
    largest_first = sorted(
        groups.values(), key=lambda group: -len(group) * specs[group[0]].n_weights
    )
    cpus = usable_cpus()
    context = get_context("spawn")
    free = context.Queue()
    for cpu in cpus:
        free.put(cpu)
    accuracies = [float("nan")] * len(specs)
    parts = []
    started = time.perf_counter()
    with ProcessPoolExecutor(
        len(cpus), context, _start_loop, (free, time.time(), data)
    ) as processes:
        calls = {
            processes.submit(_run_loop, [specs[k] for k in group], [seeds[k] for k in group]): group
            for group in largest_first
        }
        for call in as_completed(calls):
            parts.append(call.result())
            for index, accuracy in zip(calls[call], parts[-1].accuracies, strict=True):
                accuracies[index] = accuracy
                tick()
    seconds = time.perf_counter() - started
    return Timing(
        accuracies,
        seconds,
        fixed=max(part.start_seconds for part in parts),
        compiling=sum(part.compiling for part in parts) / min(len(cpus), len(groups)),
        details={"processes": len(cpus), "architectures": len(groups)},
    )


def _padded(values: Array, length: int, value: float) -> Array:
    rest = [(0, length - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, rest, constant_values=value)


_loop: dict[str, Any] = {}  # what a process of the compiled loop keeps between its calls


def _start_loop(free_cpus: Any, started: float, folds: list[_LoopFold]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {free_cpus.get()})
    os.environ |= {
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    }
    from nas.engines.startup import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    _loop["folds"] = [
        (fold, [tf.constant(a) for a in (fold.x, fold.y, fold.x_val, fold.y_val)]) for fold in folds
    ]
    _loop["start_seconds"] = time.time() - started


def _run_loop(specs: list[TrialSpec], seeds: list[int]) -> _LoopPart:
    """Trains trials of one architecture."""
    import tensorflow as tf

    run_epoch = _epoch_program(specs[0])
    calls: list[float] = []
    accuracies = []
    for spec, seed in zip(specs, seeds, strict=True):
        training = spec.training
        settings = [
            tf.constant(value, tf.float32)
            for value in (training.learning_rate, training.l2, spec.in_words.dropout)
        ]
        scores = []
        for number, (fold, data) in enumerate(_loop["folds"]):
            generator = np.random.default_rng((seed, number))
            weights = _initial_weights(spec, generator)
            slots = [[np.zeros_like(w) for w in weights] for _ in _slots(training.optimizer)]
            random_seed = tf.constant(generator.integers(2**31), tf.int32)
            for epoch in range(training.epochs):
                order, shares = _batches(fold, training.batch_size, generator)
                started = time.perf_counter()
                weights, slots, right = run_epoch(
                    weights, slots, tf.constant(epoch), random_seed, *data, order, shares, *settings
                )
                accuracy = int(right) / fold.n_val
                calls.append(time.perf_counter() - started)
            scores.append(accuracy)
        accuracies.append(float(np.mean(scores)))
    # The first call compiles; what it computes takes as long as in any other.
    compiling = calls[0] - float(np.median(calls[1:]))
    return _LoopPart(accuracies, compiling, _loop["start_seconds"])


def _batches(fold: _LoopFold, batch_size: int, generator: np.random.Generator) -> list[Any]:
    """Rows of each step of an epoch, and the share that each has in its step's mean."""
    import tensorflow as tf

    steps = -(-fold.n_rows // batch_size)
    order = _padded(generator.permutation(fold.n_rows).astype(np.int32), steps * batch_size, 0)
    counts = _padded(np.ones(fold.n_rows, np.float32), steps * batch_size, 0)
    shares = counts.reshape(steps, batch_size)
    shares /= shares.sum(axis=1, keepdims=True)
    return [tf.constant(order.reshape(steps, batch_size)), tf.constant(shares)]


def _initial_weights(spec: TrialSpec, generator: np.random.Generator) -> list[Any]:
    """Kernels by Glorot and Bengio (2010), as Keras draws them, and biases of zero."""
    import tensorflow as tf

    sizes = [spec.problem.n_inputs, *spec.in_words.units, spec.problem.n_outputs]
    weights = []
    for inputs, units in itertools.pairwise(sizes):
        limit = np.sqrt(6.0 / (inputs + units))
        kernel = generator.uniform(-limit, limit, (inputs, units))
        weights += [tf.constant(kernel, tf.float32), tf.zeros(units)]
    return weights


def _slots(optimizer: str) -> range:
    """One for each value that an optimizer keeps of a weight."""
    return range({"adam": 2, "rmsprop": 1, "sgd": 0}[optimizer])


def _epoch_program(spec: TrialSpec) -> Any:
    """One epoch of an architecture, and the number of validation rows that are then right."""
    import tensorflow as tf

    depth = len(spec.in_words.units)
    training = spec.training
    activate = {
        "relu": tf.nn.relu,
        "gelu": tf.nn.gelu,
        "tanh": tf.nn.tanh,
        "sigmoid": tf.nn.sigmoid,
    }[spec.in_words.activation]

    def outputs(weights: Any, x: Any, dropout: Any = None, seed: Any = None) -> Any:
        for layer in range(depth):
            x = activate(x @ weights[2 * layer] + weights[2 * layer + 1])
            if dropout is not None:
                # With the default generator, XLA on a CPU takes twice as long for an epoch.
                noise = tf.random.stateless_uniform(tf.shape(x), tf.stack(seed), alg="threefry")
                seed = (seed[0], seed[1] + 1)
                x = tf.where(noise >= dropout, x / (1.0 - dropout), 0.0)
        return x @ weights[-2] + weights[-1]

    def updated(weights: Any, gradients: Any, slots: Any, step: Any, rate: Any) -> Any:
        """The optimizers as Keras computes them."""
        pairs = list(zip(weights, gradients, strict=True))
        if training.optimizer == "sgd":
            return [w - rate * g for w, g in pairs], []
        if training.optimizer == "rmsprop":
            rho, epsilon = training.rho, training.epsilon
            squares = [
                rho * v + (1.0 - rho) * g * g for v, g in zip(slots[0], gradients, strict=True)
            ]
            return [
                w - rate * g * tf.math.rsqrt(v + epsilon)
                for (w, g), v in zip(pairs, squares, strict=True)
            ], [squares]
        beta_1, beta_2 = training.beta_1, training.beta_2
        count = tf.cast(step + 1, tf.float32)
        rate = rate * tf.sqrt(1.0 - beta_2**count) / (1.0 - beta_1**count)
        means = [m + (g - m) * (1.0 - beta_1) for m, g in zip(slots[0], gradients, strict=True)]
        squares = [
            v + (g * g - v) * (1.0 - beta_2) for v, g in zip(slots[1], gradients, strict=True)
        ]
        return [
            w - rate * m / (tf.sqrt(v) + training.epsilon)
            for w, m, v in zip(weights, means, squares, strict=True)
        ], [means, squares]

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def run_epoch(
        weights: Any,
        slots: Any,
        epoch: Any,
        seed: Any,
        x: Any,
        y: Any,
        x_val: Any,
        y_val: Any,
        order: Any,
        shares: Any,
        rate: Any,
        l2: Any,
        dropout: Any,
    ) -> Any:
        n_steps = order.shape[0]

        def step(number: Any, weights: Any, slots: Any) -> Any:
            total = epoch * n_steps + number
            rows = order[number]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                logits = outputs(weights, tf.gather(x, rows), dropout, (seed, total * depth))
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(y, rows), logits)
                penalty = tf.add_n([tf.reduce_sum(kernel**2) for kernel in weights[::2]])
                loss = tf.reduce_sum(losses * shares[number]) + l2 * penalty
            gradients = tape.gradient(loss, weights)
            weights, slots = updated(weights, gradients, slots, total, rate)
            return number + 1, weights, slots

        _, weights, slots = tf.while_loop(
            lambda number, *_: number < n_steps, step, (0, weights, slots)
        )
        predicted = tf.argmax(outputs(weights, x_val), axis=1, output_type=tf.int32)
        return weights, slots, tf.reduce_sum(tf.cast(predicted == y_val, tf.int32))

    return run_epoch


# nas
