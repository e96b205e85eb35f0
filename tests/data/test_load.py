"""Where data is read from, and how mistakes with that are told."""

import numpy as np
import pytest
from sources import fails, frame, load, write, write_npz

from nas.data import Column, Schema, load_features


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "none.npz"])
def test_a_missing_file(tmp_path, name):
    fails(lambda: load(tmp_path / name, target=None), name, "no such file", "a file with data")


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.npz"])
def test_a_folder(tmp_path, name):
    (tmp_path / name).mkdir()
    fails(lambda: load(tmp_path / name), name, "is a folder", "a file with data")


@pytest.mark.parametrize("name", ["data.parquet", "data.npz"])
def test_a_file_of_another_kind(tmp_path, name):
    path = write(tmp_path, "a,y\n1,2\n", "x.csv").rename(tmp_path / name)
    fails(lambda: load(path, target=None), name, "cannot be read", "")


@pytest.mark.parametrize(
    "source, fix", [("digit", "digits"), ("fashion-mnist", "fashion_mnist"), ("irys", "iris")]
)
def test_an_unknown_name_gets_the_nearest(source, fix):
    expected = "one of digits, iris, wine"
    fails(lambda: load(source), source, "no such data set", expected, f"Did you mean '{fix}'?")


def test_a_file_of_unknown_kind(tmp_path):
    path = write(tmp_path, "a,y\n", "data.doc")
    fails(lambda: load(path), "data.doc", "a file of unknown kind", "a .csv, .tsv, .parquet")


@pytest.mark.parametrize("scaling, fix", [("units", "'unit'"), ("minmax", "")])
def test_an_unknown_scaling(scaling, fix):
    expected = "one of standard, robust, quantile, unit, symmetric, none"
    fails(lambda: load("iris", scaling=scaling), "--scaling", f"got '{scaling}'", expected, fix)


@pytest.mark.parametrize(
    "option, value", [("target", "y"), ("groups", "g"), ("drop", ("a",)), ("categorical", ("a",))]
)
def test_columns_are_for_tables(option, value):
    fails(lambda: load("digits", **{option: value}), f"--{option}", "for digits", "CSV or Parquet")


NUMBERS = Schema((Column("a", "numeric"), Column("b", "numeric")), (2,))


@pytest.mark.parametrize(
    "text, where, received, expected",
    [
        ("a,bb\n1,2\n", "new.csv", "no column 'b', which the model needs", "the columns a, b"),
        ("a,b\n1,2\n1,x\n", "new.csv: b, row 2", "got 'x'", "a number"),
        ("a,b\n1,2\n1,inf\n", "new.csv: b", "infinite in 1 row, first in row 2", "finite"),
    ],
)
def test_features_that_do_not_fit(tmp_path, text, where, received, expected):
    path = write(tmp_path, text, "new.csv")
    fails(lambda: load_features(str(path), NUMBERS), where, received, expected)


def test_features_of_another_shape(tmp_path):
    path = write_npz(tmp_path, x=np.ones((3, 5)))
    received, expected = "rows shaped (5,)", "rows shaped (4,)"
    fails(lambda: load_features(str(path), Schema((), (4,))), "data.npz", received, expected)
    table = write(tmp_path, frame())
    fails(lambda: load_features(str(table), Schema((), (4,))), "data.csv", "a table", ".npz array")
    fails(lambda: load_features("nowhere", Schema((), (4,))), "nowhere", "no data of a known kind")
    other = write_npz(tmp_path, z=np.ones((3, 4)))
    fails(lambda: load_features(str(other), Schema((), (4,))), "data.npz", "holds z", "named x")


def test_rows_that_hardly_differ_are_fine_to_predict_for(tmp_path):
    years, hours = (1.6e9 + step * np.arange(40) for step in (4e6, 60))
    schema = load(write(tmp_path, frame(t=years)), target="y").schema
    path = write(tmp_path, frame(t=hours), "new.csv")
    features = load_features(str(path), schema)
    assert features[:, 1] == pytest.approx(hours)
    fails(lambda: load(path, target="y"), "new.csv: t", "that differ by 6.9e+02 only", "32-bit")


def test_numbers_beyond_32_bits_are_refused_to_predict_for(tmp_path):
    path = write(tmp_path, "a,b\n1,2\n1,1e31\n", "new.csv")
    fails(
        lambda: load_features(str(path), NUMBERS), "new.csv: b", "got 1e+31", "numbers below 1e+30"
    )
