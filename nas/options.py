"""What a study is run with: which data, how its rows are divided, how it is searched.

They are plain and import next to nothing, so that whoever only reads studies need not load what
reads data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.choices import (
    ClassWeight,
    PrunerName,
    SamplerName,
    Scaling,
    StopName,
    TargetScaling,
    Task,
)

# The source of data that was given as values, and cannot be read again; people read it, too.
IN_MEMORY = "data in memory"
ENDLESS = 1_000_000  # trials: more than any search ends
USUAL_TRIALS = 100


@dataclass(frozen=True)
class DataOptions:
    """Which data to read, and how.

    Attributes:
        source: Name of a known data set, or a path to a table, to an `.npz` file, or to
            a folder with a folder of images for each class; `IN_MEMORY` for values.
        target: Target column of a table.
        test: A file with the rows of a table's test part; None sets some of the rows aside.
        task: The task; None infers it.
        groups: Column that says which rows belong together.
        sample_weight: Column that says how much each row counts in training.
        time: Column of times or numbers in whose order rows are divided.
        drop: Columns to leave out.
        categorical: Columns of numbers to treat as categories.
        numeric: Columns whose cells count as missing where they are no numbers.
        date: Columns whose cells count as missing where they are no dates or times.
        text: Columns of which words and pairs of words count.
        header: Whether the first line of a CSV file names the columns; None looks at the file.
        missing: Words that stand for a missing value, beside the usual ones.
        positive: Label of the class that f1 is about, of two; None is the rarer one.
        class_weight: How much each class counts in training.
        scaling: How preprocessing scales the numbers.
        target_scaling: How a network is given the target of a regression.
        quantiles: Those of the target that are predicted; () predicts the target.
        images: Whether rows have to be images; `digits` then has rows of 8 x 8 pixels.
        image_size: Width and height that the images of a folder are given; None leaves them.
        classes: Labels of the classes whose rows are kept, as text; () keeps all.
        merge_rare: Classes with fewer rows are one class, `other`; None leaves them.
        max_rows: Rows that are kept at most, beside a test part that the data brings.
        label_noise: Share of the rows that get a wrong label, without those of a test part that
            the data brings.
    """

    source: str
    target: str | None = None
    test: str | None = None
    task: Task | None = None
    groups: str | None = None
    sample_weight: str | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    header: bool | None = None
    missing: tuple[str, ...] = ()
    positive: str | None = None
    class_weight: ClassWeight = "none"
    scaling: Scaling = "standard"
    target_scaling: TargetScaling = "standard"
    quantiles: tuple[float, ...] = ()
    images: bool = False
    image_size: int | None = None
    classes: tuple[str, ...] = ()
    merge_rare: int | None = None
    max_rows: int | None = None
    label_noise: float = 0.0


def is_source(data: Any) -> bool:
    """Whether it names data that can be read again, rather than being the data itself."""
    return isinstance(data, str) or hasattr(data, "__fspath__")


@dataclass(frozen=True)
class SplitOptions:
    """How rows are divided.

    Attributes:
        folds: Folds of the cross-validation; 1 is a single split.
        repeats: Times that the folds are drawn anew.
        val_size: Share of the rows that validates, with one fold.
        test_size: Share of the rows that is set aside for the winner; 0 for none. A data set
            that brings a test part of its own keeps that, unless this is 0.
        seed: Seeds every draw.
        given: Folds that were given as row numbers, packed by `nas.data.split`; empty for none.
            They take the place of those that would be drawn.
        given_test: The test part, where that alone was given so; empty for none.
    """

    folds: int = 5
    repeats: int = 1
    val_size: float = 0.2
    test_size: float = 0.2
    seed: int = 0
    given: str = ""
    given_test: str = ""


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Attributes:
        n_trials: Trials that the study has in the end, earlier ones included; `ENDLESS` for as many
            as the time allows.
        sampler: Who proposes.
        startup_trials: Random trials before the sampler's own proposals; None for a tenth of
            `n_trials`, at least 10, and 10 where only the time ends the search.
        pruner: Who ends hopeless trials.
        seed: Seeds proposals, weights, batches and dropout.
        timeout: Seconds after which the search ends.
        max_params: Largest number of weights; larger networks are not trained.
        allow_duplicates: Whether the same network and training may be trained twice.
        confirm: How many of the best trials are trained again on fresh folds before the winner is
            chosen among them; None leaves that to the number of trials and the time.
        stop: Whether the search ends by itself when more trials are not worth it.
        enqueue: Settings that wait in the study or did, own ones and those of another study; kept
            so that the search can be repeated. `nas.searching.enqueue` has put them there.
    """

    n_trials: int = USUAL_TRIALS
    sampler: SamplerName = "tpe"
    startup_trials: int | None = None
    pruner: PrunerName = "racing"
    seed: int = 0
    timeout: float | None = None
    max_params: int | None = None
    allow_duplicates: bool = False
    confirm: int | None = None
    stop: StopName = "never"
    enqueue: tuple[Mapping[str, Any], ...] = ()
