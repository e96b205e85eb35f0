"""Studies to report on, made without training."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from fakes import PROBLEM, FakeEngine, search_fake, smooth, with_settings

from nas.experiments.baselines import Baseline
from nas.report.blocks import Report
from nas.report.sections import make_report
from nas.space import Range, SearchSpace, dump_space, load_space, parameter
from nas.space.suggesters import RandomSuggester
from nas.spec import Curves
from nas.study.record import StudyRecord, TrialRecord, study_record

SPACE = SearchSpace(
    {
        "depth": Range(1, 4),
        "width": Range(8, 64, log=True),
        "activation": ["relu", "tanh"],
        "optimizer": ["adam", "sgd"],
        "momentum": parameter(Range(0.0, 0.9), optimizer="sgd"),
        "learning_rate": Range(1e-4, 1e-1, log=True),
        "residual": [False, True],
        "epochs": 9,
    },
    name="fake",
)
BASELINES = (
    Baseline("logistic regression", (0.5, 0.6, 0.55), 0.55, 0.03, 0.56, (0.5, 0.6), 0.1),
    Baseline("SVC", (0.99, 0.995, 0.99), 0.9917, 0.002, 0.98, (0.95, 1.0), 0.1),
    Baseline("random forest", (), None, None, None, None, 0.0, "left out: 9,000,000 rows"),
)


def with_curves(trial: TrialRecord, n_folds: int = 3) -> TrialRecord:
    """Falling losses and a rising score; the last fold ends two epochs early."""
    epochs = np.arange(1, 10)[:, None]
    folds = np.arange(n_folds)[None, :]
    loss = 1 / (epochs + folds + 1)
    loss[-2:, -1] = np.nan
    rows = {
        "train_loss": loss,
        "val_loss": loss + 0.1,
        "val_value": 0.9 - loss,
    }
    curves = Curves(**{name: tuple(map(tuple, array.tolist())) for name, array in rows.items()})
    return replace(trial, curves=curves)


def finished(
    folder: Path, n_trials: int = 24, **options: object
) -> tuple[optuna.Study, StudyRecord]:
    """A study with complete, pruned and diverged trials, curves and a tested winner."""

    def scores(spec, fold, seed, epoch):
        if spec.training.learning_rate > 0.03 and epoch == 2:
            return math.nan
        return smooth(spec, fold, seed, epoch) + 0.002 * fold

    study, _ = search_fake(
        folder,
        FakeEngine(scores),
        SPACE,
        n_trials=n_trials,
        sampler="random",
        seed=6,
        **{"pruner": "median", **options},
    )
    record = study_record(study)
    trials = tuple(with_curves(t) if t.outcome == "complete" else t for t in record.trials)
    winner = {"trial": record.best().number, "test_value": 0.85, "test_interval": [0.8, 0.9]}
    return study, replace(record, trials=trials, winner=winner)


def thousand_trials(record: StudyRecord) -> StudyRecord:
    """A study over the largest space with as many complete trials as are promised to fit."""
    space = load_space("mlp_full")
    template = with_curves(record.best())
    trials = []
    for number in range(1000):
        asked = RandomSuggester(number)
        spec = space.sample(asked, PROBLEM)
        value = 0.5 + 0.4 * math.sin(number) ** 2
        trials.append(
            replace(
                template,
                number=number,
                params=dict(asked.params),
                spec=spec,
                value=value,
                fold_values=(value - 0.01, value, value + 0.01),
            )
        )
    return replace(with_settings(record, space=dump_space(space)), trials=tuple(trials))


def report_on(record: StudyRecord) -> Report:
    return make_report(record, "it takes 5 trials.", BASELINES)
