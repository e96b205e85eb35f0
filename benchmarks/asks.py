"""What a trial costs besides training when a study has many: `python benchmarks/asks.py`.

By the random sampler: what TPE and CMA-ES model grows with the trials by nature, since they look at
all of them for each proposal. The studies are made directly in the database.

Prediction, written down before the first run: with 20,000 trials a trial costs at most 1.3 times
the processor time that it costs with 1,000. Opening a study grows in proportion to its trials,
since the sampler may ask for all of them.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import distribution_to_json
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from overheads import NoTraining
from rich.table import Table
from sqlalchemy import insert
from work import SPACE, console

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.metrics import METRICS
from nas.searching import SearchOptions, live_study, open_study, run_search, study_settings
from nas.searching.loop import result_attributes
from nas.spec import Curves, Problem, TrialResult
from nas.study.optuna_tables import PARAMS, REPORTS, VALUES, insert_trial, transaction
from nas.study.record import load_study
from nas.study.storage import open_storage
from nas.study.study_list import summarize_studies

PROBLEM = Problem("multiclass", 64, 10)
N_FOLDS, N_EPOCHS = 5, 20
FINITE_REPORT = {"intermediate_value_type": "FINITE"}


def fill(storage: RDBStorage, study_id: int, n_trials: int) -> None:
    """Makes complete trials that nobody trained, with all that a trial of a search has."""
    drawn = optuna.create_study(sampler=RandomSampler(seed=0))
    random = np.random.default_rng(0)
    with transaction(storage.engine) as connection:
        for number in range(n_trials):
            trial = drawn.ask()
            spec = SPACE.sample(trial, PROBLEM)
            scores = random.random((N_EPOCHS, N_FOLDS))
            curve = tuple(map(tuple, scores))
            folds = tuple(scores[-1])
            result = TrialResult(folds, folds, (N_EPOCHS,) * N_FOLDS, 1.0, Curves(*[curve] * 3))
            told = replace(
                result_attributes(result),
                index=number,
                outcome="complete",
                spec=spec,
                n_weights=spec.n_weights,
            )
            attributes = told.to_attributes()
            now, done = datetime.now(), TrialState.COMPLETE
            trial_id = insert_trial(connection, study_id, number, done, attributes, {}, now)
            of_trial = {"trial_id": trial_id}
            params = [
                {
                    **of_trial,
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(trial.params[name]),
                    "distribution_json": distribution_to_json(distribution),
                }
                for name, distribution in trial.distributions.items()
            ]
            reports = [
                {**of_trial, "step": epoch, "intermediate_value": value} | FINITE_REPORT
                for epoch, value in enumerate(scores.mean(axis=1), 1)
            ]
            connection.execute(insert(PARAMS), params)
            connection.execute(insert(REPORTS), reports)
            value = {"objective": 0, "value": scores[-1].mean(), "value_type": "FINITE"}
            connection.execute(insert(VALUES), {**of_trial, **value})


def measure(n_before: int, n_trials: int) -> list[str]:
    """What so many trials cost after `n_before` others, as a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'nas.db'}"
        data, split_options = DataOptions("digits"), SplitOptions(folds=N_FOLDS)
        dataset = load_dataset(data)
        split, metric = split_dataset(dataset, split_options), METRICS["accuracy"]
        settings = study_settings(SPACE, data, dataset, split_options, split, metric)
        storage = open_storage(url, create=True)
        study = open_study(storage, url, "asks", settings, metric)
        assert isinstance(storage, RDBStorage)
        fill(storage, study._study_id, n_before)
        options = SearchOptions(n_before + n_trials, sampler="random", pruner="median")
        started = time.process_time()
        with live_study(storage, url, "asks") as live:
            steps = run_search(live, url, SPACE, PROBLEM, NoTraining(N_FOLDS), options)
            next(steps)
            opened = time.process_time()
            for _ in steps:
                pass
            ended = time.process_time()
        listed = time.process_time()
        summarize_studies(url)
        listed = time.process_time() - listed
        read = time.process_time()
        load_study("asks", url)
        read = time.process_time() - read
    a_trial = (ended - opened) / n_trials * 1000
    seconds = (opened - started, listed, read)
    return [f"{n_before:,}", f"{a_trial:.1f}", *(f"{second:.2f}" for second in seconds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=int, nargs="+", default=[1000, 5000, 20000])
    parser.add_argument("--trials", type=int, default=200)
    arguments = parser.parse_args()
    table = Table("trials before", "ms a trial", "s to open", "s to list", "s to read all")
    for n_before in arguments.before:
        table.add_row(*measure(n_before, arguments.trials))
    console.print(table)


if __name__ == "__main__":
    main()
