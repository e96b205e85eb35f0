"""A study's winner or an ensemble as a file: trained, tested, described, in any format."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.choices import Ensemble
from nas.ensemble import Tell
from nas.errors import NasError
from nas.execution.devices import find_gpus
from nas.files import written_whole
from nas.formats.endings import ENDINGS, Format
from nas.model_card import card_path, check_output, default_model_path, is_winner, read_card
from nas.preparation import Known
from nas.report.card_page import HEAD, card_page
from nas.study.record import StudyRecord


def check_export(
    study: StudyRecord,
    storage: str,
    path: Path,
    kind: Format,
    is_the_winner: bool,
    is_plain: bool,
    calibrate: bool,
) -> None:
    """Refuses what cannot be exported, before the data are read or anything is trained.

    Args:
        study: A study with a complete trial.
        storage: Its database.
        path: The file to write.
        kind: Its format.
        is_the_winner: Whether it is the winner as it is.
        is_plain: Whether it is one network as it is.
        calibrate: Whether probabilities get a temperature.
    """
    check_output(path, ENDINGS[kind], has_card=kind != "code")
    if kind == "code" and not is_plain:
        raise NasError("--format", "'code' for several networks or --calibrate", "another format")
    if calibrate and study.settings.task == "regression":
        wanted = "classes, which have probabilities"
        raise NasError("--calibrate", "given for a regression", wanted)
    if not is_the_winner and path.resolve() == default_model_path(storage, study.name).resolve():
        raise NasError(
            str(path), "is where the study keeps its winner", "another name for another model"
        )
    page = page_path(path)
    if kind == "code" or not page.exists():
        return
    if not page.read_text(encoding="utf-8", errors="replace").startswith(HEAD):
        raise NasError(
            str(page), "is there, and is no model card", "a free place for the page of the model",
            "Give the model another name.",
        )  # fmt: skip


def page_path(path: Path) -> Path:
    """Where the page about a saved model lies."""
    return path.with_suffix(".md")


def export_model(
    study: StudyRecord,
    storage: str,
    path: Path,
    known: Known,
    kind: Format,
    ensemble: Ensemble | None,
    calibrate: bool,
    workers: int,
    tell: Tell,
    trial: int | None = None,
) -> None:
    """Writes a model, its card, and a page about it; see `nas.results.Study.export`.

    Args:
        study: A study with a complete trial.
        storage: Its database.
        path: The file to write.
        known: Its data, and what else a study does not keep.
        kind: The format of the file.
        ensemble: Several networks instead of one.
        calibrate: Whether probabilities get a temperature.
        workers: Processes that train an ensemble.
        tell: Told after each trial of an ensemble.
        trial: Number of another trial than the winner; the study keeps nothing of its test.

    A winner that is saved already is not trained again, so that its test score stays the one that
    the search told. For a winner as it is TensorFlow must have been started.
    """
    from nas.refit import refit, refit_ensemble, train_best
    from nas.saved_model import load_model

    is_plain = ensemble is None and not calibrate
    saved = default_model_path(storage, study.name)
    is_winner_wanted = is_plain and trial in (None, study.best().number)
    if trial is not None and not is_winner_wanted:
        study = study.only(trial)
    with tempfile.TemporaryDirectory(prefix="nas-") as folder:
        model_path = path if kind == "keras" else Path(folder) / "model.keras"
        found = _saved_winner(saved, study) if is_winner_wanted else None
        if found is not None:
            model_path = saved
        elif is_winner_wanted:
            refit(None, study, storage, model_path, known)
        elif is_plain:
            train_best(study, known, model_path, study.settings.split.seed)
        else:
            of, gpus = ensemble or 1, find_gpus("auto")
            refit_ensemble(study, model_path, known, of, workers, gpus, tell, calibrate)
        if kind == "code":
            _write_code(study, path, read_card(model_path) or {})
            return
        model, card = found or load_model(model_path)
        card = {**card, **_described(card, model, study, known)}
        if kind == "keras" and model_path.resolve() != path.resolve():
            with written_whole(path) as file:
                shutil.copyfile(model_path, file)
        if kind != "keras":
            from nas.formats.convert import convert_model

            card["format"] = convert_model(model, card, path, kind, known)
    with written_whole(card_path(path)) as file:
        file.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    with written_whole(page_path(path)) as file:
        file.write_text(card_page(card, path), encoding="utf-8")


def _saved_winner(saved: Path, study: StudyRecord) -> tuple[Any, dict[str, Any]] | None:
    """The winner and its card, where it is saved and can be read."""
    from nas.saved_model import load_model

    if not is_winner(saved, study):
        return None
    try:
        return load_model(saved)
    except NasError:
        return None


def _write_code(study: StudyRecord, path: Path, card: Mapping[str, Any]) -> None:
    from nas.formats.code import script

    spec = study.best().spec
    assert spec is not None
    text = script(spec, card, study.scorer().positive)
    with written_whole(path) as file:
        file.write_text(text, encoding="utf-8")


def _described(
    card: Mapping[str, Any], model: Any, study: StudyRecord, known: Known
) -> dict[str, Any]:
    """What each input is worth, and plain models beside it, where the study has them."""
    from nas.experiments.baselines import load_baselines
    from nas.measures import importance
    from nas.saved_model import predict

    def answers(features: Any) -> Any:
        return predict(model, features, card["task"])

    return {
        "importance": importance(answers, known.dataset, known.split, known.metric),
        "baselines": [plain.to_dict() for plain in load_baselines(study)],
    }
