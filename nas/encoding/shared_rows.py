"""Rows in files that all processes of a search read, instead of a copy in each of them.

The system keeps such a file in memory once, whoever reads it, and takes it out again where memory
is short. What is sent to another process is its name.
"""

import mmap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data import Dataset, Split
from nas.encoding import FoldData, encode_folds

LEAST = 10_000_000  # bytes of a fold's rows; fewer are not worth a file


def share_rows(fold: FoldData, folder: Path | None) -> FoldData:
    """The fold with its rows in files of a folder; as it is where they are few, or without one."""
    if folder is None or fold.x_train.nbytes + fold.x_val.nbytes < LEAST:
        return fold
    number = len(list(folder.iterdir()))
    return replace(
        fold,
        x_train=_in_file(fold.x_train, folder / f"{number}_train.npy"),
        x_val=_in_file(fold.x_val, folder / f"{number}_val.npy"),
    )


def encode_data(
    dataset: Dataset, split: Split, rows_folder: Path | None = None
) -> tuple[FoldData, ...]:
    """The folds of a split, encoded; large ones with their rows in files of a folder, if given."""
    return encode_folds(dataset, split.folds, lambda fold: share_rows(fold, rows_folder))


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
