"""Command lines that are read as `nas` reads them, without doing what they say."""

import shlex
from typing import Any

from nas.cli.commands import load_command


def parse(words: list[str]) -> dict[str, Any]:
    """What the command's function would get of the words after `nas`; raises where one is wrong."""
    name, *arguments = words
    command = load_command(name)
    while hasattr(command, "commands"):  # a group, such as `nas space`
        name, *arguments = arguments
        command = command.commands[name]
    return dict(command.make_context(name, arguments).params)


def commands_in(text: str) -> list[list[str]]:
    """The words of each line of a block or a script that begins with `nas`, without comments."""
    if "```" in text:  # a page, whose sentences may begin with that word too
        text = "\n".join(text.split("```")[1::2])
    lines = text.replace("\\\n", " ").splitlines()
    split = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines
             if line.startswith(("nas ", "$ nas "))]  # fmt: skip
    return [words[1:] for words in split]
