"""Which data to read, and how."""

from dataclasses import dataclass
from typing import Any

from nas.data.dataset import Scaling
from nas.spec import Task

# The source of data that was given as values, and cannot be read again; people read it, too.
IN_MEMORY = "data in memory"


@dataclass(frozen=True)
class DataOptions:
    """Which data to read, and how.

    Attributes:
        source: Name of a known data set, or a path to a `.csv`, `.parquet` or `.npz` file, or to
            a folder with a folder of images for each class; `IN_MEMORY` for values.
        target: Target column of a table.
        task: The task; None infers it.
        groups: Column that says which rows belong together.
        drop: Columns to leave out.
        categorical: Columns of numbers to treat as categories.
        header: Whether the first line of a CSV file names the columns; None looks at the file.
        missing: Words that stand for a missing value, beside the usual ones.
        positive: Label of the class that f1 is about, of two; None is the rarer one.
        scaling: How preprocessing scales the numbers.
        images: Whether rows have to be images; `digits` then has rows of 8 x 8 pixels.
        image_size: Width and height that the images of a folder are given; None leaves them.
        classes: Labels of the classes whose rows are kept, as text; () keeps all.
        max_rows: Rows that are kept at most, beside a test part that the data brings.
        label_noise: Share of the rows that get a wrong label, without those of a test part that
            the data brings.
    """

    source: str
    target: str | None = None
    task: Task | None = None
    groups: str | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    header: bool | None = None
    missing: tuple[str, ...] = ()
    positive: str | None = None
    scaling: Scaling = "standard"
    images: bool = False
    image_size: int | None = None
    classes: tuple[str, ...] = ()
    max_rows: int | None = None
    label_noise: float = 0.0


def is_source(data: Any) -> bool:
    """Whether it names data that can be read again, rather than being the data itself."""
    return isinstance(data, str) or hasattr(data, "__fspath__")
