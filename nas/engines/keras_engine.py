"""The plain engine: one Keras model for each network, traced once, its lanes in turn.

All lanes of a network share one model, one optimizer and one traced program; a lane's weights,
optimizer state and random state are put in before its epoch and taken out after it. A whole epoch
is one call of that program. Any network that Keras can build runs here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.encoding.shared_rows import as_tensor
from nas.engines.examination import Snapshots, examine
from nas.engines.lane_log import LaneEnd, LoggedLanes, score_outputs
from nas.engines.lanes import Engine, Lane, batch_order
from nas.engines.pooling import MaxPooling
from nas.families.family import KerasNetwork, as_logits
from nas.families.keras_networks import network_of
from nas.families.suggestions import BuildModel
from nas.metrics import Metric
from nas.models.steps import learning_rates
from nas.seeds import derive_seed
from nas.spec import Examination, TrialSpec

Weights = list[NDArray[np.float32]]
PREDICT_BATCH = 8192  # rows that are predicted at once


class KerasEngine(Engine):
    """Trains an epoch of one lane after the other.

    Args:
        folds: Encoded folds, all equally wide.
        metric: What they are scored by.
        build: The function that builds custom networks; see `nas.families.custom`.
    """

    name = "keras"

    def __init__(
        self, folds: Sequence[FoldData], metric: Metric, build: BuildModel | None = None
    ) -> None:
        super().__init__(folds, metric)
        self._build = build
        # Converted once for the whole search.
        self._x = cache(self._tensors)

    def _tensors(self, fold: int, scaling: str) -> tuple[Any, Any]:
        data = self.folds[fold].scaled(scaling)
        return as_tensor(data.x_train), as_tensor(data.x_val)

    def start(self, lanes: Sequence[Lane]) -> "KerasLanes":
        # Without this, Keras keeps the graphs of all earlier networks.
        keras.backend.clear_session()
        started = KerasLanes(self.folds, self._x, self.metric, self._build)
        started.add(lanes)
        return started


class KerasLanes(LoggedLanes):
    """See `Lanes`; lanes with equal specifications share a model.

    Args:
        folds: The folds.
        x: Training and validation rows of a fold, by number, in a scaling, as tensors.
        metric: What they are scored by.
        build: The function that builds custom networks.
    """

    def __init__(
        self,
        folds: Sequence[FoldData],
        x: Callable[[int, str], tuple[Any, Any]],
        metric: Metric,
        build: BuildModel | None,
    ) -> None:
        super().__init__(folds)
        self.x, self.metric, self.build = x, metric, build
        self._models: dict[TrialSpec, _SharedModel] = {}

    def weights(self, number: int) -> Weights:
        return self._model_of(number).weights(number)

    def _model_of(self, number: int) -> "_SharedModel":
        return self._models[self.logs[number].lane.spec]

    def _prepare(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            with self._timed([number]):
                spec = self.logs[number].lane.spec
                if spec not in self._models:
                    self._models[spec] = _SharedModel(self, spec)
                self._models[spec].add(number)

    def _train(self, epochs: Mapping[int, int]) -> None:
        for epoch in range(max(epochs.values())):
            for number, n_epochs in epochs.items():
                if epoch < n_epochs and self.logs[number].active:
                    with self._timed([number]):
                        self._model_of(number).train_epoch(number)

    def _forget(self, number: int) -> None:
        spec = self.logs[number].lane.spec
        model = self._models.get(spec)
        if model is not None and model.forget(number):
            del self._models[spec]

    def _ended(self, numbers: Sequence[int]) -> list[LaneEnd]:
        return [LaneEnd(*self._model_of(number).ended(number)) for number in numbers]


@dataclass
class _Moments:
    """A lane's weights by which it is examined: see `Snapshots`."""

    initial: Weights
    first: Weights
    previous: Weights


class _SharedModel:
    """One model, and the state of each of its lanes."""

    def __init__(self, lanes: KerasLanes, spec: TrialSpec) -> None:
        self._lanes, self._spec = lanes, spec
        folds = lanes.folds
        network = network_of(spec, lanes.build, partial(_for_training, spec=spec, folds=folds))
        self._network, self._model = network, network.model
        self._labels = cache(
            lambda fold: tf.constant(network.inside.labels(folds[fold], folds[fold].y_train))
        )
        self._row_weights = cache(
            lambda fold: tf.constant(
                np.ones(len(folds[fold].y_train), np.float32)
                if folds[fold].weights is None
                else folds[fold].weights
            )
        )
        weighted = any(fold.weights is not None for fold in folds)
        optimizer = self._model.optimizer
        optimizer.build(self._model.trainable_variables)
        self._train = _epoch_program(network, self._labels(0), weighted)
        self._predict = _predict_program(network)
        # The random states of dropout and augmentation.
        self._generators = [v for v in self._model.variables if v.name == "seed_generator_state"]
        self._variables = [*self._model.weights, *self._generators, *optimizer.variables]
        self._fresh_optimizer = [np.asarray(v) for v in optimizer.variables]
        self._states: dict[int, list[NDArray[Any]]] = {}  # by the lanes' numbers
        self._moments: dict[int, _Moments] = {}
        self._loaded: int | None = None

    def add(self, number: int) -> None:
        lane = self._lanes.logs[number].lane
        random_states = [
            np.array([derive_seed("random layer", lane.seed, k), 0], dtype=np.uint32)
            for k in range(len(self._generators))
        ]
        data = self._lanes.folds[lane.fold].scaled(self._spec.architecture.scaling)
        weights = list(self._network.initial_weights(lane.seed, data.x_train))
        self._unload()  # a function that builds a model may leave other weights in this one
        self._states[number] = [*weights, *random_states, *self._fresh_optimizer]
        if lane.examined:
            self._moments[number] = _Moments(weights, weights, weights)

    def forget(self, number: int) -> bool:
        """Forgets a lane; whether it was the last one."""
        if self._loaded == number:
            self._loaded = None
        self._states.pop(number, None)
        self._moments.pop(number, None)
        return not self._states

    def train_epoch(self, number: int) -> None:
        log, training = self._lanes.logs[number], self._spec.training
        fold, epoch = log.lane.fold, log.epochs
        n_rows = len(self._lanes.folds[fold].y_train)
        x_train, x_val = self._lanes.x(fold, self._spec.architecture.scaling)
        self._load(number)
        moments = self._moments.get(number)
        if moments is not None:
            moments.previous = self.weights(number)
        loss = float(
            self._train(
                x_train,
                self._labels(fold),
                self._row_weights(fold),
                tf.constant(batch_order(log.lane.seed, epoch, n_rows)),
                tf.constant(learning_rates(training, training.steps_per_epoch(n_rows), epoch)),
                tf.constant(training.rows_per_step(n_rows)),
            )
        )
        if moments is not None and not epoch:
            moments.first = self.weights(number)
        score, val_loss, finite = self._score(x_val, self._lanes.folds[fold].y_val, fold)
        log.record(loss, val_loss, score, finite and math.isfinite(loss))

    def ended(self, number: int) -> tuple[float, Examination | None]:
        """Score of the training part, and the examination, of a lane."""
        log = self._lanes.logs[number]
        fold = log.lane.fold
        scaling = self._spec.architecture.scaling
        data = self._lanes.folds[fold].scaled(scaling)
        self._load(number)
        score, *_ = self._score(self._lanes.x(fold, scaling)[0], data.y_train, fold)
        if number not in self._moments:
            return score, None
        snapshots = Snapshots(**vars(self._moments[number]), final=self.weights(number))
        self._unload()  # a look inside may leave other weights in the model
        inside = self._network.inside
        return score, examine(self._spec, data, log.epochs, snapshots, inside)

    def weights(self, number: int) -> Weights:
        self._load(number)
        return [np.array(weight) for weight in self._model.get_weights()]

    def _score(self, x: Any, y: NDArray[Any], fold: int) -> tuple[float, float, bool]:
        """Score and loss of the loaded lane, and whether its outputs are finite."""
        parts = [
            self._predict(x[start : start + PREDICT_BATCH]).numpy()
            for start in range(0, len(y), PREDICT_BATCH)
        ]
        outputs = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
        network, data = self._network, self._lanes.folds[fold]
        logits = as_logits(outputs, network.outputs)
        score, loss = score_outputs(self._lanes.metric, data, y, logits, network.scored_as)
        finite = bool(np.isfinite(outputs).all())
        if finite:
            own_loss = network.mean_loss(data, y, outputs)
            loss = loss if own_loss is None else own_loss
        return score, loss, finite

    def _load(self, number: int) -> None:
        """Puts a lane's state into the model, and the state of the one before it away."""
        if self._loaded == number:
            return
        self._unload()
        for variable, value in zip(self._variables, self._states[number], strict=True):
            variable.assign(value)
        self._loaded = number

    def _unload(self) -> None:
        """Puts the state of the loaded lane away."""
        if self._loaded is not None:
            self._states[self._loaded] = [np.asarray(v) for v in self._variables]
        self._loaded = None


def _for_training(model: Any, spec: TrialSpec, folds: Sequence[FoldData]) -> Any:
    """The model with layers that are the same and train faster."""
    if not spec.has_maps:
        return model
    batch_size = spec.training.rows_per_step(max(len(fold.y_train) for fold in folds))

    def faster(layer: Any) -> Any:
        if isinstance(layer, keras.layers.MaxPooling2D):
            return MaxPooling(layer.pool_size[0], batch_size, layer.name)
        return layer

    return keras.models.clone_model(model, clone_function=faster)


def _epoch_program(network: KerasNetwork, labels: Any, weighted: bool) -> Any:
    """One epoch of a network as one program; the mean loss over the rows it takes is returned.

    It takes a step for each learning rate.

    Args:
        network: The network.
        labels: Some targets as the loss takes them.
        weighted: Whether rows count differently in the loss.
    """
    model, sets_rates = network.model, network.sets_rates
    optimizer, shape = model.optimizer, (-1, *network.input_shape)

    # Sizes are left open, so that folds of different length share one traced program.
    signature = [
        tf.TensorSpec((None, math.prod(network.input_shape)), tf.float32),
        tf.TensorSpec((None, *labels.shape[1:]), labels.dtype),
        tf.TensorSpec((None,), tf.float32),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((None,), tf.float32),
        tf.TensorSpec((), tf.int32),
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def run_epoch(x: Any, y: Any, weights: Any, order: Any, rates: Any, batch_size: Any) -> Any:
        n_rows = tf.shape(order)[0]
        total = tf.constant(0.0)
        for step in tf.range(tf.shape(rates)[0]):
            rows = order[step * batch_size : tf.minimum((step + 1) * batch_size, n_rows)]
            if sets_rates:
                optimizer.learning_rate.assign(rates[step])
            batch = tf.reshape(tf.gather(x, rows), shape)
            with tf.GradientTape() as tape:
                outputs = model(batch, training=True)
                own = tf.gather(weights, rows) if weighted else None
                labels = tf.gather(y, rows)
                loss = model.compute_loss(x=batch, y=labels, y_pred=outputs, sample_weight=own)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            total += loss * tf.cast(tf.shape(rows)[0], tf.float32)
        return total / tf.cast(tf.minimum(tf.shape(rates)[0] * batch_size, n_rows), tf.float32)

    return run_epoch


def _predict_program(network: KerasNetwork) -> Any:
    """The outputs of a network without dropout, for any number of rows."""
    shape = (-1, *network.input_shape)
    signature = [tf.TensorSpec((None, math.prod(network.input_shape)), tf.float32)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def predict(x: Any) -> Any:
        return tf.cast(network.run(tf.reshape(x, shape), training=False), tf.float32)

    return predict
