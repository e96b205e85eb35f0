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
from nas.execution.pool import drive
from nas.preparation import Prepared, opened_pool
from nas.seeds import derive_seed
from nas.study.record import StudyRecord
from nas.study.storage import open_optuna_study, open_storage, storage_errors


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
    """Trains the best trials again, and keeps their scores in the study.

    `StudyRecord.best` is the best of them from then on. A trial that was confirmed before is not
    trained again.

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
    fresh = replace(split, folds=fresh_folds(prepared.dataset, split, options))
    scalings = tuple({spec.architecture.scaling for _, spec in chosen})
    fresh_data = replace(prepared, split=fresh)
    pool, encoded = opened_pool(fresh_data, workers, engine, gpus, scalings)
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
    found = dict(study.confirmed)
    with pool:
        for report in drive(pool, jobs):
            if report is not None and not report.running:
                values = report.result.fold_values if report.result else (float("nan"),)
                found[report.job] = values
                tell(len(found) - len(study.confirmed), len(jobs))
    kept = {str(n): [v if np.isfinite(v) else None for v in found[n]] for n in sorted(found)}
    with storage_errors(storage):
        opened = open_optuna_study(open_storage(storage), study.name, storage)
        opened.set_user_attr("confirmed", kept)
