"""Servers that a study may lie on, started for a test."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from means import missing
from optuna.storages import GrpcStorageProxy

PROXY = """
import sys
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.get_storage(sys.argv[1])
optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=int(sys.argv[2]))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def proxy_of(url: str) -> Iterator[str]:
    """Optuna's gRPC proxy before the database at `url`; its address."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROXY, url, str(port)])
    try:
        GrpcStorageProxy(host="127.0.0.1", port=port).wait_server_ready(timeout=60)
        yield f"grpc://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server with an empty database; its URL, with a password that it asks for."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing("PostgreSQL is not installed")
    programs = found[-1].parent
    # It refuses to run as root, and its user cannot read the folders of pytest.
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="nas-postgresql-"))
    (folder / "password").write_text(PASSWORD)
    if user:
        for path in (folder, folder / "password"):
            shutil.chown(path, **user)
    made = subprocess.run(
        [
            programs / "initdb",
            *("-D", folder / "data", "-U", "nas", "--no-sync", "--auth=scram-sha-256"),
            f"--pwfile={folder / 'password'}",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        **user,
    )
    assert made.returncode == 0, made.stderr
    port = free_port()
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [
            *(programs / "postgres", "-D", folder / "data", "-p", str(port)),
            *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=log,
        **user,
    )
    try:
        end = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"postgresql+psycopg://nas:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)  # it does not wait for whoever is still connected
        process.wait()
        log.close()
        shutil.rmtree(folder)


PASSWORD = "not-to-be-shown"


def _answers(port: int) -> bool:
    import psycopg

    address = {"host": "127.0.0.1", "port": port, "user": "nas", "password": PASSWORD}
    try:
        psycopg.connect(**address, dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True
