"""An engine without networks, so that the search can be tested by the thousand."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.encoding import FoldData
from nas.engines.lanes import Engine, Lane, LaneResult, Lanes
from nas.execution.pool import LocalPool, Pool, Report, Task
from nas.metrics import METRICS, Metric
from nas.searching import (
    Progress,
    SearchOptions,
    live_study,
    open_study,
    run_search,
    study_settings,
)
from nas.space import SearchSpace
from nas.spec import Problem, TrialSpec
from nas.study.attributes import StudySettings, TrialAttributes
from nas.study.record import StudyRecord, set_attributes
from nas.study.storage import open_storage

# From a specification, a fold, its lane's seed and an epoch to the lane's score.
Scores = Callable[[TrialSpec, int, int, int], float]

SPACE = SearchSpace(
    {
        "depth": list(range(1, 6)),
        "width": [16, 32, 64],
        "learning_rate": [0.0003, 0.001, 0.003, 0.01, 0.03],
        "epochs": 9,
    },
    name="fake",
)


def smooth(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
    """Best at two layers and a learning rate of 0.003; a little noise from the seed."""
    distance = abs(len(spec.architecture.units) - 2) / 10
    distance += abs(np.log10(spec.training.learning_rate / 0.003)) / 5
    noise = np.random.default_rng(seed).normal() / 1000
    return float(0.9 - distance - 0.3 / (epoch + 1) + noise)


class FakeEngine(Engine):
    """Scores by a function."""

    name = "fake"

    def __init__(self, scores: Scores = smooth, n_folds: int = 3, at_once: int = 1) -> None:
        super().__init__([empty_fold()] * n_folds, METRICS["accuracy"])
        self.scores, self.at_once = scores, at_once
        self.started: list[TrialSpec] = []

    def epochs_at_once(self, spec: TrialSpec, n_lanes: int) -> int:
        return self.at_once

    def start(self, lanes: Sequence[Lane]) -> "FakeLanes":
        started = FakeLanes(self)
        started.add(lanes)
        return started


class FakeLanes(Lanes):
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.lanes: list[Lane] = []
        self.scores: list[list[float]] = []
        self.dropped: set[int] = set()

    def add(self, lanes: Sequence[Lane]) -> list[int]:
        self.lanes += lanes
        self.scores += [[] for _ in lanes]
        self.engine.started += dict.fromkeys(lane.spec for lane in lanes)
        return list(range(len(self.lanes) - len(lanes), len(self.lanes)))

    def advance(self, epochs: int | Mapping[int, int] = 1) -> NDArray[np.float64]:
        columns = []
        if not isinstance(epochs, int):  # all lanes alike, as `Task` has it
            (epochs,) = set(epochs.values())
        for _ in range(epochs):
            for number in np.flatnonzero(self.running()):
                lane, scores = self.lanes[number], self.scores[number]
                args = (lane.spec, lane.fold, lane.seed, len(scores) + 1)
                scores.append(self.engine.scores(*args))
            columns.append([scores[-1] for scores in self.scores])
        return np.array(columns).T

    def epochs(self, numbers: Sequence[int] | None = None) -> NDArray[np.int64]:
        return np.array([len(scores) for scores in self.scores])

    def running(self, numbers: Sequence[int] | None = None) -> NDArray[np.bool_]:
        return np.array(
            [
                number not in self.dropped
                and len(scores) < lane.spec.training.epochs
                and bool(np.isfinite(scores).all())
                for number, (lane, scores) in enumerate(zip(self.lanes, self.scores, strict=True))
            ]
        )

    def drop(self, numbers: Sequence[int]) -> None:
        self.dropped |= set(numbers)

    def results(self, numbers: Sequence[int] | None = None) -> list[LaneResult]:
        results = []
        for number in range(len(self.lanes)) if numbers is None else numbers:
            scores = tuple(self.scores[number])
            losses = (0.0,) * len(scores)
            seconds = 0.1 if self.lanes[number].examined else 0.0  # of a trial
            results.append(
                LaneResult(scores[-1], scores[-1] + 0.01, seconds, losses, losses, scores)
            )
        return results

    def weights(self, number: int) -> list[NDArray[np.float32]]:
        return []

    def release(self, numbers: Sequence[int]) -> None:
        pass


class SlotsPool(Pool):
    """Trains several jobs in turn, in this process; has no report for one who does not wait."""

    def __init__(self, engine: FakeEngine, slots: int) -> None:
        self.engine, self.slots = engine, slots
        self.tasks: dict[int, Task] = {}
        self.ready: deque[tuple[int, Callable[[], Report]]] = deque()

    def submit(
        self,
        job: int,
        spec: TrialSpec,
        seed: int,
        epochs: int | None = None,
        folds: Sequence[int] | None = None,
    ) -> None:
        self.tasks[job] = Task(lambda _: (self.engine, "fake"), job, spec, seed, folds=folds)
        self.ready.append((job, partial(self.tasks[job].advance, epochs)))

    def wait(self, timeout: float) -> Report | None:
        return self.ready.popleft()[1]() if self.ready and timeout else None

    def answer(self, job: int, go_on: bool, epochs: int | None = None) -> None:
        task = self.tasks[job]
        self.ready.append((job, partial(task.advance, epochs) if go_on else task.end))

    def cancel(self, job: int) -> None:
        self.tasks.pop(job, None)
        self.ready = deque(entry for entry in self.ready if entry[0] != job)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def close(self) -> None:
        self.ready.clear()


def empty_fold() -> FoldData:
    none = np.zeros((0, 1), np.float32)
    return FoldData("multiclass", none, np.zeros(0), none, np.zeros(0))


PROBLEM = Problem("multiclass", 4, 3, image_shape=(2, 2, 1))


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/nas.db"


def open_fake_study(
    folder: Path,
    space: SearchSpace = SPACE,
    name: str = "fake",
    metric: Metric = METRICS["accuracy"],
    data: str = "iris",
    split: SplitOptions | None = None,
    url: str | None = None,
    **reading: object,
) -> optuna.Study:
    """A study on real iris settings, in a database in `folder` or at `url`."""
    split_options = split or SplitOptions(folds=3)
    data_options = DataOptions(data, **reading)
    dataset = load_dataset(data_options)
    the_split = split_dataset(dataset, split_options)
    settings = study_settings(space, data_options, dataset, split_options, the_split, metric)
    url = url or url_of(folder)
    return open_study(open_storage(url, create=True), url, name, settings, metric)


def fill_study(
    space: SearchSpace,
    n_trials: int,
    score: Callable[[TrialSpec], float],
    problem: Problem = PROBLEM,
) -> optuna.Study:
    """A study in memory with complete trials that nobody trained, for studies of many."""
    dataset, options = load_dataset(DataOptions("iris")), SplitOptions(folds=3)
    settings = study_settings(
        space, DataOptions("iris"), dataset, options, split_dataset(dataset, options),
        METRICS["accuracy"],
    )  # fmt: skip
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0), study_name=space.name
    )
    for key, value in settings.to_attributes().items():
        study.set_user_attr(key, value)
    for index in range(n_trials):
        trial = study.ask()
        spec = space.sample(trial, problem)
        value = score(spec)
        attributes = TrialAttributes(
            index=index,
            outcome="complete",
            spec=spec,
            n_weights=spec.n_weights,
            fold_values=(value - 0.01, value, value + 0.01),
        )
        set_attributes(trial, attributes)
        study.tell(trial, value)
    return study


def made_settings(**changes: object) -> StudySettings:
    """Settings of a study of iris that nobody searched."""
    plain = StudySettings(
        space="depth: 1\n",
        data=DataOptions("iris"),
        data_hash="1" * 64,
        task="multiclass",
        split=SplitOptions(),
        split_hash="2" * 64,
        metric="accuracy",
        versions={"optuna": "5.0.0"},
        nas_version="0.1.0",
    )
    return replace(plain, **changes)


def with_settings(record: StudyRecord, **changes: object) -> StudyRecord:
    """The same study, resting on something else."""
    return replace(record, settings=replace(record.settings, **changes))


def search_fake(
    folder: Path,
    engine: FakeEngine | None = None,
    space: SearchSpace = SPACE,
    stop_after: int | None = None,
    name: str = "fake",
    metric: Metric = METRICS["accuracy"],
    val_rows: Sequence[int] = (),
    why_enough: Callable[[StudyRecord], str] | None = None,
    **options: object,
) -> tuple[optuna.Study, list[Progress]]:
    """Runs a search with the fake engine; `stop_after` closes it after so many steps."""
    study = open_fake_study(folder, space, name, metric)
    the_engine = engine or FakeEngine()
    pool = LocalPool(lambda _spec: (the_engine, "fake"))
    url = url_of(folder)
    seen = []
    with live_study(open_storage(url), url, name) as live:
        how = SearchOptions(**options)
        steps = run_search(live, url, space, PROBLEM, pool, how, val_rows, why_enough)
        for progress in steps:
            seen.append(progress)
            if stop_after is not None and len(seen) == stop_after:
                steps.close()
                break
    return study, seen
