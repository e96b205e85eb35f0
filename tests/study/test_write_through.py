import time
from collections.abc import Iterator

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from nas.errors import NasError
from nas.study.owner import Lease
from nas.study.write_through import WriteThrough


@pytest.fixture
def database() -> InMemoryStorage:
    storage = InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage)
    return storage


@pytest.fixture
def lease() -> Lease:
    return Lease()


@pytest.fixture
def storage(database: InMemoryStorage, lease: Lease) -> Iterator[WriteThrough]:
    with WriteThrough(database, 0, "s", lease) as storage:
        yield storage


def test_a_study_is_searched_as_on_any_storage(
    database: InMemoryStorage, storage: WriteThrough
) -> None:
    study = optuna.load_study(
        study_name="s", storage=storage, sampler=optuna.samplers.TPESampler(seed=1)
    )
    study.optimize(lambda trial: trial.suggest_float("y", 0, 1) + trial.suggest_int("x", 1, 3), 12)
    stored = database.get_all_trials(0)
    assert stored == study.trials and len(stored) == 12
    # By name, since a proxy has them in any order.
    assert [list(trial.params) for trial in study.trials] == [["x", "y"]] * 12
    assert [list(trial.distributions) for trial in study.trials] == [["x", "y"]] * 12


def test_it_tells_what_changed(database: InMemoryStorage, storage: WriteThrough) -> None:
    study = optuna.load_study(study_name="s", storage=storage)
    trials = [study.ask() for _ in range(3)]
    version, changed = storage.changed(0)
    assert [trial.number for trial in changed] == [0, 1, 2]
    study.tell(trials[0], 1.0)
    study.tell(trials[2], 1.0)
    version, changed = storage.changed(0, version)
    assert [(trial.number, trial.state.name) for trial in changed] == [
        (0, "COMPLETE"),
        (1, "RUNNING"),
        (2, "COMPLETE"),
    ]
    version, changed = storage.changed(0, version)
    assert [trial.number for trial in changed] == [1, 2], "what may change, and what comes after"
    study.tell(trials[1], 1.0)
    version, changed = storage.changed(0, version)
    assert [trial.number for trial in changed] == [1, 2]
    assert storage.changed(0, version) == (3, [])


def test_a_trial_that_its_server_does_not_know_yet_hides_later_ones(
    database: InMemoryStorage, storage: WriteThrough, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.load_study(study_name="s", storage=storage)
    for _ in range(4):
        study.ask()
    known = [trial for trial in database.get_all_trials(0) if trial.number != 1]
    monkeypatch.setattr(database, "get_all_trials", lambda *_: known)
    assert [trial.number for trial in storage.get_all_trials(0, deepcopy=False)] == [0]


def test_the_lease_is_renewed_and_given_up(
    database: InMemoryStorage, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.study.write_through.RENEWAL", 0.01)
    with WriteThrough(database, 0, "s", lease):
        first = database.get_study_system_attrs(0)[lease.key]["count"]
        end = time.monotonic() + 10
        while database.get_study_system_attrs(0)[lease.key]["count"] < first + 3:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert database.get_study_system_attrs(0) == {lease.key: None}


def test_the_next_write_tells_that_the_lease_could_not_be_renewed(
    database: InMemoryStorage, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.study.write_through.RENEWAL", 0.01)
    with WriteThrough(database, 0, "s", lease) as storage:
        study = optuna.load_study(study_name="s", storage=storage)
        trial = study.ask()
        database.delete_study(0)
        storage._thread.join(10)
        with pytest.raises(NasError, match="study 's': was deleted while it was in use"):
            trial.set_user_attr("x", 1)


def test_a_trial_that_another_process_ended_is_an_error(
    database: InMemoryStorage, storage: WriteThrough
) -> None:
    trial = optuna.load_study(study_name="s", storage=storage).ask()
    database.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    with pytest.raises(StorageInternalError, match="another process ended"):
        trial.report(1.0, 1)
