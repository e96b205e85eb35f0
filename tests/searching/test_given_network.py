from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from fakes import PROBLEM, SPACE, FakeEngine, open_fake_study, search_fake, smooth, url_of
from optuna.trial import TrialState

from nas.engines.lanes import lane_seed
from nas.errors import NasError
from nas.execution.pool import LocalPool
from nas.searching import LiveStudy, SearchOptions, live_study, run_search, train_given
from nas.seeds import derive_seed
from nas.space import RandomSuggester, params_of
from nas.spec import TrialSpec
from nas.study.record import study_record
from nas.study.storage import open_storage

INSIDE = SPACE.sample(RandomSuggester(3), PROBLEM)
OUTSIDE = replace(INSIDE, training=replace(INSIDE.training, learning_rate=0.5))


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStudy]:
    open_fake_study(tmp_path)
    url = url_of(tmp_path)
    with live_study(open_storage(url), url, "fake") as live:
        yield live


def pool_of(engine: FakeEngine) -> LocalPool:
    return LocalPool(lambda _spec: (engine, "fake"))


def train(live: LiveStudy, spec: TrialSpec, engine: FakeEngine | None = None) -> list:
    return list(train_given(live, SPACE, pool_of(engine or FakeEngine()), spec, seed=0))


def test_a_given_network_is_its_own_trial_while_others_wait(live: LiveStudy) -> None:
    other = SPACE.sample(RandomSuggester(4), PROBLEM)
    waiting = {"retry_of": {"trial": 0, "index": 0}}
    live.study.enqueue_trial(params_of(SPACE, other), user_attrs=waiting)
    trained = train(live, INSIDE)[-1].finished
    assert trained.number == 1
    first, second = live.study.get_trials()
    assert first.state == TrialState.WAITING
    assert second.params == params_of(SPACE, INSIDE)
    assert TrialSpec.from_dict(second.user_attrs["spec"]) == INSIDE
    assert second.user_attrs["index"] == 1
    assert (second.state, trained.outcome) == (TrialState.COMPLETE, "complete")
    assert trained.value == pytest.approx(
        sum(
            smooth(INSIDE, fold, lane_seed(derive_seed("trial", 0, 1), fold), 9)
            for fold in range(3)
        )
        / 3
    )


def test_a_search_beside_it_trains_another_network_with_another_index(
    live: LiveStudy, tmp_path: Path
) -> None:
    given = train_given(live, SPACE, pool_of(FakeEngine()), INSIDE, seed=0)
    next(given)
    url, engine = url_of(tmp_path), FakeEngine()
    with live_study(open_storage(url), url, "fake") as beside:
        options = SearchOptions(n_trials=75, sampler="grid", pruner="none")
        for _ in run_search(beside, url, SPACE, PROBLEM, pool_of(engine), options):
            pass
    assert len(engine.started) == 74 and INSIDE not in engine.started
    list(given)
    trials = optuna.load_study(study_name="fake", storage=live.database).trials
    assert sorted(t.user_attrs["index"] for t in trials) == list(range(75))


def test_one_outside_the_space_takes_no_place_and_no_index(live: LiveStudy, tmp_path: Path) -> None:
    given = train_given(live, SPACE, pool_of(FakeEngine()), OUTSIDE, seed=0)
    next(given)
    assert [t.outcome for t in study_record(live.study).trials] == ["running"]
    url = url_of(tmp_path)
    with live_study(open_storage(url), url, "fake") as beside:
        options = SearchOptions(n_trials=2, pruner="none")
        for _ in run_search(beside, url, SPACE, PROBLEM, pool_of(FakeEngine()), options):
            pass
    assert list(given)[-1].finished.outcome == "given"
    live.claims.give_back()
    trials = optuna.load_study(study_name="fake", storage=live.database).trials
    assert [t.user_attrs["outcome"] for t in trials] == ["given", "complete", "complete"]
    assert [t.user_attrs["index"] for t in trials[1:]] == [0, 1]
    assert trials[0].params == {} and trials[0].state == TrialState.FAIL


@pytest.mark.parametrize("spec", [INSIDE, OUTSIDE], ids=["inside", "outside"])
def test_interrupted_it_leaves_a_clean_study(tmp_path: Path, spec: TrialSpec) -> None:
    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        if epoch == 4:
            raise KeyboardInterrupt
        return smooth(spec, fold, seed, epoch)

    study, url = open_fake_study(tmp_path), url_of(tmp_path)
    with (
        pytest.raises(KeyboardInterrupt),
        live_study(open_storage(url), url, "fake") as live,
    ):
        train(live, spec, FakeEngine(scores))
    with live_study(open_storage(url), url, "fake") as live:
        steps = train_given(live, SPACE, pool_of(FakeEngine()), spec, seed=0)
        next(steps)
        steps.close()
    assert [t.outcome for t in study_record(study).trials] == ["interrupted"] * 2
    study, _ = search_fake(tmp_path, n_trials=2)
    assert not [t for t in study.trials if "retry_of" in t.user_attrs]
    assert [t.user_attrs["index"] for t in study.trials[2:]] == [0, 1]


def test_one_that_fails_is_recorded_with_its_reason(live: LiveStudy) -> None:
    def broken(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        raise RuntimeError("no such op")

    with pytest.raises(NasError, match="trial 0: RuntimeError: no such op"):
        train(live, INSIDE, FakeEngine(broken))
    (trial,) = study_record(live.study).trials
    assert (trial.outcome, trial.reason) == ("failed", "RuntimeError: no such op")


@pytest.mark.parametrize("at_once", [1, 100])
def test_it_diverges_in_the_epoch_of_its_first_fold(live: LiveStudy, at_once: int) -> None:
    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        return float("nan") if (fold, epoch) == (1, 3) else smooth(spec, fold, seed, epoch)

    steps = train(live, INSIDE, FakeEngine(scores, at_once=at_once))
    assert [step.epoch for step in steps[:-1]] == [1, 2, 3]
    (trial,) = study_record(live.study).trials
    assert (trial.outcome, trial.reason) == ("diverged", "diverged in epoch 3")
    assert sorted(trial.epoch_values) == [1, 2]
