"""Numbers and lists of names in sentences and options."""

import csv
import io
from collections.abc import Iterable, Sequence


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


def score(value: float | None, stderr: float | None = None) -> str:
    """A score, with its standard error where there is one; a dash for none."""
    if value is None:
        return "–"
    form = ".4f" if abs(value) < 100 else ",.2f"
    if 0 < abs(value) < 0.001:
        form = ".3g"
    return f"{value:{form}}" + (f" ± {stderr:{form}}" if stderr is not None else "")


def with_interval(value: float, interval: Sequence[float] | None) -> str:
    """A test score with its interval, where it has one."""
    if interval is None:
        return score(value)
    low, high = interval
    return f"{score(value)} (95 % interval {score(low)} to {score(high)})"
