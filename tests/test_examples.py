"""The examples run as they stand."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(folder: Path, *command: object, **environment: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = [path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")]
    assert len(names) == 4
    assert all(f'"{name}"' in text for name in names)


def test_default_search(tmp_path: Path) -> None:
    out = run(tmp_path, "sh", EXAMPLES / "default_search.sh", TRIALS="12")
    assert "Winner" in out and "fANOVA" in out
    assert (tmp_path / "importance.html").exists()
    assert (tmp_path / "studies" / "mlp_depth.keras").exists()


def test_csv_search_and_load_model(tmp_path: Path, data_dir: Path) -> None:
    lines = (data_dir / "adult.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "sample.csv").write_text("".join(lines[:3001]), encoding="utf-8")
    run(tmp_path, "sh", EXAMPLES / "csv_search.sh", "sample.csv", "income", TRIALS="3")
    with (tmp_path / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3000
    assert {row["prediction"] for row in rows} == {"<=50K", ">50K"}
    incomes = [line.rsplit(",", 1)[1].strip() for line in lines[1:3001]]
    right = sum(row["prediction"] == income for row, income in zip(rows, incomes, strict=True))
    assert right / 3000 > 0.83
    out = run(tmp_path, sys.executable, EXAMPLES / "load_model.py", "winner.keras", "sample.csv")
    first = float(out.replace("[", " ").replace("]", " ").split()[0])
    assert first == pytest.approx(float(rows[0]["p_>50K"]), abs=1e-4)


def test_space_in_python(tmp_path: Path) -> None:
    out = run(tmp_path, sys.executable, EXAMPLES / "space_in_python.py")
    assert "weights" in out
    run(tmp_path, sys.executable, "-m", "nas", "space", "check", "mine.yaml")
