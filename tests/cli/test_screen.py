"""`nas screen`, on real networks that are small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.analysis.screening import TITLES

SMALL = "screen --space tiny.yaml --n 20 --folds 3".split()


def test_as_json(nas, folder: Path) -> None:
    result = nas.right(*SMALL, "--sample", 9, "--workers", 1, "--json").json()
    assert (result["space"], result["data"], result["metric"]) == ("tiny", "iris", "accuracy")
    assert (result["n_networks"], result["n_trained"]) == (20, 9)
    assert {score["name"] for score in result["scores"]} == set(TITLES)
    assert all(score["seconds"] > 0.0 for score in result["scores"])
    assert 0.3 < result["median"] <= result["best"] <= 1.0
    assert result["verdict"]
    assert not (folder / "studies").exists()


def test_as_a_table(nas, folder: Path) -> None:
    text = nas.right(*SMALL, "--sample", 9, "--workers", 1).out
    assert "9 of 20 networks trained" in text
    for name in TITLES:
        assert f"\n{name.replace('_', ' ')} " in text
    assert "9 networks are few: --sample 40 tells more." in text
    (following,) = [line for line in text.splitlines() if line.startswith("Next")]
    assert "--space tiny.yaml" in following and "--folds 3" in following
    assert max(map(len, text.split("\n\n")[1].splitlines()[:7])) <= 80


def test_a_larger_sample_is_of_as_many_networks(
    nas, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.analysis.screening.Score.is_worth_something", False)
    text = nas.right(*SMALL, "--sample", 8, "--workers", 1).out
    assert "Next    nas screen --space tiny.yaml --n 20 --folds 3 --sample 40" in text


@pytest.mark.long
def test_two_processes_within_a_time(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nas", *SMALL, "--workers", "2", "--timeout", "1", "--json"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert result["n_networks"] == 20
    assert 8 <= result["n_trained"] <= 10  # the fewest, and what was still under way
    assert done.stderr == ""  # --json is quiet


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--n", "1"], 2, ["--n", "8"]),
        (["--sample", "2"], 2, ["--sample"]),
        (["--timeout", "soon"], 2, ["--timeout"]),
        (["--space", "mlp_dept"], 1, ["Did you mean 'mlp_depth'?"]),
        (["--space", "one.yaml"], 1, ["one", "holds 1 network", "at least 8"]),
        (["--space", "tiny.yaml", "--data", "nothing.csv"], 1, ["nothing.csv", "no such file"]),
        (["--space", "tiny.yaml", "--metric", "rmse"], 1, ["--metric", "accuracy"]),
    ],
)
def test_bad_input(nas, folder: Path, arguments: list[str], code: int, words: list[str]) -> None:
    (folder / "one.yaml").write_text("network: mlp\ndata: iris\ndepth: 2\n", encoding="utf-8")
    line = nas.wrong("screen", *arguments, "--workers", "1", code=code)
    assert all(word in line for word in words), line
