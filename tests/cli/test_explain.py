"""`nas explain` on a real study, and where there is little or nothing to explain."""

import json
import re
from pathlib import Path

import optuna
import pytest
from fakes import FakeEngine, open_fake_study, search_fake, url_of

from nas.spec import TrialSpec
from nas.study.storage import open_storage

SECTIONS = (
    "The effect of depth",
    "Is the difference real?",
    "The simplest network within one standard error",
    "Which parameters mattered",
    "Do more trials help?",
    "Plain models on the same folds",
)
KEYS = (
    "study metric positive direction n_complete n_pruned effects rope comparisons best simplest "
    "pareto importance budget baselines"
).split()


@pytest.fixture
def real(searched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(searched)
    return searched


def explain(nas, folder: Path, *more: object):
    return nas.right("explain", "--storage", url_of(folder), *more)


@pytest.mark.long
def test_a_real_study_in_all_sections(nas, real: Path) -> None:
    text = nas.right("explain").out
    positions = [text.index(section) for section in SECTIONS]
    assert positions == sorted(positions)
    best = nas.right("best", "--json").json()
    assert f"Best {best['value']:.4f} ± {best['stderr']:.4f} (trial {best['trial']})" in text
    assert f"winner (trial {best['trial']})" in text and "logistic regression" in text
    # Eight trials cannot tell, and it says what could.
    assert "8 complete trials for all values together" in text
    assert "nas space new tiny-depth.yaml --depth 1:2" in text
    assert "nas search --space tiny-depth.yaml --sampler grid" in text


def test_the_same_as_json(nas, real: Path) -> None:
    found = nas.right("explain", "--json").json()
    assert list(found) == KEYS
    best = nas.right("best", "--json").json()
    assert found["best"]["trial"] == best["trial"]
    assert found["simplest"]["trial"] == best["simplest"]["trial"]
    assert found["pareto"][-1]["trial"] == best["trial"]
    (effect,) = found["effects"]
    assert [level["label"] for level in effect["levels"]] == ["1", "2"]
    assert sum(level["n_complete"] for level in effect["levels"]) == 8
    (comparison,) = found["comparisons"]
    probabilities = [comparison[key] for key in ("p_a_better", "p_equal", "p_b_better")]
    assert sum(probabilities) == pytest.approx(1)
    gap = best["value"] - best["test_value"]
    assert found["budget"]["gap"] == pytest.approx(gap)


def test_baselines_are_trained_once(nas, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = nas.right("explain", "--json").json()["baselines"]
    assert len(first) == 4 and all(len(row["fold_values"]) == 3 for row in first)

    def never(*arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr("nas.experiments.baselines.run_baselines", never)
    assert nas.right("explain", "--json").json()["baselines"] == first
    shown = nas.right("explain").out
    rows = shown[shown.index(SECTIONS[-1]) :]
    for row in first:
        assert f"{row['value']:.4f} ± {row['stderr']:.4f}" in rows
    without = nas.right("explain", "--no-baselines")
    assert SECTIONS[-1] not in without.out
    # A later search goes on as if nothing had been added to the study.
    nas.right(*"search --space tiny.yaml --trials 8 --folds 3 --pruner none".split())


def test_chosen_parameters_and_their_pictures(nas, real: Path) -> None:
    text = nas.right(
        *"explain --parameter optimizer --parameter learning_rate --plot e.html".split()
    ).out
    assert "The effect of optimizer" in text and "The effect of learning_rate" in text
    assert "The effect of depth" not in text
    assert "adam" in (real / "e-optimizer.html").read_text(encoding="utf-8")
    assert (real / "e-learning_rate.html").exists() and not (real / "e.html").exists()
    nas.right("explain", "--plot", "one.html")
    assert "depth" in (real / "one.html").read_text(encoding="utf-8")


def test_the_rope_decides_what_is_equal(nas, real: Path) -> None:
    for rope, verdict in ((1.0, "p_equal"), (0.0, None)):
        found = nas.right("explain", "--rope", rope, "--json").json()
        assert found["rope"] == rope
        if verdict:
            assert found["comparisons"][0][verdict] > 0.95
        else:
            assert found["comparisons"][0]["p_equal"] < 0.01


def test_wrong_options(nas, real: Path) -> None:
    assert "Did you mean 'depth'?" in nas.wrong("explain", "--parameter", "dept")
    assert "no folder 'nowhere'" in nas.wrong("explain", "--plot", "nowhere/e.html")
    assert "--rope" in nas.wrong("explain", "--rope", "-1", code=2)
    assert "no study 'tinny'" in nas.wrong("explain", "--study", "tinny")


def test_data_that_are_gone_leave_out_the_baselines_only(nas, tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=12, pruner="none")
    study.set_user_attr("data", {**study.user_attrs["data"], "source": "gone.csv", "target": "y"})
    text = explain(nas, tmp_path).out
    assert "Not trained: gone.csv: no such file" in text
    assert all(section in text for section in SECTIONS)
    assert explain(nas, tmp_path, "--json").json()["baselines"] is None


# Where there is little to explain


def test_no_complete_trial(nas, tmp_path: Path) -> None:
    def broken(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        raise RuntimeError("no such op")

    search_fake(tmp_path, FakeEngine(broken), n_trials=2)
    line = nas.wrong("explain", "--storage", url_of(tmp_path))
    assert "no complete trial (2 failed)" in line


def test_a_study_without_trials(nas, tmp_path: Path) -> None:
    open_fake_study(tmp_path)
    line = nas.wrong("explain", "--storage", url_of(tmp_path))
    assert "no complete trial (no trials)" in line


def test_all_pruned(nas, tmp_path: Path) -> None:
    def diverging(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        return float("nan")

    search_fake(tmp_path, FakeEngine(diverging), n_trials=3)
    assert "no complete trial (3 diverged)" in nas.wrong("explain", "--storage", url_of(tmp_path))


def test_one_trial(nas, tmp_path: Path) -> None:
    search_fake(tmp_path, n_trials=1)
    text = explain(nas, tmp_path, "--no-baselines").out
    assert "; 1 complete trial, 0 pruned." in text
    assert "No parameter differs between the complete trials" in text
    assert "1 trial cannot tell" in text
    assert "at least 5 to tell importance" in text
    asked = explain(nas, tmp_path, "--no-baselines", "--parameter", "depth").out
    assert "1 complete trial for all values together" in asked
    assert "Based on 1 complete trial." in asked and "nothing to compare" in asked
    found = explain(nas, tmp_path, "--no-baselines", "--json").json()
    assert found["effects"] == [] and found["importance"] is None


def test_one_fold(nas, tmp_path: Path) -> None:
    search_fake(tmp_path, FakeEngine(n_folds=1), n_trials=20, pruner="none")
    text = explain(nas, tmp_path, "--no-baselines").out
    assert (
        "A single split does not show" in text
        and "With one fold there is no standard error" in text
    )


@pytest.mark.long
def test_a_clear_study_has_no_doubt(nas, tmp_path: Path) -> None:
    search_fake(tmp_path, n_trials=75, pruner="none")
    text = explain(nas, tmp_path, "--no-baselines").out
    assert "depth 2 has the best estimate" in text
    assert "Too few" not in text and "These commands would answer it" not in text
    found = explain(nas, tmp_path, "--no-baselines", "--json").json()
    estimates = {level["value"]: level["estimate"] for level in found["effects"][0]["levels"]}
    assert max(estimates, key=estimates.get) == 2


def test_depth_is_the_default_where_it_was_searched(nas, tmp_path: Path) -> None:
    from nas.space import SearchSpace

    space = SearchSpace({"width": [8, 16, 32], "learning_rate": [0.001, 0.003, 0.03], "epochs": 9})
    search_fake(tmp_path, space=space, n_trials=9, pruner="none")
    text = explain(nas, tmp_path, "--no-baselines").out
    assert "The effect of learning_rate" in text  # the one that matters


def test_a_database_that_cannot_be_written_shows_them_all_the_same(
    nas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, _ = search_fake(tmp_path, n_trials=6, pruner="none")

    def read_only(*arguments: object) -> None:
        raise optuna.exceptions.StorageInternalError("attempt to write a readonly database")

    monkeypatch.setattr(optuna.Study, "set_user_attr", read_only)
    text = explain(nas, tmp_path).out
    assert "logistic regression" in text and "Not kept" in text
    monkeypatch.undo()
    study = optuna.load_study(study_name="fake", storage=open_storage(url_of(tmp_path)))
    assert "baselines" not in study.user_attrs


def test_lines_fit_a_narrow_terminal(nas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.cli import output

    search_fake(tmp_path, n_trials=30, pruner="none")
    monkeypatch.setattr(output.console, "_width", 80)
    monkeypatch.setattr(output.console, "_force_terminal", True)
    monkeypatch.chdir(tmp_path)
    shown = nas.right("explain", "--storage", "sqlite:///nas.db").out
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    # What is to be copied is still a command of the shell.
    assert re.search(r"--sampler grid .*\\\n? ", text, re.DOTALL)


def test_long_networks_leave_the_numbers_whole(
    nas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.cli import output
    from nas.space import SearchSpace

    long = "-".join(["128c3"] * 12)
    space = SearchSpace(
        {
            "layers": [f"{long}-{end}" for end in ("mp2", "gap", "ap2")],
            "learning_rate": [0.01, 0.1],
        },
        network="cnn",
        name="fake",
    )
    search_fake(tmp_path, space=space, n_trials=6, pruner="none")
    for width in (80, 120):
        monkeypatch.setattr(output.console, "_width", width)
        text = explain(nas, tmp_path, "--parameter", "layers", "--no-baselines").out
        tables = [line for line in text.splitlines() if re.match(r" *weights|layers +[et]", line)]
        assert [" ".join(line.split()) for line in tables] == [
            "layers estimate 95 % interval best trials pruned",
            "layers trials difference p (Holm) verdict",
            "weights score trial network",
        ]
        front = text[text.index("weights   score") :].split("\n\n")[0].splitlines()[1:]
        assert all(re.match(r" *[\d,]{9} +0\.\d{4} +\d .*128c3-128c3", line) for line in front)
        # The end of the network gives way, and nothing else.
        assert "  winner  " in front[-1] and front[-1].endswith("…") == (width == 80)


@pytest.mark.long
def test_it_answers_without_tensorflow(tmp_path: Path) -> None:
    import subprocess
    import sys

    search_fake(tmp_path, n_trials=6, pruner="none")
    script = (
        "import sys\nfrom nas.cli import main\n"
        f"try:\n    main(['explain', '--json', '--storage', {url_of(tmp_path)!r}])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"
    assert json.loads(done.stdout)["study"] == "fake"


def test_of_data_in_memory_it_shows_a_call_and_no_command(nas, tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=12, pruner="none")
    study.set_user_attr("data", {**study.user_attrs["data"], "source": "data in memory"})
    text = explain(nas, tmp_path, "--no-baselines").out
    assert "nas search" not in text and "nas space new" not in text
    assert "nas.run(" in text and "in Python, where study is what nas.search returned" in text
    (effect,) = explain(nas, tmp_path, "--no-baselines", "--json").json()["effects"]
    assert effect["command"].startswith("nas.run(") and "experiment" not in effect
