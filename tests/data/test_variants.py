"""A part of a data set, or one with wrong labels."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_wine
from sources import fails, load

from nas.data import Dataset, Schema, SplitOptions, split_dataset
from nas.data.variants import merge_rare
from nas.errors import NasError

DIGITS = load_digits()
N_TRAIN = 1200  # of the digits, in the file that brings a test part


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    """The digits with a test part of their own."""
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    x, y = DIGITS.images, DIGITS.target
    np.savez(path, x_train=x[:N_TRAIN], y_train=y[:N_TRAIN], x_test=x[N_TRAIN:], y_test=y[N_TRAIN:])
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Wine as a table with names, a category, groups and missing values."""
    wine = load_wine(as_frame=True)
    frame = wine.frame.iloc[:, [0, 1, 6]].assign(
        strong=np.where(wine.frame["alcohol"] > 13, "yes", "no"),
        cellar=np.arange(len(wine.target)) // 6,
        wine=np.array(["Barolo", "Grignolino", "Barbera"])[wine.target],
    )
    frame.loc[3:5, "malic_acid"] = np.nan
    path = tmp_path_factory.mktemp("data") / "wine.csv"
    frame.to_csv(path, index=False)
    return path


# Some classes


def test_two_classes_of_ten_are_a_binary_task():
    dataset = load("digits", classes=("9", "4"))
    rows = np.isin(DIGITS.target, (4, 9))
    assert (dataset.task, dataset.classes, dataset.n_outputs) == ("binary", (4, 9), 1)
    np.testing.assert_array_equal(dataset.features, DIGITS.data[rows])
    np.testing.assert_array_equal(dataset.y, DIGITS.target[rows] == 9)
    assert dataset.y.dtype == np.int64
    assert dataset.hash() == load("digits", classes=("4", "9", "4")).hash()


def test_three_classes_stay_several():
    dataset = load("digits", classes=("0", "3", "7"))
    assert (dataset.task, dataset.classes, dataset.n_outputs) == ("multiclass", (0, 3, 7), 3)
    wanted = DIGITS.target[np.isin(DIGITS.target, (0, 3, 7))]
    np.testing.assert_array_equal(np.array(dataset.classes)[dataset.y], wanted)


@pytest.mark.parametrize(("task", "n_outputs"), [("binary", 1), ("multiclass", 2)])
def test_a_task_that_is_given_holds(task, n_outputs):
    dataset = load("digits", classes=("4", "9"), task=task)
    assert (dataset.task, dataset.n_outputs) == (task, n_outputs)


def test_all_classes_are_the_data_as_it_is(divided):
    whole = load(divided)
    assert load(divided, classes=tuple(map(str, range(10)))).hash() == whole.hash()


def test_classes_of_both_parts(divided):
    dataset = load(divided, classes=("4", "9"))
    y = DIGITS.target
    n_train, n_test = (np.isin(part, (4, 9)).sum() for part in (y[:N_TRAIN], y[N_TRAIN:]))
    np.testing.assert_array_equal(dataset.test_rows, np.arange(n_train, n_train + n_test))
    np.testing.assert_array_equal(dataset.features, DIGITS.images[np.isin(y, (4, 9))])


def test_a_test_part_without_the_classes_is_none(tmp_path):
    first, last = (np.isin(DIGITS.target, digits) for digits in ((1, 2, 3), (1,)))
    np.savez(
        tmp_path / "d.npz",
        x_train=DIGITS.data[first],
        y_train=DIGITS.target[first],
        x_test=DIGITS.data[last],
        y_test=DIGITS.target[last],
    )
    dataset = load(tmp_path / "d.npz", classes=("2", "3"))
    assert dataset.test_rows is None
    assert len(split_dataset(dataset, SplitOptions()).test) > 0


def test_rows_of_a_table_stay_together(table):
    dataset = load(table, target="wine", groups="cellar", classes=("Barbera", "Barolo"))
    frame = pd.read_csv(table)
    kept = frame[frame["wine"] != "Grignolino"]
    assert dataset.classes == ("Barbera", "Barolo")
    np.testing.assert_array_equal(dataset.y, kept["wine"] == "Barolo")
    for name in ("alcohol", "malic_acid", "strong"):
        np.testing.assert_array_equal(dataset.features[name], kept[name])
    np.testing.assert_array_equal(dataset.groups, kept["cellar"])


@pytest.mark.parametrize(
    ("source", "options", "received", "expected", "fix"),
    [
        ("iris", {"classes": ("0", "11")}, "no class '11' in iris", "0, 1, 2", "'1'?"),
        ("iris", {"classes": ("0", "cat")}, "no class 'cat' in iris", "0, 1, 2", ""),
        ("iris", {"classes": ("0",)}, "got 0", "at least two", ""),
        ("iris", {"classes": ("0", "0")}, "got 0,0", "at least two", ""),
        ("iris", {"classes": ("0", "1", "2"), "task": "binary"}, "got 3 classes", "2 for", ""),
        ("diabetes", {"classes": ("0", "1")}, "got 0,1", "classes", "--task multiclass"),
    ],
)
def test_classes_that_cannot_be_kept(source, options, received, expected, fix):
    fails(lambda: load(source, **options), "--classes", received, expected, fix)


# Some rows


def test_a_sample_keeps_the_shares_of_the_classes():
    whole, sample = load("breast_cancer"), load("breast_cancer", max_rows=100)
    assert sample.n_rows == 100
    assert abs(sample.y.mean() - whole.y.mean()) < 0.01
    assert sample.hash() == load("breast_cancer", max_rows=100).hash()
    rows = [np.flatnonzero((whole.features == row).all(axis=1)) for row in sample.features]
    assert all(len(row) == 1 for row in rows)  # each as it was, and once
    rows = np.concatenate(rows)
    assert (np.diff(rows) > 0).all() and rows[-1] > 500  # from all over
    np.testing.assert_array_equal(sample.y, whole.y[rows])


@pytest.mark.parametrize("source", ["digits", "diabetes"])
def test_a_sample_of_all_rows_or_more_is_the_data_as_it_is(source):
    whole = load(source)
    for n_rows in (whole.n_rows, 10**6):
        assert load(source, max_rows=n_rows).hash() == whole.hash()
    assert load(source, max_rows=whole.n_rows - 1).n_rows == whole.n_rows - 1


def test_a_sample_of_numbers():
    sample, whole = load("diabetes", max_rows=50), load("diabetes")
    assert (sample.n_rows, sample.task) == (50, "regression")
    assert set(sample.y) <= set(whole.y)


def test_a_given_test_part_stays_whole(divided):
    dataset = load(divided, max_rows=150)
    assert dataset.n_rows == 150 + len(DIGITS.target) - N_TRAIN
    np.testing.assert_array_equal(dataset.test_rows, np.arange(150, dataset.n_rows))
    np.testing.assert_array_equal(dataset.features[150:], DIGITS.images[N_TRAIN:])
    np.testing.assert_array_equal(dataset.y[150:], DIGITS.target[N_TRAIN:])
    assert np.bincount(dataset.y[:150]).min() >= 14
    assert load(divided, max_rows=N_TRAIN).hash() == load(divided).hash()


def test_a_sample_of_a_table_keeps_its_columns_together(table):
    dataset = load(table, target="wine", groups="cellar", max_rows=60)
    names = ["alcohol", "flavanoids", "strong"]
    found = pd.DataFrame({name: dataset.features[name] for name in names})
    found = found.assign(cellar=dataset.groups, wine=np.array(dataset.classes)[dataset.y])
    every = pd.read_csv(table)[found.columns].itertuples(index=False, name=None)
    rows = list(found.itertuples(index=False, name=None))
    assert len(rows) == 60
    assert set(rows) <= set(every)


def test_a_sample_too_small_for_the_folds_is_told_by_the_class():
    dataset = load("digits", max_rows=12)
    fails(
        lambda: split_dataset(dataset, SplitOptions(folds=2)),
        "digits",
        "classes '0' (1 row), '1' (1 row)",
        fix="a larger --max-rows",
    )


@pytest.mark.parametrize("n_rows", [0, -5])
def test_a_sample_of_no_rows(n_rows):
    fails(lambda: load("iris", max_rows=n_rows), "--max-rows", f"got {n_rows}", "at least 1")


# Wrong labels


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_a_share_of_the_labels_is_wrong(share):
    whole, noisy = load("digits"), load("digits", label_noise=share)
    wrong = noisy.y != whole.y
    assert wrong.sum() == round(share * whole.n_rows)
    np.testing.assert_array_equal(noisy.features, whole.features)
    assert (noisy.classes, noisy.task) == (whole.classes, whole.task)
    assert noisy.hash() == load("digits", label_noise=share).hash() != whole.hash()


def test_wrong_labels_are_of_any_other_class_alike():
    whole, noisy = load("digits"), load("digits", label_noise=1.0)
    assert set(noisy.y) == set(range(10))
    steps = np.bincount((noisy.y - whole.y) % 10, minlength=10)
    assert steps[0] == 0
    assert steps[1:].min() > 0.75 * len(whole.y) / 9


def test_wrong_labels_lie_all_over():
    wrong = np.flatnonzero(load("digits", label_noise=0.2).y != DIGITS.target)
    assert np.bincount(wrong * 5 // len(DIGITS.target)).min() > 50


def test_a_given_test_part_keeps_its_labels(divided):
    noisy = load(divided, label_noise=1.0)
    assert (noisy.y[:N_TRAIN] != DIGITS.target[:N_TRAIN]).all()
    np.testing.assert_array_equal(noisy.y[N_TRAIN:], DIGITS.target[N_TRAIN:])


def test_reading_again_finds_the_labels_as_they_are():
    load("digits", label_noise=1.0)
    np.testing.assert_array_equal(load("digits").y, DIGITS.target)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_share_that_is_none(share):
    fails(lambda: load("iris", label_noise=share), "--label-noise", "got", "from 0 to 1")


def test_numbers_have_no_wrong_labels():
    received = "got 0.1 for diabetes, a regression task"
    fails(lambda: load("diabetes", label_noise=0.1), "--label-noise", received, "classes")


# All of it


def test_classes_then_rows_then_noise_on_real_mnist(data_dir):
    """The task of a study: a hard pair of digits, with few and noisy rows."""
    options = {"classes": ("4", "9"), "max_rows": 600, "images": True}
    path = data_dir / "mnist.npz"
    clean, noisy = load(path, **options), load(path, **options, label_noise=0.1)
    with np.load(path) as archive:
        y_test = archive["y_test"]
        x_test = archive["x_test"][np.isin(y_test, (4, 9))]
    for dataset in (clean, noisy):
        assert (dataset.task, dataset.classes) == ("binary", (4, 9))
        assert (dataset.n_rows, len(dataset.test_rows)) == (600 + len(x_test), len(x_test))
        np.testing.assert_array_equal(dataset.features[600:], x_test)
        np.testing.assert_array_equal(dataset.y[600:], y_test[np.isin(y_test, (4, 9))] == 9)
    assert abs(clean.y[:600].mean() - 0.5) < 0.02
    assert (clean.y != noisy.y)[:600].sum() == 60
    np.testing.assert_array_equal(clean.features, noisy.features)
    split = split_dataset(noisy, SplitOptions(folds=3))
    np.testing.assert_array_equal(split.development, np.arange(600))


def test_two_classes_of_a_table_with_few_rows_and_noise(table):
    reading = {"target": "wine", "groups": "cellar", "classes": ("Barbera", "Barolo")}
    dataset = load(table, **reading, max_rows=80, label_noise=0.25)
    clean = load(table, **reading, max_rows=80)
    assert (dataset.n_rows, dataset.task) == (80, "binary")
    assert (dataset.y != clean.y).sum() == 20
    split_dataset(dataset, SplitOptions(folds=3))


def test_rare_classes_are_one():
    y = np.repeat([0, 1, 2, 3], [20, 3, 30, 2])
    dataset = Dataset("d", np.zeros((55, 1)), y, Schema((), (1,)), "multiclass", (7, 8, 9, "other"))
    merged = merge_rare(dataset, 5)
    assert merged.classes == ("7", "9", "other") and merged.task == "multiclass"
    assert np.bincount(merged.y).tolist() == [20, 30, 5]
    (note,) = merged.notes
    assert note == "2 classes with fewer than 5 rows, together 5 of 55, are one class, 'other'"
    assert merge_rare(dataset, 2) is dataset
    two = merge_rare(dataset, 25)
    assert two.task == "binary" and two.classes == ("9", "other")
    with pytest.raises(NasError, match="every class has fewer rows; expected at most 30"):
        merge_rare(dataset, 31)
