"""Frames and arrays are read as the files of them are."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits, load_iris
from sources import N, fails, frame, load, write, write_npz

from nas.data import DataOptions, load_dataset
from nas.data.from_memory import dataset_from_memory, features_from_memory
from nas.errors import NasError

ANY = DataOptions("")
CLASSES = np.array(["no", "yes"] * (N // 2))


class ArrowOnly:
    """A frame that gives its columns by Arrow's interface alone, as polars does."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class PandasOnly:
    """A frame of another library that can be turned into one of pandas."""

    def __init__(self, given):
        self._given = given

    def to_pandas(self):
        return self._given


def with_text_views(given):
    """A table of Arrow whose texts are as polars keeps them."""
    table = pa.Table.from_pandas(given, preserve_index=False)
    fields = [
        pa.field(f.name, pa.string_view() if pa.types.is_large_string(f.type) else f.type)
        for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def read(data, target="y", **options):
    return dataset_from_memory(data, target, DataOptions("", **options))


def column(values, **options):
    """How such a column `b` beside others is read."""
    return read(frame(b=values), **options)


@pytest.fixture(scope="module")
def adult(data_dir, tmp_path_factory):
    """The first rows of adult.csv as a frame, and the data set of the file."""
    head = pd.read_csv(data_dir / "adult.csv", nrows=1000)
    path = write(tmp_path_factory.mktemp("adult"), head)
    return head, load(path, target="income")


@pytest.mark.parametrize(
    "kind",
    [
        lambda head: head,
        lambda head: head.set_index(np.arange(len(head))[::-1] * 7),  # no index counts
        lambda head: head.convert_dtypes(),
        lambda head: pa.Table.from_pandas(head),
        lambda head: ArrowOnly(with_text_views(head)),
        lambda head: PandasOnly(head),
        lambda head: {name: head[name].tolist() for name in head.columns},
    ],
    ids=["pandas", "index", "nullable", "arrow", "views", "other", "columns"],
)
def test_frames_of_any_kind_are_the_file(adult, kind):
    head, expected = adult
    dataset = dataset_from_memory(kind(head), "income", ANY)
    assert dataset.hash() == expected.hash()
    assert dataset.schema == expected.schema
    assert (dataset.classes, dataset.positive) == (expected.classes, expected.positive)
    assert dataset.name == "data"


@pytest.mark.parametrize(
    "kind",
    [
        lambda y: y,
        lambda y: y.set_axis(np.arange(len(y))[::-1]),  # no index counts
        lambda y: y.to_frame(),
        lambda y: y.tolist(),
        lambda y: y.to_numpy(dtype=object)[:, None],
        lambda y: pd.Categorical(y),
        lambda y: pa.array(y.tolist()),
        lambda y: pa.chunked_array([y.tolist()]).dictionary_encode(),
    ],
)
def test_a_target_apart_is_its_column(adult, kind):
    head, expected = adult
    found = dataset_from_memory(head.drop(columns="income"), kind(head["income"]), ANY)
    assert found.hash() == expected.hash()


def test_options_hold_as_for_files(adult, tmp_path):
    head, _ = adult
    options = {"drop": ("fnlwgt",), "categorical": ("education_num",), "scaling": "unit"}
    options |= {"max_rows": 200, "label_noise": 0.1, "positive": "<=50K", "groups": "age"}
    expected = load(write(tmp_path, head), target="income", **options)
    found = read(head, "income", **options)
    assert found.hash() == expected.hash()
    assert (found.positive, found.scaling) == (expected.positive, "unit")


def test_arrays_are_the_archive(tmp_path):
    x, y = load_iris(return_X_y=True)
    expected = load_dataset(DataOptions("iris"))
    for data in (x, x.tolist()):
        assert read(data, y).hash() == expected.hash()
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    archive = write_npz(tmp_path, x=x, y=names)
    for target in (names, names.tolist(), names.astype(object), pd.Series(names)):
        assert read(x, target).hash() == load(archive).hash()
    digits = load_digits()
    images = digits.images.astype(np.uint8)
    found = read(images, digits.target, images=True, classes=("3", "8"))
    archive = write_npz(tmp_path, x=images, y=digits.target)
    assert found.hash() == load(archive, classes=("3", "8")).hash()
    assert found.schema.image_shape == (8, 8, 1)


def test_an_array_with_gaps_or_text_is_a_table():
    x = np.arange(2.0 * N).reshape(N, 2)
    x[3, 1] = np.nan
    dataset = read(x, CLASSES)
    assert [c.name for c in dataset.schema.columns] == ["1", "2"]
    np.testing.assert_array_equal(dataset.features, x)
    rows = [[k / 2, "u" if k % 3 else "v"] for k in range(N)]
    dataset = read(rows, CLASSES)
    assert [c.kind for c in dataset.schema.columns] == ["numeric", "categorical"]
    assert dataset.features["1"].tolist() == [k / 2 for k in range(N)]
    masked = np.ma.masked_array(np.arange(2.0 * N).reshape(N, 2), mask=False)
    masked[3, 1] = np.ma.masked
    assert read(masked, CLASSES).hash() == read(x, CLASSES).hash()


@pytest.mark.parametrize(
    "values, expected",
    [
        ([True, False] * 20, [1.0, 0.0]),
        (pd.array([3, None] * 20, dtype="Int64"), [3.0, np.nan]),
        (pd.array([0.5, 2] * 20, dtype=pd.SparseDtype("float")), [0.5, 2.0]),
        ([Decimal("1.50"), Decimal("2")] * 20, [1.5, 2.0]),
        ([7, 8.5] * 20, [7.0, 8.5]),
        (np.array([1, 2] * 20, dtype=np.float16), [1.0, 2.0]),
    ],
)
def test_numbers(values, expected):
    dataset = column(values)
    np.testing.assert_array_equal(dataset.features[:2, 1], expected)


@pytest.mark.parametrize(
    "values, expected",
    [
        (pd.Categorical(["u", "v"] * 20), ["u", "v"]),
        (pd.Categorical([3, None] * 20), ["3", ""]),  # numbers, but said to be categories
        (["u", None] * 20, ["u", ""]),
        (["u", np.nan] * 20, ["u", ""]),
        (["u", 3] * 20, ["u", "3"]),
        (pd.cut([0.5, 1.5] * 20, [0, 1, 2]), ["(0, 1]", "(1, 2]"]),
        (pd.arrays.IntervalArray.from_breaks(range(N + 1))[[0, 1] * 20], ["(0, 1]", "(1, 2]"]),
    ],
)
def test_categories(values, expected):
    assert column(values).features["b"][:2].tolist() == expected


def test_categories_of_arrow_are_categories():
    codes = pa.array([10, 20] * (N // 2)).dictionary_encode()
    table = pa.table({"a": np.arange(N) / 10, "b": codes, "y": CLASSES})
    assert read(table).features["b"][:2].tolist() == ["10", "20"]


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2024-01-01", periods=N, tz="UTC"),
        pd.period_range("2024-01", periods=N, freq="M"),
        pd.to_timedelta(np.arange(N), unit="h"),
        [datetime.date(2024, 1, 1 + k % 28) for k in range(N)],
    ],
)
def test_dates_are_dates(values):
    dataset = column(values)
    assert [one.kind for one in dataset.schema.columns] == ["numeric", "date"]
    assert len(np.unique(dataset.features["b"])) == len(set(values))


def test_a_categorical_target_is_classes():
    levels = np.arange(N) % 25
    y = pd.Series(np.where(levels < 20, levels, 0))
    assert read(frame()[["a"]], pd.Series(np.arange(N) * 1.5)).task == "regression"
    assert read(frame()[["a"]], y.astype("category")).task == "multiclass"
    assert read(np.arange(N)[:, None], y.astype("category")).task == "multiclass"
    assert read(frame(y=y.astype("category"))).task == "multiclass"
    assert read(frame(y=(y > 5).astype("category"))).task == "binary"


def test_rows_without_a_target_are_left_out():
    y = pd.Series(CLASSES, dtype=object).where(np.arange(N) > 2, None)
    assert read(frame()[["a"]], y).n_rows == N - 3


WRONG = [
    (frame(), None, "target", "none was given"),
    (frame(), "Y", "target", "no column 'Y'"),
    (frame(), frame()["y"], "target", "is called 'y'"),
    (frame()[["a"]], CLASSES[:-1], "target", "39 values for 40 rows"),
    (frame()[["a"]], np.eye(N), "target", "an array shaped (40, 40)"),
    (frame()[["a"]], pd.date_range("2024", periods=N), "target", "got dates"),
    (frame()[["a"]], ["u"] * N, "target", "one value only"),
    (frame(y=["u"] * N), "y", "data: y", "one value only"),
    (frame(b=[[1]] * N), "y", "data: b", "lists"),
    (frame(b=[1j] * N), "y", "data: b", "complex"),
    (frame(b=[1e31] * N), "y", "data: b", "1e+31"),
    (frame()[:0], "y", "data", "no rows"),
    (pd.DataFrame(), "y", "data", "no columns"),
    (frame().set_axis(["a", "a"], axis=1), "a", "data", "two columns are called 'a'"),
    ({"a": [1, 2], "y": [1]}, "y", "data", "cannot be read as a table"),
    (np.ones((N, 2)), "y", "target", "have no names"),
    (np.full((N, 2), 1e31), CLASSES, "data", "1e+31"),
    (np.arange(N) + 1e9, CLASSES, "data", "differ by"),
    (np.arange(N), [None, *CLASSES[1:]], "target", "no value in row 1"),
    (np.arange(N), pd.date_range("2024", periods=N), "target", "got dates"),
    (np.arange(N), np.full(N, np.inf), "target", "infinite"),
    ([[1, 2], [3]], [0, 1], "data", "cannot be read"),
    (object(), CLASSES, "data", "got an object of type object"),
    (np.full((N, 2, 2), "u"), CLASSES, "data", "shaped (40, 2, 2)"),
]


@pytest.mark.parametrize("data, target, where, received", WRONG)
def test_what_is_wrong_names_the_parameter(data, target, where, received):
    with pytest.raises(NasError) as caught:
        read(data, target)
    assert caught.value.where == where
    assert received in caught.value.received


def test_options_of_tables_and_images_are_refused_for_others():
    fails(lambda: read(np.arange(N), CLASSES, drop=("a",)), "--drop", "('a',)", "a frame with it")
    fails(lambda: read(frame(), images=True), "data", "numeric features", "images")


# Rows to predict for


def test_rows_to_predict_for(adult):
    head, dataset = adult
    new = head.drop(columns="income").sample(frac=0.1, random_state=0)
    for data in (new[new.columns[::-1]].assign(more=1), pa.Table.from_pandas(new), new.to_numpy()):
        features = features_from_memory(data, dataset.schema)
        for name, values in dataset.features.items():
            np.testing.assert_array_equal(features[name], values[new.index])
    fails(lambda: features_from_memory(new[["age"]], dataset.schema), "data", "no column")
    fails(lambda: features_from_memory(new.to_numpy()[:, 1:], dataset.schema), "data", "(100, 13)")


def test_arrays_to_predict_for():
    schema = load_dataset(DataOptions("iris")).schema
    x, _ = load_iris(return_X_y=True)
    np.testing.assert_array_equal(features_from_memory(x[:5], schema), x[:5])
    np.testing.assert_array_equal(features_from_memory(pd.DataFrame(x[:5]), schema), x[:5])
    fails(lambda: features_from_memory(x[:, :2], schema), "data", "rows shaped (2,)")
    fails(lambda: features_from_memory(x * np.nan, schema), "data", "NaN")
