"""The commands of `nas`, each imported when it is used: the help must come at once."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True)
class Entry:
    """A command, or a group of commands, that need not be imported yet.

    Attributes:
        place: Its module in `nas.cli`, and its name there.
        help: The first paragraph of its help.
    """

    place: str
    help: str


COMMANDS = {
    "search": Entry(
        "search.search", "Search a space for the best network, test it once, and save it."
    ),
    "screen": Entry(
        "screen.screen",
        "Measure which cheap scores of networks are worth anything on your data.",
    ),
    "best": Entry(
        "study.best",
        "Show the winner, how certain its score is, and the simplest network that is as good.",
    ),
    "trials": Entry(
        "study.trials", "List every trial with its score, or the reason why it has none."
    ),
    "train": Entry(
        "diagnose.train",
        "Train one given network on the study's folds, record it in the study, and diagnose it.",
    ),
    "diagnose": Entry(
        "diagnose.diagnose",
        "Say why networks are bad: causes, their evidence, and the next experiment for each.",
    ),
    "importance": Entry(
        "importance.importance", "Show which parameters mattered, by fANOVA and by PED-ANOVA."
    ),
    "explain": Entry(
        "explain.explain",
        "Show the effect of depth, or of another parameter, on the score, and how certain it is.",
    ),
    "report": Entry(
        "report.report",
        "Write a report on a study: an interactive page that opens offline, or Markdown.",
    ),
    "dashboard": Entry(
        "dashboard.dashboard",
        "Browse the studies with optuna-dashboard, even while a search runs. Ctrl-C ends it.",
    ),
    "export": Entry(
        "model.export", "Save the winner, or several networks in one model, for any runtime."
    ),
    "predict": Entry("model.predict", "Predict for new rows with a saved model."),
    "data": Entry("data.app", "Look at data as a search reads it."),
    "space": Entry("space.app", "Write, check and show search spaces."),
    "study": Entry("study.app", "List, show and delete studies."),
}


def load_command(name: str) -> Any:
    """Imports a command, or a group of them, by its name in `COMMANDS`."""
    module, _, attribute = COMMANDS[name].place.partition(".")
    found = getattr(import_module(f"nas.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        command: Any = get_group(found)
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(name)(found)
        command = get_command(alone)
    command.name = name
    return command


class Commands(TyperGroup):
    """All commands: by their names and first paragraphs until one is used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=entry.help) for name, entry in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = load_command(args[0])
        return super().resolve_command(ctx, args)
