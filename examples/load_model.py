"""Predictions by an exported model with Keras alone; nas is not needed.

Usage: load_model.py MODEL TABLE
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd

MINUS = {0x2212: "-", 0x2013: "-", 0xA0: " ", 0x202F: " ", 0x2009: " ", 0x2019: "'"}  # as printed
MISSING = ["", "?", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "#n/a", "#n/a n/a", "#na"]

model_file, table_file = map(Path, sys.argv[1:])
model: Any = keras.models.load_model(model_file)
# The card beside the model says which columns the model takes, and how their numbers were written.
# Other columns of the table are left out.
card = json.loads(model_file.with_suffix(".json").read_text(encoding="utf-8"))
schema = card["schema"]
decimal, *thousands = schema["marks"]

if table_file.suffix == ".csv":  # as text, so that categories such as 007 stay as they are
    with table_file.open(encoding="utf-8-sig") as file:
        separator = max(",;\t|", key=file.readline().count)
    names = [str(number) for number in range(1, schema["n_unnamed"] + 1)] or None
    table = pd.read_csv(
        table_file,
        sep=separator,
        header=None if names else 0,
        names=names,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
    )
else:
    table = pd.read_parquet(table_file)
table = table.rename(columns=str.strip)


def without(words: Iterable[str], cells: "pd.Series[Any]") -> "pd.Series[Any]":
    """The cells; those that hold one of the words become missing."""
    return cells.mask(cells.astype(str).str.strip().str.casefold().isin(words))


def numbers(cells: "pd.Series[Any]", column: dict[str, Any]) -> npt.NDArray[Any]:
    """Numbers, written as in the training file or plainly; NaN stands for a missing one."""
    cells = without([*MISSING, *map(str.casefold, schema["missing"])], cells)
    if pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_bool_dtype(cells):
        return cells.to_numpy(float, na_value=np.nan)
    text = cells.str.strip().replace({"true": "1", "false": "0"}).str.translate(MINUS)
    in_percent = text.str.endswith("%").fillna(False)
    for mark in thousands:
        text = text.str.replace(mark, "", regex=False)
    text = text.str.replace(decimal, ".", regex=False)
    text = text.str.replace(r"^\((.*)\)$", r"-\1", regex=True)  # (5) is -5
    # What is left beside the number is a currency or a percent sign.
    number = text.str.extract(r"([-+]?)[^-+.\d]*([-+]?[\d.][\d.' ]*(?:[eE][-+]?\d+)?)")
    digits = number[1].str.replace("[' ]", "", regex=True)
    return pd.to_numeric(number[0] + digits) / np.where(in_percent, 100, 1)


def texts(cells: "pd.Series[Any]", column: dict[str, Any]) -> npt.NDArray[Any]:
    """Python strings; an empty cell is a category like any other."""
    cells = without([word.casefold() for word in schema["missing"]], cells.astype(object))
    text = cells.where(cells.notna(), "").map(str).str.strip()
    if column["numbers"]:  # 1.0 is 1
        text = text.str.replace(r"^(-?(?:0|[1-9]\d*))\.0+$", r"\1", regex=True)
    return text.to_numpy(object)


def dates(cells: "pd.Series[Any]", column: dict[str, Any]) -> npt.NDArray[Any]:
    """Days since 1970; NaN stands for a missing date."""
    cells = without([*MISSING, *map(str.casefold, schema["missing"])], cells)
    day_first = column["order"] == "day first"
    read = pd.to_datetime(cells, format="mixed", dayfirst=day_first, errors="coerce", utc=True)
    return ((read - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)).to_numpy(float)


READ = {"numeric": numbers, "categorical": texts, "text": texts, "date": dates}
columns = {
    column["name"]: READ[column["kind"]](table[column["name"]], column)
    for column in schema["columns"]
}
# A model of numbers alone takes an array; one with text or dates takes a dictionary of columns.
features = columns if isinstance(model.input, dict) else np.column_stack(list(columns.values()))
predictions = model.predict(features, verbose=0)
print(predictions[:5])
