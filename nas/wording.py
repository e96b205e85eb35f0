"""Numbers and lists of names in sentences and options."""

import csv
import io
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as `1 trial` or `1,200 trials`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def split_names(text: str) -> tuple[str, ...]:
    """The names in a text that has commas between them; a name in double quotes may hold one."""
    names = next(csv.reader([text], skipinitialspace=True), [])
    return tuple(name.strip() for name in names if name.strip())


def join_names(names: Iterable[str]) -> str:
    """The inverse of `split_names`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()
