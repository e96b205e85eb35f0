"""`nas report` on a finished study."""

import html
import re
import shlex
from pathlib import Path

import pytest
from fakes import FakeEngine, open_fake_study, search_fake, smooth, url_of


@pytest.fixture
def in_searched(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(searched)


def wrong(nas, *arguments: object) -> str:
    """The one line that 'nas report' ends with, besides those that say what it does."""
    result = nas("report", *arguments)
    *progress, line = result.err.splitlines()
    assert result.code == 1 and line.startswith("nas: ")
    assert set(progress) <= {"Reading the trials", "Analysing the study"}
    return line


@pytest.mark.usefixtures("in_searched")
def test_it_tells_the_study(nas) -> None:
    nas.right("report", "--output", "first.html")
    result = nas.right("report", "--output", "again.html")
    assert "again.html" in result.out and "without a network" in result.out
    text = Path("again.html").read_text(encoding="utf-8")
    best = nas.right("best", "--json").json()
    assert f"{100 * best['test_value']:.1f}\u00a0%" in text
    assert "logistic regression" in text
    assert 'data-figure="loss"' in text and 'data-figure="baselines"' in text


@pytest.mark.usefixtures("in_searched")
def test_plain_models_are_trained_once_or_not_at_all(nas) -> None:
    nas.right("report", "--output", "kept.html")
    assert "Training the plain models" not in nas.right("report", "--output", "kept.html").err
    nas.right("report", "--no-baselines", "--output", "none.html")
    text = Path("none.html").read_text(encoding="utf-8")
    assert "left out by --no-baselines" in text and 'data-figure="baselines"' not in text


@pytest.mark.usefixtures("in_searched")
@pytest.mark.long
def test_what_it_tells_to_repeat_repeats(nas, tmp_path: Path) -> None:
    nas.right("report", "--no-baselines", "--output", "repeat.html")
    text = Path("repeat.html").read_text(encoding="utf-8")
    space, command = re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)[-2:]
    (tmp_path / "space.yaml").write_text(space, encoding="utf-8")
    words = shlex.split(html.unescape(command).replace("\\\n", ""))
    arguments = [*words[1:], "--pruner", "none"]
    arguments[arguments.index("space.yaml")] = str(tmp_path / "space.yaml")
    nas.right(*arguments)
    first, again = (
        nas.right("best", "--json", "--study", name).json() for name in ("tiny", "tiny-again")
    )
    assert first["fold_values"] == again["fold_values"]
    nas.right("study", "delete", "tiny-again", "--yes")


@pytest.mark.usefixtures("in_searched")
def test_what_it_proposes_looks_in_the_same_database(nas) -> None:
    other = "sqlite:///./studies/nas.db"  # the same in other words
    nas.right(*"report --no-baselines --output other.html --storage".split(), other)
    text = html.unescape(Path("other.html").read_text(encoding="utf-8")).replace("\\\n", "")
    trained = [shlex.split(found) for found in re.findall(r"<pre>(nas train .*?)</pre>", text)]
    assert trained
    assert all(words[-2:] == ["--storage", other] for words in trained)


@pytest.mark.usefixtures("in_searched")
def test_a_picture_format_or_place_that_is_none(nas, tmp_path: Path) -> None:
    assert "the ending '.pdf'" in wrong(nas, "--output", "report.pdf")
    place = tmp_path / "none" / "r.html"
    assert "no folder" in wrong(nas, "--output", place)
    assert "is a folder" in wrong(nas, "--format", "html", "--output", tmp_path)
    nas.right("report", "--no-baselines", "--format", "html", "--output", tmp_path / "page")
    assert (tmp_path / "page").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_without_a_study_or_a_trial(nas, folder: Path) -> None:
    assert "no study database" in wrong(nas)
    open_fake_study(folder)
    line = wrong(nas, "--storage", url_of(folder))
    assert "no trial has ended" in line
    assert not (folder / "report.html").exists()


def test_where_no_trial_is_complete_it_says_why(nas, folder: Path) -> None:
    search_fake(folder, FakeEngine(lambda *_: float("nan")), n_trials=4)
    nas.right("report", "--storage", url_of(folder))
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "so there is no winner" in text and "diverged in epoch 1" in text


def test_one_trial(nas, folder: Path) -> None:
    search_fake(folder, FakeEngine(smooth), n_trials=1, pruner="none")
    nas.right("report", "--storage", url_of(folder))
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "One network was tried" in text and "at least 5 to tell importance" in text
