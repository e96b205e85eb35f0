"""The sets of `quality.py`, and what its entrants have in common."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[Any]

TEST_SHARE = 0.2  # of sets that have no test part of their own
FOLDS = 5  # of the entrants that search with folds
ENDLESS = 1_000_000  # more trials than there is time for
SEEDS = 3  # at most; each divides such a set in its own way

CSV = {"adult": "income", "abalone": "rings"}
UCI = ("concrete", "energy", "power_plant", "boston", "wine_red")
SETS = (
    *("digits", "breast_cancer", "wine", "iris", "diabetes"),
    *CSV,
    *("california_published_split", "cpu_act", "mnist1d", "mnist"),
    *UCI,
)


def is_error(name: str) -> bool:
    """Whether less of a set's score is better: its targets are numbers."""
    return name in ("diabetes", "abalone", "california_published_split", "cpu_act", *UCI)


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

    def losses(self, prediction: Array) -> Array:
        """The squared error of each test row, or 1 where its class is wrong."""
        if self.is_regression:
            return np.asarray((np.asarray(prediction, np.float64) - self.y_test) ** 2)
        return np.asarray(np.asarray(prediction) != self.y_test, np.float64)

    def score(self, prediction: Array) -> float:
        """Accuracy, or root mean squared error."""
        loss = float(self.losses(prediction).mean())
        return loss**0.5 if self.is_regression else 1.0 - loss


@dataclass(frozen=True)
class Whole:
    """One set before it is divided.

    Attributes:
        is_regression: Else its targets are classes.
        x: All rows.
        y: Their targets.
        tests: Numbers of the rows of its own test parts; none if it has no such part.
    """

    is_regression: bool
    x: pd.DataFrame
    y: Array
    tests: Sequence[Array] = ()

    def divided(self, seed: int) -> tuple[Array, Array]:
        """Numbers of the rows to learn from, and of those to predict."""
        from sklearn.model_selection import train_test_split

        rows = np.arange(len(self.y))
        if len(self.tests):
            test = self.tests[seed % len(self.tests)]
            return np.setdiff1d(rows, test), test
        stratify = None if self.is_regression else self.y
        train, test = train_test_split(
            rows, test_size=TEST_SHARE, random_state=seed, stratify=stratify
        )
        return train, test

    def rows(self, numbers: Array) -> tuple[pd.DataFrame, Array]:
        """Some rows and their targets."""
        return self.x.iloc[numbers].reset_index(drop=True), self.y[numbers]


def read_set(name: str, seed: int) -> Task:
    """A set; one without a test part of its own is divided by the seed."""
    whole = read_whole(name)
    train, test = whole.divided(seed)
    return Task(whole.is_regression, *whole.rows(train), *whole.rows(test))


def never_tested(name: str, data: Path | None = None) -> tuple[pd.DataFrame, Array]:
    """Rows of a set that no seed predicts, and their targets: to choose settings on."""
    whole = read_whole(name, data)
    left = np.arange(len(whole.y))
    for seed in range(SEEDS):
        left = np.setdiff1d(left, whole.divided(seed)[1])
    return whole.rows(left)


def read_whole(name: str, data: Path | None = None) -> Whole:
    """A set from scikit-learn or from the folder of files."""
    from sklearn import datasets

    folder = data or Path(os.environ.get("NAS_DATA_DIR", "../shared/data"))
    tests: Sequence[Array] = ()
    if name in CSV:
        x = pd.read_csv(folder / f"{name}.csv", skipinitialspace=True, na_values=[""])
        y = x.pop(CSV[name]).to_numpy()
    elif name in UCI:
        with np.load(folder / "uci" / f"{name}.npz") as file:
            x, y, tests = _frame(file["x"]), file["y"], file["test_rows"]
    elif (folder / f"{name}.npz").exists():
        with np.load(folder / f"{name}.npz") as file:
            x = _frame(np.concatenate([file["x_train"], file["x_test"]]))
            y = np.concatenate([file["y_train"], file["y_test"]])
            tests = [np.arange(len(file["y_train"]), len(y))]
    else:
        bunch = getattr(datasets, f"load_{name}")()
        x, y = _frame(bunch.data), bunch.target
    is_regression = is_error(name)
    return Whole(is_regression, x, y.astype(float) if is_regression else y, tests)


def _frame(rows: Array) -> pd.DataFrame:
    rows = rows.reshape(len(rows), -1)
    return pd.DataFrame(rows, columns=[f"x{k}" for k in range(rows.shape[1])])


# For entrants


@dataclass(frozen=True)
class Incumbent:
    """The best network of a search for a while.

    Attributes:
        trial: Its number.
        seconds: From the start of the search until it was there.
        fold_epochs: That all trials had taken which had ended by then.
        value: Its score over folds.
        score: Of the test rows, trained on all others after the search; None where it was not.
    """

    trial: int
    seconds: float
    fold_epochs: int
    value: float
    score: float | None = None


@dataclass(frozen=True)
class BesideFirst:
    """The winner beside the setting that was trained first, on the same test rows.

    Attributes:
        worse: Mean of the differences of the rows' losses; positive where the winner is worse.
        error: Its standard error.
    """

    worse: float
    error: float


@dataclass(frozen=True)
class Answer:
    """What an entrant has to say.

    Attributes:
        prediction: For the test rows.
        trials: How many settings it has tried to the end.
        chosen: The best one, in words.
        fold_epochs: Epochs that it has trained, each fold counted by itself; 0 is not known.
        incumbents: What was best before, the first one first.
        beside_first: None where that is not known.
        looked_back: Seconds that the last two took, which belong to no search.
    """

    prediction: Array
    trials: int = 1
    chosen: str = ""
    fold_epochs: int = 0
    incumbents: tuple[Incumbent, ...] = ()
    beside_first: BesideFirst | None = None
    looked_back: float = 0.0


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


def folds_of(task: Task) -> Any:
    """How the searches with folds divide the rows."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if task.is_regression else StratifiedKFold
    return kind(FOLDS, shuffle=True, random_state=0)
