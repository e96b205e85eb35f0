from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import PROBLEM, SPACE, FakeEngine, SlotsPool, open_fake_study, smooth, url_of

import nas.study.write_behind
from nas.metrics import METRICS
from nas.searching import LiveStudy, SearchOptions, live_study, run_search
from nas.searching.ledger import Ledger
from nas.spec import TrialSpec
from nas.study.record import study_record
from nas.study.storage import open_storage


def assert_equals_a_look_at_all(ledger: Ledger, live: LiveStudy, sign: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nas.study.write_behind, "INTERVAL", 0.0)  # what others did is read now
        ledger.refresh()
        patch.setattr(nas.study.write_behind, "INTERVAL", 1e9)  # and not once more
        record = study_record(live.study)
    ended = [trial for trial in record.trials if trial.outcome != "running"]
    assert +ledger.outcomes == Counter(trial.outcome for trial in ended)
    best = ledger.best.number if ledger.best is not None else None
    assert best == (record.best().number if record.complete else None)
    for epoch in range(12):
        scores = [
            sign * trial.epoch_values[epoch]
            for trial in record.trials
            if epoch in trial.epoch_values and trial.outcome != "interrupted"
        ]
        assert list(ledger.scores(epoch)) == sorted(scores)


@pytest.mark.parametrize(("metric", "sign"), [("accuracy", 1.0), ("log_loss", -1.0)])
def test_it_knows_what_a_look_at_all_trials_would_tell(
    tmp_path: Path, metric: str, sign: float
) -> None:
    """With trials of two searches that were interrupted, pruned, diverged, failed and doubled."""

    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        if len(spec.architecture.units) == 3 and epoch == 2:
            raise RuntimeError("broken")
        diverges = len(spec.architecture.units) == 4 and epoch == 4
        return float("nan") if diverges else round(smooth(spec, fold, seed, epoch), 1)

    open_fake_study(tmp_path, metric=METRICS[metric])
    url = url_of(tmp_path)
    options = SearchOptions(30, pruner="median", startup_trials=2)
    with live_study(open_storage(url), url, "fake") as ours:
        ledger = Ledger(ours.study, ours.storage)
        with live_study(open_storage(url), url, "fake") as theirs:
            searches = [
                run_search(live, url, SPACE, PROBLEM, SlotsPool(FakeEngine(scores), 3), options)
                for live in (ours, theirs)
            ]
            for number in range(120):
                next(searches[number % 2], None)
                assert_equals_a_look_at_all(ledger, ours, sign)
            searches[1].close()
        assert_equals_a_look_at_all(ledger, ours, sign)
        for _ in searches[0]:
            pass
        assert_equals_a_look_at_all(ledger, ours, sign)
        assert {"complete", "pruned", "diverged", "failed", "interrupted"} <= ledger.outcomes.keys()
        assert_equals_a_look_at_all(Ledger(ours.study, ours.storage), ours, sign)


def test_only_what_changed_is_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_fake_study(tmp_path)
    url, taken = url_of(tmp_path), Counter[int]()
    whole = Ledger._take_in

    def counting(ledger: Ledger, trial) -> None:
        taken[trial.number] += 1
        whole(ledger, trial)

    monkeypatch.setattr(Ledger, "_take_in", counting)
    with live_study(open_storage(url), url, "fake") as live:
        pool, options = SlotsPool(FakeEngine(), 1), SearchOptions(20, pruner="median")
        for _ in run_search(live, url, SPACE, PROBLEM, pool, options):
            pass
    assert max(taken.values()) <= 9 + 1  # once for each epoch, and at its end


def test_a_trial_of_many_costs_the_storage_no_look_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_fake_study(tmp_path)
    url = url_of(tmp_path)
    asked: list[Sequence] = []
    whole = nas.study.write_behind.WriteBehind.get_all_trials

    def counting(*arguments, **named):
        asked.append(arguments)
        return whole(*arguments, **named)

    monkeypatch.setattr(nas.study.write_behind.WriteBehind, "get_all_trials", counting)
    with live_study(open_storage(url), url, "fake") as live:
        for pruner in ("halving", "median"):
            options = SearchOptions(20, sampler="random", pruner=pruner)
            for _ in run_search(live, url, SPACE, PROBLEM, SlotsPool(FakeEngine(), 4), options):
                pass
    assert asked == []
