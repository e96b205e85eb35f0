"""Parquet files as columns of numbers, truth values, text or dates."""

import datetime
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nas.errors import NasError, first_line


def read_parquet(path: Path) -> tuple[list[str], list["pd.Series[Any]"]]:
    """The names and the columns of a Parquet file; an index that pandas kept is a column.

    Whole numbers stay whole beside missing ones. What is neither number, text nor date stays an
    object, for an error message where it is wanted as a feature.

    Raises:
        NasError: When it cannot be read.
    """
    try:
        # Not by pandas, which refuses names that occur twice, and an index named like a column.
        table = pq.ParquetFile(path).read()
    except (ValueError, OSError, pa.ArrowException) as error:
        raise NasError(
            str(path), f"cannot be read as a table ({first_line(error, 120)})", "CSV or Parquet"
        ) from error
    names = [str(name) for name in table.column_names]
    columns = dict(enumerate(map(_series, table.columns)))
    index, first = (table.schema.pandas_metadata or {}).get("index_columns", []), []
    for level in index:
        if isinstance(level, dict):  # a range, which is not stored
            if level.get("name") is not None:
                names.append(str(level["name"]))
                columns[len(names) - 1] = pd.Series(
                    range(level["start"], level["stop"], level["step"])
                )
                first.append(len(names) - 1)
        elif level in names:
            first.append(names.index(level))
    order = [*first, *(k for k in range(len(names)) if k not in first)]
    # pandas calls an index so that has no name, or that of a column: no column of the table.
    order = [k for k in order if not re.fullmatch("__index_level_[0-9]+__", names[k])]
    return [names[k] for k in order], [columns[k] for k in order]


def _series(column: "pa.ChunkedArray") -> "pd.Series[Any]":
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        storage = [chunk.storage for chunk in column.chunks]
        return _series(pa.chunked_array(storage, kind.storage_type))
    if pa.types.is_dictionary(kind):
        return _series(column.cast(kind.value_type))
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            column = column.cast(pa.string())  # some writers do not mark text as text
        except pa.ArrowInvalid:
            return pd.Series(column.to_pylist(), dtype=object)
    elif pa.types.is_null(kind):
        return pd.Series([None] * len(column), dtype=object)
    if column.null_count and pa.types.is_integer(kind):
        signed = pa.types.is_signed_integer(kind)
        return pd.Series(column.to_pylist(), dtype="Int64" if signed else "UInt64")
    if column.null_count and pa.types.is_boolean(kind):
        return pd.Series(column.to_pylist(), dtype="boolean")
    if pa.types.is_temporal(kind):
        return pd.Series(_dates(column), dtype=object)
    values = column.to_pandas()
    if pa.types.is_float16(kind):
        values = values.astype("float64")
    return pd.Series(values).reset_index(drop=True)


def _dates(column: "pa.ChunkedArray") -> list[Any]:
    """Dates and times as objects; days where no time differs from midnight, as pandas writes CSV.

    Objects hold days that 64-bit nanoseconds do not; what they do not hold either is text.
    """
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError):
        return list(column.cast(pa.string()).to_pylist())
    if pa.types.is_timestamp(column.type) and all(
        value.time() == datetime.time() for value in values if value is not None
    ):
        return [None if value is None else value.date() for value in values]
    return list(values)
