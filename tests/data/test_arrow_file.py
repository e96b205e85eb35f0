"""Parquet files of any type: read like the CSV file of the same table, or told in one line."""

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sources import N, fails, frame, load, write


def with_column(folder, values, kind=None, target=False):
    """A Parquet file with a column of that Arrow type, `b` or (as a target) `y`."""
    column = values if isinstance(values, pa.Array) else pa.array(values, kind)
    y = column if target else pa.array(["no", "yes"] * (N // 2))
    columns = {"a": pa.array(np.arange(N) / 10), "b": pa.array(np.arange(N) % 3), "y": y}
    path = folder / "data.parquet"
    pq.write_table(pa.table(columns | ({} if target else {"b": column})), path)
    return path


NUMBERS = [
    ([1, 2, 3, None] * 10, pa.int8()),
    ([1, 2, 3, None] * 10, pa.uint64()),
    ([1, 2, 3, None] * 10, pa.int64()),
    ([1, 2, 3, None] * 10, pa.float32()),
    ([Decimal("1.00"), Decimal("2.00"), Decimal("3.00"), None] * 10, pa.decimal128(9, 2)),
    ([1, 2, 3, None] * 10, pa.float16()),
    (["1", "2", "3", None] * 10, pa.string()),
    (["1", "2", "3", None] * 10, pa.large_string()),
    ([b"1", b"2", b"3", None] * 10, pa.binary()),
]


@pytest.mark.parametrize("values, kind", NUMBERS)
def test_numbers(tmp_path, values, kind):
    if kind == pa.float16():
        values = pa.array(np.array([1, 2, 3, np.nan] * 10, dtype=np.float16))
    features = load(with_column(tmp_path, values, kind), target="y").features
    assert np.array_equal(features[:4, 1], [1, 2, 3, np.nan], equal_nan=True)


@pytest.mark.parametrize("values, kind", NUMBERS)
def test_numbers_as_categories(tmp_path, values, kind):
    if kind == pa.float16():
        values = pa.array(np.array([1, 2, 3, np.nan] * 10, dtype=np.float16))
    dataset = load(with_column(tmp_path, values, kind), target="y", categorical=("b",))
    assert dataset.features["b"][:4].tolist() == ["1", "2", "3", ""]
    csv = write(tmp_path, frame(b=["1.0", "2.0", "3", ""] * 10)[["a", "b", "y"]])
    assert load(csv, target="y", categorical=("b",)).hash() == dataset.hash()


@pytest.mark.parametrize("values", [[True, False], [True, False, None, False]])
def test_truth_values(tmp_path, values):
    column = pa.array(values * (N // len(values)))
    path = with_column(tmp_path, column)
    read = load(path, target="y").features[: len(values), 1]
    assert np.array_equal(
        read, [np.nan if value is None else value for value in values], equal_nan=True
    )
    texts = load(path, target="y", categorical=("b",)).features["b"][: len(values)]
    assert texts.tolist() == ["" if value is None else str(value) for value in values]
    dataset = load(with_column(tmp_path, column, target=True), target="y")
    assert dataset.classes == (False, True)
    assert dataset.n_rows == sum(value is not None for value in values) * N // len(values)


@pytest.mark.parametrize("text", ["u", None])
def test_dictionaries(tmp_path, text):
    column = pa.array(["u", "v", text, "v"] * 10).dictionary_encode()
    assert load(with_column(tmp_path, column), target="y").features["b"][:3].tolist() == [
        "u",
        "v",
        text or "",
    ]
    dataset = load(with_column(tmp_path, column, target=True), target="y")
    assert (dataset.classes, dataset.n_rows) == (("u", "v"), N if text else 30)


def test_extension_types(tmp_path):
    storage = pa.array([bytes([k % 3] * 16) for k in range(N)], pa.binary(16))
    column = pa.ExtensionArray.from_storage(pa.uuid(), storage)
    path = with_column(tmp_path, column)
    fails(lambda: load(path, target="y"), ": b", "got lists, structures or bytes", "a single")


@pytest.mark.parametrize(
    "value, kind",
    [
        ([1, 2], pa.list_(pa.int64())),
        ({"p": 1}, pa.struct({"p": pa.int64()})),
        (b"\xff\xfe", pa.binary()),
        ([("k", 1)], pa.map_(pa.string(), pa.int64())),
    ],
)
def test_cells_that_are_no_single_value(tmp_path, value, kind):
    path = with_column(tmp_path, [value, None] * (N // 2), kind)
    received = "got lists, structures or bytes"
    fails(lambda: load(path, target="y"), "data.parquet: b", received, "a single", "--drop b")
    fails(lambda: load(path, target="y", categorical=("b",)), ": b", received)
    fails(lambda: load(path, target="y", groups="b"), ": b", received)
    assert load(path, target="y", drop=("b",)).features.shape == (N, 1)
    path = with_column(tmp_path, [value, None] * (N // 2), kind, target=True)
    fails(lambda: load(path, target="y"), "data.parquet: y", received)


@pytest.mark.parametrize(
    "value, earlier, kind",
    [
        (
            datetime.datetime(2024, 5, 3),
            datetime.datetime(2024, 5, 2, 1),
            pa.timestamp("us", "UTC"),
        ),
        (datetime.date(2024, 5, 3), datetime.date(2023, 1, 1), pa.date32()),
        (datetime.date(9999, 12, 31), datetime.date(9999, 12, 1), pa.date64()),
        (datetime.time(4, 5), datetime.time(4, 4), pa.time64("us")),
        (datetime.timedelta(1, 30), datetime.timedelta(0), pa.duration("s")),
    ],
)
def test_dates_and_times(tmp_path, value, earlier, kind):
    path = with_column(tmp_path, [value, None, earlier, earlier] * (N // 4), kind)
    dataset = load(path, target="y")
    assert [column.kind for column in dataset.schema.columns] == ["numeric", "date"]
    assert np.isnan(dataset.features["b"][1])
    assert dataset.features["b"][0] > dataset.features["b"][2]
    path = with_column(tmp_path, [value, None] * (N // 2), kind, target=True)
    fails(lambda: load(path, target="y"), "data.parquet: y", "got dates", "numbers or text")


def test_no_values(tmp_path):
    dataset = load(with_column(tmp_path, [None] * N, pa.null()), target="y")
    assert dataset.dropped == {"b": "no values"}
    path = with_column(tmp_path, [None] * N, pa.null(), target=True)
    fails(lambda: load(path, target="y"), "data.parquet: y", "no row has a target")


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_labels_of_many_digits_stay_apart(tmp_path, kind):
    ids = [1234567890123456780 + k % 4 for k in range(N)]
    values = ids if kind == pa.int64() else list(map(str, ids))
    dataset = load(with_column(tmp_path, values, kind, target=True), target="y")
    assert dataset.classes == tuple(map(str, sorted(set(ids))))


def test_an_index_named_like_a_column(tmp_path):
    path = write(tmp_path, frame().set_index("a", drop=False), "data.parquet")
    assert load(path, target="y").features[:, 0].tolist() == [k / 10 for k in range(N)]


def test_an_index_is_a_column_if_it_has_a_name(tmp_path):
    table = frame(b=np.arange(N) % 3)
    path = write(tmp_path, table.set_index(["b"]), "data.parquet")
    assert [column.name for column in load(path, target="y").schema.columns] == ["b", "a"]
    path = write(tmp_path, table.sample(frac=1, random_state=0), "data.parquet")  # without a name
    assert [column.name for column in load(path, target="y").schema.columns] == ["a", "b"]
    path = write(tmp_path, table.rename_axis("row"), "data.parquet")
    assert [column.name for column in load(path, target="y").schema.columns] == ["row", "a", "b"]


def test_names_that_occur_twice(tmp_path):
    columns = [pa.array(np.arange(N) % k) for k in (2, 3, 5)]
    for names in (["y", "b", "y"], ["y", "b", "y "]):
        pq.write_table(pa.table(columns, names=names), tmp_path / "data.parquet")
        path = tmp_path / "data.parquet"
        fails(lambda: load(path, target="y"), "data.parquet", "two columns are called 'y'")  # noqa: B023
