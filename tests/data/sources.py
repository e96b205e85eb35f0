"""Data sets of a test's own, written into files, and what is told when they cannot be read."""

import numpy as np
import pandas as pd
import pytest

from nas.data import DataOptions, load_dataset
from nas.errors import NasError

N = 40


def load(source, **options):
    return load_dataset(DataOptions(str(source), **options))


def frame(**columns):
    """A table of `N` rows with a number, a target of two classes, and what is given."""
    base = {"a": np.arange(N) / 10, "y": ["no", "yes"] * (N // 2)}
    return pd.DataFrame(base | columns)


def write(folder, data, name="data.csv"):
    path = folder / name
    if isinstance(data, str):
        path.write_text(data)
    elif path.suffix == ".csv":
        data.to_csv(path, index=False)
    else:
        data.to_parquet(path)
    return path


def write_npz(folder, name="data.npz", **arrays):
    path = folder / name
    np.savez(path, **arrays)
    return path


def fails(call, where="", received="", expected="", fix=""):
    """Calls; checks each part of the error, and that it is told in one line."""
    with pytest.raises(NasError) as caught:
        call()
    error = caught.value
    assert str(where) in error.where
    assert received in error.received
    assert expected in error.expected
    assert fix in error.fix
    line = error.on_command_line
    assert "\n" not in line
    assert line.startswith(f"{error.where}: {error.received[:20]}")
