"""What all commands share: options, tables, JSON, and TensorFlow kept quiet."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nas.errors import visible


class _Terminal(Console):
    """A console on which names and cells are text: neither markup, nor anything to obey."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:  # of the console itself
                yield segment
            else:
                yield segment._replace(text=visible(segment.text, keep="\n"))


class _PlainTable(Table):
    """A table whose cells are one line each."""

    def add_row(self, *cells: RenderableType | None, **more: Any) -> None:
        super().add_row(*(visible(c) if isinstance(c, str) else c for c in cells), **more)


console = _Terminal()
stderr_console = _Terminal(stderr=True)

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
    text = visible(text)
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
    from nas.analysis.reproduction import wrap_command
    from nas.storage import with_storage

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
    table = _PlainTable(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(
            visible(column),
            justify="right" if column in right else "left",
            overflow="fold",
            min_width=4,
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
    message = visible(message)
    if stderr_console.is_terminal:
        with stderr_console.status(message) as status:
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
