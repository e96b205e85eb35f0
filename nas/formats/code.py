"""The winner as a program: a short script that builds, trains and tests it with Keras alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.architectures import Architecture
from nas.data import DataOptions, Schema
from nas.data.arrays import SKLEARN_DATA
from nas.errors import NasError
from nas.formats.code_of_data import (
    check_data,
    dividing_lines,
    encoding_lines,
    is_table,
    reading_lines,
)
from nas.formats.code_of_network import network_lines, training_lines
from nas.options import SplitOptions
from nas.spec import TrialSpec

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
    check_data(data, split, schema, len(card.get("targets", ())))
    parts = [
        list(_head(spec, card, data)),
        list(reading_lines(card, data, schema)),
        list(dividing_lines(card, split)),
        list(encoding_lines(card, schema, spec)),
        list(network_lines(spec)),
        list(training_lines(spec)),
        list(_testing(card, spec, positive)),
    ]
    text = "\n\n".join("\n".join(part) for part in parts if part)
    return "\n".join(_without_unused_imports(text.splitlines())) + "\n"


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


def _head(spec: TrialSpec, card: Mapping[str, Any], data: DataOptions) -> Iterator[str]:
    yield f'"""{spec.describe()}: the winner of the study \'{card["study"]}\'."""'
    yield ""
    yield "import keras"
    yield "import numpy as np"
    if is_table(data):
        yield "import pandas as pd"
    yield "from keras import layers, ops"
    yield "from scipy.special import ndtri"
    yield "from sklearn import base, compose, metrics, model_selection, pipeline, preprocessing"
    if data.source in SKLEARN_DATA:
        yield "from sklearn import datasets"
    yield "from sklearn.impute import SimpleImputer"
    yield ""
    yield f"keras.utils.set_random_seed({card['seed']})"


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
