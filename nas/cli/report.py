"""`nas report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.about import DEFAULT_STORAGE
from nas.choices import ReportFormat
from nas.cli.explain import kept_baselines
from nas.cli.output import StorageOption, StudyOption, say, working

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.experiments.baselines import Baseline


def report(
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    study: StudyOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    file_format: Annotated[
        ReportFormat | None,
        typer.Option(
            "--format",
            help="HTML, or Markdown with pictures. \\[default: by the file's extension]",
        ),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Whether to train plain models on the same folds; the study keeps the results.",
        ),
    ] = True,
) -> None:
    """Write a report on a study: an interactive page that opens offline, or Markdown."""
    with working("Reading the trials"):
        from nas.api import load
        from nas.report.whole import format_of, write_report

        chosen = format_of(output, file_format)
        found = load(study, storage)
    plain: Sequence[Baseline] | str = "left out by --no-baselines."
    if not found.record.complete:
        plain = "there is no winner to compare them with."
    elif baselines:
        kept, reason = kept_baselines(found)
        plain = kept or f"{reason}."
    with working("Analysing the study"):
        folder = write_report(found.record, found.optuna, plain, output, storage, chosen)
    if folder is not None:
        say(f"Wrote {output} and its pictures in {folder}.")
    else:
        say(f"Wrote {output} ({output.stat().st_size / 1e6:.1f} MB). It opens without a network.")
