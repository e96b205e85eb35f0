"""The best trials of a search trained once more, on fresh folds and from fresh seeds.

The best of many scores is too good: some of it is luck with the folds and the seed. What the few
best trials score where neither has helped to choose them says which one is best, and how good.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from nas.analysis.winner import best_trials
from nas.choices import EngineName
from nas.data import fresh_folds
from nas.errors import NasError
from nas.execution.pool import drive
from nas.metrics import check_metric
from nas.preparation import Prepared, opened_pool
from nas.seeds import derive_seed
from nas.study.record import CONFIRMED, StudyRecord
from nas.study.storage import open_optuna_study, open_storage, storage_errors


def has_fresh_folds(prepared: Prepared) -> bool:
    """Whether the data can be divided otherwise, so that the metric is defined on every fold."""
    dataset, split = prepared.dataset, prepared.split
    fresh = fresh_folds(dataset, split, prepared.split_options)
    if fresh is split.folds:
        return False
    scored = {f"fold {k}": dataset.y[fold.val] for k, fold in enumerate(fresh, start=1)}
    try:
        check_metric(prepared.metric, scored, len(dataset.classes))
    except NasError:
        return False
    return True


def confirm(
    study: StudyRecord,
    prepared: Prepared,
    storage: str,
    number: int,
    workers: int,
    engine: EngineName = "auto",
    gpus: Sequence[int] = (),
    tell: Callable[[int, int], object] = lambda done, of: None,
) -> None:
    """Trains the best trials again, and keeps their scores in the study as they come.

    `StudyRecord.best` is the best of them from then on. A trial that was confirmed before is not
    trained again; one that failed, say for lack of memory, is tried again by the next search.

    Args:
        study: A study with a complete trial.
        prepared: What it was searched on.
        storage: Its database.
        number: How many of the best trials.
        workers: Processes that train.
        engine: What trains.
        gpus: Numbers of the GPUs to train on.
        tell: Told after each trial how many of how many are done.
    """
    chosen = [(t, s) for t, s in best_trials(study, number) if t.number not in study.confirmed]
    if not chosen:
        return
    options, split = prepared.split_options, prepared.split
    folds = split.folds
    if has_fresh_folds(prepared):
        folds = fresh_folds(prepared.dataset, split, options)
    scalings = tuple({spec.architecture.scaling for _, spec in chosen})
    again = replace(prepared, split=replace(split, folds=folds))
    pool, encoded = opened_pool(again, min(workers, len(chosen)), engine, gpus, scalings)
    width = encoded[0].x_train.shape[1]
    jobs = [
        (
            trial.number,
            # Other training rows may hold other categories.
            replace(spec, problem=replace(spec.problem, n_inputs=width)),
            derive_seed("confirmation", options.seed, trial.number),
        )
        for trial, spec in chosen
    ]
    opened, done = open_optuna_study(open_storage(storage), study.name, storage), 0
    with pool:
        for report in drive(pool, jobs):
            if report is None or report.running:
                continue
            done += 1
            tell(done, len(jobs))
            if report.result is not None:
                values = report.result.fold_values
                kept = [value if np.isfinite(value) else None for value in values]
                with storage_errors(storage):
                    opened.set_user_attr(f"{CONFIRMED}{report.job}", kept)
