"""A compiled loop for each architecture: a peer of `nas search`, written by hand in JAX.

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
    go to the same one, large ones first. JAX's import is part of the time.
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
        "NPROC": "1",  # threads of JAX
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
        "JAX_PLATFORMS": "cpu",
    }
    import jax

    _loop["folds"] = [
        (fold, jax.device_put((fold.x, fold.y, fold.x_val, fold.y_val))) for fold in folds
    ]
    _loop["start_seconds"] = time.time() - started


def _run_loop(specs: list[TrialSpec], seeds: list[int]) -> _LoopPart:
    """Trains trials of one architecture."""
    import jax

    run_epoch = _epoch_program(specs[0])
    calls: list[float] = []
    accuracies = []
    for spec, seed in zip(specs, seeds, strict=True):
        training = spec.training
        settings = np.array([training.learning_rate, training.l2, spec.in_words.dropout], "f4")
        scores = []
        for number, (fold, data) in enumerate(_loop["folds"]):
            generator = np.random.default_rng((seed, number))
            weights: Any = _initial_weights(spec, generator)
            slots: Any = [[np.zeros_like(w) for w in weights] for _ in _slots(training.optimizer)]
            key = jax.random.key(int(generator.integers(2**31)))
            for epoch in range(training.epochs):
                order, shares = _batches(fold, training.batch_size, generator)
                started = time.perf_counter()
                weights, slots, right = run_epoch(
                    weights, slots, epoch, key, *data, order, shares, *settings
                )
                accuracy = int(right) / fold.n_val
                calls.append(time.perf_counter() - started)
            scores.append(accuracy)
        accuracies.append(float(np.mean(scores)))
    # The first call compiles; what it computes takes as long as in any other.
    compiling = calls[0] - float(np.median(calls[1:]))
    return _LoopPart(accuracies, compiling, _loop["start_seconds"])


def _batches(
    fold: _LoopFold, batch_size: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Rows of each step of an epoch, and the share that each has in its step's mean."""
    steps = -(-fold.n_rows // batch_size)
    order = _padded(generator.permutation(fold.n_rows).astype(np.int32), steps * batch_size, 0)
    counts = _padded(np.ones(fold.n_rows, np.float32), steps * batch_size, 0)
    shares = counts.reshape(steps, batch_size)
    shares /= shares.sum(axis=1, keepdims=True)
    return order.reshape(steps, batch_size), shares


def _initial_weights(spec: TrialSpec, generator: np.random.Generator) -> list[Array]:
    """Kernels by Glorot and Bengio (2010), as Keras draws them, and biases of zero."""
    sizes = [spec.problem.n_inputs, *spec.in_words.units, spec.problem.n_outputs]
    weights = []
    for inputs, units in itertools.pairwise(sizes):
        limit = np.sqrt(6.0 / (inputs + units))
        kernel = generator.uniform(-limit, limit, (inputs, units))
        weights += [kernel.astype(np.float32), np.zeros(units, np.float32)]
    return weights


def _slots(optimizer: str) -> range:
    """One for each value that an optimizer keeps of a weight."""
    return range({"adam": 2, "rmsprop": 1, "sgd": 0}[optimizer])


def _epoch_program(spec: TrialSpec) -> Any:
    """One epoch of an architecture, and the number of validation rows that are then right."""
    import jax
    import jax.numpy as jnp

    depth = len(spec.in_words.units)
    training = spec.training
    activate = {
        "relu": jax.nn.relu,
        "gelu": lambda x: jax.nn.gelu(x, approximate=False),
        "tanh": jnp.tanh,
        "sigmoid": jax.nn.sigmoid,
    }[spec.in_words.activation]

    def outputs(weights: Any, x: Any, dropout: Any = None, key: Any = None) -> Any:
        for layer in range(depth):
            x = activate(x @ weights[2 * layer] + weights[2 * layer + 1])
            if dropout is not None:
                noise = jax.random.uniform(jax.random.fold_in(key, layer), x.shape)
                x = jnp.where(noise >= dropout, x / (1.0 - dropout), 0.0)
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
                w - rate * g * jax.lax.rsqrt(v + epsilon)
                for (w, g), v in zip(pairs, squares, strict=True)
            ], [squares]
        beta_1, beta_2 = training.beta_1, training.beta_2
        count = jnp.float32(step + 1)
        rate = rate * jnp.sqrt(1.0 - beta_2**count) / (1.0 - beta_1**count)
        means = [m + (g - m) * (1.0 - beta_1) for m, g in zip(slots[0], gradients, strict=True)]
        squares = [
            v + (g * g - v) * (1.0 - beta_2) for v, g in zip(slots[1], gradients, strict=True)
        ]
        return [
            w - rate * m / (jnp.sqrt(v) + training.epsilon)
            for w, m, v in zip(weights, means, squares, strict=True)
        ], [means, squares]

    @jax.jit
    def run_epoch(
        weights: Any,
        slots: Any,
        epoch: Any,
        key: Any,
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
        n_steps = len(order)

        def step(number: Any, carry: Any) -> Any:
            weights, slots = carry
            total = epoch * n_steps + number
            rows = order[number]

            def loss(weights: Any) -> Any:
                logits = outputs(weights, x[rows], dropout, jax.random.fold_in(key, total))
                of_rows = -jax.nn.log_softmax(logits)[jnp.arange(len(rows)), y[rows]]
                penalty = sum(jnp.sum(kernel**2) for kernel in weights[::2])
                return jnp.sum(of_rows * shares[number]) + l2 * penalty

            return updated(weights, jax.grad(loss)(weights), slots, total, rate)

        weights, slots = jax.lax.fori_loop(0, n_steps, step, (weights, slots))
        predicted = jnp.argmax(outputs(weights, x_val), axis=1)
        return weights, slots, jnp.sum(predicted == y_val)

    return run_epoch
