"""The winner trained on everything but the test part, tested once, and saved."""

from pathlib import Path
from typing import Any

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
    card: dict[str, Any] = pool.call(_export, *arguments) if pool else _export(*arguments)
    with storage_errors(storage):
        optuna_study = open_optuna_study(open_storage(storage), study.name, storage)
        optuna_study.set_user_attr("winner", winner_entry(card))
    return card


def _export(study: StudyRecord, known: Known, path: Path, seed: int) -> dict[str, Any]:
    from nas.engines.keras_engine import KerasEngine
    from nas.export import export_winner

    return export_winner(
        study, known.dataset, known.split, KerasEngine, path, seed, known.build, known.metric
    )
