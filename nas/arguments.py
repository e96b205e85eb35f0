"""Arguments that calls in Python and options of the command line share, checked."""

from typing import Any, Literal, get_args

from nas.choices import Ensemble
from nas.errors import NasError, did_you_mean

MOST_OF_AN_ENSEMBLE = 20  # trials


def check_bounds(**numbers: tuple[float | None, float, float | None]) -> None:
    """Refuses numbers beyond their bounds: by parameter, the number, the least and the most."""
    for name, (value, least, most) in numbers.items():
        if value is None or (least <= value and (most is None or value <= most)):
            continue
        wanted = f"at least {least:g}" if most is None else f"{least:g} to {most:g}"
        raise NasError(f"--{name.replace('_', '-')}", f"got {value}", wanted)


def check_words(**words: tuple[str, Any]) -> None:
    """Refuses words that are none of their literals."""
    for name, (word, literal) in words.items():
        allowed = get_args(literal)
        if word not in allowed:
            raise NasError(
                f"--{name.replace('_', '-')}", f"got '{word}'", "one of " + ", ".join(allowed),
                did_you_mean(word, allowed),
            )  # fmt: skip


def seconds_of(time: float | str | None) -> float | None:
    """Seconds of a time such as `90`, `"90s"`, `"10m"` or `"2h"`.

    Raises:
        NasError: When it is none, or not positive.
    """
    if time is None:
        return None
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    text = str(time)
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise NasError("--timeout", f"got '{time}'", "a time such as 90, 10m or 2h")
    return seconds


def trial_of(given: Any) -> int | Literal["simplest"] | None:
    """A trial, from what was given: its number, `simplest`, or None.

    Raises:
        NasError: When it is neither.
    """
    if given is None or given == "simplest":
        return given  # type: ignore[no-any-return]
    if isinstance(given, bool) or not str(given).isdecimal():
        raise NasError("--trial", f"got '{given}'", "the number of a trial, or simplest")
    return int(given)


def ensemble_of(given: Any) -> Ensemble | None:
    """The kind of an ensemble, from what was given: `folds`, a number of trials, or None.

    Raises:
        NasError: When it is neither, or too many trials.
    """
    if given is None or given == "folds":
        return given  # type: ignore[no-any-return]
    text = "" if isinstance(given, bool) else str(given)
    if not (text.isdecimal() and 2 <= int(text) <= MOST_OF_AN_ENSEMBLE):
        wanted = f"folds, or a number of trials from 2 to {MOST_OF_AN_ENSEMBLE}"
        raise NasError("--ensemble", f"got '{given}'", wanted)
    return int(text)
