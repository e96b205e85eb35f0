"""Columns of Arrow, as Parquet files and most frames have them, as columns of pandas."""

import datetime
from typing import Any

import pandas as pd
import pyarrow as pa


def series_of(column: "pa.Array | pa.ChunkedArray") -> "pd.Series[Any]":
    """A column as pandas has it, with rows numbered from 0.

    Whole numbers stay whole beside missing ones. What is neither number, text nor date stays an
    object, for an error message where it is wanted as a feature.
    """
    if not isinstance(column, pa.ChunkedArray):
        column = pa.chunked_array([column])
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        storage = [chunk.storage for chunk in column.chunks]
        return series_of(pa.chunked_array(storage, kind.storage_type))
    if pa.types.is_dictionary(kind):
        return series_of(column.cast(kind.value_type))
    if pa.types.is_string_view(kind):
        column = column.cast(pa.large_string())
    elif pa.types.is_decimal(kind):
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
