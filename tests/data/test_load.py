"""Reading data: every source, what is inferred from it, and how mistakes are told."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from nas.data import Column, DataOptions, Schema, load_dataset, load_features, n_rows, take_rows
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
    assert where in error.where
    assert received in error.received
    assert expected in error.expected
    assert fix in error.fix
    assert "\n" not in str(error)
    assert str(error).startswith(f"{error.where}: {error.received[:20]}")


# scikit-learn's data


@pytest.mark.parametrize(
    "name, rows, n_inputs, task, classes",
    [
        ("digits", 1797, 64, "multiclass", tuple(range(10))),
        ("iris", 150, 4, "multiclass", (0, 1, 2)),
        ("wine", 178, 13, "multiclass", (0, 1, 2)),
        ("breast_cancer", 569, 30, "binary", (0, 1)),
        ("diabetes", 442, 10, "regression", ()),
    ],
)
def test_sets_of_scikit_learn(name, rows, n_inputs, task, classes):
    dataset = load(name)
    assert (dataset.name, dataset.n_rows, dataset.task) == (name, rows, task)
    assert dataset.features.shape == (rows, n_inputs)
    assert dataset.schema == Schema((), (n_inputs,))
    assert dataset.classes == classes
    assert dataset.n_outputs == (len(classes) if task == "multiclass" else 1)
    assert dataset.y.dtype == (np.float64 if task == "regression" else np.int64)
    assert dataset.test_rows is None


def test_digits_as_images():
    flat, images = load("digits"), load("digits", images=True)
    assert images.schema == Schema((), (8, 8))
    assert np.array_equal(images.features.reshape(-1, 64), flat.features)
    assert np.array_equal(load_features("digits", images.schema), images.features)
    assert images.hash() != flat.hash()


# Tables


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.pq", "DATA.CSV"])
def test_a_table_of_numbers_is_an_array(tmp_path, name):
    table = frame(b=np.arange(N))
    path = tmp_path / name
    if name.lower().endswith("csv"):
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    dataset = load(path, target="y")
    assert dataset.name == path.stem
    assert dataset.schema == Schema((Column("a", "numeric"), Column("b", "numeric")), (2,))
    assert np.array_equal(dataset.features, table[["a", "b"]])
    assert dataset.y.tolist() == [0, 1] * (N // 2)
    assert (dataset.task, dataset.classes) == ("binary", ("no", "yes"))


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_a_table_with_text_is_a_mapping_of_columns(tmp_path, name):
    dataset = load(write(tmp_path, frame(c=["x", "y"] * (N // 2)), name), target="y")
    assert dataset.schema.columns == (Column("a", "numeric"), Column("c", "categorical"))
    assert list(dataset.features) == ["a", "c"]
    assert dataset.features["a"].dtype == np.float64
    assert dataset.features["c"].tolist() == ["x", "y"] * (N // 2)
    assert all(type(text) is str for text in dataset.features["c"])
    assert n_rows(dataset.features) == N
    assert take_rows(dataset.features, np.array([3, 0]))["a"].tolist() == [0.3, 0.0]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(tmp_path, separator):
    path = tmp_path / "data.csv"
    frame(b=1.5).to_csv(path, index=False, sep=separator)
    dataset = load(path, target="y")
    assert [column.name for column in dataset.schema.columns] == ["a", "b"]
    assert dataset.features[2].tolist() == [0.2, 1.5]


def test_commas_in_the_text_of_a_semicolon_file(tmp_path):
    names = ["Doe", "Smith, J, K"]
    lines = [f"{names[k % 2]};{k};{k % 3 % 2}" for k in range(N)]
    path = write(tmp_path, "\n".join(["name;a;y", *lines]))
    dataset = load(path, target="y")
    assert dataset.features["name"].tolist() == names * (N // 2)


def test_a_byte_order_mark_and_spaces_are_no_part_of_a_name(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a, y\n" + "".join(f"{k}, {k % 2}\n" for k in range(N)), encoding="utf-8-sig")
    assert load(path, target="y").schema.columns == (Column("a", "numeric"),)


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


@pytest.mark.parametrize("text", ["", "?", "NA", "n/a", "NaN", "null", "None", " ? "])
def test_missing_numbers(tmp_path, text):
    values = [text if k == 3 else str(k) for k in range(N)]
    dataset = load(write(tmp_path, frame(b=values)), target="y")
    assert dataset.schema.columns[1] == Column("b", "numeric")
    assert np.flatnonzero(np.isnan(dataset.features[:, 1])).tolist() == [3]


def test_a_question_mark_is_a_category_among_text(tmp_path):
    values = [["x", "?", "", "NA"][k % 4] for k in range(N)]
    dataset = load(write(tmp_path, frame(b=values)), target="y")
    assert dataset.features["b"].tolist() == values


def test_a_question_mark_is_missing_among_numbers_beside_text(tmp_path):
    table = frame(b=["?", "2"] * (N // 2), c=["?", "x"] * (N // 2))
    dataset = load(write(tmp_path, table), target="y")
    assert np.isnan(dataset.features["b"]).tolist() == [True, False] * (N // 2)
    assert dataset.features["c"].tolist() == ["?", "x"] * (N // 2)


@pytest.mark.parametrize(
    "values, column",
    [
        (pd.array([1, None, 3, 4] * 10, dtype="Int64"), [1, np.nan, 3, 4]),
        (pd.array([True, None, False, True] * 10, dtype="boolean"), [1, np.nan, 0, 1]),
        (np.array([True, None, False, True] * 10, dtype=object), [1, np.nan, 0, 1]),
        (np.array([True, False] * 20), [1, 0, 1, 0]),
        (np.array([1.5, np.nan] * 20, dtype=np.float32), [1.5, np.nan, 1.5, np.nan]),
        (pd.Categorical([3, 5] * 20), [3, 5, 3, 5]),
    ],
)
def test_numbers_of_parquet(tmp_path, values, column):
    dataset = load(write(tmp_path, frame(b=values), "data.parquet"), target="y")
    assert dataset.schema.columns[1] == Column("b", "numeric")
    assert np.array_equal(dataset.features[:4, 1], column, equal_nan=True)


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(["u", "v", "u", None] * 10),
        pd.array(["u", "v", "u", None] * 10, dtype="string"),
        np.array(["u", "v", "u", None] * 10, dtype=object),
    ],
)
def test_text_of_parquet(tmp_path, values):
    dataset = load(write(tmp_path, frame(b=values), "data.parquet"), target="y")
    assert dataset.schema.columns[1] == Column("b", "categorical")
    assert dataset.features["b"].tolist() == ["u", "v", "u", ""] * 10


def test_booleans_of_csv_are_categories(tmp_path):
    dataset = load(write(tmp_path, frame(b=[True, False] * (N // 2))), target="y")
    assert dataset.features["b"].tolist() == ["True", "False"] * (N // 2)


def test_numbers_can_be_declared_categories(tmp_path):
    path = write(tmp_path, frame(zip=["01", "02"] * (N // 2), b=1.0))
    assert not load(path, target="y").schema.is_table
    dataset = load(path, target="y", categorical=("zip",))
    assert dataset.schema.columns[1:] == (Column("zip", "categorical"), Column("b", "numeric"))
    assert dataset.features["zip"].tolist() == ["01", "02"] * (N // 2)


def test_columns_that_teach_nothing_are_dropped(tmp_path):
    table = frame(id=[f"row {k}" for k in range(N)], empty="", marks="?")
    dataset = load(write(tmp_path, table), target="y")
    assert dataset.schema.columns == (Column("a", "numeric"),)
    assert dataset.dropped == {
        "id": "every row has another text",
        "empty": "no values",
        "marks": "no values",
    }


@pytest.mark.parametrize("n, kept", [(20, True), (21, False)])
def test_few_rows_with_different_texts_are_no_identifier(tmp_path, n, kept):
    table = pd.DataFrame({"t": [f"t{k}" for k in range(n)], "a": range(n), "y": np.arange(n) % 2})
    dataset = load(write(tmp_path, table), target="y")
    assert ("t" in dataset.features) == kept if dataset.schema.is_table else not kept


def test_columns_can_be_dropped(tmp_path):
    path = write(tmp_path, frame(b=1, c=2, d="x"))
    dataset = load(path, target="y", drop=("b", "d"))
    assert [column.name for column in dataset.schema.columns] == ["a", "c"]


def test_groups(tmp_path):
    who = [["ann", "bob", "cyd"][k % 3] for k in range(N)]
    dataset = load(write(tmp_path, frame(who=who)), target="y", groups="who")
    assert dataset.groups.tolist() == [k % 3 for k in range(N)]
    assert dataset.schema.columns == (Column("a", "numeric"),)
    assert load(write(tmp_path, frame()), target="y").groups is None


# Arrays


def test_npz_with_x_and_y(tmp_path):
    x = np.arange(N * 3.0).reshape(N, 3)
    dataset = load(write_npz(tmp_path, x=x, y=np.arange(N) % 3))
    assert (dataset.name, dataset.task, dataset.classes) == ("data", "multiclass", (0, 1, 2))
    assert np.array_equal(dataset.features, x)
    assert dataset.schema == Schema((), (3,))
    assert dataset.test_rows is None


def test_npz_in_the_layout_of_keras(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (N, 2, 2)).astype(np.uint8)
    labels = (np.arange(N) % 2)[:, None].astype(np.uint8)
    path = write_npz(
        tmp_path,
        x_test=pixels[30:],
        y_test=labels[30:],
        x_train=pixels[:30],
        y_train=labels[:30],
    )
    dataset = load(path)
    assert np.array_equal(dataset.features, pixels)
    assert dataset.y.tolist() == labels[:, 0].tolist()
    assert dataset.test_rows.tolist() == list(range(30, N))
    assert dataset.schema.row_shape == (2, 2)
    assert "2 x 2 pixel" in dataset.describe()


@pytest.mark.parametrize(
    "y, task, classes",
    [
        (np.array(["b", "a"] * (N // 2)), "binary", ("a", "b")),
        (np.array([True, False] * (N // 2)), "binary", (False, True)),
        (np.linspace(0, 1, N), "regression", ()),
        (np.linspace(0, 1, N)[:, None], "regression", ()),
    ],
)
def test_targets_of_npz(tmp_path, y, task, classes):
    dataset = load(write_npz(tmp_path, x=np.ones((N, 1)), y=y))
    assert (dataset.task, dataset.classes) == (task, classes)
    assert dataset.y.shape == (N,)


def test_a_single_feature_may_be_one_dimensional(tmp_path):
    path = write_npz(tmp_path, x=np.arange(float(N)), y=np.arange(N) % 2)
    dataset = load(path)
    assert dataset.features.shape == (N, 1)
    assert np.array_equal(load_features(str(path), dataset.schema), dataset.features)


# Images


@pytest.mark.parametrize(
    "row_shape, image_shape",
    [
        ((4, 3), (4, 3, 1)),
        ((4, 3, 1), (4, 3, 1)),
        ((4, 3, 3), (4, 3, 3)),
        ((12,), ()),
        ((2, 2, 3, 1), ()),
    ],
)
def test_the_shape_of_an_image(tmp_path, row_shape, image_shape):
    x = np.arange(N * np.prod(row_shape)).reshape(N, *row_shape)
    path = write_npz(tmp_path, x=x, y=np.arange(N) % 2)
    assert load(path).schema.image_shape == image_shape
    if image_shape:
        assert np.array_equal(load(path, images=True).features, x)
    else:
        fails(lambda: load(path, images=True), "data.npz", "rows of ", "images")


def test_a_table_has_no_images(tmp_path):
    path = write(tmp_path, frame(b=1.0, c=["u", "v"] * (N // 2)))
    assert load(path, target="y").schema.image_shape == ()
    for drop, received in (((), "2 numeric and 1 categorical"), (("c",), "2 numeric")):
        fails(
            lambda drop=drop: load(path, target="y", drop=drop, images=True),
            "data.csv",
            f"rows of {received} features",
            "images, which network: cnn needs",
            "x is shaped (rows, height, width) or (rows, height, width, channels), or a folder",
        )


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_other_sets_of_scikit_learn_have_no_images(name):
    fails(lambda: load(name, images=True), name, "numeric features", "images", "an .npz file")


# Keras's data


def small_mnist(folder):
    x = np.zeros((N, 28, 28), np.uint8)
    return write_npz(
        folder,
        "mnist.npz",
        x_train=x,
        y_train=np.arange(N) % 10,
        x_test=x[:10],
        y_test=np.arange(10),
    )


def test_a_local_copy_is_read_by_name(tmp_path, monkeypatch):
    small_mnist(tmp_path)
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    dataset = load("mnist", images=True)
    assert (dataset.name, dataset.n_rows, len(dataset.test_rows)) == ("mnist", N + 10, 10)
    assert dataset.schema.image_shape == (28, 28, 1)


def keras_with(load_data):
    module = SimpleNamespace(load_data=load_data)
    return SimpleNamespace(datasets=SimpleNamespace(mnist=module))


@pytest.mark.parametrize("folder", [None, "empty"])
def test_without_a_local_copy_keras_is_asked(tmp_path, monkeypatch, folder):
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    if folder:
        monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    x, y = np.zeros((N, 28, 28), np.uint8), np.arange(N) % 10
    monkeypatch.setitem(sys.modules, "keras", keras_with(lambda: ((x, y), (x[:7], y[:7]))))
    assert len(load("mnist").test_rows) == 7


def test_a_failed_download_is_told(monkeypatch):
    def load_data():
        raise Exception("URL fetch failure\non https://example.org: None")

    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    monkeypatch.setitem(sys.modules, "keras", keras_with(load_data))
    fails(lambda: load("mnist"), "mnist", "could not be downloaded (Exc", "", "--data path/mnist")


# Real data


@pytest.fixture(scope="module")
def adult(data_dir):
    return load(data_dir / "adult.csv", target="income")


def test_adult(adult):
    assert (adult.n_rows, adult.task, adult.classes) == (32_561, "binary", ("<=50K", ">50K"))
    kinds = [column.kind for column in adult.schema.columns]
    assert (kinds.count("numeric"), kinds.count("categorical")) == (6, 8)
    assert adult.y.mean() == pytest.approx(0.2408, abs=1e-4)
    assert "?" in adult.features["workclass"]
    assert not np.isnan(adult.features["age"]).any()
    assert adult.dropped == {}
    assert adult.describe() == (
        "adult: 32,561 rows, 6 numeric and 8 categorical features, binary (2 classes)"
    )


def test_abalone(data_dir):
    dataset = load(data_dir / "abalone.csv", target="rings")
    assert (dataset.n_rows, dataset.task, dataset.n_outputs) == (4_177, "regression", 1)
    assert (dataset.y.min(), dataset.y.max()) == (1, 29)
    assert set(dataset.features["sex"]) == {"F", "I", "M"}


def test_california_housing(data_dir):
    dataset = load(data_dir / "california_housing.csv", target="median_house_value")
    assert (dataset.n_rows, dataset.task) == (20_640, "regression")
    missing = {
        name: int(np.isnan(values).sum())
        for name, values in dataset.features.items()
        if values.dtype != object
    }
    assert missing.pop("total_bedrooms") == 207
    assert set(missing.values()) == {0}
    assert dataset.schema.columns[-1] == Column("ocean_proximity", "categorical")


def test_mnist_by_name(data_dir, monkeypatch):
    monkeypatch.setenv("NAS_DATA_DIR", str(data_dir))
    dataset = load("mnist")
    assert dataset.features.shape == (70_000, 28, 28)
    assert dataset.test_rows.tolist() == list(range(60_000, 70_000))
    assert (dataset.task, dataset.classes) == ("multiclass", tuple(range(10)))
    assert dataset.features[:60_000].mean() / 255 == pytest.approx(0.1307, abs=1e-4)


# Mistakes with files


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "none.npz"])
def test_a_missing_file(tmp_path, name):
    fails(lambda: load(tmp_path / name, target=None), name, "no such file", "a file with data")


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.npz"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    fails(lambda: load(tmp_path / name), name, "the file is empty", "a file with data")


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.npz"])
def test_a_folder(tmp_path, name):
    (tmp_path / name).mkdir()
    fails(lambda: load(tmp_path / name), name, "is a folder", "a file with data")


@pytest.mark.parametrize("name", ["data.parquet", "data.npz"])
def test_a_file_of_another_kind(tmp_path, name):
    path = write(tmp_path, "a,y\n1,2\n", "x.csv").rename(tmp_path / name)
    fails(lambda: load(path, target=None), name, "cannot be read", "")


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_a_header_without_rows(tmp_path, name):
    path = write(tmp_path, frame().iloc[:0], name)
    fails(lambda: load(path, target="y"), name, "a header without rows", "at least one row")


def test_blank_lines_are_an_empty_file(tmp_path):
    path = write(tmp_path, "\n\n\n")
    fails(lambda: load(path, target="y"), "data.csv", "the file is empty", "a header line")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,y\n\xff\xfe,1\n")
    fails(lambda: load(path, target="y"), "data.csv", "cannot be read as a table", "CSV")


@pytest.mark.parametrize("first_long_row", [0, 5])
def test_rows_longer_than_the_header(tmp_path, first_long_row):
    rows = [f"{k},{k},{k % 2}" + (",7" if k >= first_long_row else "") for k in range(N)]
    path = write(tmp_path, "\n".join(["a,b,y", *rows]))
    fails(lambda: load(path, target="b"), "data.csv", "cannot be read as a table")


# Mistakes with columns


def test_a_missing_target_column(tmp_path):
    path = write(tmp_path, frame(income=1))
    fails(
        lambda: load(path, target="incme"),
        "data.csv",
        "no column 'incme' for --target",
        "one of a, y, income",
        "Did you mean 'income'?",
    )


@pytest.mark.parametrize(
    "option, value", [("groups", "b"), ("drop", ("a", "b")), ("categorical", ("b",))]
)
def test_a_missing_column(tmp_path, option, value):
    path = write(tmp_path, frame())
    received = f"no column 'b' for --{option}"
    fails(lambda: load(path, target="y", **{option: value}), "data.csv", received, "one of a, y")


def test_no_target(tmp_path):
    path = write(tmp_path, frame())
    fails(lambda: load(path), "data.csv", "no target", "one of a, y", "such as --target y")


def test_no_features(tmp_path):
    path = write(tmp_path, frame()[["y"]])
    fails(lambda: load(path, target="y"), "data.csv", "no feature column is left", "at least one")


def test_a_target_of_one_class(tmp_path):
    path = write(tmp_path, frame(y="yes"))
    fails(lambda: load(path, target="y"), "data.csv: y", "one value only (yes)", "two classes")


@pytest.mark.parametrize("text", ["", "?", "nan"])
def test_a_missing_target(tmp_path, text):
    values = [text if k in (4, 6) else str(k % 2) for k in range(N)]
    path = write(tmp_path, frame(y=values))
    received = "missing in 2 rows, first in row 5"
    fails(lambda: load(path, target="y"), "data.csv: y", received, "a target in every row")


def test_a_missing_target_in_parquet(tmp_path):
    values = np.where(np.arange(N) == 4, np.nan, np.arange(N))
    path = write(tmp_path, frame(y=values), "data.parquet")
    fails(lambda: load(path, target="y"), "data.parquet: y", "missing in 1 rows, first in row 5")


@pytest.mark.parametrize("column", ["a", "y"])
@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_infinite_numbers(tmp_path, name, column):
    numbers = {"y": np.arange(N) * 1.0} | {column: np.where(np.arange(N) == 4, np.inf, 1.0)}
    path = write(tmp_path, frame(**numbers), name)
    where, received = f"{name}: {column}", "infinite in 1 rows, first in row 5"
    fails(lambda: load(path, target="y"), where, received, "finite numbers")


def test_text_in_a_numeric_column(tmp_path):
    values = ["12O" if k == 77 else str(k) for k in range(200)]
    table = pd.DataFrame({"a": values, "y": np.arange(200) % 2})
    path = write(tmp_path, table)
    fails(
        lambda: load(path, target="y"),
        "data.csv: a, row 78",
        "got '12O'",
        "a number",
        "--categorical a",
    )
    assert load(path, target="y", categorical=("a",)).features["a"][77] == "12O"


def test_text_after_missing_values_names_its_own_row(tmp_path):
    values = ["" if k < 50 else "x" if k == 77 else str(k) for k in range(250)]
    path = write(tmp_path, pd.DataFrame({"a": values, "y": np.arange(250) % 2}))
    fails(lambda: load(path, target="y"), "data.csv: a, row 78", "got 'x'", "a number")


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_dates(tmp_path, zone):
    days = pd.date_range("2020-01-01", periods=N, tz=zone)
    path = write(tmp_path, frame(day=days), "data.parquet")
    fails(lambda: load(path, target="y"), ": day", "got dates", "numbers or text", "--drop day")
    assert load(path, target="y", drop=("day",)).n_rows == N


def test_dates_as_a_target(tmp_path):
    days = pd.date_range("2020-01-01", periods=N)
    path = write(tmp_path, frame(y=days), "data.parquet")
    fails(lambda: load(path, target="y"), "data.parquet: y", "dates")


def test_a_slash_in_a_name(tmp_path):
    path = write(tmp_path, frame(**{"km/h": 1, "c": ["u", "v"] * (N // 2)}))
    fails(lambda: load(path, target="y"), "data.csv", "'km/h' has a slash", "", "Rename")


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


# Mistakes with arrays


@pytest.mark.parametrize(
    "arrays, received",
    [
        ({"x": np.ones((4, 1))}, "holds x"),
        ({"a": np.ones(4), "b": np.ones(4)}, "holds a, b"),
        ({"x_train": np.ones((4, 1)), "y_train": np.ones(4)}, "holds x_train, y_train"),
        ({}, "holds nothing"),
    ],
)
def test_npz_without_its_arrays(tmp_path, arrays, received):
    path = write_npz(tmp_path, **arrays)
    fails(lambda: load(path), "data.npz", received, "arrays x and y, or x_train")


Y = np.arange(N) % 2


@pytest.mark.parametrize(
    "arrays, where, received, expected",
    [
        ({"x": np.ones((N, 1)), "y": Y[1:]}, "", "y has shape (39,) for 40 rows", "one value"),
        ({"x": np.ones((N, 1)), "y": np.eye(N)}, "", "y has shape (40, 40)", "one value a row"),
        ({"x": np.full((N, 1), "a"), "y": Y}, ": x", "an array of <U1", "numbers"),
        ({"x": np.ones((N, 1), complex), "y": Y}, ": x", "an array of complex128", "numbers"),
        ({"x": np.ones((N, 1)), "y": Y.astype("S")}, ": y", "an array of |S", "numbers or text"),
        ({"x": np.ones((N, 1)), "y": Y * 0}, ": y", "one value only (0)", "two classes"),
        ({"x": np.array([[1, None]] * N), "y": Y}, "", "cannot be read", "a NumPy .npz archive"),
        ({"x": np.ones((0, 3)), "y": np.ones(0)}, "", "", ""),
        ({"x": np.ones((N, 1)), "y": np.array(1.0)}, "", "", ""),
        ({"x": np.array(1.0), "y": Y}, "", "", ""),
        (
            {"x_train": np.ones((N, 3)), "y_train": Y, "x_test": np.ones((N, 4)), "y_test": Y},
            "",
            "",
            "",
        ),
    ],
)
def test_arrays_that_are_no_data(tmp_path, arrays, where, received, expected):
    path = write_npz(tmp_path, **arrays)
    fails(lambda: load(path), f"data.npz{where}", received, expected)


@pytest.mark.parametrize("key, value", [("x", np.nan), ("x", np.inf), ("y", np.nan)])
def test_numbers_of_arrays_must_be_finite(tmp_path, key, value):
    arrays = {"x": np.ones((N, 2, 2)), "y": np.linspace(0, 1, N)}
    arrays[key][4] = value
    path = write_npz(tmp_path, **arrays)
    fails(lambda: load(path), f"data.npz: {key}", "in 1 rows, first in row 5", "finite numbers")


def test_a_corrupt_archive(tmp_path):
    path = write_npz(tmp_path, x=np.random.default_rng(0).random((N, 9)), y=Y)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    fails(lambda: load(path), "data.npz", "cannot be read", "a NumPy .npz archive")
    damaged = bytearray(content)
    damaged[500:600] = b"\xff" * 100
    path.write_bytes(damaged)
    fails(lambda: load(path), "data.npz", "cannot be read", "a NumPy .npz archive")


def test_a_corrupt_compressed_archive(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.arange(3000.0).reshape(N, -1), y=Y)
    content = bytearray(path.read_bytes())
    content[100:140] = b"\x55" * 40
    path.write_bytes(content)
    fails(lambda: load(path), "data.npz", "cannot be read", "a NumPy .npz archive")


def test_a_single_array_is_no_archive(tmp_path):
    path = tmp_path / "data.npz"
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    fails(lambda: load(path), "data.npz", "", "a NumPy .npz archive")


# Mistakes with names


@pytest.mark.parametrize(
    "source, fix", [("digit", "digits"), ("fashion-mnist", "fashion_mnist"), ("irys", "iris")]
)
def test_an_unknown_name_gets_the_nearest(source, fix):
    expected = "one of digits, iris, wine"
    fails(lambda: load(source), source, "no such data set", expected, f"Did you mean '{fix}'?")


def test_a_file_of_unknown_kind(tmp_path):
    path = write(tmp_path, "a,y\n", "data.txt")
    fails(lambda: load(path), "data.txt", "a file of unknown kind", "a .csv, .parquet or .npz file")


@pytest.mark.parametrize("scaling, fix", [("units", "'unit'"), ("minmax", "")])
def test_an_unknown_scaling(scaling, fix):
    expected = "one of standard, unit, symmetric, none"
    fails(lambda: load("iris", scaling=scaling), "--scaling", f"got '{scaling}'", expected, fix)


@pytest.mark.parametrize(
    "option, value", [("target", "y"), ("groups", "g"), ("drop", ("a",)), ("categorical", ("a",))]
)
def test_columns_are_for_tables(option, value):
    fails(lambda: load("digits", **{option: value}), f"--{option}", "for digits", "CSV or Parquet")


# Rows to predict for


def test_features_of_a_table(tmp_path):
    table = frame(c=["u", "v"] * (N // 2))
    schema = load(write(tmp_path, table), target="y").schema
    new = write(tmp_path, table[["c", "a"]].iloc[:3].assign(more=1), "new.csv")
    features = load_features(str(new), schema)
    assert list(features) == ["a", "c"]
    assert features["a"].tolist() == [0.0, 0.1, 0.2]
    assert features["c"].tolist() == ["u", "v", "u"]


def test_features_of_arrays(tmp_path):
    path = write_npz(tmp_path, x_test=np.ones((3, 2, 2)), y_test=np.ones(3))
    assert load_features(str(path), Schema((), (2, 2))).shape == (3, 2, 2)
    assert load_features("iris", Schema((), (4,))).shape == (150, 4)


NUMBERS = Schema((Column("a", "numeric"), Column("b", "numeric")), (2,))


@pytest.mark.parametrize(
    "text, where, received, expected",
    [
        ("a,bb\n1,2\n", "new.csv", "no column 'b', which the model needs", "the columns a, b"),
        ("a,b\n1,2\n1,x\n", "new.csv: b, row 2", "got 'x'", "a number"),
        ("a,b\n1,2\n1,inf\n", "new.csv: b", "infinite in 1 rows, first in row 2", "finite"),
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


# Identity of a data set


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


def test_a_schema_survives_its_dictionary(adult):
    assert Schema.from_dict(adult.schema.to_dict()) == adult.schema
