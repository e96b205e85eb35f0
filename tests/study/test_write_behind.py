import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.samplers import BaseSampler, CmaEsSampler, QMCSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from nas.errors import NasError
from nas.study import write_behind
from nas.study.optuna_tables import StudyKey
from nas.study.owner import Lease, Watch
from nas.study.storage import open_storage, storage_errors
from nas.study.write_behind import WriteBehind

NAN, INF = float("nan"), float("inf")

Start = Callable[[], optuna.Study]


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/nas.db"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Opens the study, each time as another process would; closes the storages at the end."""
    database = open_storage(url_of(tmp_path), create=True)
    optuna.create_study(study_name="s", storage=database, direction="maximize")
    storages = []

    def open_it() -> optuna.Study:
        storage = WriteBehind(open_storage(url_of(tmp_path)))
        storages.append(storage)
        return optuna.load_study(study_name="s", storage=storage)

    yield open_it
    for storage in storages:
        try:
            storage.close()
        except StorageInternalError:
            continue


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread writes nothing by itself, and nothing is read anew by itself."""
    monkeypatch.setattr(write_behind, "SOON", 3600.0)
    monkeypatch.setattr(write_behind, "INTERVAL", 3600.0)


def storage_of(study: optuna.Study) -> WriteBehind:
    assert isinstance(study._storage, WriteBehind)
    return study._storage


def in_database(folder: Path) -> list[FrozenTrial]:
    """The trials as a process that starts now reads them."""
    storage = RDBStorage(url_of(folder))
    trials = optuna.load_study(study_name="s", storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    return trials


def plain(trials: list[FrozenTrial]) -> list[list[str]]:
    """All of the trials as text, in which nan equals nan, and 1 does not equal 1.0.

    In the order of the parameters, but not of the attributes, which the database does not keep.
    """

    def text(key: str, value: object) -> str:
        if isinstance(value, dict) and key not in ("_params", "_distributions"):
            value = sorted(value.items())
        return f"{key}: {value!r}"

    return [[text(*item) for item in sorted(vars(trial).items())] for trial in trials]


def suggest(trial: Trial) -> float:
    value = trial.suggest_float("rate", 1e-5, 1.0, log=True) + trial.suggest_float("x", 0, 1)
    value += trial.suggest_int("depth", 1, 5) + trial.suggest_int("width", 8, 256, log=True)
    value += trial.suggest_float("drop", 0, 0.5, step=0.1) + trial.suggest_int("even", 2, 8, step=2)
    choices = [None, True, 1, 1.5, "a"]
    if trial.suggest_categorical("choice", choices) == "a":
        value += trial.suggest_float("conditional", -1, 0)
    return value


def run_one(study: optuna.Study) -> None:
    """A trial with all that a trial can have."""
    trial = study.ask()
    value = suggest(trial)
    trial.set_user_attr("spec", {"units": (8, 4), 1: None, "rates": [0.1, NAN]})
    trial.set_user_attr("spec", {"units": (8, 2), 1: None, "rates": [0.1, NAN]})
    for step, report in enumerate((0.1, NAN, INF, -INF, 1e-300, 1)):
        trial.report(report, step)
    storage_of(study).set_trial_intermediate_value(trial._trial_id, 0, 0.2)
    trial.set_constraint("max_params", trial.number - 5)
    if trial.number % 5 == 1:
        study.tell(trial, state=TrialState.PRUNED)
    elif trial.number % 5 == 2:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, -INF if trial.number == 3 else value)


@pytest.mark.filterwarnings("ignore:Constraints have been set, but CmaEsSampler")
@pytest.mark.parametrize(
    "sampler",
    [
        RandomSampler(seed=1),
        TPESampler(group=True, n_startup_trials=4, seed=1),
        QMCSampler(scramble=True, seed=1, warn_asynchronous_seeding=False),
        CmaEsSampler(n_startup_trials=2, seed=1, warn_independent_sampling=False),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_what_is_read_here_is_what_others_read_later(
    start: Start, tmp_path: Path, sampler: BaseSampler
) -> None:
    study = start()
    study.sampler = sampler
    study.enqueue_trial({"rate": 0.1, "depth": 2}, user_attrs={"retry_of": {"trial": (0, 1)}})
    for _ in range(10):
        run_one(study)
    study.enqueue_trial({"rate": 0.2})
    suggest(study.ask())
    suggest(study.ask())
    study.enqueue_trial({"rate": 0.3})
    study.add_trial(create_trial(value=3.0, user_attrs={"a": (1,)}, system_attrs={"b": {1: 2}}))
    storage_of(study).flush()
    here = study.get_trials(deepcopy=False)
    states = [trial.state.name for trial in here]
    assert (states[0], states[1], states[2]) == ("COMPLETE", "PRUNED", "FAIL")
    assert states[-4:] == ["RUNNING", "RUNNING", "WAITING", "COMPLETE"]
    assert here[0].params["rate"] == 0.1 and "constraints:max_params" in here[0].system_attrs
    assert plain(here) == plain(in_database(tmp_path))
    assert plain(here) == plain(start().get_trials())
    assert plain(here) == plain(study.get_trials(deepcopy=True))
    stored = optuna.load_study(study_name="s", storage=open_storage(url_of(tmp_path)))
    assert study.best_trial.number == stored.best_trial.number


def test_all_objectives_of_a_trial_are_kept(start: Start, tmp_path: Path) -> None:
    storage = storage_of(start())
    optuna.create_study(study_name="two", storage=storage, directions=["minimize", "maximize"])
    study = optuna.load_study(study_name="two", storage=storage)
    study.tell(study.ask(), (INF, 1))
    storage.flush()
    stored = optuna.load_study(study_name="two", storage=open_storage(url_of(tmp_path)))
    assert study.trials[0].values == stored.trials[0].values == [INF, 1.0]


def test_optuna_uses_the_storage_as_it_is(start: Start) -> None:
    storage = storage_of(start())
    assert optuna.storages.get_storage(storage) is storage


@pytest.mark.usefixtures("still")
def test_a_value_that_was_written_before_is_replaced(start: Start, tmp_path: Path) -> None:
    study = start()
    study.enqueue_trial({}, user_attrs={"queued": 1, "kept": 0})
    trial = study.ask()
    storage = storage_of(study)
    for value in (1, 2):
        trial.set_user_attr("queued", value)
        trial.set_user_attr("new", value)
        storage.set_trial_system_attr(trial._trial_id, "system", value)
        storage.set_trial_intermediate_value(trial._trial_id, 7, value)
        storage.flush()
    (stored,) = in_database(tmp_path)
    assert stored.user_attrs == {"queued": 2, "kept": 0, "new": 2}
    assert (stored.system_attrs["system"], stored.intermediate_values) == (2, {7: 2.0})
    assert plain(study.get_trials()) == plain([stored])


@pytest.mark.usefixtures("still")
def test_what_was_read_does_not_change_afterwards(start: Start) -> None:
    study = start()
    trial = study.ask()
    before, trials = storage_of(study).get_trial(trial._trial_id), study.get_trials(deepcopy=False)
    text = plain([before, *trials])
    given = {"units": [1]}
    trial.set_user_attr("spec", given)
    trial.suggest_int("depth", 1, 3)
    trial.report(0.5, 1)
    trial.set_constraint("c", 1.0)
    given["units"].append(2)
    study.tell(trial, 1.0)
    assert plain([before, *trials]) == text
    assert study.get_trials(deepcopy=False)[0].user_attrs == {"spec": {"units": [1]}}


def test_the_thread_writes_a_new_trial_soon_and_its_reports_within_seconds(
    start: Start, tmp_path: Path
) -> None:
    study = start()
    trial = study.ask()
    suggest(trial)
    trial.set_user_attr("spec", 1)
    trial.report(0.5, 1)
    for seconds in (0.2, 0.3, 0.5, 1, 2, 4):
        time.sleep(seconds)
        (stored,) = in_database(tmp_path)
        if stored.params:
            break
    assert plain([stored]) == plain(study.get_trials())
    trial.report(0.6, 2)
    for seconds in (1.1, 1, 2, 4):
        time.sleep(seconds)
        if 2 in in_database(tmp_path)[0].intermediate_values:
            return
    pytest.fail("the report was not written")


@pytest.mark.usefixtures("still")
def test_a_trial_is_complete_with_all_it_has_or_not_at_all(start: Start, tmp_path: Path) -> None:
    study = start()
    run_one(study)
    with sqlite3.connect(tmp_path / "nas.db") as connection:
        connection.execute("ALTER TABLE trial_values RENAME TO hidden")
    with pytest.raises(StorageInternalError):
        storage_of(study).flush()
    with sqlite3.connect(tmp_path / "nas.db") as connection:
        connection.execute("ALTER TABLE hidden RENAME TO trial_values")
    (stored,) = in_database(tmp_path)
    assert (stored.state, stored.params, stored.user_attrs) == (TrialState.RUNNING, {}, {})
    storage_of(study).flush()
    assert plain(in_database(tmp_path)) == plain(study.get_trials())


def test_no_process_ever_sees_a_complete_trial_without_its_values(
    start: Start, tmp_path: Path
) -> None:
    study, storage = start(), RDBStorage(url_of(tmp_path))
    done = threading.Event()

    def search() -> None:
        for _ in range(30):
            run_one(study)
            storage_of(study).flush()
        done.set()

    thread = threading.Thread(target=search)
    thread.start()
    looks = 0
    while not done.is_set():
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        for trial in storage.get_all_trials(study._study_id, states=ended):
            assert trial.values and len(trial.intermediate_values) == 6
            assert len(trial.params) >= 7 and "spec" in trial.user_attrs
        looks += 1
    thread.join()
    assert looks > 3
    storage.remove_session()
    storage.engine.dispose()


def test_an_error_of_the_thread_is_raised_by_the_next_call(start: Start, tmp_path: Path) -> None:
    study = start()
    trial = study.ask()
    with sqlite3.connect(tmp_path / "nas.db") as connection:
        connection.execute("DROP TABLE trial_user_attributes")
    trial.set_user_attr("spec", 1)
    wait_for(lambda: storage_of(study)._error is not None)
    with (
        pytest.raises(NasError, match="no such table: trial_user_attributes"),
        storage_errors(url_of(tmp_path)),
    ):
        trial.report(0.5, 1)
    with pytest.raises(StorageInternalError):
        storage_of(study).close()


def test_closing_writes_the_rest_and_raises_what_the_thread_met(
    start: Start, tmp_path: Path
) -> None:
    study = start()
    run_one(study)
    storage_of(study).close()
    assert plain(in_database(tmp_path)) == plain(study.get_trials())
    other = start()
    trial = other.ask()
    with sqlite3.connect(tmp_path / "nas.db") as connection:
        connection.execute("ALTER TABLE trial_params RENAME TO hidden")
    trial.suggest_int("depth", 1, 5)
    wait_for(lambda: storage_of(other)._error is not None)
    with sqlite3.connect(tmp_path / "nas.db") as connection:
        connection.execute("ALTER TABLE hidden RENAME TO trial_params")
    with pytest.raises(StorageInternalError):
        storage_of(other).close()
    assert "depth" in in_database(tmp_path)[1].params


def test_a_closed_storage_takes_nothing_more(start: Start) -> None:
    study = start()
    trial = study.ask()
    with storage_of(study):
        trial.report(0.5, 1)
    assert "write-behind" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="closed"):
        trial.report(0.5, 2)


@pytest.mark.usefixtures("still")
def test_a_locked_database_is_waited_for_and_then_an_error(tmp_path: Path) -> None:
    open_storage(url_of(tmp_path), create=True)
    database = RDBStorage(url_of(tmp_path), engine_kwargs={"connect_args": {"timeout": 0.3}})
    optuna.create_study(study_name="s", storage=database)
    with WriteBehind(database) as storage:
        study = optuna.load_study(study_name="s", storage=storage)
        trial = study.ask()
        suggest(trial)
        lock = sqlite3.connect(tmp_path / "nas.db", isolation_level=None, check_same_thread=False)
        lock.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(NasError, match="database is locked"),
            storage_errors(url_of(tmp_path)),
        ):
            storage.flush()
        trial.report(0.5, 1)
        study.tell(trial, 1.0)
        unlock = threading.Timer(0.1, lock.execute, ["ROLLBACK"])
        unlock.start()
        storage.flush()
        unlock.join()
        lock.close()
        assert plain(in_database(tmp_path)) == plain(study.get_trials())
    database.remove_session()
    database.engine.dispose()


@pytest.mark.long
def test_several_processes_number_their_trials_without_clash(start: Start, tmp_path: Path) -> None:
    studies = [start(), start()]
    errors: list[BaseException] = []

    def search(study: optuna.Study) -> None:
        try:
            for _ in range(15):
                run_one(study)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search, args=[study]) for study in studies * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for study in studies:
        storage_of(study).flush()
    stored = in_database(tmp_path)
    assert [trial.number for trial in stored] == list(range(60))
    assert all(trial.state.is_finished() for trial in stored)
    for study in studies:
        wait_for(lambda study=study: plain(study.get_trials()) == plain(stored))


def test_a_waiting_trial_is_taken_by_one_process_only(start: Start) -> None:
    studies = [start(), start()]
    studies[0].enqueue_trial({"x": 0.5})
    trials = [study.get_trials()[0] for study in studies]
    assert [trial.state for trial in trials] == [TrialState.WAITING] * 2
    taken = [
        storage_of(study).set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        for study, trial in zip(studies * 2, trials * 2, strict=True)
    ]
    assert taken == [True, False, False, False]
    assert studies[1].ask().number == 1


@pytest.mark.usefixtures("still")
def test_trials_of_other_processes_are_seen(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = start(), start()
    assert ours.get_trials() == []
    run_one(theirs)
    running = theirs.ask()
    assert ours.get_trials() == []  # asked a moment ago
    ours.ask()
    assert [trial.number for trial in ours.get_trials()] == [0, 1, 2]
    assert ours.get_trials()[0].params == {}
    storage_of(theirs).flush()
    monkeypatch.setattr(write_behind, "INTERVAL", 0.0)
    assert plain(ours.get_trials()[:2]) == plain(theirs.get_trials()[:2])
    suggest(running)
    theirs.tell(running, 1.0)
    storage_of(theirs).flush()
    assert plain(ours.get_trials()[:2]) == plain(theirs.get_trials()[:2])


@pytest.mark.usefixtures("still")
def test_trials_of_a_dead_process_can_be_ended(start: Start, tmp_path: Path) -> None:
    dead, ours = start(), start()
    trial = dead.ask()
    suggest(trial)
    storage_of(dead).flush()
    storage = storage_of(ours)
    storage.set_trial_user_attr(trial._trial_id, "outcome", "interrupted")
    storage.set_trial_system_attr(trial._trial_id, "system", 1)
    storage.set_trial_intermediate_value(trial._trial_id, 1, 0.5)
    half = optuna.distributions.FloatDistribution(0, 1)
    storage.set_trial_param(trial._trial_id, "late", 0.5, half)
    ours.tell(0, state=TrialState.FAIL)
    (stored,) = in_database(tmp_path)
    assert (stored.state, stored.params["late"]) == (TrialState.FAIL, 0.5)
    assert (stored.user_attrs, stored.system_attrs) == ({"outcome": "interrupted"}, {"system": 1})
    assert plain(ours.get_trials()) == plain([stored])


@pytest.mark.usefixtures("still")
def test_a_trial_that_another_process_ended_stays_ended_and_is_reported(
    start: Start, tmp_path: Path
) -> None:
    ours, theirs = start(), start()
    trial, kept = ours.ask(), ours.ask()
    theirs.tell(0, state=TrialState.FAIL)
    suggest(trial)
    suggest(kept)
    ours.tell(trial, 1.0)
    with pytest.raises(StorageInternalError, match="another process ended or deleted trial 0"):
        storage_of(ours).flush()
    stored = in_database(tmp_path)
    assert (stored[0].state, stored[0].params) == (TrialState.FAIL, {})
    assert stored[1].params == kept.params
    assert plain(ours.get_trials()) == plain(stored)
    with pytest.raises(UpdateFinishedTrialError):
        trial.report(0.5, 1)


@pytest.mark.usefixtures("still")
def test_nothing_is_written_for_a_deleted_study(start: Start, tmp_path: Path) -> None:
    ours = start()
    suggest(ours.ask())
    optuna.delete_study(study_name="s", storage=open_storage(url_of(tmp_path)))
    with pytest.raises(StorageInternalError, match="another process ended or deleted trial 0"):
        storage_of(ours).flush()
    with sqlite3.connect(tmp_path / "nas.db") as connection:
        assert connection.execute("SELECT * FROM trial_params").fetchall() == []
    connection.close()
    with pytest.raises(KeyError):
        ours.ask()


@pytest.mark.usefixtures("still")
def test_a_study_deleted_here_is_forgotten(start: Start, tmp_path: Path) -> None:
    study = start()
    storage = storage_of(study)
    suggest(study.ask())
    optuna.delete_study(study_name="s", storage=storage)
    storage.flush()
    again = optuna.create_study(study_name="s", storage=storage)
    run_one(again)
    storage.flush()
    assert plain(again.get_trials()) == plain(in_database(tmp_path))


@pytest.mark.usefixtures("still")
def test_finished_trials_are_not_changed(start: Start) -> None:
    study = start()
    trial = study.ask()
    study.tell(trial, 1.0)
    for _ in range(2):  # once before it is in the database, once after
        with pytest.raises(UpdateFinishedTrialError):
            trial.report(0.5, 1)
        with pytest.raises(UpdateFinishedTrialError):
            trial.set_user_attr("spec", 1)
        storage_of(study).flush()
    with pytest.raises(KeyError):
        storage_of(study).get_trial(99)
    with pytest.raises(KeyError):
        storage_of(study).get_trial_id_from_study_id_trial_number(study._study_id, 1)


@pytest.mark.usefixtures("still")
def test_a_parameter_keeps_its_kind_through_all_trials(start: Start) -> None:
    study = start()
    study.ask().suggest_int("depth", 1, 3)
    with pytest.raises(ValueError, match="different distribution kind"):
        study.ask().suggest_float("depth", 1, 3)
    storage_of(study).flush()
    with pytest.raises(ValueError, match="different distribution kind"):
        start().ask().suggest_float("depth", 1, 3)
    study.ask().suggest_int("depth", 1, 5)


@pytest.mark.usefixtures("still")
def test_a_trial_costs_the_database_few_statements(start: Start) -> None:
    study = start()
    run_one(study)
    storage_of(study).flush()
    statements: list[str] = []
    sqlalchemy.event.listen(
        storage_of(study)._database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    for _ in range(3):
        run_one(study)
    statements.clear()
    storage_of(study).flush()
    assert len(statements) == 7  # the lock, five tables, the ends
    for trial in study.get_trials(deepcopy=False) * 10:
        assert storage_of(study).get_trial(trial._trial_id).number == trial.number
        assert storage_of(study).get_n_trials(study._study_id) == 4
    assert len(statements) == 7


KILLED = """
import sys, time
import optuna
from test_write_behind import open_storage, suggest, WriteBehind
storage = WriteBehind(open_storage(sys.argv[1]))
study = optuna.load_study(study_name="s", storage=storage)
trial = study.ask()
suggest(trial)
trial.set_user_attr("owner", 1)
print("begun", flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.mark.usefixtures("start")
@pytest.mark.long
def test_a_killed_process_leaves_a_running_trial_with_its_parameters(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, url_of(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env={"PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:3]))},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(1)
        process.send_signal(signal.SIGKILL)
    (stored,) = in_database(tmp_path)
    assert stored.state == TrialState.RUNNING
    assert len(stored.params) >= 7 and stored.user_attrs == {"owner": 1}


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_what_changed_since_a_version(start: Start, still: None) -> None:
    ours, theirs = start(), start()
    storage, study_id = storage_of(ours), ours._study_id

    def numbers(since: int) -> tuple[int, list[int]]:
        version, trials = storage.changed(study_id, since)
        return version, [trial.number for trial in trials]

    first, second, third = ours.ask(), ours.ask(), ours.ask()
    version, changed = numbers(0)
    assert changed == [0, 1, 2]
    assert numbers(version) == (version, [])
    third.report(0.5, 1)
    first.set_user_attr("spec", 1)
    third.report(0.6, 2)
    later, changed = numbers(version)
    assert changed == [0, 2] and later > version
    ours.tell(second, 1.0)
    assert numbers(later)[1] == [1] and numbers(version)[1] == [0, 2, 1]
    run_one(theirs)
    storage_of(theirs).flush()
    storage._studies[study_id].read_at = -INF
    assert numbers(numbers(later)[0])[1] == []
    assert numbers(later)[1] == [1, 3]


def test_curves_stay_in_the_database_alone(start: Start, still: None, tmp_path: Path) -> None:
    ours = start()
    trial = ours.ask()
    trial.set_user_attr("curves", {"val_loss": [1.0]})
    trial.set_user_attr("spec", 1)
    told = ours.tell(trial, 1.0)
    assert told.user_attrs == {"curves": {"val_loss": [1.0]}, "spec": 1}
    storage_of(ours).flush()
    assert [t.user_attrs for t in ours.trials] == [{"spec": 1}]
    assert [t.user_attrs for t in start().trials] == [{"spec": 1}]
    assert in_database(tmp_path)[0].user_attrs == told.user_attrs


@pytest.fixture
def leased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[WriteBehind, Lease]]:
    """A storage that renews a lease as often as it can."""
    monkeypatch.setattr(write_behind, "RENEWAL", 0.02)
    database = open_storage(url_of(tmp_path), create=True)
    study = optuna.create_study(study_name="s", storage=database, direction="maximize")
    study.set_user_attr("identity", "1")
    lease = Lease()
    with WriteBehind(database, StudyKey(study._study_id, "s", "1"), lease) as storage:
        yield storage, lease


def lease_in(folder: Path, lease: Lease) -> dict | None:
    storage = RDBStorage(url_of(folder))
    attributes = storage.get_study_system_attrs(1)
    storage.remove_session()
    storage.engine.dispose()
    return attributes.get(lease.key)


def test_a_lease_is_renewed_until_the_storage_is_closed(
    leased: tuple[WriteBehind, Lease], tmp_path: Path
) -> None:
    storage, lease = leased
    first, end = lease_in(tmp_path, lease), time.monotonic() + 20
    assert first is not None and first["pid"] == os.getpid()
    while lease_in(tmp_path, lease)["count"] < first["count"] + 3:
        assert time.monotonic() < end
    storage.close()
    assert lease_in(tmp_path, lease) is None
    assert Watch().living({lease.id: first}) == {}


def test_a_lease_that_others_took_for_dead_is_there_again(
    leased: tuple[WriteBehind, Lease], tmp_path: Path
) -> None:
    _, lease = leased
    with sqlite3.connect(tmp_path / "nas.db", timeout=20) as database:
        database.execute("DELETE FROM study_system_attributes")
    database.close()
    end = time.monotonic() + 20
    while lease_in(tmp_path, lease) is None:
        assert time.monotonic() < end
