"""Whether the first line of a CSV file is data, and what columns are called then."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sources import N, fails, frame, load, write

from nas.data import Schema, load_features
from nas.data.csv_file import read_csv
from nas.data.header import first_line_is_data


def is_data(path):
    file = read_csv(path)
    return first_line_is_data(file.first, file.rows)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_sets_of_scikit_learn(tmp_path, name):
    table = getattr(datasets, f"load_{name}")(as_frame=True).frame.iloc[:120]
    for k, some in enumerate((table, table.iloc[60:], table.iloc[::-1], table.iloc[:, :4])):
        for header in (True, False):
            path = tmp_path / f"{k}.csv"
            some.to_csv(path, index=False, header=header)
            assert is_data(path) != header, (name, k, header)


@pytest.mark.parametrize("name", ["abalone", "adult", "california_housing"])
@pytest.mark.parametrize("first", [0, 1, 17, 40])
def test_sets_of_the_web(tmp_path, data_dir, name, first):
    table = pd.read_csv(data_dir / f"{name}.csv", dtype=str, keep_default_na=False)
    for header in (True, False):
        path = tmp_path / "data.csv"
        table.iloc[first : first + 300].to_csv(path, index=False, header=header)
        assert is_data(path) != header


NUMBERS = "\n".join(f"{k % 7 / 4},{k % 3},{k % 5}" for k in range(30))
WORDS = "\n".join(f"{'pqr'[k % 3]},{'uv'[k % 2]}" for k in range(30))


@pytest.mark.parametrize(
    "first, rows",
    [
        ("a,b,c", NUMBERS),
        ("2019,2020,2021", NUMBERS),  # years above numbers
        ("0,1,2", NUMBERS),
        ("1,2,3", NUMBERS),
        ("id,2020,2021", NUMBERS),
        ("a,b,y", "1,2,x\n3,4,y\n5,6,x"),  # a name that is a label as well
        ("color,size", WORDS),
        ("0,1", "\n".join(f"{k}.5,{k}.25" for k in range(9))),
        (
            "400.5,401.0,401.5,402.0,y",
            "\n".join(f"{k % 7},{k % 5},{k % 3},{k % 2},b" for k in range(9)),
        ),
        ("850,853,861,870,872,890", "\n".join("0.1,0.3,0.2,0.7,0.1,0.5" for k in range(30))),
        ("2024-01,2024-02", "\n".join(f"{k},{k + 1}" for k in range(9))),
        ("?,b,c", NUMBERS),
        ("day,n", "2024-01-01,1\n2024-01-02,2\n2024-01-03,3"),
        ("name,street", "Ann,Elm\nBob,Oak\nCyd,Ash"),  # nothing speaks for data
    ],
)
def test_names(tmp_path, first, rows):
    assert not is_data(write(tmp_path, f"{first}\n{rows}\n"))


@pytest.mark.parametrize(
    "first, rows",
    [
        ("0.5,1,2", NUMBERS),
        ("1,1,4", NUMBERS),
        ("?,1,4", NUMBERS),
        ("p,v", WORDS),
        ("5.1,setosa", "\n".join(f"{k}.5,{'setosa' if k % 2 else 'virginica'}" for k in range(9))),
        ("5.1,rare", "\n".join(f"{k}.5,{'setosa' if k % 2 else 'virginica'}" for k in range(9))),
        ("2024-01-01,5", "2024-01-02,1\n2024-01-03,2\n2024-01-04,3"),
        ("2019,3", "\n".join(f"{2015 + k % 6},{k}" for k in range(9))),  # years among years
        ('"1,5","2,5"', "\n".join(f'"{k},5","{k},25"' for k in range(9))),
        ("$5,10%", "\n".join(f"${k},{k}%" for k in range(9))),
        # A series of time steps: the rows rise as the first line does.
        ("1,2,3,4", "\n".join(f"{k},{k + 1},{k + 2},{k + 3}" for k in range(2, 30))),
    ],
)
def test_data(tmp_path, first, rows):
    assert is_data(write(tmp_path, f"{first}\n{rows}\n"))


def without_header(folder, table, name="data.csv"):
    path = folder / name
    table.to_csv(path, index=False, header=False)
    return path


def table():
    return frame(c=["u", "v"] * (N // 2), b=np.arange(N) % 7)[["a", "c", "y", "b"]]


def test_columns_are_named_by_position(tmp_path):
    path = without_header(tmp_path, table())
    dataset = load(path, target="3")
    assert dataset.n_rows == N
    assert [column.name for column in dataset.schema.columns] == ["1", "2", "4"]
    assert dataset.features["4"].tolist() == [k % 7 for k in range(N)]
    assert dataset.notes == (
        "the first line looks like data: columns are named 1 ... 4; --header if it holds "
        "their names",
    )


def test_the_options_decide(tmp_path):
    path = without_header(tmp_path, table())
    dataset = load(path, target="no", header=True)
    assert (dataset.n_rows, dataset.notes) == (N - 1, ())
    path = write(tmp_path, "p,y\n" + "q,z\n" * 20 + "p,y\n" * 20, "words.csv")
    assert load(path, target="2", header=False, categorical=("1",)).n_rows == 41


def test_options_for_csv_alone(tmp_path):
    path = write(tmp_path, frame(), "data.parquet")
    fails(lambda: load(path, target="y", header=True), "--header", "given for", "a CSV file")
    fails(lambda: load("iris", header=False), "--no-header", "given for iris", "a CSV file")
    fails(lambda: load("iris", missing=("x",)), "--missing", "got ('x',)", "a CSV or Parquet file")


@pytest.mark.parametrize("header", [True, False])
def test_positions_from_the_end(tmp_path, header):
    path = tmp_path / "data.csv"
    table().to_csv(path, index=False, header=header)
    dataset = load(path, target="-2", drop=("-4",), categorical=("-1",))
    assert [column.kind for column in dataset.schema.columns] == ["categorical"] * 2
    assert dataset.classes == ("no", "yes")
    groups = load(path, target="-2", groups="-1").groups
    assert groups.tolist() == [k % 7 for k in range(N)]


def test_a_column_that_is_called_like_a_position_wins(tmp_path):
    path = write(tmp_path, frame(**{"-1": np.arange(N) / 4})[["-1", "a", "y"]])
    assert load(path, target="-1").task == "regression"


def test_the_proposed_target_works(tmp_path):
    path = without_header(tmp_path, table()[["a", "b", "c", "y"]])
    fails(lambda: load(path), "data.csv", "no target", "one of 1, 2, 3, 4", "--target 4")
    assert load(path, target="4").classes == ("no", "yes")
    fails(lambda: load(path, target="no"), fix="The first line looks like data")


@pytest.mark.parametrize("name", ["-y", "a b", "it's", "y,z"])
def test_proposed_values_are_quoted(tmp_path, name):
    import shlex

    from nas.errors import NasError

    path = write(tmp_path, frame()[["a", "y"]].rename(columns={"y": name}))
    with pytest.raises(NasError) as caught:
        load(path)
    command = caught.value.fix.split("such as ")[1].removesuffix(".")
    words = shlex.split(command.replace("--target=", "--target "))
    assert words[0] == "--target" and words[1].strip('"') == name


def predicted(dataset, path):
    """What the schema, as it is kept in a model card, reads from a file."""
    schema = Schema.from_dict(json.loads(json.dumps(dataset.schema.to_dict())))
    features = load_features(str(path), schema)
    return {name: values.tolist() for name, values in features.items()}


def test_rows_to_predict_for_go_by_position(tmp_path):
    dataset = load(without_header(tmp_path, table()), target="3")
    expected = {name: values[:2].tolist() for name, values in dataset.features.items()}
    rows = table().iloc[:2]
    assert predicted(dataset, without_header(tmp_path, rows, "new.csv")) == expected
    no_target = rows.drop(columns="y")
    assert predicted(dataset, without_header(tmp_path, no_target, "new.csv")) == expected
    numbered = rows.set_axis(["1", "2", "3", "4"], axis=1)
    assert predicted(dataset, write(tmp_path, numbered, "new.csv")) == expected
    assert predicted(dataset, write(tmp_path, numbered, "new.parquet")) == expected
    path = without_header(tmp_path, rows[["a", "y"]], "new.csv")
    fails(lambda: predicted(dataset, path), "new.csv", "rows of 2 columns", "4 columns")
    path = write(tmp_path, rows, "new.csv")
    fails(lambda: predicted(dataset, path), "new.csv: 1, row 1", "got 'a'", "a number")


def test_rows_without_a_header_for_a_model_with_names(tmp_path):
    dataset = load(write(tmp_path, table()), target="y")
    path = without_header(tmp_path, table(), "new.csv")
    fails(
        lambda: predicted(dataset, path), "new.csv", "no column 'a'", "a, c, b", "looks like data"
    )


def test_names_that_occur_twice_leak_no_target(tmp_path):
    rows = "".join(f"{k},{k % 2},{k % 2}\n" for k in range(N))
    for names in ("b,y,y", "b,y ,y", 'b,y," y"'):
        path = write(tmp_path, f"{names}\n{rows}")
        fails(lambda: load(path, target="y"), "data.csv", "two columns are called 'y'")  # noqa: B023


def test_columns_without_a_name(tmp_path):
    rows = "".join(f"{k},{k % 3},{k % 2}\n" for k in range(N))
    path = write(tmp_path, f"b,,y\n{rows}")
    fails(lambda: load(path, target="y"), "data.csv", "without a name (Unnamed: 1)", "a name for")
    dataset = load(path, target="y", drop=("Unnamed: 1",))
    assert [column.name for column in dataset.schema.columns] == ["b"]
    index = write(tmp_path, f",c,y\n{rows}", "index.csv")
    assert load(index, target="y").dropped == {"Unnamed: 0": "row numbers without a name"}
