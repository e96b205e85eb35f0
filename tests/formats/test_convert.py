"""Models in other formats answer as Keras does, with raw rows."""

import json
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris

import nas
from nas.data import Schema
from nas.encoding.keras_form import ignore_input_names
from nas.errors import NasError
from nas.formats.convert import write
from nas.formats.endings import format_of
from nas.space.vocabulary import WORDS

pytestmark = pytest.mark.long

PACKAGES = {"onnx": "tf2onnx", "litert": "ai_edge_litert", "openvino": "openvino"}
FORMATS = ["savedmodel", "onnx", "litert", "openvino"]
PATHS = {
    "keras": "model.keras",
    "savedmodel": "model",
    "onnx": "model.onnx",
    "litert": "model.tflite",
}
SMALL = {"depth": 1, "width": 8, "epochs": 3, "learning_rate": 0.01}


def mixed() -> pd.DataFrame:
    """Numbers, texts and dates, each with missing ones, and a target of two texts."""
    random, n = np.random.default_rng(0), 160
    colour = random.choice(["red", "green", "blue", ""], n)
    size = random.normal(10, 3, n)
    size[::7] = np.nan
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 600, n), unit="D")
    y = np.where((colour == "red") | (size > 11), "yes", "no")
    return pd.DataFrame({"km/h": size, "the colour": colour, "day": days, "y": y})


def reviews() -> pd.DataFrame:
    """A number and a text, of which one word tells the target."""
    random, n = np.random.default_rng(1), 160
    words = "film plot actor scene music story long short night day".split()
    y = random.integers(0, 2, n)
    texts = [
        f"A {'splendid' if good else 'dreadful'} " + " ".join(random.choice(words, 5)) + "!"
        for good in y
    ]
    return pd.DataFrame({"length": random.normal(size=n), "review": texts, "y": y})


def searched(folder: Path, data: Any, target: Any, space: Any = None, **options: Any) -> nas.Study:
    return nas.search(
        space or SMALL, data, target, trials=2, folds=2, workers=1, device="cpu", confirm=0,
        storage=f"sqlite:///{folder}/nas.db", quiet=True, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, nas.Study]:
    folder = tmp_path_factory.mktemp("studies")
    table = {**SMALL, "embedding": "periodic", "scaling": "quantile", "label_smoothing": 0.1}
    many = {**SMALL, "embedding": "piecewise", "bins": 4, "scaling": "robust", "members": 2}
    images = {"blocks": 1, "filters": 4, "epochs": 1, "normalization": "batch"}
    return {
        "mixed": searched(folder, mixed(), "y", table, name="mixed"),
        "iris": searched(folder, *load_iris(return_X_y=True), many, name="iris"),
        "diabetes": searched(
            folder, *load_diabetes(return_X_y=True), name="diabetes", target_scaling="log"
        ),
        "reviews": searched(folder, reviews(), "y", name="reviews"),
        "digits": searched(
            folder, "digits", None, nas.SearchSpace(images, "images", network="cnn"), name="digits",
            max_rows=200,
        ),
    }  # fmt: skip


def run_page(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the program of the page about a model, on rows of its data."""
    monkeypatch.chdir(path.parent)
    rows = {"mixed": mixed, "reviews": reviews}
    if name in rows:
        table = rows[name]().head(20)
        if "day" in table:
            table["day"] = (table["day"] - pd.Timestamp(0)) / pd.Timedelta(days=1)
        table.to_csv("rows.csv", index=False)
    else:
        loaded = {"iris": load_iris, "diabetes": load_diabetes, "digits": load_digits}[name]
        x = loaded(return_X_y=True)[0][:20]
        np.savez("rows.npz", x=x.reshape(-1, 8, 8) if name == "digits" else x)
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    program = page.split("```python\n")[1].split("\n```")[0]
    with warnings.catch_warnings():
        ignore_input_names()
        exec(compile(program, "page", "exec"), {})
    for file in ("rows.csv", "rows.npz"):
        Path(file).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *product(["mixed", "iris", "diabetes", "digits"], ["keras", *FORMATS]),
        ("reviews", "keras"),
        ("reviews", "savedmodel"),  # others are refused
    ],
)
def test_a_winner_answers_alike(
    studies: dict[str, nas.Study],
    name: str,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(PACKAGES.get(kind, "tensorflow"))
    path = tmp_path / PATHS.get(kind, "model.xml")
    studies[name].export(path, format=kind)
    card = json.loads(path.with_suffix(".json").read_text())
    if kind != "keras":
        assert card["format"]["name"] == kind
        assert card["format"]["difference"] <= 1e-5
        assert card["format"]["n_rows"] >= 30
    found = sorted(file.name for file in tmp_path.iterdir())
    run_page(path, name, monkeypatch)
    written = {path.name, "model.json", "model.md", *["model.bin"] * (kind == "openvino")}
    assert found == sorted(written)


@pytest.mark.parametrize("kind", [*FORMATS[1:], "code"])
def test_text_is_for_tensorflow_alone(
    studies: dict[str, nas.Study], kind: str, tmp_path: Path
) -> None:
    pytest.importorskip(PACKAGES.get(kind, "tensorflow"))
    path = tmp_path / ("model.py" if kind == "code" else PATHS.get(kind, "model.xml"))
    with pytest.raises(NasError, match="format: ") as caught:
        studies["reviews"].export(path, format=kind)
    assert "text" in caught.value.received
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kind", FORMATS[1:])
def test_every_activation_is_converted(kind: str, tmp_path: Path) -> None:
    pytest.importorskip(PACKAGES[kind])
    inputs = keras.Input((3,), name="features")
    names = WORDS["activation"].choices
    each = [keras.layers.Activation(name)(keras.layers.Dense(2)(inputs)) for name in names]
    each.append(keras.layers.Dense(2, activation="gelu")(inputs))
    outputs = keras.layers.Dense(1, "sigmoid")(keras.layers.Concatenate()(each))
    schema = Schema((), (3,)).to_dict()
    card = {"task": "binary", "classes": [0, 1], "schema": schema, "nas_version": "0"}
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    model = keras.Model(inputs, outputs)
    before = model.predict(rows, verbose=0)
    path = tmp_path / PATHS.get(kind, "model.xml")
    assert write(model, card, path, kind, rows).difference <= 1e-5  # type: ignore[arg-type]
    np.testing.assert_array_equal(model.predict(rows, verbose=0), before)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_ensemble_answers_alike(
    studies: dict[str, nas.Study], kind: str, tmp_path: Path
) -> None:
    pytest.importorskip(PACKAGES.get(kind, "tensorflow"))
    path = tmp_path / PATHS.get(kind, "model.xml")
    # The folds know other categories; a temperature comes last.
    studies["mixed"].export(path, format=kind, ensemble="folds", calibrate=True, workers=1)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["format"]["difference"] <= 1e-5
    assert card["ensemble"]["kind"] == "folds"


def test_an_onnx_file_takes_raw_texts_and_tells_labels(
    studies: dict[str, nas.Study], tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    study, table = studies["mixed"], mixed()
    table.loc[:5, "the colour"] = "unknown"
    study.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [i.name for i in session.get_inputs()] == ["km/h", "the colour", "day"]
    probabilities, labels = session.run(
        ["probabilities", "label"],
        {
            "km/h": table[["km/h"]].to_numpy(np.float32),
            "the colour": table[["the colour"]].to_numpy(object),
            "day": (table[["day"]] - pd.Timestamp(0)).to_numpy() / np.timedelta64(1, "D"),
        },
    )
    expected = study.predict_proba(table)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert list(labels) == list(study.predict(table))


def test_a_format_goes_by_the_ending() -> None:
    assert format_of(Path("a.onnx"), None) == "onnx"
    assert format_of(Path("a"), "savedmodel") == "savedmodel"
    with pytest.raises(NasError, match=r"a.h5: the ending '.h5'; expected .keras, .onnx"):
        format_of(Path("a.h5"), None)
    with pytest.raises(NasError, match=r"format: got 'onx'.*Did you mean 'onnx'"):
        format_of(Path("a.onnx"), "onx")
    with pytest.raises(NasError, match=r"the ending '.tflite' for format onnx; expected .onnx"):
        format_of(Path("a.tflite"), "onnx")
