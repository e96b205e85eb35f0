"""The lines of a winner's program that build and train its network."""

from collections.abc import Iterator

from nas.errors import NasError
from nas.layers import Embedding, Layer
from nas.models.initializers import MEMBER_FACTORS, embedding_initializers, initializers_of
from nas.spec import TrialSpec, parse_initializer

INITIALIZERS = {"normal": "RandomNormal(0.0, {})", "uniform": "RandomUniform({}, {})"}


def network_lines(spec: TrialSpec) -> Iterator[str]:
    network, training = spec.in_words, spec.training
    penalty = ""
    if training.l1 or training.l2:
        penalty = f", kernel_regularizer=keras.regularizers.L1L2({training.l1!r}, {training.l2!r})"
    yield "inputs = keras.Input(encoded.shape[1:])"
    yield "x = inputs"
    if network.convolutions or training.augments:
        yield f"x = layers.Reshape({spec.problem.image_shape!r})(x)"
        yield from _augmenting(spec)
        if not network.convolutions:
            yield "x = layers.Flatten()(x)"
    needs_skips = any(layer.skip is not None for layer in spec.layers)
    if needs_skips:
        yield "outputs = {-1: x}"
    for place, layer in enumerate(spec.layers):
        if layer.embedding is not None:
            yield from _embedding(layer.embedding, network.frequency_scale)
        elif layer.kind == "members":
            equation = "bi,mi->bmi" if layer.name.endswith("inputs") else "bmi,mi->bmi"
            shape = (layer.members, *layer.output_shape)
            made = _initializer(MEMBER_FACTORS)
            yield f"x = layers.EinsumDense({equation!r}, {shape!r}, kernel_initializer={made})(x)"
        else:
            yield f"x = {_layer(layer, spec, penalty)}(x)"
        if layer.is_hidden:
            yield from _behind(layer, spec)
        elif layer.kind in ("flatten", "global_average", "global_max") and network.dropout:
            yield f"x = layers.Dropout({network.dropout!r})(x)"
        if needs_skips:
            yield f"outputs[{place}] = x"
    yield "model = keras.Model(inputs, x)"


def _layer(layer: Layer, spec: TrialSpec, penalty: str) -> str:
    kernel, bias = map(_initializer, initializers_of(spec, layer))
    made = f"kernel_initializer={kernel}, bias_initializer={bias}{penalty}"
    units = layer.output_shape[-1]
    match layer.kind:
        case "dense":
            return f"layers.Dense({units}, {made})"
        case "convolution":
            window = f"{layer.window}, {layer.stride}, padding='same'"
            return f"layers.Conv2D({units}, {window}, {made})"
        case "max_pooling" | "average_pooling":
            name = "MaxPooling2D" if layer.kind == "max_pooling" else "AveragePooling2D"
            return f"layers.{name}({layer.window}, padding='same')"
        case "global_average":
            return "layers.GlobalAveragePooling2D()"
        case "global_max":
            return "layers.GlobalMaxPooling2D()"
    return "layers.Flatten()"


def _behind(layer: Layer, spec: TrialSpec) -> Iterator[str]:
    """Normalization, activation, dropout and residual connection of a hidden layer."""
    network = spec.in_words
    if network.normalization == "batch":
        yield f"x = layers.BatchNormalization(momentum={network.normalization_momentum!r})(x)"
    elif network.normalization == "layer":
        yield "x = layers.LayerNormalization()(x)"
    add = list(_adding(layer, spec)) if layer.skip is not None else []
    if layer.skip_first:
        yield from add
    yield f"x = layers.Activation({network.activation!r})(x)"
    if layer.kind == "convolution" and network.spatial_dropout:
        yield f"x = layers.SpatialDropout2D({network.spatial_dropout!r})(x)"
    elif layer.kind != "convolution" and network.dropout:
        yield f"x = layers.Dropout({network.dropout!r})(x)"
    if not layer.skip_first:
        yield from add


def _adding(layer: Layer, spec: TrialSpec) -> Iterator[str]:
    skip = layer.skip if layer.skip is not None else -1
    if skip >= 0:
        shape = spec.layers[skip].output_shape
    else:
        shape = spec.problem.image_shape if spec.in_words.convolutions else (spec.problem.n_inputs,)
    wanted = layer.output_shape
    yield f"skip = outputs[{max(skip, -1)}]"
    if len(wanted) == 3 and shape[:2] != wanted[:2]:
        down, across = (-(-shape[axis] // wanted[axis]) for axis in (0, 1))
        yield f"skip = skip[:, ::{down}, ::{across}, :]"
    if shape[-1] < wanted[-1]:
        pads = [[0, 0]] * len(wanted) + [[0, wanted[-1] - shape[-1]]]
        yield f"skip = ops.pad(skip, {pads!r})"
    elif shape[-1] > wanted[-1]:
        yield f"skip = skip[..., :{wanted[-1]}]"
    yield "x = layers.Add()([x, skip])"


def _embedding(embedding: Embedding, scale: float) -> Iterator[str]:
    n, parts, size = embedding.n_numbers, embedding.parts, embedding.size
    *first, kernel, bias = map(_initializer, embedding_initializers(embedding, scale))
    yield f"numbers = x[:, :{n}]"
    if embedding.kind == "periodic":
        yield f"frequencies = layers.EinsumDense('bk,kf->bkf', ({n}, {parts}),"
        yield f"                                 kernel_initializer={first[0]})"
        yield "angles = 2 * np.pi * frequencies(numbers)"
        yield "features = layers.Concatenate()([ops.cos(angles), ops.sin(angles)])"
    else:
        yield f"shares = np.linspace(0, 1, {parts + 1})"
        yield f"edges = np.quantile(encoded[train, :{n}], shares, axis=0).T  # of the bins"
        yield "widths = np.diff(edges)"
        yield "factors = np.divide(1, widths, out=np.zeros_like(widths), where=widths > 1e-6)"
        yield f"bins = layers.EinsumDense('bk,kf->bkf', ({n}, {parts}), bias_axes='kf',"
        yield "                          trainable=False)"
        yield "features = ops.clip(bins(numbers), 0, 1)"
        yield "bins.set_weights([factors, -edges[:, :-1] * factors])"
    yield f"embedded = layers.EinsumDense('bkf,kfe->bke', ({n}, {size}), activation='relu',"
    yield "                              bias_axes='ke',"
    yield f"                              kernel_initializer={kernel},"
    yield f"                              bias_initializer={bias})"
    yield "x = layers.Concatenate()([layers.Flatten()(embedded(features)), x])"


def _augmenting(spec: TrialSpec) -> Iterator[str]:
    t = spec.training
    if t.flip != "none":
        mode = {"both": "horizontal_and_vertical"}.get(t.flip, t.flip)
        yield f"x = layers.RandomFlip({mode!r})(x)"
    if t.rotation:
        yield f"x = layers.RandomRotation({t.rotation / 360.0!r}, fill_mode='nearest')(x)"
    if t.zoom:
        yield f"x = layers.RandomZoom({(-t.zoom, t.zoom)!r}, fill_mode='nearest')(x)"
    if t.shift:
        yield f"x = layers.RandomTranslation({t.shift!r}, {t.shift!r}, fill_mode='nearest')(x)"


def _initializer(text: str) -> str:
    name, numbers = parse_initializer(text)
    if name == "constant":
        return f"keras.initializers.Constant({numbers[0]!r})"
    if name in INITIALIZERS and numbers:
        return "keras.initializers." + INITIALIZERS[name].format(*map(_short, numbers))
    return repr(name)


def _short(number: float) -> str:
    return f"{number:.6g}"


def training_lines(spec: TrialSpec) -> Iterator[str]:
    t, members = spec.training, spec.members
    batch = t.batch_size or "len(train)"
    yield f"batch_size, epochs = {batch}, {t.epochs}"
    yield "n_steps = epochs * -(-len(train) // batch_size)"
    if t.steps:
        yield f"n_steps = min(n_steps, {t.steps})"
    yield from _schedule(spec)
    common = [f"weight_decay={t.weight_decay!r}"] * bool(t.weight_decay or t.optimizer == "adamw")
    common += [f"global_clipnorm={t.clip_norm!r}"] * bool(t.clip_norm)
    betas = [f"beta_1={t.beta_1!r}", f"beta_2={t.beta_2!r}", f"epsilon={t.epsilon!r}"]
    names = {"adam": "Adam", "adamw": "AdamW", "nadam": "Nadam", "rmsprop": "RMSprop"}
    name = names.get(t.optimizer, {"sgd": "SGD", "adagrad": "Adagrad"}.get(t.optimizer, ""))
    own = {
        "rmsprop": [f"rho={t.rho!r}", f"momentum={t.momentum!r}", f"epsilon={t.epsilon!r}"],
        "sgd": [f"momentum={t.momentum!r}", f"nesterov={t.nesterov!r}"],
        "adagrad": [
            f"initial_accumulator_value={t.initial_accumulator!r}",
            f"epsilon={t.epsilon!r}",
        ],
    }.get(t.optimizer, betas)
    yield f"optimizer = keras.optimizers.{name}({', '.join(['rate', *own, *common])})"
    if t.weight_decay:
        yield "hidden = [layer for layer in model.layers if isinstance(layer, layers.EinsumDense)]"
        yield "optimizer.exclude_from_weight_decay("
        yield "    [variable for layer in hidden for variable in layer.trainable_variables],"
        yield "    ['bias', 'gamma', 'beta'],"
        yield ")"
    if spec.problem.task == "regression":
        yield "mean, deviation = y[train].mean(), y[train].std()"
        yield "targets = ((y - mean) / deviation).astype('float32')[:, None]"
    elif spec.problem.task == "binary":
        yield "targets = y.astype('float32')[:, None]"
    else:
        yield f"targets = np.eye({spec.problem.n_outputs}, dtype='float32')[y]"
    if members > 1:
        yield "# Each member is trained by its own loss."
        yield f"targets = np.repeat(targets[:, None], {members}, axis=1)"
    yield f"model.compile(optimizer, {_loss(spec)})"
    stop = f", callbacks=[keras.callbacks.EarlyStopping('loss', patience={t.early_stopping})]"
    yield "model.fit(encoded[train], targets[train], batch_size=batch_size, epochs=epochs,"
    yield f"          verbose=2{stop if t.early_stopping else ''})"


def _schedule(spec: TrialSpec) -> Iterator[str]:
    t = spec.training
    if t.schedule == "constant" and not t.warmup:
        yield f"rate = {t.learning_rate!r}"
        return
    if t.schedule == "cosine":
        warm = f"round({t.warmup!r} * n_steps)"
        yield f"warm = {warm}"
        yield "rate = keras.optimizers.schedules.CosineDecay("
        if t.warmup:
            yield f"    0.0, n_steps - warm, {t.decay_to!r}, warmup_target={t.learning_rate!r},"
            yield "    warmup_steps=warm,"
        else:
            yield f"    {t.learning_rate!r}, n_steps, {t.decay_to!r}"
        yield ")"
        return
    raise NasError("--format", f"'code' for schedule: {t.schedule}", "cosine or constant")


def _loss(spec: TrialSpec) -> str:
    t, smoothing = spec.training, spec.training.label_smoothing
    match spec.loss:
        case "squared":
            return "keras.losses.MeanSquaredError()"
        case "absolute":
            return "keras.losses.MeanAbsoluteError()"
        case "huber":
            return "keras.losses.Huber()"
        case "logistic":
            raise NasError("--format", f"'code' for loss: {t.loss}", "cross_entropy")
    name = "BinaryCrossentropy" if spec.problem.task == "binary" else "CategoricalCrossentropy"
    return f"keras.losses.{name}(from_logits=True, label_smoothing={smoothing!r})"
