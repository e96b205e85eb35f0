"""Each file is run by its own runtime, in an environment that has nothing else."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nas

pytestmark = pytest.mark.slow

READ = """
import json, sys
from pathlib import Path
import numpy as np
assert not any(name == "nas" or name.startswith("nas.") for name in sys.modules)
card = json.loads(Path("model.json").read_text())
rows = json.loads(Path("rows.json").read_text())
columns = card["schema"]["columns"]

def codes():
    inputs = {}
    for k, column in enumerate(columns):
        cells = rows[column["name"]]
        if column["kind"] == "categorical":
            known = card["format"]["vocabularies"][column["name"]]
            places = {text: 1 + i for i, text in enumerate(known)}
            inputs[f"input_{k}"] = np.array([[places.get(c, 0)] for c in cells], np.int32)
        else:
            values = [np.nan if c is None else c - column.get("origin", 0.0) for c in cells]
            inputs[f"input_{k}"] = np.array(values, np.float32)[:, None]
    return inputs
"""
PROGRAMS = {
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
kinds = {"tensor(string)": object, "tensor(float)": np.float32, "tensor(double)": np.float64}
given = {
    i.name: np.array([np.nan if c is None else c for c in rows[i.name]], kinds[i.type])[:, None]
    for i in session.get_inputs()
}
answers = session.run(["probabilities"], given)[0][:, 1]
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter
runner = Interpreter("model.tflite").get_signature_runner()
answers = next(iter(runner(**codes()).values()))[:, 0]
""",
    "openvino": """
import openvino
model = openvino.Core().compile_model("model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answers = next(iter(model(codes()).values()))[:, 0]
""",
}
PACKAGES = {"onnx": "onnxruntime", "litert": "ai-edge-litert", "openvino": "openvino"}
FILES = {"onnx": "model.onnx", "litert": "model.tflite", "openvino": "model.xml"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> nas.Study:
    random, n = np.random.default_rng(0), 200
    colour = random.choice(["red", "green", "blue", ""], n)
    size = random.normal(10, 3, n)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 600, n), unit="D")
    y = np.where((colour == "red") | (size > 11), "yes", "no")
    size[::7] = np.nan
    table = pd.DataFrame({"km/h": size, "the colour": colour, "day": day, "y": y})
    space = {"depth": 1, "width": 8, "epochs": 3, "scaling": "quantile", "embedding": "periodic"}
    folder = tmp_path_factory.mktemp("study")
    return nas.search(
        space, table, "y", trials=1, folds=2, workers=1, device="cpu", quiet=True,
        storage=f"sqlite:///{folder}/nas.db",
    )  # fmt: skip


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_runtime_alone(kind: str, study: nas.Study, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "tf2onnx", "litert": "ai_edge_litert"}.get(kind, kind))
    study.export(tmp_path / FILES[kind])
    features = study.known().dataset.features
    assert isinstance(features, dict)
    rows = pd.DataFrame(features).head(50)
    rows.loc[0, "the colour"] = "unknown"
    cells = {
        name: [None if cell != cell else cell for cell in cells]  # NaN is no JSON
        for name, cells in rows.to_dict(orient="list").items()
    }
    (tmp_path / "rows.json").write_text(json.dumps(cells))
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "numpy", PACKAGES[kind]]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip(f"{PACKAGES[kind]} cannot be installed here")
    program = READ + PROGRAMS[kind] + "\nnp.save('answers.npy', answers)\n"
    done = subprocess.run(
        [python, "-I", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    given = {k: np.asarray(v) for k, v in rows.items()}
    expected = study.model().predict(
        {k: v.astype(object) if k == "the colour" else v for k, v in given.items()}, verbose=0
    )
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), expected[:, 0], atol=1e-5)


@pytest.mark.parametrize("kind", ["keras", "savedmodel"])
def test_tensorflow_without_nas(kind: str, study: nas.Study, tmp_path: Path) -> None:
    path = tmp_path / ("model.keras" if kind == "keras" else "model")
    study.export(path, format=kind)
    program = f"""
import sys
sys.modules["nas"] = None
if {kind == "keras"}:
    import keras
    model = keras.models.load_model({str(path)!r})
else:
    import tensorflow as tf
    model = tf.saved_model.load({str(path)!r})
print(type(model).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
