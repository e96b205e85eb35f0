"""Every mistake gets one line that says where, what was received, and what was expected."""

import errno
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from nas.space import shipped_spaces

ROWS = "a,b,y\n" + "".join(f"{i},{i % 7},{'yes' if i % 2 else 'no'}\n" for i in range(60))


def search(*more: object) -> tuple[object, ...]:
    return ("search", "--space", "tiny.yaml", "--trials", 2, *more)


def csv(text: str) -> str:
    Path("t.csv").write_text(text, encoding="utf-8")
    return "t.csv"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["t.csv", "no such file"]),
        ("", ["t.csv", "empty"]),
        ("a,b,y\n", ["t.csv", "without rows"]),
        (ROWS.replace("yes", "no"), ["y", "one value only (no)", "at least two"]),
        (ROWS.replace("3,3,yes", "3,inf,yes"), ["t.csv: b", "infinite", "row 4"]),
        (ROWS.replace("yes", "").replace("no", "?"), ["t.csv: y", "no row has a target"]),
        (ROWS.replace("0,0,no", "0,0,rare", 1), ["class 'rare' has 1 row", "--classes no,yes"]),
    ],
)
def test_bad_tables(nas, folder: Path, text: str | None, words: list[str]) -> None:
    if text is not None:
        csv(text)
    line = nas.wrong(*search("--data", "t.csv", "--target", "y"))
    assert all(word in line for word in words), line
    assert not (folder / "studies" / "nas.db").exists()


def test_text_where_numbers_are_needed(nas, folder: Path) -> None:
    rows = "a,y\n" + "".join(f"{i},{i * 0.5}\n" for i in range(300))
    line = nas.wrong(*search("--data", csv(rows.replace("7,3.5", "seven,3.5")), "--target", "y"))
    assert "t.csv: a, row 8: got 'seven'; expected a number" in line


def test_a_missing_target_column_offers_the_nearest(nas, folder: Path) -> None:
    line = nas.wrong(
        *search("--data", csv(ROWS.replace("y\n", "income\n", 1)), "--target", "incom")
    )
    assert "no column 'incom'" in line and "Did you mean 'income'?" in line


def test_a_table_without_target_says_how_to_name_it(nas, folder: Path) -> None:
    assert "--target y" in nas.wrong(*search("--data", csv(ROWS)))


def test_nan_in_an_array(nas, folder: Path) -> None:
    x = np.ones((50, 3))
    x[4, 1] = np.nan
    np.savez("a.npz", x=x, y=np.arange(50) % 2)
    assert "a.npz: x: NaN or infinite in 1 row, first in row 5" in nas.wrong(
        *search("--data", "a.npz")
    )
    np.savez("a.npz", x=np.ones((50, 3)), y=np.where(np.arange(50) == 9, np.nan, 1.5))
    assert "a.npz: y: NaN" in nas.wrong(*search("--data", "a.npz"))


def test_an_unknown_data_set(nas, folder: Path) -> None:
    assert "Did you mean 'digits'?" in nas.wrong(*search("--data", "digit"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("depth: [1, 2", ["bad.yaml:1", "not valid YAML"]),
        ("", ["bad.yaml", "empty"]),
        ("depth: 2\n\nactivatoin: relu", ["bad.yaml:3: activatoin", "Did you mean 'activation'?"]),
        ("activation: [relu, gleu]", ["bad.yaml:1: activation: got 'gleu'", "'gelu'"]),
        ("depth: {low: 4, high: 2}", ["bad.yaml:1: depth: got low 4 > high 2"]),
        ("l2: {low: 0, high: 1, log: true}", ["bad.yaml:1: l2", "log range from 0"]),
        ("momentum: {low: 0, high: 0.9, when: {optimzer: sgd}}", ["'optimzer'", "'optimizer'"]),
    ],
)
@pytest.mark.parametrize("command", [("space", "check"), ("search", "--space")])
def test_bad_spaces(
    nas, folder: Path, text: str, words: list[str], command: tuple[str, ...]
) -> None:
    (folder / "bad.yaml").write_text(text, encoding="utf-8")
    line = nas.wrong(*command, "bad.yaml")
    assert all(word in line for word in words), line


def test_a_missing_space_lists_the_shipped_ones(nas, folder: Path) -> None:
    line = nas.wrong("search", "--space", "mlp_dept")
    assert "Did you mean 'mlp_depth'?" in line
    assert all(name in line for name in shipped_spaces())


def test_reading_without_a_database_makes_none(nas, folder: Path) -> None:
    for command in ("best", "trials", "importance", "dashboard"):
        assert "Run 'nas search' first" in nas.wrong(command)
    assert not (folder / "studies").exists()


def test_a_file_that_is_no_database(nas, folder: Path) -> None:
    (folder / "no.db").write_bytes(b"not a database at all, just text" * 100)
    assert "not a database" in nas.wrong("best", "--storage", "sqlite:///no.db")
    assert (folder / "no.db").read_bytes().startswith(b"not a database")


def test_a_folder_of_the_database_that_does_not_exist(nas, folder: Path) -> None:
    assert "no folder 'nowhere'" in nas.wrong(*search("--storage", "sqlite:///nowhere/nas.db"))


def test_a_storage_that_is_no_url(nas, folder: Path) -> None:
    assert "sqlite:///studies/nas.db" in nas.wrong(*search("--storage", "nas.db"))


def test_a_driver_that_is_not_installed(nas, folder: Path) -> None:
    line = nas.wrong("best", "--storage", "postgresql+psycopg2://user:secret@host/db")
    assert "pip install" in line and "secret" not in line


def test_a_read_only_database(nas, searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(searched)
    url = f"sqlite:///file:{searched}/studies/nas.db?mode=ro&uri=true"
    more = ("--folds", 3, "--storage", url)
    assert "readonly" in nas.wrong("search", "--space", "tiny.yaml", "--trials", 9, *more)


def test_a_locked_database(nas, searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(searched)
    monkeypatch.setattr("nas.study.storage.LOCK_TIMEOUT", 0.2)
    holder = sqlite3.connect(searched / "studies" / "nas.db")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        line = nas.wrong(*search("--folds", 3, "--trials", 9))
    finally:
        holder.rollback()
        holder.close()
    assert "locked" in line and "Another program" in line
    assert len(nas.right("trials", "--json").json()) == 8


def test_another_space_under_the_same_name(
    nas, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(searched)
    text = (searched / "tiny.yaml").read_text().replace("[4, 8]", "[4, 16]")
    (searched / "other.yaml").write_text(text, encoding="utf-8")
    line = nas.wrong("search", "--space", "other.yaml", "--study", "tiny", "--folds", 3)
    assert "width: [4, 8]" in line and "nas study delete tiny" in line


def test_an_output_that_cannot_be_written(
    nas, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(searched)
    assert "no folder 'nowhere'" in nas.wrong("export", "--output", "nowhere/best.keras")
    assert "expected .keras" in nas.wrong("export", "--output", "best.h5")
    assert "no folder" in nas.wrong(
        "predict", "studies/tiny.keras", "--data", "iris", "--output", "nowhere/p.csv"
    )
    assert "no folder" in nas.wrong("importance", "--output", "nowhere/i.html")
    assert "the ending '.gif'" in nas.wrong("importance", "--output", "i.gif")


def test_a_model_that_is_none(nas, folder: Path) -> None:
    (folder / "no.keras").write_text("no model", encoding="utf-8")
    line = nas.wrong("predict", "no.keras", "--data", "iris", "--output", "p.csv")
    assert "not a Keras model" in line
    assert "no such file" in nas.wrong("predict", "x.keras", "--data", "iris", "--output", "p.csv")
    assert not (folder / "p.csv").exists()


def test_an_unknown_study_offers_the_nearest(
    nas, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(searched)
    assert "Did you mean 'tiny'?" in nas.wrong("best", "--study", "tinny")


def test_space_new_refuses_what_is_wrong(nas, folder: Path) -> None:
    assert "exists already" in nas.wrong("space", "new", "tiny.yaml", "--depth", "2")
    assert "--depth: got low 4 > high 2" in nas.wrong("space", "new", "n.yaml", "--depth", "4:2")
    assert "'gelu'" in nas.wrong("space", "new", "n.yaml", "--activation", "gleu")
    assert "--width: got 'lg'" in nas.wrong("space", "new", "n.yaml", "--width", "1:8:lg")
    assert "no folder" in nas.wrong("space", "new", "x/n.yaml", "--depth", "2")
    assert not (folder / "n.yaml").exists()


def test_a_metric_of_another_task(nas, folder: Path) -> None:
    assert "accuracy" in nas.wrong(*search("--metric", "r2"))


def test_numbers_that_32_bits_cannot_tell(nas, folder: Path) -> None:
    rows = "ms,t\n" + "".join(f"{1_700_000_000_000 + k * 1000},{k % 2}\n" for k in range(60))
    line = nas.wrong(*search("--data", csv(rows), "--target", "t"))
    assert "t.csv: ms" in line and "Subtract a constant" in line
    np.savez("a.npz", x=np.full((50, 2), 1e35), y=np.arange(50) % 2)
    assert "numbers below 1e+30" in nas.wrong(*search("--data", "a.npz"))


def test_train_and_test_parts_of_unequal_length(nas, folder: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(120, 2)), np.arange(120) % 2
    np.savez("a.npz", x_train=x[:100], y_train=y[:90], x_test=x[100:], y_test=y[90:])
    line = nas.wrong(*search("--data", "a.npz"))
    assert "y_train has shape (90,) for 100 rows" in line


def test_a_typo_in_a_small_table(nas, folder: Path) -> None:
    line = nas.wrong(*search("--data", csv(ROWS.replace("7,0,yes", "7x,0,yes")), "--target", "y"))
    assert "t.csv: a, row 8: got '7x'" in line and "--categorical a" in line


def test_a_metric_that_a_part_leaves_undefined(nas, folder: Path) -> None:
    line = nas.wrong(*search("--data", "diabetes", "--test-size", "0.001", "--study", "d"))
    assert "r2, but the test part has one row" in line
    rows = "a,g,y\n" + "".join(f"{k},{k // 10},{int(k >= 40)}\n" for k in range(80))
    more = ("--target", "y", "--groups", "g", "--metric", "auc", "--folds", 8, "--study", "g")
    assert "of 2 classes" in nas.wrong(*search("--data", csv(rows), *more, "--test-size", 0))


def test_a_foreign_file_in_the_cards_place_stays(nas, searched: Path, monkeypatch) -> None:
    monkeypatch.chdir(searched)
    (searched / "package.json").write_text("{}", encoding="utf-8")
    assert "no model card" in nas.wrong("export", "--output", "package.keras")
    assert (searched / "package.json").read_text(encoding="utf-8") == "{}"
    assert not (searched / "package.keras").exists()


def test_reading_leaves_another_programs_database_alone(nas, folder: Path) -> None:
    connection = sqlite3.connect(folder / "other.db")
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    before = (folder / "other.db").read_bytes()
    assert "holds no study" in nas.wrong("best", "--storage", "sqlite:///other.db")
    assert (folder / "other.db").read_bytes() == before


def test_too_little_memory_is_told(nas, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise MemoryError("Unable to allocate 24.1 GiB for an array")

    monkeypatch.setattr("nas.preparation.load_dataset", read)
    line = nas.wrong(*search())
    assert "there is not enough memory" in line and "--max-rows" in line


def test_no_complete_trial_names_the_ways_out(nas, folder: Path) -> None:
    line = nas.wrong(*search("--max-params", 3, "--study", "small"))
    assert "no complete trial" in line and "--max-params" in line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 300, "got a name of 300 bytes; expected 200 at most"),
        ("ü" * 150, "got a name of 300 bytes"),
        ("", "got an empty name"),
        (" ", "got an empty name"),
        ("a/b", "a name without a slash"),
        ("-x", "leading dot or hyphen"),
        ("a\x1b[2Jb", r"got 'a\x1b[2Jb'; expected a name without control characters"),
        ("a\nb", "a name without control characters"),
        ("a\u202eb", r"got 'a\u202eb'"),
        ("a\udcff", r"got 'a\udcff'"),
    ],
)
def test_names_that_no_study_can_have(nas, folder: Path, name: str, words: str) -> None:
    assert words in nas.wrong(*search(f"--study={name}"))
    assert not (folder / "studies").exists()


def test_file_names_that_the_system_refuses(nas, folder: Path) -> None:
    long = "x" * 300
    for command in (
        ("space", "check", f"{long}.yaml"),
        ("space", "new", f"{long}.yaml", "--depth", "2"),
        ("search", "--config", f"{long}.yaml"),
        ("predict", f"{long}.keras", "--data", "iris", "--output", "p.csv"),
    ):
        assert "File name too long" in nas.wrong(*command), command
    assert "unable to open" in nas.wrong(*search("--storage", f"sqlite:///{long}.db"))
    nas.wrong(*search("--data", "a\udcff.csv"))


def test_a_disk_that_is_full(nas, searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(searched)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(searched.rglob("*"))
    monkeypatch.setattr(Path, "write_text", full)
    assert "No space left" in nas.wrong("space", "new", "n.yaml", "--depth", "2")
    assert "No space left" in nas.wrong("report", "--no-baselines", "--output", "r.html")
    monkeypatch.setattr("pandas.DataFrame.to_csv", full)
    predict = ("predict", "studies/tiny.keras", "--data", "iris", "--output", "p.csv")
    assert "No space left" in nas.wrong(*predict)
    assert sorted(searched.rglob("*")) == before


@pytest.mark.parametrize("nested", ["trials: " + "[" * 250, "space: " + "{a: " * 250])
def test_a_recipe_that_is_nested_too_deep(nas, folder: Path, nested: str) -> None:
    Path("r.yaml").write_text(nested, encoding="utf-8")
    assert "r.yaml:1: nested too deep" in nas.wrong("search", "--config", "r.yaml")


def test_a_recipe_of_aliases_and_odd_tags(nas, folder: Path) -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 9)]
    Path("r.yaml").write_text("\n".join([*lines, "drop: *a8"]), encoding="utf-8")
    assert "too many values" in nas.wrong("search", "--config", "r.yaml")
    for text in ("!!timestamp z", "!!bool x", "!!int"):
        Path("r.yaml").write_text(f"trials: {text}\n", encoding="utf-8")
        assert "r.yaml:1: trials: got" in nas.wrong("search", "--config", "r.yaml")
        Path("r.yaml").write_text(f"space:\n  depth: {text}\n", encoding="utf-8")
        assert "r.yaml:2: depth: cannot be read" in nas.wrong("search", "--config", "r.yaml")
