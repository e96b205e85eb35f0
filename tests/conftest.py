"""Fixtures that all tests share."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from means import missing

OWN_CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Compiled programs are kept for this run alone; its processes inherit the variable."""
    # Test modules import TensorFlow themselves, before anything of nas could quieten it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "NAS_CACHE_DIR" not in os.environ:
        config.stash[OWN_CACHE] = os.environ["NAS_CACHE_DIR"] = tempfile.mkdtemp(prefix="nas-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if OWN_CACHE in config.stash:
        shutil.rmtree(config.stash[OWN_CACHE], ignore_errors=True)


@pytest.fixture(scope="session")
def need() -> Callable[[object, str], None]:
    """`need(condition, reason)` skips, or in CI fails, when a test's means are missing."""

    def check(condition: object, reason: str) -> None:
        if not condition:
            missing(reason)

    return check


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real data sets."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NAS_DATA_DIR", default))
    if not (folder / "adult.csv").exists():
        missing(f"no real data in {folder}; set NAS_DATA_DIR")
    return folder
