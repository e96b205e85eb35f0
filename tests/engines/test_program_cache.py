"""The directory of compiled programs: sound, bounded, and never in the way."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.engines import program_cache
from nas.engines.program_cache import (
    empty_program_cache,
    may_be_cache_failure,
    program_cache_flags,
    tidy_program_cache,
    without_program_cache,
)

MESSAGE = b"\x0a\x03abc"  # field 1 of a protocol buffer, three bytes


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def directory_of(flags: str) -> Path:
    return Path(flags.split()[0].partition("=")[2])


def test_has_a_directory_for_each_compiler_option_and_processor(home: Path, monkeypatch) -> None:
    one = directory_of(program_cache_flags(""))
    assert one.is_dir() and one.is_relative_to(home)
    assert directory_of(program_cache_flags("")) == one
    assert directory_of(program_cache_flags("--xla_backend_optimization_level=1")) != one
    monkeypatch.setattr(program_cache.platform, "machine", lambda: "another")
    assert directory_of(program_cache_flags("")) != one


def test_removes_damaged_and_abandoned_files_only(home: Path) -> None:
    directory = directory_of(program_cache_flags(""))
    for name, content in {
        "whole": MESSAGE,
        "short": MESSAGE[:-1],
        "zeros": bytes(100),
        "empty": b"",
        "young.tmp": b"",
        "old.tmp": b"",
    }.items():
        (directory / name).write_bytes(content)
    os.utime(directory / "old.tmp", (time.time() - 7200,) * 2)
    tidy_program_cache("")
    assert {path.name for path in directory.iterdir()} == {"whole", "young.tmp"}


def test_keeps_the_newest_programs_within_the_limit(home: Path, monkeypatch) -> None:
    directory = directory_of(program_cache_flags(""))
    for age in range(5):
        path = directory / str(age)
        path.write_bytes(MESSAGE)
        os.utime(path, (time.time() - 60 * age,) * 2)
    monkeypatch.setattr(program_cache, "MAX_BYTES", 3 * len(MESSAGE))
    tidy_program_cache("")
    assert {path.name for path in directory.iterdir()} == {"0", "1", "2"}


@pytest.mark.parametrize("trouble", ["off", "file in the way", "space in its name", "full disk"])
def test_does_without_where_nothing_can_be_kept(
    trouble: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble == "off":
        monkeypatch.setenv("NAS_CACHE_DIR", "")
    elif trouble == "file in the way":
        home.write_text("")
    elif trouble == "space in its name":
        monkeypatch.setenv("NAS_CACHE_DIR", f"{home} of mine")
    else:
        monkeypatch.setattr(program_cache, "MIN_FREE_BYTES", float("inf"))
    assert program_cache_flags("") == ""
    tidy_program_cache("")  # and does no harm


@pytest.mark.slow
def test_a_second_search_compiles_nothing_and_finds_the_same(home: Path, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("depth: 1\nwidth: [8, 40]\nepochs: 1\nbatch_size: 64\n")
    command = (
        "search --space space.yaml --data digits --trials 2 --folds 2 --workers 2 "
        "--sampler grid --storage sqlite:///{}.db"
    )

    def search(name: str) -> dict[str, list[float]]:
        done = subprocess.run(
            [sys.executable, "-m", "nas", *command.format(name).split()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        records = subprocess.run(
            [sys.executable, "-m", "nas", "trials", "--json", "--storage", f"sqlite:///{name}.db"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return {str(t["params"]): t["fold_values"] for t in json.loads(records.stdout)}

    def programs() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in home.glob("programs/*/*")}

    first = search("first")
    written = programs()
    assert len(written) == 2
    damaged, kept = sorted(written)
    damaged.write_bytes(damaged.read_bytes()[:1000])
    second = search("second")
    again = programs()
    assert again.keys() == written.keys()
    assert again[kept] == written[kept]
    assert again[damaged] != written[damaged]
    assert first == second and len(first) == 2


def test_only_tensorflow_s_own_errors_count_and_not_those_of_memory(monkeypatch) -> None:
    class Error(Exception):
        pass

    def failure(name: str, text: str) -> Exception:
        return type(name, (Error,), {"__module__": "tensorflow.python.framework.errors_impl"})(text)

    full = failure("ResourceExhaustedError", "/cache/x.pb.tmp; No space left on device")
    memory = failure("ResourceExhaustedError", "OOM when allocating tensor with shape[9,9]")
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    assert not may_be_cache_failure(full)
    monkeypatch.setenv("TF_XLA_FLAGS", f"--mine {program_cache.OPTION}directory=/cache")
    assert may_be_cache_failure(full)
    assert may_be_cache_failure(failure("DataLossError", "Serialized cache key does not match."))
    assert not may_be_cache_failure(memory)
    assert not may_be_cache_failure(ValueError("no such activation"))
    assert without_program_cache(os.environ["TF_XLA_FLAGS"]) == "--mine"


def test_is_emptied(home: Path) -> None:
    directory = directory_of(program_cache_flags(""))
    (directory / "whole").write_bytes(MESSAGE)
    empty_program_cache("")
    assert list(directory.iterdir()) == []
    (directory / "folder").mkdir()
    empty_program_cache("")  # does no harm
