"""Numbers and lists of names in sentences and options."""

import csv
import io
import shlex
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as `1 trial` or `1,200 trials`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def typed(option: str, value: str) -> str:
    """An option with its value as it is typed in a shell."""
    # A value such as -1 would be read as another option.
    between = "=" if value.startswith("-") else " "
    return f"{option}{between}{shlex.quote(value)}"


def split_names(text: str) -> tuple[str, ...]:
    """The names in a text that has commas between them; a name in double quotes may hold one."""
    names = next(csv.reader([text], skipinitialspace=True), [])
    return tuple(name.strip() for name in names if name.strip())


def join_names(names: Iterable[str]) -> str:
    """The inverse of `split_names`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()


def option(name: str, *values: str) -> str:
    """An option with its values as a shell takes it, such as `--drop 'a b,c'` or `--target=-1`."""
    text = join_names(values) if len(values) > 1 or "," in values[0] else values[0]
    return f"{name}{'=' if text.startswith('-') else ' '}{shlex.quote(text)}"
