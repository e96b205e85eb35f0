"""Rows in files that all processes of a search read, instead of a copy in each of them.

The system keeps such a file in memory once, whoever reads it, and takes it out again where memory
is short. What is sent to another process is its name.
"""

import mmap
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data import Dataset, Split
from nas.encoding import FoldData, encode_folds

Rows = NDArray[np.float32]

LEAST = 10_000_000  # bytes of a fold's rows; fewer are not worth a file


def share_rows(fold: FoldData, folder: Path | None) -> FoldData:
    """The fold with its rows in files of a folder; as it is where they are few, or without one."""
    if folder is None or fold.x_train.nbytes + fold.x_val.nbytes < LEAST:
        return fold
    number = len(list(folder.iterdir()))

    def in_files(x_train: Rows, x_val: Rows, name: str = "") -> tuple[Rows, Rows]:
        train, val = (folder / f"{number}_{name}{part}.npy" for part in ("train", "val"))
        return _in_file(x_train, train), _in_file(x_val, val)

    x_train, x_val = in_files(fold.x_train, fold.x_val)
    otherwise = {name: in_files(*rows, f"{name}_") for name, rows in fold.otherwise.items()}
    return replace(fold, x_train=x_train, x_val=x_val, otherwise=otherwise)


def encode_data(
    dataset: Dataset,
    split: Split,
    rows_folder: Path | None = None,
    scalings: Sequence[str] = (),
) -> tuple[FoldData, ...]:
    """The folds of a split, encoded; large ones with their rows in files of a folder, if given."""
    keep = partial(share_rows, folder=rows_folder)
    return encode_folds(dataset, split.folds, keep, scalings)


def as_tensor(rows: NDArray[np.float32]) -> Any:
    """Rows as a tensor, without a copy where they lie in a file."""
    import tensorflow as tf

    if not _is_whole_file(rows) or not rows.size:
        return tf.constant(rows)
    # NumPy begins the numbers of a file at a multiple of 64 bytes, as TensorFlow wants them.
    return tf.experimental.dlpack.from_dlpack(np.asarray(rows).__dlpack__())


def _in_file(rows: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    np.save(path, rows)
    return _open(path)


def _open(path: Path) -> NDArray[np.float32]:
    # A tensor needs memory that could be written; what is written goes into a copy.
    rows: NDArray[np.float32] = np.load(path, mmap_mode="c")
    return rows


def _is_whole_file(rows: NDArray[Any]) -> bool:
    return isinstance(rows, np.memmap) and isinstance(rows.base, mmap.mmap)


def reduce_rows(rows: "np.memmap[Any, Any]") -> Any:
    """What a process sends of rows in a file: the file's name; of a part of them, the part."""
    if _is_whole_file(rows):
        return _open, (Path(str(rows.filename)),)
    return np.asarray(rows).__reduce__()
