"""Parquet and Feather files as columns of numbers, truth values, text or dates."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from nas.data.arrow_columns import series_of
from nas.errors import NasError, first_line


def read_arrow(path: Path) -> tuple[list[str], list["pd.Series[Any]"]]:
    """The names and the columns of a file; an index that pandas kept is a column.

    See `series_of` for what becomes of each.

    Raises:
        NasError: When it cannot be read.
    """
    try:
        # Not by pandas, which refuses names that occur twice, and an index named like a column.
        is_parquet = path.suffix.lower() in (".parquet", ".pq")
        table = pq.ParquetFile(path).read() if is_parquet else feather.read_table(path)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise NasError(
            str(path),
            f"cannot be read as a table ({first_line(error, 120)})",
            "CSV, Parquet or Feather",
        ) from error
    names = [str(name) for name in table.column_names]
    columns = dict(enumerate(map(series_of, table.columns)))
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
