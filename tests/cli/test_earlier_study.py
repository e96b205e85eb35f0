"""What commands tell of a study as nas 0.1 left it."""

import json
from pathlib import Path

import pytest
from earlier import EARLIER, write_earlier
from fakes import url_of


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("earlier")
    write_earlier(folder)
    return url_of(folder)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("study", "list"), "first"),
        (("study", "show", "first"), "folds 3, repeats 1"),
        (("best",), "0.9333"),
        (("trials",), "interrupted"),
        (("explain", "--no-baselines"), "The effect of depth"),
    ],
)
def test_the_commands_read_it(nas, database: str, command: tuple[str, ...], told: str) -> None:
    assert told in nas.right(*command, "--storage", database).out


def test_a_diagnosis_says_that_nothing_was_examined(nas, database: str) -> None:
    text = nas.wrong("diagnose", "--study", "first", "--storage", database)
    assert "no trial was examined" in text
    one = nas.wrong("diagnose", "--trial", "19", "--storage", database)
    assert "trial 19 was not examined" in one


def test_a_report_tells_it(nas, database: str, tmp_path: Path) -> None:
    nas.right(
        "report", "--no-baselines", "--storage", database, "--output", str(tmp_path / "r.html")
    )
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Losses were not recorded" in text and "It used nas 0.1.0" in text


def test_the_json_of_the_command_line_has_the_form_that_it_had(nas, database: str) -> None:
    shown = nas.right("study", "show", "first", "--storage", database, "--json").json()
    kept = json.loads(EARLIER.read_text(encoding="utf-8"))["user_attrs"]
    for key in ("space", "data_hash", "task", "split_hash", "versions", "nas_version", "winner"):
        assert shown[key] == kept[key]
    assert kept["data"].items() <= shown["data"].items()
    assert kept["split"].items() <= shown["split"].items()
    assert "version" not in shown and "baselines" not in shown
