"""Searches as estimators of scikit-learn: `NASClassifier` and `NASRegressor`.

`fit` is `nas.search` without a test part; `predict` answers with the winner, trained on all rows.
"""

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import KFold
from sklearn.utils import (
    Tags,
    assert_all_finite,
    check_consistent_length,
    check_random_state,
    column_or_1d,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    validate_data,
)

from nas.api import search
from nas.arguments import ensemble_of
from nas.choices import Ensemble, PrunerName, SamplerName, Scaling, Task
from nas.errors import NasError
from nas.execution.devices import find_gpus
from nas.execution.processes import default_workers

if TYPE_CHECKING:
    import keras

    from nas.results import Study

LARGEST_SEED = 2**31 - 1
USUAL_FOLDS = 5


class _SavedNetwork:
    """A saved model as bytes, loaded when it is first asked; pickles without Keras.

    Args:
        path: A `.keras` file, with its card beside it.
    """

    def __init__(self, path: Path) -> None:
        from nas.model_card import card_path

        self._file, self._card = path.read_bytes(), card_path(path).read_bytes()
        self._loaded: tuple[keras.Model, dict[str, Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}

    def load(self) -> "tuple[keras.Model, dict[str, Any]]":
        """The model and its card."""
        if self._loaded is None:
            from nas.engines.startup import start_tensorflow
            from nas.model_card import card_path

            start_tensorflow()
            from nas.saved_model import load_model

            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.keras"
                path.write_bytes(self._file)
                card_path(path).write_bytes(self._card)
                self._loaded = load_model(path)
        return self._loaded


class _Searching(BaseEstimator):  # type: ignore[misc]
    """What both estimators have in common."""

    def __init__(
        self,
        space: Any = None,
        *,
        trials: int | None = None,
        timeout: float | str | None = None,
        folds: Any = None,
        metric: Any = None,
        categorical: Sequence[str] = (),
        scaling: Scaling = "standard",
        sampler: SamplerName = "tpe",
        pruner: PrunerName | None = None,
        confirm: int | None = None,
        ensemble: "Ensemble | None" = None,
        workers: int | None = None,
        device: str = "auto",
        name: str | None = None,
        storage: str | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.space = space
        self.trials = trials
        self.timeout = timeout
        self.folds = folds
        self.metric = metric
        self.categorical = categorical
        self.scaling = scaling
        self.sampler = sampler
        self.pruner = pruner
        self.confirm = confirm
        self.ensemble = ensemble
        self.workers = workers
        self.device = device
        self.name = name
        self.storage = storage
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    @property
    def model_(self) -> "keras.Model":
        """The winner, or the ensemble, as a Keras model that takes raw data."""
        check_is_fitted(self)
        model, _ = self._saved.load()
        return model

    def __getstate__(self) -> dict[str, Any]:
        # The folder of a study without a storage goes with this process, and so does the study.
        here = ("study_", "_folder")
        return {k: v for k, v in super().__getstate__().items() if k not in here}

    def _search(
        self,
        X: Any,
        y: "pd.Series[Any] | pd.DataFrame",
        task: Task,
        folds: Any,
        sample_weight: Any,
        groups: Any,
    ) -> Self:
        check_consistent_length(X, y, sample_weight, groups)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(LARGEST_SEED)
        storage, name = self.storage, self.name
        if storage is None:
            folder = tempfile.mkdtemp(prefix="nas-")
            self._folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            storage = f"sqlite:///{Path(folder) / 'nas.db'}"
        if name is None:  # the same data goes on with its study, and other data has another
            name = f"{type(self).__name__}-{joblib.hash((X, y, seed))[:8]}"
        try:
            study = search(
                self.space,
                X,
                y,
                task=task,
                trials=self.trials,
                timeout=self.timeout,
                folds=folds,
                metric=self.metric,
                categorical=self.categorical,
                scaling=self.scaling,
                sampler=self.sampler,
                pruner=self.pruner,
                confirm=self.confirm,
                groups=groups,
                sample_weight=sample_weight,
                test_size=0.0,
                workers=self.workers,
                device=self.device,
                name=name,
                storage=storage,
                seed=int(seed),
                quiet=not self.verbose,
            )
            self._saved = self._network(study)
        except NasError as error:
            raise ValueError(str(error)) from error
        self.study_: Study = study
        best = study.best
        self.best_params_ = best.params
        self.best_score_ = best.value if best.confirmed is None else best.confirmed
        return self

    def _network(self, study: "Study") -> _SavedNetwork:
        """The winner, which the search has saved, or an ensemble."""
        from nas.model_card import default_model_path

        kind = ensemble_of(self.ensemble)
        if kind is None:
            return _SavedNetwork(default_model_path(study.storage, study.name))
        from nas.refit import refit_ensemble

        workers = default_workers() if self.workers is None else self.workers
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            gpus = find_gpus(self.device)
            refit_ensemble(study.record, path, study.known(), kind, workers, gpus)
            return _SavedNetwork(path)

    def _rows(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """The rows as a table, which may have missing values and categories."""
        is_frame = hasattr(X, "columns") and hasattr(X, "shape")
        least = 2 if reset else 1
        if is_frame:
            validate_data(self, X, skip_check_array=True, reset=reset)
            check_array(np.zeros(X.shape, np.int8), ensure_min_samples=least)  # its shape
            frame = X if isinstance(X, pd.DataFrame) else X.to_pandas()
            return frame.reset_index(drop=True).set_axis(list(map(str, X.columns)), axis=1)
        array = validate_data(
            self, X, reset=reset, dtype=None, ensure_all_finite=False, ensure_min_samples=least
        )
        return pd.DataFrame(array, columns=[f"x{k}" for k in range(array.shape[1])])

    def _predicted(self, X: Any) -> Any:
        from nas.saved_model import predict_rows

        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        model, card = self._saved.load()
        try:
            return predict_rows(Path("model.keras"), model, card, rows)
        except NasError as error:
            raise ValueError(str(error)) from error


class NASClassifier(ClassifierMixin, _Searching):  # type: ignore[misc]
    """Searches for a network that classifies; `predict` answers with the winner.

    Args:
        space: What is searched, as for `nas.search`: the name of a space, a YAML file, a mapping
            from parameters to values, or a function that builds a Keras model.
        trials: Number of trials; None is 100, or as many as the `timeout` allows.
        timeout: Time after which the search stops, in seconds or as `"10m"`.
        folds: Number of folds, a splitter of scikit-learn, or pairs of arrays of row numbers.
        metric: What is searched by, as for `nas.search`.
        categorical: Columns of numbers to treat as categories.
        scaling: How numbers are scaled.
        sampler: The sampler that proposes trials.
        pruner: The pruner that ends hopeless trials.
        confirm: How many of the best trials are trained again on fresh folds.
        ensemble: `"folds"`, or a number of networks that answer together; None is one network.
        workers: Number of processes that train; None is the number of cores.
        device: `cpu`, `gpu` or `auto`.
        name: Name of the study; None makes one of the data.
        storage: Study database, as an SQLAlchemy URL; None keeps the study in a folder of its own
            that is deleted with the estimator.
        random_state: Seed of everything random.
        verbose: Whether to show the search.

    Attributes:
        classes_: The classes, sorted.
        n_features_in_: Number of columns.
        feature_names_in_: Their names, where X has any.
        best_params_: Parameters of the winner.
        best_score_: Its score over folds, on fresh ones where it was confirmed.
        study_: The `nas.Study`; it is not pickled.
        model_: The Keras model.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Searches, and trains the winner on all rows.

        Args:
            X: Array, or table of numbers and categories, shape (n_rows, n_columns).
            y: Class of each row, shape (n_rows,).
            sample_weight: How much each row counts in the loss, shape (n_rows,).
            groups: Rows with equal values stay in one fold, shape (n_rows,).

        Raises:
            ValueError: When nothing can be learned from the data.
        """
        rows = self._rows(X, reset=True)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes; y has one class")
        task: Task = "binary" if len(self.classes_) == 2 else "multiclass"
        # Whatever they are, they are told apart and shown as they are written.
        labels = pd.Categorical.from_codes(
            codes, categories=pd.Index(list(map(_label, self.classes_)))
        )
        folds, rarest = self.folds, int(np.bincount(codes).min())
        n_folds = USUAL_FOLDS if folds is None else folds
        if isinstance(n_folds, int) and rarest < n_folds and groups is None:
            # Not each fold can have it, as little as in scikit-learn's own searches.
            folds = KFold(n_folds, shuffle=True, random_state=0) if n_folds > 1 else folds
        self._search(rows, pd.Series(labels, name="y"), task, folds, sample_weight, groups)
        read = self.study_.known().dataset.classes
        for label, own in zip(map(_label, self.classes_), self.classes_, strict=True):
            if label not in map(str, read):
                raise ValueError(f"y has the class {own!r}, which is read as a missing value")
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each row, shape (n_rows,)."""
        check_is_fitted(self)
        classes: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, shape (n_rows, n_classes), in the order of `classes_`."""
        known = self._predicted(X).probabilities.rename(columns=str)
        return np.asarray(known[list(map(_label, self.classes_))], np.float64)


def _label(label: Any) -> str:
    """A class as a file shows it."""
    is_whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label)) if is_whole else str(label)


class NASRegressor(RegressorMixin, _Searching):  # type: ignore[misc]
    """Searches for a network that predicts values; `predict` answers with the winner.

    Its arguments and attributes are those of `NASClassifier`, but for `classes_`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Searches, and trains the winner on all rows; as `NASClassifier.fit`, but for `y`.

        Args:
            X: See there, as `sample_weight` and `groups`.
            y: Value of each row, shape (n_rows,), or several, (n_rows, n_targets).
        """
        rows = self._rows(X, reset=True)
        target: pd.Series[float] | pd.DataFrame
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        values = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if values.ndim == 2 and values.shape[1] > 1:
            target = pd.DataFrame(values, columns=[f"y{k}" for k in range(values.shape[1])])
        else:
            target = pd.Series(column_or_1d(values, warn=True), name="y")
        return self._search(rows, target, "regression", self.folds, sample_weight, groups)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The value of each row, shape (n_rows,), or of several targets (n_rows, n_targets)."""
        return np.asarray(self._predicted(X).answers, np.float64)
