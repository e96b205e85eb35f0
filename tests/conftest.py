"""Fixtures that all tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from means import missing


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
