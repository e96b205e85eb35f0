"""Fixtures that all tests share."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from means import missing

# The files that take longest, long tests included: first, so that both processes end together.
FIRST = """
    test_studies test_docs cli/test_processes test_examples execution/test_workers test_notebook
    engines/test_keras_engine engines/test_compiled_engine test_export cli/test_explain test_api
    cli/test_spellings cli/test_data_options cli/test_reading cli/test_report
    families/test_custom_search cli/test_said_before_training searching/test_exceptions
""".split()
OWN_CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Compiled programs are kept for this run alone; its processes inherit the variable."""
    # Test modules import TensorFlow themselves, before anything of nas could quieten it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A program is compiled for a few steps here: to optimize it takes longer than it saves.
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_multi_thread_eigen=false"
    )
    if "NAS_CACHE_DIR" not in os.environ:
        config.stash[OWN_CACHE] = os.environ["NAS_CACHE_DIR"] = tempfile.mkdtemp(prefix="nas-")

    _read_migrations_once()


def _read_migrations_once() -> None:
    """Optuna imports all its migrations at each opening of a database; here at the first only."""
    read = ScriptDirectory.from_config
    known: dict[str | None, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = read(config)
        return known[place]

    ScriptDirectory.from_config = staticmethod(from_config)  # type: ignore[method-assign]


def pytest_unconfigure(config: pytest.Config) -> None:
    if OWN_CACHE in config.stash:
        shutil.rmtree(config.stash[OWN_CACHE], ignore_errors=True)


def pytest_collection_finish() -> None:
    """Leaves all modules out of garbage collections for good: Keras collects for each model."""
    gc.collect()
    gc.freeze()
    gc.unfreeze = lambda: None  # which `LocalPool` calls when it closes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = str(item.path.relative_to(folder).with_suffix(""))
        return FIRST.index(name) if name in FIRST else len(FIRST)

    items.sort(key=rank)


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
