"""The space and the pruner of a search that names none."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nas.data import Fold, Split
from nas.preparation import usual_pruner, usual_space


def test_without_data_the_space_names_its_own() -> None:
    assert usual_space(None) == "mlp_depth"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("digits", "tabular"),
        ("mnist", "images"),
        ("cifar10", "images"),
        ("table.csv", "tabular"),
        ("table.parquet", "tabular"),
        (pd.DataFrame({"a": [1.0, 2.0]}), "tabular"),
        (np.zeros((5, 3)), "tabular"),
        (np.zeros((5, 4, 4)), "images"),
        (np.zeros((5, 4, 4, 3)), "images"),
        ((np.zeros((5, 4, 4)), np.zeros(5)), "images"),
        ([[1.0, 2.0]], "tabular"),
    ],
)
def test_the_usual_space_follows_the_data(data: Any, expected: str) -> None:
    assert usual_space(data) == expected


def test_a_folder_is_images(tmp_path: Path) -> None:
    assert usual_space(tmp_path) == "images"
    assert usual_space(str(tmp_path)) == "images"


@pytest.mark.parametrize("names", [("x", "y"), ("x_train", "y_train", "x_test", "y_test")])
@pytest.mark.parametrize("axes", [2, 3, 4])
def test_an_archive_is_looked_into(tmp_path: Path, names: tuple[str, ...], axes: int) -> None:
    path = tmp_path / "data.npz"
    shape = (6, 5, 4, 3)[:axes]
    arrays = {name: np.zeros(shape if name.startswith("x") else 6) for name in names}
    for save in (np.savez, np.savez_compressed):
        save(path, **arrays)
        assert usual_space(path) == ("tabular" if axes == 2 else "images")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
def test_what_cannot_be_read_is_told_later(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    assert usual_space(path) == "tabular"


@pytest.mark.parametrize(
    ("folds", "val_rows", "expected"),
    [
        (5, 100, "halving"),
        (5, 400, "halving"),  # it takes three of five
        (5, 500, "racing"),
        (5, 5000, "racing"),
        (1, 5000, "halving"),
    ],
)
def test_folds_that_can_be_raced_over_are(folds: int, val_rows: int, expected: str) -> None:
    rows = np.arange(val_rows)
    split = Split(rows, rows[:0], tuple(Fold(rows, rows) for _ in range(folds)))
    assert usual_pruner(split) == expected
