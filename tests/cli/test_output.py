"""What reaches a terminal: names and cells as text, whatever they hold."""

import json

import pytest
from rich.text import Text

from nas.cli import output
from nas.cli.output import console, plain_table, print_json, say, show_command, working
from nas.display import Display

NASTY = "a\x1b[2J\x9b31m\x07b\u202ec\x7fd\x00e"
SHOWN = r"a\x1b[2J\x9b31m\x07b\u202ec\x7fd\x00e"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_control_characters_are_shown(
    is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminal in (output.console, output.stderr_console):
        monkeypatch.setattr(terminal, "_force_terminal", is_terminal)
        monkeypatch.setattr(terminal, "_width", 200)
        monkeypatch.setattr(terminal, "_color_system", None)
    say(NASTY)
    say(NASTY, "Label")
    say(f"{NASTY}\nspoofed")
    table = plain_table("name", NASTY)
    table.add_row(NASTY, Text(NASTY))
    table.add_row(f"{NASTY}\nspoofed", "")
    console.print(table)
    console.print(f"first\n{NASTY}")
    show_command("nas best", f"sqlite:///{NASTY}.db")
    with working(NASTY) as tell:
        tell(NASTY)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    obeyed = set(NASTY) - set(SHOWN)
    # The spinner on stderr hides the cursor.
    assert not set(out) & obeyed and not set(err) & (obeyed - {"\x1b"})
    # Of a few characters, such as the bell, nothing is left in some places.
    assert out.replace("\\x07", "").count(SHOWN.replace("\\x07", "")) == 8
    assert not any(line.startswith("spoofed") for line in lines)
    assert "first" in [line.strip() for line in lines]  # of several lines on purpose


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": NASTY})
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": NASTY}
    assert out.isascii() and "\x1b" not in out


def test_a_stop_that_an_import_swallowed_is_not_forgotten(monkeypatch) -> None:
    monkeypatch.setattr("nas.stopping._received", [15])
    steps = iter([])
    with pytest.raises(KeyboardInterrupt):
        Display().follow(steps)
