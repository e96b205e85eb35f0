"""A `TrialSpec` as a Keras model."""

import math
from typing import Any

import keras
from keras import layers, ops

from nas.layers import MEMBER_INPUTS, MEMBER_OUTPUTS, Embedding, Layer
from nas.models.initializers import MEMBER_FACTORS, embedding_initializers, initializers_of
from nas.spec import Training, TrialSpec, parse_initializer

FREQUENCIES, BINS, EMBEDDING = "frequencies", "bins", "embedding"  # names of layers
UNDECAYED = (FREQUENCIES, EMBEDDING, MEMBER_INPUTS, MEMBER_OUTPUTS)


def build_model(spec: TrialSpec) -> keras.Model:
    """The network of a trial, from encoded features to the outputs before their activation.

    A hidden layer is dense or a convolution, then normalization, activation and dropout. With
    `residual`, each hidden layer after the first adds its input; where shapes differ, the input
    is padded with zeros, cut, or taken at every other place, which costs no weights (He et al.
    2016, section 4.1, option A).

    Returns:
        A model from shape (n, n_inputs) to logits, or a standardized value for regression, of
        shape (n, n_outputs); with members, (n, n_members, n_outputs).
    """
    network, training = spec.in_words, spec.training
    penalty = (
        keras.regularizers.L1L2(training.l1, training.l2) if training.l1 or training.l2 else None
    )
    inputs = keras.Input((spec.problem.n_inputs,), name="features")
    x = inputs
    if network.convolutions or training.augments:
        x = layers.Reshape(spec.problem.image_shape, name="image")(x)
        for augment in _augmentations(training):
            x = augment(x)
        if not network.convolutions:
            x = layers.Reshape((spec.problem.n_inputs,), name="pixels")(x)
    start = x
    outputs: list[Any] = []
    n_hidden = 0
    for layer in spec.layers:
        if layer.embedding is not None:
            x = _embedded(x, layer.embedding, network.frequency_scale)
        elif layer.kind == "members":
            x = _scaled(x, layer)
        else:
            x = _main_layer(layer, spec, penalty)(x)
        if layer.is_hidden:
            n_hidden += 1
            skip = None
            if layer.skip is not None:
                source = start if layer.skip < 0 else outputs[layer.skip]
                skip = fit_shape(source, tuple(x.shape[1:]))
            x = _hidden_end(x, skip, layer, n_hidden, spec)
        elif layer.kind in ("flatten", "global_average", "global_max") and network.dropout:
            x = layers.Dropout(network.dropout, name=f"dropout_{layer.name}")(x)
        outputs.append(x)
    return keras.Model(inputs, x, name=network.network)


def undecayed(model: keras.Model) -> list[keras.Variable]:
    """The kernels of a model in words that weight decay does not touch."""
    without = [layer for layer in model.layers if layer.name in UNDECAYED]
    return [variable for layer in without for variable in layer.trainable_variables]


def _embedded(x: Any, embedding: Embedding, scale: float) -> Any:
    """Numbers as their embeddings, followed by all inputs."""
    n, parts, size = embedding.n_numbers, embedding.parts, embedding.size
    *first, kernel, bias = map(make_initializer, embedding_initializers(embedding, scale))
    if embedding.kind == "periodic":
        angles = layers.EinsumDense(
            "bk,kf->bkf", (n, parts), kernel_initializer=first[0], name=FREQUENCIES
        )(x[:, :n])
        angles = 2.0 * math.pi * angles
        features = layers.Concatenate(name="waves")([ops.cos(angles), ops.sin(angles)])
    else:
        places = layers.EinsumDense(
            "bk,kf->bkf",
            (n, parts),
            bias_axes="kf",
            kernel_initializer=first[0],
            bias_initializer=first[1],
            name=BINS,
            trainable=False,  # the bins are quantiles
        )(x[:, :n])
        features = ops.clip(places, 0.0, 1.0)
    embedded = layers.EinsumDense(
        "bkf,kfe->bke",
        (n, size),
        activation="relu",
        bias_axes="ke",
        kernel_initializer=kernel,
        bias_initializer=bias,
        name=EMBEDDING,
    )(features)
    flat = layers.Reshape((n * size,), name="embedded")(embedded)
    return layers.Concatenate(name="inputs")([flat, x])


def _scaled(x: Any, layer: Layer) -> Any:
    """The inputs, which members share or have of their own, times the factors of each member."""
    equation = "bi,mi->bmi" if len(x.shape) == 2 else "bmi,mi->bmi"
    return layers.EinsumDense(
        equation,
        (layer.members, *layer.output_shape),
        kernel_initializer=make_initializer(MEMBER_FACTORS),
        name=layer.name,
    )(x)


def _main_layer(layer: Layer, spec: TrialSpec, penalty: Any) -> keras.layers.Layer:
    kernel, bias = initializers_of(spec, layer)
    weights = {
        "kernel_initializer": make_initializer(kernel),
        "bias_initializer": make_initializer(bias),
        "kernel_regularizer": penalty,
        "name": layer.name,
    }
    match layer.kind:
        case "dense":
            return layers.Dense(layer.output_shape[-1], **weights)
        case "convolution":
            return layers.Conv2D(
                layer.output_shape[-1], layer.window, layer.stride, padding="same", **weights
            )
        case "max_pooling":
            return layers.MaxPooling2D(layer.window, padding="same", name=layer.name)
        case "average_pooling":
            return layers.AveragePooling2D(layer.window, padding="same", name=layer.name)
        case "global_average":
            return layers.GlobalAveragePooling2D(name=layer.name)
        case "global_max":
            return layers.GlobalMaxPooling2D(name=layer.name)
        case "flatten":
            return layers.Flatten(name=layer.name)


def _hidden_end(x: Any, skip: Any, layer: Layer, number: int, spec: TrialSpec) -> Any:
    """What follows a hidden layer: normalization, activation, dropout, residual connection."""
    network = spec.in_words
    add = layers.Add(name=f"residual_{number}")
    if network.normalization == "batch":
        momentum = network.normalization_momentum
        x = layers.BatchNormalization(momentum=momentum, name=f"normalization_{number}")(x)
    elif network.normalization == "layer":
        x = layers.LayerNormalization(name=f"normalization_{number}")(x)
    if skip is not None and layer.skip_first:
        x = add([x, skip])
    x = layers.Activation(network.activation, name=f"activation_{number}")(x)
    if layer.kind == "convolution":
        if network.spatial_dropout:
            x = layers.SpatialDropout2D(network.spatial_dropout, name=f"dropout_{number}")(x)
    elif network.dropout:
        x = layers.Dropout(network.dropout, name=f"dropout_{number}")(x)
    if skip is not None and not layer.skip_first:
        x = add([x, skip])
    return x


def fit_shape(x: Any, shape: tuple[int, ...]) -> Any:
    """A residual connection's input, (n, ...), in the shape of what it is added to."""
    if len(x.shape) == 4:
        down, across = (-(-x.shape[axis] // shape[axis - 1]) for axis in (1, 2))
        if down > 1 or across > 1:
            x = x[:, ::down, ::across, :]
    width, wanted = x.shape[-1], shape[-1]
    if width < wanted:
        return ops.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[0, wanted - width]])
    return x if width == wanted else x[..., :wanted]


def _augmentations(training: Training) -> list[keras.layers.Layer]:
    """Layers that change images at random while training; they fill up with the nearest pixel."""
    augmentations: list[keras.layers.Layer] = []
    if training.flip != "none":
        mode = {"both": "horizontal_and_vertical"}.get(training.flip, training.flip)
        augmentations.append(layers.RandomFlip(mode, name="flip"))
    if training.rotation:
        turn = training.rotation / 360.0
        augmentations.append(layers.RandomRotation(turn, fill_mode="nearest", name="rotation"))
    if training.zoom:
        zoom = (-training.zoom, training.zoom)
        augmentations.append(layers.RandomZoom(zoom, fill_mode="nearest", name="zoom"))
    if training.shift:
        shift = training.shift
        augmentations.append(
            layers.RandomTranslation(shift, shift, fill_mode="nearest", name="shift")
        )
    return augmentations


def make_initializer(text: str) -> keras.initializers.Initializer:
    """Keras's initializer for a name and its numbers, as in `Architecture.initializer`."""
    name, numbers = parse_initializer(text)
    match name, numbers:
        case "normal", (deviation,):
            return keras.initializers.RandomNormal(0.0, deviation)
        case "uniform", (low, high):
            return keras.initializers.RandomUniform(low, high)
        case "constant", (value,):
            return keras.initializers.Constant(value)
        case "zeros", ():
            return keras.initializers.Zeros()
        case _, ():
            return keras.initializers.get(name)
    raise ValueError(f"unknown initializer {text!r}")
