"""What a finished study shows."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from fakes import search_fake, url_of

from nas.cli.output import show_params

KEYS = (
    "study trial metric direction value stderr fold_values test_value n_weights params spec "
    "simplest"
).split()


@pytest.fixture(autouse=True)
def in_searched(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(searched)


def test_best_as_json(nas) -> None:
    best = nas.right("best", "--json").json()
    assert set(KEYS) <= set(best)
    trials = nas.right("trials", "--json").json()
    values = [t["value"] for t in trials if t["outcome"] == "complete"]
    assert best["value"] == max(values)
    assert best["value"] == pytest.approx(np.mean(best["fold_values"]))
    assert best["stderr"] == pytest.approx(
        np.std(best["fold_values"], ddof=1) * (1 / 3 + 1 / 2) ** 0.5
    )
    assert len(best["fold_values"]) == 3
    low, high = best["test_interval"]
    assert low <= best["test_value"] <= high
    simplest = best["simplest"]
    assert simplest["n_weights"] <= best["n_weights"]
    assert simplest["value"] >= best["value"] - best["stderr"]
    fewer = [t for t in trials if t["outcome"] == "complete"]
    fewer = [t for t in fewer if t["n_weights"] < simplest["n_weights"]]
    assert all(t["value"] < best["value"] - best["stderr"] for t in fewer)


def test_best_as_a_table(nas) -> None:
    best = nas.right("best", "--json").json()
    text = nas.right("best").out
    assert f"{best['value']:.4f} ± {best['stderr']:.4f}" in text
    assert f"test   {best['test_value']:.4f}" in text


def test_trials_in_three_forms(nas) -> None:
    as_json = nas.right("trials", "--json").json()
    rows = list(csv.DictReader(io.StringIO(nas.right("trials", "--csv").out)))
    table = nas.right("trials").out.splitlines()
    assert len(as_json) == len(rows) == len(table) - 1 == 8
    for trial, row in zip(as_json, rows, strict=True):
        assert float(row["value"]) == trial["value"]
        assert float(row["fold_1"]) == trial["fold_values"][0]
        assert row["depth"] == str(trial["params"]["depth"])
        assert len(trial["epoch_values"]) == 4
        assert (trial["engine"], trial["engine_reason"]) == ("compiled", "dense network")
        assert trial["spec"]["training"]["epochs"] == 4


def test_all_rows_at_once_are_a_full_batch(nas, tmp_path: Path) -> None:
    from nas.space import SearchSpace

    space = SearchSpace({"batch_size": [0, 32], "depth": [1, 2, 3], "epochs": 9}, name="fake")
    search_fake(tmp_path, space=space, n_trials=6, pruner="none")
    at = ("--storage", url_of(tmp_path))
    explained = nas.right("explain", "--no-baselines", "--parameter", "batch_size", *at).out
    assert "\nfull " in explained and " --batch-size full,32 " in explained
    best = nas.right("best", "--json", *at).json()
    shown = {0: "full", 32: "32"}[best["params"]["batch_size"]]
    line = next(line for line in nas.right("best", *at).out.splitlines() if "batch_size" in line)
    assert line.split()[:2] == ["batch_size", shown]
    assert show_params({"batch_size": 0, "learning_rate": 0.01234}) == (
        "batch_size=full, learning_rate=0.0123"
    )


def test_study_list_and_show(nas) -> None:
    (row,) = nas.right("study", "list", "--json").json()
    assert (row["study"], row["n_trials"], row["n_complete"]) == ("tiny", 8, 8)
    shown = nas.right("study", "show", "--json").json()
    assert shown["outcomes"] == {"complete": 8}
    assert shown["data"]["source"] == "iris" and shown["split"]["folds"] == 3
    assert "width: [4, 8]" in shown["space"]
    text = nas.right("study", "show", "tiny").out
    assert "iris" in text and "8 complete" in text
    assert "tiny" in nas.right("study", "list").out


def test_importance(nas, searched: Path) -> None:
    shares = nas.right("importance", "--json").json()
    assert set(shares) == {"fanova", "ped_anova"}
    for evaluator in shares.values():
        assert sum(evaluator.values()) == pytest.approx(1)
    assert "learning_rate" in shares["fanova"]
    text = nas.right("importance", "--output", "importance.html").out
    assert "From 8 complete trials" in text and "learning_rate" in text
    page = (searched / "importance.html").read_text(encoding="utf-8")
    assert "learning_rate" in page and "PED-ANOVA" in page


def test_export_and_predict(nas, searched: Path) -> None:
    nas.right("export", "--output", "best.keras")
    nas.right("predict", "best.keras", "--data", "iris", "--output", "p.csv")
    with (searched / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 150
    assert set(rows[0]) == {"prediction", "p_0", "p_1", "p_2"}
    from sklearn.datasets import load_iris

    right = [row["prediction"] == str(y) for row, y in zip(rows, load_iris().target, strict=True)]
    assert np.mean(right) > 0.7


def test_the_search_and_the_export_score_the_same_test(nas) -> None:
    before = nas.right("best", "--json").json()["test_value"]
    nas.right("export", "--output", "again.keras")
    assert nas.right("best", "--json").json()["test_value"] == before


@pytest.mark.long
def test_an_ensemble_is_shown_beside_the_winner(nas) -> None:
    text = nas.right(
        *"export --output three.keras --ensemble 3 --calibrate --workers 1".split()
    ).out
    assert "Saved three.keras and its card three.json." in text
    for word in ("Members", "over folds, each with shares that the others chose", "Test", "Cost"):
        assert word in text
    assert "the winner alone" in text
    assert "Temperature" in text and "On the test part: calibration error" in text
    text = nas.right(*"export --output folds.keras --ensemble folds --workers 1".split()).out
    assert "3 networks of trial" in text and "one network had not seen" in text
    nas.right("predict", "three.keras", "--data", "iris", "--output", "three.csv")
    line = nas.wrong(*"export --output no.keras --ensemble 21".split())
    assert line == "--ensemble: got '21'; expected folds, or a number of trials from 2 to 20"


@pytest.mark.long
def test_a_nested_search_tells_what_it_is_worth(nas) -> None:
    command = "search --space tiny.yaml --trials 2 --folds 2 --nested 2 --study n --workers 1"
    text = nas.right(*command.split()).out
    assert "Outer fold 2 of 2" in text
    assert "on rows that no search saw" in text and "n-1, n-2" in text
    assert "outer folds test" in nas.wrong(*command.split(), "--test-size", "0.3")


def test_delete_asks_and_deletes(nas, monkeypatch: pytest.MonkeyPatch) -> None:
    nas.right(*"search --space tiny.yaml --trials 1 --study gone --folds 3".split())
    assert "gone" in nas.right("study", "list").out
    nas.right("study", "delete", "gone", "--yes")
    assert "gone" not in nas.right("study", "list").out
    for answer in ("n\n", ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert nas("study", "delete", "tiny").code == 1
    assert "tiny" in nas.right("study", "list").out


@pytest.mark.parametrize("name", ["mlp_full", "tiny.yaml"])
def test_space_show_and_list(nas, name: str) -> None:
    shown = nas.right("space", "show", name, "--json").json()
    text = nas.right("space", "show", name).out
    assert all(key in text for key in shown["parameters"])
    assert "mlp_residual" in nas.right("space", "list").out
    assert len(nas.right("space", "list", "--json").json()) == 9


def test_space_new_writes_what_search_reads(nas, searched: Path) -> None:
    nas.right(
        *"space new own.yaml --depth 1:8 --width 16:512:log --activation relu,gelu".split(),
        *"--learning-rate 1e-4:1e-1:log --optimizer adam,sgd --data iris --force".split(),
    )
    shown = nas.right("space", "show", "own.yaml", "--json").json()
    assert {key: value["values"] for key, value in shown["parameters"].items()} == {
        "depth": "1 to 8",
        "width": "16 to 512, log scale",
        "activation": "relu, gelu",
        "optimizer": "adam, sgd",
        "learning_rate": "0.0001 to 0.1, log scale",
    }
    assert "right" in nas.right("space", "check", "own.yaml").out


def test_another_databases_model_is_not_taken_for_the_winner(nas, searched: Path) -> None:
    from sklearn.datasets import load_iris

    load_iris(as_frame=True).frame.to_csv("flowers.csv", index=False)
    flowers = "--data flowers.csv --target target --storage sqlite:///b.db"
    search = "search --space tiny.yaml --trials 1 --folds 3"
    for more in (flowers, "--data iris --storage sqlite:///c.db", flowers):
        nas.right(*search.split(), *more.split())
    card = (searched / "tiny.json").read_text(encoding="utf-8")
    assert '"source": "flowers.csv"' in card


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("text.csv", ["p_NA", "p_none"]),
        pytest.param("bool.parquet", ["p_False", "p_True"], marks=pytest.mark.long),
    ],
)
@pytest.mark.long
def test_classes_keep_their_names(nas, searched: Path, file: str, names: list[str]) -> None:
    import pandas as pd

    table = pd.DataFrame({"a": np.arange(60.0), "t": np.arange(60) % 2 == 0})
    table.to_parquet(searched / "bool.parquet")
    text = table.assign(t=np.where(table.t, "none", "NA"))
    text.to_csv(searched / "text.csv", index=False)
    study = Path(file).stem
    more = f"--target t --trials 1 --folds 2 --study {study}".split()
    nas.right("search", "--space", "tiny.yaml", "--data", file, *more)
    nas.right("predict", f"studies/{study}.keras", "--data", file, "--output", "c.csv")
    assert (searched / "c.csv").read_text().splitlines()[0].split(",")[1:] == names
