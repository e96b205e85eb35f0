"""An engine without networks, so that the search can be tested by the thousand."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.encoding import FoldData
from nas.engines.base import Cohort, Engine, lane_seed
from nas.engines.pool import LocalPool, Pool, Report, Task
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
from nas.spec import Problem, TrialResult, TrialSpec
from nas.storage import open_storage
from nas.study import set_attributes

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

    def __init__(self, scores: Scores = smooth, n_folds: int = 3) -> None:
        super().__init__([empty_fold()] * n_folds, METRICS["accuracy"])
        self.scores = scores
        self.started: list[TrialSpec] = []

    def start(self, specs: Sequence[TrialSpec], seeds: Sequence[int]) -> "FakeCohort":
        self.started += specs
        return FakeCohort(self, specs, seeds)


class FakeCohort(Cohort):
    def __init__(self, engine: FakeEngine, specs: Sequence[TrialSpec], seeds: Sequence[int]):
        self.engine, self.specs, self.seeds = engine, specs, seeds
        self.epoch = 0
        self.kept = np.ones(len(specs), dtype=bool)
        self.values = np.full((len(specs), len(engine.folds)), np.nan)

    def advance(self, epochs: int = 1) -> NDArray[np.float64]:
        self.epoch += epochs
        for row, (spec, seed) in enumerate(zip(self.specs, self.seeds, strict=True)):
            for fold in range(len(self.engine.folds)):
                lane = lane_seed(seed, fold)
                self.values[row, fold] = self.engine.scores(spec, fold, lane, self.epoch)
        return self.values.copy()

    def running(self) -> NDArray[np.bool_]:
        epochs = [self.epoch < spec.training.epochs for spec in self.specs]
        return self.kept & epochs & np.isfinite(self.values).all(axis=1) | (self.epoch == 0)

    def keep(self, mask: Sequence[bool] | NDArray[np.bool_]) -> None:
        self.kept &= np.asarray(mask)

    def finish(self) -> list[TrialResult]:
        n_folds = len(self.engine.folds)
        return [
            TrialResult(tuple(row), tuple(row + 0.01), (self.epoch,) * n_folds, 0.1)
            for row in self.values
        ]

    def weights(self, trial: int, fold: int) -> list[NDArray[np.float32]]:
        return []


class SlotsPool(Pool):
    """Trains several jobs in turn, in this process; has no report for one who does not wait."""

    def __init__(self, engine: FakeEngine, slots: int) -> None:
        self.engine, self.slots = engine, slots
        self.tasks: dict[int, Task] = {}
        self.ready: deque[tuple[int, Callable[[], Report]]] = deque()

    def submit(self, job: int, spec: TrialSpec, seed: int) -> None:
        self.tasks[job] = Task(lambda _spec: (self.engine, "fake"), job, spec, seed)
        self.ready.append((job, self.tasks[job].advance))

    def wait(self, timeout: float) -> Report | None:
        return self.ready.popleft()[1]() if self.ready and timeout else None

    def answer(self, job: int, go_on: bool) -> None:
        task = self.tasks[job]
        self.ready.append((job, task.advance if go_on else task.end))

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
    for key, value in settings.items():
        study.set_user_attr(key, value)
    for index in range(n_trials):
        trial = study.ask()
        spec = space.sample(trial, problem)
        value = score(spec)
        set_attributes(
            trial,
            index=index,
            outcome="complete",
            spec=spec.to_dict(),
            n_weights=spec.n_weights,
            fold_values=[value - 0.01, value, value + 0.01],
        )
        study.tell(trial, value)
    return study


def search_fake(
    folder: Path,
    engine: FakeEngine | None = None,
    space: SearchSpace = SPACE,
    stop_after: int | None = None,
    name: str = "fake",
    metric: Metric = METRICS["accuracy"],
    **options: object,
) -> tuple[optuna.Study, list[Progress]]:
    """Runs a search with the fake engine; `stop_after` closes it after so many steps."""
    study = open_fake_study(folder, space, name, metric)
    the_engine = engine or FakeEngine()
    pool = LocalPool(lambda _spec: (the_engine, "fake"))
    url = url_of(folder)
    seen = []
    with live_study(open_storage(url), url, name) as live:
        steps = run_search(live, url, space, PROBLEM, pool, SearchOptions(**options))
        for progress in steps:
            seen.append(progress)
            if stop_after is not None and len(seen) == stop_after:
                steps.close()
                break
    return study, seen
