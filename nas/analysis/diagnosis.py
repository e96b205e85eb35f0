"""What is wrong with the trials of a study, each cause with the next experiment."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas.analysis.causes import FEW_STEPS, TITLES, better_epoch, find_causes
from nas.analysis.experiment import Experiment, LookAtData, SearchAgain, TrainAgain
from nas.analysis.levels import hidden_layers, space_of
from nas.architectures import CustomArchitecture
from nas.direction import Direction
from nas.errors import NasError
from nas.layers import Item, parse_layers
from nas.space import mapping_from_space
from nas.spec import TrialSpec
from nas.study.record import StudyRecord, TrialRecord
from nas.uncertainty import rows_ratio
from nas.wording import counted

FOLLOWING = 0.9  # momentum of batch normalization with few steps

# What to try where a function builds the network.
ADVICE = {
    "learning_rate_too_high": "a tenth of the learning rate {place}",
    "learning_rate_too_low": "30 times the learning rate {place}",
    "too_few_epochs": "five times the epochs, among the words of training",
    "vanishing_gradients": "relu and he_normal in the hidden layers of {function}",
    "exploding_gradients": "he_normal and batch normalization in {function}",
    "dead_units": "gelu and he_normal in the hidden layers of {function}",
    "saturation": "relu and he_normal in the hidden layers of {function}",
    "moving_averages": "BatchNormalization(momentum=0.9) in {function}, or less dropout",
    "too_narrow": "more units in the narrowest layer of {function}",
    "over_regularized": "weaker regularizers and less dropout in {function}",
    "over_fitting": "dropout or L2 in the hidden layers of {function}",
    "trained_too_long": "fewer epochs, among the words of training",
    "label_noise": "other columns: look at the data first",
    "imbalanced": "a new search with the metric balanced_accuracy",
    "idle_layers": "half the hidden layers in {function}",
}

# What a pruned trial cannot be blamed for: it might have gone on to learn, with all its layers.
UNFINISHED = ("too_few_epochs", "trained_too_long", "idle_layers")


@dataclass(frozen=True)
class Cause:
    """One reason why a network is bad.

    Attributes:
        name: A key of `TITLES`.
        title: The same in words.
        strength: How strong the evidence is, from 0 to 1; comparable between causes.
        evidence: What was measured, in a sentence.
        experiment: What to do next; None for a custom network.
        advice: What to try in the function of a custom network; empty for any other.
    """

    name: str
    title: str
    strength: float
    evidence: str
    experiment: Experiment | None
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with one trial.

    Attributes:
        trial: Its number.
        causes: The strongest evidence first; empty when nothing is wrong.
        summary: A sentence or two.
    """

    trial: int
    causes: tuple[Cause, ...]
    summary: str


@dataclass(frozen=True)
class StudyDiagnosis:
    """What is wrong with the trials of a study.

    Attributes:
        n_examined: Trials that could be diagnosed.
        counts: Titles of causes and the trials that they were named for, the most frequent first.
        best: The diagnosis of the best complete trial; None without one.
        worst: Diagnoses of the worse half's trials with causes, at most three, the worst first.
        summary: A sentence or two.
    """

    n_examined: int
    counts: tuple[tuple[str, int], ...]
    best: Diagnosis | None
    worst: tuple[Diagnosis, ...]
    summary: str


def diagnose_trial(record: StudyRecord, number: int) -> Diagnosis:
    """Diagnoses one trial.

    Args:
        record: Its study.
        number: Of the trial.

    Raises:
        NasError: When there is no such trial, or it was never examined.
    """
    trial = next((trial for trial in record.trials if trial.number == number), None)
    if trial is None:
        known = f"0 to {max((t.number for t in record.trials), default=0)}"
        raise NasError("--trial", f"got {number}", f"a trial of study '{record.name}', {known}")
    if not _is_examined(trial):
        raise NasError(
            record.name,
            f"trial {number} was not examined ({trial.outcome})",
            "a trial that trained for an epoch with this version of nas",
            f"Train it again, with --like {number}.",
        )
    return _diagnose(record, trial)


def diagnose_study(record: StudyRecord) -> StudyDiagnosis:
    """Diagnoses all examined trials of a study.

    Raises:
        NasError: When no trial was examined.
    """
    examined = [trial for trial in record.trials if _is_examined(trial)]
    if not examined:
        raise NasError(
            record.name,
            "no trial was examined",
            "a study with trials that trained for an epoch with this version of nas",
            "Search again, or train one network with 'nas train'.",
        )
    diagnoses = {trial.number: _diagnose(record, trial) for trial in examined}
    counts = Counter(cause.title for d in diagnoses.values() for cause in d.causes[:1])
    healthy = sum(not d.causes for d in diagnoses.values())
    best = diagnoses.get(record.best().number) if record.complete else None
    sign = Direction(record.direction).sign

    def last_value(trial: TrialRecord) -> float:
        values = [v for v in trial.fold_values if math.isfinite(v)]
        return sign * statistics.fmean(values) if values else -math.inf

    worse_half = sorted(examined, key=last_value)[: math.ceil(len(examined) / 2)]
    worst = [
        diagnoses[trial.number]
        for trial in worse_half
        if diagnoses[trial.number].causes and diagnoses[trial.number] is not best
    ][:3]
    summary = f"{counted(len(examined), 'trial')} examined: nothing is wrong with {healthy}"
    if counts:
        title, n = counts.most_common(1)[0]
        summary += f", and the most frequent cause is: {title} ({n})"
    return StudyDiagnosis(
        len(examined), tuple(counts.most_common()), best, tuple(worst), summary + "."
    )


def _is_examined(trial: TrialRecord) -> bool:
    return trial.spec is not None and trial.curves is not None and trial.examination is not None


def _diagnose(record: StudyRecord, trial: TrialRecord) -> Diagnosis:
    assert trial.spec is not None and trial.curves is not None and trial.examination is not None
    pruned = trial.outcome == "pruned"
    causes = tuple(
        Cause(name, TITLES[name], strength, evidence, *_next(record, trial, name))
        for name, strength, evidence in find_causes(
            trial.spec,
            trial.curves,
            trial.examination,
            record.direction,
            rows_ratio(record.settings.split),
        )
        if not (pruned and name in UNFINISHED)
    )
    if not causes:
        n_epochs = len(trial.curves.train_loss)
        tells = f"{counted(n_epochs, 'epoch')} {'tells' if n_epochs == 1 else 'tell'}"
        so_far = f", as far as {tells}" if pruned else ""
        return Diagnosis(trial.number, (), f"Nothing is wrong with this network{so_far}.")
    titles = [cause.title for cause in causes]
    return Diagnosis(trial.number, causes, f"What is wrong: {_enumerate(titles)}.")


def _enumerate(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _next(record: StudyRecord, trial: TrialRecord, cause: str) -> tuple[Experiment | None, str]:
    """The next experiment for a cause, or what to try where only a function has the network."""
    assert trial.spec is not None
    network = trial.spec.architecture
    if not isinstance(network, CustomArchitecture):
        return _experiment(record, trial, cause), ""
    place = f"of {network.function}" if network.optimizer else "among the words of training"
    return None, ADVICE[cause].format(function=network.function, place=place)


def _experiment(record: StudyRecord, trial: TrialRecord, cause: str) -> Experiment:
    if cause == "label_noise":
        return LookAtData()
    if cause == "imbalanced":
        name = f"{record.name}_balanced"
        space = replace(space_of(record), name=name, data=None, target=None)
        return SearchAgain(mapping_from_space(space), metric="balanced_accuracy")
    if cause == "trained_too_long":
        return TrainAgain(trial.number, _shorter(record, trial))
    return TrainAgain(trial.number, _changes(trial, cause))


def _changes(trial: TrialRecord, cause: str) -> dict[str, Any]:
    """What to change in a network, by word."""
    assert trial.spec is not None
    training = trial.spec.training
    match cause:
        case "learning_rate_too_high":
            return {"learning_rate": _rounded(training.learning_rate / 10)}
        case "learning_rate_too_low":
            return {"learning_rate": _rounded(training.learning_rate * 30)}
        case "too_few_epochs":
            return _longer(trial)
        case "vanishing_gradients" | "saturation":
            return {"activation": "relu", "initializer": "he_normal"}
        case "exploding_gradients":
            return {"initializer": "he_normal", "normalization": "batch"}
        case "dead_units":
            return {"activation": "gelu", "initializer": "he_normal"}
        case "moving_averages":
            return _following(trial)
        case "too_narrow":
            return _wider(trial.spec)
        case "over_regularized":
            return {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "dropout": 0.0}
        case "over_fitting":
            return {"l2": _rounded(max(training.l2 * 10, 1e-3)), "dropout": 0.3}
        case "idle_layers":
            return _shallower(trial.spec)
    raise ValueError(cause)


def _rounded(value: float) -> float:
    """A number with two digits: people read and type it."""
    return float(f"{value:.2g}")


def _longer(trial: TrialRecord) -> dict[str, Any]:
    """Five times the epochs or the steps, and enough for some hundred steps."""
    assert trial.spec is not None and trial.examination is not None
    training, steps = trial.spec.training, trial.examination.n_steps
    if training.steps and training.n_steps(trial.examination.n_train) == training.steps:
        return {"steps": 5 * max(training.steps, FEW_STEPS)}
    epochs = training.epochs
    return {"epochs": max(5 * epochs, math.ceil(5 * FEW_STEPS * epochs / max(steps, 1)))}


def _shorter(record: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """As many epochs or steps as it was best after."""
    assert trial.spec is not None and trial.examination is not None and trial.curves is not None
    training, n_rows = trial.spec.training, trial.examination.n_train
    ratio = rows_ratio(record.settings.split)
    best = better_epoch(trial.curves, record.direction, ratio)
    assert best is not None
    if training.steps and training.n_steps(n_rows) == training.steps:
        return {"steps": best.epoch * training.steps_per_epoch(n_rows)}
    return {"epochs": best.epoch}


def _following(trial: TrialRecord) -> dict[str, Any]:
    """Moving averages that follow within some 30 steps.

    Where they do already, no dropout, by which a unit's variance is another when it predicts (Li
    et al. 2019); without that, more steps.
    """
    assert trial.spec is not None
    network = trial.spec.in_words
    if network.normalization_momentum > FOLLOWING:
        return {"normalization_momentum": FOLLOWING}
    dropout = ("dropout", "spatial_dropout")
    return {word: 0.0 for word in dropout if getattr(network, word)} or _longer(trial)


def _wider(spec: TrialSpec) -> dict[str, Any]:
    network = spec.in_words
    if not network.convolutions:
        return {"width": max(4 * max(network.units, default=64), 32)}
    items = _items(spec)
    return _layers(replace(i, size=max(32, i.size)) if i.size else i for i in items)


def _shallower(spec: TrialSpec) -> dict[str, Any]:
    """Half the hidden layers, with the poolings between them and a global one."""
    if not spec.in_words.convolutions:
        return {"depth": max(1, len(spec.in_words.units) // 2)}
    kept, n_hidden, half = [], 0, max(1, len(spec.hidden) // 2)
    for item in _items(spec):
        before = n_hidden
        n_hidden += hidden_layers(item)
        if n_hidden <= half or item.kind in ("gap", "gmp"):
            kept.append(item)
        elif before < half:  # of a residual block the first layer
            kept.append(replace(item, kind="c"))
    return _layers(kept)


def _items(spec: TrialSpec) -> tuple[Item, ...]:
    network = spec.in_words
    return parse_layers("-".join([*network.convolutions, *[f"fc{n}" for n in network.units]]))


def _layers(items: Iterable[Item]) -> dict[str, Any]:
    return {"layers": "-".join(map(str, items))}
