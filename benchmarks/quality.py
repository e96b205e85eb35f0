"""What each way to find a network reaches in the same time: nas, its peers, and other models.

    python benchmarks/quality.py --size hour --out quality.json

Every entrant gets the same training rows, the same seconds and the same cores, in a process of its
own, and predicts the same test rows, which nothing else has seen. One function scores all of them.
What is in the file already is not run again, so that a run can be stopped and goes on.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import describe_machine
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from nas.space import SearchSpace, load_space

Array = NDArray[Any]

TEST_SHARE = 0.2  # of sets that have no test part of their own
FOLDS = 5
GRACE = 900.0  # seconds beyond its time after which an entrant is stopped


@dataclass(frozen=True)
class Task:
    """One set, divided.

    Attributes:
        is_regression: Else its targets are classes.
        x: Rows to learn from.
        y: Their targets.
        x_test: Rows to predict.
        y_test: Their targets.
    """

    is_regression: bool
    x: pd.DataFrame
    y: Array
    x_test: pd.DataFrame
    y_test: Array

    def score(self, prediction: Array) -> float:
        """Accuracy, or root mean squared error."""
        if self.is_regression:
            error = np.asarray(prediction, np.float64) - self.y_test
            return float(np.sqrt(np.mean(error**2)))
        return float(np.mean(np.asarray(prediction) == self.y_test))


# Sets


def read_set(name: str, seed: int) -> Task:
    """A set; one of scikit-learn's and of files without a test part is divided by the seed."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    folder = Path(os.environ.get("NAS_DATA_DIR", "../shared/data"))
    if (folder / f"{name}.npz").exists() and name not in UCI:
        with np.load(folder / f"{name}.npz") as file:
            parts = [file[key] for key in ("x_train", "y_train", "x_test", "y_test")]
        x, y, x_test, y_test = parts
        frames = [_frame(rows.reshape(len(rows), -1)) for rows in (x, x_test)]
        is_regression = is_error(name)
        if is_regression:
            y, y_test = y.astype(float), y_test.astype(float)
        return Task(is_regression, frames[0], y, frames[1], y_test)
    if name in UCI:
        with np.load(folder / "uci" / f"{name}.npz") as file:
            x, y, tests = file["x"], file["y"], file["test_rows"]
        test = np.zeros(len(y), bool)
        test[tests[seed % len(tests)]] = True
        return Task(True, _frame(x[~test]), y[~test], _frame(x[test]), y[test])
    if name in CSV:
        frame = pd.read_csv(folder / f"{name}.csv", skipinitialspace=True, na_values=[""])
        frame, target = frame.drop(columns=CSV[name]), frame[CSV[name]].to_numpy()
        is_regression = target.dtype.kind in "fi"
        target = target.astype(float) if is_regression else target
    else:
        bunch = getattr(datasets, f"load_{name}")()
        frame, target, is_regression = _frame(bunch.data), bunch.target, name == "diabetes"
    stratify = None if is_regression else target
    parts = train_test_split(
        frame, target, test_size=TEST_SHARE, random_state=seed, stratify=stratify
    )
    x, x_test, y, y_test = parts
    return Task(is_regression, x.reset_index(drop=True), y, x_test.reset_index(drop=True), y_test)


def _frame(rows: Array) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[f"x{k}" for k in range(rows.shape[1])])


CSV = {"adult": "income", "abalone": "rings"}
UCI = ("concrete", "energy", "power_plant", "boston", "wine_red")
SETS = (
    *("digits", "breast_cancer", "wine", "iris", "diabetes"),
    *CSV,
    *("california_published_split", "cpu_act", "mnist1d", "mnist"),
    *UCI,
)


# Entrants: from a task, seconds and a seed to a prediction of its test rows


@dataclass(frozen=True)
class Answer:
    """What an entrant has to say.

    Attributes:
        prediction: For the test rows.
        trials: How many settings it has tried to the end.
        chosen: The best one, in words.
    """

    prediction: Array
    trials: int = 1
    chosen: str = ""


def with_nas(
    task: Task, seconds: float, seed: int, without: Sequence[str] = (), **options: Any
) -> Answer:
    """`nas.search` with racing, and its defaults else.

    Args:
        task: The set.
        seconds: Time for the search.
        seed: Of the search.
        without: What its space is to lack: `first`, or words of it.
        options: Other options of `nas.search`.
    """
    import nas

    space: Any = None
    if without:
        usual = load_space("tabular")
        words = {key: entry for key, entry in usual.parameters.items() if key not in without}
        first = () if "first" in without else usual.first
        kept = [{k: v for k, v in one.items() if k in words} for one in first]
        space = SearchSpace(words, "tabular", first=kept)

    with tempfile.TemporaryDirectory() as folder:
        study = nas.search(
            space, task.x, task.y, trials=100_000, timeout=seconds, test_size=0.0, seed=seed,
            metric="rmse" if task.is_regression else "accuracy",
            task="regression" if task.is_regression else None,
            storage=f"sqlite:///{folder}/nas.db", quiet=True, **{"pruner": "racing", **options},
        )  # fmt: skip
        best = study.best
        described = json.dumps({"value": best.value, **best.params}, default=str)
        return Answer(study.predict(task.x_test), len(study.trials), described)


def with_random_mlps(task: Task, seconds: float, seed: int) -> Answer:
    """scikit-learn's MLP, random settings, all folds, two processes."""
    from scipy.stats import loguniform, randint
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import ParameterSampler, cross_val_score
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    until = time.monotonic() + seconds
    space = {
        "depth": randint(1, 5),
        "width": [16, 32, 64, 128, 256],
        "activation": ["relu", "tanh", "logistic"],
        "learning_rate_init": loguniform(1e-4, 1e-1),
        "alpha": loguniform(1e-7, 1e-1),
        "batch_size": [32, 64, 128, 256],
    }

    def model(settings: Mapping[str, Any]) -> Any:
        known = dict(settings)
        layers = (known.pop("width"),) * known.pop("depth")
        kind = MLPRegressor if task.is_regression else MLPClassifier
        mlp = kind(
            hidden_layer_sizes=layers, early_stopping=True, max_iter=100, random_state=seed, **known
        )
        if task.is_regression:
            mlp = TransformedTargetRegressor(mlp, transformer=StandardScaler())
        return make_pipeline(preprocessing(task), mlp)

    scoring = "neg_root_mean_squared_error" if task.is_regression else "accuracy"
    best, best_value, trials = None, -math.inf, 0
    for settings in ParameterSampler(space, 1_000_000, random_state=seed):
        value = cross_val_score(
            model(settings), task.x, task.y, cv=FOLDS, scoring=scoring, n_jobs=2
        ).mean()
        if time.monotonic() > until and best is not None:
            break
        trials += 1
        if value > best_value:
            best, best_value = settings, value
        if time.monotonic() > until:
            break
    assert best is not None
    fitted = model(best).fit(task.x, task.y)
    return Answer(fitted.predict(task.x_test), trials, json.dumps(best, default=str))


def with_optuna_and_fit(task: Task, seconds: float, seed: int) -> Answer:
    """Optuna's TPE over Keras networks that `fit` trains, on all folds, pruned by fold."""
    import keras
    import optuna
    from sklearn.model_selection import KFold, StratifiedKFold

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    until = time.monotonic() + seconds
    encoder = preprocessing(task).fit(task.x)
    x, x_test = (np.asarray(encoder.transform(f), np.float32) for f in (task.x, task.x_test))
    labels, classes = (task.y, None) if task.is_regression else np.unique(task.y, True)[::-1]
    mean, scale = (task.y.mean(), task.y.std()) if task.is_regression else (0.0, 1.0)
    y = (labels - mean) / scale if task.is_regression else labels
    n_outputs = 1 if classes is None else len(classes)

    def train(params: Mapping[str, Any], rows: Array) -> Any:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((x.shape[1],))])
        for _ in range(params["depth"]):
            model.add(keras.layers.Dense(params["width"], params["activation"]))
            model.add(keras.layers.Dropout(params["dropout"]))
        model.add(keras.layers.Dense(n_outputs))
        loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rate = params["learning_rate"]
        model.compile(keras.optimizers.Adam(rate), "mse" if classes is None else loss)
        model.fit(x[rows], y[rows], batch_size=params["batch_size"], epochs=20, verbose=0)
        return model

    def predict(model: Any, rows: Array) -> Array:
        outputs = model.predict(rows, batch_size=4096, verbose=0)
        if classes is None:
            return np.asarray(outputs[:, 0] * scale + mean)
        return np.asarray(classes[outputs.argmax(1)])

    splitter = (KFold if classes is None else StratifiedKFold)(FOLDS, shuffle=True, random_state=0)
    folds = list(splitter.split(x, y))

    def objective(trial: Any) -> float:
        params = {
            "depth": trial.suggest_int("depth", 1, 4),
            "width": trial.suggest_int("width", 16, 256, log=True),
            "activation": trial.suggest_categorical("activation", ["relu", "tanh", "gelu"]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
        }
        values: list[float] = []
        for number, (train_rows, val_rows) in enumerate(folds):
            found = predict(train(params, train_rows), x[val_rows])
            truth = task.y[val_rows]
            is_class = classes is not None
            values.append(
                float(np.mean(found == truth))
                if is_class
                else -float(np.sqrt(np.mean((found - truth) ** 2)))
            )
            trial.report(float(np.mean(values)), number)
            if trial.should_prune():
                raise optuna.TrialPruned
            if time.monotonic() > until and trial.number:
                raise optuna.TrialPruned
        return float(np.mean(values))

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(1, FOLDS),
    )
    study.optimize(objective, timeout=seconds)
    complete = [t for t in study.trials if t.state.name == "COMPLETE"]
    model = train(study.best_params, np.arange(len(x)))
    return Answer(predict(model, x_test), len(complete), json.dumps(study.best_params))


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


def preprocessing(task: Task) -> Any:
    """Numbers standardized, categories one-hot."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_exclude="number")),
    )


Entrant = Callable[..., Answer]
SEARCHES: dict[str, Entrant] = {
    "nas": with_nas,
    "scikit-learn MLP, random": with_random_mlps,
    "Optuna TPE, Keras fit": with_optuna_and_fit,
}
MODELS: dict[str, Entrant] = {
    name: with_model(name) for name in ("gradient boosting", "forest", "svm", "linear")
}
# nas without one of its parts.
ABLATIONS: dict[str, Entrant] = {
    "nas, no first settings": lambda *given: with_nas(*given, without=["first"]),
    "nas, no embeddings": lambda *given: with_nas(
        *given, without=["embedding", "embedding_size", "frequencies", "frequency_scale"]
    ),
    "nas, halving": lambda *given: with_nas(*given, pruner="halving"),
    "nas, random": lambda *given: with_nas(*given, sampler="random"),
}
ENTRANTS = {**SEARCHES, **MODELS, **ABLATIONS}


# Running


@dataclass(frozen=True)
class Run:
    """One entrant on one set.

    Attributes:
        score: Of the test rows; None where it failed.
        wall: Seconds that it took in all, with starting Python and the last fit.
        failure: Its last line of error.
    """

    entrant: str
    set: str
    seconds: float
    seed: int
    score: float | None
    wall: float
    trials: int = 0
    chosen: str = ""
    failure: str = ""

    @property
    def key(self) -> tuple[str, str, float, int]:
        return self.entrant, self.set, self.seconds, self.seed


def run_alone(entrant: str, name: str, seconds: float, seed: int) -> Run:
    """Runs an entrant in a process of its own."""
    command = [sys.executable, __file__, "--one", entrant, name, str(seconds), str(seed)]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + GRACE, check=True
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        wall = time.monotonic() - started
        return Run(entrant, name, seconds, seed, wall=wall, **answer)
    except subprocess.TimeoutExpired:
        failure = "took far longer than its time"
    except subprocess.CalledProcessError as error:
        failure = (error.stderr.strip().splitlines() or ["failed"])[-1][:200]
    return Run(entrant, name, seconds, seed, None, time.monotonic() - started, failure=failure)


def answer_one(entrant: str, name: str, seconds: float, seed: int) -> None:
    """What `run_alone` starts: prints the score as the last line."""
    warnings.simplefilter("ignore")
    task = read_set(name, seed)
    answer = ENTRANTS[entrant](task, seconds, seed)
    score = task.score(answer.prediction)
    print(json.dumps({"score": score, "trials": answer.trials, "chosen": answer.chosen}))


def read_runs(path: Path) -> list[Run]:
    if not path.exists():
        return []
    return [Run(**run) for run in json.loads(path.read_text(encoding="utf-8"))["runs"]]


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    content = {"machine": describe_machine(), "runs": [asdict(run) for run in runs]}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


# Showing


def is_error(name: str) -> bool:
    """Whether less of a set's score is better."""
    return name in ("diabetes", "abalone", "california_published_split", "cpu_act", *UCI)


def mean_scores(runs: Sequence[Run], seconds: float) -> dict[str, dict[str, tuple[float, float]]]:
    """By set and entrant: mean and standard error over the seeds that all entrants have."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        if run.seconds == seconds and run.score is not None:
            found.setdefault(run.set, {}).setdefault(run.entrant, []).append(run.score)
    return {
        name: {
            entrant: (float(np.mean(v)), float(np.std(v, ddof=1) / len(v) ** 0.5))
            if len(v) > 1
            else (v[0], math.nan)
            for entrant, v in by_entrant.items()
        }
        for name, by_entrant in found.items()
    }


def mean_ranks(
    scores: Mapping[str, Mapping[str, tuple[float, float]]], entrants: Sequence[str]
) -> dict[str, float]:
    """Mean rank over the sets that all of them have finished; ties share their ranks."""
    from scipy.stats import rankdata

    ranks = []
    for name, by_entrant in scores.items():
        if all(entrant in by_entrant for entrant in entrants):
            values = np.array([by_entrant[entrant][0] for entrant in entrants])
            ranks.append(rankdata(values if is_error(name) else -values))
    means = np.mean(ranks, axis=0) if ranks else [math.nan] * len(entrants)
    return dict(zip(entrants, map(float, means), strict=True))


def show(runs: Sequence[Run], seconds: float, console: Console) -> None:
    """The table of one time: accuracy, or RMSE where less is better; best of a row in bold."""
    scores = mean_scores(runs, seconds)
    entrants = [e for e in ENTRANTS if any(e in by_entrant for by_entrant in scores.values())]
    table = Table(title=f"{seconds:g} seconds each, test rows that nothing has seen")
    table.add_column("set")
    for entrant in entrants:
        table.add_column(entrant, justify="right")
    for name, by_entrant in scores.items():
        values = {e: by_entrant[e][0] for e in entrants if e in by_entrant}
        best = (min if is_error(name) else max)(values.values())
        cells = []
        for entrant in entrants:
            if entrant not in by_entrant:
                cells.append("–")
                continue
            mean, error = by_entrant[entrant]
            text = f"{mean:.4f}" + (f" ± {error:.4f}" if math.isfinite(error) else "")
            cells.append(f"[bold]{text}[/bold]" if mean == best else text)
        table.add_row(f"{name}{' ↓' if is_error(name) else ''}", *cells)
    console.print(table)
    for title, group in (("network searches", SEARCHES), ("all", {**SEARCHES, **MODELS})):
        present = [entrant for entrant in group if entrant in entrants]
        ranks = sorted(mean_ranks(scores, present).items(), key=lambda item: item[1])
        told = ", ".join(f"{entrant} {rank:.2f}" for entrant, rank in ranks)
        console.print(f"Mean rank among {title}: {told}")
    for run in runs:
        if run.failure and run.seconds == seconds:
            console.print(f"{run.entrant} on {run.set}: {run.failure}")


# Sizes: sets, seconds, seeds and entrants
QUICK = ("digits", "abalone")
NAMED = ("digits", "adult", "abalone", "california_published_split", "cpu_act", "diabetes")
SIZES: dict[str, list[tuple[Sequence[str], float, int, Sequence[str]]]] = {
    "quick": [(QUICK, 30, 1, ("nas", "scikit-learn MLP, random", *MODELS))],
    "hour": [(NAMED, 60, 1, (*SEARCHES, *MODELS)), (NAMED[:4], 300, 1, ("nas",))],
    "full": [
        (SETS, 60, 3, (*SEARCHES, *MODELS)),
        (NAMED, 300, 3, (*SEARCHES, *MODELS)),
        (NAMED, 60, 3, tuple(ABLATIONS)),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--sets", help="some sets of the size, with commas between them")
    parser.add_argument(
        "--entrants", help="some entrants of the size, with semicolons between them"
    )
    parser.add_argument("--seconds", type=float, help="another time for all of them")
    parser.add_argument("--out", type=Path, default=Path("quality.json"))
    parser.add_argument("--show", action="store_true", help="show what is in the file, no more")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        entrant, name, seconds, seed = options.one
        answer_one(entrant, name, float(seconds), int(seed))
        return
    console, runs = Console(), read_runs(options.out)
    done = {run.key for run in runs}
    times = []
    for sets, usual, seeds, entrants in SIZES[options.size]:
        seconds = options.seconds or usual
        times.append(seconds)
        for name, entrant, seed in product(sets, entrants, range(seeds)):
            wanted = (not options.sets or name in options.sets.split(",")) and (
                not options.entrants or entrant in options.entrants.split(";")
            )
            if options.show or not wanted or (entrant, name, seconds, seed) in done:
                continue
            with console.status(f"{entrant} on {name}, {seconds:g} s, seed {seed}"):
                run = run_alone(entrant, name, seconds, seed)
            console.print(f"{entrant} on {name}: {run.score} in {run.wall:.0f} s {run.failure}")
            runs.append(run)
            write_runs(options.out, runs)
    for seconds in dict.fromkeys(times):
        show(runs, seconds, console)
    missing = [p for p in ("keras_tuner", "pytabkit") if find_spec(p) is None]
    if missing:
        console.print(f"Not installed, and so not in the table: {', '.join(missing)}")


if __name__ == "__main__":
    main()
