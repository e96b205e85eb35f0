"""Dense and convolutional networks written for Keras alone, and trained by `fit`.

What engines are held to: nothing here comes from `nas.models`.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import layers

from nas.encoding import FoldData
from nas.engines.lanes import batch_order
from nas.spec import TrialSpec

# The oracle: plain Keras, written without a look at `nas.models`


class ReferenceSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Schedules that Keras does not have."""

    def __init__(self, name: str, rate: float, end: float, total: int) -> None:
        self.name, self.rate, self.end, self.total = name, rate, end, total

    def __call__(self, step: Any) -> Any:
        ops, share = keras.ops, keras.ops.cast(step, "float32") / self.total
        if self.name == "flat_cosine":
            factor = ops.where(share < 0.5, 1.0, 0.5 - 0.5 * ops.cos(2.0 * np.pi * share))
        else:
            factor = 0.5 - 0.5 * ops.cos(2.0 * np.pi * ops.log2(1.0 + 15.0 * share))
        return self.rate * (self.end + (1.0 - self.end) * factor)


def reference_rate(t: Any, total: int) -> Any:
    warm = round(t.warmup * total)
    schedules = keras.optimizers.schedules
    if t.schedule == "cosine" and warm:
        return schedules.CosineDecay(
            0.0,
            total - warm,
            alpha=t.decay_to,
            warmup_target=t.learning_rate,
            warmup_steps=warm,
        )
    if t.schedule == "cosine":
        return schedules.CosineDecay(t.learning_rate, total, alpha=t.decay_to)
    if t.schedule == "exponential" and not warm:
        return schedules.ExponentialDecay(t.learning_rate, total, t.decay_to)
    if t.schedule in ("flat_cosine", "cos_log") and not warm:
        return ReferenceSchedule(t.schedule, t.learning_rate, t.decay_to, total)
    assert t.schedule == "constant", "Keras has no such schedule"
    if warm:
        return schedules.PolynomialDecay(0.0, warm, end_learning_rate=t.learning_rate)
    return t.learning_rate


def reference_optimizer(t: Any, rate: Any) -> keras.optimizers.Optimizer:
    o = keras.optimizers
    more: dict[str, Any] = {}
    if t.weight_decay:
        more["weight_decay"] = t.weight_decay
    if t.clip_norm:
        more["global_clipnorm"] = t.clip_norm
    adam = {"beta_1": t.beta_1, "beta_2": t.beta_2, "epsilon": t.epsilon}
    return {
        "adam": lambda: o.Adam(rate, **adam, **more),
        "adamw": lambda: o.AdamW(rate, **adam, **{"weight_decay": 0.0, **more}),
        "nadam": lambda: o.Nadam(rate, **adam, **more),
        "rmsprop": lambda: o.RMSprop(rate, t.rho, t.momentum, t.epsilon, **more),
        "sgd": lambda: o.SGD(rate, t.momentum, t.nesterov, **more),
        "adagrad": lambda: o.Adagrad(rate, t.initial_accumulator, t.epsilon, **more),
    }[t.optimizer]()


class ReferenceEmbedding(layers.Layer):  # type: ignore[misc]
    """Gorishniy et al. 2022, equations 5 and 6, one number after another, and the inputs."""

    def __init__(self, n_numbers: int, n_frequencies: int, size: int) -> None:
        super().__init__()
        shapes = (
            (n_numbers, n_frequencies),
            (n_numbers, 2 * n_frequencies, size),
            (n_numbers, size),
        )
        self.own = [self.add_weight(shape=shape) for shape in shapes]
        self.n_numbers = n_numbers

    def call(self, x: Any) -> Any:
        frequencies, weights, biases = self.own
        parts = []
        for k in range(self.n_numbers):
            angles = 2.0 * np.pi * x[:, k : k + 1] * frequencies[k]
            waves = keras.ops.concatenate([keras.ops.cos(angles), keras.ops.sin(angles)], axis=1)
            parts.append(keras.ops.relu(waves @ weights[k] + biases[k]))
        return keras.ops.concatenate([*parts, x], axis=1)


class ReferencePiecewise(layers.Layer):  # type: ignore[misc]
    """Gorishniy et al. 2022, equation 1 with bounded ends, one number after another, and inputs."""

    def __init__(self, n_numbers: int, bins: int, size: int) -> None:
        super().__init__()
        self.frozen = [self.add_weight(shape=(n_numbers, bins), trainable=False) for _ in range(2)]
        self.own = [self.add_weight(shape=s) for s in ((n_numbers, bins, size), (n_numbers, size))]
        self.n_numbers = n_numbers

    @property
    def weights(self) -> list[Any]:
        return [*self.frozen, *self.own]

    def call(self, x: Any) -> Any:
        (factors, offsets), (kernels, biases) = self.frozen, self.own
        parts = []
        for k in range(self.n_numbers):
            places = keras.ops.clip(x[:, k : k + 1] * factors[k] + offsets[k], 0.0, 1.0)
            parts.append(keras.ops.relu(places @ kernels[k] + biases[k]))
        return keras.ops.concatenate([*parts, x], axis=1)


class ReferenceFactors(layers.Layer):  # type: ignore[misc]
    """Wen et al. 2020, equation 4: what each member gets, times factors of its own."""

    def __init__(self, members: int) -> None:
        super().__init__()
        self.members = members

    def build(self, shape: Any) -> None:
        self.own = self.add_weight(shape=(self.members, shape[-1]))

    def call(self, x: Any) -> Any:
        return keras.ops.stack([x[:, k] * self.own[k] for k in range(self.members)], axis=1)


def reference_model(spec: TrialSpec) -> keras.Model:
    a, t = spec.architecture, spec.training
    penalty = {"kernel_regularizer": keras.regularizers.L1L2(t.l1, t.l2)}
    first = x = keras.Input((spec.problem.n_inputs,))
    if a.convolutions:
        x = reference_convolutions(layers.Reshape(spec.problem.image_shape)(x), spec, penalty)
    if a.embedding == "periodic":
        x = ReferenceEmbedding(spec.problem.n_numbers, a.frequencies, a.embedding_size)(x)
    if a.embedding == "piecewise":
        x = ReferencePiecewise(spec.problem.n_numbers, a.bins, a.embedding_size)(x)
    if a.members > 1:
        x = ReferenceFactors(a.members)(layers.RepeatVector(a.members)(x))
    before, n_before = None, 0
    for units in a.units:
        y = layers.Dense(units, **penalty)(x)
        if a.normalization == "batch":
            y = layers.BatchNormalization(momentum=a.normalization_momentum)(y)
        if a.normalization == "layer":
            y = layers.LayerNormalization()(y)
        y = layers.Activation(a.activation)(y)
        if a.residual and before is not None:
            column = layers.Reshape((n_before, 1))(before)
            if units > n_before:
                column = layers.ZeroPadding1D((0, units - n_before))(column)
            elif units < n_before:
                column = layers.Cropping1D((0, n_before - units))(column)
            y = layers.Add()([y, layers.Reshape((units,))(column)])
        x, before, n_before = y, y, units
    if a.members > 1:
        x = ReferenceFactors(a.members)(x)
    return keras.Model(first, layers.Dense(spec.problem.n_outputs, **penalty)(x))


def reference_convolutions(x: Any, spec: TrialSpec, penalty: dict[str, Any]) -> Any:
    a = spec.architecture

    def convolve(x: Any, n: str, size: str, stride: int) -> Any:
        y = layers.Conv2D(int(n), int(size), stride, padding="same", **penalty)(x)
        if a.normalization != "batch":
            return y
        return layers.BatchNormalization(momentum=a.normalization_momentum)(y)

    for item in a.convolutions:
        if match := re.fullmatch(r"(\d+)c(\d)(?:s(\d))?", item):
            n, size, stride = match.groups()
            x = layers.Activation(a.activation)(convolve(x, n, size, int(stride or 1)))
        elif match := re.fullmatch(r"(\d+)r(\d)(?:s(\d))?", item):
            n, size, stride = match.groups()
            y = layers.Activation(a.activation)(convolve(x, n, size, int(stride or 1)))
            shortcut = layers.MaxPooling2D(1, int(stride or 1))(x)[..., : int(n)]
            more = int(n) - shortcut.shape[-1]
            if more > 0:
                shortcut = layers.Concatenate()([shortcut, 0.0 * shortcut[..., :more]])
            x = layers.Activation(a.activation)(layers.Add()([convolve(y, n, size, 1), shortcut]))
        elif item == "gap":
            x = layers.GlobalAveragePooling2D()(x)
        else:
            pooling = {"mp": layers.MaxPooling2D, "ap": layers.AveragePooling2D}[item[:2]]
            x = pooling(int(item[2:]), padding="same")(x)
    return layers.Flatten()(x)


def reference_loss(spec: TrialSpec) -> Any:
    smoothing = {"label_smoothing": spec.training.label_smoothing}
    if quantiles := spec.problem.quantiles:
        return lambda y, outputs: sum(_pinball(q, y, outputs, k) for k, q in enumerate(quantiles))
    match spec.training.loss, spec.problem.task:
        case "logistic", _:
            mean = keras.losses.BinaryCrossentropy(from_logits=True, **smoothing)
            return lambda y, outputs: spec.problem.n_outputs * mean(y, outputs)
        case "absolute", _:
            return keras.losses.MeanAbsoluteError()
        case "huber", _:
            return keras.losses.Huber()
        case _, "multiclass":
            return keras.losses.CategoricalCrossentropy(from_logits=True, **smoothing)
        case _, "binary":
            return keras.losses.BinaryCrossentropy(from_logits=True, **smoothing)
    return keras.losses.MeanSquaredError()


def _pinball(quantile: float, y: Any, outputs: Any, k: int) -> Any:
    """Koenker and Bassett 1978, equation 3.1, as a share of all quantiles."""
    error = y[..., 0] - outputs[..., k]
    above = keras.ops.relu(error) * quantile
    below = keras.ops.relu(-error) * (1.0 - quantile)
    return (above + below) / outputs.shape[-1]


class Reference:
    """The reference model on a fold, compiled, and the batches of a lane."""

    def __init__(
        self, spec: TrialSpec, fold: FoldData, seed: int, weights: Sequence[np.ndarray]
    ) -> None:
        t, task = spec.training, spec.problem.task
        self.n_rows, self.seed, self.x = len(fold.y_train), seed, fold.x_train
        self.batch_size = t.batch_size or self.n_rows
        self.steps_per_epoch = -(-self.n_rows // self.batch_size)
        self.y = fold.y_train.astype(np.float32).reshape(self.n_rows, -1)
        if task == "multiclass":
            self.y = keras.utils.to_categorical(fold.y_train, spec.problem.n_outputs)
        elif task == "regression":
            self.y = (self.y - fold.target_mean) / fold.target_scale
        if spec.members > 1:
            self.y = np.repeat(self.y[:, None], spec.members, axis=1)
        self.columns = [self.x, self.y, *([] if fold.weights is None else [fold.weights])]
        self.model = reference_model(spec)
        total = t.steps or t.epochs * self.steps_per_epoch
        optimizer = reference_optimizer(t, reference_rate(t, total))
        if t.weight_decay:
            kernels = [layer.kernel for layer in self.model.layers if hasattr(layer, "kernel")]
            others = [v for v in self.model.trainable_variables if all(v is not k for k in kernels)]
            optimizer.exclude_from_weight_decay(var_list=others)
        self.model.compile(optimizer, reference_loss(spec), jit_compile=False)
        self.model.set_weights(weights)

    def batches(self, epochs: int) -> Iterator[tuple[np.ndarray, ...]]:
        for epoch in range(epochs):
            order = batch_order(self.seed, epoch, self.n_rows)
            for start in range(0, self.n_rows, self.batch_size):
                rows = order[start : start + self.batch_size]
                yield tuple(values[rows] for values in self.columns)


def keras_fit(
    spec: TrialSpec, fold: FoldData, seed: int, weights: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[float]]:
    """Weights after, and the loss of each epoch of, `fit` over the same batches."""
    reference, epochs = Reference(spec, fold, seed, weights), spec.training.epochs
    history = reference.model.fit(
        reference.batches(epochs),
        steps_per_epoch=reference.steps_per_epoch,
        epochs=epochs,
        shuffle=False,
        verbose=0,
    )
    return reference.model.get_weights(), history.history["loss"]


def keras_steps(
    spec: TrialSpec, fold: FoldData, seed: int, weights: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[float]]:
    """Weights after the budget of steps, taken one by one, and the mean loss of each epoch."""
    reference, steps = Reference(spec, fold, seed, weights), spec.training.steps
    reference.model.run_eagerly = True  # which is faster for so few
    losses, sizes = [], []
    for x, y in islice(reference.batches(steps), steps):
        reference.model.reset_metrics()
        losses.append(float(reference.model.train_on_batch(x, y)))
        sizes.append(len(x))
    ends = range(0, steps, reference.steps_per_epoch)
    epochs = [slice(end, end + reference.steps_per_epoch) for end in ends]
    means = [float(np.average(losses[epoch], weights=sizes[epoch])) for epoch in epochs]
    return reference.model.get_weights(), means
