from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.study.retries import end_of_killed, is_to_be_retried, retry_of


def trial_of(
    user_attrs: dict[str, Any], depth: int | None = None, fixed: dict[str, Any] | None = None
) -> FrozenTrial:
    trial = optuna.trial.create_trial(
        state=TrialState.FAIL,
        params={} if depth is None else {"depth": depth},
        distributions=(
            {} if depth is None else {"depth": optuna.distributions.IntDistribution(1, 5)}
        ),
        user_attrs=user_attrs,
        system_attrs={} if fixed is None else {"fixed_params": fixed},
    )
    trial.number = 7
    return trial


def test_a_trial_that_had_parameters_is_trained_again() -> None:
    trial = trial_of({"index": 3}, depth=4)
    assert is_to_be_retried(trial)
    again = ({"retry_of": {"trial": 7, "index": 3}}, {"fixed_params": {"depth": 4}})
    assert retry_of(trial) == again
    assert not is_to_be_retried(trial_of({"index": 3}))
    assert not is_to_be_retried(trial_of({"index": 3}, fixed={"depth": 4})), "not drawn by it"
    assert not is_to_be_retried(trial_of({"index": 3, "given": True}, depth=4))


def test_one_that_repeated_another_is_trained_again_before_it_has_parameters() -> None:
    trial = trial_of({"index": 3, "retry_of": {"trial": 1, "index": 3}}, fixed={"depth": 4})
    assert is_to_be_retried(trial)
    assert retry_of(trial)[1] == {"fixed_params": {"depth": 4}}


def test_one_that_was_killed_twice_failed() -> None:
    killed = trial_of({"index": 3, "killed": True}, depth=4)
    assert end_of_killed(killed)["outcome"] == "interrupted"
    again = trial_of(retry_of(killed)[0], depth=4)
    assert again.user_attrs["retry_of"]["killed"] is True
    end = end_of_killed(again)
    assert end["outcome"] == "failed" and end["reason"].endswith("for the second time")
