"""What all commands share: options, tables, JSON, and TensorFlow kept quiet."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nas.display import Display
from nas.errors import NasError, visible

if TYPE_CHECKING:
    from nas.analysis.experiment import Experiment
    from nas.study.record import StudyRecord


class _PlainTable(Table):
    """A table whose cells are one line each."""

    def add_row(self, *cells: RenderableType | None, **more: Any) -> None:
        super().add_row(*(visible(c) if isinstance(c, str) else c for c in cells), **more)


_display = Display()
console, stderr_console = _display.console, _display.stderr_console
say, working = _display.say, _display.working

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


def show_command(command: str, storage: str, label: str = "") -> None:
    """Prints a command that can be copied: on a terminal over several lines.

    Args:
        command: What to run.
        storage: The study database, which is added where the command would look elsewhere.
        label: As for `say`; without one it is indented.
    """
    from nas.proposal import wrap_command
    from nas.study.storage import with_storage

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


def show_experiment(
    experiment: "Experiment", record: "StudyRecord", storage: str, label: str = ""
) -> None:
    """Prints what to type for an experiment, as `show_command` does."""
    from nas.proposal import call_of, command_of

    command = command_of(experiment, record)
    if command:
        show_command(command, storage, label)
        return
    indent = 8 if label else 2
    first, *rest = call_of(experiment, console.width - indent).split("\n")
    console.print(Text.assemble((f"{label:<{indent}}", "bold"), first), soft_wrap=True)
    for line in rest:
        console.print(" " * indent + line, soft_wrap=True)
    say(" " * indent + "in Python, where study is what nas.search returned")


def time_option(text: str | None) -> str | None:
    """Refuses what is no time, as wrong usage."""
    from nas.arguments import seconds_of

    try:
        seconds_of(text)
    except NasError as error:
        raise typer.BadParameter(f"{error.received}; expected {error.expected}") from error
    return text


def print_json(data: Any) -> None:
    """Prints JSON, and nothing else, on stdout."""
    typer.echo(json.dumps(data, indent=2, allow_nan=False))


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
