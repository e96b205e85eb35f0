"""How long the trials of a study take when they are trained again, each for the epochs that it ran.

A search decides by its scores what to train next, so the times of two searches compare different
work. Here the work is the same: the recorded trials with their prunings, on the study's folds, in a
cold start with one worker for each core. Usage:

    nas search --space mlp_depth.yaml --trials 200 --storage sqlite:///study.db
    python benchmarks/replay.py --storage sqlite:///study.db
"""

import argparse
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from machine import describe_machine
from rich.progress import track
from work import console, useful_flops

from nas.data import load_dataset, split_dataset
from nas.encoding import FoldData, encode_folds
from nas.errors import NasError
from nas.execution.workers import WorkerPool
from nas.spec import TrialSpec
from nas.study.record import StudyRecord, load_study


class Job(NamedTuple):
    """A network, and for how many epochs it is trained on which folds."""

    spec: TrialSpec
    epochs: int
    folds: tuple[int, ...]


def recorded(study: StudyRecord) -> list[Job]:
    """What the trials of a study have trained, trial by trial; folds of unequal length apart."""
    jobs = []
    for trial in study.trials:
        if trial.spec is None or not trial.curves:
            continue
        epochs = np.isfinite(np.array(trial.curves.train_loss, dtype=float)).sum(axis=0)
        for n in sorted(set(epochs.tolist()) - {0}):
            folds = np.flatnonzero(epochs == n)
            jobs.append(Job(trial.spec, n, tuple(folds.tolist())))
    return jobs


def trained(pool: WorkerPool, jobs: list[Job]) -> Iterator[int]:
    """Trains the jobs, each for its own epochs; yields the numbers of those that have ended."""
    waiting, left = iter(range(len(jobs))), dict[int, int]()
    while True:
        while len(left) < pool.slots and (job := next(waiting, None)) is not None:
            spec, left[job], folds = jobs[job]
            pool.submit(job, spec, job, left[job], folds)
        if not left:
            return
        report = pool.wait(1.0)
        if report is None:
            continue
        if report.failure:
            raise RuntimeError(report.failure)
        job = report.job
        if report.running:
            left[job] -= report.scores.shape[1]
            pool.answer(job, left[job] > 0, left[job] or None)
        else:
            del left[job]
            yield job


def seconds_of(study: StudyRecord, folds: tuple[FoldData, ...], jobs: list[Job]) -> float:
    """Seconds from nothing, processes included, until all jobs are trained."""
    started = time.perf_counter()
    pool = WorkerPool(len(os.sched_getaffinity(0)))
    try:
        pool.load(folds, study.scorer(), "compiled")
        done = trained(pool, jobs)
        for _ in track(done, "again", len(jobs), console=console, transient=True):
            pass
    finally:
        pool.close()
    return time.perf_counter() - started


def flops_of(folds: tuple[FoldData, ...], jobs: list[Job]) -> float:
    rows = float(np.mean([len(fold.y_train) for fold in folds]))
    return sum(
        useful_flops(job.spec, rows, len(job.folds)) * job.epochs / job.spec.training.epochs
        for job in jobs
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storage", default="sqlite:///nas.db")
    parser.add_argument("--study", help="the one that was searched last, if none is named")
    parser.add_argument("--times", type=int, default=1)
    arguments = parser.parse_args()
    try:
        study = load_study(arguments.study, arguments.storage)
        jobs = recorded(study)
        dataset = load_dataset(study.settings.data)
        split = split_dataset(dataset, study.settings.split)
        scalings = sorted({job.spec.in_words.scaling for job in jobs})
        folds = encode_folds(dataset, split.folds, scalings=scalings)
    except NasError as error:
        raise SystemExit(f"replay: {error}") from None
    machine = describe_machine()
    console.print(f"{machine['cores']} cores, {machine['cpu']}")
    console.print(
        f"{len(study.trials)} trials, of which {len(study.complete)} complete; "
        f"{flops_of(folds, jobs) / 1e9:,.0f} GFLOP"
    )
    for _ in range(arguments.times):
        console.print(f"trained again in {seconds_of(study, folds, jobs):.1f} s")


if __name__ == "__main__":
    main()
