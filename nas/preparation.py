"""What everything that trains begins with: data read and divided, a metric, workers with the data.

The way of the data: a source or values in memory become a `Dataset`, options a `Split` of its rows,
and both together the folds that a pool trains on.

The file is long because a search, a screening and a single training
all begin here, each with checks of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np

from nas.choices import EngineName, PrunerName
from nas.data import DataOptions, Dataset, Split, SplitOptions, load_dataset
from nas.data.arrays import holds_images
from nas.data.dataset import check_weights
from nas.data.findings import find
from nas.data.from_memory import dataset_from_memory, name_targets
from nas.data.split import choose_folds, split_dataset, with_test_rows
from nas.data.tf_dataset import is_tf_dataset, n_axes
from nas.encoding import FoldData, fit_statistics
from nas.encoding.shared_rows import encode_data
from nas.engines.startup import start_tensorflow
from nas.errors import NasError
from nas.execution.pool import LocalPool, Pool
from nas.families.custom import CustomSpace, custom_space
from nas.families.suggestions import BuildModel
from nas.metrics import Metric, check_metric, choose_metric
from nas.options import IN_MEMORY, is_source
from nas.pruning import stages
from nas.searching import study_settings
from nas.searching.pace import planned_folds
from nas.space import (
    RandomSuggester,
    SearchSpace,
    load_space,
    parse_space,
    space_from_mapping,
)
from nas.space.domains import Constant
from nas.space.vocabulary import NAME_LISTS
from nas.spec import Problem
from nas.study.attributes import Finding, StudySettings
from nas.study.record import StudyRecord
from nas.wording import join_names, split_names

KERAS_DATA = ("mnist", "fashion_mnist", "cifar10")
DRAWS_TO_PLAN = 16  # networks of a space that stand for all


@dataclass(frozen=True)
class Prepared:
    """Data that is ready to be trained on.

    Attributes:
        space: Where networks are drawn from.
        data_options: How the data was read.
        dataset: The data.
        split_options: How its rows were divided.
        split: The rows.
        metric: What networks are scored by.
        few_folds: Whether the time has room for fewer folds than usual.
    """

    space: SearchSpace
    data_options: DataOptions
    dataset: Dataset
    split_options: SplitOptions
    split: Split
    metric: Metric
    few_folds: bool = False

    @property
    def build(self) -> BuildModel | None:
        """The function that builds networks, where the space is one of the user's own."""
        return self.space.build if isinstance(self.space, CustomSpace) else None

    @property
    def problem(self) -> Problem:
        """What the data asks of a network, before it is encoded.

        The number of columns is right for a function that builds a network of them; words do not
        depend on it.
        """
        return self.dataset.problem(_n_columns(self.space, self.dataset, self.split))

    @property
    def known(self) -> "Known":
        """What a study does not keep, or not in the form in which it is needed."""
        return Known(self.dataset, self.split, self.metric, self.build)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What makes scores of this data too good or little telling."""
        return find(self.dataset, self.split, self.metric.name)

    def settings(self) -> StudySettings:
        """What a study of it rests on."""
        return study_settings(
            self.space,
            self.data_options,
            self.dataset,
            self.split_options,
            self.split,
            self.metric,
        )


@dataclass(frozen=True)
class Known:
    """What a study does not keep, or not in the form in which it is needed.

    Attributes:
        dataset: Its data.
        split: How the rows are divided.
        metric: What it is scored by.
        build: The function that builds its networks; None where words describe them.
    """

    dataset: Dataset
    split: Split
    metric: Metric
    build: BuildModel | None = None


def usual_space(data: Any) -> str:
    """The shipped space for data, where none is named; without data, the one that names its own.

    Args:
        data: A source, or values in memory.
    """
    if data is None:
        return "mlp_depth"
    if is_source(data):
        is_images = holds_images(str(data))
    elif is_tf_dataset(data):
        is_images = n_axes(data) > 2
    else:
        is_images = getattr(data[0] if isinstance(data, tuple) else data, "ndim", 2) > 2
    return "images" if is_images else "tabular"


def usual_pruner(space: SearchSpace, split: Split) -> PrunerName:
    """The pruner where none is named.

    Halving is the cheapest, and fair where all networks train for equally many epochs on all folds;
    else a race, which compares them after the same share of their own.

    Args:
        space: Where networks are drawn from.
        split: The folds.
    """
    epochs = space.parameters.get("epochs")
    are_alike = "steps" not in space.parameters and (
        epochs is None or isinstance(epochs.domain, Constant)
    )
    has_one_stage = len(stages([len(fold.val) for fold in split.folds])) == 1
    return "halving" if are_alike and has_one_stage else "racing"


def as_space(space: Any, training: Mapping[str, Any] | None = None) -> SearchSpace:
    """A search space from its name, file, words or function.

    Args:
        space: The name of a shipped space, a YAML file, a mapping from words of the language to
            values, lists of them or `Range`s, a function that builds a Keras model, or a space
            itself.
        training: Words of training, for a function.

    Raises:
        NasError: When it is none of these.
    """
    if callable(space) and not isinstance(space, SearchSpace):
        return custom_space(space, training)
    if training:
        raise NasError(
            "--training",
            "given for a space that holds its own words",
            "a function that builds a Keras model",
            "Put them into the space.",
        )
    if isinstance(space, SearchSpace):
        return space
    if isinstance(space, Mapping):
        return space_from_mapping(space)
    if not isinstance(space, str | PathLike):
        raise NasError(
            "--space",
            f"got an object of type {type(space).__name__}",
            "the name of a space, a YAML file, a mapping, or a function that builds a Keras model",
        )
    return load_space(str(space))


def as_quantiles(given: Any) -> tuple[float, ...]:
    """Quantiles from numbers or texts, or one of them."""
    try:
        several = split_names(given) if isinstance(given, str) else np.atleast_1d(given)
        return tuple(map(float, several))
    except (TypeError, ValueError) as error:
        shown = given if isinstance(given, str) else ",".join(map(str, np.atleast_1d(given)))
        raise NasError(
            "--quantiles", f"got '{shown}'", "numbers between 0 and 1, such as 0.05,0.5,0.95"
        ) from error


def _are_names(target: Any, data: Any) -> bool:
    """Whether it names a target column, or several."""
    if isinstance(target, list | tuple) and (data is None or is_source(data)):
        return len(target) > 0 and all(isinstance(name, str) for name in target)
    return isinstance(target, str | int) or name_targets(target, data)


def read_options(space: SearchSpace, data: Any, target: Any, **given: Any) -> DataOptions:
    """How data is read.

    Args:
        space: The search space, whose data and target count where `data` is None.
        data: A source, or values in memory.
        target: The name of the target column, a list of several, or the target itself.
        given: Other options by the names that `DataOptions` has for them; None is the default.

    Raises:
        NasError: When neither the caller nor the space names any data.
    """
    if data is None and space.data is None:
        raise NasError(
            "--space", f"{space.name} names no data", fix="Add --data, such as --data digits."
        )
    if data is None and target is None:
        target = space.target
    for of_rows in ("groups", "sample_weight"):
        if not isinstance(given.get(of_rows), str):  # none, or those of each row
            given[of_rows] = None
    if not is_source(given.get("test")):  # none, or row numbers
        given["test"] = None
    values: dict[str, Any] = {
        name: (value,) if name in NAME_LISTS and isinstance(value, str) else value
        for name, value in given.items()
        if value is not None
    }
    for name in NAME_LISTS:
        if name in values:
            values[name] = tuple(map(str, values[name]))
    if "quantiles" in values:
        values["quantiles"] = as_quantiles(values["quantiles"])
    if _are_names(target, data):
        values["target"] = join_names(target) if isinstance(target, list | tuple) else str(target)
    if "test" in values:
        values["test"] = str(values["test"])
    source = str(data or space.data) if data is None or is_source(data) else IN_MEMORY
    return DataOptions(source, images=space.network == "cnn", **values)


def prepare(
    space: SearchSpace,
    data: Any,
    target: Any,
    data_options: DataOptions,
    folds: Any,
    split_options: SplitOptions,
    *,
    metric: Any = None,
    positive: str | None = None,
    groups: Any = None,
    sample_weight: Any = None,
    test: Any = None,
    scores_test: bool = True,
    timeout: float | None = None,
) -> Prepared:
    """Reads, checks and divides data.

    Args:
        space: Where networks are drawn from.
        data: A source, or values in memory.
        target: The name of the target column, or the target itself, shape (n_rows,).
        data_options: How to read it; from `read_options`.
        folds: See `nas.data.split.choose_folds`; None is as many as the time has room for.
        split_options: How to divide it besides.
        metric: A name, a scorer, or None for the task's default.
        positive: Label of the class that f1 is about.
        groups: A column, which `data_options` names too, or the group of each row, shape (n_rows,).
        sample_weight: A column, which `data_options` names too, or the weight of each row, shape
            (n_rows,).
        test: Numbers of the rows of the test part; None, or a file that `data_options` names too.
        scores_test: Whether the test part will be scored, too.
        timeout: Seconds of the search; None for as many as one likes.

    Raises:
        NasError: When any of it cannot be used.
    """
    if data_options.source in KERAS_DATA:
        start_tensorflow()
    if data_options.source != IN_MEMORY:
        if target is not None and not _are_names(target, data):
            raise NasError("--target", f"an array for {data_options.source}", "a column's name")
        dataset = load_dataset(data_options)
    else:
        dataset = dataset_from_memory(data, target, data_options)
    if groups is not None and not isinstance(groups, str):
        if len(groups) != dataset.n_rows:
            raise NasError("--groups", f"{len(groups)} groups for {dataset.n_rows} rows", "as many")
        dataset = replace(dataset, groups=np.unique(np.asarray(groups), return_inverse=True)[1])
        data_options = replace(data_options, source=IN_MEMORY)
    if sample_weight is not None and not isinstance(sample_weight, str):
        weights = check_weights(sample_weight, dataset.n_rows, "--sample-weight")
        dataset = replace(dataset, weights=weights)
        data_options = replace(data_options, source=IN_MEMORY)
    if not isinstance(space, CustomSpace):
        space.check_problem(dataset.problem(1))
    elif dataset.quantiles:
        raise NasError("--quantiles", "given for a function that builds networks", "a space")
    if test is not None and not is_source(test):
        split_options = with_test_rows(dataset, test, split_options)
    few_folds = False
    if folds is None:
        folds = _planned_folds(space, dataset, split_options, timeout)
        few_folds = folds < split_options.folds
    split_options = choose_folds(dataset, folds, split_options)
    split = split_dataset(dataset, split_options)
    if isinstance(space, CustomSpace):  # which builds a model of that width
        start_tensorflow()
        space.check_problem(dataset.problem(_n_columns(space, dataset, split)))
    the_metric = choose_metric(metric, dataset, positive)
    _check_scored(the_metric, dataset, split, scores_test)
    return Prepared(space, data_options, dataset, split_options, split, the_metric, few_folds)


def _planned_folds(
    space: SearchSpace, dataset: Dataset, options: SplitOptions, timeout: float | None
) -> int:
    """How many folds the time has room for."""
    if timeout is None or isinstance(space, CustomSpace):  # whose networks have to be built first
        return options.folds
    rows = np.arange(dataset.n_rows)
    n_columns = fit_statistics(dataset, rows).n_columns(dataset.schema)
    n_development = dataset.n_rows * (1 - options.test_size)
    n_val = round(n_development * options.val_size)
    problem = dataset.problem(n_columns, round(n_development) - n_val)
    specs = [space.sample(RandomSuggester(seed), problem) for seed in range(DRAWS_TO_PLAN)]
    return planned_folds(specs, n_val, timeout)


def _n_columns(space: SearchSpace, dataset: Dataset, split: Split) -> int:
    """Columns of the encoded matrix where a function needs them, else 1."""
    if not isinstance(space, CustomSpace):
        return 1
    fitted = [fit_statistics(dataset, fold.train) for fold in split.folds]
    return max(statistics.n_columns(dataset.schema) for statistics in fitted)


def _check_scored(metric: Metric, dataset: Dataset, split: Split, scores_test: bool) -> None:
    scored = {f"fold {k}": dataset.y[fold.val] for k, fold in enumerate(split.folds, start=1)}
    if scores_test:
        scored["the test part"] = dataset.y[split.test]
    check_metric(metric, scored, len(dataset.classes))


def prepare_again(record: StudyRecord, known: Known) -> Prepared:
    """What a study rests on, to train a network of its space on it.

    Args:
        record: The study.
        known: Its data, folds and metric.
    """
    return Prepared(
        parse_space(record.settings.space, is_stored=True),
        record.settings.data,
        known.dataset,
        record.settings.split,
        known.split,
        known.metric,
    )


def prepare_search(prepared: Prepared, space: SearchSpace, metric: str | None) -> Prepared:
    """The same data and folds for another search.

    Args:
        prepared: The data and folds, of `prepare_again`.
        space: What to search.
        metric: The name of another metric; None keeps it.

    Raises:
        NasError: When the space or the metric does not fit the data.
    """
    dataset = prepared.dataset
    space.check_problem(dataset.problem(1))
    chosen = prepared.metric if metric is None else choose_metric(metric, dataset)
    _check_scored(chosen, dataset, prepared.split, scores_test=True)
    return replace(prepared, space=space, metric=chosen)


def problem_of(prepared: Prepared, encoded: Sequence[FoldData]) -> Problem:
    """What the data asks of a network, with its folds encoded."""
    n_rows = max(len(fold.y_train) for fold in encoded)
    return prepared.dataset.problem(encoded[0].x_train.shape[1], n_rows)


def opened_pool(
    prepared: Prepared,
    workers: int,
    engine: EngineName,
    gpus: Sequence[int] = (),
    scalings: Sequence[str] | None = None,
    keeps_weights: bool = False,
) -> tuple[Pool, tuple[FoldData, ...]]:
    """A pool that has the folds, and the folds.

    Args:
        prepared: What to train on.
        workers: Processes; 1 trains in this one, unless there are GPUs.
        engine: What trains.
        gpus: Numbers of the GPUs to train on, with a process for each.
        scalings: How networks may scale numbers; None is as in the space.
        keeps_weights: Whether the pool tells the weights of what it has trained.
    """
    if scalings is None:
        scalings = prepared.space.scalings
    if not prepared.dataset.schema.n_numbers:
        scalings = ()
    dataset, metric = prepared.dataset, prepared.metric
    if workers == 1 and not gpus:
        from nas.engines.selection import Selection

        encoded = encode_data(dataset, prepared.split, scalings=scalings)
        choose = Selection(encoded, metric, engine, prepared.build).choose
        return LocalPool(choose, keeps_weights), encoded
    from nas.execution.workers import WorkerPool

    needs_keras = engine == "keras" or prepared.space.network != "mlp"
    pool = WorkerPool(workers, "tensorflow" if needs_keras else "jax", gpus)
    try:
        encoded = encode_data(dataset, prepared.split, pool.rows_folder, scalings)
        pool.load(encoded, metric, engine, prepared.build, keeps_weights=keeps_weights)
    except BaseException:
        pool.close()
        raise
    return pool, encoded
