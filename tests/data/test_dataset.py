"""What is inferred from a target, and the identity of a data set."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sources import N, fails, frame, load, write

from nas.data import DataOptions, Schema, load_dataset
from nas.data.dataset import encode_target
from nas.errors import NasError


@pytest.mark.parametrize(
    "target, task, classes",
    [
        (["no", "yes"], "binary", ("no", "yes")),
        (["c", "a", "b"], "multiclass", ("a", "b", "c")),
        ([0, 1], "binary", (0, 1)),
        ([3, 7], "binary", (3, 7)),
        ([1, 2, 3], "multiclass", (1, 2, 3)),
        ([1.0, 2.0, 3.0], "multiclass", (1, 2, 3)),
        ([True, False], "binary", ("False", "True")),
        ([0.5, 1.5], "regression", ()),
        ([0.5, 1, 2], "regression", ()),
        (["1", "2", "x"], "multiclass", ("1", "2", "x")),
        (list(range(8)), "multiclass", tuple(range(8))),
        # Fewer than five rows each.
        (list(range(9)), "regression", ()),
    ],
)
def test_the_task_is_inferred(tmp_path, target, task, classes):
    values = [target[k % len(target)] for k in range(N)]
    dataset = load(write(tmp_path, frame(y=values)), target="y")
    assert (dataset.task, dataset.classes) == (task, classes)
    if task == "regression":
        assert dataset.y.tolist() == values
    else:
        labels = [dataset.classes[code] for code in dataset.y]
        assert labels == [type(label)(value) for label, value in zip(labels, values, strict=True)]


@pytest.mark.parametrize("n_values, task", [(20, "multiclass"), (21, "regression")])
def test_more_than_twenty_numbers_are_a_regression_target(tmp_path, n_values, task):
    table = pd.DataFrame({"a": np.arange(420.0), "y": np.arange(420) % n_values})
    assert load(write(tmp_path, table), target="y").task == task


def test_the_task_can_be_given(tmp_path):
    path = write(tmp_path, frame(y=[1, 2] * (N // 2)))
    assert load(path, target="y", task="regression").y.tolist() == [1.0, 2.0] * (N // 2)
    many = load(path, target="y", task="multiclass")
    assert (many.classes, many.n_outputs) == ((1, 2), 2)


def test_a_target_of_one_class(tmp_path):
    path = write(tmp_path, frame(y="yes"))
    fails(lambda: load(path, target="y"), "data.csv: y", "one value only (yes)", "two classes")


@pytest.mark.parametrize(
    "target, task, received, expected",
    [
        (["no", "yes"], "regression", "the target is text (such as 'no')", "numbers"),
        ([1, 2, 3], "binary", "the target has 3 values", "2 for a binary task"),
        (["p", "q", "r"], "binary", "the target has 3 values", "2 for a binary task"),
    ],
)
def test_a_task_that_does_not_fit(tmp_path, target, task, received, expected):
    path = write(tmp_path, frame(y=[target[k % len(target)] for k in range(N)]))
    fails(lambda: load(path, target="y", task=task), "data.csv: y", received, expected, "--task")


def test_too_many_classes(tmp_path):
    table = pd.DataFrame({"a": np.arange(300.0), "y": [f"t{k}" for k in range(300)]})
    path = write(tmp_path, table)
    received = "300 different values in 300 rows"
    fails(lambda: load(path, target="y"), "data.csv: y", received, "classes with several rows")


def test_the_same_data_has_the_same_hash(tmp_path):
    table = frame(c=["u", "v"] * (N // 2))
    hashes = {load(write(tmp_path, table, name), target="y").hash() for name in ("a.csv", "b.csv")}
    assert len(hashes) == 1


def test_any_other_data_has_another_hash(tmp_path):
    table = frame(b=np.arange(N) % 3, c=["u", "v"] * (N // 2))
    variants = [
        (table, {}),
        (table.assign(a=table["a"].where(table.index != 7, 99)), {}),
        (table.assign(c=table["c"].where(table.index != 7, "w")), {}),
        (table.assign(y=table["y"].where(table.index != 7, "no")), {}),
        (table.rename(columns={"b": "bb"}), {}),
        (table.iloc[::-1], {}),
        (table, {"groups": "b"}),
        (table, {"drop": ("b",)}),
        (table, {"categorical": ("b",)}),
        (table, {"task": "multiclass"}),
        (table, {"scaling": "unit"}),
        (table, {"scaling": "symmetric"}),
        (table, {"scaling": "none"}),
    ]
    hashes = [load(write(tmp_path, t), target="y", **options).hash() for t, options in variants]
    assert len(set(hashes)) == len(variants)


def test_earlier_studies_find_their_data_again():
    stored = {"source": "digits", "target": None, "task": None, "groups": None}
    dataset = load_dataset(DataOptions(**stored, drop=(), categorical=()))
    assert dataset.hash().startswith("7edfdaffd1403ed7")  # as of the first version


def test_a_schema_survives_its_dictionary(data_dir):
    schema = load(data_dir / "adult.csv", target="income").schema
    assert Schema.from_dict(schema.to_dict()) == schema


@pytest.mark.parametrize(
    "target, received",
    [
        (1e16 + np.arange(40) % 3 * 2.0, "values around 1e+16 that differ by"),
        (np.arange(40) * 1e30, "values beyond 1e30"),
        (np.arange(40) * 1e-33, "no value beyond 1e-30"),
    ],
)
def test_targets_that_64_bits_cannot_tell(target, received):
    with pytest.raises(NasError, match=re.escape(f"d.csv: y: {received}")):
        encode_target(target, "regression", "d.csv: y")


@pytest.mark.parametrize("start, step", [(2459000.5, 0.2), (1.7e18, 3.6e12), (0, 1e28), (0, 1e-31)])
def test_targets_that_64_bits_can_tell(start, step):
    y, task, _ = encode_target(start + step * np.arange(40), None, "y")
    assert (task, y.std()) == ("regression", pytest.approx(step * np.arange(40).std()))


def test_plain_files_keep_their_hash(tmp_path, data_dir):
    """As computed before other spellings were read: stored studies find their data again."""
    iris = load_iris(as_frame=True).frame
    head = (data_dir / "adult.csv").read_text().splitlines(keepends=True)[:301]
    mixed = pd.DataFrame(
        {
            "a": np.arange(N) / 10,
            "n": pd.array([1, None, 3, 4] * 10, dtype="Int64"),
            "b": [True, False] * 20,
            "c": ["u", "v", "w", None] * 10,
            "k": pd.Categorical(["x", "y"] * 20),
            "y": ["no", "yes"] * 20,
        }
    )
    codes = pd.DataFrame(
        {
            "zip": ["01", "02"] * 20,
            "p": ["A1", "A2"] * 20,
            "m": ["1", "?"] * 20,
            "v": ["1.2.3", "1.10"] * 20,
            "y": [1, 2, 3, 4] * 10,
            "g": ["q", "r", "s", "t"] * 10,
        }
    )
    fractions = pd.DataFrame({"a": range(40), "y": [0.5, 1.5] * 20})
    parquet = write(tmp_path, mixed, "t.parquet")
    hashes = {
        load(write(tmp_path, iris), target="target").hash(): "3c6656956501275d",
        load(write(tmp_path, "".join(head)), target="income").hash(): "9449a1292fa57059",
        load(parquet, target="y").hash(): "5e6c57c2a2324222",
        load(parquet, target="y", categorical=("b",)).hash(): "36fde1095fc45596",
        load(
            write(tmp_path, codes), target="y", categorical=("zip",), groups="g"
        ).hash(): "09aa386d469a8c34",
        load(write(tmp_path, fractions), target="y", task="multiclass").hash(): "48dbe6b0e8d4851b",
    }
    for found, expected in hashes.items():
        assert found.startswith(expected)


# Weights of rows


def test_a_column_says_how_much_rows_count(tmp_path: Path) -> None:
    rows = {"a": [1.0, 2.0, 3.0] * 4, "w": ["0,5", "2", "1,5"] * 4, "y": ["u", "v", None] * 4}
    path = write(tmp_path, pd.DataFrame(rows))
    dataset = load_dataset(DataOptions(str(path), target="y", sample_weight="w"))
    assert dataset.weights is not None
    assert dataset.weights.tolist() == [0.5, 2.0] * 4  # of the rows with a target
    assert [column.name for column in dataset.schema.columns] == ["a"]
    plain = load_dataset(DataOptions(str(path), target="y", drop=("w",)))
    assert plain.weights is None and plain.hash() != dataset.hash()


@pytest.mark.parametrize(
    ("cells", "received"),
    [
        ([1, -2, 3], "got -2 in row 2"),
        ([1, None, 3], "got nan in row 2"),
        ([0, 0, 0], "got 0 for every row"),
        (["much", "little", "much"], "got 'much' in row 1"),
    ],
)
def test_weights_that_are_none_are_refused(
    cells: list[object], received: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0] * 4, "w": cells * 4, "y": ["u", "v", "u"] * 4})
    path = write(tmp_path, frame)
    with pytest.raises(NasError, match=f"as sample_weight: {received}"):
        load_dataset(DataOptions(str(path), target="y", sample_weight="w"))
