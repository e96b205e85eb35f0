"""Tables: CSV and Parquet files, and the types of their columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data.checks import check_file, check_finite, check_largest, check_precision
from nas.data.dataset import Column, Dataset, Features, Schema, encode_target
from nas.data.options import DataOptions
from nas.errors import NasError, did_you_mean, first_line

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
# A column with a smaller share of text than this is taken for numbers with mistakes in it.
TEXT_SHARE_OF_A_TYPO = 0.1


def read_table(path: Path) -> pd.DataFrame:
    check_file(path)
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


def dataset_of_table(frame: pd.DataFrame, options: DataOptions) -> Dataset:
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
    return Dataset(
        name=Path(source).stem,
        features=table_features(frame, schema, source, training=True),
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
    check_finite(numbers, f"{source}: {series.name}")
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


def table_features(
    frame: pd.DataFrame, schema: Schema, source: str, training: bool = False
) -> Features:
    """The columns of the schema; rows to learn from, if `training`, have to differ as well."""
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
        check_finite(numbers, f"{source}: {column.name}", allow_missing=True)
        check_largest(numbers, f"{source}: {column.name}")
        if training:
            check_precision(numbers[:, None], f"{source}: {column.name}")
        columns[column.name] = numbers
    if schema.is_table:
        return columns
    return np.stack([columns[column.name] for column in schema.columns], axis=1)
