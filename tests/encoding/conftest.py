"""Data sets of each kind: with gaps and categories, with categories alone, and of pixels."""

from pathlib import Path

import numpy as np
import pytest
from heads import N_ROWS, read_head

from nas.data import DataOptions, Dataset, load_dataset


@pytest.fixture(scope="session")
def adult(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    gaps = (
        ("age", [2, 40, 41, 310]),
        ("hours_per_week", [7, 320, 321]),
        ("fnlwgt", [350]),
        ("race", [3, 9, 302]),
    )
    return read_head(data_dir, tmp_path_factory.mktemp("adult"), "adult.csv", "income", gaps)


@pytest.fixture(scope="session")
def abalone(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read_head(data_dir, tmp_path_factory.mktemp("abalone"), "abalone.csv", "rings")


@pytest.fixture(scope="session")
def digits_images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    from sklearn.datasets import load_digits

    path = tmp_path_factory.mktemp("images") / "images.npz"
    digits = load_digits()
    np.savez(path, x=digits.images[:N_ROWS].astype(np.uint8), y=digits.target[:N_ROWS])
    return load_dataset(DataOptions(str(path)))


@pytest.fixture(params=["adult", "abalone", "digits_images"])
def any_dataset(request: pytest.FixtureRequest) -> Dataset:
    return request.getfixturevalue(request.param)
