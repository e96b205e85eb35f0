"""The study database: opening it, and saying in one line what is wrong with it."""

import atexit
import re
import sqlite3
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage

from nas.about import DEFAULT_STORAGE
from nas.errors import NasError, did_you_mean, first_line, visible
from nas.shell import option, split
from nas.study.optuna_tables import NOT_FOUND_MSG

LOCK_TIMEOUT = 20.0  # seconds to wait for another process's write
ANSWER_TIMEOUT = 5.0  # seconds to wait for a proxy
PROXY = "grpc://"  # what the address of a proxy begins with


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Within the block Optuna logs nothing but errors, and what is experimental brings no warning.

    For the caller's program both are as they were behind it.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turns a database's errors into a `NasError`."""
    try:
        yield
    except (
        optuna.exceptions.StorageInternalError,
        sqlalchemy.exc.SQLAlchemyError,
        sqlite3.Error,
    ) as error:
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        cause = getattr(cause, "orig", None) or cause
        text = str(cause)
        fix = ""
        if "locked" in text:
            fix = "Another program holds it: end that one, and repeat the command."
        elif "readonly" in text:
            fix = "Make the file and its folder writable, or give another --storage."
        raise NasError(
            redacted(url), f"cannot be used ({first_line(cause, 160)})", "a study database", fix
        ) from error
    except _rpc_errors() as error:
        raise NasError(
            redacted(url),
            f"cannot be used ({visible(str(error.details())[:160])})",
            "Optuna's gRPC proxy",
            "See whether it still runs, and repeat the command.",
        ) from error
    except KeyError as error:
        if error.args != (NOT_FOUND_MSG,) and not isinstance(error.__cause__, _rpc_errors()):
            raise
        raise NasError(redacted(url), "the study was deleted while it was in use") from error
    except ImportError as error:
        cause = error.__context__ if isinstance(error.__context__, ImportError) else error
        fix = "Install the driver that has it."
        if url.startswith("postgresql"):
            fix = "Run pip install 'nas[postgresql]', and begin the URL with postgresql+psycopg://."
        raise NasError(redacted(url), f"needs the package '{cause.name}'", fix=fix) from error


def _rpc_errors() -> tuple[type[Any], ...]:
    """The errors of gRPC, where it is in use; to import it takes a while."""
    grpc = sys.modules.get("grpc")
    return (grpc.RpcError,) if grpc is not None else ()


def open_storage(url: str, *, create: bool = False) -> BaseStorage:
    """Opens the database at an SQLAlchemy URL, or the one behind Optuna's gRPC proxy.

    SQLite is used with a write-ahead log, so that the dashboard can read while a search writes.

    Args:
        url: Such as `sqlite:///studies/nas.db`, or `grpc://host:13000`.
        create: Whether to make a database that does not exist. SQLite's default folder is made
            too, other folders are not.

    Raises:
        NasError: When the database does not exist, is locked, read-only or not a database, or
            nothing answers.
    """
    if url.startswith(PROXY):
        return _open_proxy(url)
    path = sqlite_path(url)
    if path is not None:
        if create and url == DEFAULT_STORAGE:
            path.parent.mkdir(exist_ok=True)
        if create and not path.parent.is_dir():
            raise NasError(str(path), f"no folder '{path.parent}'", "a folder that exists")
        if not create and not path.exists():
            raise NasError(
                str(path), "no study database", fix="Run 'nas search' first, or give --storage."
            )
    with storage_errors(url):
        try:
            engine_kwargs: dict[str, Any] = (
                {"connect_args": {"timeout": LOCK_TIMEOUT}} if url.startswith("sqlite") else {}
            )
            if path is not None:
                _prepare(path, create)
            storage = _connect(url, engine_kwargs)
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            raise NasError(
                "--storage",
                f"got '{redacted(url)}'",
                "an SQLAlchemy URL such as sqlite:///studies/nas.db, or grpc://host:port",
            ) from error
        if url.startswith("sqlite"):
            sqlalchemy.event.listen(storage.engine, "connect", _set_pragmas)
            storage.engine.dispose()  # connections made before the listener lack its settings
        if path is not None:
            _watch(storage.engine, path)
    # The last connection that closes moves the write-ahead log into the database file.
    atexit.register(_close, storage)
    return storage


def _open_proxy(url: str) -> BaseStorage:
    try:
        address = urlsplit(url)
        host, port = address.hostname, address.port
    except ValueError:
        host, port = None, None
    if host is None or port is None or address.path or address.query or address.username:
        raise NasError(
            "--storage", f"got '{redacted(url)}'", "an address such as grpc://host:13000"
        )
    with storage_errors(url), quiet_optuna():
        storage = optuna.storages.GrpcStorageProxy(host=host, port=port)
        try:
            storage.wait_server_ready(timeout=ANSWER_TIMEOUT)
        except ConnectionError as error:
            raise NasError(
                url,
                f"nothing answers there within {ANSWER_TIMEOUT:g} seconds",
                "Optuna's gRPC proxy",
                "Start it with optuna.storages.run_grpc_proxy_server, or give another --storage.",
            ) from error
        storage.get_all_studies()  # an error now rather than later, if it is another server
    atexit.register(storage.close)
    return storage


def _close(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


def _prepare(path: Path, create: bool) -> None:
    """Turns the write-ahead log on; refuses to read a database that holds no studies."""
    connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT)
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not create and ("studies",) not in tables.fetchall():
            raise NasError(str(path), "holds no study", fix="Run 'nas search' first.")
        if create:
            connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _connect(url: str, engine_kwargs: dict[str, Any]) -> RDBStorage:
    """Connects, and makes the tables where there are none.

    Two searches that begin at once both make them; the one that comes second fails, and finds
    them at its next attempt.
    """
    for pause in (0.1, 0.3, 1.0):
        try:
            return RDBStorage(url, engine_kwargs=engine_kwargs)
        except sqlalchemy.exc.DatabaseError as error:
            if "already exists" not in str(error) and "UNIQUE" not in str(error):
                raise
            time.sleep(pause)
    return RDBStorage(url, engine_kwargs=engine_kwargs)


def _watch(engine: sqlalchemy.Engine, path: Path) -> None:
    """Has each transaction fail once the path is no longer the file that was opened.

    An open file goes on taking writes after somebody has deleted it, and they are lost with it.
    """
    opened = path.stat()

    def check(_connection: sqlalchemy.Connection) -> None:
        try:
            now = path.stat()
        except OSError:
            now = None
        if now is None or (now.st_dev, now.st_ino) != (opened.st_dev, opened.st_ino):
            raise NasError(
                str(path),
                f"was {'deleted or moved' if now is None else 'replaced'} while it was in use",
                fix="Put it back, or repeat the command to begin anew.",
            )

    sqlalchemy.event.listen(engine, "begin", check)


def _set_pragmas(connection: Any, _record: object) -> None:
    # With a write-ahead log this is safe against a killed process; only a power cut can lose
    # the last trials.
    connection.execute("PRAGMA synchronous=NORMAL")


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL; None for other databases and for special SQLite URLs."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or "?" in url or url == prefix + ":memory:":
        return None
    return Path(url.removeprefix(prefix))


def with_storage(command: str, url: str) -> str:
    """A command with its study database, which it would otherwise look for in the default place.

    Of several with `&&` between them each gets it, but for those of `nas space`. That of a database
    server is left out: its URL may hold a password.
    """
    if url == DEFAULT_STORAGE or (sqlite_path(url) is None and not url.startswith(PROXY)):
        return command
    parts: list[list[str]] = [[]]
    for word in split(command):
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    for part in parts:
        if part[:2] != ["nas", "space"]:
            part.append(option("storage", url))
    return " && ".join(map(" ".join, parts))


def redacted(url: str) -> str:
    """The URL without its password; the path alone for an SQLite file."""
    path = sqlite_path(url)
    if path is not None:
        return str(path)
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # a port that is no number
        return re.sub("://.*@", "://***@", url)


def study_names(storage: BaseStorage) -> list[str]:
    """Names of all studies that nas made, the one searched last at the end."""
    searched_at = {}
    for name in optuna.get_all_study_names(storage):
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(name))
        if "nas_version" in attributes:
            searched_at[name] = str(attributes.get("searched_at", ""))
    return sorted(searched_at, key=lambda name: searched_at[name])


def open_optuna_study(storage: BaseStorage, name: str | None, url: str) -> optuna.Study:
    """The Optuna study of that name, or the one searched last for None.

    Raises:
        NasError: When there is none.
    """
    with storage_errors(url):
        names = study_names(storage)
        if not names:
            raise NasError(redacted(url), "holds no study", fix="Run 'nas search' first.")
        if name is not None and name not in names:
            raise NasError(
                "--study",
                f"no study '{name}' in {redacted(url)}",
                "one of " + ", ".join(names),
                did_you_mean(name, names),
            )
        return optuna.load_study(study_name=name or names[-1], storage=storage)
