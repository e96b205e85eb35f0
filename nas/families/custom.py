"""A space of networks that a function of the user's builds.

The function suggests whatever it needs, under any names, also conditionally:

    def build_model(trial: optuna.Trial) -> keras.Model: ...

It may take `(trial, problem)`, where `problem` is the `nas.spec.Problem` of the data. With the same
values it has to build the same model: it is called again wherever the model is trained.
"""

import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

from nas.architectures import CUSTOM, CustomArchitecture, Suggestion
from nas.choices import Task
from nas.errors import NasError
from nas.families.suggestions import BuildModel, FunctionTrial, function_name
from nas.space import RandomSuggester, SearchSpace, Suggester
from nas.space.checks import unknown_word
from nas.space.space import Sampling
from nas.space.vocabulary import COMPILED_WORDS, words_of
from nas.spec import Problem, TrialSpec


def custom_space(
    build: BuildModel, training: Mapping[str, Any] | None = None, name: str | None = None
) -> "CustomSpace":
    """A space of the networks that a function builds.

    Args:
        build: From an `optuna.Trial`, or a trial and a `nas.spec.Problem`, to a `keras.Model`.
        training: Words of training with their values, as in any space: a value, a list of choices,
            or a `nas.Range`. Of a model that comes compiled, only those of `COMPILED_WORDS` count:
            it keeps its optimizer and loss.
        name: Names the space; None for the function's own name.

    Raises:
        NasError: When it is no function, or a word is unknown or out of bounds.
    """
    if not callable(build):
        raise NasError("space", f"got {type(build).__name__}", "a function from a trial to a model")
    for key in training or {}:
        if key not in words_of(CUSTOM):
            raise unknown_word(key, CUSTOM)
    return CustomSpace(build, training or {}, name or function_name(build))


class CustomSpace(SearchSpace):
    """See `custom_space`; `parameters` holds the words of training alone.

    Attributes:
        build: The function.
    """

    build: BuildModel

    def __init__(self, build: BuildModel, training: Mapping[str, Any], name: str) -> None:
        super().__init__(training, name=name, network=CUSTOM, function=function_text(build))
        object.__setattr__(self, "build", build)
        object.__setattr__(self, "_known", _Known(build, tuple(training)))

    @property
    def has_function(self) -> bool:
        """True: networks can be drawn."""
        return True

    @property
    def is_continuous(self) -> bool:
        """Whether a parameter that was suggested so far has infinitely many values."""
        return super().is_continuous or self._known.is_continuous  # type: ignore[attr-defined]

    def sample(self, suggester: Suggester, problem: Problem) -> TrialSpec:
        """Draws one trial, by calling the function.

        Where the function fails, the network has no layers; it fails again, with the reason, where
        it is to be trained.
        """
        architecture = self._known.draw(suggester, problem)  # type: ignore[attr-defined]
        values = Sampling(self, suggester, problem)
        for key in words_of(CUSTOM):
            values.resolve(key)
        return TrialSpec(problem, architecture, values.training())

    def check_problem(self, problem: Problem) -> None:
        """Builds a network of random parameters, and refuses what could not be trained.

        Raises:
            NasError: When the function returns no model that fits the problem, or a word of
                training says what its compiled models say themselves. What else the function
                raises does not count: it may fail for some values only.
        """
        from nas.families.own_model import describe_own

        super().check_problem(problem)
        trial = FunctionTrial(RandomSuggester(0), tuple(self.parameters))
        try:
            architecture, _ = describe_own(self.build, trial, problem)
        except NasError:
            raise
        except Exception:  # of these values only, perhaps; a trial with others tells
            return
        said = [key for key in self.parameters if key not in COMPILED_WORDS]
        if architecture.optimizer and said:
            raise NasError(
                "training",
                f"got {said[0]}, but {architecture.function} returns a compiled model "
                f"({architecture.optimizer})",
                "one of " + ", ".join(COMPILED_WORDS),
                f"Leave {said[0]} out, or let the function return a model that is not compiled.",
            )

    def _any_problem(self, task: Task) -> Problem:
        known: Problem | None = self._known.problem  # type: ignore[attr-defined]
        return known or super()._any_problem(task)


class _Known:
    """What the function suggested and returned, so that it is called once for the same values.

    The samplers look at many parameters before they settle on one set, and building a model takes
    a thousand times as long as drawing its parameters.
    """

    def __init__(self, build: BuildModel, reserved: tuple[str, ...]) -> None:
        self._build, self._reserved = build, reserved
        self.problem: Problem | None = None
        # By the values suggested so far: what is suggested next, or what came of it.
        self._next: dict[tuple[str, ...], Suggestion | CustomArchitecture] = {}

    @property
    def is_continuous(self) -> bool:
        suggestions = [s for s in self._next.values() if isinstance(s, Suggestion)]
        return any(s.kind == "float" and s.step is None and s.low < s.high for s in suggestions)

    def draw(self, suggester: Suggester, problem: Problem) -> CustomArchitecture:
        if problem != self.problem:
            self.problem, self._next = problem, {}
        trial = FunctionTrial(suggester, self._reserved)
        path: tuple[str, ...] = ()
        while isinstance(known := self._next.get(path), Suggestion):
            path = (*path, repr(trial.suggest(known)))
        if known is not None:
            return known
        architecture = self._built(trial, problem)
        path = ()
        for suggestion in architecture.suggestions:
            self._next[path] = suggestion
            path = (*path, repr(suggestion.value))
        self._next[path] = architecture
        return architecture

    def _built(self, trial: FunctionTrial, problem: Problem) -> CustomArchitecture:
        from nas.families.own_model import describe_own, seeded

        try:
            with seeded(0):
                return describe_own(self._build, trial, problem)[0]
        except Exception:  # of the function: where the trial is trained, it fails with the reason
            if trial.error is not None:  # there is no value, which is no fault of the function
                raise
            return CustomArchitecture(function_name(self._build), trial.suggestions)


def function_text(build: BuildModel) -> str:
    """What tells a function from others: its source, or its place where that cannot be read."""
    inner = getattr(build, "func", build)  # of a partial
    try:
        text = textwrap.dedent(inspect.getsource(inner))
    except (OSError, TypeError):
        try:
            text = textwrap.dedent(inspect.getsource(type(inner)))
        except (OSError, TypeError):
            text = f"{getattr(inner, '__module__', '')}:{function_name(build)}"
    bound = inner is not build and {**dict(enumerate(build.args)), **build.keywords}  # type: ignore[attr-defined]
    plain = {k: v for k, v in (bound or {}).items() if isinstance(v, bool | int | float | str)}
    return text.rstrip() + (f"\n# with {plain}" if plain else "")
