"""The space, the pruner and the folds of a search that names none."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nas.data import Fold, Split, SplitOptions
from nas.preparation import as_space, prepare, read_options, usual_pruner, usual_space


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
    ("n_rows", "timeout", "folds", "expected"),
    [
        (1000, 60.0, None, 5),
        (500_000, None, None, 5),  # as long as one likes
        (500_000, 10.0, None, 1),
        (500_000, 3600.0, None, 5),
        (500_000, 10.0, 4, 4),  # what is asked for is done
    ],
)
def test_folds_follow_the_time(
    n_rows: int, timeout: float | None, folds: int | None, expected: int
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n_rows, 4)), rng.normal(size=n_rows)
    space = as_space({"depth": [1, 2], "width": [64, 128], "epochs": 20, "batch_size": 256})
    prepared = prepare(
        space, x, y, read_options(space, x, y), folds, SplitOptions(), timeout=timeout
    )
    assert len(prepared.split.folds) == expected
    assert prepared.few_folds == (expected < 4)


@pytest.mark.parametrize(
    ("epochs", "folds", "val_rows", "expected"),
    [
        (20, 5, 100, "halving"),
        (20, 5, 400, "halving"),  # it takes three of five
        (20, 5, 500, "racing"),
        (20, 1, 5000, "halving"),
        ([20, 60], 5, 100, "racing"),
        ([20, 60], 1, 5000, "racing"),
        (None, 5, 100, "halving"),
    ],
)
def test_trials_are_raced_where_halving_would_be_unfair(
    epochs: Any, folds: int, val_rows: int, expected: str
) -> None:
    rows = np.arange(val_rows)
    split = Split(rows, rows[:0], tuple(Fold(rows, rows) for _ in range(folds)))
    words = {"depth": [1, 2]} if epochs is None else {"depth": [1, 2], "epochs": epochs}
    assert usual_pruner(as_space(words), split) == expected
