"""Targets of tables: cells that are no number, labels like numbers, and ways out that work."""

import numpy as np
import pandas as pd
import pytest
from sources import N, fails, frame, load, write

from nas.errors import NasError


def table_with(cell, n_values=449, n=450):
    y = [cell if k == 17 else f"{k % n_values + 0.25}" for k in range(n)]
    return pd.DataFrame({"a": range(n), "y": y})


@pytest.mark.parametrize("task", [None, "regression"])
def test_one_word_among_numbers(tmp_path, task):
    path = write(tmp_path, table_with("abc"))
    fails(
        lambda: load(path, target="y", task=task),
        "data.csv: y, row 18",
        "got 'abc'",
        "a number, as in 449 other rows",
        "--missing abc, which leaves out such rows",
    )
    dataset = load(path, target="y", missing=("abc",), task=task)
    assert (dataset.n_rows, dataset.task) == (449, "regression")
    assert dataset.notes == ("1 row without a target ('y') is left out, first row 18",)


def test_classes_are_proposed_where_they_work(tmp_path):
    path = write(tmp_path, table_with("abc"))
    with pytest.raises(Exception) as caught:
        load(path, target="y")
    assert "multiclass" not in str(caught.value)
    path = write(tmp_path, table_with("abc", n_values=5))
    fails(lambda: load(path, target="y"), fix="or --task multiclass if they are classes")
    assert load(path, target="y", task="multiclass").classes[-1] == "abc"


@pytest.mark.parametrize("task", [None, "binary", "regression"])
def test_advice_for_text_does_not_go_in_circles(tmp_path, task):
    table = pd.DataFrame({"a": range(300), "y": [f"t{k}" for k in range(300)]})
    path = write(tmp_path, table)
    with pytest.raises(Exception) as caught:
        load(path, target="y", task=task)
    assert caught.value.fix == "Choose another --target."


@pytest.mark.parametrize(
    "labels, classes",
    [
        (["007", "7", "070"], ("007", "070", "7")),
        (["1.10", "1.1", "1.2"], ("1.1", "1.10", "1.2")),
        (["1234567890123456781", "1234567890123456782"],) * 2,
        (["1", "1.0", "2"], (1, 2)),
        (["1", "2", "10"], (1, 2, 10)),
        (["1.0", "2.0"], (1, 2)),
        (["0.5", "1.5"], (0.5, 1.5)),
        (["-1", "1"], (-1, 1)),
        (["01", "x"], ("01", "x")),
    ],
)
def test_labels_are_neither_changed_nor_merged(tmp_path, labels, classes):
    path = write(tmp_path, frame(y=[labels[k % len(labels)] for k in range(N)]))
    dataset = load(path, target="y", task="multiclass")
    assert dataset.classes == tuple(classes)
    assert [type(label) for label in dataset.classes] == [type(label) for label in classes]


@pytest.mark.parametrize(
    "labels",
    [
        ["007", "008", "010"],
        ["007", "08", "7"],
        ["1234567890123456781", "1234567890123456782"],
    ],
)
def test_codes_are_classes_by_themselves(tmp_path, labels):
    path = write(tmp_path, frame(y=[labels[k % len(labels)] for k in range(N)]))
    assert load(path, target="y").classes == tuple(labels)


def test_rows_without_a_group_are_groups_of_their_own(tmp_path):
    who = ["" if k % 2 else f"p{k % 3}" for k in range(N)]
    dataset = load(write(tmp_path, frame(who=who)), target="y", groups="who")
    empty = dataset.groups[1::2]
    assert len(set(empty)) == N // 2
    assert not set(empty) & set(dataset.groups[::2])
    assert len(set(dataset.groups[::2])) == 3
    assert dataset.notes == ("20 rows without a group ('who'): each is a group of its own",)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_numbers_as_groups(tmp_path, name):
    who = pd.array([None if k == 3 else k % 3 for k in range(N)], dtype="Int64")
    dataset = load(write(tmp_path, frame(who=who), name), target="y", groups="who")
    assert len(set(dataset.groups)) == 4
    assert (dataset.groups == dataset.groups[3]).sum() == 1


def test_a_target_with_a_unit_is_no_list_of_classes(tmp_path):
    path = write(tmp_path, frame(y=[f"{40 + k} kg" for k in range(N)]))
    with pytest.raises(NasError, match=r"y: got '40 kg'; expected numbers without 'kg'"):
        load(path, target="y")


def test_versions_are_not_merged_to_numbers(tmp_path):
    path = write(tmp_path, frame(y=["1.1", "1.10", "1.2", "1.3"] * (N // 4)))
    with pytest.raises(NasError, match=r"'1.1' and '1.10', which are one number.*multiclass"):
        load(path, target="y")
    assert load(path, target="y", task="multiclass").classes == ("1.1", "1.10", "1.2", "1.3")
    assert len(np.unique(load(path, target="y", task="regression").y)) == 3


def test_classes_that_differ_in_case_are_told(tmp_path):
    dataset = load(write(tmp_path, frame(y=["Yes", "yes", "no", "no"] * (N // 4))), target="y")
    assert "'Yes' and 'yes' are two classes of 'y', which differ in case only" in dataset.notes
