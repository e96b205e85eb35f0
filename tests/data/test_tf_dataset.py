"""Datasets of `tf.data`, read as what they hold."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas.data.from_memory import dataset_from_memory, features_from_memory
from nas.errors import NasError
from nas.options import DataOptions
from nas.preparation import usual_space

X, Y = np.arange(80.0).reshape(40, 2) ** 1.5, np.arange(40) % 2
COLUMNS = {"a": X[:, 0], "c": np.array(["é", "no"] * 20)}
SLICES = tf.data.Dataset.from_tensor_slices


def read(data: Any, target: Any = None) -> Any:
    return dataset_from_memory(data, target, DataOptions(""))


@pytest.mark.parametrize("data", [SLICES((X, Y)), SLICES((X, Y)).batch(7), SLICES((X, Y)).batch(8)])
def test_arrays(data: Any) -> None:
    assert read(data).hash() == read(X, Y).hash()


@pytest.mark.parametrize("batch", [None, 7])
def test_columns(batch: int | None) -> None:
    data = SLICES((COLUMNS, Y))
    dataset = read(data.batch(batch) if batch else data)
    assert dataset.hash() == read(COLUMNS, Y).hash()
    assert dataset.features["c"][0] == "é"
    rows = features_from_memory(SLICES(COLUMNS).batch(3), dataset.schema)
    assert rows["c"].tolist() == COLUMNS["c"].tolist()


@pytest.mark.parametrize("data", [SLICES(X), SLICES(X).batch(7), SLICES(X).batch(8, True)])
def test_rows_to_predict_for(data: Any) -> None:
    schema = read(X, Y).schema
    np.testing.assert_array_equal(features_from_memory(data, schema), X)


def test_several_targets() -> None:
    both = np.stack([X[:, 0], X[:, 1] ** 2, X[:, 0] - X[:, 1]], axis=1)
    expected = read(X, both).hash()
    for data in (SLICES((X, both)), SLICES((X, both)).batch(7)):
        assert read(data).hash() == expected
    column = read(SLICES((X, Y[:, None])))
    assert column.hash() == read(X, Y).hash()
    by_name = SLICES(({"a": X[:, 0]}, both))
    assert read(by_name).hash() == read({"a": X[:, 0]}, both).hash()


def test_the_space_is_that_of_the_data() -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    assert usual_space(SLICES((images, np.arange(4)))) == "images"
    assert usual_space(SLICES((images, np.arange(4))).batch(2)) == "images"
    assert usual_space(SLICES((X, Y))) == usual_space(SLICES((COLUMNS, Y)).batch(2)) == "tabular"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (SLICES((X, Y)).repeat(), "a dataset that repeats for ever"),
        (SLICES((X, Y)).take(0), "a dataset without elements"),
        (SLICES((X, Y, Y)), "a dataset of 3 parts"),
        (SLICES((X, X)), "2 features and as many targets in each element"),
        (SLICES(((X, X), Y)), "a dataset of "),
    ],
)
def test_others_are_refused_in_a_line(data: Any, told: str) -> None:
    with pytest.raises(NasError, match=told):
        read(data)
