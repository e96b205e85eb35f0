"""What is shown as a command means the same when it is typed."""

import subprocess

import pytest

from nas.proposal import wrap_command
from nas.shell import join, names_option, option, quoted, split
from nas.wording import split_names

WORDS = [
    "<=50K",
    "it's",
    "a b",
    "a\tb",
    "$HOME",
    "`x`",
    "x\ny",
    "\x1b[2J'\\",
    "größe",
    "\u202ex",
    "-1",
]


def typed(command: str) -> list[str]:
    """The words that a shell reads."""
    script = f"printf '%s\\0' {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@pytest.mark.parametrize("word", [*WORDS, "\udcff"])
def test_a_word_is_what_it_was(word: str) -> None:
    assert typed(quoted(word)) == [word]
    assert quoted(word).isprintable()


def test_a_command_is_split_and_wrapped_as_it_was_written() -> None:
    command = join(["nas", *WORDS])
    assert split(command) == [quoted(word) for word in ["nas", *WORDS]]
    long = " ".join(["nas search", *(option("drop", word) for word in WORDS)])
    assert typed(wrap_command(long, 30)) == typed(long)


def test_a_value_that_looks_like_an_option_is_part_of_its_word() -> None:
    assert option("target", "-1") == "--target=-1"
    assert option("target", "- 1") == "'--target=- 1'"
    assert option("classes", "<=50K,>50K") == "--classes '<=50K,>50K'"


@pytest.mark.parametrize("names", [["y"], ["<=50K"], ["-1"], ["a b", "c"], ["a,b"], ["it's"]])
def test_an_option_with_names_holds_those_names(names: list[str]) -> None:
    words = typed(names_option("drop", *names))
    value = words[1] if words[0] == "--drop" else words[0].removeprefix("--drop=")
    assert split_names(value) == tuple(names)
