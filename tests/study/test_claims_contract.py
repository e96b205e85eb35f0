"""What searches on one study may rely on, the same wherever the study lies."""

import itertools
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import servers
from fakes import PROBLEM, SPACE, FakeEngine, SlotsPool, open_fake_study, url_of
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.errors import NasError
from nas.searching import LiveStudy, SearchOptions, live_study, run_search
from nas.searching.leftovers import sweep
from nas.space import RandomSuggester
from nas.spec import TrialSpec
from nas.study import owner
from nas.study.attributes import TrialAttributes
from nas.study.claims import NoPlaceError
from nas.study.owner import LEASE, LIFETIME, Watch
from nas.study.record import delete_study, load_study, set_attributes
from nas.study.storage import open_storage
from nas.study.study_list import summarize_studies

_numbers = itertools.count()


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "grpc"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("contract")
    match request.param:
        case "sqlite":
            yield url_of(folder)
        case "postgresql":
            with servers.postgresql() as address:
                yield address
        case "grpc":
            open_storage(url_of(folder), create=True)
            with servers.proxy_of(url_of(folder)) as address:
                yield address


@pytest.fixture
def name(url: str) -> str:
    """A study of its own."""
    name = f"study{next(_numbers)}"
    open_fake_study(Path(), name=name, url=url)
    return name


@pytest.fixture
def searches(url: str, name: str) -> Iterator[list[LiveStudy]]:
    """Two searches of one study, each on a storage of its own as in another process."""
    with ExitStack() as stack:
        yield [stack.enter_context(live_study(open_storage(url), url, name)) for _ in range(2)]


def trials_of(url: str, name: str) -> list[FrozenTrial]:
    return optuna.load_study(study_name=name, storage=open_storage(url)).get_trials()


def network(seed: int) -> TrialSpec:
    return SPACE.sample(RandomSuggester(seed), PROBLEM)


def begin(live: LiveStudy, places: int = 100) -> optuna.Trial:
    """A trial of the next index."""
    while True:
        begun = live.claims.begin(live.claims.index, places=places)
        if begun is not None:
            return live.claims.trial(begun[0])


def end(live: LiveStudy, trial: optuna.Trial, outcome: str) -> None:
    set_attributes(trial, TrialAttributes(outcome=outcome))
    if outcome == "complete":
        live.study.tell(trial, 1.0)
    else:
        live.study.tell(trial, state=TrialState.FAIL)
    live.claims.give_back()


def claim_all(live: LiveStudy, places: int, seed: int) -> int:
    """Claims until the study is full; all walk through the same networks, so that they collide."""
    generator, n_done = random.Random(seed), 0
    while True:
        try:
            trial = begin(live, places)
        except NoPlaceError:
            live.claims.refresh()
            if live.claims.n_training == 0 and live.claims.is_full(places):
                return n_done
            time.sleep(0.01)
            continue
        claims = live.claims
        spec = next(spec for spec in map(network, itertools.count()) if claims.twin(spec) is None)
        taken = claims.take_network(trial, spec) is not None
        # Some come back for another reason, after a while in which they had a place.
        failed = not taken and generator.random() < 0.2
        time.sleep(generator.random() / 100)
        n_done += not taken and not failed
        end(live, trial, "duplicate" if taken else "too_large" if failed else "complete")


CLAIMING = """
import sys
from test_claims_contract import claim_all, live_study, open_storage
url, name, places, seed = sys.argv[1:]
with live_study(open_storage(url), url, name) as live:
    print("ready", flush=True)
    sys.stdin.readline()
    print(claim_all(live, int(places), int(seed)))
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:3]))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{line}\n", process.communicate()


@pytest.mark.long
def test_threads_and_processes_that_claim_at_once_share_a_study_exactly(
    url: str, name: str
) -> None:
    places = 40
    processes = [start(CLAIMING, url, name, places, seed) for seed in (1, 2)]
    with ExitStack() as stack:
        lives = [stack.enter_context(live_study(open_storage(url), url, name)) for _ in range(3)]
        for process in processes:
            wait_for(process, "ready")
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(claim_all, live, places, 3 + k) for k, live in enumerate(lives)]
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            results = [process.communicate(timeout=120) for process in processes]
            n_done = [future.result() for future in done]
    assert [process.returncode for process in processes] == [0, 0], results
    n_done += [int(output) for output, _ in results]
    trials = trials_of(url, name)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    counted = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(counted) == sum(n_done) == places
    assert sum(map(bool, n_done)) > 2, "several had a share"
    assert sorted(trial.user_attrs["index"] for trial in counted) == list(range(places))
    wanted = {trial.user_attrs["outcome"] for trial in trials}
    assert wanted <= {"complete", "duplicate", "too_large", "interrupted"}
    specs = [str(trial.user_attrs["spec"]) for trial in counted]
    assert len(set(specs)) == places
    waiting = [trial for trial in trials if not trial.state.is_finished()]
    assert waiting == []
    (summary,) = [summary for summary in summarize_studies(url) if summary.name == name]
    assert (summary.n_trials, summary.n_complete, summary.best) == (places, places, 1.0)


@pytest.mark.long
def test_two_searches_with_four_slots_each_share_a_study_exactly(url: str, name: str) -> None:
    engines, options = [FakeEngine(), FakeEngine()], SearchOptions(30, startup_trials=10)
    with ExitStack() as stack:
        lives = [stack.enter_context(live_study(open_storage(url), url, name)) for _ in engines]
        steps = [
            run_search(live, url, SPACE, PROBLEM, SlotsPool(engine, 4), options)
            for live, engine in zip(lives, engines, strict=True)
        ]
        most = 0
        while states := [state for search in steps if (state := next(search, None))]:
            most = max(most, sum(state.in_training for state in states))
    assert most == 8
    record = load_study(name, url)
    assert len(record.counted) == len({trial.spec for trial in record.counted}) == 30
    trials = trials_of(url, name)
    indices = [trials[trial.number].user_attrs["index"] for trial in record.counted]
    assert sorted(indices) == list(range(30))
    assert all(len(engine.started) > 5 for engine in engines)
    assert not any(trial.outcome == "running" for trial in record.trials)


def test_a_trial_gives_back_what_it_took_by_its_outcome(searches: list[LiveStudy]) -> None:
    ours, theirs = searches
    done, rejected = begin(ours, 2), begin(theirs, 2)
    assert [trial.user_attrs["index"] for trial in (done, rejected)] == [0, 1]
    assert ours.claims.take_network(done, network(1)) is None
    assert theirs.claims.take_network(rejected, network(1)) == 0
    assert theirs.claims.take_network(rejected, network(2)) is None
    for live in searches:
        with pytest.raises(NoPlaceError):
            begin(live, 2)
        assert live.claims.is_full(2) and not live.claims.is_full(3)
    end(ours, done, "complete")
    with pytest.raises(NoPlaceError):
        begin(theirs, 2)
    end(theirs, rejected, "too_large")
    again = begin(ours, 2)
    assert (again.user_attrs["index"], again.number) == (1, 2)
    assert ours.claims.take_network(again, network(2)) is None
    with pytest.raises(NoPlaceError):
        begin(theirs, 2)


def test_an_index_that_another_search_took_is_refused(searches: list[LiveStudy]) -> None:
    ours, theirs = searches
    assert begin(theirs).user_attrs["index"] == ours.claims.index == 0
    assert ours.claims.begin(0, {"depth": 3}, 100) is None
    assert ours.claims.index == 1
    assert [trial.state for trial in ours.database.get_all_trials(ours.study._study_id)] == [
        TrialState.RUNNING
    ]


def test_a_waiting_trial_comes_first_and_keeps_its_index_if_it_can(
    searches: list[LiveStudy],
) -> None:
    ours, theirs = searches
    first = begin(ours)
    for index in (7, first.user_attrs["index"]):
        retry_of = {"trial": 40 + index, "index": index}
        ours.study.enqueue_trial({"depth": 2}, user_attrs={"retry_of": retry_of})
    ours.study.enqueue_trial({"depth": 3})
    taken = [begin(live) for live in (theirs, ours, theirs, ours)]
    # Its own; a free one, as another has its own; a free one, as it had none; a new trial.
    assert [trial.user_attrs["index"] for trial in taken] == [7, 1, 2, 3]
    assert [trial.suggest_int("depth", 1, 5) for trial in taken[:3]] == [2, 2, 3]
    leases = [trial.user_attrs["owner"]["lease"] for trial in (first, *taken)]
    assert leases == [leases[k] for k in (0, 1, 0, 1, 0)] and leases[0] != leases[1]


def test_a_waiting_trial_is_taken_by_one_of_many(searches: list[LiveStudy]) -> None:
    for index in range(6):
        searches[0].study.enqueue_trial(
            {"depth": 2}, user_attrs={"retry_of": {"trial": index + 90, "index": index + 10}}
        )
    barrier = threading.Barrier(2)

    def take(live: LiveStudy) -> list[int]:
        barrier.wait()
        return [begin(live, 6).user_attrs["index"] for _ in range(3)]

    with ThreadPoolExecutor() as pool:
        indices = [index for taken in pool.map(take, searches) for index in taken]
    assert sorted(indices) == list(range(10, 16))
    for live in searches:
        with pytest.raises(NoPlaceError):
            begin(live, 6)


def test_a_search_whose_count_stands_still_loses_its_trials(
    searches: list[LiveStudy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the reader's own clock has it, whatever the clocks of others say."""
    now = [1000.0]
    monkeypatch.setattr("nas.study.owner.time", SimpleNamespace(monotonic=lambda: now[0]))
    ours, study = searches[0], searches[0].study
    theirs = {**owner.this_process(), "machine": "another", "host": "another"}
    ours.database.set_study_system_attr(study._study_id, LEASE + "1", {**theirs, "count": 7})
    depth = optuna.distributions.IntDistribution(1, 5)
    dead = create_trial(
        state=TrialState.RUNNING,
        params={"depth": 4},
        distributions={"depth": depth},
        user_attrs={"owner": {**theirs, "lease": "1"}, "index": 0},
    )
    ours.database.create_new_trial(study._study_id, dead)
    mine = begin(ours)
    watch = Watch()
    assert sweep(study, ours.database, watch), "it may live"
    now[0] += LIFETIME - 1
    ours.database.set_study_system_attr(study._study_id, LEASE + "1", {**theirs, "count": 8})
    assert not sweep(study, ours.database, watch), "it does"
    now[0] += LIFETIME - 1
    assert not sweep(study, ours.database, watch)
    assert [trial.state for trial in study.get_trials()] == [TrialState.RUNNING] * 2
    now[0] += 1
    assert not sweep(study, ours.database, watch)
    swept, other = ours.database.get_all_trials(study._study_id)[:2]
    assert (swept.state, swept.user_attrs["outcome"]) == (TrialState.FAIL, "interrupted")
    assert (other._trial_id, other.state) == (mine._trial_id, TrialState.RUNNING)
    ours.claims.refresh()
    assert ours.claims.waiting
    leases = ours.database.get_study_system_attrs(study._study_id)
    assert leases.get(LEASE + "1") is None
    again = begin(ours)
    assert (again.number, again.user_attrs["index"]) == (2, 0)
    assert again.suggest_int("depth", 1, 5) == 4


KILLED = """
import sys, time
from test_claims_contract import begin, live_study, network, open_storage
url, name = sys.argv[1:]
with live_study(open_storage(url), url, name) as live:
    trial = begin(live)
    trial.suggest_int("depth", 1, 5)
    live.claims.take_network(trial, network(5))
    live.storage.flush()
    print(trial.params["depth"], flush=True)
    time.sleep(600)
"""


@pytest.mark.long
def test_the_trial_of_a_killed_process_is_trained_again(
    url: str, searches: list[LiveStudy]
) -> None:
    study = searches[0].study
    process = start(KILLED, url, study.study_name)
    assert process.stdout is not None
    depth = process.stdout.readline()
    assert depth, process.communicate()
    for live in searches:
        assert not sweep(live.study, live.database), "it lives"
    process.kill()
    process.communicate()
    with ThreadPoolExecutor() as pool:  # both find it at once
        list(pool.map(lambda live: sweep(live.study, live.database), searches))
    trials = trials_of(url, study.study_name)
    assert trials[0].user_attrs["outcome"] == "interrupted"
    assert trials[0].user_attrs["killed"] is True
    again = begin(searches[1], 2)
    assert again.user_attrs["index"] == 0 and again.suggest_int("depth", 1, 5) == int(depth)
    assert searches[1].claims.take_network(again, network(5)) is None, "it was given back"
    assert begin(searches[0], 2).user_attrs["index"] == 1, "it waits once"
    for live in searches:
        with pytest.raises(NoPlaceError):
            begin(live, 2)


def test_nothing_is_begun_in_a_study_that_was_deleted(url: str, name: str) -> None:
    deleted = f"study '{name}': was deleted while it was in use"
    with live_study(open_storage(url), url, name) as live:
        begin(live)
        with pytest.raises(NasError, match="has 1 trial in training"):
            delete_study(name, url)
        delete_study(name, url, force=True)
        successor = f"{name}-again"
        open_fake_study(Path(), name=successor, url=url)
        with pytest.raises(NasError, match=deleted):
            begin(live)
    assert trials_of(url, successor) == []
    assert name not in [summary.name for summary in summarize_studies(url)]
