"""What a network is scored by; every function is scikit-learn's."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.choices import Task
from nas.direction import Direction
from nas.errors import NasError, did_you_mean
from nas.spec import Loss

if TYPE_CHECKING:
    from nas.data import Dataset

Array = NDArray[Any]
# Of the class that is predicted, not of its probability.
SCORES_OF_CLASSES = ("accuracy", "balanced_accuracy", "f1")
# Beyond which no score can be; of others nothing is known.
BOUNDS = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "f1", "auc"), (0.0, 1.0)),
    **dict.fromkeys(("log_loss", "rmse", "mae", "pinball"), (0.0, math.inf)),
    "r2": (-math.inf, 1.0),
}
CLASSIFICATION: tuple[Task, ...] = ("binary", "multiclass")


@dataclass(frozen=True)
class Metric:
    """One score.

    Attributes:
        name: Its name on the command line and in the study.
        direction: `maximize` or `minimize`.
        tasks: Tasks that it can score.
        score: From the target, shape (n,), and the predictions to the score. Predictions are
            probabilities of shape (n, n_classes) for multiclass, probabilities of the second
            class of shape (n,) for binary, and values of shape (n,) for regression. Of several
            targets, shape (n, n_targets), the score is the mean of their scores.
        positive: Number of the class that it is about, of two; None where it is about all.
        positive_label: The label of that class.
        is_own: Whether it is a function of the user's.
        quantiles: Those that it is about.
    """

    name: str
    direction: Direction
    tasks: tuple[Task, ...]
    score: Callable[[Array, Array], float]
    positive: int | None = None
    positive_label: str = ""
    is_own: bool = False
    quantiles: tuple[float, ...] = ()

    @property
    def title(self) -> str:
        """Its name, with the class that it is about."""
        return f"{self.name} of '{self.positive_label}'" if self.positive_label else self.name


def predictions_of(
    task: Task,
    outputs: Array,
    target_mean: float | Array = 0.0,
    target_scale: float | Array = 1.0,
    loss: Loss = "cross_entropy",
) -> Array:
    """Turns a network's outputs (logits, or a standardized value) into predictions.

    Args:
        task: What is predicted.
        outputs: Shape (n, n_outputs).
        target_mean: Mean that the regression target was standardized with.
        target_scale: Deviation that it was standardized with.
        loss: What was minimized; with `logistic`, each class has a sigmoid output, and they are
            divided by their sum.
    """
    outputs = outputs.astype(np.float64)
    if task == "regression":
        values = outputs[:, 0] if outputs.shape[1] == 1 else outputs
        if loss == "quantile" and values.ndim == 2:  # a higher quantile is no smaller
            values = np.maximum.accumulate(values, axis=1)
        return np.asarray(values * target_scale + target_mean)
    if task == "binary":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * outputs[:, 0])))
    if loss == "logistic":
        outputs = -np.logaddexp(0.0, -outputs)  # logarithms of the sigmoids
    outputs -= outputs.max(axis=1, keepdims=True)  # a copy of the caller's
    np.exp(outputs, out=outputs)
    outputs /= outputs.sum(axis=1, keepdims=True)
    return np.asarray(outputs)


def predicted_classes(prediction: Array) -> Array:
    """The most probable class number of each row."""
    if prediction.ndim == 2:
        return np.asarray(prediction.argmax(axis=1))
    return (prediction > 0.5).astype(np.int64)


def _accuracy(y: Array, prediction: Array) -> float:
    return float(np.mean(predicted_classes(prediction) == y))


def _balanced_accuracy(y: Array, prediction: Array) -> float:
    from sklearn.metrics import recall_score

    # The mean recall of the classes that occur: a small part need not hold every class.
    predicted = predicted_classes(prediction)
    return float(recall_score(y, predicted, labels=np.unique(y), average="macro"))


def _f1(y: Array, prediction: Array, positive: int = 1) -> float:
    from sklearn.metrics import f1_score

    average = "binary" if prediction.ndim == 1 else "macro"
    predicted = predicted_classes(prediction)
    return float(f1_score(y, predicted, average=average, pos_label=positive, zero_division=0))


def _auc(y: Array, prediction: Array) -> float:
    from sklearn.metrics import roc_auc_score

    if prediction.ndim == 1 or prediction.shape[1] == 2:  # two classes as multiclass
        return float(roc_auc_score(y, prediction if prediction.ndim == 1 else prediction[:, 1]))
    labels = np.arange(prediction.shape[1])
    return float(roc_auc_score(y, prediction, multi_class="ovr", labels=labels))


def _log_loss(y: Array, prediction: Array) -> float:
    from sklearn.metrics import log_loss

    n_classes = prediction.shape[1] if prediction.ndim == 2 else 2
    return float(log_loss(y, prediction, labels=np.arange(n_classes)))


def _r2(y: Array, prediction: Array) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(y, prediction))


def _rmse(y: Array, prediction: Array) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(y, prediction))


def _mae(y: Array, prediction: Array) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(y, prediction))


def pinball(quantiles: Sequence[float], y: Array, prediction: Array) -> Array:
    """The pinball loss of each quantile (a column) for each row (Koenker and Bassett 1978).

    Args:
        quantiles: Rising.
        y: Values, shape (n,).
        prediction: Shape (n, n_quantiles), or (n,) of one quantile.
    """
    share = np.asarray(quantiles)
    error = y[:, None] - prediction.reshape(len(y), -1)
    return np.asarray(np.maximum(share * error, (share - 1.0) * error))


def _mean_pinball(y: Array, prediction: Array, quantiles: Sequence[float] = (0.5,)) -> float:
    return float(pinball(quantiles, y, prediction).mean())


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", Direction.MAXIMIZE, CLASSIFICATION, _accuracy),
        Metric("balanced_accuracy", Direction.MAXIMIZE, CLASSIFICATION, _balanced_accuracy),
        Metric("f1", Direction.MAXIMIZE, CLASSIFICATION, _f1),
        Metric("auc", Direction.MAXIMIZE, CLASSIFICATION, _auc),
        Metric("log_loss", Direction.MINIMIZE, CLASSIFICATION, _log_loss),
        Metric("r2", Direction.MAXIMIZE, ("regression",), _r2),
        Metric("rmse", Direction.MINIMIZE, ("regression",), _rmse),
        Metric("mae", Direction.MINIMIZE, ("regression",), _mae),
        Metric("pinball", Direction.MINIMIZE, ("regression",), _mean_pinball),
    )
}


def get_metric(
    name: str | None, task: Task, positive: int | None = None, quantiles: tuple[float, ...] = ()
) -> Metric:
    """The metric of that name, or the task's default (accuracy, R²) for None.

    Quantiles are scored by their pinball loss alone, as for a target it is their best prediction
    that has the least.

    Args:
        name: Its name.
        task: What is predicted.
        positive: Number of the class that f1 is about, of two; None is the second, 1.
        quantiles: Those that are predicted; empty where the target itself is.

    Raises:
        NasError: When there is none, or it does not fit the task.
    """
    if name is None:
        name = "r2" if task == "regression" else "accuracy"
        name = "pinball" if quantiles else name
    fitting = [metric.name for metric in METRICS.values() if task in metric.tasks]
    fitting = ["pinball"] if quantiles else [known for known in fitting if known != "pinball"]
    if not isinstance(name, str) or name not in fitting:
        raise NasError(
            "--metric",
            f"got '{name}' for {'quantiles' if quantiles else f'a {task} task'}",
            "one of " + ", ".join(fitting),
            did_you_mean(str(name).lower(), fitting),
        )
    if name == "f1" and task == "binary" and positive is not None:
        # A partial of a function, as workers get the metric pickled.
        return replace(METRICS[name], score=partial(_f1, positive=positive), positive=positive)
    if quantiles:
        score = partial(_mean_pinball, quantiles=quantiles)
        return replace(METRICS[name], score=score, quantiles=quantiles)
    return METRICS[name]


def own_metric(scorer: Any, task: Task) -> Metric:
    """A metric of the user's own, by the name of its function.

    Args:
        scorer: What `sklearn.metrics.make_scorer` returns, or a function of the target and the
            predicted classes (as numbers) or values, of which more is better.
        task: What is predicted.
    """
    function = getattr(scorer, "_score_func", scorer)
    keywords: dict[str, Any] = getattr(scorer, "_kwargs", {})
    # scikit-learn's scorers turn errors around; here the direction says it.
    direction = Direction.MAXIMIZE if getattr(scorer, "_sign", 1) > 0 else Direction.MINIMIZE
    response = getattr(scorer, "_response_method", "predict")
    responses = (response,) if isinstance(response, str) else tuple(response)
    name = getattr(function, "__name__", type(function).__name__)
    return Metric(
        f"own_{name}" if name in METRICS else name,
        direction,
        (task,),
        partial(
            _own_score,
            function,
            keywords,
            task != "regression",
            task != "regression" and "predict" in responses,
        ),
        is_own=True,
    )


def _own_score(
    function: Callable[..., Any],
    keywords: Mapping[str, Any],
    has_classes: bool,
    of_classes: bool,
    y: Array,
    p: Array,
) -> float:
    if of_classes:
        p = predicted_classes(p)
    elif has_classes and p.ndim == 2:  # which a saved model rounds to 32 bits
        p = p / p.sum(axis=1, keepdims=True)
    return float(function(y, p, **keywords))


def choose_metric(name: Any, dataset: "Dataset", positive: str | None = None) -> Metric:
    """The metric for a data set; f1 of two classes is about the positive one.

    Args:
        name: Its name, or a scorer of the user's own; None is the task's default.
        dataset: The data, which knows its positive class.
        positive: What `--positive` says.

    Raises:
        NasError: When there is none, it does not fit the task, or has no positive class.
    """
    if callable(name) and dataset.quantiles:
        raise NasError("--metric", "got a function for quantiles", "pinball")
    if callable(name):
        return own_metric(name, dataset.task)
    metric = get_metric(name, dataset.task, dataset.positive, dataset.quantiles)
    if positive is not None and metric.name != "f1":
        raise NasError(
            "--positive",
            f"got '{positive}' for the metric {metric.name}",
            "--metric f1, which is about one of two classes",
            "Add --metric f1, or leave --positive out.",
        )
    if metric.positive is None:
        return metric
    return replace(metric, positive_label=str(dataset.classes[metric.positive]))


def constant_score(metric: Metric, y: Array, task: Task, n_classes: int) -> float:
    """Score of the best prediction that is the same for every row.

    That is the shares of the classes, the commonest being the answer; for f1 of two classes the
    positive one; and the mean of numbers, or their median for the mean absolute error.

    Args:
        metric: What to score by.
        y: Target, shape (n,); every class is in it.
        task: What is predicted.
        n_classes: Classes of the data; 0 for regression.
    """
    if metric.quantiles:
        same = np.quantile(y, metric.quantiles)
        return metric.score(y, np.tile(same, (len(y), 1)))
    if task == "regression":
        middle = np.median(y, axis=0) if metric.name == "mae" else np.mean(y, axis=0)
        return metric.score(y, np.broadcast_to(middle, y.shape))
    shares = np.bincount(y, minlength=n_classes) / len(y)
    prediction = np.tile(shares, (len(y), 1))
    if task != "binary":
        return metric.score(y, prediction)
    if metric.name == "f1":
        return max(metric.score(y, np.full(len(y), answer)) for answer in (0.0, 1.0))
    return metric.score(y, prediction[:, 1])


def check_metric(metric: Metric, parts: Mapping[str, Array], n_classes: int) -> None:
    """Refuses parts of the data on which a metric is undefined.

    Args:
        metric: What is to be computed.
        parts: Targets by name, such as `fold 1` and `the test part`; empty ones are left out.
        n_classes: Classes of the data; 0 for regression.
    """
    for name, y in parts.items():
        if metric.name == "auc" and len(y) and len(np.unique(y)) < n_classes:
            raise NasError(
                "--metric",
                f"auc, but {name} has {len(np.unique(y))} of {n_classes} classes",
                "every class in it",
                "Use --metric log_loss or balanced_accuracy, which take any part.",
            )
        if metric.name == "r2" and len(y) == 1:
            raise NasError(
                "--metric", f"r2, but {name} has one row", "at least two", "Use --metric rmse."
            )
