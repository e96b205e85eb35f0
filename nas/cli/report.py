"""`nas report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nas import DEFAULT_STORAGE
from nas.cli.explain import kept_baselines
from nas.cli.output import StorageOption, StudyOption, say, working
from nas.errors import NasError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.analysis.baselines import Baseline
    from nas.analysis.importance import Importance

Format = Literal["html", "md"]
FORMATS: dict[str, Format] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}


def report(
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    study: StudyOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    file_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="One HTML file, or Markdown with a folder of pictures. \\[default: by the ending]",
        ),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Whether to train plain models on the same folds; done once, then kept.",
        ),
    ] = True,
) -> None:
    """Tell a whole study in one file: an interactive page that opens offline, or Markdown."""
    chosen = file_format or FORMATS.get(output.suffix.lower())
    if chosen is None:
        raise NasError(
            str(output),
            f"the ending '{output.suffix}'",
            "one of " + ", ".join(FORMATS),
            "Or give --format.",
        )
    with working("Reading the trials"):
        from nas.analysis.importance import importance
        from nas.model_card import check_output
        from nas.report.sections import make_report
        from nas.storage import open_optuna_study, open_storage, storage_errors
        from nas.study import study_record

        check_output(output, output.suffix.lower())
        optuna_study = open_optuna_study(open_storage(storage), study, storage)
        with storage_errors(storage):
            record = study_record(optuna_study)
    plain: Sequence[Baseline] | str = "left out by --no-baselines."
    if not record.complete:
        plain = "there is no winner to compare them with."
    elif baselines:
        kept, reason = kept_baselines(record, optuna_study, storage)
        plain = kept or f"{reason}."
    with working("Analysing the study"):
        shares: Importance | str
        try:
            shares = importance(optuna_study)
        except NasError as error:
            shares = f"{error.received}; it takes {error.expected}."
        result = make_report(record, shares, plain, storage)
    if chosen == "md":
        with working("Drawing the pictures"):
            from nas.report.markdown import write_markdown

            folder = write_markdown(result, output)
        say(f"Wrote {output} and its pictures in {folder}.")
        return
    from nas.report.page import write_page

    write_page(result, output)
    say(f"Wrote {output} ({output.stat().st_size / 1e6:.1f} MB). It opens without a network.")
