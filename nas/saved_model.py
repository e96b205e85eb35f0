"""A saved Keras model read back with its card, and predictions from it."""

import hashlib
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.choices import Task
from nas.data import (
    Features,
    Schema,
    image_names,
    load_features,
    match_seen,
    n_rows,
    original_columns,
    take_rows,
)
from nas.data.from_memory import features_from_memory
from nas.encoding.keras_form import ignore_input_names, model_inputs
from nas.errors import NasError, first_line
from nas.files import written_whole
from nas.metrics import predicted_classes
from nas.model_card import card_path, check_output, n_values, read_card
from nas.options import is_source

PREDICT_BATCH = 4096
TOLD_ROWS = 16 * PREDICT_BATCH  # after which it is told how far predictions are
Tell = Callable[[int, int], object]
REGISTER = (
    "Decorate own layer classes with @keras.saving.register_keras_serializable(), give them a "
    "get_config, and import them before the model is loaded."
)


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
    wanted = {"binary": 1, "regression": n_values(card)}.get(str(task), len(classes))
    if found != wanted or (task == "binary" and len(classes) != 2):
        return f"got {task} with {len(classes)} classes, for a model of output shape {shape}"
    try:
        Schema.from_dict(card["schema"])
    except Exception as error:  # whatever stands there instead
        return f"the schema cannot be read ({first_line(error, 100)})"
    if card.get("weights_hash", weights_hash(model)) != weights_hash(model):  # older: without
        return "is the card of another model"
    return ""


def predict(
    model: keras.Model, features: Features, task: str, tell: Tell = lambda done, of: None
) -> NDArray[Any]:
    """Predictions of a saved model, as `nas.metrics.Metric.score` takes them.

    Args:
        model: The model.
        features: Raw rows.
        task: What it predicts.
        tell: Is given the rows done and all of them, now and then.
    """
    parts, total = [], n_rows(features)
    for start in range(0, max(total, 1), TOLD_ROWS):
        rows = take_rows(features, slice(start, start + TOLD_ROWS))
        parts.append(model.predict(model_inputs(rows), batch_size=PREDICT_BATCH, verbose=0))
        tell(min(start + TOLD_ROWS, total), total)
    outputs = np.concatenate(parts).astype(np.float64)
    return outputs if task == "multiclass" or outputs.shape[1] > 1 else outputs[:, 0]


@dataclass(frozen=True)
class Predicted:
    """What a model answers.

    Attributes:
        answers: The class or value of each row, shape (n_rows,); of several targets or quantiles
            the values of each, shape (n_rows, n_values).
        probabilities: The probability of each class, a column each; None for regression.
        lines: A sentence for each column that holds what training never saw.
    """

    answers: NDArray[Any]
    probabilities: pd.DataFrame | None
    lines: list[str]


def predict_rows(
    path: Path,
    model: keras.Model,
    card: dict[str, Any],
    data: Any,
    tell: Tell = lambda done, of: None,
) -> Predicted:
    """Predicts for new rows.

    Args:
        path: Where the model is saved, for messages.
        model: The model.
        card: Its card.
        data: A source that `load_features` reads, or values in memory.
        tell: Is given the rows done and all of them, now and then.

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
        prediction = predict(model, features, card["task"], tell)
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
    model_path: Path,
    source: str,
    output: Path,
    tell: Callable[[str], object] = lambda line: None,
    keep: bool = False,
    progress: Tell = lambda done, of: None,
) -> int:
    """Predicts for each row of a file or image of a folder, and writes a CSV file.

    The file has a column `prediction`, of several targets `prediction_NAME` each, of quantiles
    `quantile_0.05` and so on, and for classes a column of probabilities each; before those, for a
    folder, a column `file`.

    Args:
        model_path: A model that `export_winner` saved, with its card.
        source: Rows to predict for.
        output: The `.csv` file.
        tell: Is given a line for each column that holds what training never saw.
        keep: Whether the columns of a table come first, as they are in the file.
        progress: Is given the rows done and all of them, now and then.

    Returns:
        The number of rows.
    """
    check_output(output, ".csv")
    model, card = load_model(model_path)
    schema = Schema.from_dict(card["schema"])
    original = original_columns(source, schema) if keep else pd.DataFrame()
    if keep and original.empty:
        raise NasError("--keep", f"given for {source}", "a table, which has columns")
    predicted = predict_rows(model_path, model, card, source, progress)
    for line in predicted.lines:
        tell(line)
    table: dict[str, Any] = {"prediction": predicted.answers}
    names = [f"prediction_{name}" for name in card.get("targets", ())]
    names += [f"quantile_{quantile:g}" for quantile in card.get("quantiles", ())]
    if names:
        columns = predicted.answers.reshape(len(predicted.answers), -1).T
        table = dict(zip(names, columns, strict=True))
    if predicted.probabilities is not None:
        # As text: the card's labels are what a file holds.
        table = {"prediction": predicted.answers.astype(object)}
        for label, column in predicted.probabilities.items():
            table[f"p_{label}"] = column
    if names := image_names(source):
        table = {"file": names, **table}
    for name in {*original.columns} & {*table}:  # both stay, under names of their own
        original = original.rename(columns={name: f"{name} (given)"})
    with written_whole(output) as file:
        pd.concat([original, pd.DataFrame(table)], axis=1).to_csv(file, index=False)
    return len(predicted.answers)
