"""What is done to each data set, wherever it was read: parts of it, wrong labels, scaling."""

from dataclasses import replace
from itertools import pairwise

from nas.arguments import check_bounds, check_words
from nas.choices import ClassWeight, Scaling, TargetScaling
from nas.data.dataset import Dataset
from nas.data.logarithms import check_logarithms
from nas.data.positive import positive_class
from nas.data.scaling import scaling_notes
from nas.data.variants import add_label_noise, keep_classes, merge_rare, sample_rows
from nas.errors import NasError
from nas.options import DataOptions


def check_options(options: DataOptions) -> None:
    """Refuses values that are wrong for any data, before it is read."""
    check_words(
        scaling=(options.scaling, Scaling),
        target_scaling=(options.target_scaling, TargetScaling),
        class_weight=(options.class_weight, ClassWeight),
    )
    if len(set(options.classes)) == 1:
        raise NasError("--classes", f"got {','.join(options.classes)}", "at least two classes")
    check_bounds(merge_rare=(options.merge_rare, 2, None), max_rows=(options.max_rows, 1, None))
    if not 0.0 <= options.label_noise <= 1.0:
        raise NasError("--label-noise", f"got {options.label_noise:g}", "a share from 0 to 1")


def check_no_columns(options: DataOptions, expected: str) -> None:
    """Refuses options that name columns, for data that has none."""
    for option, value in (
        ("--target", options.target),
        ("--groups", options.groups),
        ("--sample-weight", options.sample_weight),
        ("--time", options.time),
        ("--drop", options.drop),
        ("--categorical", options.categorical),
        ("--numeric", options.numeric),
        ("--date", options.date),
        ("--text", options.text),
        ("--missing", options.missing),
        ("--test", options.test),
    ):
        if value:
            raise NasError(option, f"got {value!r} for {options.source}", expected)


def to_read(options: DataOptions) -> DataOptions:
    """The options to read the data with: two classes are left of what is read only."""
    fewer = options.classes or options.merge_rare is not None
    all_classes = fewer and options.task == "binary"
    return replace(options, task="multiclass") if all_classes else options


def vary(dataset: Dataset, options: DataOptions) -> Dataset:
    """The classes and rows that are wanted, with wrong labels, and the positive class."""
    if options.classes:
        dataset = keep_classes(dataset, options.classes, options.task)
    if options.merge_rare is not None:
        dataset = merge_rare(dataset, options.merge_rare)
    # Before rows are drawn and labels spoilt: with more noise the rarer class is the same.
    dataset = replace(dataset, positive=positive_class(dataset, options.positive))
    if options.max_rows is not None:
        dataset = sample_rows(dataset, options.max_rows)
    if options.label_noise:
        dataset = add_label_noise(dataset, options.label_noise)
    if options.class_weight != "none" and dataset.task == "regression":
        raise NasError(
            "--class-weight", f"got '{options.class_weight}' for a regression", "classes"
        )
    return replace(dataset, class_weight=options.class_weight)


def check_quantiles(dataset: Dataset, quantiles: tuple[float, ...]) -> None:
    """Refuses quantiles of what is not one number, and what are no quantiles."""
    if dataset.task != "regression" or dataset.targets:
        what = f"{len(dataset.targets)} targets" if dataset.targets else f"a {dataset.task} task"
        raise NasError("--quantiles", f"given for {what}", "one target of numbers")
    rising = all(one < other for one, other in pairwise(quantiles))
    if not rising or not all(0.0 < q < 1.0 for q in quantiles):
        shown = ", ".join(f"{q:g}" for q in quantiles)
        raise NasError(
            "--quantiles", f"got {shown}", "rising numbers between 0 and 1, such as 0.05,0.5,0.95"
        )


def with_scaling(dataset: Dataset, options: DataOptions) -> Dataset:
    """The data set with its scalings, and what is to be told of them."""
    if options.scaling == "quantile" and len(dataset.schema.row_shape) > 1:
        raise NasError(
            "--scaling",
            "got 'quantile' for images or sequences, whose numbers share one scale",
            "a table or rows of numbers",
            "Use 'robust' instead.",
        )
    if options.target_scaling == "log":
        check_logarithms(dataset)
    if options.quantiles:
        check_quantiles(dataset, options.quantiles)
    dataset = replace(
        dataset,
        scaling=options.scaling,
        target_scaling=options.target_scaling,
        quantiles=options.quantiles,
    )
    return replace(dataset, notes=(*dataset.notes, *scaling_notes(dataset)))
