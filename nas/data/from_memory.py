"""Data sets from memory: frames of pandas, polars and Arrow, and arrays."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from nas.data.arrays import dataset_of_arrays, features_of_array, is_one_hot
from nas.data.arrow_columns import series_of
from nas.data.cells import are_missing, is_text
from nas.data.dataset import Dataset, Features, Schema
from nas.data.dates import are_dates
from nas.data.header import check_names, position_names
from nas.data.prepare import check_no_columns, check_options, to_read, vary, with_scaling
from nas.data.table_file import Table
from nas.data.tables import dataset_of_table, features_of_table
from nas.data.tf_dataset import is_tf_dataset, rows_of
from nas.errors import NasError, did_you_mean, first_line
from nas.options import DataOptions
from nas.wording import join_names

DATA, TARGET = "data", "target"  # the parameters, as errors name them
KNOWN = "a pandas, polars or Arrow table, or an array"


def dataset_from_memory(data: Any, target: Any, options: DataOptions) -> Dataset:
    """Checks data in memory, as `load_dataset` checks a file.

    A frame is read as the Parquet file of it: an index does not count, and a column of a
    categorical type is one of categories, whatever it holds. An array of numbers is read as an
    `.npz` file; one with text or missing numbers is a table whose columns are called 1, 2 ...

    Args:
        data: A frame of pandas, polars or Arrow, a mapping of columns, an array, shape
            (n_rows, ...), or a finite `tf.data.Dataset` of features and targets.
        target: The name of a column of a frame, or a value for each row; a categorical type
            makes it classes.
        options: How to read them; its `source` and `target` are not looked at.

    Raises:
        NasError: When nothing can be learned from them; `where` begins with `data` or `target`.
    """
    options = replace(options, source=DATA, target=None)
    check_options(options)
    dataset = _read(data, target, to_read(options))
    if options.images and not dataset.schema.image_shape:
        raise NasError(
            DATA,
            f"rows of {dataset.schema.describe()} features",
            "images, which network: cnn needs",
            "Give an array shaped (rows, height, width) or (rows, height, width, channels).",
        )
    return with_scaling(vary(dataset, options), options)


def features_from_memory(data: Any, schema: Schema) -> Features:
    """Rows to predict for; columns that the schema does not name are left out.

    Args:
        data: As for `dataset_from_memory`. An array has the columns of the schema, in their order.
        schema: What a row looked like in training.

    Raises:
        NasError: When a column is missing, or holds text where the schema has numbers.
    """
    if is_tf_dataset(data):
        data, _ = rows_of(data, len(schema.row_shape))
    if not schema.columns:
        with _called(x=DATA):
            return features_of_array(np.asarray(data), schema, DATA)
    if _is_frame(data):
        frame, _ = _frame(data)
    else:
        array = _array(data)
        names = [column.name for column in schema.columns]
        if array.ndim != 2 or array.shape[1] != len(names):
            raise NasError(
                DATA, f"an array shaped {array.shape}", "the columns " + ", ".join(names)
            )
        frame = _frame_of_array(array).set_axis(names, axis=1)
    return features_of_table(Table(frame), schema, DATA)


def frame_of(data: Any) -> pd.DataFrame:
    """A frame or an array as the table that nas reads."""
    return _frame(data)[0] if _is_frame(data) else _frame_of_array(_array(data))


def name_targets(target: Any, data: Any) -> bool:
    """Whether a list names several columns of a table, rather than being a value for each row."""
    if not isinstance(target, list | tuple) or not target:
        return False
    if hasattr(data, "column_names"):
        names = data.column_names
    else:
        names = data.keys() if isinstance(data, Mapping) else getattr(data, "columns", ())
    known = {str(name).strip() for name in names}
    return all(isinstance(name, str) and name.strip() in known for name in target)


def _read(data: Any, target: Any, options: DataOptions) -> Dataset:
    if is_tf_dataset(data):
        data, own = rows_of(data)
        target = own if target is None else target
    if target is None:
        raise NasError(TARGET, "none was given", "a column's name, or a value for each row")
    if _is_frame(data):
        frame, categorical = _frame(data)
        return _read_table(frame, categorical, target, options)
    array = _array(data)
    if _is_name(target):
        raise NasError(
            TARGET,
            f"got '{target}', but the columns of an array have no names",
            "a value for each row",
        )
    has_gaps = array.ndim == 2 and array.dtype.kind == "f" and bool(np.isnan(array).any())
    if array.dtype.kind not in "biuf" or has_gaps:
        return _read_table(_frame_of_array(array), (), target, options)
    check_no_columns(options, "a frame with it")
    if (several := _several(target, len(array), options)) is not None:
        options = replace(options, task="regression")
        with _called(x=DATA, y=TARGET):
            read = dataset_of_arrays({"x": array, "y": several.to_numpy(np.float64)}, options)
        return replace(read, targets=tuple(several.columns))
    y, is_category = _target(target, len(array))
    options = _with_classes(options, y, is_category)
    with _called(x=DATA, y=TARGET):
        return dataset_of_arrays({"x": array, "y": _labels_or_numbers(y)}, options)


def _read_table(
    frame: pd.DataFrame, categorical: tuple[str, ...], target: Any, options: DataOptions
) -> Dataset:
    names = [*frame.columns]
    parameters: dict[str, str] = {}
    if name_targets(target, frame) and len(target) == 1:
        (target,) = target
    several = _several(target, len(frame), options)
    if several is not None:
        both = [name for name in several.columns if name in names]
        if both:
            raise NasError(
                TARGET,
                f"is called '{both[0]}', as a column of the data is",
                "targets apart from the features",
            )
        table = Table(pd.concat([frame, several], axis=1), categorical=categorical)
        return dataset_of_table(table, replace(options, target=join_names(several.columns)))
    if name_targets(target, frame):
        table = Table(frame, categorical=tuple(c for c in categorical if c not in target))
        return dataset_of_table(table, replace(options, target=join_names(target)))
    if _is_name(target):
        name = str(target).strip()
        if name not in names:
            raise NasError(
                TARGET,
                f"no column '{name}'",
                "one of " + ", ".join(names),
                did_you_mean(name, names),
            )
        is_category = name in categorical
    else:
        y, is_category = _target(target, len(frame))
        name = str(y.name or TARGET)
        if name in names:
            raise NasError(
                TARGET,
                f"is called '{name}', as a column of the data is",
                "a target apart from the features",
                "Give the column's name, or leave the column out of the data.",
            )
        frame = frame.copy(deep=False)
        frame[name] = y
        parameters[name] = TARGET
    categories = {*categorical, name} if is_category else {*categorical} - {name}
    table = Table(frame, categorical=tuple(c for c in frame.columns if c in categories))
    with _called(**parameters):
        return dataset_of_table(table, replace(options, target=name))


@contextmanager
def _called(**parameters: str) -> Iterator[None]:
    """Errors about an array or a column name the parameter that it came by."""
    try:
        yield
    except NasError as error:
        for made, parameter in parameters.items():
            if error.where == f"{DATA}: {made}" or error.where.startswith(f"{DATA}: {made}, "):
                where = parameter + error.where.removeprefix(f"{DATA}: {made}")
                raise NasError(where, error.received, error.expected, error.fix) from error
        raise


def _is_name(target: Any) -> bool:
    return isinstance(target, str | int | np.integer)


def _with_classes(options: DataOptions, y: "pd.Series[Any]", is_category: bool) -> DataOptions:
    """A target of a categorical type is classes, also where they are many numbers."""
    if not is_category or options.task is not None:
        return options
    return replace(options, task="binary" if y.nunique() == 2 else "multiclass")


# Frames


def _is_frame(data: Any) -> bool:
    return isinstance(data, Mapping | pd.DataFrame | pd.Series) or any(
        hasattr(data, method) for method in ("__arrow_c_stream__", "to_pandas")
    )


def _frame(data: Any) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The columns, as a Parquet file of them gives them, and those of a categorical type."""
    if isinstance(data, pd.Series):
        data = data.to_frame()
    elif not isinstance(data, pd.DataFrame):
        try:
            data = _as_table(data)
        except (ValueError, TypeError, pa.ArrowException) as error:
            raise NasError(
                DATA, f"cannot be read as a table ({first_line(error, 120)})", KNOWN
            ) from error
    if isinstance(data, pd.DataFrame):
        names, given = list(data.columns), [data.iloc[:, k] for k in range(data.shape[1])]
    else:
        names, given = data.column_names, data.columns
    names = [str(name).strip() for name in names]
    check_names(names, DATA, "Rename one of them.")
    if not names or not len(given[0]):
        raise NasError(DATA, "no rows" if names else "no columns", "at least one")
    columns, categorical = {}, []
    for name, values in zip(names, given, strict=True):
        columns[name], is_category = _column(values, f"{DATA}: {name}")
        if is_category:
            categorical.append(name)
    return pd.DataFrame(columns), tuple(categorical)


def _as_table(data: Any) -> "pd.DataFrame | pa.Table":
    if isinstance(data, Mapping):
        return pd.DataFrame(dict(data))
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    table: pd.DataFrame = data.to_pandas()
    return table


def _frame_of_array(array: NDArray[Any]) -> pd.DataFrame:
    if array.ndim != 2:
        raise NasError(DATA, f"an array of {array.dtype} shaped {array.shape}", KNOWN)
    frame, _ = _frame(pd.DataFrame(array, columns=list(position_names(array.shape[1]))))
    return frame


def _column(values: Any, where: str) -> "tuple[pd.Series[Any], bool]":
    """A column of a frame, with rows numbered from 0, and whether its type is a categorical one."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return series_of(values), pa.types.is_dictionary(values.type)
    is_category = isinstance(values.dtype, pd.CategoricalDtype)
    if is_category:
        values = values.astype(object)
    elif isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    elif isinstance(values.dtype, pd.IntervalDtype):
        values = values.astype(object).map(str, na_action="ignore")
    elif isinstance(values.dtype, pd.SparseDtype):
        values = values.sparse.to_dense()
    elif values.dtype.kind == "c":
        raise NasError(where, "got complex numbers", "numbers or text")
    try:
        return series_of(pa.array(values, from_pandas=True)), is_category
    except (pa.ArrowException, OverflowError):  # cells of several types, which Arrow does not have
        return pd.Series(values.to_numpy(), dtype=object), is_category


# Arrays


def _array(data: Any) -> NDArray[Any]:
    if isinstance(data, np.ma.MaskedArray):
        data = np.ma.filled(data.astype(np.float64), np.nan)
    try:
        array = np.asarray(data)
    except ValueError as error:  # rows of different lengths
        raise NasError(DATA, f"cannot be read ({first_line(error, 120)})", KNOWN) from error
    if array.ndim == 0:
        raise NasError(DATA, f"got an object of type {type(data).__name__}", KNOWN)
    if array.dtype.kind == "O" or array.dtype.kind in "US":
        # Numbers among text have become text, unless the cells stay objects.
        array = np.asarray(data, dtype=object)
    return array[:, None] if array.ndim == 1 else array


def _target(target: Any, n_rows: int) -> "tuple[pd.Series[Any], bool]":
    """A value for each row, and whether the type is a categorical one."""
    if isinstance(target, pd.DataFrame | pa.Table) and target.shape[1] == 1:
        target = target.iloc[:, 0] if isinstance(target, pd.DataFrame) else target.column(0)
    name = getattr(target, "name", None)
    if hasattr(target, "to_arrow") and not isinstance(target, pa.ChunkedArray):  # of polars
        target = target.to_arrow()
    if isinstance(target, pd.Categorical | pd.Index):
        target = pd.Series(target)
    if not isinstance(target, pd.Series | pa.Array | pa.ChunkedArray):
        values = np.asarray(target)
        if values.dtype.kind in "OUS":
            values = np.asarray(target, dtype=object)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            one_hot = values.ndim == 2 and values.shape[0] == n_rows
            raise NasError(
                TARGET,
                f"an array shaped {values.shape} for {n_rows:,} rows",
                "one value for each row",
                "Of one column for each class take target.argmax(axis=1)." if one_hot else "",
            )
        target = pd.Series(values)
    series, is_category = _column(target, TARGET)
    if len(series) != n_rows:
        raise NasError(TARGET, f"{len(series):,} values for {n_rows:,} rows", "one for each row")
    return series.rename(name), is_category


def _several(target: Any, n_rows: int, options: DataOptions) -> pd.DataFrame | None:
    """Several targets for each row, as a table with their names; None where it is one.

    A matrix of zeros and ones tells classes, unless the task is said to be a regression.
    """
    if _is_frame(target) and not isinstance(target, Mapping):
        if len(getattr(target, "shape", ())) < 2:
            return None
        given = _frame(target)[0]
    else:
        values = np.asarray(target)
        is_classes = is_one_hot(values) and options.task != "regression"
        if values.ndim != 2 or values.dtype.kind not in "biuf" or is_classes:
            return None
        given = pd.DataFrame(values)
        given.columns = pd.Index([f"{TARGET} {k + 1}" for k in range(given.shape[1])])
    if given.shape[1] == 1 or len(given) != n_rows:
        return None
    if any(values.dtype.kind not in "iuf" for _, values in given.items()):
        raise NasError(TARGET, f"{given.shape[1]} columns, not all of numbers", "numbers")
    return given.rename(columns=lambda name: str(name).strip())


def _labels_or_numbers(y: "pd.Series[Any]") -> NDArray[Any]:
    """A target beside an array, where each row has one."""
    missing = are_missing(y, usual=())
    if missing.any():
        row = int(missing.argmax()) + 1
        raise NasError(TARGET, f"no value in row {row}", "one for each row", "Leave such rows out.")
    if are_dates(y, missing):
        raise NasError(
            TARGET,
            f"got dates (such as '{y.iloc[0]}')",
            "numbers or text",
            "Turn them into numbers, such as days since the first.",
        )
    return np.asarray(y, dtype=object).astype(str) if is_text(y) else np.asarray(y)
