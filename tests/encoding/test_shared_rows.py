"""Rows in files that several processes read."""

import pickle
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.encoding import FoldData, shared_rows
from nas.encoding.shared_rows import LEAST, as_tensor, encode_data, share_rows
from nas.errors import NasError
from nas.execution.messages import packed
from nas.execution.workers import WorkerPool


def fold_of(n_rows: int) -> FoldData:
    x = np.random.default_rng(0).normal(size=(n_rows, 50)).astype(np.float32)
    y = np.arange(n_rows) % 3
    n = n_rows - 7
    return FoldData("multiclass", x[:n], y[:n], x[n:], y[n:], 0.0, 1.0)


MANY = LEAST // (4 * 50) + 1


def sent(value: object) -> bytes:
    return bytes(packed(value))


def test_what_is_sent_of_many_rows_is_a_name(tmp_path: Path) -> None:
    fold = fold_of(MANY)
    shared = share_rows(fold, tmp_path)
    assert len(sent(fold)) > LEAST
    message = sent(shared)
    assert len(message) < LEAST / 10  # their targets are sent as they are
    received = pickle.loads(message)
    for name in (field.name for field in fields(FoldData)):
        np.testing.assert_array_equal(getattr(received, name), getattr(fold, name))
    part = pickle.loads(sent(shared.x_train[3:5]))
    np.testing.assert_array_equal(part, fold.x_train[3:5])


def test_folds_have_files_of_their_own(tmp_path: Path) -> None:
    first, second = fold_of(MANY), fold_of(MANY + 1)
    shared = [share_rows(fold, tmp_path) for fold in (first, second)]
    np.testing.assert_array_equal(shared[0].x_val, first.x_val)
    np.testing.assert_array_equal(shared[1].x_val, second.x_val)


def test_few_rows_need_no_file(tmp_path: Path) -> None:
    fold = fold_of(100)
    assert share_rows(fold, tmp_path) is fold
    many = fold_of(MANY)
    assert share_rows(many, None) is many
    assert not list(tmp_path.iterdir())


def test_a_tensor_of_a_file_is_no_copy(tmp_path: Path) -> None:
    shared = share_rows(fold_of(MANY), tmp_path)
    tensor = as_tensor(shared.x_train)
    np.testing.assert_array_equal(tensor, shared.x_train)
    shared.x_train[0, 0] = 123.0  # in memory; the file keeps what it has
    assert float(tensor[0, 0]) == 123.0
    assert float(np.load(tmp_path / "0_train.npy", mmap_mode="r")[0, 0]) != 123.0
    for rows in (np.ones((3, 2), np.float32), np.zeros((0, 2), np.float32), shared.x_train[2:4]):
        np.testing.assert_array_equal(as_tensor(rows), rows)


def _share(folder: Path) -> FoldData:
    return share_rows(fold_of(MANY), folder)


def _fail(folder: Path) -> None:
    _share(folder)
    raise NasError("here", "wrong")


def test_the_files_of_a_pool_end_with_it() -> None:
    pool = WorkerPool(1)
    folder = pool.rows_folder
    received = pool.call(_share, folder)
    np.testing.assert_array_equal(received.x_train, fold_of(MANY).x_train)
    with pytest.raises(NasError):
        pool.call(_fail, folder)
    assert len(list(folder.iterdir())) == 4
    pool.close()
    assert not folder.exists()
    pool = WorkerPool(1)
    folder = pool.rows_folder
    del pool  # as where an error ends the program
    assert not folder.exists()


def test_large_folds_are_encoded_into_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_dataset(DataOptions("iris"))
    split = split_dataset(dataset, SplitOptions(folds=2))
    monkeypatch.setattr(shared_rows, "LEAST", 100)
    shared, usual = encode_data(dataset, split, tmp_path), encode_data(dataset, split)
    assert len(list(tmp_path.iterdir())) == 4
    for one, other in zip(shared, usual, strict=True):
        assert isinstance(one.x_train, np.memmap) and not isinstance(other.x_train, np.memmap)
        np.testing.assert_array_equal(one.x_train, other.x_train)
        np.testing.assert_array_equal(one.x_val, other.x_val)
