"""What is measured of a saved model on its test part."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.measures import importance, measures
from nas.metrics import METRICS


def test_measures_of_classes_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 200)
    prediction = random.dirichlet(np.ones(3), 200) + np.eye(3)[y]
    prediction /= prediction.sum(axis=1, keepdims=True)
    found, predicted = measures(y, prediction, ("a", "b", "c")), prediction.argmax(axis=1)
    assert found["confusion"] == confusion_matrix(y, predicted).tolist()
    for name, function in (("precision", precision_score), ("recall", recall_score)):
        expected = function(y, predicted, average=None)
        assert [one[name] for one in found["classes"]] == pytest.approx(expected)
        for one in found["classes"]:
            low, high = one[f"{name}_interval"]
            assert low < one[name] <= high
    assert [one["f1"] for one in found["classes"]] == pytest.approx(
        f1_score(y, predicted, average=None)
    )


def test_a_class_that_is_never_predicted() -> None:
    found = measures(np.array([0, 0, 0]), np.array([0.1, 0.2, 0.3]), ("no", "yes"))
    no, yes = found["classes"]
    assert no["recall"] == 1.0 and no["recall_interval"][1] == 1.0
    assert yes["precision"] is yes["recall"] is yes["f1"] is None


def test_measures_of_values() -> None:
    found = measures(np.zeros(5), np.array([-1.0, 0, 0, 1, 5]), ())
    assert found["bias"] == 1.0
    assert found["residuals"]["0.5"] == 0.0 and found["residuals"]["1"] == 5.0


def test_columns_that_count_come_first() -> None:
    dataset = load_dataset(DataOptions("iris"))
    split = split_dataset(dataset, SplitOptions())

    def by_petals(features: np.ndarray) -> np.ndarray:
        length, width = features[:, 2], features[:, 3]
        kind = (length > 2.5).astype(int) + (width > 1.7)
        return np.eye(3)[kind]

    found = importance(by_petals, dataset, split, METRICS["accuracy"])
    assert {one["column"] for one in found[:2]} == {"3", "4"}
    assert all(one["loss"] > 0.1 for one in found[:2])
    assert all(one["loss"] == 0.0 for one in found[2:])
    # Where less is better, a loss is still positive.
    y, x = load_iris(return_X_y=True)[0][:, 3], load_iris().data[:, :3]
    numbers = replace(dataset, features=x, y=y, task="regression", classes=(),
                      schema=replace(dataset.schema, columns=(), row_shape=(3,)))  # fmt: skip
    found = importance(lambda rows: rows[:, 2] / 3, numbers, split, METRICS["rmse"])
    assert found[0]["column"] == "3" and found[0]["loss"] > 0.1
