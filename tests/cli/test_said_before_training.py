"""What commands say of the data before training, and of a winner that is none."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli import TINY

SEARCH = "search --space tiny.yaml --data pay.csv --target y --folds 3 --workers 1 --trials 1"
SCREEN = "screen --space tiny.yaml --data pay.csv --target y --folds 3 --workers 1 --n 8 --sample 8"


@pytest.fixture
def payments(folder: Path) -> Path:
    """Noise, a running number, and a label of which 95 % are the same."""
    generator = np.random.default_rng(0)
    label = generator.permutation(["fraud"] * 20 + ["ok"] * 380)
    rows = [f"{k},{generator.normal():.3f},{y}" for k, y in enumerate(label)]
    text = "\n".join(["row id,amount,y", *rows]) + "\n"
    (folder / "pay.csv").write_text(text, encoding="utf-8")
    # One depth, so that one compiled program trains them all.
    one_depth = TINY.replace("depth: {low: 1, high: 2}", "depth: 1")
    (folder / "tiny.yaml").write_text(one_depth, encoding="utf-8")
    return folder


def check_said(out: str) -> None:
    assert out.index("95.0 % of the rows are 'ok'") < out.index("\nSplit")
    assert "--metric balanced_accuracy" in out
    assert "column 'row id'" in out and "--drop 'row id'" in out


@pytest.mark.long
def test_a_search_tells_before_and_after(nas, payments: Path) -> None:
    out = nas.right(*SEARCH.split()).out
    check_said(out)
    assert "by accuracy (always 'ok': 0.9500)" in out
    assert "over folds (always 'ok': 0.9500)" in out
    for shown in (out, nas.right("best").out):
        assert "the winner predicts 'ok' for all 80 rows of the test part." in shown
        assert "not clearly better than predicting 'ok' for every row (accuracy 0.95)" in shown
    best = nas.right("best", "--json").json()
    assert [found["code"] for found in best["findings"]] == ["imbalanced", "running_number"]
    assert best["predicted_classes"] == {"fraud": 0, "ok": 80} and len(best["doubts"]) == 3


def test_a_single_split_has_no_mean_over_folds(nas, payments: Path) -> None:
    out = nas.right(*SEARCH.replace("--folds 3", "--folds 1").split()).out
    assert "Split   a single split on 320 rows" in out
    assert "on the validation part (always 'ok': 0.9500)" in out
    assert "over folds" not in out and "over folds" not in nas.right("best").out


@pytest.mark.long
def test_f1_is_about_the_rarer_class_and_named(nas, payments: Path) -> None:
    out = nas.right(*SEARCH.split(), "--metric", "f1").out
    assert "by f1 of 'fraud'" in out and "f1 of 'fraud' 0.0000" in out
    assert nas.right("best", "--json").json()["positive"] == "fraud"
    assert json.loads((payments / "studies" / "tiny.json").read_text())["positive"] == "fraud"
    for command in ("best", "diagnose", "explain --no-baselines", "study show"):
        assert "f1 of 'fraud'" in nas.right(*command.split()).out, command
    assert nas.right("explain", "--json", "--no-baselines").json()["positive"] == "fraud"
    train = "train --space tiny.yaml --set depth=1 --set width=4".split()
    line = nas.wrong(*train, "--positive", "ok")
    assert "--positive: got 'ok', but study 'tiny' has 'fraud'" in line
    line = nas.wrong(*SEARCH.split(), "--metric", "f1", "--positive", "ok")
    assert "--positive ('fraud', now 'ok')" in line


def test_a_screening_and_a_given_network_tell_too(nas, payments: Path) -> None:
    check_said(nas.right(*SCREEN.split()).out)
    screened = nas.right(*SCREEN.split(), "--metric", "f1", "--json").json()
    assert screened["positive"] == "fraud"
    assert [found["code"] for found in screened["findings"]] == ["running_number"]
    train = "train --space tiny.yaml --data pay.csv --target y --folds 3 --set depth=1"
    out = nas.right(*train.split(), "--set", "width=4").out
    assert "95.0 % of the rows are 'ok'" in out and "--drop 'row id'" in out


@pytest.mark.parametrize("command", [SEARCH, SCREEN, "train --data pay.csv --target y"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--metric f1 --positive okk", ["no class 'okk'", "'fraud' or 'ok'", "Did you mean 'ok'?"]),
        ("--positive ok", ["for the metric accuracy", "Add --metric f1"]),
        ("--data iris --metric f1 --positive 1", ["multiclass", "--classes"]),
    ],
)
def test_a_positive_class_that_is_none(nas, payments, command, options, words) -> None:
    if "iris" in options:
        command = command.replace("--data pay.csv --target y", "")
    line = nas.wrong(*command.split(), *options.split())
    assert line.startswith("--positive: ") and all(word in line for word in words), line
