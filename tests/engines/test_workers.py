"""Pools: the same jobs in this process and in others, and what happens when a worker ends."""

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.register_assert_rewrite("contract")

from contract import folds_of, make_spec  # noqa: E402

from nas.engines.pool import LocalPool, Pool, Report  # noqa: E402
from nas.engines.selection import Selection  # noqa: E402
from nas.engines.workers import WorkerPool  # noqa: E402
from nas.errors import NasError  # noqa: E402
from nas.metrics import METRICS  # noqa: E402
from nas.spec import TrialResult, TrialSpec  # noqa: E402

FOLDS = folds_of("multiclass")[:2]
METRIC = METRICS["log_loss"]
SPECS = [
    make_spec("multiclass", epochs=3, dropout=0.2),
    make_spec("multiclass", epochs=2, units=(9, 7), optimizer="sgd"),
    make_spec("multiclass", epochs=4, activation="relu"),
    make_spec("multiclass", epochs=1, units=()),
]


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    pool = WorkerPool(2)
    pool.load(FOLDS, METRIC, "auto")
    yield pool
    pool.close()


def next_report(pool: Pool) -> Report:
    for _ in range(600):
        report = pool.wait(0.2)
        if report is not None:
            return report
    raise AssertionError("no report")


def run(pool: Pool, specs: list[TrialSpec], stop_after: dict[int, int] | None = None) -> Any:
    """Trains specifications to their end, or until after some epoch; reports by job."""
    waiting = list(enumerate(specs))
    reports: dict[int, list[Report]] = {job: [] for job, _ in waiting}
    left = set(reports)
    while left:
        while waiting and len(left) - len(waiting) < pool.slots:
            job, spec = waiting.pop(0)
            pool.submit(job, spec, seed=100 + job)
        report = next_report(pool)
        reports[report.job].append(report)
        if report.running:
            last = (stop_after or {}).get(report.job)
            pool.answer(report.job, go_on=len(reports[report.job]) != last)
        else:
            left.remove(report.job)
    return reports


def assert_same(a: TrialResult | None, b: TrialResult | None) -> None:
    assert a is not None and b is not None
    assert a.epochs == b.epochs
    np.testing.assert_allclose(a.fold_values, b.fold_values, rtol=1e-5)
    np.testing.assert_allclose(a.curves.train_loss, b.curves.train_loss, rtol=1e-5)


def test_workers_train_what_this_process_trains(workers: WorkerPool) -> None:
    local = run(LocalPool(Selection(FOLDS, METRIC, "auto").choose), SPECS, {2: 2})
    parallel = run(workers, SPECS, {2: 2})
    for job, spec in enumerate(SPECS):
        assert_same(parallel[job][-1].result, local[job][-1].result)
        assert parallel[job][-1].engine == "compiled"
        epochs = 2 if job == 2 else spec.training.epochs
        assert [r.scores.shape for r in parallel[job][:epochs]] == [(2,)] * epochs
        for ours, theirs in zip(parallel[job][:epochs], local[job][:epochs], strict=True):
            np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-5)


def test_more_jobs_than_slots_all_end(workers: WorkerPool) -> None:
    reports = run(workers, [make_spec("multiclass", epochs=1)] * 17)
    assert all(len(r) == 1 and r[0].result is not None for r in reports.values())


def test_a_network_that_fails_is_reported_and_the_others_go_on(workers: WorkerPool) -> None:
    broken = make_spec("multiclass", activation="no_such_activation")
    reports = run(workers, [SPECS[0], broken, SPECS[1]])
    assert "no_such_activation" in reports[1][-1].failure
    assert reports[1][-1].result is None
    assert reports[0][-1].result is not None and reports[2][-1].result is not None


def test_a_killed_worker_fails_its_jobs_and_is_replaced() -> None:
    pool = WorkerPool(2)
    try:
        pool.load(FOLDS, METRIC, "auto")
        long = make_spec("multiclass", epochs=100000)
        pool.submit(0, long, 1)
        report = next_report(pool)
        assert report.running
        victim = next(worker for worker in pool._workers if 0 in worker.jobs)
        os.kill(victim.process.pid, signal.SIGKILL)
        pool.answer(0, go_on=True)
        report = next_report(pool)
        assert report.job == 0 and "signal 9" in report.failure
        reports = run(pool, SPECS)
        assert all(r[-1].result is not None for r in reports.values())
    finally:
        pool.close()


def test_closing_ends_the_processes() -> None:
    pool = WorkerPool(1)
    pool.load(FOLDS, METRIC, "auto")
    pool.submit(0, make_spec("multiclass", epochs=100000), 1)
    next_report(pool)
    processes = [worker.process for worker in pool._workers]
    pool.close()
    assert not any(process.is_alive() for process in processes)


# Selection


def test_auto_compiles_what_it_can_and_says_why_not() -> None:
    selection = Selection(FOLDS, METRIC, "auto")
    assert selection.choose(SPECS[0])[0].name == "compiled"
    engine, reason = selection.choose(make_spec("multiclass", units=(4,) * 17))
    assert engine.name == "keras"
    assert "17 hidden layers" in reason
    moved = make_spec("multiclass", shift=0.1)  # dense layers of a convolutional space
    assert selection.choose(moved)[0].name == "keras"
    assert selection.choose(SPECS[0])[0] is selection.choose(SPECS[1])[0]


def test_an_engine_may_be_asked_for() -> None:
    assert Selection(FOLDS, METRIC, "keras").choose(SPECS[0])[0].name == "keras"
    compiled = Selection(FOLDS, METRIC, "compiled")
    assert compiled.choose(SPECS[0])[0].name == "compiled"
    with pytest.raises(NasError, match="--engine: compiled cannot train"):
        compiled.choose(make_spec("multiclass", units=(5000,)))


# Calls of a function where TensorFlow is


def whose_process() -> tuple[int, bool]:
    return os.getpid(), "tensorflow" in sys.modules


def refuse(mistake: str) -> None:
    raise NasError("space.yaml", mistake, "a number", "Write one.")


def break_down() -> None:
    raise ValueError("broken")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_call_runs_where_tensorflow_is(workers: WorkerPool) -> None:
    process, has_tensorflow = workers.call(whose_process)
    assert process != os.getpid() and has_tensorflow
    local = LocalPool(Selection(FOLDS, METRIC, "auto").choose)
    assert local.call(whose_process)[0] == os.getpid()


def test_what_a_call_raises_is_raised(workers: WorkerPool) -> None:
    with pytest.raises(NasError, match=r"^space.yaml: got x; expected a number. Write one.$"):
        workers.call(refuse, "got x")
    with pytest.raises(RuntimeError, match="ValueError: broken"):
        workers.call(break_down)
    with pytest.raises(NasError, match=r"ended \(signal 9\)"):
        workers.call(die)


def test_a_worker_that_has_traced_many_models_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.engines.workers.TRACED_MODELS", 2)
    pool = WorkerPool(1)
    pool.load(FOLDS, METRIC, "keras")
    try:
        pid = pool._workers[0].process.pid
        reports = run(pool, SPECS[:3])
        renewed = pool._workers[0].process.pid
    finally:
        pool.close()

    assert renewed != pid
    for job in range(3):
        assert reports[job][-1].result is not None, reports[job][-1].failure
