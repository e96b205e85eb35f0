"""The report as Markdown with pictures."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from reports import report_on

from nas.analysis.importance import Importance
from nas.errors import NasError
from nas.report import markdown
from nas.report.blocks import Code, Picture, Report, Section
from nas.report.markdown import render_markdown, render_note, write_markdown
from nas.report.summary import summarize_in_words


def pictures(report) -> list[str]:
    return [b.name for s in report.sections for b in s.blocks if isinstance(b, Picture)]


def test_every_section_and_picture_is_there(record) -> None:
    report = report_on(record)
    files = {name: f"r_files/{name}.png" for name in pictures(report)}
    text = render_markdown(report, files)
    assert text.startswith("# fake: search report")
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles == [section.title for section in report.sections]
    assert re.findall(r'<img src="([^"]*)"', text) == list(files.values())
    assert text.count("```") % 2 == 0 and "nas search --space space.yaml" in text


def test_tables_keep_their_columns_whatever_the_text(record) -> None:
    trials = tuple(
        replace(t, outcome="failed", value=None, reason="a|b <i>\n`c`") for t in record.trials
    )
    text = render_markdown(report_on(replace(record, trials=trials, winner={})), {})
    (row,) = [line for line in text.splitlines() if line.startswith("| failed")]
    assert row == f"| failed | a\\|b \\<i\\> \\`c\\` | {len(trials)} |"


def test_names_are_not_markup(record) -> None:
    name = "<b>&copy; ~~$x$ | `c` \u202e\x1b[2J"
    text = render_markdown(report_on(replace(record, name=name)), {})
    title = r"# \<b\>\&copy; \~\~\$x\$ \| \`c\` \\u202e\\x1b\[2J: search report"
    assert text.splitlines()[0].replace("\\\\", "\\") == title.replace("\\\\", "\\")
    assert not set("\u202e\x1b") & set(text)


def test_a_fence_is_longer_than_those_in_it() -> None:
    code = Report("s", ("", "", ""), (), (Section("c", "C", (Code("a\n````\nb"),)),))
    assert render_markdown(code, {}).endswith("`````\na\n````\nb\n`````\n")


def test_the_note_is_the_summary(record) -> None:
    report = report_on(record)
    note = render_note(report)
    assert "on the test part" in note and "## " not in note and "<img" not in note


def test_it_is_written_with_its_pictures(record, tmp_path: Path, need) -> None:
    chrome = any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    need(chrome, "Kaleido needs Chrome or Chromium")
    report = report_on(record)
    few = [s for s in report.sections if s.name in ("winner", "history", "curves", "reproduce")]
    folder = write_markdown(replace(report, sections=tuple(few)), tmp_path / "my report.md")
    text = (tmp_path / "my report.md").read_text(encoding="utf-8")
    sources = re.findall(r'<img src="([^"]*)"', text)
    assert len(sources) == 4
    for source in sources:
        file = tmp_path / source.replace("%20", " ")
        begins = b"<svg" if file.suffix == ".svg" else b"\x89PNG"
        assert file.read_bytes().startswith(begins)
    assert {file.name for file in tmp_path.iterdir()} == {folder.name, "my report.md"}


def test_without_kaleido_nothing_is_written(record, tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("Image export requires Kaleido")

    monkeypatch.setattr(markdown, "write_images", fail)
    with pytest.raises(NasError, match=r"Kaleido.*nas\[png\]"):
        write_markdown(report_on(record), tmp_path / "report.md")
    assert list(tmp_path.iterdir()) == []


def test_the_summary_names_what_its_percentage_belongs_to(record) -> None:
    shares = {"fanova": {"depth": 0.1, "width": 0.6}, "ped_anova": {"depth": 0.9, "width": 0.1}}
    known = Importance(record.name, shares, {"fanova": {}, "ped_anova": {}}, 20, 0)
    text = " ".join(summarize_in_words(record, known, (), None))
    assert "What mattered most was the width (60\u00a0% of the differences), then the depth" in text
