"""`--tensorboard`: a search in worker processes, and a network of `nas train`."""

import subprocess
import sys
from pathlib import Path

import event_files
import numpy as np
import pytest
from cli import TINY, Nas

from nas.cli import main

SEARCH = "search --space tiny.yaml --trials 8 --folds 3 --pruner median --workers 2".split()


@pytest.fixture(
    scope="module",
    params=[1, pytest.param(2, marks=pytest.mark.long)],
    ids=["this process", "two workers"],
)
def searched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study that was searched with so many workers, and its runs in `runs`."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.yaml").write_text(TINY.replace("epochs: 4", "epochs: 9"), encoding="utf-8")
    if request.param == 2:
        search_with_workers(folder)
        return folder
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(SystemExit) as ended:
            main([*SEARCH[:-1], "1", "--tensorboard", "runs"])
    assert ended.value.code == 0
    return folder


def search_with_workers(folder: Path) -> None:
    script = (
        "import sys\nfrom nas.cli import main\n"
        f"try:\n    main({[*SEARCH, '--tensorboard', 'runs']!r})\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('tensorflow' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "False"  # the search's own process never imports it
    assert "Runs    tensorboard --logdir runs" in done.stdout


@pytest.fixture
def runs(searched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(searched)
    return Path("runs", "tiny")


def test_every_trial_has_its_curves(nas: Nas, runs: Path) -> None:
    trials = nas.right("trials", "--json").json()
    trained = {f"trial_{t['trial']:03}": t for t in trials if t["curves"]}
    assert len(trained) == 8
    assert {"pruned", "complete"} <= {t["outcome"] for t in trained.values()}
    assert {path.name for path in runs.iterdir()} == set(trained)
    for name, trial in trained.items():
        found = event_files.curves(runs / name)
        for tag, curve in (
            ("loss/training", "train_loss"),
            ("loss/validation", "val_loss"),
            ("accuracy/validation", "val_value"),
        ):
            means = np.mean(trial["curves"][curve], axis=1)
            assert list(found[tag]) == list(range(1, len(means) + 1))
            np.testing.assert_allclose(list(found[tag].values()), means, rtol=1e-6)
        if trial["outcome"] == "complete":
            assert len(found["loss/training"]) == 9
            assert found["accuracy/validation"][9] == pytest.approx(trial["value"], rel=1e-4)
        text = event_files.texts(runs / name)["hyperparameters"]
        for key, value in trial["params"].items():
            assert f"| {key} | {f'{value:.6g}' if isinstance(value, float) else value} |" in text


def test_the_winner_has_a_graph(nas: Nas, runs: Path) -> None:
    best = nas.right("best", "--json").json()
    graphs = [path.name for path in runs.iterdir() if event_files.operations(path)]
    assert graphs == [f"trial_{best['trial']:03}"]
    operations = event_files.operations(runs / graphs[0])
    assert operations.count("MatMul") == best["params"]["depth"] + 1


@pytest.mark.long
def test_a_trained_network_has_a_run_with_a_graph(nas: Nas, runs: Path) -> None:
    result = nas.right("train", "--set", "depth=4", "--study", "tiny", "--tensorboard", "runs")
    trials = nas.right("trials", "--json").json()
    assert trials[-1]["outcome"] == "given", result.out
    run = runs / f"trial_{trials[-1]['trial']:03}"
    assert event_files.operations(run).count("MatMul") == 5
    assert len(event_files.curves(run)["loss/training"]) == 9


def test_runs_of_a_deleted_study_are_told_before_anything_is_trained(nas: Nas, runs: Path) -> None:
    line = nas.wrong(*SEARCH, "--tensorboard", "runs", "--storage", "sqlite:///studies/new.db")
    assert line.startswith("--tensorboard: runs/tiny holds trial_00")
    assert "Delete runs/tiny" in line
