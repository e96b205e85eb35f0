"""The card of a saved model: what it is, and where it comes from. Read without Keras."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.study.record import StudyRecord
from nas.study.storage import sqlite_path


def check_output(path: Path, suffix: str, has_card: bool | None = None) -> None:
    """Refuses a file that could not be written, before the work is done.

    Args:
        path: The file; a folder where the suffix is empty.
        suffix: Its ending.
        has_card: Whether a model card is written beside it; None is where it is a Keras model.

    Raises:
        NasError: When the folder does not exist or the ending is another.
    """
    if path.suffix.lower() != suffix:
        raise NasError(str(path), f"the ending '{path.suffix}'", suffix)
    if not path.parent.is_dir():
        raise NasError(
            str(path), f"no folder '{path.parent}'", "a folder that exists", "Make it first."
        )
    has_card = suffix == ".keras" if has_card is None else has_card
    is_folder = has_card and not suffix  # a SavedModel
    for file in (*[path] * (not is_folder), *[card_path(path)] * has_card):
        if file.is_dir():
            raise NasError(str(file), "is a folder", "a file to write to")
    if not os.access(path.parent, os.W_OK):
        raise NasError(str(path), "its folder is not writable", "a folder to write to")
    if has_card and card_path(path).exists() and read_card(path) is None:
        raise NasError(
            str(card_path(path)),
            "is there, and is no model card",
            "a free place for the card of the model",
            "Give the model another name.",
        )


def default_model_path(storage: str, study: str) -> Path:
    """Where a search saves its winner: beside an SQLite database, otherwise in `studies`."""
    database = sqlite_path(storage)
    folder = database.parent if database is not None else None
    if folder is None or not folder.is_dir():
        folder = Path("studies")
        folder.mkdir(exist_ok=True)
    return folder / f"{study}.keras"


def card_path(model_path: Path) -> Path:
    """Where the model card of a saved model lies."""
    return model_path.with_suffix(".json")


def read_card(model_path: Path) -> dict[str, Any] | None:
    """The card of a saved model; None where there is none."""
    try:
        card = json.loads(card_path(model_path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    is_card = isinstance(card, dict) and "nas_version" in card and "schema" in card
    return card if is_card else None


def is_winner(model_path: Path, study: StudyRecord) -> bool:
    """Whether a saved model is the winner of this study: same data, trial and scores.

    An ensemble is not, nor is a calibrated model.
    """
    best, card = study.best(), read_card(model_path)
    return (
        model_path.exists()
        and card is not None
        and not (card.get("ensemble") or card.get("calibration"))
        and study.winner.get("trial") == best.number == card.get("trial")
        and card.get("study") == study.name
        and card.get("data_hash") == study.settings.data_hash
        and card.get("fold_values") == list(best.fold_values)
    )


def n_values(card: Mapping[str, Any]) -> int:
    """Numbers that a regression answers with for each row."""
    return max(1, len(card.get("targets", ())), len(card.get("quantiles", ())))


def winner_entry(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the study keeps of its winner's test, and of what it answers."""
    keys = ("trial", "test_value", "test_interval", "predicted_on", "predicted_classes")
    return {key: card[key] for key in keys}
