"""A Keras model and its card written in another format, and what the file then answers."""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from nas.data import Features, Schema, take_rows
from nas.encoding.keras_form import model_inputs
from nas.errors import NasError, first_line
from nas.formats.core import Core, core_of, gelu_by_erf, with_plain_names
from nas.formats.endings import EXTRAS, Format
from nas.model_card import n_values
from nas.preparation import Known

COMPARED_ROWS = 1000
LARGEST_DIFFERENCE = 1e-5  # of a probability, or of a value as a share of the target's range


@dataclass(frozen=True)
class Written:
    """A model in another format.

    Attributes:
        path: The file, or the folder of a SavedModel.
        difference: The largest difference to what Keras answers, of probabilities, or of values as
            a share of the range of what Keras answers.
        n_rows: On how many rows.
        vocabularies: Texts by column and code, for a runtime that has no texts.
        inputs: What the input of a column is called, where it is not called like the column.
    """

    path: Path
    difference: float
    n_rows: int
    vocabularies: Mapping[str, list[str]]
    inputs: Mapping[str, str]


def convert_model(
    model: keras.Model, card: Mapping[str, Any], path: Path, kind: Format, known: Known
) -> dict[str, Any]:
    """Writes a Keras model in another format.

    Args:
        model: A model of `nas export`.
        card: Its card.
        path: Where to write.
        kind: The format.
        known: The data of its study, on whose rows the answers are compared.

    Returns:
        What is known of it, for its card.
    """
    split = known.split
    rows = (split.test if len(split.test) else split.development)[:COMPARED_ROWS]
    written = write(model, card, path, kind, take_rows(known.dataset.features, rows))
    return asdict(written) | {"name": kind, "path": path.name}


def write(
    model: keras.Model, card: Mapping[str, Any], path: Path, kind: Format, features: Features
) -> Written:
    """Writes a model, and compares what the file answers with what Keras answers.

    Args:
        model: A model of `nas export`.
        card: Its card.
        path: Where to write; what is there is replaced once the new one is right.
        kind: The format.
        features: Rows to compare on.

    Raises:
        NasError: When a package is missing, the model cannot be converted, or the answers differ.
    """
    schema = Schema.from_dict(card["schema"])
    expected = np.asarray(model.predict(model_inputs(features), verbose=0), np.float64)
    expected = as_answers(expected, card)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".nas-") as folder:
        partial = Path(folder) / path.name
        with _told(path, kind):
            vocabularies: Mapping[str, list[str]] = {}
            inputs: Mapping[str, str] = {}
            if kind == "savedmodel":
                plain, inputs = with_plain_names(model, schema)
                plain.export(partial, format="tf_saved_model", verbose=False)
                found = _ask_saved_model(partial, inputs, features)
            else:
                core = core_of(model, schema, in_32_bits=kind == "litert")
                if kind != "onnx":
                    vocabularies = core.vocabularies
                    inputs = {c.name: f"input_{k}" for k, c in enumerate(schema.columns)}
                write_core, ask = WRITERS[kind]
                with gelu_by_erf(core.model):
                    core.model.predict(core.inputs(features), verbose=0)  # some ask for that
                    write_core(core, card, partial)
                found = ask(partial, core, features)
        answers = found if kind == "onnx" else as_answers(found, card)
        span = np.ptp(expected, axis=0) if card["task"] == "regression" else np.ones(1)
        span = np.where(span > 0.0, span, 1.0)
        difference = float(np.max(np.abs(answers - expected) / span))
        if not difference <= LARGEST_DIFFERENCE:
            raise NasError(
                str(path),
                f"answers differ from those of Keras by {difference:.2g}",
                f"at most {LARGEST_DIFFERENCE:g}",
            )
        for part in [*Path(folder).iterdir()]:  # of OpenVINO two files
            target = path.parent / part.name
            if target.is_dir():
                shutil.rmtree(target)
            part.replace(target)
    return Written(path, difference, len(expected), vocabularies, inputs)


def as_answers(outputs: NDArray[Any], card: Mapping[str, Any]) -> NDArray[np.float64]:
    """Probabilities with a column for each class, or values, shape (n_rows,).

    Of several targets or quantiles values of each, shape (n_rows, n_values).
    """
    outputs = np.asarray(outputs, np.float64)
    if card["task"] == "binary":
        outputs = outputs.reshape(-1, 1)
        return np.concatenate([1.0 - outputs, outputs], axis=1)
    has_columns = card["task"] == "multiclass" or n_values(card) > 1
    return outputs if has_columns else outputs.reshape(-1)


@contextmanager
def _told(path: Path, kind: Format) -> Any:
    """Tells a package that is missing, or what a converter cannot do, in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the converters, for their developers
            yield
    except ImportError as error:
        package = f"nas[{EXTRAS[kind]}]" if kind in EXTRAS else "tensorflow"
        raise NasError(
            "--format", f"'{kind}' needs a package that is not installed ({error.name})",
            fix=f"Run: pip install '{package}'",
        ) from error  # fmt: skip
    except NasError:
        raise
    except Exception as error:  # each converter has its own
        raise NasError(
            str(path), f"cannot be converted to {kind} ({first_line(error, 160)})"
        ) from error


def _ask_saved_model(path: Path, names: Mapping[str, str], features: Features) -> NDArray[Any]:
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    wanted = serve.structured_input_signature[1]
    given = model_inputs(features)
    if not names:
        (name,) = wanted
        tensors = {name: tf.constant(given, wanted[name].dtype)}
    else:
        tensors = {
            plain: tf.constant(given[column][:, None], wanted[plain].dtype)
            for column, plain in names.items()
        }
    return np.asarray(next(iter(serve(**tensors).values())))


def _write_litert(core: Core, card: Mapping[str, Any], path: Path) -> None:
    import ai_edge_litert  # noqa: F401  # which says at once that it is missing

    core.model.export(path, format="litert", verbose=False)


def _ask_litert(path: Path, core: Core, features: Features) -> NDArray[Any]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path)).get_signature_runner()
    inputs = core.inputs(features)
    names = [f"input_{k}" for k in range(len(inputs))]
    outputs = runner(**dict(zip(names, inputs, strict=True)))
    return np.asarray(next(iter(outputs.values())))


def _write_openvino(core: Core, card: Mapping[str, Any], path: Path) -> None:
    core.model.export(str(path), format="openvino", verbose=False)


def _ask_openvino(path: Path, core: Core, features: Features) -> NDArray[Any]:
    import openvino as ov

    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [f"input_{k}" for k in range(len(core.model.inputs))]
    outputs = compiled(dict(zip(names, core.inputs(features), strict=True)))
    return np.asarray(next(iter(outputs.values())))


def _write_onnx(core: Core, card: Mapping[str, Any], path: Path) -> None:
    from nas.formats.onnx_file import write_onnx

    write_onnx(core, card, path)


def _ask_onnx(path: Path, core: Core, features: Features) -> NDArray[Any]:
    from nas.formats.onnx_file import ask_onnx

    return ask_onnx(path, core.schema, features)


Writer = Callable[[Core, Mapping[str, Any], Path], None]
Asker = Callable[[Path, Core, Features], NDArray[Any]]
WRITERS: dict[str, tuple[Writer, Asker]] = {
    "onnx": (_write_onnx, _ask_onnx),
    "litert": (_write_litert, _ask_litert),
    "openvino": (_write_openvino, _ask_openvino),
}
