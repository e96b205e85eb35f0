"""`nas dashboard`."""

from typing import Annotated

import typer

from nas.about import DEFAULT_STORAGE
from nas.cli.output import StorageOption, say


def dashboard(
    storage: StorageOption = DEFAULT_STORAGE,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 8080,
) -> None:
    """Browse the studies with optuna-dashboard, even while a search runs. Ctrl-C ends it."""
    from nas.dashboard import run_dashboard

    run_dashboard(
        storage, port, lambda address: say(f"optuna-dashboard on {address} (Ctrl-C ends)")
    )
