"""optuna-dashboard on the study database."""

import socket
from collections.abc import Callable

import optuna

from nas.errors import NasError
from nas.study.storage import open_storage, storage_errors

HOST = "127.0.0.1"  # the dashboard can delete studies and has no login
# What the dashboard does not draw itself, by the names of `nas.report.sections`.
PUBLISHED = (
    "depth",
    "importance",
    "loss",
    "scores",
    "significance-depth",
    "baselines",
    "budget",
    "pareto",
)
LEGEND = {"y": -0.25, "yanchor": "top"}  # below, where a title cannot cross it
NOTE_BEGINS, NOTE_ENDS = "## Summary by nas", "*End of the summary by nas*"


def run_dashboard(url: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serves the dashboard until it is interrupted.

    Args:
        url: The study database.
        port: Port on the local machine.
        on_ready: Called with the address just before serving begins.

    Raises:
        NasError: When the database cannot be opened or the port is taken.
    """
    storage = open_storage(url)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise NasError(
                "--port", f"{port} is taken", "a free port", "Try another, such as --port 8090."
            ) from error
    from optuna_dashboard import run_server

    on_ready(f"http://{HOST}:{port}/dashboard")
    run_server(storage, host=HOST, port=port)


def publish(study: optuna.Study, url: str) -> None:
    """Puts the figures of the report and its summary on a study, for the dashboard to show.

    What an earlier call put there is replaced; the rest of the study's note stays. Figures that
    the dashboard draws itself (history, parallel coordinates, slices) are left to it.

    Args:
        study: A study with a trial that ended.
        url: Its database, for messages.

    Raises:
        NasError: When no trial has ended, or the database cannot be written to.
    """
    import plotly.graph_objects as go
    from optuna_dashboard import get_note, save_note, save_plotly_graph_object

    from nas.analysis.importance import Importance, importance
    from nas.experiments.baselines import load_baselines
    from nas.report.blocks import Picture
    from nas.report.markdown import render_note
    from nas.report.sections import make_report
    from nas.study.record import study_record

    with storage_errors(url):
        record = study_record(study)
        shares: Importance | str
        try:
            shares = importance(study)
        except NasError as error:
            shares = error.on_command_line
        plain = load_baselines(record) or "not trained yet."
        report = make_report(record, shares, plain)
        for section in report.sections:
            for block in section.blocks:
                if isinstance(block, Picture) and block.name in PUBLISHED:
                    # The dashboard's panels have a height of their own.
                    figure = go.Figure(block.figure).update_layout(height=None, legend=LEGEND)
                    save_plotly_graph_object(study, figure, graph_object_id=f"nas-{block.name}")
        note = f"{NOTE_BEGINS}\n\n{render_note(report)}\n\n{NOTE_ENDS}"
        save_note(study, _replaced(get_note(study), note))


def _replaced(old: str, note: str) -> str:
    """A study's note with our part of it anew, or behind what a user has written."""
    before, begins, rest = old.partition(NOTE_BEGINS)
    _, ends, after = rest.partition(NOTE_ENDS)
    if begins and ends:
        return before + note + after
    return f"{old}\n\n{note}" if old.strip() else note
