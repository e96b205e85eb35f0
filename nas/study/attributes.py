"""What the database keeps of a study and of its trials, as dataclasses.

Optuna keeps attributes as JSON under names. Here is the only place that knows the names and the
older forms; everybody else reads and writes fields. Attributes that a study or trial lacks have
their fields' defaults, and defaults are not written: what was kept before a field came reads as if
it had never been asked for.

`VERSION` says in which form a study is. It is raised with every field that whoever does not know
it would read wrongly: a data option, say, without which other rows are read.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar

from nas.choices import Task
from nas.errors import NasError
from nas.options import DataOptions, SearchOptions, SplitOptions
from nas.spec import TrialSpec

Options = TypeVar("Options", DataOptions, SplitOptions, SearchOptions)

VERSION = 3

# How a trial ended. The last five do not count as trials: four were never trained to an end, and
# a given one, of `nas train`, lies outside the study's space.
Outcome = Literal[
    "running",
    "complete",
    "pruned",
    "diverged",
    "failed",
    "duplicate",
    "too_large",
    "too_long",
    "interrupted",
    "given",
]
REJECTED: tuple[Outcome, ...] = ("duplicate", "too_large", "too_long")
UNCOUNTED: tuple[Outcome, ...] = (*REJECTED, "interrupted", "given")


@dataclass(frozen=True)
class PositiveClass:
    """The class that f1 is about: its number, and its label as text."""

    number: int
    label: str | None


@dataclass(frozen=True)
class OneAnswer:
    """What answering the same for every row scores; the answer where it is a class."""

    answer: str | None
    value: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What makes scores of the data too good, or little telling.

    Attributes:
        code: Names its kind for good: `imbalanced`, `running_number`, `target_copy`, `order`,
            `duplicates`, `large_group`, `constant`, `same_columns` or `skewed_target`.
        text: A sentence for the user, with the option to type where there is one.
    """

    code: str
    text: str


@dataclass(frozen=True)
class StudySettings:
    """What a study rests on.

    Attributes:
        space: The search space, as YAML.
        data: How the data was read.
        data_hash: Hash of what was read.
        task: Its task.
        split: How its rows were divided.
        split_hash: Hash of the division.
        metric: Name of what trials are scored by.
        versions: Versions of the libraries, by name.
        nas_version: That of nas.
        positive: The class that f1 is about; None of other metrics, and of studies from before
            there was a choice.
        constant: The score of one answer for all rows; None of older studies.
        own_metric: Whether the metric is a function of the user's own, which is not kept.
        findings: What is wrong with the data.
        search: How it was searched last; None of older studies, and before a search.
        searched_at: When that was.
        identity: What no other study has; "" before the first search.
        version: The form of the study, or of its newest trials; see `VERSION`.
    """

    space: str
    data: DataOptions
    data_hash: str
    task: Task
    split: SplitOptions
    split_hash: str
    metric: str
    versions: Mapping[str, str]
    nas_version: str
    positive: PositiveClass | None = None
    constant: OneAnswer | None = None
    own_metric: bool = False
    findings: tuple[Finding, ...] = ()
    search: SearchOptions | None = None
    searched_at: str = ""
    identity: str = ""
    version: int = VERSION

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any], study: str) -> "StudySettings":
        """From the attributes of a study, which may have others besides.

        Args:
            attributes: What the database keeps, of this version or an older one.
            study: Its name, for messages.

        Raises:
            NasError: When nas did not make the study, or a newer one did.
        """
        kept = _migrated(attributes, study)
        positive, constant, search = (kept.get(k) for k in ("positive", "constant", "search"))
        return cls(
            **{
                **{f.name: kept[f.name] for f in fields(cls) if f.name in kept},
                "data": _options(DataOptions, kept["data"]),
                "split": _options(SplitOptions, kept["split"]),
                "positive": PositiveClass(positive["class"], positive["label"])
                if positive
                else None,
                "constant": OneAnswer(**constant) if constant else None,
                "findings": tuple(Finding(**found) for found in kept.get("findings", ())),
                "search": _options(SearchOptions, search) if search else None,
            }
        )

    def to_attributes(self) -> dict[str, Any]:
        """The inverse of `from_attributes`: plain data for JSON, with lists in place of tuples."""
        kept = {
            f.name: _plain(value)
            for f in fields(self)
            if (value := getattr(self, f.name)) not in (None, "", False)
        }
        if self.positive is not None:
            kept["positive"] = {"class": self.positive.number, "label": self.positive.label}
        return kept


def _migrated(attributes: Mapping[str, Any], study: str) -> Mapping[str, Any]:
    """Attributes of a study in the form of this version.

    Version 0 is nas 0.1 and all up to the first with a version. They lack what came later, which
    has defaults; nothing that they wrote has another name or meaning now. The first change that
    needs more than a default becomes a step here. When a search goes on with an older study, its
    version is raised, though what is there stays as it is: a step has to tell old from new by what
    it finds.
    """
    if "nas_version" not in attributes:
        raise NasError(study, "was not made by nas", "a study of 'nas search'")
    if attributes.get("version", 0) > VERSION:
        raise NasError(
            study,
            f"was written by a newer nas, in form {attributes['version']}",
            f"form {VERSION} or older",
            "Update nas.",
        )
    return {**attributes, "version": VERSION}


def _options(cls: type[Options], kept: Mapping[str, Any]) -> Options:
    """Options from JSON, which has lists in place of tuples."""
    known = ((f.name, kept[f.name]) for f in fields(cls) if f.name in kept)
    read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in known}
    return cls(**read)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    return value


@dataclass(frozen=True)
class RetryOf:
    """The interrupted trial that another one trains again.

    Attributes:
        trial: Its number.
        index: Its index; None where nas 0.1 queued it.
        killed: Whether its process was.
    """

    trial: int
    index: int | None = None
    killed: bool = False


@dataclass(frozen=True)
class TrialAttributes:
    """What is kept of a trial beside what Optuna knows; any part of it, to be written.

    Attributes:
        index: What the trial's seed comes from; None of a waiting trial, and in nas 0.1, whose
            trials have their number as index.
        owner: Who trains it; see `nas.study.owner`.
        outcome: How it ended; None while it is in training.
        reason: Why it was pruned or failed.
        spec: The whole specification; None when it ended before it had one.
        n_weights: Weights of the network.
        engine: Name of the engine that trained it.
        engine_reason: Why that one.
        fold_values: Validation score of each fold after its last epoch; NaN where it diverged.
        train_value: Mean score of the training parts; None where it is not finite.
        epochs: Epochs that each fold ran.
        seconds: Wall time of the training.
        curves: Losses and scores, as `Curves.to_dict` has them: whoever wants none of them need
            not decode them.
        examination: Of the first fold's network, as `Examination.to_dict` has it.
        retry_of: The trial that it repeats.
        killed: Whether its process ended while it trained.
        given: Whether a user gave it, rather than a sampler.
        enqueued: Where its settings come from, if it waited for its turn with them; see
            `nas.searching.enqueued`.
    """

    index: int | None = None
    owner: Mapping[str, Any] | None = None
    outcome: Outcome | None = None
    reason: str = ""
    spec: TrialSpec | None = None
    n_weights: int | None = None
    engine: str | None = None
    engine_reason: str = ""
    fold_values: tuple[float, ...] = ()
    train_value: float | None = None
    epochs: tuple[int, ...] = ()
    seconds: float | None = None
    curves: Mapping[str, Any] | None = field(default=None, repr=False)
    examination: Mapping[str, Any] | None = field(default=None, repr=False)
    retry_of: RetryOf | None = None
    killed: bool = False
    given: bool = False
    enqueued: str = ""

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> "TrialAttributes":
        """From the attributes of a trial, which may have others besides."""
        known = cls.__dataclass_fields__
        read = {name: value for name, value in attributes.items() if name in known}
        if spec := read.pop("spec", None):
            read["spec"] = TrialSpec.from_dict(spec)
        if retry_of := read.pop("retry_of", None):
            read["retry_of"] = RetryOf(**retry_of)
        # A diverged fold has no score, which JSON has as null.
        values = read.pop("fold_values", ())
        read["fold_values"] = tuple(math.nan if value is None else value for value in values)
        read["epochs"] = tuple(read.pop("epochs", ()))
        return cls(**read)

    def to_attributes(self) -> dict[str, Any]:
        """The inverse of `from_attributes`: plain data for JSON, without what has its default."""
        kept = {
            f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default
        }
        if self.spec is not None:
            kept["spec"] = self.spec.to_dict()
        if self.retry_of is not None:
            without = {"index": None, "killed": False}
            retry_of = asdict(self.retry_of).items()
            kept["retry_of"] = {k: v for k, v in retry_of if k not in without or v != without[k]}
        if self.fold_values:
            kept["fold_values"] = [v if math.isfinite(v) else None for v in self.fold_values]
        if self.epochs:
            kept["epochs"] = list(self.epochs)
        return kept
