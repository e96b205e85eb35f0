"""Arrays: scikit-learn's data sets, NumPy archives, and the image sets of Keras."""

import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic
from numpy.typing import NDArray

from nas.data.dataset import Dataset, Schema, encode_target
from nas.data.header import position_names
from nas.data.value_checks import check_array, check_file, check_finite, check_precision
from nas.errors import NasError, first_line
from nas.options import DataOptions

SKLEARN_DATA = ("digits", "iris", "wine", "breast_cancer", "diabetes")
KERAS_DATA = ("mnist", "fashion_mnist", "cifar10")

LEAST_SPREAD = 1 / 200
SCALE_ROWS = 1000  # rows that are looked at for it


def dataset_of_arrays(arrays: Mapping[str, NDArray[Any]], options: DataOptions) -> Dataset:
    source = options.source
    has_test = "x_test" in arrays
    if has_test:
        shapes = [arrays[key].shape[1:] for key in ("x_train", "x_test")]
        if shapes[0] != shapes[1]:
            raise NasError(
                source, f"rows shaped {shapes[0]} in x_train and {shapes[1]} in x_test", "the same"
            )
        x = np.concatenate([arrays["x_train"], arrays["x_test"]])
        is_regression = options.task == "regression"
        parts = [_values_a_row(arrays, part, source, is_regression) for part in ("train", "test")]
        if parts[0].shape[1:] != parts[1].shape[1:]:
            shapes = [part.shape for part in parts]
            raise NasError(
                source, f"y_train of shape {shapes[0]} and y_test of {shapes[1]}", "as many targets"
            )
        y = np.concatenate(parts)
    else:
        x, y = arrays["x"], arrays["y"]
    if x.ndim == 0 or y.ndim == 0:
        raise NasError(source, "x or y is a single number", "arrays with a row each")
    if not len(x):
        raise NasError(source, "no rows", "at least one row")
    if not has_test:
        y = _values_a_row({"x_": x, "y_": y}, "", source, options.task == "regression")
    if not x.size:
        raise NasError(source, "x has no columns", "at least one")
    check_array(x, "x", source)
    target = y
    if target.dtype.kind not in "biufU":
        raise NasError(f"{source}: y", f"an array of {target.dtype}", "numbers or text")
    if target.dtype.kind == "f":
        target = target.astype(np.float64)
        check_finite(target, f"{source}: y")
    where = f"{source}: y"
    if target.ndim == 1:
        encoded = [encode_target(target, options.task, where)]
    elif options.task in (None, "regression"):
        encoded = [encode_target(column, "regression", where) for column in target.T]
    else:
        raise NasError("--task", f"got '{options.task}' for several targets", "regression")
    codes, task, classes = encoded[0]
    if len(encoded) > 1:
        codes = np.stack([values for values, *_ in encoded], axis=1)
    if x.ndim == 1:
        x = x[:, None]
    if x.dtype.kind == "f":
        x = x.astype(np.float64)
    scale_per_feature = differ_in_scale(x)
    if x.ndim == 3 and not scale_per_feature and differ_in_scale(x.transpose(0, 2, 1)):
        raise NasError(
            f"{source}: x",
            f"rows of {x.shape[1]} x {x.shape[2]} whose lines differ in scale by far",
            "images, or sequences with their features on the last axis",
            "Save x.transpose(0, 2, 1).",
        )
    if x.dtype.itemsize > 1:  # all others hold whole numbers, small ones
        has_columns = x.ndim == 2 or scale_per_feature
        check_precision(x.reshape(-1, x.shape[-1] if has_columns else 1), f"{source}: x")
    return Dataset(
        name=Path(source).stem,
        features=x,
        y=codes,
        schema=Schema((), x.shape[1:]),
        task=task,
        classes=classes,
        targets=position_names(len(encoded)) if len(encoded) > 1 else (),
        test_rows=np.arange(len(arrays["x_train"]), len(x)) if has_test else None,
        scale_per_feature=scale_per_feature,
    )


def features_of_array(values: NDArray[Any], schema: Schema, source: str) -> NDArray[Any]:
    """Rows to predict for, from an array.

    Raises:
        NasError: When they are not shaped as those of the schema, or hold what is no number.
    """
    if values.ndim == 1:
        values = values[:, None]
    if schema.is_table or values.shape[1:] != schema.row_shape:
        wanted = "a table of columns" if schema.is_table else f"rows shaped {schema.row_shape}"
        raise NasError(source, f"rows shaped {values.shape[1:]}", wanted)
    check_array(values, "x", source)
    return values


def differ_in_scale(x: NDArray[Any]) -> bool:
    """Whether one scale for all would wipe out an entry of the last axis of rows with several.

    Sequences with a pressure beside a voltage need a scale for each, the pixels of an image one
    for all. An entry is wiped out if its quartile range is below `LEAST_SPREAD` of the deviation
    of all numbers. Pixels with 256 levels never are, however they are scaled: a range of one
    level is at least 1/128 of it. Nearly constant pixels have no range, and do not count.
    """
    if x.ndim < 3 or x.dtype.itemsize == 1:
        return False
    rows = np.linspace(0, len(x) - 1, min(len(x), SCALE_ROWS)).astype(np.int64)
    values = x[rows].reshape(-1, x.shape[-1]).astype(np.float64)
    low, high = np.percentile(values, (25, 75), axis=0, method="lower")
    return bool(((high > low) & (high - low < LEAST_SPREAD * values.std())).any())


def _values_a_row(
    arrays: Mapping[str, NDArray[Any]], part: str, source: str, is_regression: bool
) -> NDArray[Any]:
    """One value for each row, or several numbers."""
    x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if y.shape in ((len(x),), (len(x), 1)):
        return y.reshape(len(y))
    if (
        y.ndim == 2
        and len(y) == len(x)
        and y.dtype.kind in "biuf"
        and (is_regression or not is_one_hot(y))
    ):
        return y  # several targets
    name = f"y_{part}".rstrip("_")
    raise NasError(
        source,
        f"{name} has shape {y.shape} for {len(x)} rows",
        "one value a row, or several numbers",
        "Of one column for each class take y.argmax(axis=1)." if y.ndim == 2 else "",
    )


def is_one_hot(y: NDArray[Any]) -> bool:
    """Whether each row of a matrix has zeros, and ones that tell its classes."""
    return bool(y.ndim == 2 and np.isin(y, (0, 1)).all())


def read_sklearn(name: str, images: bool = False) -> Mapping[str, NDArray[Any]]:
    """A data set of scikit-learn; `digits` as images of 8 x 8 pixels where those are asked for."""
    from sklearn import datasets

    load: Callable[..., Any] = getattr(datasets, f"load_{name}")
    x, y = load(return_X_y=True)
    if images and name == "digits":
        x = x.reshape(-1, 8, 8)
    return {"x": x, "y": y}


def read_npz(path: Path) -> Mapping[str, NDArray[Any]]:
    arrays = open_npz(path)
    split: Sequence[str] = ("x_train", "y_train", "x_test", "y_test")
    keys = ("x", "y") if "x" in arrays else split
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise NasError(
            str(path),
            f"holds {', '.join(arrays) or 'nothing'}",
            "arrays x and y, or x_train, y_train, x_test and y_test",
        )
    return {key: arrays[key] for key in keys}


def holds_images(source: str) -> bool:
    """Whether a source is images: a folder, or arrays whose rows have two axes or three.

    Only the beginning of a file is read; what cannot be read is none.
    """
    path = Path(source)
    if path.is_dir() and source not in SKLEARN_DATA:
        return True
    if source in KERAS_DATA:
        return True
    if path.suffix != ".npz" or not path.is_file():
        return False
    with suppress(ValueError, OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        for name in ("x.npy", "x_train.npy"):
            if name in archive.namelist():
                with archive.open(name) as file:
                    read = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}
                    shape, *_ = read[read_magic(file)](file)
                    return len(shape) > 2
    return False


def open_npz(path: Path) -> dict[str, NDArray[Any]]:
    check_file(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, TypeError, OSError, zipfile.BadZipFile, zlib.error) as error:
        if "Object arrays" in str(error):
            raise NasError(
                str(path),
                "holds arrays of Python objects, which may run programs",
                "numbers or text",
                "Save text as y.astype(str), and numbers as x.astype(float).",
            ) from error
        raise NasError(
            str(path), f"cannot be read ({first_line(error, 120)})", "a NumPy .npz archive"
        ) from error


def read_keras(name: str) -> Mapping[str, NDArray[Any]]:
    """A data set of Keras: a local copy in `NAS_DATA_DIR`, or Keras's own cache and download."""
    folder = os.environ.get("NAS_DATA_DIR")
    local = Path(folder) / f"{name}.npz" if folder else None
    if local is not None and local.exists():
        return read_npz(local)
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a bare Exception for every kind of failed download
        raise NasError(
            name,
            f"could not be downloaded ({first_line(error, 120)})",
            fix=f"Give a local copy: --data path/{name}.npz with x_train, y_train, x_test, y_test.",
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
