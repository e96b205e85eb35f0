"""What all commands share: options, tables, JSON, and TensorFlow kept quiet."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Names come from users: nothing in them is markup.
console = Console(highlight=False, markup=False, emoji=False)

StudyOption = Annotated[
    str | None, typer.Option("--study", help="Name of the study. \\[default: the latest]")
]
StorageOption = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar="NAS_STORAGE",
        help="Study database, as an SQLAlchemy URL.",
    ),
]
TensorboardOption = Annotated[
    Path | None,
    typer.Option(
        "--tensorboard",
        metavar="DIR",
        help="Write learning curves, hyperparameters and the network's graph for TensorBoard.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def say(text: str, label: str = "") -> None:
    """Prints prose: wrapped between words on a terminal, in whole lines elsewhere.

    Args:
        text: What to print.
        label: A bold word in front, in a column of its own; a space for an empty column.
    """
    if not console.is_terminal:
        console.print(f"{label:<8}{text}" if label else text, soft_wrap=True)
    elif not label:
        console.print(text)
    else:
        row = Table.grid(padding=0)
        row.add_column(width=8, style="bold")
        row.add_column()
        row.add_row(label, text)
        console.print(row)


def show_command(command: str, storage: str, label: str = "") -> None:
    """Prints a command that can be copied: on a terminal over several lines.

    Args:
        command: What to run.
        storage: The study database, which is added where the command would look elsewhere.
        label: As for `say`; without one it is indented.
    """
    from nas.analysis.reproduction import with_storage, wrap_command

    command = with_storage(command, storage)
    indent = 8 if label else 2
    if console.is_terminal:
        command = wrap_command(command, console.width - indent)
    else:
        command = command.replace(" && ", " &&\n")
    first, *rest = command.split("\n")
    console.print(Text.assemble((f"{label:<{indent}}", "bold"), first), soft_wrap=True)
    for line in rest:
        console.print(" " * indent + line, soft_wrap=True)


def print_json(data: Any) -> None:
    """Prints JSON, and nothing else, on stdout."""
    typer.echo(json.dumps(data, indent=2, allow_nan=False))


def score(value: float | None, stderr: float | None = None) -> str:
    """A score, with its standard error where there is one; a dash for none."""
    if value is None:
        return "–"
    form = ".4f" if abs(value) < 100 else ",.2f"
    if 0 < abs(value) < 0.001:
        form = ".3g"
    return f"{value:{form}}" + (f" ± {stderr:{form}}" if stderr is not None else "")


def with_interval(value: float, interval: list[float] | None) -> str:
    """A test score with its interval, where it has one."""
    if interval is None:
        return score(value)
    low, high = interval
    return f"{score(value)} (95 % interval {score(low)} to {score(high)})"


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without vertical lines; columns named in `right` are flush right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", overflow="fold", min_width=4
        )
    return table


def show_params(params: dict[str, Any]) -> str:
    """Parameters in one line, numbers with three digits."""
    from nas.space import shown_value

    shown = {name: shown_value(name, value) for name, value in params.items()}
    return ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in shown.items()
    )


@contextmanager
def working(message: str) -> Iterator[Callable[[str], None]]:
    """Shows a message with a spinner on a terminal, and prints it elsewhere, on stderr.

    What it yields changes the message on a terminal.
    """
    stderr = Console(stderr=True, highlight=False, markup=False)
    if stderr.is_terminal:
        with stderr.status(message) as status:
            yield status.update
    else:
        print(message, file=sys.stderr, flush=True)
        yield lambda _message: None


def default_model_path(storage: str, study: str) -> Path:
    """Where a search saves its winner: beside an SQLite database, otherwise in `studies`."""
    from nas.storage import sqlite_path

    database = sqlite_path(storage)
    folder = database.parent if database is not None else None
    if folder is None or not folder.is_dir():
        folder = Path("studies")
        folder.mkdir(exist_ok=True)
    return folder / f"{study}.keras"
