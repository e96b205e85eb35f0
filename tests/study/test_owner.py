import json
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from nas.study import owner
from nas.study.owner import LIFETIME, Lease, Watch

MINE = owner.this_process()
ELSEWHERE = {**MINE, "host": "another", "machine": "another"}
OLDER = {key: MINE[key] for key in ("host", "pid", "start")}  # what 0.1 wrote


def trial_of(owner_of_it: dict | None, age: timedelta = timedelta()) -> FrozenTrial:
    trial = optuna.trial.create_trial(state=TrialState.RUNNING)
    trial.datetime_start = datetime.now() - age
    trial.user_attrs = {} if owner_of_it is None else {"owner": owner_of_it}
    return trial


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the module's clock shows, to be set."""
    now = [1000.0]
    monkeypatch.setattr("nas.study.owner.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_lease_lives_until_this_process_releases_it() -> None:
    lease, watch = Lease(), Watch()
    leases = {lease.id: lease.next_value()}
    assert watch.living(leases) == {lease.id: True}
    trial = trial_of(lease.owner, timedelta(days=3))
    assert owner.is_alive(trial, watch.living(leases))
    lease.release()
    assert watch.living(leases) == {}, "an earlier search of a notebook ended"
    assert not owner.is_alive(trial, watch.living(leases))


def test_a_lease_that_is_gone_is_that_of_a_search_that_ended() -> None:
    assert not owner.is_alive(trial_of({**ELSEWHERE, "lease": "1"}), Watch().living({}))


def test_a_count_that_stands_still_is_that_of_a_dead_search(clock: list[float]) -> None:
    watch, trial = Watch(), trial_of({**ELSEWHERE, "lease": "1"}, timedelta(days=30))
    leases = {"1": {**ELSEWHERE, "count": 7}}
    assert watch.living(leases) == {"1": False}, "it may live"
    clock[0] += LIFETIME - 1
    assert owner.is_alive(trial, watch.living(leases))
    leases["1"]["count"] += 1
    assert watch.living(leases) == {"1": True}, "it does live"
    clock[0] += LIFETIME - 1
    assert watch.living(leases) == {"1": True}
    clock[0] += 1
    assert not owner.is_alive(trial, watch.living(leases))
    # Another watch has not seen it for as long.
    assert Watch().living(leases) == {"1": False}


def test_a_lease_of_a_living_process_expires_too(clock: list[float]) -> None:
    """Of one that was stopped, or that left it behind."""
    with subprocess.Popen(["sleep", "60"]) as process:
        theirs = {**MINE, "pid": process.pid, "start": owner._start_of(process.pid), "count": 1}
        watch = Watch()
        known = theirs["start"] != ""
        assert watch.living({"1": theirs}) == {"1": known}
        clock[0] += LIFETIME
        assert watch.living({"1": theirs}) == {}
        process.kill()


def test_a_process_of_this_machine_that_ended_is_dead_at_once() -> None:
    """Even before it was waited for; also without a lease."""
    script = "import json; from nas.study import owner; print(json.dumps(owner.this_process()))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        theirs = json.load(process.stdout)
        assert theirs["pid"] == process.pid and theirs["machine"] == MINE["machine"]
        if theirs["start"] == "":
            pytest.skip("the system does not tell")
        lease, end = {"1": {**theirs, "count": 3}}, time.monotonic() + 10
        while Watch().living(lease):
            assert time.monotonic() < end
        assert process.returncode is None
        assert not owner.is_alive(trial_of(theirs), {})
    assert Watch().living(lease) == {}
    # The same host name and process id, but in another container.
    elsewhere = {**theirs, "machine": "another", "count": 3}
    assert Watch().living({"1": elsewhere}) == {"1": False}


def test_a_trial_of_an_older_nas_lives_with_its_process() -> None:
    assert owner.is_alive(trial_of(OLDER, timedelta(days=2)), {})
    assert not owner.is_alive(trial_of({**OLDER, "start": "1"}), {})  # a later one of the same id


def test_one_that_cannot_be_asked_counts_as_alive_for_a_while() -> None:
    theirs = {**OLDER, "host": "another"}
    assert owner.is_alive(trial_of(theirs, timedelta(hours=23)), {})
    assert not owner.is_alive(trial_of(theirs, timedelta(hours=25)), {})
    assert owner.is_alive(trial_of(None, timedelta(seconds=50)), {})
    assert not owner.is_alive(trial_of(None, timedelta(seconds=70)), {})


def test_on_windows_no_process_is_asked(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    """There, `os.kill` with any number ends the process."""

    def kill(*_: object) -> None:
        raise AssertionError("it would have been killed")

    monkeypatch.setattr("nas.study.owner.sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr("nas.study.owner.os.kill", kill)
    assert owner.is_alive(trial_of({**OLDER, "pid": os.getppid()}, timedelta(hours=23)), {})
    assert not owner.is_alive(trial_of({**OLDER, "pid": os.getppid()}, timedelta(hours=25)), {})
    watch, leases = Watch(), {"1": {**MINE, "pid": os.getppid(), "count": 1}}
    assert watch.living(leases) == {"1": False}
    clock[0] += LIFETIME
    assert watch.living(leases) == {}
    assert watch.living({"1": {**MINE, "count": 1}}) == {}, "its own earlier search"
