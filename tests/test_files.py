"""Files that are written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from nas.errors import NasError
from nas.files import written_whole


def test_a_file_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".csv")  # as long as a name can be
    path.write_text("older")
    with written_whole(path) as file:
        file.write_text("newer")
        assert path.read_text() == "older"
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("older")
    told = pytest.raises(NasError, match=r"x\.csv: cannot be written \(OSError.*No space left")
    with told, written_whole(path) as file:
        file.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    told = pytest.raises(NasError, match=r"x\.csv: cannot be written")
    with told, written_whole(tmp_path / "none" / "x.csv") as file:
        file.write_text("x")
