"""The winner as a saved Keras model that takes raw data, and predictions from it."""

import hashlib
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.about import __version__
from nas.analysis.winner import summarize
from nas.architectures import CustomArchitecture
from nas.choices import Task
from nas.data import (
    Dataset,
    Features,
    Fold,
    Schema,
    Split,
    image_names,
    load_features,
    match_seen,
    seen_values,
    take_rows,
)
from nas.data.from_memory import features_from_memory
from nas.encoding import encode_folds, fit_encoder
from nas.encoding.keras_form import (
    build_preprocessor,
    ignore_input_names,
    layer_name,
    model_inputs,
)
from nas.engines.keras_engine import KerasEngine
from nas.engines.lanes import Engine, trial_lanes
from nas.errors import NasError, first_line
from nas.families.keras_networks import network_of
from nas.families.suggestions import BuildModel
from nas.files import written_whole
from nas.metrics import Metric, predicted_classes
from nas.model_card import card_path, check_output, read_card
from nas.options import is_source
from nas.seeds import derive_seed
from nas.spec import TrialSpec
from nas.study.record import StudyRecord
from nas.uncertainty import score_interval

PREDICT_BATCH = 4096
REGISTER = (
    "Decorate own layer classes with @keras.saving.register_keras_serializable(), give them a "
    "get_config, and import them before the model is loaded."
)


def export_winner(
    study: StudyRecord,
    dataset: Dataset,
    split: Split,
    engine_class: type[Engine],
    path: Path,
    seed: int,
    build: BuildModel | None = None,
    metric: Metric | None = None,
) -> dict[str, Any]:
    """Trains the winner on everything but the test part, scores it there, and saves it.

    The model takes raw features (a numeric array, or a mapping of columns where there are
    categories) and returns probabilities or values. It needs Keras alone to be loaded. Beside it
    lies its card, a JSON file with the same name.

    Args:
        study: A study with a complete trial.
        dataset: Its data.
        split: How its search divided it.
        engine_class: What trains the winner, in one lane.
        path: A `.keras` file; an older one is replaced when the new one is whole.
        seed: Seeds the training.
        metric: What it is scored by; None is the study's own, which a function of the user's
            cannot be.
        build: The function that builds the networks of a custom study, which the Keras engine
            trains, whatever `engine_class` says.

    Returns:
        The model card.

    Raises:
        NasError: When the winner diverges, its function is not at hand, the model cannot be saved,
            or there is no place for it.
    """
    metric = metric or study.scorer()
    check_output(path, ".keras")
    if card_path(path).exists() and read_card(path) is None:
        raise NasError(
            str(card_path(path)),
            "is there, and is no model card",
            "a free place for the card of the model",
            "Give the model another name.",
        )
    best = study.best()
    if best.spec is None:
        raise NasError(study.name, f"trial {best.number} has no specification")
    scaling = best.spec.architecture.scaling
    if scaling != "data":
        dataset = replace(dataset, scaling=scaling)
    # Without the test rows: nothing in the training can see or score them.
    (data,) = encode_folds(dataset, [Fold(split.development, split.test[:0])])
    # Categories that no fold's training part held may widen the input.
    problem = replace(best.spec.problem, n_inputs=data.x_train.shape[1])
    spec = replace(best.spec, problem=problem)
    is_custom = isinstance(spec.architecture, CustomArchitecture)
    engine = KerasEngine([data], metric, build) if is_custom else engine_class([data], metric)
    lanes = engine.start(trial_lanes(spec, derive_seed("refit", seed), 1))
    epochs = engine.epochs_at_once(spec, 1)
    while lanes.running().any():
        lanes.advance(epochs)
    (result,) = lanes.results()
    if not np.isfinite(result.train_loss[-1]):
        raise NasError(
            study.name,
            f"the winner (trial {best.number}) diverged when trained on all folds together",
            fix="Continue the search with a smaller highest learning rate.",
        )
    model = _whole_model(dataset, split, spec, lanes.weights(0), build)

    test_value, interval = None, None
    tested_on = "test" if len(split.test) else "training"
    rows = split.test if len(split.test) else split.development
    prediction = predict(model, take_rows(dataset.features, rows), dataset.task)
    if len(split.test):
        y = dataset.y[split.test]
        test_value = metric.score(y, prediction)
        groups = None if dataset.groups is None else dataset.groups[split.test]
        interval = score_interval(metric, y, prediction, groups)
    summary = summarize(study)
    card = {
        "nas_version": __version__,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **{
            key: summary[key]
            for key in ("study", "trial", "metric", "positive", "direction", "value")
        },
        **{key: summary[key] for key in ("stderr", "fold_values")},
        "test_value": test_value,
        "test_interval": list(interval) if interval else None,
        "predicted_on": tested_on,
        "predicted_classes": _count_classes(dataset, prediction),
        "n_weights": spec.n_weights,
        "weights_hash": weights_hash(model),
        "params": best.params,
        "spec": spec.to_dict(),
        "seed": seed,
        "task": dataset.task,
        "classes": list(dataset.classes),
        "schema": dataset.schema.to_dict(),
        "seen": seen_values(
            dataset,
            split.development,
            fit_encoder(dataset, split.development).statistics.categories,
        ),
        "data": asdict(study.settings.data),
        "data_hash": study.settings.data_hash,
        "split": asdict(study.settings.split),
        "n_train_rows": len(split.development),
        "n_test_rows": len(split.test),
        "space": study.settings.space,
        "versions": study.settings.versions,
    }
    _save(model, card, path)
    return card


def _count_classes(dataset: Dataset, prediction: NDArray[Any]) -> dict[str, int] | None:
    """How many rows the winner gives each class, by label; None for regression."""
    if not dataset.classes:
        return None
    counts = np.bincount(predicted_classes(prediction), minlength=len(dataset.classes))
    return {str(k): int(n) for k, n in zip(dataset.classes, counts, strict=True)}


def _whole_model(
    dataset: Dataset,
    split: Split,
    spec: TrialSpec,
    weights: list[NDArray[np.float32]],
    build: BuildModel | None = None,
) -> keras.Model:
    """Preprocessing, network and output activation as one model."""
    encoder = fit_encoder(dataset, split.development)
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
    outputs = model(features)
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
        # 32-bit floats cannot tell Julian dates of one day. Keras makes them of Python floats.
        outputs = keras.layers.Rescaling(
            encoder.statistics.target_scale,
            np.array([encoder.statistics.target_mean]),
            dtype="float64",
            name=name("value"),
        )(outputs)
        if encoder.statistics.target_bounds is not None:
            outputs = keras.ops.clip(outputs, *encoder.statistics.target_bounds)
    with warnings.catch_warnings():
        ignore_input_names()
        return keras.Model(preprocessor.input, outputs, name="nas_winner")


def _save(model: keras.Model, card: dict[str, Any], path: Path) -> None:
    """Writes model and card beside their places, then moves both there."""
    # Two searches of one study may save its winner at the same moment.
    partial_model = path.with_name(f".{path.stem}.{os.getpid()}.partial.keras")
    partial_card = partial_model.with_suffix(".json")
    try:
        model.save(partial_model)
        partial_card.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        partial_model.replace(path)
        partial_card.replace(card_path(path))
    except OSError as error:
        raise NasError(str(path), f"cannot be written ({first_line(error, 120)})") from error
    except (NotImplementedError, TypeError, ValueError) as error:  # of a user's own classes
        raise NasError(
            str(path), f"Keras cannot save the model ({first_line(error, 120)})", fix=REGISTER
        ) from error
    finally:
        partial_model.unlink(missing_ok=True)
        partial_card.unlink(missing_ok=True)


def load_model(
    path: Path, custom_objects: Mapping[str, Any] | None = None
) -> tuple[keras.Model, dict[str, Any]]:
    """A saved model and its card.

    Args:
        path: The `.keras` file.
        custom_objects: Layer classes and functions of a custom network by name, where they are not
            registered.

    Raises:
        NasError: When there is no such file, it is no Keras model, it has layers of a class that
            is not known here, or its card is missing, of another model, or not as nas writes it.
    """
    if not path.exists():
        raise NasError(str(path), "no such file", "a model saved by 'nas export'")
    try:
        with warnings.catch_warnings():
            ignore_input_names()
            model = keras.models.load_model(path, custom_objects)
    except (ValueError, OSError, KeyError, TypeError, zipfile.BadZipFile) as error:
        unknown = re.search(r"Could not locate (?:class|function) '(.+?)'", str(error))
        if unknown:
            received = f"holds '{unknown[1]}', which is not known here"
            raise NasError(str(path), received, "its class", REGISTER) from error
        if "Lambda" in str(error):
            raise NasError(
                str(path),
                "holds a Lambda layer, which Keras does not load",
                "layers that are classes",
                "Put the function into a class derived from keras.layers.Layer.",
            ) from error
        raise NasError(
            str(path), "not a Keras model", "a .keras file saved by 'nas export'"
        ) from error
    card = read_card(path)
    if card is None:
        raise NasError(
            str(card_path(path)),
            "no model card",
            "the JSON file that 'nas export' wrote beside the model",
            "Copy it there.",
        )
    problem = _misfit(model, card)
    if problem:
        raise _card_error(path, problem)
    return model, card


def weights_hash(model: keras.Model) -> str:
    """Tells models apart whose inputs and outputs are alike."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _card_error(path: Path, problem: str) -> NasError:
    return NasError(
        str(card_path(path)),
        problem,
        "the card that 'nas export' wrote beside the model",
        "Export the model again.",
    )


def _misfit(model: keras.Model, card: dict[str, Any]) -> str:
    """What of a card does not fit a model, if anything."""
    task, classes = card.get("task"), card.get("classes")
    if task not in get_args(Task):
        return f"got the task {task!r}"
    if not isinstance(classes, list):
        return f"got the classes {classes!r}"
    shape = model.output_shape
    found = shape[-1] if isinstance(shape, tuple) else None  # else of several outputs
    wanted = {"binary": 1, "regression": 1}.get(str(task), len(classes))
    if found != wanted or (task == "binary" and len(classes) != 2):
        return f"got {task} with {len(classes)} classes, for a model of output shape {shape}"
    try:
        Schema.from_dict(card["schema"])
    except Exception as error:  # whatever stands there instead
        return f"the schema cannot be read ({first_line(error, 100)})"
    if card.get("weights_hash", weights_hash(model)) != weights_hash(model):  # older: without
        return "is the card of another model"
    return ""


def predict(model: keras.Model, features: Features, task: str) -> NDArray[Any]:
    """Predictions of a saved model, as `nas.metrics.Metric.score` takes them."""
    outputs = np.asarray(
        model.predict(model_inputs(features), batch_size=PREDICT_BATCH, verbose=0), np.float64
    )
    return outputs if task == "multiclass" else outputs[:, 0]


@dataclass(frozen=True)
class Predicted:
    """What a model answers.

    Attributes:
        answers: The class or value of each row, shape (n_rows,).
        probabilities: The probability of each class, a column each; None for regression.
        lines: A sentence for each column that holds what training never saw.
    """

    answers: NDArray[Any]
    probabilities: pd.DataFrame | None
    lines: list[str]


def predict_rows(path: Path, model: keras.Model, card: dict[str, Any], data: Any) -> Predicted:
    """Predicts for new rows.

    Args:
        path: Where the model is saved, for messages.
        model: The model.
        card: Its card.
        data: A source that `load_features` reads, or values in memory.

    Raises:
        NasError: When the rows do not fit the model.
    """
    schema = Schema.from_dict(card["schema"])
    if is_source(data):
        features = load_features(str(data), schema)
    else:
        features = features_from_memory(data, schema)
    features, lines = match_seen(features, schema, card.get("seen", {}))
    try:
        prediction = predict(model, features, card["task"])
    except (ValueError, TypeError, KeyError) as error:  # Keras's, for inputs that it lacks
        problem = f"does not fit the model ({first_line(error, 160)})"
        raise _card_error(path, problem) from error
    if card["task"] == "regression":
        return Predicted(prediction, None, lines)
    classes = card["classes"]
    columns = prediction.T if prediction.ndim == 2 else (1.0 - prediction, prediction)
    return Predicted(
        np.array(classes, dtype=object if isinstance(classes[0], str) else None)[
            predicted_classes(prediction)
        ],
        pd.DataFrame(dict(zip(classes, columns, strict=True))),
        lines,
    )


def predict_file(
    model_path: Path, source: str, output: Path, tell: Callable[[str], object] = lambda line: None
) -> int:
    """Predicts for each row of a file or image of a folder, and writes a CSV file.

    The file has a column `prediction`, and for classes a column of probabilities each; before
    those, for a folder, a column `file`.

    Args:
        model_path: A model that `export_winner` saved, with its card.
        source: Rows to predict for.
        output: The `.csv` file.
        tell: Is given a line for each column that holds what training never saw.

    Returns:
        The number of rows.
    """
    check_output(output, ".csv")
    model, card = load_model(model_path)
    predicted = predict_rows(model_path, model, card, source)
    for line in predicted.lines:
        tell(line)
    table: dict[str, Any] = {"prediction": predicted.answers}
    if predicted.probabilities is not None:
        # As text: the card's labels are what a file holds.
        table = {"prediction": predicted.answers.astype(object)}
        for label, column in predicted.probabilities.items():
            table[f"p_{label}"] = column
    if names := image_names(source):
        table = {"file": names, **table}
    with written_whole(output) as file:
        pd.DataFrame(table).to_csv(file, index=False)
    return len(predicted.answers)
