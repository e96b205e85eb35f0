"""The winner, or an ensemble of the best, trained again, tested once, and saved."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.choices import Ensemble
from nas.engines.shapes import unsupported
from nas.ensemble import Tell, train_members
from nas.execution.pool import Pool
from nas.model_card import check_output, winner_entry
from nas.preparation import Known
from nas.study.record import StudyRecord
from nas.study.storage import open_optuna_study, open_storage, storage_errors


def refit(
    pool: Pool | None,
    study: StudyRecord,
    storage: str,
    path: Path,
    known: Known,
) -> dict[str, Any]:
    """Trains, tests and saves a study's winner, and keeps the test's result in the study.

    Args:
        pool: Where to train it; None is this process, which needs TensorFlow.
        study: A study with a complete trial.
        storage: Its database.
        path: The `.keras` file to write.
        known: Its data, and what else a study does not keep.

    Returns:
        The model card.

    Raises:
        NasError: When the file cannot be written, or the winner diverges.
    """
    check_output(path, ".keras")
    seed = study.settings.split.seed
    arguments = (study, known, path, seed)
    card: dict[str, Any] = pool.call(train_best, *arguments) if pool else train_best(*arguments)
    with storage_errors(storage):
        optuna_study = open_optuna_study(open_storage(storage), study.name, storage)
        optuna_study.set_user_attr("winner", winner_entry(card))
    return card


def refit_ensemble(
    study: StudyRecord,
    path: Path,
    known: Known,
    kind: Ensemble,
    workers: int,
    gpus: Sequence[int] = (),
    tell: Tell = lambda done, of: None,
    calibrates: bool = False,
) -> dict[str, Any]:
    """Trains the members of an ensemble, tests them together, and saves them as one model.

    The study keeps nothing of it: its winner is a single network.

    Args:
        study: A study with a complete trial.
        path: The `.keras` file to write.
        known: Its data, and what else a study does not keep.
        kind: `folds` or a number of trials; see `nas.ensemble.train_members`.
        workers: Processes that train.
        gpus: Numbers of the GPUs to train on.
        tell: Told after each trial.
        calibrates: Whether the probabilities of a classifier get a temperature.

    Returns:
        The model card.

    Raises:
        NasError: When the file cannot be written, or all networks diverge.
    """
    check_output(path, ".keras")
    members, folds = train_members(study, known, kind, workers, gpus, tell)
    from nas.engines.startup import start_tensorflow

    start_tensorflow(without_gpu=bool(gpus))
    from nas.export import export_ensemble

    dataset, split, seed = known.dataset, known.split, study.settings.split.seed
    return export_ensemble(
        study, dataset, split, members, folds, kind, path, seed, known.build, known.metric,
        calibrates,
    )  # fmt: skip


def train_best(study: StudyRecord, known: Known, path: Path, seed: int) -> dict[str, Any]:
    """Trains, tests and saves the best trial of a record; the study keeps nothing of it.

    TensorFlow must have been started. Returns the model card.
    """
    from nas.engines.compiled_engine import CompiledEngine
    from nas.engines.keras_engine import KerasEngine
    from nas.export import export_winner

    spec = study.best().spec
    is_dense = spec is not None and not unsupported(spec)
    engine = CompiledEngine if is_dense else KerasEngine
    return export_winner(
        study, known.dataset, known.split, engine, path, seed, known.build, known.metric
    )
