import sqlite3
from contextlib import ExitStack
from pathlib import Path

import pytest
import servers
from fakes import (
    PROBLEM,
    SPACE,
    FakeEngine,
    SlotsPool,
    open_fake_study,
    search_fake,
    smooth,
    url_of,
)

from nas.errors import NasError
from nas.searching import SearchOptions, live_study, run_search
from nas.study.record import load_study
from nas.study.storage import open_storage, redacted, with_storage


def delete(folder: Path) -> None:
    for path in folder.glob("nas.db*"):
        path.unlink()


def replace_by_another(folder: Path) -> None:
    (folder / "other").mkdir()
    open_fake_study(folder / "other")
    copy = sqlite3.connect(folder / "copy.db")
    with sqlite3.connect(folder / "other" / "nas.db") as other:
        other.backup(copy)
    other.close()
    copy.close()
    delete(folder)
    (folder / "copy.db").replace(folder / "nas.db")


def rename_the_folder(folder: Path) -> None:
    folder.rename(folder.with_name("renamed"))


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (delete, "was deleted or moved"),
        (replace_by_another, "was replaced"),
        (rename_the_folder, "was deleted or moved"),
    ],
)
def test_a_search_ends_when_its_database_is_no_longer_there(
    tmp_path: Path, happens: object, said: str
) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()

    def scores(spec: object, fold: int, seed: int, epoch: int) -> float:
        if len(engine.started) == 3 and epoch == 1 and fold == 0:
            happens(folder)
        return smooth(spec, fold, seed, epoch)

    engine = FakeEngine(scores)
    with pytest.raises(NasError) as caught:
        search_fake(folder, engine, n_trials=60)
    assert f"studies/nas.db: {said} while it was in use. Put it back" in str(caught.value)
    assert len(engine.started) < 5
    if happens is replace_by_another:
        assert load_study("fake", url_of(folder)).trials == ()
    else:
        assert not (folder / "nas.db").exists()


def test_a_database_is_used_through_any_number_of_connections(tmp_path: Path) -> None:
    open_fake_study(tmp_path)
    storage = open_storage(url_of(tmp_path))
    for _ in range(3):
        assert len(storage.get_all_studies()) == 1
        storage.engine.dispose()


@pytest.mark.parametrize(
    "url", ["grpc://", "grpc://host", "grpc://host:x", "grpc://host:1/nas", "grpc://me@host:1"]
)
def test_an_address_of_a_proxy_is_a_host_and_a_port(url: str) -> None:
    with pytest.raises(NasError) as caught:
        open_storage(url)
    assert str(caught.value).startswith("storage: got 'grpc://")
    assert "expected an address such as grpc://host:13000" in str(caught.value)


def test_a_proxy_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.study.storage.ANSWER_TIMEOUT", 0.2)
    url = f"grpc://127.0.0.1:{servers.free_port()}"
    with pytest.raises(NasError) as caught:
        open_storage(url)
    assert str(caught.value).startswith(f"{url}: nothing answers there within 0.2 seconds")
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_a_search_ends_when_its_proxy_does(tmp_path: Path) -> None:
    open_storage(url_of(tmp_path), create=True)
    with ExitStack() as proxy:
        url = proxy.enter_context(servers.proxy_of(url_of(tmp_path)))
        open_fake_study(Path(), url=url)
        engine, options = FakeEngine(), SearchOptions(60)
        with (
            pytest.raises(NasError) as caught,
            live_study(open_storage(url), url, "fake") as live,
        ):
            for state in run_search(live, url, SPACE, PROBLEM, SlotsPool(engine, 1), options):
                if state.complete == 1:
                    proxy.close()
    assert str(caught.value).startswith(f"{url}: cannot be used (")
    assert "See whether it still runs" in str(caught.value) and "\n" not in str(caught.value)
    assert len(engine.started) < 5
    # Its trial is taken up where the database is, once it is known to be dead.
    assert load_study("fake", url_of(tmp_path)).trials[0].outcome == "complete"


@pytest.mark.parametrize("port", ["5432", "no-number"])
def test_a_password_is_never_shown(port: str) -> None:
    url = f"postgresql+psycopg://me:s3/cr@t@127.0.0.1:{port}/nas"
    assert "***" in redacted(url) and "s3" not in redacted(url) and "cr@t" not in redacted(url)
    assert "s3" not in with_storage("nas best", url)
    with pytest.raises(NasError) as caught:
        open_storage(url)
    assert "s3" not in str(caught.value) and "cr@t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        (
            "postgresql+pg8000://h/nas",
            "pip install 'nas[postgresql]', and begin",
        ),
        ("mysql+pymysql://h/nas", "Install the driver that has it"),
    ],
)
def test_a_missing_driver_is_named(url: str, fix: str) -> None:
    with pytest.raises(NasError, match="needs the package 'p") as caught:
        open_storage(url)
    assert fix in str(caught.value)


def test_a_command_names_the_proxy_that_it_is_for() -> None:
    assert with_storage("nas best", "grpc://h:1") == "nas best --storage grpc://h:1"
