"""A pool whose jobs share programs, in this process."""

from typing import Any

import numpy as np
import pytest

pytest.register_assert_rewrite("contract")

from contract import folds_of, make_spec  # noqa: E402

from nas.engines import lane_end  # noqa: E402
from nas.engines.compiled_engine import CompiledEngine, CompiledLanes  # noqa: E402
from nas.execution.pool import LocalPool, drive  # noqa: E402
from nas.execution.together import TogetherPool  # noqa: E402
from nas.metrics import METRICS  # noqa: E402

FOLDS, METRIC = folds_of("multiclass")[:2], METRICS["log_loss"]
SPECS = [make_spec("multiclass", units=(5 + k,), epochs=2 + k % 4) for k in range(12)]


def pool_of(slots: int, memory: float = 1e7) -> TogetherPool:
    engine = CompiledEngine(FOLDS, METRIC, memory)
    return TogetherPool(lambda spec: (engine, "a reason"), slots)


def ends_of(reports: Any) -> dict[int, Any]:
    """The last report of each job."""
    return {report.job: report for report in reports if report is not None and not report.running}


@pytest.mark.long
def test_jobs_that_train_together_train_as_they_do_alone() -> None:
    jobs = [(k, spec, 100 + k) for k, spec in enumerate(SPECS)]
    alone = LocalPool(lambda spec: (CompiledEngine(FOLDS, METRIC), "a reason"))
    expected, found = (ends_of(drive(pool, jobs)) for pool in (alone, pool_of(5)))
    assert sorted(found) == list(range(12))
    for job, report in found.items():
        assert (report.engine, report.engine_reason) == ("compiled", "a reason")
        result, other = report.result, expected[job].result
        assert result.epochs == other.epochs == (SPECS[job].training.epochs,) * 2
        np.testing.assert_allclose(result.fold_values, other.fold_values, rtol=1e-4)
        np.testing.assert_allclose(result.train_values, other.train_values, rtol=1e-4)


def test_a_job_that_is_cancelled_leaves_its_places_to_others() -> None:
    pool = pool_of(2)
    pool.submit(0, make_spec("multiclass", epochs=1000), 0, epochs=1)
    pool.submit(1, SPECS[1], 1)
    first = pool.wait(0.0)
    assert first is not None and first.job == 0 and first.scores.shape == (2, 1)
    pool.answer(0, go_on=True)
    pool.cancel(0)
    pool.answer(0, go_on=True)  # too late
    reports = list(iter(lambda: pool.wait(0.0), None))
    assert {report.job for report in reports} == {1}
    assert pool.is_idle


def test_a_network_that_cannot_be_made_fails_alone() -> None:
    jobs = [(k, spec, k) for k, spec in enumerate(SPECS[:3])]
    jobs[1] = (1, make_spec("multiclass", activation="no_such_activation"), 1)
    pool = pool_of(3)
    ends = ends_of(drive(pool, jobs))
    assert "no_such_activation" in ends[1].failure and ends[1].result is None
    assert ends[0].result is not None and ends[2].result is not None
    engine, _ = pool._choose(SPECS[0])
    lanes = pool._lanes(engine)
    assert lanes.logs == {} and lanes._blocks == []


def test_jobs_that_come_together_get_programs_for_all_of_them() -> None:
    jobs = [(k, make_spec("multiclass", units=(8,), epochs=1), k) for k in range(40)]
    pool = pool_of(40, memory=1e9)
    engine, _ = pool._choose(jobs[0][1])
    for job in jobs:
        pool.submit(*job)
    pool.train()
    assert list(engine.sizes.values()) == [{80}]  # two folds each; one by one it would be 64
    assert len(ends_of(iter(pool.ready, None))) == 40


def test_a_metric_that_fails_for_one_job_fails_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_at_ends(folds: Any, metric: Any, lanes: Any) -> Any:
        if any(lane.spec.in_words.units == (6,) for lane in lanes):
            raise RuntimeError("no such score")
        return lane_end.look_at_ends(folds, metric, lanes)

    engine = CompiledEngine(FOLDS, METRIC, memory=1e7, look_at_ends=look_at_ends)
    pool = TogetherPool(lambda spec: (engine, "a reason"), 3)
    ends = ends_of(drive(pool, [(k, spec, k) for k, spec in enumerate(SPECS[:3])]))
    assert ends[1].failure == "RuntimeError: no such score"
    assert ends[0].result is not None and ends[2].result is not None


def test_what_ends_a_call_fails_all_its_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(CompiledLanes, "_train", fail)
    ends = ends_of(drive(pool_of(3), [(k, spec, k) for k, spec in enumerate(SPECS[:3])]))
    assert [ends[k].failure for k in range(3)] == ["RuntimeError: no room"] * 3
