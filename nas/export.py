"""The winner of a study, or an ensemble of its best, as a saved Keras model that takes raw data."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from nas.about import __version__
from nas.analysis.winner import summarize
from nas.architectures import CustomArchitecture
from nas.calibration import calibration, fit_temperature, with_temperature
from nas.choices import Ensemble
from nas.data import Dataset, Fold, Schema, Split, seen_values, take_rows
from nas.encoding import Encoder, FoldData, encode_folds, fit_encoder
from nas.engines.keras_engine import KerasEngine
from nas.engines.lane_log import predictions_on
from nas.engines.lanes import Engine, trial_lanes
from nas.ensemble import Member, Vote, Weights, vote
from nas.errors import NasError, first_line
from nas.families.family import as_logits
from nas.families.keras_networks import network_of
from nas.families.suggestions import BuildModel
from nas.measures import measures
from nas.metrics import Metric, predicted_classes
from nas.model_card import card_path, check_output
from nas.saved_model import PREDICT_BATCH, REGISTER, predict, weights_hash
from nas.seeds import derive_seed
from nas.spec import TrialSpec
from nas.study.record import StudyRecord
from nas.uncertainty import rows_ratio, score_interval, standard_error
from nas.whole_model import tempered_model, voting_model, whole_model

TIMED_ROWS = 10_000  # whose prediction is timed


def export_winner(
    study: StudyRecord,
    dataset: Dataset,
    split: Split,
    engine_class: type[Engine],
    path: Path,
    seed: int,
    build: BuildModel | None = None,
    metric: Metric | None = None,
) -> dict[str, Any]:
    """Trains the winner on everything but the test part, scores it there, and saves it.

    The model takes raw features (a numeric array, or a mapping of columns where there are
    categories) and returns probabilities or values. It needs Keras alone to be loaded. Beside it
    lies its card, a JSON file with the same name.

    Args:
        study: A study with a complete trial.
        dataset: Its data.
        split: How its search divided it.
        engine_class: What trains the winner, in one lane.
        path: A `.keras` file; an older one is replaced when the new one is whole.
        seed: Seeds the training.
        metric: What it is scored by; None is the study's own, which a function of the user's
            cannot be.
        build: The function that builds the networks of a custom study, which the Keras engine
            trains, whatever `engine_class` says.

    Returns:
        The model card.

    Raises:
        NasError: When the winner diverges, its function is not at hand, the model cannot be saved,
            or there is no place for it.
    """
    metric = metric or study.scorer()
    check_output(path, ".keras")
    best = study.best()
    if best.spec is None:
        raise NasError(study.name, f"trial {best.number} has no specification")
    scaling = best.spec.architecture.scaling
    if scaling != "data":
        dataset = replace(dataset, scaling=scaling)
    # Without the test rows: nothing in the training can see or score them.
    (data,) = encode_folds(dataset, [Fold(split.development, split.test[:0])])
    # Categories that no fold's training part held may widen the input.
    problem = replace(best.spec.problem, n_inputs=data.x_train.shape[1])
    spec = replace(best.spec, problem=problem)
    is_custom = isinstance(spec.architecture, CustomArchitecture)
    engine = KerasEngine([data], metric, build) if is_custom else engine_class([data], metric)
    lanes = engine.start(trial_lanes(spec, derive_seed("refit", seed), 1))
    epochs = engine.epochs_at_once(spec, 1)
    while lanes.running().any():
        lanes.advance(epochs)
    (result,) = lanes.results()
    if not np.isfinite(result.train_loss[-1]):
        raise NasError(
            study.name,
            f"the winner (trial {best.number}) diverged when trained on all folds together",
            fix="Continue the search with a smaller highest learning rate.",
        )
    encoder = fit_encoder(dataset, split.development)
    model = whole_model(dataset, encoder, spec, lanes.weights(0), build)
    card = _card(study, dataset, split, model, metric, seed)
    card["n_weights"] = spec.n_weights
    card["spec"] = spec.to_dict()
    _save(model, card, path)
    return card


def export_ensemble(
    study: StudyRecord,
    dataset: Dataset,
    split: Split,
    members: Sequence[Member],
    folds: Sequence[FoldData],
    kind: Ensemble,
    path: Path,
    seed: int,
    build: BuildModel | None = None,
    metric: Metric | None = None,
    calibrates: bool = False,
) -> dict[str, Any]:
    """Saves networks that answer together as one model, scored as `export_winner` does.

    Args:
        study: A study with a complete trial.
        dataset: Its data.
        split: How its search divided it.
        members: The trained networks, of `nas.ensemble.train_members`.
        folds: The folds that they were trained on.
        kind: As for `train_members`.
        path: A `.keras` file.
        seed: Of the training, for the card.
        build: The function that builds custom networks.
        metric: What it is scored by; None is the study's own.
        calibrates: Whether the probabilities of a classifier get a temperature.

    Returns:
        The model card. What it has under `ensemble` tells the members, the score over folds and
        the time to predict, beside those of the winner alone; under `calibration` how far the
        probabilities were from the truth, and are with the temperature.
    """
    metric = metric or study.scorer()
    check_output(path, ".keras")
    predictions = [_fold_predictions(member, folds, build) for member in members]
    if kind == "folds":
        chosen = Vote((1.0,), tuple(map(metric.score, (f.y_val for f in folds), predictions[0])))
    else:
        rows_of_folds = [fold.val for fold in split.folds]
        chosen = vote(predictions, [fold.y_val for fold in folds], rows_of_folds, metric)
    models: list[keras.Model] = []
    shares: list[float] = []
    used: list[dict[str, Any]] = []
    for member, share in zip(members, chosen.shares, strict=True):
        if not share:
            continue
        used.append({"trial": member.trial.number, "share": share})
        for rows, weights in _networks(member, split):
            scaled, encoder = _encoder(dataset, member.spec, rows)
            models.append(whole_model(scaled, encoder, member.spec, weights, build))
        n_networks = len(models) - len(shares)
        shares += [share / n_networks] * n_networks
    model, told = voting_model(models, shares, dataset.schema), None
    if calibrates:
        of_fold = [_weighted(chosen.shares, [p[k] for p in predictions]) for k in range(len(folds))]
        temperature, told = _fit_temperature(of_fold, folds, split)
        calibrated = _tempered(models, shares, kind, temperature, dataset.schema)
        told |= _tested_calibration(dataset, split, model, calibrated)
        model = calibrated
    card = _card(study, dataset, split, model, metric, seed)
    card["calibration"] = told
    card["n_weights"] = sum(network.count_params() for network in models)
    if kind != 1:
        card["ensemble"] = {
            "kind": kind,
            "n_trained": len(members),
            "members": used,
            "n_networks": len(models),
            "single": _winner_alone(study),
            **_times(dataset, split, model, models[0]),
        }
        card |= _ensemble_scores(study, chosen.fold_values, len(folds))
    _save(model, card, path)
    return card


def _networks(member: Member, split: Split) -> list[tuple[NDArray[np.int64], Weights]]:
    """The networks of a member that answer, each with the rows that it was trained on."""
    if member.whole is not None:
        return [(split.development, member.whole)]
    rows = [fold.train for fold in split.folds]
    return list(zip(rows, member.by_fold, strict=True))


def _encoder(dataset: Dataset, spec: TrialSpec, rows: NDArray[np.int64]) -> tuple[Dataset, Encoder]:
    """The data as a network has it scaled, and how rows are encoded for it."""
    if spec.architecture.scaling != "data":
        dataset = replace(dataset, scaling=spec.architecture.scaling)
    return dataset, replace(fit_encoder(dataset, rows), n_columns=spec.problem.n_inputs)


def _fold_predictions(
    member: Member, folds: Sequence[FoldData], build: BuildModel | None
) -> list[NDArray[Any]]:
    """What a member's networks predict for the rows of each fold that they have not seen."""
    network, found = network_of(member.spec, build), []
    for fold, weights in zip(folds, member.by_fold, strict=True):
        network.model.set_weights(weights)
        rows = fold.scaled(member.spec.architecture.scaling).x_val
        rows = rows.reshape(-1, *network.input_shape)
        parts = [
            np.asarray(network.run(rows[i : i + PREDICT_BATCH], training=False))
            for i in range(0, len(rows), PREDICT_BATCH)
        ]
        outputs = as_logits(np.concatenate(parts), network.outputs)
        found.append(predictions_on(fold, outputs, network.scored_as))
    return found


def _weighted(shares: Sequence[float], predictions: Sequence[NDArray[Any]]) -> NDArray[Any]:
    parts = [share * p for share, p in zip(shares, predictions, strict=True) if share]
    return np.asarray(sum(parts[1:], parts[0]))


def _fit_temperature(
    of_fold: Sequence[NDArray[Any]], folds: Sequence[FoldData], split: Split
) -> tuple[float, dict[str, Any]]:
    """The temperature of all folds, and the calibration of each with that of the other rows."""
    truth, raw = np.concatenate([fold.y_val for fold in folds]), np.concatenate(of_fold)
    temperature = fit_temperature(raw, truth)
    told: dict[str, Any] = {"temperature": temperature}
    if len(folds) > 1:
        rows, tempered = np.concatenate([fold.val for fold in split.folds]), []
        for fold, prediction in zip(split.folds, of_fold, strict=True):
            others = ~np.isin(rows, fold.val)  # a repeat has them, too
            found = fit_temperature(raw[others], truth[others]) if others.any() else temperature
            tempered.append(with_temperature(prediction, found))
        told["folds"] = asdict(calibration(raw, truth))
        told["folds_calibrated"] = asdict(calibration(np.concatenate(tempered), truth))
    return temperature, told


def _tempered(
    models: Sequence[keras.Model],
    shares: Sequence[float],
    kind: Ensemble,
    temperature: float,
    schema: Schema,
) -> keras.Model:
    """The vote with a temperature, where that was found.

    Of `folds` each row was predicted by one network, of several trials by their vote: a mean is
    less sure than each of its networks, and has another temperature.
    """
    if kind == "folds":
        models = [tempered_model(model, temperature, schema) for model in models]
        return voting_model(models, shares, schema)
    return tempered_model(voting_model(models, shares, schema), temperature, schema)


def _tested_calibration(
    dataset: Dataset, split: Split, before: keras.Model, after: keras.Model
) -> dict[str, Any]:
    """The calibration of both models on the test part; nothing without one."""
    if not len(split.test):
        return {}
    rows, y = take_rows(dataset.features, split.test), dataset.y[split.test]
    return {
        name: asdict(calibration(predict(model, rows, dataset.task), y))
        for name, model in (("test", before), ("test_calibrated", after))
    }


def _ensemble_scores(study: StudyRecord, values: Sequence[float], n_folds: int) -> dict[str, Any]:
    """Scores over the folds, in the place of the winner's."""
    is_halved = len(values) > n_folds
    stderr = None if is_halved else standard_error(values, rows_ratio(study.settings.split))
    return {"value": float(np.mean(values)), "stderr": stderr, "fold_values": list(values)}


def _winner_alone(study: StudyRecord) -> dict[str, Any]:
    """The scores of the single winner."""
    best = study.best()
    is_tested = study.winner.get("trial") == best.number
    return {
        "trial": best.number,
        "value": best.value,
        "stderr": best.stderr,
        "test_value": study.winner.get("test_value") if is_tested else None,
    }


def _times(
    dataset: Dataset, split: Split, model: keras.Model, single: keras.Model
) -> dict[str, Any]:
    """Seconds to predict some rows with all networks, and with one of them."""
    rows = split.development[:TIMED_ROWS]
    features = take_rows(dataset.features, rows)
    seconds = [_seconds(each, features, dataset.task) for each in (model, single)]
    return {"rows_timed": len(rows), "seconds": seconds[0], "seconds_of_one": seconds[1]}


def _seconds(model: keras.Model, features: Any, task: str) -> float:
    predict(model, features, task)  # traces it
    started = time.perf_counter()
    predict(model, features, task)
    return time.perf_counter() - started


def _card(
    study: StudyRecord,
    dataset: Dataset,
    split: Split,
    model: keras.Model,
    metric: Metric,
    seed: int,
) -> dict[str, Any]:
    """What a model is, where it comes from, and what it scores on the test part."""
    test_value, interval = None, None
    tested_on = "test" if len(split.test) else "training"
    rows = split.test if len(split.test) else split.development
    prediction = predict(model, take_rows(dataset.features, rows), dataset.task)
    if len(split.test):
        y = dataset.y[split.test]
        test_value = metric.score(y, prediction)
        groups = None if dataset.groups is None else dataset.groups[split.test]
        interval = score_interval(metric, y, prediction, groups)
    summary, categories = summarize(study), fit_encoder(dataset, split.development).statistics
    return {
        "nas_version": __version__,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **{
            key: summary[key]
            for key in ("study", "trial", "metric", "positive", "direction", "value")
        },
        **{key: summary[key] for key in ("stderr", "fold_values")},
        "test_value": test_value,
        "test_interval": list(interval) if interval else None,
        "measures": measures(
            dataset.y[split.test], prediction, dataset.classes, dataset.targets, dataset.quantiles
        )
        if len(split.test)
        else None,
        "predicted_on": tested_on,
        "predicted_classes": _count_classes(dataset, prediction),
        "n_weights": None,
        "weights_hash": weights_hash(model),
        "params": summary["params"],
        "spec": summary["spec"],
        "seed": seed,
        "task": dataset.task,
        "classes": list(dataset.classes),
        "targets": list(dataset.targets),
        "quantiles": list(dataset.quantiles),
        "schema": dataset.schema.to_dict(),
        "seen": seen_values(dataset, split.development, categories.categories),
        "data": asdict(study.settings.data),
        "data_hash": study.settings.data_hash,
        "split": asdict(study.settings.split),
        "n_train_rows": len(split.development),
        "n_test_rows": len(split.test),
        "space": study.settings.space,
        "versions": study.settings.versions,
    }


def _count_classes(dataset: Dataset, prediction: NDArray[Any]) -> dict[str, int] | None:
    """How many rows the winner gives each class, by label; None for regression."""
    if not dataset.classes:
        return None
    counts = np.bincount(predicted_classes(prediction), minlength=len(dataset.classes))
    return {str(k): int(n) for k, n in zip(dataset.classes, counts, strict=True)}


def _save(model: keras.Model, card: dict[str, Any], path: Path) -> None:
    """Writes model and card beside their places, then moves both there."""
    # Two searches of one study may save its winner at the same moment.
    partial_model = path.with_name(f".{path.stem}.{os.getpid()}.partial.keras")
    partial_card = partial_model.with_suffix(".json")
    try:
        model.save(partial_model)
        partial_card.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        partial_model.replace(path)
        partial_card.replace(card_path(path))
    except OSError as error:
        raise NasError(str(path), f"cannot be written ({first_line(error, 120)})") from error
    except (NotImplementedError, TypeError, ValueError) as error:  # of a user's own classes
        raise NasError(
            str(path), f"Keras cannot save the model ({first_line(error, 120)})", fix=REGISTER
        ) from error
    finally:
        partial_model.unlink(missing_ok=True)
        partial_card.unlink(missing_ok=True)
