"""What a search costs besides training: storage and sampler, idle workers, programs."""

import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from work import SPACE, console

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.execution.pool import Pool, Report
from nas.execution.processes import default_workers
from nas.metrics import METRICS
from nas.searching import (
    SearchOptions,
    live_study,
    open_study,
    run_search,
    study_settings,
)
from nas.space import SearchSpace
from nas.spec import Problem, TrialResult, TrialSpec
from nas.study.storage import open_storage


class NoTraining(Pool):
    """Answers at once, with random scores: what is left is the search itself."""

    slots = 8

    def __init__(self, n_folds: int) -> None:
        self._n_folds = n_folds
        self._epochs: dict[int, int] = {}
        self._ready: deque[int] = deque()
        self._random = np.random.default_rng(0)

    def submit(
        self,
        job: int,
        spec: TrialSpec,
        seed: int,
        epochs: int | None = None,
        folds: Sequence[int] | None = None,
    ) -> None:
        self._epochs[job] = spec.training.epochs
        self._ready.append(job)

    def wait(self, timeout: float) -> Report | None:
        if not self._ready:
            return None
        job = self._ready.popleft()
        self._epochs[job] -= 1
        scores = self._random.random(self._n_folds)
        if self._epochs[job]:
            return Report(job, "none", "benchmark", scores[:, None], running=True)
        values = tuple(scores)
        result = TrialResult(values, values, (1,) * self._n_folds, 0.0)
        return Report(job, "none", "benchmark", scores[:, None], result=result)

    def answer(self, job: int, go_on: bool, epochs: int | None = None) -> None:
        self._ready.append(job)

    def cancel(self, job: int) -> None:
        self._ready = deque(other for other in self._ready if other != job)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def close(self) -> None:
        pass


def search_without_training(space: SearchSpace, n_trials: int, sampler: Any) -> float:
    """Processor seconds, of all threads, of storage, sampler and loop for so many trials."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'nas.db'}"
        data, split_options = DataOptions("digits"), SplitOptions(folds=5)
        dataset = load_dataset(data)
        split = split_dataset(dataset, split_options)
        settings = study_settings(space, data, dataset, split_options, split, METRICS["accuracy"])
        storage = open_storage(url, create=True)
        open_study(storage, url, "overhead", settings, METRICS["accuracy"])
        options = SearchOptions(n_trials=n_trials, sampler=sampler, pruner="none")
        problem = Problem("multiclass", 64, 10)
        started = time.process_time()
        with live_study(storage, url, "overhead") as study:
            for _ in run_search(study, url, space, problem, NoTraining(5), options):
                pass
        return time.process_time() - started


def default_search(n_trials: int, workers: int | None) -> dict[str, Any]:
    """`nas search` on the default space with halving, as a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nas", "search", "--trials", str(n_trials)]
        if workers is not None:
            command += ["--workers", str(workers)]
        # From this checkout, whatever else is installed.
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
        seconds = time.perf_counter() - started
        storage = open_storage(f"sqlite:///{Path(folder) / 'studies' / 'nas.db'}")
        trials = optuna.load_study(study_name="mlp_depth", storage=storage).trials
    return {
        "seconds": seconds,
        "pruned": sum(trial.state == TrialState.PRUNED for trial in trials),
        "busy": share_busy(trials, workers or default_workers()),
    }


def share_busy(trials: Any, n_workers: int) -> float:
    """Share of the workers' time, between the first and the last trial, spent inside trials.

    Args:
        trials: Optuna's trials of a study that ran with so many workers.
        n_workers: Worker processes.
    """
    counted = [t for t in trials if t.datetime_complete and "seconds" in t.user_attrs]
    first: datetime = min(t.datetime_start for t in counted)
    last: datetime = max(t.datetime_complete for t in counted)
    training = sum(t.user_attrs["seconds"] for t in counted)
    return float(training / (n_workers * (last - first).total_seconds()))


def run_overheads(seconds: float | None, n_trials: int, workers: int | None) -> dict[str, Any]:
    """What storage and sampler cost, and how busy workers are while halving prunes.

    Args:
        seconds: Wall time of `nas search` for as many trials, if it was measured.
        n_trials: Trials of the comparison.
        workers: Workers of the default search; None for all cores.
    """
    report: dict[str, Any] = {}
    for sampler in ("random", "tpe"):
        cost = search_without_training(SPACE, n_trials, sampler)
        report[sampler] = cost
        share = f", {cost / seconds:.1%} of the search's time" if seconds else ""
        console.print(
            f"Storage, sampler ({sampler}) and loop: {cost:.1f} processor seconds for {n_trials} "
            f"trials{share}."
        )
    report["halving"] = halving = default_search(n_trials, workers)
    console.print(
        f"Default search with halving, {n_trials} trials: {halving['seconds']:.0f} s, "
        f"{halving['pruned']} pruned; workers busy {halving['busy']:.1%} of the time."
    )
    return report
