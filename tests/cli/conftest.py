import shutil
from pathlib import Path

import pytest
from cli import TINY, Nas


@pytest.fixture
def nas(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Nas:
    monkeypatch.setenv("COLUMNS", "100")
    # Worker processes import TensorFlow; the tests of `test_processes.py` have them.
    for module in ("nas.api", "nas.screened"):
        monkeypatch.setattr(f"{module}.default_workers", lambda: 1)
    return Nas(capfd)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with a small space in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study `tiny` on iris; see `searched` for one that may change."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        from nas.cli import main

        with pytest.raises(SystemExit) as ended:
            main("search --space tiny.yaml --trials 8 --folds 3 --pruner none --workers 1".split())
        assert ended.value.code == 0
    return folder


@pytest.fixture(scope="module")
def searched(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished study's folder for the tests of a file."""
    folder = tmp_path_factory.mktemp("searched") / "copy"
    shutil.copytree(finished, folder)  # the database with what is still in its log
    return folder
