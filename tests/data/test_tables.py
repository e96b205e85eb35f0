"""CSV and Parquet files: what is inferred from them, and how mistakes are told."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sources import N, fails, frame, load, write

from nas.data import Column, Schema, load_features, n_rows, take_rows
from nas.errors import NasError


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


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.npz"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    fails(lambda: load(tmp_path / name), name, "the file is empty", "a file with data")


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_a_header_without_rows(tmp_path, name):
    path = write(tmp_path, frame().iloc[:0], name)
    fails(lambda: load(path, target="y"), name, "a header without rows", "at least one row")


def test_blank_lines_are_an_empty_file(tmp_path):
    path = write(tmp_path, "\n\n\n")
    fails(lambda: load(path, target="y"), "data.csv", "the file is empty", "a header line")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,y\n\x00\x01\x81,1\n")
    fails(lambda: load(path, target="y"), "data.csv", "cannot be read as a table", "CSV")


@pytest.mark.parametrize("first_long_row", [0, 5])
def test_rows_longer_than_the_header(tmp_path, first_long_row):
    rows = [f"{k},{k},{k % 2}" + (",7" if k >= first_long_row else "") for k in range(N)]
    path = write(tmp_path, "\n".join(["a,b,y", *rows]))
    fails(lambda: load(path, target="b"), "data.csv", "cannot be read as a table")


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


@pytest.mark.parametrize("text", ["", "?", "nan", "#N/A"])
def test_rows_without_a_target_are_left_out(tmp_path, text):
    values = [text if k in (4, 6) else str(k % 2) for k in range(N)]
    path = write(tmp_path, frame(y=values, who=[f"p{k // 2}" for k in range(N)]))
    dataset = load(path, target="y", groups="who")
    kept = [k for k in range(N) if k not in (4, 6)]
    assert dataset.y.tolist() == [k % 2 for k in kept]
    assert dataset.features[:, 0].tolist() == [k / 10 for k in kept]
    assert len(dataset.groups) == len(kept)
    assert dataset.notes == ("2 rows without a target ('y') are left out, first row 5",)


def test_rows_without_a_target_in_parquet(tmp_path):
    values = np.where(np.arange(N) == 4, np.nan, np.arange(N))
    dataset = load(write(tmp_path, frame(y=values), "data.parquet"), target="y")
    assert dataset.y.tolist() == [k for k in range(N) if k != 4]
    assert dataset.notes == ("1 row without a target ('y') is left out, first row 5",)


def test_no_row_with_a_target(tmp_path):
    path = write(tmp_path, frame(y="?"))
    fails(lambda: load(path, target="y"), "data.csv: y", "no row has a target", "in every row")


def test_words_for_missing_may_be_classes(tmp_path):
    path = write(tmp_path, frame(y=[["none", "few", "many", "?"][k % 4] for k in range(N)]))
    dataset = load(path, target="y")
    assert dataset.classes == ("few", "many", "none")
    assert "'none' is a class of 'y'; --missing none leaves its rows out" in dataset.notes
    dataset = load(path, target="y", missing=("None",))
    assert (dataset.classes, dataset.n_rows) == (("few", "many"), N // 2)


@pytest.mark.parametrize("column", ["a", "y"])
@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_infinite_numbers(tmp_path, name, column):
    numbers = {"y": np.arange(N) * 1.0} | {column: np.where(np.arange(N) == 4, np.inf, 1.0)}
    path = write(tmp_path, frame(**numbers), name)
    where, received = f"{name}: {column}", "infinite in 1 row, first in row 5"
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
def test_dates_of_parquet(tmp_path, zone):
    days = pd.date_range("2020-01-01", periods=N, tz=zone)
    dataset = load(write(tmp_path, frame(day=days), "data.parquet"), target="y")
    assert [column.kind for column in dataset.schema.columns] == ["numeric", "date"]
    assert dataset.features["day"][0] == (days[0].date() - date(1970, 1, 1)).days


def test_dates_as_a_target(tmp_path):
    days = pd.date_range("2020-01-01", periods=N)
    path = write(tmp_path, frame(y=days), "data.parquet")
    fails(lambda: load(path, target="y"), "data.parquet: y", "dates")


def test_a_slash_in_a_name(tmp_path):
    path = write(tmp_path, frame(**{"km/h": 1, "c": ["u", "v"] * (N // 2)}))
    assert [column.name for column in load(path, target="y").schema.columns] == ["a", "km/h", "c"]


def test_features_of_a_table(tmp_path):
    table = frame(c=["u", "v"] * (N // 2))
    schema = load(write(tmp_path, table), target="y").schema
    new = write(tmp_path, table[["c", "a"]].iloc[:3].assign(more=1), "new.csv")
    features = load_features(str(new), schema)
    assert list(features) == ["a", "c"]
    assert features["a"].tolist() == [0.0, 0.1, 0.2]
    assert features["c"].tolist() == ["u", "v", "u"]


# What a critical reader found


@pytest.mark.parametrize("word", ["-", "n.d."])
@pytest.mark.parametrize("of_three", [1, 2])
def test_a_word_in_any_share_of_a_column_of_numbers_is_told(tmp_path, word, of_three):
    cells = [word if k % 3 < of_three else k / 8 for k in range(90)]
    table = pd.DataFrame({"a": range(90), "b": cells, "y": [k % 2 for k in range(90)]})
    path = write(tmp_path, table)
    with pytest.raises(NasError, match=rf"b, row 1: got '{word}'; .*missing"):
        load(path, target="y")
    assert np.isnan(load(path, target="y", missing=(word,)).features[0, 1])
    with pytest.raises(NasError, match=rf"b, row 1: got '{word}'; .*leaves out such rows"):
        load(path, target="b")


def test_long_ids_are_not_made_one(tmp_path):
    ids = [str(1234567890123456000 + k % 4) for k in range(N)]
    path = write(tmp_path, frame(id=ids))
    with pytest.raises(NasError, match=r"id: got numbers such as 1234567890123456000; .*drop id"):
        load(path, target="y")
    chosen = load(path, target="y", categorical=("id",))
    assert len(set(chosen.features["id"])) == 4
    far = write(tmp_path, frame(t=[1_700_000_000_000_000_000 + k * 10**15 for k in range(N)]))
    assert len(load(far, target="y").schema.columns) == 2  # nanoseconds that floats tell apart


@pytest.mark.parametrize("option", ["drop", "groups"])
def test_the_target_is_nothing_else_too(tmp_path, option):
    value = ("y",) if option == "drop" else "y"
    with pytest.raises(NasError, match=f"{option}: got 'y', which is the target"):
        load(write(tmp_path, frame()), target="y", **{option: value})


@pytest.mark.parametrize("word", ["NaN", "N/A", "?", ""])
def test_rows_without_a_group_are_alone_whatever_stands_there(tmp_path, word):
    table = frame(g=[word if k % 2 else "u" for k in range(N)])
    dataset = load(write(tmp_path, table), target="y", groups="g")
    assert sorted(np.unique(dataset.groups, return_counts=True)[1]) == [1] * (N // 2) + [N // 2]


def test_a_file_separated_by_blanks_is_told(tmp_path):
    path = write(tmp_path, "a b y\n" + "1 2 3\n" * 20)
    with pytest.raises(NasError, match=r"one of 'a b y'.* separated by blanks"):
        load(path, target="y")


@pytest.mark.parametrize("text", ["${}.3M", "{}/8", "2024-W{:02d}", "{}±0.1", "'{}"])
def test_what_looks_like_numbers_and_is_not_read_is_told(tmp_path, text):
    dataset = load(
        write(tmp_path, frame(c=[text.format(k % 20 + 1) for k in range(N)])), target="y"
    )
    assert "c" in str(dataset.dropped) or any("'c' is categories, as" in n for n in dataset.notes)
    codes = frame(c=[f"A{k % 20}" for k in range(N)])
    assert load(write(tmp_path, codes), target="y").notes == ()
