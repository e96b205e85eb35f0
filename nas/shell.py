"""Commands that can be typed as they are shown, whatever a column or file is called."""

import re
import shlex
from collections.abc import Iterable

from nas.errors import visible
from nas.wording import join_names

# A word as it is written: any sequence of parts that are quoted in some way, or not.
_PARTS = (r"\$'(?:\\.|[^'\\])*'", r"'[^']*'", r'"(?:\\.|[^"\\])*"', r"\\.", r"[^\s'\"\\]")
_WORD = re.compile(f"(?:{'|'.join(_PARTS)})+", re.DOTALL)


def quoted(word: object) -> str:
    """A word for a shell; with escapes, as bash, zsh and POSIX 2024 read them, where it must."""
    text = str(word)
    if visible(text) == text:
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(sign: str) -> str:
    if visible(sign) != sign:  # in octal, which ends after three digits
        return "".join(f"\\{byte:03o}" for byte in sign.encode("utf-8", "surrogateescape"))
    return f"\\{sign}" if sign in "'\\" else sign


def option(name: str, value: object) -> str:
    """An option with its value, as one word where the value would be taken for an option."""
    text = str(value)
    return quoted(f"--{name}={text}") if text.startswith("-") else f"--{name} {quoted(text)}"


def names_option(name: str, *names: str) -> str:
    """An option that takes several names, which may hold commas."""
    return option(name, join_names(names))


def join(words: Iterable[object]) -> str:
    """A command of these words."""
    return " ".join(map(quoted, words))


def split(command: str) -> list[str]:
    """The words of a command, still quoted."""
    return _WORD.findall(command)
