"""The published studies: their recipes, and a quick run of each."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from commands import parse

from nas.space import load_space

STUDIES = Path(__file__).parents[1] / "studies"
NAMES = sorted(path.stem for path in STUDIES.glob("*.yaml"))


def test_there_are_five():
    assert NAMES == [
        "depth_1_to_10",
        "first_deep_network",
        "shallow_beats_vgg",
        "sigmoid_or_relu",
        "stuck_at_eleven_percent",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_writes_its_page(name, data_dir, tmp_path):
    finished = subprocess.run(
        [sys.executable, STUDIES / "reproduce.py", "--quick", "--output", tmp_path, name],
        capture_output=True,
        text=True,
        env={**os.environ, "NAS_DATA_DIR": str(data_dir)},
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]

    page = (tmp_path / name / "README.md").read_text()
    assert "its figures say nothing" in page  # nobody takes it for a result
    # Every network of the table was trained: no cell is empty or NaN.
    rows = [line for line in page.splitlines() if line.startswith("| ") and "±" in line]
    assert len(rows) >= 2
    for row in rows:
        assert re.search(r"\d\.\d{4} ± \d\.\d{4}", row), row
        assert "nan" not in row
    assert re.search(r"scored there once: \*\*0\.\d{4}\*\*", page)
    assert (tmp_path / name / "figure.png").read_bytes().startswith(b"\x89PNG")

    (tmp_path / name / "README.md").unlink()
    again = [sys.executable, STUDIES / "reproduce.py", "--tell", "--output", tmp_path, name]
    subprocess.run(again, check=True, env={**os.environ, "NAS_DATA_DIR": str(data_dir)})
    assert (tmp_path / name / "README.md").read_text() == page


@pytest.mark.parametrize("name", NAMES)
def test_its_networks_and_its_recipe_are_understood(name, monkeypatch):
    monkeypatch.syspath_prepend(STUDIES)
    study = import_module(name).STUDY
    assert study.networks(True) and study.networks(False)
    given = parse(["search", "--config", str(STUDIES / f"{name}.yaml")])
    assert given["data"] and given["study"] in (None, name)
    assert given["config"].space or load_space(given["space"])


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_page_is_a_full_run(name):
    page = (STUDIES / name / "README.md").read_text()
    assert "quick" not in page
    assert f"nas search --config studies/{name}.yaml" in page
    assert (STUDIES / name / "figure.png").stat().st_size > 5000


def test_an_unknown_study_is_refused(monkeypatch, capsys):
    monkeypatch.syspath_prepend(STUDIES)
    with pytest.raises(SystemExit) as ended:
        import_module("reproduce").main(["depth"])
    assert ended.value.code == 2
    assert "got 'depth'; expected some of depth_1_to_10" in capsys.readouterr().err
