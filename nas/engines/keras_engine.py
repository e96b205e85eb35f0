"""The plain engine: one Keras model for each trial, traced once, its folds in turn.

All folds of a trial share one model, one optimizer and one traced program; a fold's weights,
optimizer state and random state are put in before its epoch and taken out after it. A whole epoch
is one call of that program. Any network that Keras can build runs here.
"""

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.engines.base import Engine, batch_order, lane_seed
from nas.engines.examination import Snapshots, examine
from nas.engines.pooling import MaxPooling
from nas.engines.shared_rows import as_tensor
from nas.engines.trial_log import TrialLog, TrialsInTurn, score_outputs
from nas.families.family import KerasNetwork, as_logits
from nas.families.keras_networks import network_of
from nas.families.suggestions import BuildModel
from nas.metrics import Metric
from nas.models.steps import learning_rates
from nas.seeds import derive_seed
from nas.spec import TrialResult, TrialSpec

PREDICT_BATCH = 8192  # rows that are predicted at once


class KerasEngine(Engine):
    """Trains one trial after the other, all folds of a trial epoch by epoch.

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
        self._x = [(as_tensor(fold.x_train), as_tensor(fold.x_val)) for fold in folds]

    def start(self, specs: Sequence[TrialSpec], seeds: Sequence[int]) -> TrialsInTurn:
        # Without this, Keras keeps the graphs of all earlier trials.
        keras.backend.clear_session()
        trials = [
            _Trial(spec, self._build, seed, self.folds, self._x, self.metric)
            for spec, seed in zip(specs, seeds, strict=True)
        ]
        return TrialsInTurn(trials)


class _Trial:
    """One model and the state of each of its lanes."""

    def __init__(
        self,
        spec: TrialSpec,
        build: BuildModel | None,
        seed: int,
        folds: Sequence[FoldData],
        x: Sequence[tuple[Any, Any]],
        metric: Metric,
    ) -> None:
        started = time.perf_counter()
        self._spec, self._folds, self._x, self._metric = spec, folds, x, metric
        network = network_of(spec, build, partial(_for_training, spec=spec, folds=folds))
        self._network, self._model = network, network.model
        self._seeds = [lane_seed(seed, fold) for fold in range(len(folds))]
        self._y = [tf.constant(network.inside.labels(fold, fold.y_train)) for fold in folds]
        optimizer = self._model.optimizer
        optimizer.build(self._model.trainable_variables)
        self._train = _epoch_program(network, self._y[0])
        self._predict = _predict_program(network)

        # The random states of dropout and augmentation.
        generators = [v for v in self._model.variables if v.name == "seed_generator_state"]
        self._variables = [*self._model.weights, *generators, *optimizer.variables]
        self._n_weights = len(self._model.weights)
        fresh_optimizer = [np.asarray(v) for v in optimizer.variables]
        self._states = []
        for lane in self._seeds:
            random_states = [
                np.array([derive_seed("random layer", lane, number), 0], dtype=np.uint32)
                for number in range(len(generators))
            ]
            self._states.append([*network.initial_weights(lane), *random_states, *fresh_optimizer])
        self._loaded: int | None = None
        # The first fold's weights by which the trial is examined.
        self._initial = self._first = self._previous = self._states[0][: self._n_weights]

        self.log = TrialLog(spec.training, folds)
        self.log.seconds = time.perf_counter() - started

    def run_epoch(self) -> None:
        started = time.perf_counter()
        for fold, active in enumerate(self.log.active):
            if active:
                self._run_lane(fold)
        self.log.seconds += time.perf_counter() - started

    def _run_lane(self, fold: int) -> None:
        training = self._spec.training
        epoch = self.log.epochs[fold]
        n_rows = len(self._folds[fold].y_train)
        steps = training.steps_per_epoch(n_rows)
        self._load(fold)
        if fold == 0:
            self._previous = self.weights(0)
        loss = float(
            self._train(
                self._x[fold][0],
                self._y[fold],
                tf.constant(batch_order(self._seeds[fold], epoch, n_rows)),
                tf.constant(learning_rates(training, steps, epoch)),
                tf.constant(training.rows_per_step(n_rows)),
            )
        )
        if fold == 0 and not epoch:
            self._first = self.weights(0)
        score, val_loss = self._score(self._x[fold][1], self._folds[fold].y_val, fold)
        self.log.record(fold, loss, val_loss, score)

    def result(self) -> TrialResult:
        started = time.perf_counter()
        train_values = []
        for fold, data in enumerate(self._folds):
            self._load(fold)
            train_values.append(self._score(self._x[fold][0], data.y_train, fold)[0])
        snapshots = Snapshots(self._initial, self._first, self._previous, self.weights(0))
        self._unload()  # a look inside may leave other weights in the model
        examination = examine(
            self._spec, self._folds[0], self.log.epochs[0], snapshots, self._network.inside
        )
        self.log.seconds += time.perf_counter() - started
        return self.log.result(train_values, examination)

    def weights(self, fold: int) -> list[NDArray[np.float32]]:
        self._load(fold)
        return [np.array(weight) for weight in self._model.get_weights()]

    def _score(self, x: Any, y: NDArray[Any], fold: int) -> tuple[float, float]:
        """Score and loss of the loaded lane."""
        parts = [
            self._predict(x[start : start + PREDICT_BATCH]).numpy()
            for start in range(0, len(y), PREDICT_BATCH)
        ]
        outputs = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
        network, data = self._network, self._folds[fold]
        logits = as_logits(outputs, network.outputs)
        score, loss = score_outputs(self._metric, data, y, logits, network.scored_as)
        if np.isfinite(outputs).all():
            own_loss = network.mean_loss(data, y, outputs)
            loss = loss if own_loss is None else own_loss
        return score, loss

    def _load(self, fold: int) -> None:
        """Puts a lane's state into the model, and the state of the one before it away."""
        if self._loaded == fold:
            return
        self._unload()
        for variable, value in zip(self._variables, self._states[fold], strict=True):
            variable.assign(value)
        self._loaded = fold

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


def _epoch_program(network: KerasNetwork, labels: Any) -> Any:
    """One epoch of a network as one program; the mean loss over the rows it takes is returned.

    It takes a step for each learning rate.

    Args:
        network: The network.
        labels: Some targets as the loss takes them.
    """
    model, sets_rates = network.model, network.sets_rates
    optimizer, shape = model.optimizer, (-1, *network.input_shape)

    # Sizes are left open, so that folds of different length share one traced program.
    signature = [
        tf.TensorSpec((None, math.prod(network.input_shape)), tf.float32),
        tf.TensorSpec((None, *labels.shape[1:]), labels.dtype),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((None,), tf.float32),
        tf.TensorSpec((), tf.int32),
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def run_epoch(x: Any, y: Any, order: Any, rates: Any, batch_size: Any) -> Any:
        n_rows = tf.shape(order)[0]
        total = tf.constant(0.0)
        for step in tf.range(tf.shape(rates)[0]):
            rows = order[step * batch_size : tf.minimum((step + 1) * batch_size, n_rows)]
            if sets_rates:
                optimizer.learning_rate.assign(rates[step])
            batch = tf.reshape(tf.gather(x, rows), shape)
            with tf.GradientTape() as tape:
                outputs = model(batch, training=True)
                loss = model.compute_loss(x=batch, y=tf.gather(y, rows), y_pred=outputs)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            total += loss * tf.cast(tf.shape(rows)[0], tf.float32)
        return total / tf.cast(tf.minimum(tf.shape(rates)[0] * batch_size, n_rows), tf.float32)

    return run_epoch


def _predict_program(network: KerasNetwork) -> Any:
    """The outputs of a network without dropout, for any number of rows."""
    model, shape = network.model, (-1, *network.input_shape)
    signature = [tf.TensorSpec((None, math.prod(network.input_shape)), tf.float32)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def predict(x: Any) -> Any:
        return tf.cast(model(tf.reshape(x, shape), training=False), tf.float32)

    return predict
