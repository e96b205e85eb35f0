"""The winner as a program: a short script that builds, trains and tests it with Keras alone."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.architectures import Architecture
from nas.data import DataOptions, Schema
from nas.data.arrays import SKLEARN_DATA
from nas.data.date_values import PERIODS
from nas.errors import NasError
from nas.layers import Embedding, Layer
from nas.models.initializers import MEMBER_FACTORS, embedding_initializers, initializers_of
from nas.options import SplitOptions
from nas.spec import TrialSpec, parse_initializer

SCORES = {
    "accuracy": "np.mean(answers == y[test])",
    "balanced_accuracy": "metrics.balanced_accuracy_score(y[test], answers)",
    "f1": "metrics.f1_score(y[test], answers, pos_label={positive})",
    "auc": "metrics.roc_auc_score(y[test], shares, multi_class='ovr')",
    "log_loss": "metrics.log_loss(y[test], shares)",
    "r2": "metrics.r2_score(y[test], answers)",
    "rmse": "metrics.root_mean_squared_error(y[test], answers)",
    "mae": "metrics.mean_absolute_error(y[test], answers)",
}
# Not scikit-learn's QuantileTransformer, to which the smallest value is -5.2, however frequent.
NORMAL_SCORES = """\
class NormalScores(base.BaseEstimator, base.TransformerMixin):
    def fit(self, x, y=None):
        self.lines_ = []
        for column in np.asarray(x).T:
            values, counts = np.unique(column, return_counts=True)
            ranks = (np.cumsum(counts) - counts / 2) / len(column)  # equal values share the middle
            self.lines_.append((values, ndtri(ranks)))
        return self

    def transform(self, x):
        columns = zip(np.asarray(x).T, self.lines_)
        return np.column_stack([np.interp(column, *line) for column, line in columns])

"""
INITIALIZERS = {"normal": "RandomNormal(0.0, {})", "uniform": "RandomUniform({}, {})"}


def script(spec: TrialSpec, card: Mapping[str, Any], positive: int | None) -> str:
    """The program.

    Args:
        spec: The network and its training.
        card: The card of the model, for its data.
        positive: Number of the class that f1 is about.

    Raises:
        NasError: When the program could not read the data, or not divide it, as the search did.
    """
    if not isinstance(spec.architecture, Architecture):
        raise NasError("--format", "'code' for a network of your own", "your own code")
    data, split = DataOptions(**_tuples(card["data"])), SplitOptions(**card["split"])
    schema = Schema.from_dict(card["schema"])
    _check(data, split, schema)
    parts = [
        list(_head(spec, card, data)),
        list(_reading(card, data, schema)),
        list(_dividing(card, split)),
        list(_encoding(card, schema, spec)),
        list(_network(spec)),
        list(_training(spec)),
        list(_testing(card, spec, positive)),
    ]
    text = "\n\n".join("\n".join(part) for part in parts if part)
    return "\n".join(_without_unused_imports(text.splitlines())) + "\n"


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


def _check(data: DataOptions, split: SplitOptions, schema: Schema) -> None:
    """Refuses what a short program cannot do again."""
    refused = {
        "--groups": data.groups,
        "--time": data.time,
        "--test": data.test,
        "--classes": data.classes,
        "--max-rows": data.max_rows,
        "--merge-rare": data.merge_rare,
        "--label-noise": data.label_noise,
        "--sample-weight": data.sample_weight,
        "row numbers for the test part": split.given or split.given_test,
        "numbers with units": any(column.unit for column in schema.columns),
        "decimal commas": schema.marks[:1] == ",",
    }
    for name, value in refused.items():
        if value:
            raise NasError("--format", f"'code' for a search with {name}", "another format")
    is_file = Path(data.source).suffix.lower() in (".csv", ".tsv", ".parquet", ".npz")
    if data.source not in SKLEARN_DATA and not is_file:
        raise NasError(
            "--format", f"'code' for {data.source}", "a .csv, .tsv, .parquet or .npz file, or a "
            "data set of scikit-learn",
        )  # fmt: skip


def _head(spec: TrialSpec, card: Mapping[str, Any], data: DataOptions) -> Iterator[str]:
    yield f'"""{spec.describe()}: the winner of the study \'{card["study"]}\'."""'
    yield ""
    yield "import keras"
    yield "import numpy as np"
    if _is_table(data):
        yield "import pandas as pd"
    yield "from keras import layers, ops"
    yield "from scipy.special import ndtri"
    yield "from sklearn import base, compose, metrics, model_selection, pipeline, preprocessing"
    if data.source in SKLEARN_DATA:
        yield "from sklearn import datasets"
    yield "from sklearn.impute import SimpleImputer"
    yield ""
    yield f"keras.utils.set_random_seed({card['seed']})"


def _is_table(data: DataOptions) -> bool:
    return Path(data.source).suffix.lower() in (".csv", ".tsv", ".parquet")


def _reading(card: Mapping[str, Any], data: DataOptions, schema: Schema) -> Iterator[str]:
    classes = [str(label) for label in card["classes"]]
    if not _is_table(data):
        if data.source in SKLEARN_DATA:
            yield f"x, y = datasets.load_{data.source}(return_X_y=True)"
        else:
            yield f"with np.load({data.source!r}) as file:"
            yield "    parts = ['x', 'y'] if 'x' in file else ['x_train', 'y_train']"
            yield "    x, y = (file[part] for part in parts)"
            yield "    tests = [file[p] for p in ('x_test', 'y_test')] if 'x' not in file else None"
            yield "if tests is not None:"
            yield "    n_train = len(x)"
            yield "    x, y = (np.concatenate(both) for both in zip((x, y), tests))"
        yield "x = x.reshape(len(x), -1).astype(float)"
        if classes:
            yield "classes, y = np.unique(y, return_inverse=True)"
        return
    kinds = {kind: [c.name for c in schema.columns if c.kind == kind] for kind in _KINDS}
    for kind, name in _KINDS.items():
        if kinds[kind]:
            yield f"{name} = {kinds[kind]!r}"
    if Path(data.source).suffix.lower() == ".parquet":
        yield f"table = pd.read_parquet({data.source!r}).astype(object).fillna('').astype(str)"
    else:
        header = ", header=None" if schema.n_unnamed else ""
        yield f"table = pd.read_csv({data.source!r}, dtype=str, keep_default_na=False,"
        yield f"                    sep=None, engine='python'{header})"
        if schema.n_unnamed:
            yield "table.columns = [str(k + 1) for k in range(table.shape[1])]"
        yield "table = table.rename(columns=str.strip).apply(lambda column: column.str.strip())"
    assert data.target is not None
    is_place = data.target.startswith("-") and data.target[1:].isdigit()
    place = f"table.iloc[:, {data.target}]" if is_place else f"table[{data.target!r}]"
    yield f"target = {place}"
    missing = ["", "?", *data.missing]
    yield f"known = ~target.isin({missing!r})"
    yield "table, target = table[known], target[known]"
    if classes:
        yield f"classes = {classes!r}"
        yield "y = np.array([classes.index(label) for label in target])"
    else:
        yield "y = target.astype(float).to_numpy()"
    if kinds["numeric"]:
        yield "numbers = table[NUMBERS].apply(pd.to_numeric, errors='coerce')"
    if kinds["date"]:
        yield from _dates(schema)
    parts = [name for kind, name in (("numeric", "numbers"), ("date", "dates")) if kinds[kind]]
    parts += ["table[CATEGORIES]"] if kinds["categorical"] else []
    yield f"x = pd.concat([{', '.join(parts)}], axis=1)"


_KINDS = {"numeric": "NUMBERS", "date": "DATES", "categorical": "CATEGORIES"}


def _dates(schema: Schema) -> Iterator[str]:
    yield "dates = pd.DataFrame(index=table.index)"
    for column in schema.columns:
        if column.kind != "date":
            continue
        first = column.order == "day first"
        yield f"moment = pd.to_datetime(table[{column.name!r}], format='mixed', dayfirst={first},"
        yield "                        errors='coerce', utc=True)"
        yield "days = (moment - pd.Timestamp(0, tz='UTC')) / pd.Timedelta(days=1)"
        for part in column.parts:
            if part == "days":
                yield f"dates[{column.name + ' days'!r}] = days - {column.origin:g}"
                continue
            angle = f"2 * np.pi * (days - {column.origin:g}) / {PERIODS[part]:g}"
            for wave in ("sin", "cos"):
                name = f"{column.name} {part} {wave}"
                yield f"dates[{name!r}] = np.{wave}({angle}).fillna(0)"


def _dividing(card: Mapping[str, Any], split: SplitOptions) -> Iterator[str]:
    rows, stratify = "np.arange(len(y))", "y" if card["classes"] else "None"
    if not split.test_size:
        yield f"train = {rows}"
        yield "test = train  # no rows were set aside: the score is of the rows that it learned"
        return
    drawn = f"model_selection.train_test_split({rows}, test_size={split.test_size:g},"
    if card["data"]["source"].endswith(".npz"):
        yield "if tests is not None:"
        yield f"    train, test = np.split({rows}, [n_train])"
        yield "else:"
        yield f"    train, test = {drawn}"
        yield f"        random_state={split.seed}, stratify={stratify})"
        return
    yield f"train, test = {drawn}"
    yield f"    random_state={split.seed}, stratify={stratify})"


def _encoding(card: Mapping[str, Any], schema: Schema, spec: TrialSpec) -> Iterator[str]:
    """Preprocessing by scikit-learn, learned from the training rows."""
    scaling = spec.architecture.scaling
    scaling = card["data"]["scaling"] if scaling == "data" else scaling
    if len(schema.row_shape) > 1:  # all pixels share one scale
        scales = {
            "standard": ("x[train].mean()", "x[train].std()"),
            "unit": ("x[train].min()", "np.ptp(x[train])"),
            "symmetric": ("(x[train].max() + x[train].min()) / 2", "np.ptp(x[train]) / 2"),
            "none": ("0.0", "1.0"),
        }
        if scaling not in scales:
            raise NasError("--format", f"'code' for images with --scaling {scaling}", "standard")
        center, scale = scales[scaling]
        yield f"center, scale = {center}, {scale}"
        yield "encoded = ((x - center) / scale).astype('float32')"
        return
    fill = "median" if scaling in ("robust", "quantile") else "mean"
    scaler = {
        "standard": "preprocessing.StandardScaler()",
        "robust": "preprocessing.RobustScaler(),\n"
        "    preprocessing.FunctionTransformer(lambda x: x / np.sqrt(1 + (x / 3) ** 2))",
        "quantile": "NormalScores()",
        "unit": "preprocessing.MinMaxScaler()",
        "symmetric": "preprocessing.MinMaxScaler((-1, 1))",
        "none": "preprocessing.FunctionTransformer()",
    }[scaling]
    if scaling == "quantile":
        yield NORMAL_SCORES
    yield "scaled = pipeline.make_pipeline("
    yield f"    SimpleImputer(strategy={fill!r}, keep_empty_features=True),"
    yield f"    {scaler},"
    yield ")"
    if not schema.columns:
        yield "encoder = scaled"
    else:
        numeric = any(column.kind != "categorical" for column in schema.columns)
        categorical = any(column.kind == "categorical" for column in schema.columns)
        yield "encoder = compose.make_column_transformer("
        if numeric:
            dates = any(column.kind == "date" for column in schema.columns)
            names = " + ".join(["NUMBERS"] * _has(schema, "numeric") + ["list(dates)"] * dates)
            yield f"    (scaled, {names}),"
            yield "    (pipeline.make_pipeline("
            yield "        SimpleImputer(add_indicator=True, keep_empty_features=True),"
            width = "len(NUMBERS)" if not dates else f"len({names})"
            yield f"        preprocessing.FunctionTransformer(lambda x: x[:, {width}:]),"
            yield f"    ), {names}),"
        if categorical:
            yield "    (preprocessing.OneHotEncoder(handle_unknown='ignore', sparse_output=False,"
            yield "                                 max_categories=101), CATEGORIES),"
        yield ")"
    rows = "x.iloc" if schema.columns else "x"
    yield f"encoder.fit({rows}[train])"
    yield "encoded = encoder.transform(x).astype('float32')"


def _has(schema: Schema, kind: str) -> bool:
    return any(column.kind == kind for column in schema.columns)


# The network


def _network(spec: TrialSpec) -> Iterator[str]:
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


# Training and testing


def _training(spec: TrialSpec) -> Iterator[str]:
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


def _testing(card: Mapping[str, Any], spec: TrialSpec, positive: int | None) -> Iterator[str]:
    yield "outputs = model.predict(encoded[test], verbose=0)"
    mean = ".mean(axis=1)" if spec.members > 1 else ""
    if spec.problem.task == "regression":
        yield f"answers = (outputs * deviation + mean){mean}[:, 0]"
        yield "margin = 0.1 * np.ptp(y[train])"
        yield "answers = np.clip(answers, y[train].min() - margin, y[train].max() + margin)"
    elif spec.problem.task == "binary":
        yield f"shares = np.asarray(ops.sigmoid(outputs)){mean}[:, 0]"
        yield "answers = (shares > 0.5).astype(int)"
    else:
        yield f"shares = np.asarray(ops.softmax(outputs)){mean}"
        yield "answers = shares.argmax(axis=1)"
    found = SCORES.get(card["metric"])
    if found is None:
        raise NasError("--format", f"'code' for the metric {card['metric']}", "one of nas's own")
    score = found.format(positive=1 if positive is None else positive)
    yield f"print({card['metric'] + ' on the test part:'!r}, {score})"


def _without_unused_imports(lines: Sequence[str]) -> list[str]:
    """The lines without what no line uses."""
    text = "\n".join(line for line in lines if not line.startswith(("import ", "from ")))
    kept = []
    for line in lines:
        if line.startswith("from sklearn import ") or line.startswith("from keras import "):
            package, _, names = line.partition(" import ")
            used = [name for name in names.split(", ") if f"{name}." in text]
            if used:
                kept.append(f"{package} import {', '.join(used)}")
        elif line.startswith("from s") and f"{line.split()[-1]}(" not in text:
            continue
        else:
            kept.append(line)
    return kept
