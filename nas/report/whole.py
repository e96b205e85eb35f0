"""A report as a file: analysed, drawn and written."""

from pathlib import Path
from typing import TYPE_CHECKING

from nas.analysis.importance import Importance, importance
from nas.choices import ReportFormat
from nas.errors import NasError
from nas.model_card import check_output
from nas.report.markdown import write_markdown
from nas.report.page import write_page
from nas.report.sections import make_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna

    from nas.experiments.baselines import Baseline
    from nas.study.record import StudyRecord

FORMATS: dict[str, ReportFormat] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}


def format_of(path: Path, chosen: ReportFormat | None = None) -> ReportFormat:
    """The format of a report by the ending of its file.

    Raises:
        NasError: When the ending tells none, or the file cannot be written.
    """
    by_ending = chosen or FORMATS.get(path.suffix.lower())
    if by_ending is None:
        raise NasError(
            str(path),
            f"the ending '{path.suffix}'",
            "one of " + ", ".join(FORMATS),
            "Or give --format.",
        )
    check_output(path, path.suffix.lower())
    return by_ending


def write_report(
    record: "StudyRecord",
    study: "optuna.Study",
    baselines: "Sequence[Baseline] | str",
    path: Path,
    storage: str,
    chosen: ReportFormat | None = None,
) -> Path | None:
    """Writes the report of a study.

    Args:
        record: The study.
        study: The same, of Optuna.
        baselines: Plain models' scores, or why there are none.
        path: The file.
        storage: The study database, for the commands that it proposes.
        chosen: The format; None is that of the ending.

    Returns:
        The folder of the pictures of a Markdown report; None for a page.
    """
    file_format = format_of(path, chosen)
    shares: Importance | str
    try:
        shares = importance(study)
    except NasError as error:
        shares = f"{error.received}; it takes {error.expected}."
    report = make_report(record, shares, baselines, storage)
    if file_format == "md":
        return write_markdown(report, path)
    write_page(report, path)
    return None
