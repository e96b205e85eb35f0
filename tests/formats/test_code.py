"""The program of a winner runs without nas, and has about its score."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

import nas
from nas.data import Column, DataOptions, Schema, SplitOptions
from nas.errors import NasError
from nas.formats.code_of_data import check_data

pytestmark = pytest.mark.long

USUAL = {"optimizer": "adamw", "schedule": "cosine", "warmup": 0.05, "decay_to": 0.0}
SMALL = {"depth": 1, "width": 32, "epochs": 12, "learning_rate": 0.01, "batch_size": 32, **USUAL}
NETWORKS = {
    "plain": {**SMALL, "label_smoothing": 0.1, "weight_decay": 0.01},
    "periodic": {**SMALL, "embedding": "periodic", "scaling": "quantile", "frequency_scale": 0.1},
    "piecewise": {**SMALL, "embedding": "piecewise", "bins": 8, "scaling": "robust", "members": 3},
    "deep": {
        **SMALL, "depth": 4, "width": [32], "normalization": "batch", "residual": True,
        "optimizer": "sgd", "momentum": 0.9, "schedule": "constant", "warmup": 0.0,
    },
}  # fmt: skip


def run(folder: Path, *, tolerance: float, data: Any, target: Any = None, **options: Any) -> None:
    space = options.pop("space")
    study = nas.search(
        space, data, target, trials=1, folds=2, workers=1, device="cpu", confirm=0, quiet=True,
        storage=f"sqlite:///{folder}/nas.db", name="study", **options,
    )  # fmt: skip
    path = study.export(folder / "winner.py")
    text = path.read_text()
    assert "nas" not in re.findall(r"(?:import|from) (\w+)", text)
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stderr[-2000:]}"
    found = float(done.stdout.rsplit(":", 1)[1])
    expected = study.best.test_value
    assert expected is not None and found == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_digits(name: str, tmp_path: Path) -> None:
    run(tmp_path, space=NETWORKS[name], data="digits", tolerance=0.04)


def test_a_table_of_numbers_texts_and_dates(tmp_path: Path) -> None:
    random, n = np.random.default_rng(0), 400
    colour = random.choice(["red", "green", "blue"], n)
    size = random.normal(10, 3, n)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 600, n), unit="D")
    y = np.where((colour == "red") ^ (size > 11) ^ (day.day_of_week > 4), "yes", "no")
    size[::9] = np.nan
    table = pd.DataFrame({"km/h": size, "the colour": colour, "day": day, "y": y})
    table.to_csv(tmp_path / "table.csv", index=False)
    space = {**NETWORKS["periodic"], "epochs": 60, "width": 64}
    data = str(tmp_path / "table.csv")
    run(tmp_path, space=space, data=data, target="y", tolerance=0.12, metric="balanced_accuracy")


def test_a_regression_from_an_archive(tmp_path: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    run(tmp_path, space=NETWORKS["plain"] | {"label_smoothing": 0.0},
        data=str(tmp_path / "data.npz"), tolerance=0.08)  # fmt: skip


def test_a_convolutional_network(tmp_path: Path) -> None:
    words = {
        "blocks": 2,
        "filters": 8,
        "residual": True,
        "head_depth": 1,
        "epochs": 8,
        "shift": 0.1,
    }
    space = nas.SearchSpace({**words, "learning_rate": 0.01}, "small", network="cnn")
    run(tmp_path, space=space, data="digits", tolerance=0.1)


def test_what_a_program_cannot_do_again(tmp_path: Path) -> None:
    def searched(name: str, **options: Any) -> nas.Study:
        return nas.search(
            {**SMALL, "epochs": 1, **options.pop("words", {})}, "digits", trials=1, folds=2,
            workers=1, device="cpu", quiet=True, storage=f"sqlite:///{tmp_path}/nas.db", name=name,
            **options,
        )  # fmt: skip

    with pytest.raises(NasError, match="'code' for a search with max_rows"):
        searched("few", max_rows=300).export(tmp_path / "a.py")
    with pytest.raises(NasError, match="'code' for a search with class_weight"):
        searched("same", class_weight="balanced").export(tmp_path / "a.py")
    with pytest.raises(NasError, match="'code' for schedule: cos_log"):
        searched("log", words={"schedule": "cos_log"}).export(tmp_path / "a.py")
    with pytest.raises(NasError, match="'code' for several networks"):
        searched("few", max_rows=300).export(tmp_path / "a.py", ensemble=2)
    assert not (tmp_path / "a.py").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("latin.csv", "another encoding than UTF-8"),
        ("part-*.csv", "for .*part-"),
        ("a.xlsx", "for "),
    ],
)
def test_files_that_a_program_cannot_read(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "latin.csv").write_bytes("größe,y\n1,2\n".encode("cp1252"))
    (tmp_path / "utf.csv").write_text("größe,y\n1,2\n", encoding="utf-8")
    schema = Schema((Column("größe", "numeric"),), (1,))
    with pytest.raises(NasError, match=told):
        check_data(DataOptions(str(tmp_path / name)), SplitOptions(), schema)
    check_data(DataOptions(str(tmp_path / "utf.csv")), SplitOptions(), schema)
