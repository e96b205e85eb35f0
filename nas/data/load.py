"""Reading data sets: scikit-learn's, CSV, Parquet, NumPy archives, and those of Keras."""

import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data.dataset import Column, Dataset, Features, Schema, encode_target
from nas.errors import NasError, did_you_mean, first_line
from nas.spec import Task

SKLEARN_DATA = ("digits", "iris", "wine", "breast_cancer", "diabetes")
KERAS_DATA = ("mnist", "fashion_mnist", "cifar10")
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
# A column with a smaller share of text than this is taken for numbers with mistakes in it.
TEXT_SHARE_OF_A_TYPO = 0.1

# Networks compute with 32-bit floats: a deviation below this share of the values is lost in them.
LEAST_RELATIVE_DEVIATION = 1e-5
LARGEST_NUMBER = 1e30


@dataclass(frozen=True)
class DataOptions:
    """Which data to read, and how.

    Attributes:
        source: Name of a known data set, or a path to a `.csv`, `.parquet` or `.npz` file.
        target: Target column of a table.
        task: The task; None infers it.
        groups: Column that says which rows belong together.
        drop: Columns to leave out.
        categorical: Columns of numbers to treat as categories.
    """

    source: str
    target: str | None = None
    task: Task | None = None
    groups: str | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


def load_dataset(options: DataOptions) -> Dataset:
    """Reads and checks a data set.

    Raises:
        NasError: When the source is unknown or missing, cannot be read, or holds values that
            nothing can be learned from.
    """
    source = options.source
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".parquet", ".pq"):
        return _dataset_of_table(_read_table(path), options)
    for option, value in (
        ("--target", options.target),
        ("--groups", options.groups),
        ("--drop", options.drop),
        ("--categorical", options.categorical),
    ):
        if value:
            raise NasError(option, f"got {value!r} for {source}", "a CSV or Parquet file with it")
    if suffix == ".npz":
        return _dataset_of_arrays(_read_npz(path), options)
    if source in SKLEARN_DATA:
        return _dataset_of_arrays(_read_sklearn(source), options)
    if source in KERAS_DATA:
        return _dataset_of_arrays(_read_keras(source), options)
    known = (*SKLEARN_DATA, *KERAS_DATA)
    raise NasError(
        source,
        "no such data set" if not path.exists() else "a file of unknown kind",
        "a .csv, .parquet or .npz file, or one of " + ", ".join(known),
        did_you_mean(source, known),
    )


def load_features(source: str, schema: Schema) -> Features:
    """Reads rows to predict for; columns that the schema does not name are left out.

    Raises:
        NasError: When a column is missing, or holds text where the schema has numbers.
    """
    path = Path(source)
    if path.suffix.lower() in (".csv", ".parquet", ".pq"):
        if not schema.columns:
            raise NasError(source, "a table", f"an .npz array of rows shaped {schema.row_shape}")
        frame = _read_table(path)
        names = [column.name for column in schema.columns]
        for name in names:
            if name not in frame:
                raise NasError(
                    source,
                    f"no column '{name}', which the model needs",
                    "the columns " + ", ".join(names),
                    did_you_mean(name, frame.columns),
                )
        return _features(frame, schema, source)
    if path.suffix.lower() == ".npz":
        arrays = _open_npz(path)
        key = next((k for k in ("x", "x_test") if k in arrays), None)
        if key is None:
            raise NasError(source, f"holds {', '.join(arrays)}", "an array named x")
        values = arrays[key]
    elif source in SKLEARN_DATA:
        values = _read_sklearn(source)["x"]
    else:
        raise NasError(source, "no data of a known kind", "a .csv, .parquet or .npz file")
    if values.ndim == 1:
        values = values[:, None]
    if schema.is_table or values.shape[1:] != schema.row_shape:
        wanted = "a table of columns" if schema.is_table else f"rows shaped {schema.row_shape}"
        raise NasError(source, f"rows shaped {values.shape[1:]}", wanted)
    _check_array(values, "x", source)
    return values


# Tables


def _read_table(path: Path) -> pd.DataFrame:
    _check_file(path)
    try:
        is_csv = path.suffix.lower() == ".csv"
        frame = _read_csv(path) if is_csv else pd.read_parquet(path)
    except pd.errors.EmptyDataError as error:
        raise NasError(str(path), "the file is empty", "a header line and rows") from error
    except (ValueError, OSError) as error:
        raise NasError(
            str(path), f"cannot be read as a table ({first_line(error, 120)})", "CSV or Parquet"
        ) from error
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()  # Parquet files may keep columns as an index
    frame.columns = frame.columns.map(str)
    if not len(frame):
        raise NasError(str(path), "a header without rows", "at least one row")
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    # As text, so that '?' stays itself in a column of categories and codes keep their zeros.
    def read(separator: str) -> pd.DataFrame:
        return pd.read_csv(
            path, dtype=str, keep_default_na=False, skipinitialspace=True, sep=separator
        )

    with path.open(encoding="utf-8", errors="replace") as file:
        header = file.readline()
    # The separator of the header; text in the rows may hold any of them.
    frame = read(max((",", ";", "\t"), key=header.count))
    if not isinstance(frame.index, pd.RangeIndex):
        raise NasError(
            str(path),
            "cannot be read as a table (the rows have more fields than the header)",
            "a name for each column",
        )
    return frame


def _dataset_of_table(frame: pd.DataFrame, options: DataOptions) -> Dataset:
    source = options.source
    names = list(frame.columns)
    if options.target is None:
        raise NasError(
            source,
            "no target column was named",
            "one of " + ", ".join(names),
            f"Add --target, such as --target {names[-1]}.",
        )
    wanted = {
        "--target": [options.target],
        "--groups": [options.groups] if options.groups else [],
        "--drop": list(options.drop),
        "--categorical": list(options.categorical),
    }
    for option, given in wanted.items():
        for name in given:
            if name not in names:
                raise NasError(
                    source,
                    f"no column '{name}' for {option}",
                    "one of " + ", ".join(names),
                    did_you_mean(name, names),
                )
    y, task, classes = encode_target(
        _target_column(frame[options.target], source), options.task, f"{source}: {options.target}"
    )
    left_out = {options.target, options.groups, *options.drop}
    columns = []
    dropped = {}
    for name in names:
        if name in left_out:
            continue
        kind, reason = _column_kind(frame[name], name, source, name in options.categorical)
        if reason:
            dropped[name] = reason
        else:
            columns.append(Column(name, kind))
    if not columns:
        raise NasError(source, "no feature column is left", "at least one beside the target")
    schema = Schema(tuple(columns), (len(columns),))
    if schema.is_table:
        for column in columns:
            if "/" in column.name:
                raise NasError(
                    source,
                    f"the column name '{column.name}' has a slash, which Keras does not allow",
                    fix="Rename the column, or leave it out with --drop.",
                )
    return Dataset(
        name=Path(source).stem,
        features=_features(frame, schema, source),
        y=y,
        schema=schema,
        task=task,
        classes=classes,
        groups=_group_codes(frame, options.groups),
        dropped=dropped,
    )


def _group_codes(frame: pd.DataFrame, column: str | None) -> NDArray[Any] | None:
    return None if column is None else np.asarray(pd.factorize(frame[column])[0])


def _missing(series: "pd.Series[Any]") -> NDArray[np.bool_]:
    missing = series.isna()
    if not pd.api.types.is_numeric_dtype(series):
        missing |= series.astype(str).str.strip().str.casefold().isin(MISSING)
    return np.asarray(missing, dtype=bool)


def _numbers(series: "pd.Series[Any]") -> NDArray[np.float64]:
    """The column as numbers; NaN where it is missing or is not a number."""
    if pd.api.types.is_bool_dtype(series):
        return np.asarray(series.astype(float))
    return np.asarray(pd.to_numeric(series, errors="coerce"), dtype=np.float64)


def _is_date(series: "pd.Series[Any]") -> bool:
    kinds = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time")
    return pd.api.types.infer_dtype(series, skipna=True) in kinds


def _target_column(series: "pd.Series[Any]", source: str) -> NDArray[Any]:
    if _is_date(series):
        raise NasError(f"{source}: {series.name}", f"got dates ({series.dtype})", "numbers or text")
    if pd.api.types.is_bool_dtype(series):
        return np.asarray(series, dtype=bool)
    missing = _missing(series)
    given = series[~missing]
    is_text = not len(given) or bool(np.isnan(_numbers(given)).any())
    if is_text:  # there 'none' or 'NA' may be the name of a class
        missing = np.asarray(series.isna() | (series.astype(str).str.strip() == ""), dtype=bool)
    if missing.any():
        raise NasError(
            f"{source}: {series.name}",
            f"the target is missing in {missing.sum()} rows, first in row {missing.argmax() + 1}",
            "a target in every row",
            "Remove those rows.",
        )
    if is_text:
        return np.asarray(series.astype(str).str.strip(), dtype=object).astype(str)
    numbers = _numbers(series)
    _check_finite(numbers, f"{source}: {series.name}")
    return numbers


def _column_kind(
    series: "pd.Series[Any]", name: str, source: str, force_categorical: bool
) -> tuple[Any, str]:
    """`numeric` or `categorical`, and the reason where the column is to be left out."""
    if _is_date(series):
        raise NasError(
            f"{source}: {name}",
            f"got dates ({series.dtype})",
            "numbers or text",
            f"Turn them into numbers, or use --drop {name}.",
        )
    nested = series.dropna().map(lambda value: isinstance(value, list | dict | np.ndarray))
    if nested.any():
        raise NasError(
            f"{source}: {name}",
            "got lists or structures",
            "a single number or text in each row",
            f"Use --drop {name}.",
        )
    missing = _missing(series)
    if missing.all():
        return "numeric", "no values"
    if force_categorical:
        return "categorical", ""
    given = series[~missing]
    text = np.isnan(_numbers(given))
    if not text.any():
        return "numeric", ""
    if text.mean() < TEXT_SHARE_OF_A_TYPO:
        row = np.flatnonzero(~missing)[text.argmax()]
        raise NasError(
            f"{source}: {name}, row {row + 1}",
            f"got '{series.iloc[row]}'",
            "a number, as in the other rows",
            f"Mend or empty the cell, or use --categorical {name}.",
        )
    if len(given) > 20 and given.nunique() == len(given):
        return "categorical", "every row has another text"
    return "categorical", ""


def _features(frame: pd.DataFrame, schema: Schema, source: str) -> Features:
    columns: dict[str, NDArray[Any]] = {}
    for column in schema.columns:
        series = frame[column.name]
        if column.kind == "categorical":
            text = series.astype(object).where(~series.isna(), "")
            columns[column.name] = np.asarray(text.map(str), dtype=object)
            continue
        numbers = _numbers(series)
        bad = np.isnan(numbers) & ~_missing(series)
        if bad.any():
            row = int(bad.argmax())
            raise NasError(
                f"{source}: {column.name}, row {row + 1}",
                f"got '{series.iloc[row]}'",
                "a number",
            )
        _check_finite(numbers, f"{source}: {column.name}", allow_missing=True)
        _check_precision(numbers[:, None], f"{source}: {column.name}")
        columns[column.name] = numbers
    if schema.is_table:
        return columns
    return np.stack([columns[column.name] for column in schema.columns], axis=1)


# Arrays


def _dataset_of_arrays(arrays: Mapping[str, NDArray[Any]], options: DataOptions) -> Dataset:
    source = options.source
    has_test = "x_test" in arrays
    if has_test:
        shapes = [arrays[key].shape[1:] for key in ("x_train", "x_test")]
        if shapes[0] != shapes[1]:
            raise NasError(
                source, f"rows shaped {shapes[0]} in x_train and {shapes[1]} in x_test", "the same"
            )
        x = np.concatenate([arrays["x_train"], arrays["x_test"]])
        parts = [_one_value_a_row(arrays, part, source) for part in ("train", "test")]
        y = np.concatenate(parts)
    else:
        x, y = arrays["x"], arrays["y"]
    if x.ndim == 0 or y.ndim == 0:
        raise NasError(source, "x or y is a single number", "arrays with a row each")
    if not len(x):
        raise NasError(source, "no rows", "at least one row")
    if not has_test:
        y = _one_value_a_row({"x_": x, "y_": y}, "", source)
    if not x.size:
        raise NasError(source, "x has no columns", "at least one")
    _check_array(x, "x", source)
    target = y
    if target.dtype.kind not in "biufU":
        raise NasError(f"{source}: y", f"an array of {target.dtype}", "numbers or text")
    if target.dtype.kind == "f":
        target = target.astype(np.float64)
        _check_finite(target, f"{source}: y")
    codes, task, classes = encode_target(target, options.task, f"{source}: y")
    if x.ndim == 1:
        x = x[:, None]
    if x.dtype.kind == "f":
        x = x.astype(np.float64)
    if x.ndim == 2:
        _check_precision(x, f"{source}: x")
    return Dataset(
        name=Path(source).stem,
        features=x,
        y=codes,
        schema=Schema((), x.shape[1:]),
        task=task,
        classes=classes,
        test_rows=np.arange(len(arrays["x_train"]), len(x)) if has_test else None,
    )


def _one_value_a_row(arrays: Mapping[str, NDArray[Any]], part: str, source: str) -> NDArray[Any]:
    x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if y.shape not in ((len(x),), (len(x), 1)):
        name = f"y_{part}".rstrip("_")
        raise NasError(source, f"{name} has shape {y.shape} for {len(x)} rows", "one value a row")
    return y.reshape(len(y))


def _check_precision(values: NDArray[Any], where: str) -> None:
    """Refuses numbers whose differences 32-bit floats, which networks take, cannot tell."""
    values = np.asarray(values, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        largest = np.nanmax(np.abs(values), axis=0)
        deviation = np.nanstd(values, axis=0)
    if (largest > LARGEST_NUMBER).any():
        raise NasError(where, f"got {largest.max():g}", f"numbers below {LARGEST_NUMBER:g}")
    lost = (deviation > 0) & (deviation < LEAST_RELATIVE_DEVIATION * largest)
    # Differences at the limit of 64 bits are rounding errors of a constant column.
    lost &= deviation > 1e-14 * largest
    if lost.any():
        column = int(lost.argmax())
        name = where if values.shape[1] == 1 else f"{where}, column {column + 1}"
        raise NasError(
            name,
            f"values around {largest[column]:.6g} that differ by {deviation[column]:.2g} only",
            "differences that 32-bit floats can tell",
            "Subtract a constant from the column, or leave it out.",
        )


def _check_array(x: NDArray[Any], key: str, source: str) -> None:
    if x.dtype.kind not in "biuf":
        raise NasError(f"{source}: {key}", f"an array of {x.dtype}", "numbers")
    if x.dtype.kind == "f":
        _check_finite(x, f"{source}: {key}")


def _check_finite(values: NDArray[Any], where: str, allow_missing: bool = False) -> None:
    bad = np.isinf(values) if allow_missing else ~np.isfinite(values)
    if bad.any():
        rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
        raise NasError(
            where,
            f"NaN or infinite in {len(rows)} rows, first in row {rows[0] + 1}",
            "finite numbers",
            "Remove those rows, or give a table, where an empty cell is a missing value.",
        )


def _read_sklearn(name: str) -> Mapping[str, NDArray[Any]]:
    from sklearn import datasets

    load: Callable[..., Any] = getattr(datasets, f"load_{name}")
    x, y = load(return_X_y=True)
    return {"x": x, "y": y}


def _read_npz(path: Path) -> Mapping[str, NDArray[Any]]:
    arrays = _open_npz(path)
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


def _open_npz(path: Path) -> dict[str, NDArray[Any]]:
    _check_file(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, TypeError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise NasError(
            str(path), f"cannot be read ({first_line(error, 120)})", "a NumPy .npz archive"
        ) from error


def _read_keras(name: str) -> Mapping[str, NDArray[Any]]:
    """A data set of Keras: a local copy in `NAS_DATA_DIR`, or Keras's own cache and download."""
    folder = os.environ.get("NAS_DATA_DIR")
    local = Path(folder) / f"{name}.npz" if folder else None
    if local is not None and local.exists():
        return _read_npz(local)
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


def _check_file(path: Path) -> None:
    if not path.exists():
        raise NasError(str(path), "no such file", "a file with data")
    if path.is_dir():
        raise NasError(str(path), "is a folder", "a file with data")
    if path.stat().st_size == 0:
        raise NasError(str(path), "the file is empty", "a file with data")
