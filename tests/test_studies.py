"""The published studies: their recipes, and a quick run of each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STUDIES = Path(__file__).parents[1] / "studies"
NAMES = sorted(path.stem for path in STUDIES.glob("*.yaml"))
QUICK = ("depth_1_to_10",)  # the others go to `make test-all`


def test_there_are_five():
    assert NAMES == [
        "depth_1_to_10",
        "first_deep_network",
        "shallow_beats_vgg",
        "sigmoid_or_relu",
        "stuck_at_eleven_percent",
    ]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NAMES],
)
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
def test_the_committed_page_is_a_full_run(name):
    page = (STUDIES / name / "README.md").read_text()
    assert "quick" not in page
    assert f"nas search --config studies/{name}.yaml" in page
    assert (STUDIES / name / "figure.png").stat().st_size > 5000


def test_an_unknown_study_is_refused():
    finished = subprocess.run(
        [sys.executable, STUDIES / "reproduce.py", "depth"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 2
    assert "got 'depth'; expected some of depth_1_to_10" in finished.stderr
