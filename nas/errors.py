"""The one exception that a user's mistake raises, and the help to word it."""

import difflib
from collections.abc import Iterable


class NasError(Exception):
    """A mistake that the user can mend, told in one line.

    The command line prints it on stderr and ends with exit code 1; in Python it is raised.

    Args:
        where: The file, option, column or study that is at fault.
        received: What was found there.
        expected: What would have been right; left out where `received` says it.
        fix: The next step, a sentence.
    """

    def __init__(self, where: str, received: str, expected: str = "", fix: str = "") -> None:
        self.where = where
        self.received = received
        self.expected = expected
        self.fix = fix
        message = f"{where}: {received}"
        if expected:
            message += f"; expected {expected}"
        if fix:
            message = message.removesuffix(".") + f". {fix}"
        super().__init__(" ".join(message.split()))

    def __reduce__(self) -> tuple[type["NasError"], tuple[str, str, str, str]]:
        return type(self), (self.where, self.received, self.expected, self.fix)


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """The nearest allowed word as a question, or an empty string when none is near."""
    near = difflib.get_close_matches(str(word), list(allowed), n=1)
    return f"Did you mean '{near[0]}'?" if near else ""


OUT_OF_MEMORY = "there is not enough memory"


def first_line(error: BaseException, limit: int = 300) -> str:
    """An exception in one line, for the reason that is stored with a failed trial."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return OUT_OF_MEMORY  # TensorFlow's own words for it are long, and no help
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    name = type(error).__name__
    return f"{name}: {text}"[:limit] if text else name
