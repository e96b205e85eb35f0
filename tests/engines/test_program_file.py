"""Programs on disk: found by what a trace depends on, and never in the way."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from nas.engines import program_file
from nas.engines.program_file import DIRECTORY, program_path, read_program, write_program

ARGUMENTS = ({"w": np.ones((3, 2), np.float32)}, 2)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIRECTORY, str(tmp_path))
    return tmp_path


def compiled() -> Any:
    return jax.jit(lambda tree, n: jax.tree.map(lambda w: n * w, tree)).lower(*ARGUMENTS).compile()


def test_a_program_that_was_written_runs(directory: Path) -> None:
    path = program_path("twice", ARGUMENTS)
    assert path is not None and read_program(path) is None
    write_program(path, compiled())
    assert [path] == list(directory.iterdir())  # nothing half written beside it
    program = read_program(path)
    np.testing.assert_array_equal(program({"w": 3.0 * ARGUMENTS[0]["w"]}, 5)["w"], 15.0)


@pytest.mark.parametrize("kept", [0, 1, 200])
def test_a_damaged_file_is_as_none(directory: Path, kept: int) -> None:
    path = program_path("twice", ARGUMENTS)
    assert path is not None
    write_program(path, compiled())
    path.write_bytes(path.read_bytes()[:kept])
    assert read_program(path) is None


def test_a_program_has_a_file_for_all_that_its_trace_depends_on(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {
        program_path("twice", ARGUMENTS),
        program_path("thrice", ARGUMENTS),
        program_path("twice", ({"w": np.ones((3, 3), np.float32)}, 2)),
        program_path("twice", ({"w": np.ones((3, 2), np.int32)}, 2)),
        program_path("twice", ({"v": np.ones((3, 2), np.float32)}, 2)),
    }
    monkeypatch.setattr(program_file, "_sources", lambda: "changed")
    paths.add(program_path("twice", ARGUMENTS))
    assert len(paths) == 6
    monkeypatch.undo()
    other = program_path("twice", ({"w": np.zeros((3, 2), np.float32)}, 7))  # values do not count
    assert other == program_path("twice", ARGUMENTS)


def test_nothing_is_kept_without_a_directory_or_with_one_that_is_gone(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program_path("twice", ARGUMENTS)
    assert path is not None
    directory.rmdir()
    write_program(path, compiled())
    assert read_program(path) is None
    monkeypatch.delenv(DIRECTORY)
    assert program_path("twice", ARGUMENTS) is None
