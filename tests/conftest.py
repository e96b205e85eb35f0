"""Fixtures that all tests share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

# In CI everything that a test may need is there, so a skip would hide a failure.
REQUIRE_ALL = os.environ.get("NAS_REQUIRE_ALL") == "1"


def missing(reason: str) -> NoReturn:
    """Skips a test whose means are missing; fails it where they must be there."""
    if REQUIRE_ALL:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def need() -> Callable[[bool, str], None]:
    """`need(condition, reason)` skips, or in CI fails, when a test's means are missing."""

    def check(condition: bool, reason: str) -> None:
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
