"""Tables of Excel, of Weka (ARFF), and NumPy arrays of numbers: their columns and names."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.data.header import position_names
from nas.data.table_kinds import read_bytes
from nas.errors import NasError, first_line


def read_excel(path: Path, header: bool | None) -> tuple[pd.DataFrame, bool, tuple[str, ...]]:
    """The first sheet of a workbook; blank lines around the table are passed over.

    Args:
        path: An `.xlsx` or `.xlsm` file.
        header: Whether the first line names the columns; None: if all of its cells are texts, and
            no two alike.

    Returns:
        Its columns, whether they have names rather than numbers from 1, and notes.

    Raises:
        NasError: When it cannot be read, or openpyxl is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of features that openpyxl does not know
            with pd.ExcelFile(path, engine="openpyxl") as workbook:
                sheets = workbook.sheet_names
                cells = workbook.parse(sheets[0], header=None, dtype=object)
    except ImportError as error:
        raise NasError(
            str(path), "needs openpyxl, which is not installed", fix="Run: pip install openpyxl"
        ) from error
    except Exception as error:  # whatever is in the file instead
        problem = f"cannot be read as a workbook ({first_line(error, 120)})"
        raise NasError(str(path), problem, "an .xlsx file") from error
    notes: tuple[str, ...] = ()
    if len(sheets) > 1:
        notes = (f"the first of {len(sheets)} sheets is read, '{sheets[0]}'",)
    cells = cells.dropna(how="all").dropna(how="all", axis=1)
    if not len(cells):
        raise NasError(str(path), "the first sheet is empty", "a header line and rows")
    first = list(cells.iloc[0])
    if header is None:
        texts = [cell for cell in first if isinstance(cell, str)]
        header = len(set(texts)) == len(first)
    rows = cells.iloc[1:] if header else cells
    names = [str(c).strip() for c in first] if header else list(position_names(len(first)))
    columns = {k: _typed(rows.iloc[:, k]) for k in range(len(first))}
    frame = pd.DataFrame(columns).set_axis(names, axis=1)
    return frame, header, notes


def _typed(cells: "pd.Series[Any]") -> "pd.Series[Any]":
    """Numbers and truth values as such where a column holds nothing else."""
    column = cells.reset_index(drop=True)
    dates = column.map(lambda cell: isinstance(cell, pd.Timestamp))
    if dates.any():  # as objects, like those of Parquet
        return column.map(lambda c: c.to_pydatetime() if isinstance(c, pd.Timestamp) else c)
    return column.infer_objects()


def read_arff(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The columns of an ARFF file, and the names of those that are categories.

    Raises:
        NasError: When it cannot be read.
    """
    from scipy.io import arff

    text = read_bytes(path).decode("utf-8", errors="replace")
    try:
        values, meta = arff.loadarff(io.StringIO(text))
    except (arff.ArffError, NotImplementedError, ValueError, StopIteration) as error:
        raise NasError(
            str(path), f"cannot be read ({first_line(error, 120)})",
            "an ARFF file of numbers and categories, not sparse and without text",
        ) from error  # fmt: skip
    names, kinds = meta.names(), meta.types()
    columns: dict[str, Any] = {}
    for name, kind in zip(names, kinds, strict=True):
        column = values[name]
        if kind == "nominal":
            texts = [cell.decode() if isinstance(cell, bytes) else str(cell) for cell in column]
            columns[name] = pd.Series([None if t == "?" else t for t in texts], dtype=object)
        else:
            columns[name] = pd.Series(column)
    categories = tuple(n for n, kind in zip(names, kinds, strict=True) if kind == "nominal")
    return pd.DataFrame(columns), categories


def read_npy(path: Path) -> pd.DataFrame:
    """An array of numbers or text, shape (n_rows, n_columns); columns are named from 1 on.

    Raises:
        NasError: When it cannot be read, or has another shape.
    """
    try:
        array = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise NasError(
            str(path), f"cannot be read ({first_line(error, 120)})", "an array of numbers or text"
        ) from error
    if array.ndim != 2:
        raise NasError(
            str(path),
            f"an array shaped {array.shape}",
            "rows and columns, one of which is the target",
            "Save x and y as an .npz file.",
        )
    return pd.DataFrame(array, columns=list(position_names(array.shape[1])))
