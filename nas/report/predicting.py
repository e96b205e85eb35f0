"""Short programs that predict with a saved model, for its page: by its format, and for columns of
texts and dates (`TABLE`) or rows of numbers (`ROWS`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

KERAS = """\
import keras, numpy as np, pandas as pd

model = keras.models.load_model("{file}")
{rows}
print(model.predict(given))"""
KERAS_TABLE = """\
rows, given = pd.read_csv("rows.csv", dtype=str, keep_default_na=False), {}
for name, tensor in model.input.items():  # a date is days since 1970
    is_text = tensor.dtype == "string"
    numbers = pd.to_numeric(rows[name], errors="coerce").to_numpy(float)
    given[name] = rows[name].to_numpy(object) if is_text else numbers"""
SAVED_TABLE = """\
import json, pandas as pd, tensorflow as tf
from pathlib import Path

serve = tf.saved_model.load("{file}").signatures["serving_default"]
wanted = serve.structured_input_signature[1]
rows, given = pd.read_csv("rows.csv", dtype=str, keep_default_na=False), {{}}
for column, name in json.loads(Path("{card}").read_text())["format"]["inputs"].items():
    cells = rows[[column]]  # a date is days since 1970
    if wanted[name].dtype != tf.string:
        cells = cells.apply(pd.to_numeric, errors="coerce")
    given[name] = tf.constant(cells.to_numpy(), wanted[name].dtype)
print(serve(**given))"""
SAVED_ROWS = """\
import numpy as np, pandas as pd, tensorflow as tf

serve = tf.saved_model.load("{file}").signatures["serving_default"]
((name, wanted),) = serve.structured_input_signature[1].items()
{rows}
print(serve(**{{name: tf.constant(given, wanted.dtype)}}))"""
ONNX_TABLE = """\
import numpy as np, onnxruntime, pandas as pd

session = onnxruntime.InferenceSession("{file}")
rows, given = pd.read_csv("rows.csv", dtype=str, keep_default_na=False), {{}}
for i in session.get_inputs():  # a date is days since 1970
    cells, is_text = rows[[i.name]], "string" in i.type
    numbers = cells.apply(pd.to_numeric, errors="coerce")
    kind = np.float64 if "double" in i.type else np.float32
    given[i.name] = cells.to_numpy(object) if is_text else numbers.to_numpy(kind)
print(session.run(None, given))"""
ONNX_ROWS = """\
import numpy as np, onnxruntime, pandas as pd

session = onnxruntime.InferenceSession("{file}")
{rows}
print(session.run(None, {{"features": given.astype(np.float32)}}))"""
CORE_TABLE = """\
import json, numpy as np, pandas as pd
from pathlib import Path
{importing}

card = json.loads(Path("{card}").read_text())
rows, given = pd.read_csv("rows.csv", dtype=str, keep_default_na=False), {{}}
for k, column in enumerate(card["schema"]["columns"]):
    cells = rows[[column["name"]]]
    if column["kind"] == "categorical":
        known = card["format"]["vocabularies"][column["name"]]
        codes = {{text: 1 + place for place, text in enumerate(known)}}
        given[f"input_{{k}}"] = cells.map(lambda text: codes.get(text, 0)).to_numpy(np.int32)
    else:  # a date is days since 1970, less column["origin"]
        numbers = cells.apply(pd.to_numeric, errors="coerce")
        given[f"input_{{k}}"] = numbers.to_numpy(np.float32)
print({asking})"""
CORE_ROWS = """\
import numpy as np, pandas as pd
{importing}

{rows}
given = {{"input_0": given.astype(np.float32)}}
print({asking})"""
OPENVINO = """\
openvino.Core().compile_model("{file}", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})(given)"""
LITERT = 'Interpreter("{file}").get_signature_runner()(**given)'
ASKING = {
    "litert": ("from ai_edge_litert.interpreter import Interpreter", LITERT),
    "openvino": ("import openvino", OPENVINO),
}
MOST_NAMES = 30  # of columns in a program


def program(card: Mapping[str, Any], path: Path) -> str:
    """A program that predicts with the file."""
    columns = card["schema"]["columns"]
    is_table = any(column["kind"] != "numeric" for column in columns)
    rows = KERAS_TABLE
    if not is_table and columns:
        names = [column["name"] for column in columns]
        chosen = f"[{names!r}]" if len(names) <= MOST_NAMES else ""
        rows = f'given = pd.read_csv("rows.csv"){chosen}.to_numpy(np.float32)'
    elif not is_table:
        rows = 'given = np.load("rows.npz")["x"]'
    kind = card.get("format", {}).get("name", "keras")
    names_of_files = {"file": path.name, "card": path.with_suffix(".json").name}
    match kind:
        case "savedmodel":
            text = SAVED_TABLE if is_table else SAVED_ROWS
        case "onnx":
            text = ONNX_TABLE if is_table else ONNX_ROWS
        case "litert" | "openvino":
            importing, asking = ASKING[kind]
            names_of_files |= {"importing": importing, "asking": asking.format(file=path.name)}
            text = CORE_TABLE if is_table else CORE_ROWS
        case _:
            text = KERAS
    return text.format(rows=rows, **names_of_files)
