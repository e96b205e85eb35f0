"""What plain models of scikit-learn score on the same folds and the same test part."""

import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, QuantileRegressor, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.svm import SVC, SVR
from threadpoolctl import threadpool_limits

from nas.data import Dataset, Fold, Split
from nas.data.logarithms import from_logs, to_logs
from nas.encoding import Statistics, fit_encoder
from nas.execution.processes import default_workers
from nas.metrics import Metric
from nas.seeds import derive_seed
from nas.study.record import StudyRecord
from nas.uncertainty import score_interval, standard_error
from nas.wording import counted

Array = NDArray[Any]

NEEDS_PROBABILITIES = ("auc", "log_loss")
MAX_SUPPORT_ROWS = 5_000  # a support vector machine's time grows with their square
MIN_ROWS = 1000  # a model that could afford fewer training rows than this is left out
# Boosting takes 0.02 s for a column and class even with few rows: each tree looks at all columns.
MAX_BOOSTED_COLUMNS = 700
RESAMPLES = {"auc": 200, "f1": 200, "balanced_accuracy": 200, "log_loss": 200}


@dataclass(frozen=True)
class Baseline:
    """The scores of one plain model.

    Attributes:
        name: What it is.
        fold_values: Validation score of each fold of the study.
        value: Their mean; None where the model was left out.
        stderr: Its standard error, as that of a trial; None with one fold.
        test_value: Score on the test part after training on all folds together, as the winner.
        test_interval: 95 % interval of it; see `nas.uncertainty.score_interval`.
        seconds: What all that took.
        note: That it saw a part of the training rows, or why it was left out; else empty.
        estimator: What was trained, as scikit-learn writes it.
    """

    name: str
    fold_values: tuple[float, ...]
    value: float | None
    stderr: float | None
    test_value: float | None
    test_interval: tuple[float, float] | None
    seconds: float
    note: str = ""
    estimator: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Baseline":
        """The inverse of `to_dict`, also after a way through JSON."""
        interval = data["test_interval"]
        return cls(
            **{
                **data,
                "fold_values": tuple(data["fold_values"]),
                "test_interval": (interval[0], interval[1]) if interval else None,
            }
        )


@dataclass(frozen=True)
class _Model:
    """A model, and the largest training set that takes it less than half a minute of a core.

    Attributes:
        estimator: Unfitted.
        max_rows: Training rows.
        max_cells: Training rows times columns, times classes where each has trees of its own.
        max_columns: Columns, times classes as above; with more it is left out.
        sampled: Whether it learns from a part of a larger one, or is left out.
    """

    estimator: Any
    max_rows: int
    max_cells: int
    max_columns: int = 1_000_000
    sampled: bool = True


@dataclass(frozen=True)
class _Score:
    """What one model scored on one part; no value where it was left out."""

    value: float | None
    interval: tuple[float, float] | None
    seconds: float
    note: str
    estimator: str


def load_baselines(record: StudyRecord) -> tuple[Baseline, ...]:
    """The baselines that are kept in a study; none before they were computed.

    Nor are there any where an older version computed them, whose boosting was a smaller one and
    whose standard errors were others.
    """
    kept = tuple(Baseline.from_dict(data) for data in record.baselines)
    return kept if all(baseline.estimator for baseline in kept) else ()


def run_baselines(dataset: Dataset, split: Split, metric: Metric) -> tuple[Baseline, ...]:
    """Trains plain models on the folds of a study, then on all of them together for the test.

    All have scikit-learn's defaults, with a fixed random state; a support vector machine that is to
    tell probabilities is calibrated (Platt 1999). They see what the networks see: numbers scaled,
    regression targets standardized, missing ones filled and marked, categories as columns, with
    what the training rows of each fold teach. With many rows some see a random part of them, or are
    left out, as with many columns.

    Args:
        dataset: The data.
        split: How a study divided it.
        metric: What the study scores by.
    """
    parts = list(split.folds)
    if len(split.test):
        parts.append(Fold(split.development, split.test))
    n_folds = len(split.folds)
    test_to_train = sum(len(f.val) for f in split.folds) / sum(len(f.train) for f in split.folds)

    def score(number: int) -> dict[str, _Score]:
        # A thread for each part: those of OpenMP wait by spinning, and slow each other down.
        with threadpool_limits(1, user_api="openmp"):
            return _score_part(dataset, parts[number], metric, number, number >= n_folds)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(default_workers()) as pool:
        scores = list(pool.map(score, range(len(parts))))
    baselines = []
    for name in scores[0]:
        mine = [part[name] for part in scores]
        folds = tuple(found.value for found in mine[:n_folds] if found.value is not None)
        test = mine[n_folds] if len(mine) > n_folds else None
        baselines.append(
            Baseline(
                name=name,
                fold_values=folds,
                value=float(np.mean(folds)) if folds else None,
                stderr=standard_error(folds, test_to_train),
                test_value=test.value if test else None,
                test_interval=test.interval if test else None,
                seconds=round(sum(found.seconds for found in mine), 3),
                note=mine[0].note,
                estimator=mine[0].estimator,
            )
        )
    return tuple(baselines)


def _score_part(
    dataset: Dataset, part: Fold, metric: Metric, number: int, is_test: bool
) -> dict[str, _Score]:
    """Trains every model on one part's training rows, and scores it on the others."""
    encoder = fit_encoder(dataset, part.train)
    statistics = encoder.statistics
    x_train = encoder.encode(dataset.features, part.train)
    x_val = encoder.encode(dataset.features, part.val)
    y_train, y_val = dataset.y[part.train], dataset.y[part.val]
    if dataset.task == "regression":  # some models compute with 32 bits, or call 1e-15 constant
        y_train = to_logs(y_train, statistics.log_shift)
        y_train = (y_train - statistics.target_mean) / statistics.target_scale
    scores = {}
    for name, model in _models(dataset, metric).items():
        started, note = time.monotonic(), ""
        estimator = " ".join(repr(model.estimator).split())
        total, n_columns = x_train.shape
        n_rows = min(total, model.max_rows, model.max_cells // n_columns)
        fewest = min(total, MIN_ROWS) if model.sampled else total
        if n_rows < fewest or n_columns > model.max_columns:
            note = f"left out, too slow for {total:,} rows of {counted(n_columns, 'column')}"
            scores[name] = _Score(None, None, 0.0, note, estimator)
            continue
        chosen = np.arange(total)
        if n_rows < total:
            generator = np.random.default_rng(derive_seed("baseline rows", number))
            chosen = generator.permutation(total)[:n_rows]
            note = f"learned from {n_rows:,} of {total:,} rows"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.estimator.fit(x_train[chosen], y_train[chosen])
        prediction = _predictions(model.estimator, x_val, dataset, statistics)
        value, interval = metric.score(y_val, prediction), None
        if is_test:
            n_resamples = RESAMPLES.get(metric.name, 1000)
            groups = None if dataset.groups is None else dataset.groups[part.val]
            interval = score_interval(metric, y_val, prediction, groups, n_resamples)
        scores[name] = _Score(value, interval, time.monotonic() - started, note, estimator)
    return scores


@dataclass
class _EachQuantile:
    """A model of one quantile, trained for each."""

    estimator: Any
    quantiles: tuple[float, ...]

    def fit(self, x: Array, y: Array) -> None:
        each = [clone(self.estimator).set_params(quantile=q) for q in self.quantiles]
        self._fitted = [one.fit(x, y) for one in each]

    def predict(self, x: Array) -> Array:
        return np.stack([one.predict(x) for one in self._fitted], axis=1)


def _models(dataset: Dataset, metric: Metric) -> dict[str, _Model]:
    n = dataset.n_outputs
    if dataset.quantiles:
        return {
            "linear quantiles": _Model(
                _EachQuantile(QuantileRegressor(alpha=0.0), dataset.quantiles),
                2_000,
                10**5 // n,
            ),
            "gradient boosting": _Model(
                _EachQuantile(
                    HistGradientBoostingRegressor(loss="quantile", quantile=0.5, random_state=0),
                    dataset.quantiles,
                ),
                50_000,
                5 * 10**6 // n,
                MAX_BOOSTED_COLUMNS // n,
            ),
        }
    if dataset.targets:  # some models have one only
        one = replace(dataset, targets=(), y=dataset.y[:, 0])
        return {
            name: replace(
                model,
                estimator=MultiOutputRegressor(model.estimator),
                max_cells=model.max_cells // n,
                max_columns=model.max_columns // n,
            )
            for name, model in _models(one, metric).items()
        }
    if dataset.task == "regression":
        return {
            "ridge regression": _Model(Ridge(), 100_000, 10**8),
            "random forest": _Model(RandomForestRegressor(random_state=0), 20_000, 10**6),
            "gradient boosting": _Model(
                HistGradientBoostingRegressor(random_state=0),
                50_000,
                5 * 10**6,
                MAX_BOOSTED_COLUMNS,
            ),
            "SVR": _Model(SVR(), MAX_SUPPORT_ROWS, 10**6, sampled=False),
        }
    trees = len(dataset.classes) if dataset.task == "multiclass" else 1
    svc: Any = SVC()
    if metric.name in NEEDS_PROBABILITIES:
        svc = CalibratedClassifierCV(svc, ensemble=False, cv=3)
    return {
        "logistic regression": _Model(LogisticRegression(), 50_000, 3 * 10**6),
        "random forest": _Model(RandomForestClassifier(random_state=0), 20_000, 5 * 10**6),
        "gradient boosting": _Model(
            HistGradientBoostingClassifier(random_state=0),
            50_000,
            5 * 10**6 // trees,
            MAX_BOOSTED_COLUMNS // trees,
        ),
        "SVC": _Model(svc, MAX_SUPPORT_ROWS, 10**6, sampled=False),
    }


def _predictions(estimator: Any, x: Array, dataset: Dataset, statistics: Statistics) -> Array:
    """Predictions as a metric takes them; see `nas.metrics.Metric`."""
    if dataset.task == "regression":
        values = np.asarray(estimator.predict(x), np.float64)
        values = values * statistics.target_scale + statistics.target_mean
        if statistics.log_shift is not None and statistics.target_bounds is not None:
            values = from_logs(np.clip(values, *statistics.target_bounds), statistics.log_shift)
        return values
    n_classes = len(dataset.classes)
    probabilities = np.zeros((len(x), n_classes))
    if hasattr(estimator, "predict_proba"):
        # With groups the training rows of a fold may lack a class.
        probabilities[:, estimator.classes_] = estimator.predict_proba(x)
        probabilities /= probabilities.sum(axis=1, keepdims=True)  # they come with 32 bits
    else:  # for metrics that ask for the class alone
        probabilities[np.arange(len(x)), estimator.predict(x)] = 1.0
    return probabilities[:, 1] if dataset.task == "binary" else probabilities
