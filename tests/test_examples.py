"""The examples run as they stand."""

import csv
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import parse
from saved import save_untrained

from nas.data import DataOptions, load_dataset
from nas.saved_model import predict_file

# Keras itself raises this one while it saves a model.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning:keras"
)

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
    assert len(names) == 5
    assert all(f'"{name}"' in text for name in names)


@pytest.mark.parametrize(
    "script, arguments, commands",
    [
        ("default_search.sh", [], ["search", "best", "importance"]),
        ("csv_search.sh", ["sample.csv", "income"], ["search", "export", "predict"]),
    ],
)
def test_the_commands_of_a_script_are_understood(
    script: str, arguments: list[str], commands: list[str], tmp_path: Path
) -> None:
    """With a `nas` in its place that only writes down what it is told."""
    (tmp_path / "nas").write_text('#!/bin/sh\nprintf "%s\\n" "$*"\n', encoding="utf-8")
    (tmp_path / "nas").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", EXAMPLES / script, *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    told = [line.split() for line in done.stdout.splitlines()]
    assert [words[0] for words in told] == commands
    parsed = [parse(words) for words in told]
    if arguments:
        assert (parsed[0]["data"], parsed[0]["target"]) == ("sample.csv", "income")
        assert parsed[1]["output"] == parsed[2]["model"] == Path("winner.keras")


@pytest.mark.slow
def test_default_search(tmp_path: Path) -> None:
    out = run(tmp_path, "sh", EXAMPLES / "default_search.sh", TRIALS="12")
    assert "Winner" in out and "fANOVA" in out
    assert (tmp_path / "importance.html").exists()
    assert (tmp_path / "studies" / "mlp_depth.keras").exists()


@pytest.mark.slow
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


@pytest.mark.long
def test_search_in_python(tmp_path: Path, data_dir: Path) -> None:
    lines = (data_dir / "adult.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "sample.csv").write_text("".join(lines[:601]), encoding="utf-8")
    out = run(tmp_path, sys.executable, EXAMPLES / "search_in_python.py", "sample.csv", "income")
    assert "on rows that the search never used" in out and "depth 1: " in out


def test_space_in_python(tmp_path: Path) -> None:
    out = run(tmp_path, sys.executable, EXAMPLES / "space_in_python.py")
    assert "weights" in out
    run(tmp_path, sys.executable, "-m", "nas", "space", "check", "mine.yaml")


N = 60
BASE = {"a": np.arange(N) % 7 / 2, "b": -np.arange(N) % 5, "y": np.arange(N) ** 1.5}
YES = np.arange(N) % 3 == 0
TABLES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "numbers": (".csv", BASE, {}),
    "gaps": (".csv", BASE | {"a": np.where(YES, np.nan, BASE["a"]), "c": ["?", "u", ""] * 20}, {}),
    "booleans": (".csv", BASE | {"c": YES}, {}),
    "codes": (".csv", BASE | {"c": [7, 12] * 30}, {"categorical": ("c",)}),
    "codes with zeros": (".csv", BASE | {"c": ["007", "012"] * 30}, {"categorical": ("c",)}),
    "booleans of Parquet": (".parquet", BASE | {"c": YES, "d": ["u", None] * 30}, {}),
    "gaps of Parquet": (
        ".parquet",
        BASE | {"c": pd.array([1, None, 3] * 20, "Int64"), "d": pd.array([True, None] * 30)},
        {},
    ),
    "codes of Parquet": (".parquet", BASE | {"c": [7, 12] * 30}, {"categorical": ("c",)}),
    "percent": (".csv", BASE | {"c": [f"{k} %" for k in range(N)], "d": ["u", "v"] * 30}, {}),
    "currencies": (
        ".csv",
        BASE | {"c": [f"{k - 9:,}.5 €".replace(",", "'") for k in range(0, 997 * N, 997)]},
        {},
    ),
    "codes as numbers": (".csv", BASE | {"d": ["1.0", "2"] * 30}, {"categorical": ("d",)}),
    "thousands": (
        ".csv",
        BASE | {"c": [f"$({k:,})" if k % 2 else f"${k:,}" for k in range(0, 97 * N, 97)]},
        {},
    ),
    "words": (
        ".csv",
        BASE | {"c": ["#N/A", "3", "n.d."] * 20, "d": ["u", "n.d.", "#N/A"] * 20},
        {"missing": ("n.d.",)},
    ),
    "names": (".csv", BASE | {"cast": ["u", "v"] * 30, "where": YES}, {}),
}


def check_load_model(
    monkeypatch: pytest.MonkeyPatch, folder: Path, table: Path, **options: Any
) -> None:
    """The example predicts for a table what `nas predict` does."""
    dataset = load_dataset(DataOptions(str(table), **options))
    model, *_ = save_untrained(folder, dataset)
    predict_file(model, str(table), folder / "out.csv")
    expected = pd.read_csv(folder / "out.csv")
    expected = expected.drop(columns="prediction") if len(expected.columns) > 1 else expected
    monkeypatch.setattr(sys, "argv", ["load_model.py", str(model), str(table)])
    found = runpy.run_path(str(EXAMPLES / "load_model.py"))["predictions"]
    np.testing.assert_allclose(found[:, -1], expected.iloc[:, -1], rtol=1e-5)


def test_load_model_predicts_for_a_table_without_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bare.csv"
    frame = pd.DataFrame(BASE | {"c": ["u", "v"] * 30})
    frame.to_csv(path, index=False, header=False, sep=";", decimal=",")
    check_load_model(monkeypatch, tmp_path, path, target="3")


@pytest.mark.parametrize("name", TABLES)
def test_load_model_predicts_for_any_table(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, columns, options = TABLES[name]
    path = tmp_path / f"table{ending}"
    frame = pd.DataFrame(columns)
    frame.to_csv(path, index=False) if ending == ".csv" else frame.to_parquet(path)
    check_load_model(monkeypatch, tmp_path, path, target="y", **options)


@pytest.mark.parametrize("separator", [", ", ";", "\t"])
def test_load_model_predicts_for_any_separator(
    separator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    rows = [("a", "c", "y"), *((k % 7 / 2, "u,v"[k % 2 * 2], k**1.5) for k in range(N))]
    path.write_text("\n".join(separator.join(map(str, row)) for row in rows), encoding="utf-8")
    check_load_model(monkeypatch, tmp_path, path, target="y")


@pytest.mark.parametrize(
    "name, target",
    [("california_housing", "median_house_value"), ("adult", "income"), ("abalone", "rings")],
)
def test_load_model_predicts_for_public_tables(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    frame = pd.read_csv(data_dir / f"{name}.csv", dtype=str, nrows=300, keep_default_na=False)
    frame.iloc[::20, 4] = ""  # the first empty cells lie further down
    frame.to_csv(tmp_path / "table.csv", index=False)
    check_load_model(monkeypatch, tmp_path, tmp_path / "table.csv", target=target)
