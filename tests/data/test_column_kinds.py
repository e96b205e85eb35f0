"""What a column is, by itself and as the user says."""

import numpy as np
import pandas as pd
import pytest
from sources import N, fails, frame, load, write

from nas.data import load_features
from nas.data.column_kinds import are_texts, code_among

REVIEWS = [f"a {'good' if k % 2 else 'bad'} film number {k} with some words" for k in range(N)]


def kinds(dataset):
    return {column.name: column.kind for column in dataset.schema.columns}


def test_many_different_phrases_are_text(tmp_path):
    dataset = load(write(tmp_path, frame(review=REVIEWS)), target="y")
    assert kinds(dataset) == {"a": "numeric", "review": "text"}
    assert dataset.describe().endswith("1 numeric and 1 text features, binary (2 classes)")
    assert "column 'review' is text" in " ".join(dataset.notes)
    assert dataset.features["review"][1] == REVIEWS[1]


@pytest.mark.parametrize(
    "cells",
    [
        [f"code{k}" for k in range(N)],  # one word
        ["not in the universe", "in the universe"] * (N // 2),  # which recur
    ],
)
def test_other_texts_are_none(cells):
    assert not are_texts(pd.Series(cells))


def test_the_user_may_call_a_column_text(tmp_path):
    path = write(tmp_path, frame(c=["red apple", "green pear"] * (N // 2)))
    assert kinds(load(path, target="y"))["c"] == "categorical"
    assert kinds(load(path, target="y", text=("c",)))["c"] == "text"


def test_codes_are_categories(tmp_path):
    codes = [f"0{1000 + k % 2}" if k % 3 else f"9{1000 + k % 2}" for k in range(N)]
    path = write(tmp_path, frame(c=codes))
    dataset = load(path, target="y")
    assert kinds(dataset)["c"] == "categorical"
    assert dataset.features["c"][1] == "01001"
    assert "its cells are codes such as '01001'; --numeric c reads numbers" in dataset.notes[0]
    assert load_features(str(path), dataset.schema)["c"][1] == "01001"
    assert load(path, target="y", numeric=("c",)).features[1, 1] == 1001.0


@pytest.mark.parametrize(
    "codes",
    [
        ["0930", "1745"],  # times
        ["093000", "174500"],
        ["01", "17"],  # days
        ["00000", "10000"],
        ["01067", "1067"],
        ["12345", "54321"],
        [f"0{k}" for k in range(1000, 1200)],
    ],
)
def test_what_are_no_codes(codes):
    assert not code_among(pd.Series(codes * 10))


def test_running_numbers_are_no_codes():
    assert not code_among(pd.Series([f"{k:05}" for k in range(90)]))
    assert code_among(pd.Series([f"{k:05}" for k in range(9)] * 10)) == "00001"


def test_dates_that_give_the_order_of_the_rows(tmp_path):
    days = [20240101 + 100 * (k % 12) + k % 28 for k in range(N)]
    path = write(tmp_path, frame(c=days))
    dataset = load(path, target="y", date=("c",), time="c")
    assert dataset.times[0] == 19723.0
    assert kinds(dataset)["c"] == "date"
    told = "got 'c', which is named by --sample-weight, too"
    fails(lambda: load(path, target="y", text=("c",), sample_weight="c"), "--text", told)


def test_missing_text_is_empty(tmp_path):
    table = frame(review=[None if k == 3 else text for k, text in enumerate(REVIEWS)])
    dataset = load(write(tmp_path, table, "data.parquet"), target="y")
    assert dataset.features["review"][3] == ""
    path = write(tmp_path, table, "new.parquet")
    assert load_features(str(path), dataset.schema)["review"][3] == ""


def test_what_is_no_number_counts_as_missing(tmp_path):
    cells = [str(k) if k % 4 else "n.b." for k in range(N)]
    path = write(tmp_path, frame(c=cells))
    dataset = load(path, target="y", numeric=("c",))
    values = dataset.features[:, 1]
    assert np.isnan(values[0]) and values[1] == 1.0
    share = f"{N // 4} of {N} cells (25 %) are no numbers, such as 'n.b.', and count as missing"
    assert share.replace("numbers", "number") in " ".join(dataset.notes)
    new = write(tmp_path, frame(c=["what"] + ["5"] * (N - 1)), "new.csv")
    found = load_features(str(new), dataset.schema)[:, 1]
    assert np.isnan(found[0]) and found[1] == 5.0


def test_what_is_no_date_counts_as_missing(tmp_path):
    days = [f"2024-{1 + k % 12:02}-{1 + k % 28:02}" if k % 3 else "soon" for k in range(N)]
    path = write(tmp_path, frame(c=days))
    assert kinds(load(path, target="y")).get("c") == "categorical"
    dataset = load(path, target="y", date=("c",))
    assert kinds(dataset)["c"] == "date"
    assert np.isnan(dataset.features["c"][0]) and dataset.features["c"][1] > 19_000
    assert "are no date, such as 'soon'" in " ".join(dataset.notes)
    assert np.isnan(load_features(str(path), dataset.schema)["c"][0])


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_numbers_may_be_dates(tmp_path, name):
    days = [20240101 + 100 * (k % 12) + k % 28 for k in range(N)]
    path = write(tmp_path, frame(c=days), name)
    dataset = load(path, target="y", date=("c",))
    assert kinds(dataset)["c"] == "date"
    assert dataset.features["c"][0] == 19723.0  # 2024-01-01
    assert load_features(str(path), dataset.schema)["c"][0] == 19723.0


@pytest.mark.parametrize(
    ("option", "told"),
    [("numeric", "no cell of 'c' is a number"), ("date", "no cell of 'c' is a date or time")],
)
def test_a_column_without_any_is_refused(tmp_path, option, told):
    path = write(tmp_path, frame(c=["x", "z"] * (N // 2)))
    fails(lambda: load(path, target="y", **{option: ("c",)}), f"--{option}", told)


def test_a_column_is_one_kind(tmp_path):
    path = write(tmp_path, frame(c=["x", "z"] * (N // 2)))
    told = "got 'c', which is named by --categorical, too"
    fails(lambda: load(path, target="y", categorical=("c",), text=("c",)), "--text", told)
    fails(lambda: load(path, target="y", text=("y",)), "--text", "got 'y', which is the target")
