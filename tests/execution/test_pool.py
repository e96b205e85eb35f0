"""What a pool reports of a job."""

import time

from fakes import PROBLEM, FakeEngine, smooth

from nas.execution.pool import LocalPool, Report
from nas.space import RandomSuggester, SearchSpace


def first_report(engine: FakeEngine) -> Report:
    pool = LocalPool(lambda _spec: (engine, "fake"))
    pool.submit(0, SearchSpace({"epochs": 2}).sample(RandomSuggester(0), PROBLEM), 0)
    report = pool.wait(1.0)
    assert report is not None and report.running
    return report


def test_an_epoch_takes_the_processor_seconds_that_it_computes() -> None:
    def working(*arguments: object) -> float:
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
        return smooth(*arguments)  # type: ignore[arg-type]

    assert 0.3 <= first_report(FakeEngine(working)).seconds < 0.6  # three folds


def test_waiting_is_not_counted() -> None:
    def waiting(*arguments: object) -> float:
        time.sleep(0.1)
        return smooth(*arguments)  # type: ignore[arg-type]

    assert first_report(FakeEngine(waiting)).seconds < 0.1
