"""ONNX: the core, with tables of texts before it and the names of the classes behind it.

One file, which takes raw columns by their names, texts too, and needs onnxruntime alone.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from nas.data import Features, Schema
from nas.formats.core import Core
from nas.model_card import n_values

OPSET = 18
ML_OPSET = 2  # as the converter has it
TYPES = {
    "categorical": TensorProto.STRING,
    "date": TensorProto.DOUBLE,
    "numeric": TensorProto.FLOAT,
}


def write_onnx(core: Core, card: Mapping[str, Any], path: Path) -> None:
    """Writes a core as one ONNX file.

    Its inputs are the columns by their names, each of shape (n, 1): float32 for numbers, float64
    for dates (days since 1970), text for categories; or `features`, as an array. Its outputs are
    `probabilities`, a column for each class, and `label`; or `value`, each shape (n, ...).

    Args:
        core: What to write.
        card: The card of the model, for its classes and its task.
        path: The `.onnx` file.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "core.onnx"
        core.model.export(file, format="onnx", opset_version=OPSET, verbose=False)
        middle = onnx.load(file)
    middle = compose.add_prefix(middle, "core/")
    given = [value.name for value in middle.graph.input]
    (out,) = (value.name for value in middle.graph.output)
    names = [f"input_{k}" for k in range(len(core.model.inputs))]
    order = [next(g for g in given if _is(g, name)) for name in names]
    before = _before(core, middle, order)
    whole = compose.merge_models(
        before, middle, io_map=[(f"before/{name}", g) for name, g in zip(names, order, strict=True)]
    )
    kind = whole.graph.output[0].type.tensor_type.elem_type
    behind = _behind(card, middle, out, kind)
    whole = compose.merge_models(whole, behind, io_map=[(out, f"behind/{out}")])
    known = {"task": card["task"], "classes": json.dumps(card["classes"])}
    helper.set_model_props(whole, {**known, "nas_version": card["nas_version"]})
    onnx.checker.check_model(whole, full_check=True)
    onnx.save(whole, path)


def _is(given: str, name: str) -> bool:
    """Whether a converter's name for an input, such as `core/input_1:0`, is that one."""
    return given.removeprefix("core/").split(":")[0] == name


def _model(nodes: Sequence[Any], name: str, inputs: Any, outputs: Any, like: Any) -> Any:
    opsets = [helper.make_opsetid("", _opset(like)), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    graph = helper.make_graph(nodes, name, inputs, outputs)
    return helper.make_model(graph, opset_imports=opsets, ir_version=like.ir_version)


def _opset(model: Any) -> int:
    return int(next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx")))


def _before(core: Core, middle: Any, order: Sequence[str]) -> Any:
    """Columns by their names to what the core takes: texts become codes."""
    nodes, inputs, outputs = [], [], []
    shapes = {value.name: value.type.tensor_type for value in middle.graph.input}
    columns: list[tuple[str, str]] = [("features", "numeric")]
    if core.schema.is_table:
        columns = [(column.name, column.kind) for column in core.schema.columns]
    for k, ((name, kind), wanted) in enumerate(zip(columns, order, strict=True)):
        output, shape = f"before/input_{k}", _shape(shapes[wanted])
        inputs.append(helper.make_tensor_value_info(name, TYPES[kind], shape))
        outputs.append(helper.make_tensor_value_info(output, shapes[wanted].elem_type, shape))
        if kind == "numeric":
            nodes.append(helper.make_node("Identity", [name], [output]))
            continue
        if kind == "date":
            origin = np.array(core.schema.columns[k].origin)
            value = numpy_helper.from_array(origin, f"origin_{k}")
            nodes += [
                helper.make_node("Constant", [], [f"origin_{k}"], value=value),
                helper.make_node("Sub", [name, f"origin_{k}"], [f"since_{k}"]),
                helper.make_node("Cast", [f"since_{k}"], [output], to=TensorProto.FLOAT),
            ]
            continue
        texts = core.vocabularies[name]
        nodes += [
            helper.make_node(
                "LabelEncoder",
                [name],
                [f"codes_{k}"],
                domain="ai.onnx.ml",
                keys_strings=texts,
                values_int64s=range(1, len(texts) + 1),
                default_int64=0,
            ),
            helper.make_node("Cast", [f"codes_{k}"], [output], to=TensorProto.INT32),
        ]
    return _model(nodes, "before", inputs, outputs, middle)


def _shape(tensor: Any) -> list[Any]:
    sizes = [dimension.dim_value for dimension in tensor.shape.dim]
    return ["n", *sizes[1:]]


def _behind(card: Mapping[str, Any], middle: Any, out: str, kind: int) -> Any:
    """Outputs of the core to probabilities and labels, or values."""
    source, classes = f"behind/{out}", card["classes"]
    n_out = len(classes) if card["task"] == "multiclass" else n_values(card)
    inputs = [helper.make_tensor_value_info(source, kind, ["n", n_out])]
    if card["task"] == "regression":
        nodes = [helper.make_node("Identity", [source], ["value"])]
        outputs = [helper.make_tensor_value_info("value", kind, ["n", n_out])]
        return _model(nodes, "behind", inputs, outputs, middle)
    nodes = []
    if card["task"] == "binary":
        one = numpy_helper.from_array(np.array(1.0, np.float32), "one")
        nodes += [
            helper.make_node("Constant", [], ["one"], value=one),
            helper.make_node("Sub", ["one", source], ["other"]),
            helper.make_node("Concat", ["other", source], ["probabilities"], axis=1),
        ]
    else:
        nodes.append(helper.make_node("Identity", [source], ["probabilities"]))
    is_text = not all(isinstance(label, int) for label in classes)
    labels = (
        {"values_strings": list(map(str, classes))}
        if is_text
        else {"values_int64s": list(map(int, classes))}
    )
    default = {"default_string": ""} if is_text else {"default_int64": -1}
    nodes += [
        helper.make_node("ArgMax", ["probabilities"], ["number"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder",
            ["number"],
            ["label"],
            domain="ai.onnx.ml",
            keys_int64s=range(len(classes)),
            **labels,
            **default,
        ),
    ]
    label_type = TensorProto.STRING if is_text else TensorProto.INT64
    outputs = [
        helper.make_tensor_value_info("probabilities", kind, ["n", len(classes)]),
        helper.make_tensor_value_info("label", label_type, ["n"]),
    ]
    return _model(nodes, "behind", inputs, outputs, middle)


def onnx_inputs(schema: Schema, features: Features) -> dict[str, NDArray[Any]]:
    """Features as the file takes them."""
    if not schema.is_table:
        return {"features": np.asarray(features, np.float32)}
    assert not isinstance(features, np.ndarray)
    dtypes = {"categorical": object, "date": np.float64, "numeric": np.float32}
    return {
        column.name: np.asarray(features[column.name], dtypes[column.kind])[:, None]
        for column in schema.columns
    }


def ask_onnx(path: Path, schema: Schema, features: Features) -> NDArray[Any]:
    """Probabilities with a column for each class, or values, shape (n_rows,)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answers = session.run(None, onnx_inputs(schema, features))
    first = np.asarray(answers[0], np.float64)
    is_value = session.get_outputs()[0].name == "value" and first.shape[1] == 1
    return first[:, 0] if is_value else first
