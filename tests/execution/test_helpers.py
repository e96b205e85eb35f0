"""Processes that find out what lanes have come to that trained in another one."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import Pipe
from typing import Any

import numpy as np
import pytest

pytest.register_assert_rewrite("contract")

from contract import folds_of, make_spec  # noqa: E402

from nas.engines.compiled_engine import CompiledEngine  # noqa: E402
from nas.engines.lanes import trial_lanes  # noqa: E402
from nas.execution.helpers import Helpers, help_training  # noqa: E402
from nas.execution.processes import start_process  # noqa: E402
from nas.metrics import METRICS, Metric  # noqa: E402

FOLDS, METRIC = folds_of("multiclass")[:2], METRICS["log_loss"]


def unlucky(y: Any, prediction: Any) -> float:
    raise ValueError("no such class")


class Started:
    """Helpers and their processes."""

    def __init__(self, n: int, metric: Metric = METRIC) -> None:
        self.processes, ours = [], []
        for _ in range(n):
            own, theirs = Pipe()
            self.processes.append(start_process("jax", help_training, theirs))
            theirs.close()
            ours.append(own)
        self.helpers = Helpers(ours, FOLDS, metric)
        self.asked: list[int] = []

    def look_at_ends(self, folds: Any, metric: Metric, lanes: Any) -> Any:
        self.asked.append(len(lanes))
        return self.helpers.look_at_ends(folds, metric, lanes)

    def results(self, metric: Metric = METRIC) -> Any:
        """Of two folds that were trained for two epochs."""
        engine = CompiledEngine(FOLDS, metric, 1e7, self.look_at_ends)
        lanes = engine.start(trial_lanes(make_spec("multiclass", epochs=2), 3, 2))
        lanes.advance(2)
        return [replace(result, seconds=0.0) for result in lanes.results()]


@pytest.fixture
def two() -> Iterator[Started]:
    started = Started(2)
    yield started
    for process in started.processes:
        process.terminate()
        process.join()


def test_helpers_find_what_this_process_finds(two: Started) -> None:
    found, expected = two.results(), Started(0).results()
    assert two.asked == [2]  # both lanes at once
    assert [result.train_value for result in found] == [r.train_value for r in expected]
    assert found[0].examination == expected[0].examination is not None
    assert found[1].examination is None


def test_without_helpers_this_process_does_their_work(two: Started) -> None:
    expected = two.results()
    for process in two.processes:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    for _ in range(4):  # more often than there were helpers
        assert two.results() == expected


def test_what_a_metric_raises_is_raised_here() -> None:
    started = Started(1, replace(METRIC, score=unlucky))
    with pytest.raises(RuntimeError, match="no such class"):
        started.results()
    np.testing.assert_equal(started.asked, [2])
    started.processes[0].terminate()


def test_helpers_end_with_the_process_that_they_help() -> None:
    started = Started(1)
    del started.helpers
    started.processes[0].join(10)
    assert started.processes[0].exitcode == 0
