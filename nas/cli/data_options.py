"""The options that say which data to read, and how; the same for all commands that have them."""

from typing import Annotated, Literal

import typer

from nas.spec import Task

SourceOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="digits, iris, wine, breast_cancer, diabetes, mnist, fashion_mnist, cifar10, "
        "a .csv, .parquet or .npz file, or a folder with a folder of images for each class. "
        "\\[default: what the space names]",
    ),
]
TargetOption = Annotated[str | None, typer.Option("--target", help="Target column of a table.")]
TaskOption = Annotated[
    Task | None,
    typer.Option("--task", help="What is predicted. \\[default: inferred from the target]"),
]
DropOption = Annotated[
    str | None, typer.Option("--drop", help="Columns to leave out, separated by commas.")
]
CategoricalOption = Annotated[
    str | None,
    typer.Option("--categorical", help="Columns of numbers that are categories, with commas."),
]
GroupsOption = Annotated[
    str | None, typer.Option("--groups", help="Column whose equal values stay in one fold.")
]
ScalingOption = Annotated[
    # As `nas.data.Scaling`, which takes long to import.
    Literal["standard", "unit", "symmetric", "none"],
    typer.Option(
        "--scaling",
        help="How numbers are scaled: to mean 0 and deviation 1, to [0, 1], to [-1, 1], "
        "or not at all.",
    ),
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        min=1,
        help="Width and height that the images of a folder are given. \\[default: their own]",
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="Classes to keep, separated by commas, such as 4,9. \\[default: all]",
    ),
]
MaxRowsOption = Annotated[
    int | None,
    typer.Option(
        "--max-rows",
        min=1,
        help="Rows to keep, drawn at random, beside a test part that the data brings. "
        "\\[default: all]",
    ),
]
LabelNoiseOption = Annotated[
    float,
    typer.Option(
        "--label-noise",
        min=0.0,
        max=1.0,
        help="Share of the rows that get a wrong label, to see what that does.",
    ),
]


def names_of(text: str | None) -> tuple[str, ...]:
    """The names in a text that has commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()
