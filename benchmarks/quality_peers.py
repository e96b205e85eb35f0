"""The entrants of `quality.py`: from a task, seconds and a seed to a prediction of its test rows.

The seconds are for the search; what trains the chosen network once more on all rows comes on top.
Each entrant imports what it needs itself, so that one that is not installed fails alone.
"""

import json
import math
import signal
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import count
from typing import Any

import numpy as np
from peers import usable_cpus
from quality_keras import with_keras_tuner, with_optuna_and_fit
from quality_nas import ABLATIONS, with_nas, with_nas_ensemble
from quality_sets import ENDLESS, FOLDS, Answer, Array, Task, folds_of, preprocessing

MAX_ROUNDS = 5  # of scikit-learn's halving, whose logarithm of 243 to base 3 is below 5
REALMLP_EPOCHS = 256  # its default
TIMED_ROWS = 2000  # of which RealMLP's epochs are timed


# scikit-learn's networks


def mlp(task: Task, seed: int) -> Any:
    """An MLP that scales what it is given."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    usual: dict[str, Any] = {"early_stopping": True, "max_iter": 100, "random_state": seed}
    model = MLPRegressor(**usual) if task.is_regression else MLPClassifier(**usual)
    if task.is_regression:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return make_pipeline(preprocessing(task), model)


def mlp_space(task: Task) -> dict[str, Any]:
    """What the searches of scikit-learn draw from, by the names of `mlp`."""
    from scipy.stats import loguniform

    prefix = "transformedtargetregressor__regressor" if task.is_regression else "mlpclassifier"
    space = {
        "hidden_layer_sizes": [
            (w,) * depth for depth in range(1, 5) for w in (16, 32, 64, 128, 256)
        ],
        "activation": ["relu", "tanh", "logistic"],
        "learning_rate_init": loguniform(1e-4, 1e-1),
        "alpha": loguniform(1e-7, 1e-1),
        "batch_size": [32, 64, 128, 256],
    }
    return {f"{prefix}__{name}": values for name, values in space.items()}


def scoring(task: Task) -> str:
    return "neg_root_mean_squared_error" if task.is_regression else "accuracy"


def with_random_mlps(task: Task, seconds: float, seed: int) -> Answer:
    """scikit-learn's MLP, random settings, all folds, a process for each core."""
    from sklearn.base import clone
    from sklearn.model_selection import ParameterSampler, cross_val_score

    until, model = time.monotonic() + seconds, mlp(task, seed)
    usual = {"cv": folds_of(task), "scoring": scoring(task), "n_jobs": len(usable_cpus())}
    best: dict[str, Any] = {}
    best_value, trials = -math.inf, 0
    for settings in ParameterSampler(mlp_space(task), ENDLESS, random_state=seed):
        drawn = clone(model).set_params(**settings)
        left = until - time.monotonic() if best else None
        values = within(left, partial(cross_val_score, drawn, task.x, task.y, **usual))
        if values is None:
            break
        trials += 1
        if values.mean() > best_value:
            best, best_value = settings, values.mean()
    fitted = clone(model).set_params(**best).fit(task.x, task.y)
    return Answer(fitted.predict(task.x_test), trials, json.dumps(best, default=str))


def with_halving_mlps(task: Task, seconds: float, seed: int) -> Answer:
    """scikit-learn's MLP and `HalvingRandomSearchCV`, which knows no limit of time.

    One search follows another, with thrice the settings; the last one is interrupted and lost.
    """
    from sklearn.base import clone
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    until, model = time.monotonic() + seconds, mlp(task, seed)
    # So few rows can be divided into folds and validation parts with all classes.
    least = 50 if task.is_regression else 4 * FOLDS * len(np.unique(task.y))
    possible = max(k for k in range(MAX_ROUNDS) if k == 0 or len(task.y) // 3**k >= least)
    best: Any = None
    trials = 0
    for power in count(1):
        halving = HalvingRandomSearchCV(
            model,
            mlp_space(task),
            n_candidates=3**power,
            factor=3,
            min_resources=len(task.y) // 3 ** min(power, possible),  # all rows in the last round
            cv=folds_of(task),
            scoring=scoring(task),
            n_jobs=len(usable_cpus()),
            random_state=1000 * seed + power,
            refit=False,
        )
        left = None if best is None else until - time.monotonic()
        if within(left, partial(halving.fit, task.x, task.y)) is None:
            break
        trials += halving.n_candidates_[0]
        if best is None or not halving.best_score_ <= best.best_score_:
            best = halving
    fitted = clone(model).set_params(**best.best_params_).fit(task.x, task.y)
    return Answer(fitted.predict(task.x_test), trials, json.dumps(best.best_params_, default=str))


class TimeUp(BaseException):
    """No Exception, so that scikit-learn does not take it for a network that failed."""


def within(seconds: float | None, work: Callable[[], Any]) -> Any:
    """What some work returns; None when it was interrupted.

    Args:
        seconds: Its limit; None for no limit.
        work: Is done in the main thread, which a timer interrupts; joblib ends its processes then.
    """

    def ring(*_given: Any) -> None:
        raise TimeUp

    if seconds is not None and seconds <= 0:
        return None
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds or 0.0)
        return work()
    except TimeUp:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


# One network with settings that are good in general


def with_realmlp(task: Task, seconds: float, seed: int) -> Answer:
    """pytabkit's RealMLP with its tuned defaults, and as many of their epochs as there is time for.

    With its own limit of time it stops amid the schedule of its learning rate, at a bad network.
    """
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Regressor if task.is_regression else RealMLP_TD_Classifier

    def train(n_epochs: int, rows: Array) -> tuple[Any, float]:
        started = time.monotonic()
        threads = len(usable_cpus())
        model = kind(device="cpu", random_state=seed, n_threads=threads, n_epochs=n_epochs)
        model.fit(task.x.iloc[rows], task.y[rows])
        return model, time.monotonic() - started

    rows = np.random.default_rng(seed).permutation(len(task.y))
    some = rows[:TIMED_ROWS]
    train(1, some)  # imports more
    until = time.monotonic() + seconds
    fixed, more = train(1, some)[1], train(3, some)[1]
    epoch = max((more - fixed) / 2 * len(rows) / len(some), 1e-3)
    n_epochs = min(max(int((until - time.monotonic() - fixed) / epoch), 1), REALMLP_EPOCHS)
    model, _ = train(n_epochs, np.sort(rows))
    return Answer(model.predict(task.x_test), 1, json.dumps({"epochs": n_epochs}))


# Other models


def with_model(name: str) -> Callable[[Task, float, int], Answer]:
    """One of scikit-learn's models with its defaults."""

    def fit(task: Task, seconds: float, seed: int) -> Answer:
        from sklearn import ensemble, linear_model, svm
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        r = task.is_regression
        models: dict[str, Any] = {
            "gradient boosting": ensemble.HistGradientBoostingRegressor(random_state=seed)
            if r
            else ensemble.HistGradientBoostingClassifier(random_state=seed),
            "forest": ensemble.RandomForestRegressor(random_state=seed, n_jobs=2)
            if r
            else ensemble.RandomForestClassifier(random_state=seed, n_jobs=2),
            "svm": TransformedTargetRegressor(svm.SVR(), transformer=StandardScaler())
            if r
            else svm.SVC(),
            "linear": linear_model.RidgeCV()
            if r
            else linear_model.LogisticRegression(max_iter=1000),
        }
        fitted = make_pipeline(preprocessing(task), models[name]).fit(task.x, task.y)
        return Answer(fitted.predict(task.x_test))

    return fit


Entrant = Callable[..., Answer]
SEARCHES: dict[str, Entrant] = {
    "nas": partial(with_nas, looks_back=True),
    "nas, ensemble": with_nas_ensemble,
    "scikit-learn MLP, random": with_random_mlps,
    "scikit-learn MLP, halving": with_halving_mlps,
    "Optuna TPE, Keras fit": with_optuna_and_fit,
    "KerasTuner Hyperband": with_keras_tuner("Hyperband"),
    "KerasTuner BayesianOptimization": with_keras_tuner("BayesianOptimization"),
    "RealMLP": with_realmlp,
}
MODELS: dict[str, Entrant] = {
    name: with_model(name) for name in ("gradient boosting", "forest", "svm", "linear")
}
ENTRANTS = {**SEARCHES, **MODELS, **ABLATIONS}
NEEDS = {
    "KerasTuner Hyperband": "keras_tuner",
    "KerasTuner BayesianOptimization": "keras_tuner",
    "RealMLP": "pytabkit",
}


def not_installed() -> dict[str, str]:
    """The packages that are missing, by the entrants that need them."""
    return {entrant: name for entrant, name in NEEDS.items() if find_spec(name) is None}
