"""The positive class of two: the rarer one, or the one that is named."""

import numpy as np
import pytest

from nas.data import DataOptions, load_dataset
from nas.errors import NasError


@pytest.fixture
def payments(tmp_path):
    """27 rows ok, 9 fraud, 4 unclear."""
    labels = ["ok", "ok", "ok", "fraud"] * 9 + ["unclear"] * 4
    rows = [f"{k % 5},{label}" for k, label in enumerate(labels)]
    path = tmp_path / "payments.csv"
    path.write_text("\n".join(["amount,label", *rows]) + "\n", encoding="utf-8")
    return path


def read(path, **options):
    return load_dataset(DataOptions(str(path), target="label", **options))


def test_it_is_the_rarer_class_of_two(payments):
    dataset = read(payments, classes=("ok", "fraud"))
    assert dataset.classes[dataset.positive] == "fraud"
    dataset = read(payments, classes=("fraud", "unclear"))
    assert dataset.classes[dataset.positive] == "unclear"


def test_it_can_be_named(payments):
    for label in ("ok", "fraud"):
        dataset = read(payments, classes=("ok", "fraud"), positive=label)
        assert dataset.classes[dataset.positive] == label


def test_of_two_that_are_as_common_it_is_the_second():
    dataset = load_dataset(DataOptions("iris", classes=("0", "1")))
    assert dataset.positive == 1


def test_many_classes_and_numbers_have_none(payments):
    assert read(payments).positive is None
    assert load_dataset(DataOptions("diabetes")).positive is None


@pytest.mark.parametrize("options", [{"max_rows": 12}, {"label_noise": 0.9}])
def test_drawn_rows_and_wrong_labels_leave_it_alone(payments, options):
    dataset = read(payments, classes=("ok", "fraud"), **options)
    assert dataset.classes[dataset.positive] == "fraud"


def test_it_changes_neither_the_classes_nor_the_hash(payments):
    two = ("ok", "fraud")
    plain, other = (read(payments, classes=two, positive=label) for label in (None, "ok"))
    assert plain.classes == other.classes == ("fraud", "ok")
    assert np.array_equal(plain.y, other.y)
    assert plain.hash() == other.hash()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"classes": ("ok", "fraud"), "positive": "Fraud"}, ["no class 'Fraud'", "'fraud' or 'ok'",
                                                             "Did you mean 'fraud'?"]),
        ({"positive": "ok"}, ["multiclass", "3 classes", "two classes", "--classes"]),
    ],
)  # fmt: skip
def test_mistakes_get_one_line(payments, options, words):
    with pytest.raises(NasError) as caught:
        read(payments, **options)
    line = caught.value.on_command_line
    assert line.startswith("--positive: ") and "\n" not in line
    assert all(word in line for word in words), line


def test_numbers_have_no_positive_class():
    with pytest.raises(NasError, match="positive: got '1' for a regression task"):
        load_dataset(DataOptions("diabetes", positive="1"))
