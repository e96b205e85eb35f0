"""The directory of compiled programs: sound, bounded, and never in the way."""

import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from nas.engines.program_file import DIRECTORY
from nas.execution import program_cache
from nas.execution.program_cache import program_cache_variables, tidy_program_cache

WHOLE = zlib.compress(b"a program" * 50)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def directory_of(flags: str) -> Path:
    return Path(program_cache_variables(flags)[DIRECTORY])


def write(path: Path, content: bytes, age: float = 60.0) -> None:
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)


def test_has_a_directory_for_each_compiler_option_and_processor(home: Path, monkeypatch) -> None:
    one = directory_of("")
    assert one.is_dir() and one.is_relative_to(home)
    assert directory_of("") == one
    assert directory_of("--xla_backend_optimization_level=1") != one
    monkeypatch.setattr(program_cache.platform, "machine", lambda: "another")
    assert directory_of("") != one


def test_removes_damaged_files_that_nobody_is_writing(home: Path) -> None:
    directory = directory_of("")
    for name, content in {
        "whole": WHOLE,
        "short": WHOLE[:-1],
        "zeros": bytes(100),
        "empty": b"",
    }.items():
        write(directory / name, content)
    write(directory / "young", WHOLE[:-1], age=0.0)
    tidy_program_cache("")
    assert {path.name for path in directory.iterdir()} == {"whole", "young"}


def test_leaves_folders_of_others(home: Path) -> None:
    directory = directory_of("")
    (directory / "xla_gpu_per_fusion_autotune_cache_dir").mkdir()
    write(directory / "damaged", WHOLE[:20])
    tidy_program_cache("")
    assert [path.name for path in directory.iterdir()] == ["xla_gpu_per_fusion_autotune_cache_dir"]


def test_keeps_the_newest_programs_within_the_limit(home: Path, monkeypatch) -> None:
    directory = directory_of("")
    for age in range(5):
        write(directory / str(age), WHOLE, 60.0 * (age + 1))
    monkeypatch.setattr(program_cache, "MAX_BYTES", 3 * len(WHOLE))
    tidy_program_cache("")
    assert {path.name for path in directory.iterdir()} == {"0", "1", "2"}


@pytest.mark.parametrize("trouble", ["off", "file in the way", "full disk"])
def test_does_without_where_nothing_can_be_kept(
    trouble: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble == "off":
        monkeypatch.setenv("NAS_CACHE_DIR", "")
    elif trouble == "file in the way":
        home.write_text("")
    else:
        monkeypatch.setattr(program_cache, "MIN_FREE_BYTES", float("inf"))
    assert program_cache_variables("") == {}
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
    assert len(written) == 3  # two shapes of trials, and the winner alone
    damaged, *kept = sorted(written)
    write(damaged, damaged.read_bytes()[:1000])
    second = search("second")
    again = programs()
    assert again.keys() == written.keys()
    assert all(again[path] == written[path] for path in kept)
    assert again[damaged] != written[damaged]
    assert first == second and len(first) == 2
