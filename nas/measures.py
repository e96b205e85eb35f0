"""What a saved model is worth on its test part, and what each input is worth to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.calibration import calibration
from nas.data import Dataset, Features, Split, take_rows
from nas.metrics import Metric, predicted_classes
from nas.seeds import derive_seed
from nas.uncertainty import LEVEL

Array = NDArray[Any]
MOST_CLASSES = 30  # of which a confusion matrix is kept
MOST_ROWS = 1000  # of the test part, by which inputs are judged
MOST_COLUMNS = 100  # of which each is judged by itself
REPEATS = 5
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def measures(
    y: Array,
    prediction: Array,
    classes: tuple[Any, ...],
    targets: Sequence[str] = (),
    quantiles: Sequence[float] = (),
) -> dict[str, Any]:
    """How predictions of the test part compare with the truth; plain data for JSON.

    Args:
        y: Class numbers or values, shape (n,) or (n, n_targets).
        prediction: As `nas.metrics.Metric.score` takes it.
        classes: Labels of the classes; none for a regression.
        targets: Names of several targets.
        quantiles: Those that were predicted, if they were.
    """
    if quantiles:
        return _of_quantiles(y, prediction.reshape(len(y), -1), quantiles)
    if not classes:
        residuals = np.asarray(prediction, np.float64) - y
        if residuals.ndim == 2:
            by_target = zip(targets, residuals.T, strict=True)
            return {"targets": {name: _of_residuals(column) for name, column in by_target}}
        return _of_residuals(residuals)
    n, predicted = len(classes), predicted_classes(prediction)
    table = np.bincount(y * n + predicted, minlength=n * n).reshape(n, n)
    found: dict[str, Any] = {
        "classes": [_of_class(str(label), k, table) for k, label in enumerate(classes)],
        "calibration": asdict(calibration(prediction, y)),
    }
    if n <= MOST_CLASSES:
        found["confusion"] = table.tolist()
    return found


def _of_quantiles(y: Array, prediction: Array, quantiles: Sequence[float]) -> dict[str, Any]:
    """How many rows lie below each quantile, and between the outer two, with 95 % intervals."""
    n, found = len(y), []
    for quantile, values in zip(quantiles, prediction.T, strict=True):
        below = int((y <= values).sum())
        one = {"quantile": quantile, "below": below / n, "interval": _wilson(below, n)}
        found.append(one)
    told: dict[str, Any] = {"quantiles": found}
    if len(quantiles) > 1:
        inside = int(((prediction[:, 0] <= y) & (y <= prediction[:, -1])).sum())
        told["coverage"] = {
            "wanted": quantiles[-1] - quantiles[0],
            "found": inside / n,
            "interval": _wilson(inside, n),
            "width": float((prediction[:, -1] - prediction[:, 0]).mean()),
        }
    return told


def _of_residuals(residuals: Array) -> dict[str, Any]:
    ends = np.quantile(residuals, QUANTILES)
    return {
        "residuals": {f"{q:g}": float(end) for q, end in zip(QUANTILES, ends, strict=True)},
        "bias": float(residuals.mean()),
    }


def _of_class(label: str, number: int, table: Array) -> dict[str, Any]:
    """Precision and recall of a class, each with its 95 % interval (Wilson 1927)."""
    right = int(table[number, number])
    n_true, n_predicted = int(table[number].sum()), int(table[:, number].sum())
    total = n_true + n_predicted
    return {
        "label": label,
        "n_rows": n_true,
        "precision": right / n_predicted if n_predicted else None,
        "precision_interval": _wilson(right, n_predicted),
        "recall": right / n_true if n_true else None,
        "recall_interval": _wilson(right, n_true),
        "f1": 2 * right / total if total else None,
    }


def _wilson(right: int, n: int) -> list[float] | None:
    if not n:
        return None
    from scipy.stats import binomtest

    interval = binomtest(right, n).proportion_ci(LEVEL, "wilson")
    return [float(interval.low), float(interval.high)]


def importance(
    predict: Callable[[Features], Array], dataset: Dataset, split: Split, metric: Metric
) -> list[dict[str, Any]]:
    """How much worse the score is where a column is shuffled (Breiman 2001, section 10).

    Columns that say the same can each look worthless, as the other one stays.

    Args:
        predict: From raw features to what the metric scores.
        dataset: The data, a table or rows of numbers.
        split: Whose test part is asked, or without one the rows that the model learned from.
        metric: The score.

    Returns:
        For each column its name, the mean loss over five shuffles, and its standard deviation; the
        most important first. Nothing for images and for more than 100 columns.
    """
    schema = dataset.schema
    if not schema.is_table and len(schema.row_shape) != 1:
        return []
    if schema.row_shape[0] > MOST_COLUMNS:
        return []
    random = np.random.default_rng(derive_seed("importance of inputs"))
    rows = split.test if len(split.test) else split.development
    if len(rows) > MOST_ROWS:
        rows = np.sort(random.choice(rows, MOST_ROWS, replace=False))
    features, y = take_rows(dataset.features, rows), dataset.y[rows]
    sign, usual = metric.direction.sign, metric.score(y, predict(features))
    names = [column.name for column in schema.columns] or [
        str(k + 1) for k in range(schema.row_shape[0])
    ]
    found = []
    for place, name in enumerate(names):
        orders = [random.permutation(len(rows)) for _ in range(REPEATS)]
        answers = predict(_shuffled(features, name, place, orders))
        parts = np.split(np.asarray(answers), REPEATS)
        losses = [sign * (usual - metric.score(y, part)) for part in parts]
        found.append({"column": name, "loss": float(np.mean(losses)), "std": float(np.std(losses))})
    return sorted(found, key=lambda one: -one["loss"])


def _shuffled(features: Features, name: str, place: int, orders: Sequence[Array]) -> Features:
    """The same rows several times, each time with a column in another order."""
    order, times = np.concatenate(orders), len(orders)
    if isinstance(features, Mapping):
        repeated = {key: np.tile(values, times) for key, values in features.items()}
        return {**repeated, name: features[name][order]}
    changed = np.tile(features, (times, 1))
    changed[:, place] = features[order, place]
    return changed
