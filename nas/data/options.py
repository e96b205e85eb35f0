"""Which data to read, and how."""

from dataclasses import dataclass

from nas.spec import Task


@dataclass(frozen=True)
class DataOptions:
    """Which data to read, and how.

    Attributes:
        source: Name of a known data set, or a path to a `.csv`, `.parquet` or `.npz` file.
        target: Target column of a table.
        task: The task; None infers it.
        groups: Column that says which rows belong together.
        drop: Columns to leave out.
        categorical: Columns of numbers to treat as categories.
    """

    source: str
    target: str | None = None
    task: Task | None = None
    groups: str | None = None
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
