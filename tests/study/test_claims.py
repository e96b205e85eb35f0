import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from fakes import PROBLEM, SPACE, open_fake_study, url_of
from optuna.trial import TrialState

from nas.errors import NasError
from nas.searching import LiveStudy, live_study
from nas.space import RandomSuggester
from nas.spec import TrialSpec
from nas.study import owner
from nas.study.attributes import TrialAttributes
from nas.study.claims import NoPlaceError
from nas.study.record import delete_study, load_study, set_attributes
from nas.study.storage import open_storage

SEARCH = """
import os, sys, time
from pathlib import Path
from fakes import FakeEngine, search_fake, smooth
folder, dies_after = Path(sys.argv[1]), int(sys.argv[2])

def scores(spec, fold, seed, epoch):
    if len(engine.started) == epoch == 1 and fold == 0:
        print("ready", flush=True)
        sys.stdin.readline()
    time.sleep(0.006)  # so that each has time for a few trials
    if len(engine.started) >= dies_after and epoch == 3:  # of a trial that is not pruned before
        time.sleep(1)  # until what the trial is has reached the database
        os._exit(9)
    return smooth(spec, fold, seed, epoch)

engine = FakeEngine(scores)
search_fake(folder, engine, n_trials=40, startup_trials=5)
"""
NEVER = 1000


@pytest.mark.parametrize("deaths", [(NEVER, NEVER, NEVER), (3, NEVER, 2)], ids=["living", "killed"])
@pytest.mark.long
def test_processes_that_search_one_study_share_it_exactly(
    tmp_path: Path, deaths: tuple[int, ...]
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SEARCH, str(tmp_path), str(dies_after)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for dies_after in deaths
    ]
    for process in processes:  # each has a trial in training
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "ready\n", process.communicate()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=120)[1] for process in processes]
    codes = [0 if dies_after == NEVER else 9 for dies_after in deaths]
    assert [process.returncode for process in processes] == codes, errors
    record = load_study("fake", url_of(tmp_path))
    assert len(record.counted) == 40
    assert len({trial.spec for trial in record.counted}) == 40
    study = optuna.load_study(study_name="fake", storage=open_storage(url_of(tmp_path)))
    trials = study.get_trials()
    indices = [trials[trial.number].user_attrs["index"] for trial in record.counted]
    assert sorted(indices) == list(range(40))
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert all(trial.state.is_finished() for trial in trials)
    owners = {trial.user_attrs["owner"]["pid"] for trial in trials}
    assert owners == {process.pid for process in processes}


@pytest.fixture
def searches(tmp_path: Path) -> Iterator[list[LiveStudy]]:
    """Two searches of one study, each on a storage of its own as in another process."""
    open_fake_study(tmp_path)
    url = url_of(tmp_path)
    with ExitStack() as stack:
        yield [stack.enter_context(live_study(open_storage(url), url, "fake")) for _ in range(2)]


def begin(live: LiveStudy, places: int = 100) -> optuna.Trial:
    """A trial of the next index."""
    while True:
        begun = live.claims.begin(live.claims.index, places=places)
        if begun is not None:
            return live.claims.trial(begun[0])


def reject(live: LiveStudy, trial: optuna.Trial) -> None:
    set_attributes(trial, TrialAttributes(outcome="duplicate"))
    live.study.tell(trial, state=TrialState.FAIL)
    live.claims.give_back()


def network(seed: int) -> TrialSpec:
    return SPACE.sample(RandomSuggester(seed), PROBLEM)


def test_each_trial_of_either_search_has_the_next_index(searches: list[LiveStudy]) -> None:
    trials = [begin(live) for live in (*searches, *searches)]
    assert [trial.user_attrs["index"] for trial in trials] == [0, 1, 2, 3]
    assert [trial.number for trial in trials] == [0, 1, 2, 3]


def test_an_index_that_another_search_took_is_refused(searches: list[LiveStudy]) -> None:
    ours, theirs = searches
    assert begin(theirs).user_attrs["index"] == ours.claims.index == 0
    assert ours.claims.begin(0, {"depth": 3}, 100) is None
    assert ours.claims.index == 1
    assert len(ours.study.trials) == 1


def test_there_are_as_many_places_as_trials(searches: list[LiveStudy]) -> None:
    ours, theirs = searches
    done, rejected = begin(ours, 2), begin(theirs, 2)
    for live in searches:
        with pytest.raises(NoPlaceError):
            begin(live, 2)
        assert live.claims.is_full(2) and not live.claims.is_full(3)
    set_attributes(done, TrialAttributes(outcome="complete"))
    ours.study.tell(done, 1.0)
    with pytest.raises(NoPlaceError):
        begin(theirs, 2)
    reject(theirs, rejected)
    again = begin(ours, 2)
    assert (again.user_attrs["index"], again.number) == (1, 2)
    with pytest.raises(NoPlaceError):
        begin(theirs, 2)


def test_a_full_study_is_asked_again_after_a_moment(
    searches: list[LiveStudy], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = searches
    trial = begin(theirs, 1)
    ours.claims.refresh()
    reject(theirs, trial)
    assert ours.claims.is_full(1)
    monkeypatch.setattr("nas.study.claims.LOOK_AGAIN", 0.0)
    assert not ours.claims.is_full(1)


def test_a_network_is_trained_by_one_search_only(searches: list[LiveStudy]) -> None:
    ours, theirs = searches
    first, second = begin(ours), begin(theirs)
    assert ours.claims.take_network(first, network(1)) is None
    assert theirs.claims.take_network(second, network(1)) == 0
    assert theirs.claims.take_network(second, network(2)) is None
    stored = optuna.load_study(study_name="fake", storage=ours.database).trials
    specs = [TrialSpec.from_dict(trial.user_attrs["spec"]) for trial in stored]
    assert specs == [network(1), network(2)]
    reject(ours, first)  # what does not count may be trained by others
    assert theirs.claims.take_network(begin(theirs), network(1)) is None


def test_a_waiting_trial_comes_first_and_keeps_its_index(searches: list[LiveStudy]) -> None:
    ours, theirs = searches
    for index in (7, 5):
        retry_of = {"trial": 0, "index": index}
        ours.study.enqueue_trial({"depth": 2}, user_attrs={"retry_of": retry_of, "owner": 1})
    ours.study.enqueue_trial({"depth": 3})
    assert theirs.claims.begin(0, {"depth": 1}, 100) == (1, 7)
    taken = [begin(live) for live in (*searches, ours)]
    assert [trial.user_attrs["index"] for trial in taken] == [5, 0, 1]
    stored = optuna.load_study(study_name="fake", storage=ours.database).trials
    assert [trial.system_attrs.get("fixed_params") for trial in stored] == [
        {"depth": 2},
        {"depth": 2},
        {"depth": 3},
        None,
    ]
    assert [trial.state for trial in stored] == [TrialState.RUNNING] * 4
    owners = [trial.user_attrs["owner"] for trial in stored]
    assert [{**theirs, **owner.this_process()} for theirs in owners] == owners
    assert [live["lease"] for live in owners] == [owners[k]["lease"] for k in (0, 1, 0, 1)]
    assert owners[0]["lease"] != owners[1]["lease"]


def test_a_trial_says_from_its_first_moment_whose_it_is(searches: list[LiveStudy]) -> None:
    begun = searches[0].claims.begin(0, {"depth": 2}, given=True)
    (stored,) = optuna.load_study(study_name="fake", storage=searches[0].database).trials
    assert begun == (stored._trial_id, 0)
    mine = {**owner.this_process(), "lease": stored.user_attrs["owner"]["lease"]}
    assert stored.user_attrs == {"owner": mine, "index": 0, "given": True}
    assert stored.system_attrs == {"fixed_params": {"depth": 2}}
    here = searches[0].study.get_trials()[0]
    assert replace_time(here) == replace_time(stored)


def replace_time(trial: optuna.trial.FrozenTrial) -> dict:
    return {**vars(trial), "_datetime_start": trial.datetime_start.replace(microsecond=0)}


def test_a_trial_costs_the_database_few_statements(searches: list[LiveStudy]) -> None:
    live = searches[0]
    begin(live)
    statements: list[str] = []
    sqlalchemy.event.listen(
        live.database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    trial = begin(live)
    assert len(statements) == 4, statements  # the lock, what is taken, the trial, its attributes
    statements.clear()
    live.claims.take_network(trial, network(1))
    assert len(statements) == 3, statements  # the lock, what is taken, the network


@pytest.mark.parametrize("successor", [None, "fake", "other"])
def test_nothing_is_written_for_a_study_that_was_deleted(
    tmp_path: Path, successor: str | None
) -> None:
    """Not even for one that has its id, and whose trial has its trial's id."""
    open_fake_study(tmp_path)
    url = url_of(tmp_path)
    deleted = "study 'fake': was deleted while it was in use"
    with pytest.raises(NasError, match=deleted), live_study(open_storage(url), url, "fake") as live:
        trial = begin(live)
        delete_study("fake", url, force=True)
        if successor is not None:
            study = open_fake_study(tmp_path, name=successor)
            assert study._study_id == live.study._study_id
            with live_study(open_storage(url), url, successor) as later:
                assert begin(later)._trial_id == trial._trial_id
        with pytest.raises(NasError, match=deleted):
            begin(live)
        trial.suggest_float("x", 0, 1)
        trial.set_user_attr("outcome", "complete")
        live.study.tell(trial, 1.0)
        live.claims.give_back()
    with sqlalchemy.create_engine(url).connect() as connection:
        for table in ("trial_params", "trial_values"):
            assert not connection.execute(sqlalchemy.text(f"SELECT * FROM {table}")).all()
        states = connection.execute(sqlalchemy.text("SELECT state FROM trials")).all()
        assert len(states) == (successor is not None)
    connection.engine.dispose()
    if successor is not None:
        (trial,) = optuna.load_study(study_name=successor, storage=open_storage(url)).trials
        assert trial.params == {} and trial.user_attrs["reason"] == "the search ended"
