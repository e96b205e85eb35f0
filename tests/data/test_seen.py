"""What training rows held, and what is told of rows that hold something else."""

import json

import numpy as np
import pandas as pd
import pytest
from sources import frame, load, write

from nas.data import load_features, match_seen, seen_values
from nas.data.dataset import MAX_CATEGORIES
from nas.encoding import fit_statistics


def seen_of(dataset):
    rows = np.arange(dataset.n_rows)
    seen = seen_values(dataset, rows, fit_statistics(dataset, rows).categories)
    return json.loads(json.dumps(seen))  # as the card keeps it


def matched(folder, training, new, name="new.csv", **options):
    """The rows of a new file as the model gets them, and what is told of them."""
    dataset = load(write(folder, training), target="y", **options)
    features = load_features(str(write(folder, new, name)), dataset.schema)
    return match_seen(features, dataset.schema, seen_of(dataset))


def test_what_training_held(tmp_path):
    dataset = load(write(tmp_path, frame(c=["u", "v"] * 20, n=[3, np.nan] * 20)), target="y")
    assert seen_of(dataset) == {
        "a": {"min": 0.0, "max": 3.9, "has_gaps": False},
        "c": {"categories": ["u", "v"], "n_categories": 2},
        "n": {"min": 3.0, "max": 3.0, "has_gaps": True},
    }
    few = np.arange(5)
    seen = seen_values(dataset, few, fit_statistics(dataset, few).categories)
    assert seen["a"] == {"min": 0.0, "max": 0.4, "has_gaps": False}  # of the training rows alone


def test_arrays_without_names_tell_nothing():
    dataset = load("iris")
    assert seen_of(dataset) == {}
    features, lines = match_seen(dataset.features * 1e6, dataset.schema, {})
    assert features.max() == dataset.features.max() * 1e6
    assert lines == []


@pytest.mark.parametrize(
    "known, given",
    [
        (["1", "2"], ["1.0", "2.00"]),
        (["1.5", "2.5"], ["1.50", "25e-1"]),
        (["True", "False"], ["true", "FALSE"]),
        (["red", "dark blue"], ["  red", "dark blue \t"]),
        (["-0.5", "100000"], ["-.5e0".replace("-.", "-0."), "1e5"]),
    ],
)
def test_spellings_that_mean_the_same_are_equal(tmp_path, known, given):
    new = pd.DataFrame({"a": [0, 0], "c": given})
    features, lines = matched(tmp_path, frame(c=known * 20), new, categorical=("c",))
    assert features["c"].tolist() == known
    assert lines == []


@pytest.mark.parametrize("values", [[1, 2], [1.0, 2.0], [1.0, None]])
def test_numbers_of_parquet_are_the_texts_of_a_csv_file(tmp_path, values):
    new = pd.DataFrame({"a": [0, 0], "c": values})
    features, lines = matched(
        tmp_path, frame(c=["1", "2"] * 20), new, "new.parquet", categorical=("c",)
    )
    assert features["c"].tolist() == ["1", "2" if values[1] else ""]
    assert bool(lines) == (values[1] is None)


def test_booleans_of_parquet_are_the_texts_of_a_csv_file(tmp_path):
    new = pd.DataFrame({"a": [0, 0], "c": [True, False]})
    features, lines = matched(tmp_path, frame(c=["true", "false"] * 20), new, "new.parquet")
    assert (features["c"].tolist(), lines) == (["true", "false"], [])


@pytest.mark.parametrize(
    "known, given",
    [
        (["7", "8"], "007"),
        (["007", "008"], "7"),
        (["9007199254740992", "1"], "9007199254740993"),  # one and the same as 64-bit floats
        (["m", "f"], "M"),
        (["True", "true"], "TRUE"),  # which of them?
    ],
)
def test_spellings_that_mean_something_else_stay_unknown(tmp_path, known, given):
    new = pd.DataFrame({"a": [0, 0], "c": [known[0], given]})
    features, lines = matched(tmp_path, frame(c=known * 20), new, categorical=("c",))
    assert features["c"].tolist() == [known[0], given]
    assert (
        len(lines) == 1
        and f"1 of 2 rows hold values the model never saw, such as '{given}'" in (lines[0])
    )


def test_unknown_values_are_told_with_examples(tmp_path):
    new = pd.DataFrame({"a": 0, "colour": ["red", "pink", "lila", "pink", "\x1b[31m" + "x" * 50]})
    _, lines = matched(tmp_path, frame(colour=["red", "blue"] * 20), new)
    (line,) = lines
    assert line.startswith(
        "column 'colour': 4 of 5 rows hold values the model never saw, such as 'pink' and 'lila'"
    )
    assert line.endswith("; they count as unknown")
    assert "\x1b" not in line and "x" * 40 not in line


def test_rare_categories_were_seen_but_are_not_known(tmp_path):
    texts = [f"t{k:03}" for k in range(MAX_CATEGORIES)]
    training = pd.DataFrame({"c": [*texts, *texts, "rare"], "y": [0, 1] * MAX_CATEGORIES + [0]})
    _, lines = matched(tmp_path, training, pd.DataFrame({"c": ["t001", "rare"]}))
    assert lines == [
        "column 'c': 1 of 2 rows hold none of the 100 most frequent of 101 categories, such as "
        "'rare'; they count as unknown"
    ]


def test_numbers_far_from_those_of_training_are_told(tmp_path):
    near = pd.DataFrame({"a": [-11.6, 15.5, np.nan]})
    assert matched(tmp_path, frame(), near)[1] == []
    _, lines = matched(tmp_path, frame(), pd.DataFrame({"a": [1, 1e6, -12]}))
    assert lines == [
        "column 'a': 2 of 3 rows hold numbers far from the 0 to 3.9 that the model saw, "
        "such as 1e+06"
    ]


def test_another_number_than_the_only_one_of_training_is_told(tmp_path):
    _, lines = matched(tmp_path, frame(n=0.1), pd.DataFrame({"a": 0, "n": [0.1, 0.2]}))
    assert len(lines) == 1 and "column 'n': 1 of 2 rows" in lines[0]


def test_gaps_that_training_did_not_have_are_told(tmp_path):
    new = pd.DataFrame({"a": [1, None, None], "n": [3, None, 3]})
    _, lines = matched(tmp_path, frame(n=[3, None] * 20), new)
    assert len(lines) == 1 and "'a': 2 of 3 rows hold no number" in lines[0]
