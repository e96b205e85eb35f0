"""Folds are encoded without TensorFlow."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heads import TRAIN, VAL

from nas.data import Dataset, Fold, Schema
from nas.encoding import encode_folds

ENCODE = """
import sys
from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.encoding import encode_folds
dataset = load_dataset(DataOptions(sys.argv[1], "income"))
folds = encode_folds(dataset, split_dataset(dataset, SplitOptions(folds=3)).folds)
print(len(folds), *folds[0].x_val.shape, *({"tensorflow", "keras"} & set(sys.modules)))
"""


@pytest.mark.long
def test_folds_are_encoded_without_tensorflow(data_dir: Path) -> None:
    command = [sys.executable, "-c", ENCODE, str(data_dir / "adult.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n_folds, n_rows, n_columns, *modules = done.stdout.split()
    assert (n_folds, modules) == ("3", [])
    assert int(n_rows) > 8_000 and int(n_columns) > 100


def test_folds_hold_the_numbers_in_other_scalings(adult: Dataset) -> None:
    folds = [Fold(TRAIN, VAL), Fold(VAL, TRAIN)]
    encoded = encode_folds(adult, folds, scalings=("data", "standard", "quantile"))
    expected = encode_folds(replace(adult, scaling="quantile"), folds)
    for fold, other in zip(encoded, expected, strict=True):
        assert list(fold.otherwise) == ["quantile"]
        assert fold.scaled("data") is fold.scaled("standard") is fold
        scaled = fold.scaled("quantile")
        np.testing.assert_array_equal(scaled.x_val, other.x_val)
        # Folds with fewer categories are filled up alike.
        np.testing.assert_array_equal(scaled.x_train, other.x_train)
        assert not np.array_equal(scaled.x_train, fold.x_train)
    with pytest.raises(KeyError):
        encoded[0].scaled("robust")


def test_balanced_classes_weigh_the_same() -> None:
    y = np.array([0] * 30 + [1] * 9 + [2] * 1)
    dataset = Dataset(
        "d", np.zeros((40, 1)), y, Schema((), (1,)), "multiclass", (0, 1, 2),
        class_weight="balanced",
    )  # fmt: skip
    rows = np.arange(40)
    (fold,) = encode_folds(dataset, [Fold(rows, rows)])
    assert fold.weights is not None
    totals = np.bincount(y, fold.weights)
    np.testing.assert_allclose(totals, totals[0], rtol=1e-6)
    assert fold.weights.mean() == pytest.approx(1.0)
    # Beside weights of the rows.
    own = np.where(rows == 0, 5.0, 1.0)
    (fold,) = encode_folds(replace(dataset, weights=own), [Fold(rows, rows)])
    assert fold.weights is not None
    assert fold.weights[0] / fold.weights[1] == pytest.approx(5.0)
    np.testing.assert_allclose(np.bincount(y, fold.weights), fold.weights.sum() / 3, rtol=1e-6)
