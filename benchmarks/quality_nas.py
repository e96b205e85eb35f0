"""nas as an entrant of `quality.py`: with its defaults, as an ensemble, and without its parts."""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from quality_sets import Answer, Array, BesideFirst, Incumbent, Task

from nas.space import SearchSpace, load_space

SEARCHING = 0.6  # share of the time that the search for an ensemble has
EMBEDDING_WORDS = ["embedding", "embedding_size", "frequencies", "frequency_scale", "bins"]


def search(task: Task, seconds: float, seed: int, folder: str, **options: Any) -> Any:
    """`nas.search` with its defaults.

    Args:
        task: The set.
        seconds: Time for the search.
        seed: Of the search.
        folder: For its files.
        options: Other options of `nas.search`.
    """
    import nas

    return nas.search(
        data=task.x, target=task.y, timeout=seconds, test_size=0.0, seed=seed,
        metric="rmse" if task.is_regression else "accuracy",
        task="regression" if task.is_regression else None,
        storage=f"sqlite:///{folder}/nas.db", quiet=True, **options,
    )  # fmt: skip


def with_nas(
    task: Task,
    seconds: float,
    seed: int,
    without: Sequence[str] = (),
    looks_back: bool = False,
    **options: Any,
) -> Answer:
    """The best network of `nas.search`, whose space may lack `first` or some words.

    Args:
        looks_back: Whether to train again, afterwards, what would have won had the search ended
            earlier, and the first setting.
    """
    if without:
        options["space"] = tabular_without(without)
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        study = search(task, seconds, seed, folder, **options)
        answer = Answer(
            study.predict(task.x_test),
            len(study.record.complete),
            best_of(study),
            fold_epochs(study),
            incumbents(study, started),
        )
        return look_back(answer, study, task, Path(folder)) if looks_back else answer


def with_nas_ensemble(task: Task, seconds: float, seed: int, n: int = 8) -> Answer:
    """`nas.search` for a part of the time, then n networks in one; what that takes is told."""
    from nas.saved_model import load_model, predict_rows

    with tempfile.TemporaryDirectory() as folder:
        study = search(task, SEARCHING * seconds, seed, folder, confirm=0)
        path = study.export(Path(folder) / "ensemble.keras", task.x, task.y, ensemble=n)
        predicted = predict_rows(path, *load_model(path), task.x_test)
        return Answer(predicted.answers, len(study.record.complete), best_of(study))


def tabular_without(without: Sequence[str]) -> SearchSpace:
    """The usual space without its `first` settings or some of its words."""
    usual = load_space("tabular")
    words = {key: entry for key, entry in usual.parameters.items() if key not in without}
    first = () if "first" in without else usual.first
    kept = [{k: v for k, v in one.items() if k in words} for one in first]
    return SearchSpace(words, "tabular", first=kept)


def best_of(study: Any) -> str:
    return json.dumps({"value": study.best.value, **study.best.params}, default=str)


# Looking back


def fold_epochs(study: Any, until: float | None = None) -> int:
    """Epochs that the trials of a search have trained, each fold counted by itself.

    Args:
        until: Only trials that ended by then, in seconds since 1970.
    """
    ends = ends_of(study)
    return sum(
        int(np.isfinite(np.array(trial.curves.train_loss, float)).sum())
        for trial in study.record.trials
        if trial.curves is not None and (until is None or ends[trial.number] <= until)
    )


def ends_of(study: Any) -> dict[int, float]:
    """When each trial ended, in seconds since 1970."""
    ended = [trial for trial in study.optuna.trials if trial.datetime_complete]
    return {trial.number: trial.datetime_complete.timestamp() for trial in ended}


def incumbents(study: Any, started: float) -> tuple[Incumbent, ...]:
    """The trials that were the best for a while, the first one first."""
    ends, sign = ends_of(study), -1 if study.record.direction == "minimize" else 1
    found: list[Incumbent] = []
    for trial in sorted(study.record.complete, key=lambda trial: ends[trial.number]):
        if not found or sign * trial.value > sign * found[-1].value:
            end = ends[trial.number]
            epochs = fold_epochs(study, end)
            found.append(Incumbent(trial.number, end - started, epochs, trial.value))
    return tuple(found)


def look_back(answer: Answer, study: Any, task: Task, folder: Path) -> Answer:
    """Adds the test scores of earlier incumbents, and the winner beside the first setting."""
    begun, record = time.time(), study.record

    def predicted(trial: Any) -> Array:
        """What a trial predicts for the test rows, trained as if it had won."""
        path = folder / f"trial-{trial.number}.keras"
        if not path.exists():
            alone, known = replace(record, trials=(trial,), confirmed={}), study.known()
            seed = record.settings.split.seed
            export_winner(alone, known.dataset, known.split, CompiledEngine, path, seed)
        return predict_rows(path, *load_model(path), task.x_test).answers

    from nas.engines.compiled_engine import CompiledEngine
    from nas.export import export_winner
    from nas.saved_model import load_model, predict_rows

    by_number = {trial.number: trial for trial in record.complete}
    scored = [
        replace(one, score=task.score(predicted(by_number[one.trial]))) for one in answer.incumbents
    ]
    first, beside = record.trials[0].number, None
    if first == study.best.number:
        beside = BesideFirst(0.0, 0.0)
    elif first in by_number:
        difference = task.losses(answer.prediction) - task.losses(predicted(by_number[first]))
        error = float(difference.std(ddof=1) / len(difference) ** 0.5)
        beside = BesideFirst(float(difference.mean()), error)
    return replace(
        answer,
        incumbents=tuple(scored),
        beside_first=beside,
        looked_back=time.time() - begun,
    )


Entrant = Callable[..., Answer]
# nas without one of its parts.
ABLATIONS: dict[str, Entrant] = {
    "nas, no first settings": partial(with_nas, without=["first"]),
    "nas, no embeddings": partial(with_nas, without=EMBEDDING_WORDS),
    "nas, halving": partial(with_nas, pruner="halving"),
    "nas, no pruning": partial(with_nas, pruner="none"),
    "nas, random": partial(with_nas, sampler="random"),
    "nas, no confirmation": partial(with_nas, confirm=0),
    # These two have the same folds, so that their scores over folds can be compared.
    "nas, five folds": partial(with_nas, folds=5, confirm=0),
    "nas, full random": partial(
        with_nas, without=["first"], sampler="random", pruner="none", folds=5, confirm=0
    ),
}
