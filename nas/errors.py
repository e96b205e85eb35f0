"""The one exception that a user's mistake raises, and functions that word it."""

import difflib
import re
from collections.abc import Iterable

# What a terminal obeys instead of showing it: control characters, marks that change the direction
# of what follows, line separators; and bytes of a file name that are no text.
HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
LONGEST = 500  # characters of what was received that a message shows


def visible(text: str, keep: str = "") -> str:
    """Text with escapes, such as `\\x1b`, for all that a terminal would obey rather than show.

    Args:
        text: Any text; names and cells of a user's file can hold anything.
        keep: Characters that stay as they are, such as a newline.
    """

    def escaped(match: re.Match[str]) -> str:
        sign = match[0]
        return sign if sign in keep else sign.encode("unicode_escape").decode()

    return HIDDEN.sub(escaped, text)


# A parameter as texts name it, which is how a command line has it, with a number behind it or not.
PARAMETER = re.compile(r"(?<![\w-])--([a-z][a-z-]*)(?: (\d[\d.]*\d|\d))?")

# Options that have another name in Python.
IN_PYTHON = {"study": "name", "set": "params", "output": "path", "model": "build_model"}


class NasError(Exception):
    """A mistake that the user can correct, in one line.

    In Python, its text names parameters as Python does (`val_size`). The command line prints it on
    stderr with the names of its options (`--val-size`), and exits with code 1.

    Args:
        where: The file, parameter, column or study that is wrong. Here and in `fix`, a parameter
            is written as the option of the command line.
        received: What was found there.
        expected: What would have been right; empty where `received` says so.
        fix: The next step, as a sentence.
    """

    def __init__(self, where: str, received: str, expected: str = "", fix: str = "") -> None:
        self.where = where
        self.received = received
        self.expected = expected
        self.fix = fix
        cut = f"{received[: LONGEST - 1]}…" if len(received) > LONGEST else received
        message = f"{where}: {cut}"
        if expected:
            message += f"; expected {expected}"
        if fix:
            message = message.removesuffix(".") + f". {fix}"
        self.on_command_line = visible(" ".join(message.split()))
        super().__init__(in_python(self.on_command_line))

    def __reduce__(self) -> tuple[type["NasError"], tuple[str, str, str, str]]:
        return type(self), (self.where, self.received, self.expected, self.fix)


def in_python(text: str) -> str:
    """Text with the parameters named as Python does, `val_size` for `--val-size`."""

    def renamed(option: re.Match[str]) -> str:
        name = IN_PYTHON.get(option[1], option[1].replace("-", "_"))
        return f"{name}={option[2]}" if option[2] else name

    return PARAMETER.sub(renamed, text)


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """The nearest allowed word as a question, or an empty string when none is near."""
    near = difflib.get_close_matches(str(word), list(allowed), n=1)
    return f"Did you mean '{near[0]}'?" if near else ""


OUT_OF_MEMORY = "there is not enough memory"
# TensorFlow's error for memory is also that for a full disk and for too many open files.
MEMORY = re.compile(r"\bOOM\b|out of memory|allocat", re.IGNORECASE)


def first_line(error: BaseException, limit: int = 300) -> str:
    """An exception in one line, for the reason that is stored with a failed trial."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    name = type(error).__name__
    of_a_library = name == "ResourceExhaustedError" or text.startswith("RESOURCE_EXHAUSTED")
    if isinstance(error, MemoryError) or (of_a_library and MEMORY.search(str(error))):
        return OUT_OF_MEMORY  # the words of TensorFlow and JAX for it are long, and no help
    return visible(f"{name}: {text}"[:limit] if text else name)
