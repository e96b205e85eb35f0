"""How a function is called, and what it may suggest."""

from functools import partial
from typing import Any

import pytest
from functions import IRIS

from nas.errors import NasError
from nas.families.suggestions import FunctionTrial, call_function, function_name
from nas.space import RandomSuggester, Replay


def test_a_trial_suggests_with_optunas_defaults_and_keeps_what_it_suggested() -> None:
    trial = FunctionTrial(RandomSuggester(0))
    n = trial.suggest_int("n", 1, 9, step=2)
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    kind = trial.suggest_categorical("kind", ["a", None, 3])
    assert trial.suggest_int("n", 1, 9, step=2) == n
    assert trial.params == {"n": n, "rate": rate, "kind": kind}
    assert n in range(1, 10, 2) and 1e-4 <= rate <= 1.0 and kind in ("a", None, 3)
    assert not trial.should_prune()
    trial.report(0.5, 1)
    first = trial.suggestions[0]
    assert (first.kind, first.low, first.high, first.step) == ("int", 1, 9, 2)
    assert FunctionTrial(Replay(trial.params)).suggest_float("rate", 1e-4, 1.0, log=True) == rate


def test_what_the_database_cannot_keep_is_refused() -> None:
    trial = FunctionTrial(RandomSuggester(0))
    with pytest.raises(NasError, match=r"suggest_categorical\('units'\): got \(64, 32\)"):
        trial.suggest_categorical("units", [(64, 32), (16,)])


def test_a_name_cannot_be_both_suggested_and_a_word_of_training() -> None:
    with pytest.raises(NasError, match="training: got 'epochs', which the function suggests"):
        FunctionTrial(RandomSuggester(0), ("epochs",)).suggest_int("epochs", 1, 2)


def test_a_function_that_suggests_something_else_the_second_time_is_told() -> None:
    with pytest.raises(NasError, match="suggests 'b', which it did not before"):
        FunctionTrial(Replay({"a": 1})).suggest_int("b", 1, 2)


def test_an_error_of_the_suggester_is_told_from_one_of_the_function() -> None:
    class Gone(RandomSuggester):
        def suggest_int(self, *_: Any, **__: Any) -> int:
            raise OSError("the database is gone")

    trial = FunctionTrial(Gone(0))
    with pytest.raises(OSError, match="gone"):
        trial.suggest_int("a", 1, 2)
    assert isinstance(trial.error, OSError)
    other = FunctionTrial(RandomSuggester(0))
    with pytest.raises(ValueError, match="empty range"):
        other.suggest_int("a", 2, 1)
    assert other.error is None


def test_the_problem_is_given_to_whoever_has_a_place_for_it() -> None:
    trial = FunctionTrial(RandomSuggester(0))
    assert call_function(lambda t: t, trial, IRIS) is trial
    assert call_function(lambda t, p: (t, p), trial, IRIS) == (trial, IRIS)
    assert call_function(lambda t, size=1: (t, size), trial, IRIS) == (trial, 1)
    assert call_function(lambda t, *, problem=None: (t, problem), trial, IRIS) == (trial, IRIS)

    def two(t: Any, size: int) -> Any:
        return t, size

    bound = partial(two, size=3)
    assert call_function(bound, trial, IRIS) == (trial, 3)
    assert function_name(bound) == "two"
