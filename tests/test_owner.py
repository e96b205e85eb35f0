import json
import subprocess
import sys
import time
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from nas import owner


def trial_of(owner_of_it: dict | None, age: timedelta = timedelta()) -> FrozenTrial:
    trial = optuna.trial.create_trial(state=TrialState.RUNNING)
    trial.datetime_start = datetime.now() - age
    trial.user_attrs = {} if owner_of_it is None else {"owner": owner_of_it}
    return trial


def test_this_process_is_alive() -> None:
    mine = owner.this_process()
    assert owner.is_alive(trial_of(mine))
    assert not owner.is_alive(trial_of({**mine, "start": "1"}))  # a later one of the same id


def test_a_process_that_ended_is_not_alive_even_before_it_was_waited_for() -> None:
    script = "import json; from nas import owner; print(json.dumps(owner.this_process()))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        theirs = json.load(process.stdout)
        assert theirs["pid"] == process.pid
        if theirs["start"] == "":
            pytest.skip("the system does not tell")
        end = time.monotonic() + 10
        while owner.is_alive(trial_of(theirs)):
            assert time.monotonic() < end
        assert process.returncode is None
    assert not owner.is_alive(trial_of(theirs))


def test_who_cannot_be_asked_counts_as_alive_for_a_while() -> None:
    theirs = {**owner.this_process(), "host": "another"}
    assert owner.is_alive(trial_of(theirs, timedelta(hours=23)))
    assert not owner.is_alive(trial_of(theirs, timedelta(hours=25)))
    assert owner.is_alive(trial_of(None, timedelta(seconds=50)))
    assert not owner.is_alive(trial_of(None, timedelta(seconds=70)))
