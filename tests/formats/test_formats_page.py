"""The programs of docs/formats.md work on the files that its commands write."""

import re
from pathlib import Path

import numpy as np
import pytest

import nas

pytestmark = pytest.mark.long
PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


def test_the_programs_of_the_page(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("onnxruntime", "tf2onnx", "ai_edge_litert"):
        pytest.importorskip(package)
    lines = (data_dir / "adult.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "adult.csv").write_text("".join(lines[:601]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    small = {"depth": 1, "width": 8, "epochs": 2}
    study = nas.search(
        small, "adult.csv", "income", trials=1, folds=2, workers=1, device="cpu", quiet=True
    )
    expected = study.predict_proba("adult.csv").to_numpy()[:10]
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found = []
    for program, file in zip(programs, ("best.onnx", "best.tflite"), strict=True):
        study.export(file)
        names: dict[str, object] = {}
        exec(compile(program, str(PAGE), "exec"), names)
        found.append(names)
    onnx, litert = found
    np.testing.assert_allclose(onnx["probabilities"], expected, atol=1e-5)
    assert set(onnx["labels"]) <= {"<=50K", ">50K"}
    (answers,) = litert["answers"].values()
    np.testing.assert_allclose(answers[:, 0], expected[:, 1], atol=1e-5)
