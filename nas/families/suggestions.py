"""What a user's function suggests, and how it is called.

The function takes an `optuna.Trial`. What it is given is always a `FunctionTrial`, in the search
and in the workers, so that it behaves alike, and nothing that it writes reaches a study.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nas.architectures import Suggestion
from nas.errors import NasError
from nas.space import Suggester
from nas.spec import Problem

# From a trial, and maybe the problem, to a `keras.Model`.
BuildModel = Callable[..., Any]


def function_name(build: BuildModel) -> str:
    """The name of a function, or of the class of another callable object."""
    inner = getattr(build, "func", build)  # of a partial
    return str(getattr(inner, "__name__", type(inner).__name__))


def call_function(build: BuildModel, trial: "FunctionTrial", problem: Problem) -> Any:
    """What the function returns; it is given the problem where it has a place for it."""
    try:
        parameters = inspect.signature(build).parameters
    except (TypeError, ValueError):  # of a builtin
        return build(trial)
    required = [
        p
        for p in parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if "problem" in parameters and parameters["problem"].kind != inspect.Parameter.POSITIONAL_ONLY:
        return build(trial, problem=problem)
    return build(trial, problem) if len(required) > 1 else build(trial)


class FunctionTrial:
    """Suggests parameters to a function as `optuna.Trial` does, and keeps what it suggested.

    It has the methods of `optuna.Trial` that build a network: `suggest_int`, `suggest_float` and
    `suggest_categorical`; `report`, `should_prune` and `set_user_attr` change nothing.

    Args:
        suggester: Where values come from.
        reserved: Names that are taken.

    Attributes:
        suggestions: What was suggested, in that order.
        number: 0; a network must not depend on its trial's number.
        user_attrs: What the function set; nobody reads it.
        error: Why there was no value: an error of the suggester, and not of the function.
    """

    def __init__(self, suggester: Suggester, reserved: Sequence[str] = ()) -> None:
        self._suggester, self._reserved = suggester, reserved
        self._by_name: dict[str, Suggestion] = {}
        self.number = 0
        self.user_attrs: dict[str, Any] = {}
        self.error: Exception | None = None

    @property
    def suggestions(self) -> tuple[Suggestion, ...]:
        return tuple(self._by_name.values())

    @property
    def params(self) -> dict[str, Any]:
        """The values suggested so far, by name."""
        return {name: suggestion.value for name, suggestion in self._by_name.items()}

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """See `optuna.Trial.suggest_int`."""
        asked = Suggestion(name, 0, "int", int(low), int(high), log, int(step))
        return int(self.suggest(asked))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """See `optuna.Trial.suggest_float`."""
        step = None if step is None else float(step)
        asked = Suggestion(name, 0.0, "float", float(low), float(high), log, step)
        return float(self.suggest(asked))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """See `optuna.Trial.suggest_categorical`; choices are kept in a database.

        Raises:
            NasError: When one is no text, number, boolean or None.
        """
        for choice in choices:
            if not (choice is None or isinstance(choice, bool | int | float | str)):
                raise NasError(
                    f"suggest_categorical('{name}')",
                    f"got {choice!r}",
                    "text, numbers, true, false or None",
                    "Suggest a name for it, and look it up in a dict.",
                )
        return self.suggest(Suggestion(name, None, "categorical", choices=tuple(choices)))

    def report(self, value: float, step: int) -> None:
        """Does nothing: the search reports the scores."""

    def should_prune(self) -> bool:
        """False: the search prunes by itself."""
        return False

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keeps an attribute for the function itself."""
        self.user_attrs[key] = value

    def suggest(self, asked: Suggestion) -> Any:
        """The value of a parameter; one that was suggested before stays what it was."""
        name = asked.name
        if name in self._reserved:
            raise NasError(
                "training", f"got '{name}', which the function suggests, too", "it in one place"
            )
        if name not in self._by_name:
            self._by_name[name] = replace(asked, value=self._value(asked))
        return self._by_name[name].value

    def _value(self, asked: Suggestion) -> Any:
        suggester, name = self._suggester, asked.name
        try:
            if asked.kind == "int":
                low, high, step = int(asked.low), int(asked.high), int(asked.step or 1)
                return suggester.suggest_int(name, low, high, step=step, log=asked.log)
            if asked.kind == "float":
                return suggester.suggest_float(
                    name, asked.low, asked.high, step=asked.step, log=asked.log
                )
            return suggester.suggest_categorical(name, list(asked.choices))
        except (TypeError, ValueError):  # what the function asks for makes no sense
            raise
        except KeyError as unknown:
            if unknown.args != (name,):
                raise
            raise NasError(  # of values that are given again
                "the function",
                f"suggests '{name}', which it did not before with the same values",
                "the same suggestions each time it is called",
            ) from None
        except Exception as error:
            self.error = error
            raise
