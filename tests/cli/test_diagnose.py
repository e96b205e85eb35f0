"""`nas train` and `nas diagnose` as a user runs them."""

import shlex
import shutil
from pathlib import Path

import pytest

from nas.analysis.diagnosis import _experiment
from nas.proposal import command_of
from nas.space import load_space, parse_space
from nas.study.record import load_study
from nas.study.storage import with_storage


@pytest.fixture(autouse=True)
def in_searched(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(searched)


def given(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def test_diagnoses_every_trial_of_a_search(nas) -> None:
    whole = nas.right("diagnose", "--json").json()
    trials = nas.right("trials", "--json").json()
    assert whole["n_examined"] == sum(t["examination"] is not None for t in trials)
    assert whole["n_examined"] >= 8
    assert whole["best"]["trial"] == nas.right("best", "--json").json()["trial"]
    named = sum(whole["counts"].values())
    assert f"nothing is wrong with {whole['n_examined'] - named}" in whole["summary"]


def test_shows_a_trial_with_curves_and_layers(nas) -> None:
    out = nas.right("diagnose", "--trial", 0).out
    for word in ("training loss", "validation loss", "validation accuracy", "probe", "Result"):
        assert word in out


def test_a_network_outside_the_space_is_recorded_beside_the_trials(nas) -> None:
    before = nas.right("study", "show", "tiny", "--json").json()["outcomes"]
    best = nas.right("best", "--json").json()["trial"]
    told = nas.right(
        *"train --study tiny --json".split(),
        *given("depth=1", "width=40", "learning_rate=300", "optimizer=sgd"),
    ).json()
    assert told["causes"][0]["name"] == "learning_rate_too_high"
    record = told["trial_record"]
    assert record["spec"]["architecture"]["units"] == [40]
    assert record["spec"]["training"]["epochs"] == 4  # which the space fixes
    after = nas.right("study", "show", "tiny", "--json").json()["outcomes"]
    assert after["given"] == before.get("given", 0) + 1
    assert after["complete"] == before["complete"]
    assert nas.right("best", "--json").json()["trial"] == best
    # What it proposes can be run as it stands.
    command = told["causes"][0]["experiment"].split()
    assert command[:2] == ["nas", "train"]
    again = nas.right(*command[1:], "--json").json()
    assert again["trial_record"]["spec"]["training"]["learning_rate"] == pytest.approx(30.0)


def test_a_network_of_the_space_is_a_trial_like_any_other(nas) -> None:
    before = nas.right("study", "show", "tiny", "--json").json()["outcomes"]["complete"]
    told = nas.right(
        *"train --study tiny --json".split(),
        *given("depth=2", "width=8", "learning_rate=0.033", "optimizer=adam"),
    ).json()
    record = told["trial_record"]
    assert record["outcome"] == "complete"
    assert record["params"] == {
        "depth": 2,
        "width": 8,
        "learning_rate": 0.033,
        "optimizer": "adam",
    }
    assert len(record["fold_values"]) == 3 and len(record["curves"]["val_loss"]) == 4
    assert nas.right("study", "show", "tiny", "--json").json()["outcomes"]["complete"] == before + 1


def test_a_single_split_is_one_fold(nas, folder: Path) -> None:
    arguments = "train --space tiny.yaml --folds 1 --study once".split()
    assert " over 1 fold, " in nas.right(*arguments, *given("depth=1", "width=8")).out


def test_trains_without_a_study(nas, folder: Path) -> None:
    out = nas.right(
        *"train --space tiny.yaml --folds 3 --study fresh".split(), *given("depth=1", "width=8")
    ).out
    assert "over 3 folds" in out and "Result" in out
    assert nas.right("study", "show", "fresh", "--json").json()["outcomes"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train --set depth=two", ["--set", "depth", "a whole number"]),
        ("train --study tiny --like 99", ["--like", "got 99", "a trial of study 'tiny', 0 to"]),
        ("train --study tiny --folds 10", ["--folds", "got '10'", "'tiny' has '3'"]),
        ("train --study tiny --seed 7", ["--seed", "got '7'", "'tiny' has '0'"]),
        ("train --study tiny --metric auc", ["--metric", "'tiny' has 'accuracy'"]),
        ("train --study other --like 1", ["--like", "no study 'other'"]),
        ("diagnose --trial 99", ["--trial", "got 99", "a trial of study"]),
        ("diagnose --study other", ["other"]),
    ],
)
def test_mistakes_get_one_line(nas, arguments: str, words: list[str]) -> None:
    line = nas.wrong(*arguments.split())
    assert all(word in line for word in words), line


def test_a_new_study_is_checked_as_that_of_a_search(nas, folder: Path) -> None:
    train = "train --space tiny.yaml --set depth=1".split()
    assert "got 'a/b'" in nas.wrong(*train, "--study", "a/b")
    assert not (folder / "studies").exists()
    rows = "".join(f"{i / 7},g{i // 10},{'no' if i < 40 else 'yes'}\n" for i in range(60))
    (folder / "few.csv").write_text("a,g,y\n" + rows, encoding="utf-8")
    few = "--data few.csv --target y --groups g --folds 4 --test-size 0 --metric auc --study few"
    assert "has 1 of 2 classes" in nas.wrong(*train, *few.split())


def test_mistakes_are_told_before_tensorflow_starts(nas, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr("nas.preparation.start_tensorflow", never)
    nas.wrong(*"train --study tiny --like 99".split())
    nas.wrong(*"train --study tiny --folds 10".split())


def test_commands_look_in_the_same_database(nas, in_searched: None) -> None:
    Path("other.db").write_bytes(Path("studies/nas.db").read_bytes())
    nas.right(
        *"train --study tiny --storage sqlite:///other.db --json".split(),
        *given("depth=1", "width=40", "learning_rate=300", "optimizer=sgd"),
    )
    shown = nas.right("diagnose", "--storage", "sqlite:///other.db").out
    commands = [line.split("try", 1)[1] for line in shown.splitlines() if "  try" in line]
    assert commands and all(c.endswith("--storage sqlite:///other.db") for c in commands)
    assert "--storage" not in nas.right("diagnose").out


@pytest.mark.long
def test_what_is_proposed_runs_without_the_file_of_the_space(
    nas, searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (searched / "studies").glob("nas.db*"):  # with what is still in its log
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)  # there is no tiny.yaml
    storage = "sqlite:///nas.db"
    record = load_study("tiny", storage)
    experiment = _experiment(record, record.best(), "imbalanced")
    command = with_storage(command_of(experiment, record), storage)
    save, search = (shlex.split(part) for part in command.split(" && "))
    assert (save[0], save[-4:-2]) == ("nas", [">", "tiny_balanced.yaml"])
    shown = nas.right(*save[1:-4], *save[-2:]).out
    Path("tiny_balanced.yaml").write_text(shown, encoding="utf-8")
    assert parse_space(shown, name="tiny") == load_space(searched / "tiny.yaml")
    nas.right(*search[1:], "--trials", 1)
    assert nas.right("best", "--storage", storage, "--json").json()["study"] == "tiny_balanced"
    experiment = _experiment(record, record.best(), "learning_rate_too_high")
    train = with_storage(command_of(experiment, record), storage)
    assert nas.right(*shlex.split(train)[1:], "--json").json()["trial"] >= 8
