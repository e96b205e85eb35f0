"""The options about the data and how it is read; the same for all commands that have them."""

from functools import partial
from typing import Annotated

import typer

from nas.choices import ClassWeight, Scaling, TargetScaling, Task
from nas.wording import split_names

_option = partial(typer.Option, rich_help_panel="Data")  # apart from the rest in --help

SourceOption = Annotated[
    str | None,
    _option(
        "--data",
        help="digits, iris, wine, breast_cancer, diabetes, mnist, fashion_mnist, cifar10, "
        "a .csv, .tsv, .txt, .parquet, .feather, .xlsx, .arff, .npy or .npz file, several tables "
        "as 'part-*.csv', or a folder that has a folder of images for each class. "
        "\\[default: the data that the space names]",
    ),
]
TargetOption = Annotated[
    str | None,
    _option(
        "--target",
        help="Target column of a table; -1 is the last one. Several columns of numbers, separated "
        "by commas, are predicted by one network.",
    ),
]
TestOption = Annotated[
    str | None,
    _option(
        "--test",
        help="Another file with the test rows; its columns are matched by name. "
        "\\[default: --test-size of the rows]",
    ),
]
HeaderOption = Annotated[
    bool | None,
    _option(
        "--header/--no-header",
        help="Whether the first line of a CSV file names the columns; if not, they are called "
        "1, 2, 3 ... \\[default: detected]",
    ),
]
MissingOption = Annotated[
    str | None,
    _option(
        "--missing",
        help="More words that stand for a missing value, separated by commas, such as unknown,-9.",
    ),
]
PositiveOption = Annotated[
    str | None,
    _option(
        "--positive",
        help="The positive class of f1, for two classes. \\[default: the rarer one]",
    ),
]
TaskOption = Annotated[
    Task | None,
    _option("--task", help="Kind of task. \\[default: inferred from the target]"),
]
DropOption = Annotated[
    str | None, _option("--drop", help="Columns to leave out, separated by commas.")
]
CategoricalOption = Annotated[
    str | None,
    _option(
        "--categorical",
        help="Columns of numbers, dates or phrases to treat as categories, separated by commas.",
    ),
]
NumericOption = Annotated[
    str | None,
    _option(
        "--numeric",
        help="Columns of numbers, separated by commas; a cell that is not a number counts as "
        "missing.",
    ),
]
DateOption = Annotated[
    str | None,
    _option(
        "--date",
        help="Columns of dates or times, separated by commas; a cell that is not a date or time "
        "counts as missing.",
    ),
]
TextOption = Annotated[
    str | None,
    _option(
        "--text",
        help="Columns of text, separated by commas, of which words and pairs of words count. "
        "\\[default: those of many different phrases]",
    ),
]
GroupsOption = Annotated[
    str | None,
    _option("--groups", help="Column of groups; rows with equal values stay in one fold."),
]
SampleWeightOption = Annotated[
    str | None,
    _option("--sample-weight", help="Column that says how much each row counts in training."),
]
CLASS_WEIGHT = _option(
    "--class-weight",
    help="balanced: all classes weigh the same in training, however rare they are.",
)
ClassWeightOption = Annotated[ClassWeight, CLASS_WEIGHT]
TimeOption = Annotated[
    str | None,
    _option(
        "--time",
        help="Column of dates or numbers in whose order rows are divided: each fold validates on "
        "rows after those that it trains on, and the last rows are the test part.",
    ),
]
SCALING = _option(
    "--scaling",
    help="Scaling of numbers: mean 0 and standard deviation 1, by quartiles, to a normal "
    "distribution, [0, 1], [-1, 1], or none.",
)
ScalingOption = Annotated[Scaling, SCALING]
TARGET_SCALING = _option(
    "--target-scaling",
    help="How a network is given the numbers that it predicts. standard: mean 0 and standard "
    "deviation 1; log: the same for their logarithms, for prices and other amounts. Scores are in "
    "the unit of the target.",
)
TargetScalingOption = Annotated[TargetScaling, TARGET_SCALING]
QuantilesOption = Annotated[
    str | None,
    _option(
        "--quantiles",
        help="Quantiles to predict instead of the target itself, such as 0.05,0.5,0.95, between "
        "whose outer two 90 % of the values should lie. \\[default: the target]",
    ),
]
ImageSizeOption = Annotated[
    int | None,
    _option(
        "--image-size",
        min=1,
        help="Width and height to which images of a folder are resized. \\[default: no resizing]",
    ),
]
ClassesOption = Annotated[
    str | None,
    _option(
        "--classes",
        help="Classes to keep, separated by commas, such as 4,9. \\[default: all]",
    ),
]
MergeRareOption = Annotated[
    int | None,
    _option(
        "--merge-rare",
        min=2,
        help="Classes with fewer rows than this become one class, 'other'. \\[default: they stay]",
    ),
]
MaxRowsOption = Annotated[
    int | None,
    _option(
        "--max-rows",
        min=1,
        help="Largest number of rows to keep, drawn at random; a test part that belongs to the "
        "data stays whole. \\[default: all]",
    ),
]
LABEL_NOISE = _option(
    "--label-noise",
    min=0.0,
    max=1.0,
    help="Share of the rows that get a wrong label, to see its effect.",
)
LabelNoiseOption = Annotated[float, LABEL_NOISE]


def names_of(text: str | None) -> tuple[str, ...] | None:
    """The names in an option that takes several; None if it was not given."""
    return None if text is None else split_names(text)
