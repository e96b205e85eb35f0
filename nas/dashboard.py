"""optuna-dashboard on the study database."""

import socket
from collections.abc import Callable

from nas.errors import NasError
from nas.storage import open_storage

HOST = "127.0.0.1"  # the dashboard can delete studies and has no login


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
