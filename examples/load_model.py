"""The exported winner in plain Keras; nas is not needed. Usage: load_model.py MODEL TABLE"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd

MISSING = ("", "?", "na", "n/a", "nan", "null", "none")  # in a column of numbers

model_file, table_file = map(Path, sys.argv[1:])
model = keras.models.load_model(model_file)
# The card beside the model says which columns it takes. All others are left out.
card = json.loads(model_file.with_suffix(".json").read_text(encoding="utf-8"))

if table_file.suffix == ".csv":  # as text, so that categories such as 007 stay as they are
    with table_file.open(encoding="utf-8") as file:
        separator = max(",;\t", key=file.readline().count)
    table = pd.read_csv(
        table_file, sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True
    )
else:
    table = pd.read_parquet(table_file)


def numbers(cells, column):
    """Numbers, where NaN is a missing one. `column` is what the card says of it."""
    words = cells.astype(str).str.strip().str.casefold()
    return pd.to_numeric(cells.mask(words.isin(MISSING))).to_numpy(float, na_value=np.nan)


def texts(cells, column):
    """Python strings; an empty cell is a category like any other."""
    return cells.astype(object).where(cells.notna(), "").map(str).to_numpy(object)


columns = {
    column["name"]: (numbers if column["kind"] == "numeric" else texts)(
        table[column["name"]], column
    )
    for column in card["schema"]["columns"]
}
# With text columns the model takes a dictionary of columns, without them one array of numbers.
features = columns if isinstance(model.input, dict) else np.column_stack(list(columns.values()))
predictions = model.predict(features, verbose=0)
print(predictions[:5])
