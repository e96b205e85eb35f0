"""Trained networks as Keras models that take raw data: one, or several that vote."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from nas.calibration import SMALLEST
from nas.data import Dataset, Schema
from nas.encoding import Encoder
from nas.encoding.keras_form import build_preprocessor, ignore_input_names, layer_name
from nas.families.keras_networks import network_of
from nas.families.suggestions import BuildModel
from nas.spec import TrialSpec

WINNER = "nas_winner"


def whole_model(
    dataset: Dataset,
    encoder: Encoder,
    spec: TrialSpec,
    weights: list[NDArray[np.float32]],
    build: BuildModel | None = None,
) -> keras.Model:
    """Preprocessing, network and output activation as one model.

    Args:
        dataset: The data that the network was trained on.
        encoder: How its rows were encoded.
        spec: The network.
        weights: Its weights, in the order of the Keras model's.
        build: The function that builds custom networks.
    """
    preprocessor = build_preprocessor(encoder)
    network = network_of(spec, build)
    model, kind = network.model, network.outputs
    model.compiled = False  # its loss and optimizer are not saved: they may be a user's own
    model.set_weights(weights)
    name = partial(layer_name, schema=dataset.schema)
    model.name = name(model.name)
    features = preprocessor.output
    if len(network.input_shape) > 1:
        features = keras.layers.Reshape(network.input_shape, name=name("rows"))(features)
    outputs = network.run(features)
    if kind == "shares" and dataset.task == "multiclass":  # one for each class, by itself
        outputs = outputs / keras.ops.sum(outputs, axis=-1, keepdims=True)
    elif kind in ("probabilities", "shares"):
        pass
    elif dataset.task == "multiclass":
        if network.scored_as == "logistic":  # sigmoids, divided by their sum
            outputs = keras.layers.Activation("log_sigmoid", name=name("sigmoids"))(outputs)
        outputs = keras.layers.Softmax(name=name("probabilities"))(outputs)
    elif dataset.task == "binary":
        outputs = keras.layers.Activation("sigmoid", name=name("probability"))(outputs)
    else:
        learned = encoder.statistics
        if dataset.targets and learned.target_bounds is not None:
            # Before they are 64 bits: an operation keeps its arrays, and LiteRT has no such ones.
            ends = [(e - learned.target_mean) / learned.target_scale for e in learned.target_bounds]
            low, high = (np.asarray(end, np.float32) for end in ends)
            outputs = keras.ops.minimum(keras.ops.maximum(outputs, low), high)
        # 32-bit floats cannot tell Julian dates of one day. Keras makes them of Python floats.
        outputs = keras.layers.Rescaling(
            learned.target_scale,
            np.atleast_1d(learned.target_mean),
            dtype="float64",
            name=name("value"),
        )(outputs)
        if not dataset.targets and learned.target_bounds is not None:
            outputs = keras.ops.clip(outputs, *learned.target_bounds)
        if len(dataset.quantiles) > 1:
            outputs = _rising(outputs, len(dataset.quantiles))
        if learned.log_shift is not None:
            outputs = _from_logs(outputs, learned.log_shift, name)
    with warnings.catch_warnings():
        ignore_input_names()
        return keras.Model(preprocessor.input, outputs, name=WINNER)


def _rising(outputs: Any, n: int) -> Any:
    """Quantiles of which none is below the one before it."""
    columns = [outputs[:, :1]]
    for k in range(1, n):
        columns.append(keras.ops.maximum(columns[-1], outputs[:, k : k + 1]))
    return keras.ops.concatenate(columns, axis=1)


def _from_logs(outputs: Any, shift: float, name: Callable[[str], str]) -> Any:
    """What `nas.data.logarithms.from_logs` makes of logarithms."""
    exponential = keras.layers.Activation("exponential", dtype="float64", name=name("exponential"))
    less = keras.layers.Rescaling(1.0, -shift, dtype="float64", name=name("amount"))
    return less(exponential(outputs))


def voting_model(
    models: Sequence[keras.Model], shares: Sequence[float], schema: Schema
) -> keras.Model:
    """Models of the same data as one, whose output is the weighted mean of theirs.

    Args:
        models: From `whole_model`.
        shares: The weight of each; together 1.
        schema: What the columns are called, with which no layer's name may collide.
    """
    if len(models) == 1:
        return models[0]
    inputs, weighted = models[0].input, []
    with warnings.catch_warnings():
        ignore_input_names()
        for number, (model, share) in enumerate(zip(models, shares, strict=True), start=1):
            model.name = layer_name(f"member_{number}", schema)
            outputs = model(inputs)
            scale = keras.layers.Rescaling(
                share, dtype=outputs.dtype, name=layer_name(f"share_{number}", schema)
            )
            weighted.append(scale(outputs))
        add = keras.layers.Add(dtype=weighted[0].dtype, name=layer_name("vote", schema))
        return keras.Model(inputs, add(weighted), name=WINNER)


def tempered_model(model: keras.Model, temperature: float, schema: Schema) -> keras.Model:
    """A classifier with probabilities as `nas.calibration.with_temperature` has them.

    Args:
        model: From `whole_model` or `voting_model`.
        temperature: What the logarithms of the probabilities are divided by.
        schema: As for `voting_model`.
    """
    with warnings.catch_warnings():
        ignore_input_names()
        p, is_binary = model.output, model.output_shape[-1] == 1
        if is_binary:
            p = keras.ops.concatenate([1.0 - p, p], axis=-1)
        logits = keras.ops.log(keras.ops.clip(p, SMALLEST, 1.0))
        cooled = keras.layers.Rescaling(1.0 / temperature, name=layer_name("temperature", schema))(
            logits
        )
        outputs = keras.layers.Softmax(name=layer_name("calibrated", schema))(cooled)
        return keras.Model(model.input, outputs[:, 1:] if is_binary else outputs, name=WINNER)
