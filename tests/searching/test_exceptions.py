"""Whatever raises, wherever: no trial is left in training, and the next search goes on with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from fakes import PROBLEM, SPACE, FakeEngine, SlotsPool, open_fake_study, url_of
from optuna.trial import FrozenTrial, TrialState

from nas.errors import NasError
from nas.execution.pool import Pool, Report
from nas.searching import SearchOptions, live_study, run_search, train_given
from nas.space import RandomSuggester
from nas.study.storage import open_storage


class BrokenError(Exception):
    pass


def fail(*_: Any, **__: Any) -> Any:
    raise BrokenError("it broke")


def interrupt(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


class BreakingPool(SlotsPool):
    """Raises in one of its methods, at the so-manieth call."""

    def __init__(self, method: str, calls: int, error: Callable[..., Any] = fail) -> None:
        super().__init__(FakeEngine(), 4)
        self.method, self.left, self.error = method, calls, error

    def _count(self, method: str) -> None:
        self.left -= method == self.method
        if not self.left:
            self.error()

    def submit(self, *arguments: Any) -> None:
        self._count("submit")
        super().submit(*arguments)

    def wait(self, timeout: float) -> Report | None:
        self._count("wait")
        return super().wait(timeout)

    def answer(self, *arguments: Any) -> None:
        self._count("answer")
        super().answer(*arguments)


def options(n_trials: int = 8) -> SearchOptions:
    return SearchOptions(n_trials, sampler="random", pruner="none")


def search(folder: Path, pool: Pool, n_trials: int = 8) -> None:
    url = url_of(folder)
    with live_study(open_storage(url), url, "fake") as live:
        for _ in run_search(live, url, SPACE, PROBLEM, pool, options(n_trials)):
            pass


def trials_of(folder: Path) -> list[FrozenTrial]:
    storage = open_storage(url_of(folder))
    return optuna.load_study(study_name="fake", storage=storage).get_trials()


def assert_clean(folder: Path, reason: str, n_interrupted: int) -> None:
    trials = trials_of(folder)
    assert all(trial.state.is_finished() for trial in trials)
    interrupted = [t for t in trials if t.user_attrs["outcome"] == "interrupted"]
    assert [t.user_attrs["reason"] for t in interrupted] == [reason] * n_interrupted
    storage = open_storage(url_of(folder))
    (study,) = storage.get_all_studies()
    assert not any("lease" in key for key in study.system_attrs)


def assert_goes_on(folder: Path) -> None:
    open_fake_study(folder)
    search(folder, SlotsPool(FakeEngine(), 4))
    trials = trials_of(folder)
    counted = [t for t in trials if t.user_attrs["outcome"] != "interrupted"]
    assert sorted(t.user_attrs["index"] for t in counted if "index" in t.user_attrs)[:8] == list(
        range(8)
    )
    retried = {t.user_attrs["retry_of"]["trial"] for t in trials if "retry_of" in t.user_attrs}
    interrupted = [t for t in trials if t.user_attrs["outcome"] == "interrupted"]
    assert retried == {t.number for t in interrupted if t.params}


@pytest.mark.parametrize(
    ("method", "calls", "training"),
    [("submit", 1, 1), ("submit", 3, 3), ("wait", 6, 4), ("answer", 7, 4)],
)
def test_a_pool_that_raises(tmp_path: Path, method: str, calls: int, training: int) -> None:
    open_fake_study(tmp_path)
    with pytest.raises(BrokenError):
        search(tmp_path, BreakingPool(method, calls))
    assert_clean(tmp_path, "the search ended: BrokenError: it broke", training)
    assert_goes_on(tmp_path)


def test_an_interrupt_in_the_middle_of_training(tmp_path: Path) -> None:
    open_fake_study(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, BreakingPool("wait", 9, interrupt))
    assert_clean(tmp_path, "stopped by the user", 4)
    assert_goes_on(tmp_path)


@pytest.mark.parametrize(
    "where",
    [
        "nas.searching.proposals.make_sampler",
        "nas.space.SearchSpace.sample",
        "nas.searching.proposals.Proposer._is_accepted",
        "nas.study.claims_by_sql.SqlClaims.take_network",
        "nas.study.claims.Claims.trial",
        "nas.searching.loop.derive_seed",
        "nas.searching.loop._Search._judge",
        "nas.searching.ledger.Ledger._take_in",
        "nas.searching.loop.trial_record",
        "nas.study.write_behind.WriteBehind.adopt",
        "optuna.samplers.RandomSampler.sample_independent",
        "optuna.samplers.RandomSampler.after_trial",
    ],
)
def test_whatever_raises_in_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """At the third call, when trials are in training already."""
    open_fake_study(tmp_path)
    module, name = optuna_or_nas(where)
    whole, calls = getattr(module, name), []

    def breaks(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return fail() if len(calls) == 3 else whole(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, breaks)
        with pytest.raises(BrokenError):
            search(tmp_path, SlotsPool(FakeEngine(), 4))
    trials = trials_of(tmp_path)
    assert trials and all(trial.state.is_finished() for trial in trials)
    assert all("outcome" in trial.user_attrs for trial in trials)
    assert_goes_on(tmp_path)


def optuna_or_nas(where: str) -> tuple[Any, str]:
    """The module or class, and the name in it."""
    import importlib

    path, name = where.rsplit(".", 1)
    try:
        return importlib.import_module(path), name
    except ModuleNotFoundError:
        module, owner = path.rsplit(".", 1)
        return getattr(importlib.import_module(module), owner), name


def test_the_one_who_iterates_raises(tmp_path: Path) -> None:
    """The generator lives as long as the error's traceback: longer than the storage."""
    open_fake_study(tmp_path)
    url = url_of(tmp_path)
    with (
        pytest.raises(BrokenError) as caught,
        live_study(open_storage(url), url, "fake") as live,
    ):
        steps = run_search(live, url, SPACE, PROBLEM, SlotsPool(FakeEngine(), 4), options())
        for step in steps:
            if step.in_training == 4:
                fail()
    assert caught.traceback
    assert_clean(tmp_path, "the search ended: BrokenError: it broke", 4)
    assert_goes_on(tmp_path)


def test_a_generator_that_nobody_exhausts(tmp_path: Path) -> None:
    open_fake_study(tmp_path)
    url = url_of(tmp_path)
    with live_study(open_storage(url), url, "fake") as live:
        pool = SlotsPool(FakeEngine(), 4)
        steps = run_search(live, url, SPACE, PROBLEM, pool, options())
        next(step for step in steps if step.in_training == 4)
    assert_clean(tmp_path, "the search ended", 4)
    steps.close()
    assert_goes_on(tmp_path)


def test_the_thread_that_writes_fails(tmp_path: Path) -> None:
    """Another process ended one trial; the others are interrupted all the same."""
    open_fake_study(tmp_path)
    url = url_of(tmp_path)
    with (
        pytest.raises(NasError, match="another process ended or deleted trial 0"),
        live_study(open_storage(url), url, "fake") as live,
    ):
        pool = SlotsPool(FakeEngine(), 4)
        for step in run_search(live, url, SPACE, PROBLEM, pool, options()):
            if step.in_training == 4 and live.storage.get_trial(1).state == TrialState.RUNNING:
                live.storage.flush()
                live.database.set_trial_state_values(1, TrialState.FAIL)
    assert all(trial.state.is_finished() for trial in trials_of(tmp_path))


@pytest.mark.parametrize("method", ["submit", "wait", "answer"])
@pytest.mark.parametrize("error", [fail, interrupt])
def test_training_one_network(tmp_path: Path, method: str, error: Callable[..., Any]) -> None:
    open_fake_study(tmp_path)
    url, spec = url_of(tmp_path), SPACE.sample(RandomSuggester(3), PROBLEM)
    told = (
        "stopped by the user" if error is interrupt else "the search ended: BrokenError: it broke"
    )
    with live_study(open_storage(url), url, "fake") as live:
        with pytest.raises((BrokenError, KeyboardInterrupt)):
            list(train_given(live, SPACE, BreakingPool(method, 1, error), spec, seed=0))
        # At once, and not only when the study is left.
        (trial,) = live.study.get_trials()
        assert trial.state == TrialState.FAIL
    assert_clean(tmp_path, told, 1)


@pytest.mark.parametrize(
    "where", ["nas.searching.given_network.result_attributes", "optuna.trial.Trial.report"]
)
def test_whatever_raises_while_one_network_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    open_fake_study(tmp_path)
    url, spec = url_of(tmp_path), SPACE.sample(RandomSuggester(3), PROBLEM)
    module, name = optuna_or_nas(where)
    monkeypatch.setattr(module, name, fail)
    with live_study(open_storage(url), url, "fake") as live:
        with pytest.raises(BrokenError):
            list(train_given(live, SPACE, SlotsPool(FakeEngine(), 1), spec, seed=0))
        (trial,) = live.study.get_trials()
        assert trial.state == TrialState.FAIL
    assert_clean(tmp_path, "the search ended: BrokenError: it broke", 1)
