"""Pools: the same jobs in this process and in others, and what happens when a worker ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.register_assert_rewrite("contract")

from contract import folds_of, make_spec  # noqa: E402

from nas.engines.selection import Selection  # noqa: E402
from nas.errors import NasError  # noqa: E402
from nas.execution.pool import LocalPool, Pool, Report  # noqa: E402
from nas.execution.workers import WorkerPool  # noqa: E402
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
            pool.submit(job, spec, seed=100 + job, epochs=1)
        report = next_report(pool)
        reports[report.job].append(report)
        if report.running:
            last = (stop_after or {}).get(report.job)
            pool.answer(report.job, len(reports[report.job]) != last, epochs=1)
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
        assert [r.scores.shape for r in parallel[job][:epochs]] == [(2, 1)] * epochs
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


def kill_worker_of(pool: WorkerPool, job: int, how: int = signal.SIGKILL) -> None:
    victim = next(worker for worker in pool._workers if job in worker.jobs)
    os.kill(victim.process.pid, how)
    victim.process.join()


def test_a_killed_worker_fails_what_it_trained_and_trains_the_other_job_again() -> None:
    endless = make_spec("multiclass", epochs=2, units=(2048, 2048), batch_size=1)
    local = run(LocalPool(Selection(FOLDS, METRIC, "auto").choose), [SPECS[0]])[0]
    pool = WorkerPool(1)
    try:
        pool.load(FOLDS, METRIC, "auto")
        pool.submit(0, SPECS[0], 100, epochs=1)
        reports = [next_report(pool)]
        pool.submit(1, endless, 101)
        worker = pool._workers[0]
        while worker.in_training.value != 1:
            time.sleep(0.01)
        kill_worker_of(pool, 1)
        failed = next_report(pool)
        assert failed.job == 1 and "signal 9" in failed.failure
        while reports[-1].running:
            pool.answer(0, go_on=True, epochs=1)
            reports.append(next_report(pool))
    finally:
        pool.close()
    assert [r.job for r in reports] == [0, 0, 0]
    for ours, theirs in zip(reports, local, strict=True):
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-5)
    assert_same(reports[-1].result, local[-1].result)


@pytest.mark.long
def test_a_worker_that_was_told_to_end_fails_nothing() -> None:
    local = run(LocalPool(Selection(FOLDS, METRIC, "auto").choose), [SPECS[0]], {0: 2})[0]
    pool = WorkerPool(1)
    try:
        pool.load(FOLDS, METRIC, "auto")
        pool.submit(0, SPECS[0], 100, epochs=1)
        first = next_report(pool)
        pool.answer(0, go_on=True, epochs=1)
        kill_worker_of(pool, 0, signal.SIGTERM)
        second = next_report(pool)
        pool.answer(0, go_on=False)
        kill_worker_of(pool, 0, signal.SIGTERM)
        last = next_report(pool)
    finally:
        pool.close()
    assert first.running and second.running
    np.testing.assert_allclose(second.scores, local[1].scores, rtol=1e-5)
    assert_same(last.result, local[-1].result)


def test_a_job_is_not_trained_again_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.execution.workers.MAX_RESTARTS", 0)
    pool = WorkerPool(1)
    try:
        pool.load(FOLDS, METRIC, "auto")
        pool.submit(0, SPECS[0], 100, epochs=1)
        next_report(pool)
        kill_worker_of(pool, 0)
        assert "signal 9" in next_report(pool).failure
        pool.answer(0, go_on=True)  # to its earlier report, which the search may read late
    finally:
        pool.close()


@pytest.mark.long
def test_gpus_train_many_jobs_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """As two GPUs would, here on the processor: a worker each, with all its jobs in programs."""
    monkeypatch.setattr("nas.execution.devices.GPU_PLATFORM", "cpu")
    specs = [
        make_spec("multiclass", units=(8 + k,), epochs=2 + k % 3, dropout=0.1) for k in range(22)
    ]
    specs[5] = make_spec("multiclass", activation="no_such_activation")
    stop_after = {7: 1, 12: 2}
    local = run(LocalPool(Selection(FOLDS, METRIC, "auto").choose), specs, stop_after)
    pool = WorkerPool(1, gpus=(0, 1))
    assert pool.slots > 2 * len(specs)
    try:
        pool.load(FOLDS, METRIC, "auto")
        endless = make_spec("multiclass", units=(9,), epochs=100000)
        for job in (100, 101):
            pool.submit(job, endless, 1, epochs=1)
        assert {next_report(pool).job, next_report(pool).job} == {100, 101}
        pool.answer(100, go_on=True, epochs=1)
        pool.cancel(101)
        killed = next(w for w in pool._workers if pool._tickets[100] in w.jobs)
        os.kill(killed.process.pid, signal.SIGTERM)  # its jobs are trained again
        assert (again := next_report(pool)).job == 100 and again.running
        pool.cancel(100)
        reports = run(pool, specs, stop_after)
        assert len(pool._workers) == 2 and not any(worker.jobs for worker in pool._workers)
    finally:
        pool.close()
    assert "no_such_activation" in reports[5][-1].failure
    for job in set(range(22)) - {5}:
        assert_same(reports[job][-1].result, local[job][-1].result)
        assert [r.scores.shape for r in reports[job]] == [r.scores.shape for r in local[job]]


BROKEN_CACHE = """
import sys
sys.path[:0] = sys.argv[1:3]
import test_workers as t
from pathlib import Path

programs = Path(sys.argv[3]) / "programs"
for break_it in (lambda programs: None, t.damage, t.put_a_file_there):
    break_it(programs)
    pool = t.WorkerPool(1)
    pool.load(t.FOLDS, t.METRIC, "auto")
    reports = t.run(pool, t.SPECS[:2])
    pool.close()
    print(*(len(r) for r in reports.values()), *(r[-1].failure for r in reports.values()))
    print(len(list(programs.glob("*/*"))) > 1 if programs.is_dir() else "nothing", "kept")
"""


def damage(programs: Path) -> None:
    for kept in programs.glob("*/*"):
        kept.write_bytes(kept.read_bytes()[:100])


def put_a_file_there(programs: Path) -> None:
    """As good as a full disk: nothing can be written there."""
    programs.rename(programs.with_name("old"))
    programs.write_text("")


@pytest.mark.long
def test_a_cache_that_fails_in_a_search_fails_no_network(tmp_path: Path) -> None:
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", BROKEN_CACHE, here, here.parent, tmp_path / "cache"],
        env={**os.environ, "NAS_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert [line.strip() for line in done.stdout.splitlines()] == [
        "3 2",
        "True kept",
        "3 2",
        "True kept",
        "3 2",
        "nothing kept",
    ], done.stderr
    assert "compilation cache" not in done.stderr  # as a warning would say


def test_closing_ends_the_processes() -> None:
    pool = WorkerPool(1)
    pool.load(FOLDS, METRIC, "auto")
    pool.submit(0, make_spec("multiclass", epochs=100000), 1)
    next_report(pool)
    processes = [worker.process for worker in pool._workers]
    pool.close()
    assert not any(process.is_alive() for process in processes)


@pytest.fixture(params=["in this process", "in workers"])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """A pool of each kind, with one worker."""
    if request.param == "in workers":
        workers = WorkerPool(1)
        workers.load(FOLDS, METRIC, "auto")
        yield workers
        workers.close()
    else:
        yield LocalPool(Selection(FOLDS, METRIC, "auto").choose)


def test_a_cancelled_job_makes_room_and_is_not_heard_of_again(pool: Pool) -> None:
    endless = make_spec("multiclass", epochs=100000)
    jobs = range(100, 100 + min(pool.slots, 3))  # for a worker one more than it takes at once
    for job in jobs:
        pool.submit(job, endless, job)
    first = next_report(pool)
    assert first.running
    pool.answer(first.job, go_on=True)
    for job in jobs:
        pool.cancel(job)
    pool.answer(first.job, go_on=True)  # too late
    pool.cancel(first.job)
    pool.cancel(99)  # never submitted
    # A number may be used again, even while a worker still trains the cancelled job's epoch.
    pool.submit(100, SPECS[3], 1)
    last = next_report(pool)
    assert last.job == 100 and last.result is not None and last.result.epochs == (1, 1)
    assert pool.wait(0.3) is None
    assert run(pool, SPECS[:1])[0][-1].result is not None


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
    with pytest.raises(NasError, match="engine: compiled cannot train"):
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


@pytest.mark.long
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


def test_a_module_that_a_worker_cannot_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("only_here")
    exec("def function(): pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    pool = WorkerPool(1)
    try:
        with pytest.raises(RuntimeError, match=r"ModuleNotFoundError: .*only_here"):
            pool.call(module.function)
        pool.load(FOLDS, module.function, "auto")  # type: ignore[arg-type]
        with pytest.raises(NasError, match=r"^workers: cannot read what to train on .*only_here"):
            next_report(pool)
    finally:
        pool.close()


@pytest.mark.long
def test_a_worker_that_has_traced_many_models_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.execution.workers.TRACED_MODELS", 2)
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
