"""Statistics: learned from the given rows, and from nothing else."""

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler

from nas.choices import Scaling
from nas.data import (
    Column,
    DataOptions,
    Dataset,
    Schema,
    load_dataset,
)
from nas.data.dataset import MAX_CATEGORIES
from nas.encoding import Statistics, fit_statistics

NAN = np.nan


def array(x, y=None, task="binary", names=False, scaling="standard"):
    """A data set of numbers; with `names` as a CSV file without text gives it."""
    x = np.asarray(x)
    columns = tuple(Column(f"c{k}", "numeric") for k in range(x.shape[1])) if names else ()
    y = np.arange(len(x)) % 2 if y is None else np.asarray(y)
    return Dataset("d", x, y, Schema(columns, x.shape[1:]), task, (), scaling=scaling)


def table(**columns):
    """A data set with categories: lists of texts are categorical, others numeric."""
    features, schema = {}, []
    for name, values in columns.items():
        kind = "categorical" if isinstance(values[0], str) else "numeric"
        dtype = object if kind == "categorical" else float
        features[name] = np.array(values, dtype=dtype)
        schema.append(Column(name, kind))
    n = len(next(iter(features.values())))
    return Dataset("d", features, np.arange(n) % 2, Schema(tuple(schema), (n,)), "binary", (0, 1))


def same(a, b):
    return (
        np.array_equal(a.mean, b.mean)
        and np.array_equal(a.scale, b.scale)
        and np.array_equal(a.fill, b.fill)
        and (a.missing, a.categories, a.target_mean, a.target_scale)
        == (b.missing, b.categories, b.target_mean, b.target_scale)
    )


@pytest.fixture(scope="module")
def wine():
    return load_dataset(DataOptions("wine"))


def all_rows(dataset):
    return np.arange(dataset.n_rows)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000),
    st.sets(st.integers(0, 29), min_size=2, max_size=28),
    st.sampled_from(get_args(Scaling)),
)
def test_other_rows_of_an_array_change_nothing(seed, chosen, scaling):
    generator = np.random.default_rng(seed)
    rows = np.array(sorted(chosen))
    others = np.setdiff1d(np.arange(30), rows)
    x, y = generator.normal(size=(30, 3)), generator.normal(size=30)
    before = fit_statistics(array(x, y, "regression", scaling=scaling), rows)
    changed_x, changed_y = x.copy(), y.copy()
    changed_x[others] = 1e6
    changed_x[others[0]] = NAN
    changed_y[others] = -1e6
    after = fit_statistics(array(changed_x, changed_y, "regression", scaling=scaling), rows)
    assert same(before, after)
    fill = np.median if scaling in ("robust", "quantile") else np.mean
    assert before.fill == pytest.approx(fill(x[rows], axis=0))
    if scaling == "standard":
        assert before.mean == pytest.approx(x[rows].mean(axis=0))
        assert before.scale == pytest.approx(x[rows].std(axis=0))


def test_other_rows_of_a_table_change_nothing():
    rows = np.array([0, 2, 4])
    one = table(a=[1, 2, 3, 4, 5], b=["x", "y", "x", "y", "z"])
    other = table(a=[1, NAN, 3, 99, 5], b=["x", "new", "x", "more", "z"])
    assert same(fit_statistics(one, rows), fit_statistics(other, rows))
    assert fit_statistics(one, rows).categories == {"b": ("x", "z")}


def test_the_given_rows_do_matter():
    dataset = array(np.arange(10.0)[:, None], np.arange(10.0) ** 2, "regression")
    first, second = (fit_statistics(dataset, np.array(rows)) for rows in ([0, 1], [8, 9]))
    assert (first.mean, second.mean) == ([0.5], [8.5])
    assert (first.target_mean, second.target_mean) == (0.5, 72.5)


def test_each_column_has_its_own_scale():
    learned = fit_statistics(array([[0.0, 10.0], [2.0, 30.0], [4.0, 50.0]]), np.arange(3))
    assert learned.mean == pytest.approx([2, 30])
    assert learned.scale == pytest.approx([np.sqrt(8 / 3), np.sqrt(800 / 3)])
    assert learned.missing == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.bool_])
def test_any_number_type_is_computed_in_double_precision(dtype):
    x = np.array([[0], [1], [1], [1]], dtype)
    learned = fit_statistics(array(x), np.arange(4))
    assert learned.mean.dtype == learned.scale.dtype == np.float64
    assert (learned.mean, learned.scale) == ([0.75], [np.sqrt(0.1875)])


def test_missing_values_are_left_out_and_their_columns_noted():
    x = [[1.0, 5.0, NAN], [NAN, 6.0, 2.0], [3.0, 7.0, 6.0]]
    learned = fit_statistics(array(x, names=True), np.arange(3))
    assert learned.mean == pytest.approx([2, 6, 4])
    assert learned.scale == pytest.approx([1, np.sqrt(2 / 3), 2])
    assert learned.missing == (0, 2)


def test_missing_values_of_a_table_are_counted_among_its_numeric_columns():
    dataset = table(a=[1, 2, 3], b=["x", "y", "z"], c=[NAN, 4, 6], d=[1, NAN, 1])
    learned = fit_statistics(dataset, np.arange(3))
    assert learned.missing == (1, 2)
    assert learned.mean == pytest.approx([2, 5, 1])


def test_only_missing_values_among_the_given_rows_are_noted():
    x = [[1.0], [3.0], [NAN]]
    assert fit_statistics(array(x), np.array([0, 1])).missing == ()


def test_a_column_without_any_value_has_mean_0_and_scale_1():
    learned = fit_statistics(array([[NAN, 1.0], [NAN, 3.0]]), np.arange(2))
    assert learned.mean.tolist() == [0, 2]
    assert learned.scale.tolist() == [1, 1]
    assert learned.missing == (0,)


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 1e9 + 0.1])
def test_a_constant_column_has_scale_1(value):
    x = np.column_stack([np.full(20, value), np.arange(20.0)])
    learned = fit_statistics(array(x), np.arange(20))
    assert learned.mean[0] == pytest.approx(value)
    assert learned.scale[0] == 1.0
    assert learned.scale[1] == pytest.approx(np.arange(20).std())


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)])
def test_images_share_one_mean_and_scale(shape):
    x = np.random.default_rng(0).integers(0, 256, (12, *shape)).astype(np.uint8)
    rows = np.arange(8)
    learned = fit_statistics(array(x), rows)
    assert learned.mean.shape == learned.scale.shape == ()
    assert learned.mean == pytest.approx(x[rows].mean())
    assert learned.scale == pytest.approx(x[rows].std())
    assert learned.missing == ()


def test_black_images_have_scale_1():
    assert fit_statistics(array(np.zeros((4, 2, 2))), np.arange(4)).scale == 1.0


# Other scalings


@pytest.mark.parametrize("scaling, low, high", [("unit", 0, 1), ("symmetric", -1, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int8, np.bool_])
def test_minimum_and_maximum_of_a_column_become_the_ends(dtype, scaling, low, high):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 128, (30, 4)).astype(dtype)
    x[0] = x.dtype.type(127)
    x[1] = x.dtype.type(0)
    learned = fit_statistics(array(x, scaling=scaling), np.arange(20))
    assert learned.mean.dtype == learned.scale.dtype == np.float64
    scaled = (x[:20].astype(float) - learned.mean) / learned.scale
    assert scaled.min(axis=0) == pytest.approx(low)
    assert scaled.max(axis=0) == pytest.approx(high)


def test_columns_are_scaled_as_by_scikit_learn(wine):
    for scaling, reference in (("unit", (0, 1)), ("symmetric", (-1, 1))):
        learned = fit_statistics(replace(wine, scaling=scaling), np.arange(100))
        scaler = MinMaxScaler(reference).fit(wine.features[:100])
        found = (wine.features - learned.mean) / learned.scale
        assert found == pytest.approx(scaler.transform(wine.features), abs=1e-12)
        assert found[100:].min() < reference[0]  # what no training row shows may lie outside


def test_raw_numbers_stay(wine):
    learned = fit_statistics(replace(wine, scaling="none"), np.arange(100))
    assert learned.mean.tolist() == [0.0] * 13
    assert learned.scale.tolist() == [1.0] * 13
    assert learned.fill == pytest.approx(wine.features[:100].mean(axis=0))


@pytest.mark.parametrize(
    "scaling, mean, scale",
    [("unit", 10, 190), ("symmetric", 105, 95), ("none", 0, 1)],
)
def test_all_pixels_share_one_range(scaling, mean, scale):
    x = np.full((6, 2, 3), 50, np.uint8)
    x[0, 0, 0], x[1, 1, 2], x[5, 0, 0] = 10, 200, 255
    learned = fit_statistics(array(x, scaling=scaling), np.arange(5))
    assert learned.mean.shape == learned.scale.shape == ()
    assert (learned.mean, learned.scale) == (mean, scale)


@pytest.mark.parametrize("scaling", get_args(Scaling))
@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 1e9 + 0.1])
def test_a_constant_column_becomes_zeros_unless_it_stays_raw(scaling, value):
    x = np.column_stack([np.full(20, value), np.arange(20.0)])
    x[3, 0] = np.nextafter(value, 0)  # a rounding error is no range
    learned = fit_statistics(array(x, scaling=scaling), np.arange(20))
    assert learned.scale[0] == 1.0
    assert learned.mean[0] == (0.0 if scaling == "none" else pytest.approx(value))
    black = fit_statistics(array(np.zeros((4, 2, 2)), scaling=scaling), np.arange(4))
    assert (black.mean, black.scale) == (0, 1)


@pytest.mark.parametrize("scaling, mean, scale", [("unit", 1, 5), ("symmetric", 3.5, 2.5)])
def test_missing_values_have_no_part_in_a_range(scaling, mean, scale):
    x = [[1.0, NAN], [NAN, NAN], [6.0, NAN], [2.0, NAN]]
    learned = fit_statistics(array(x, names=True, scaling=scaling), np.arange(4))
    assert learned.mean.tolist() == [mean, 0]
    assert learned.scale.tolist() == [scale, 1]
    assert learned.fill.tolist() == [3, 0]
    assert learned.missing == (0, 1)


@pytest.mark.parametrize("scaling", ["unit", "symmetric", "none"])
def test_targets_and_categories_know_no_scaling(scaling):
    dataset = table(a=[1, 2, 3, 9], b=["x", "y", "x", "y"])
    dataset = replace(dataset, y=np.array([1.0, 2, 3, 6]), task="regression")
    usual = fit_statistics(dataset, all_rows(dataset))
    learned = fit_statistics(replace(dataset, scaling=scaling), all_rows(dataset))
    assert learned.categories == usual.categories
    assert (learned.target_mean, learned.target_scale) == (usual.target_mean, usual.target_scale)
    assert learned.n_columns(dataset.schema) == 3


# Categories


def test_categories_are_ordered_by_frequency_then_by_name():
    dataset = table(a=["z", "b", "b", "a", "z", "b", "c"])
    learned = fit_statistics(dataset, all_rows(dataset))
    assert learned.categories == {"a": ("b", "z", "a", "c")}
    assert learned.mean.shape == learned.scale.shape == (0,)


@settings(max_examples=20, deadline=None)
@given(st.permutations(list("aaabbccd")))
def test_the_order_of_rows_does_not_matter(texts):
    dataset = table(a=texts)
    assert fit_statistics(dataset, all_rows(dataset)).categories == {"a": ("a", "b", "c", "d")}


def test_each_column_has_its_own_categories_in_the_order_of_columns():
    dataset = table(b=["x", "y", "x"], n=[1, 2, 3], a=["", "?", ""])
    learned = fit_statistics(dataset, all_rows(dataset))
    assert list(learned.categories.items()) == [("b", ("x", "y")), ("a", ("", "?"))]


def test_the_rarest_categories_are_left_out():
    texts = [f"t{k:03}" for k in range(MAX_CATEGORIES + 5)]
    dataset = table(a=texts + texts[5:])
    learned = fit_statistics(dataset, all_rows(dataset))
    assert learned.categories["a"] == tuple(texts[5:])
    assert len(learned.categories["a"]) == MAX_CATEGORIES


# Target


def test_a_regression_target_is_standardized():
    y = [1.0, 5.0, 9.0, 100.0]
    learned = fit_statistics(array(np.zeros((4, 1)), y, "regression"), np.arange(3))
    assert learned.target_mean == 5.0
    assert learned.target_scale == pytest.approx(np.sqrt(32 / 3))


@pytest.mark.parametrize("value", [3.0, 0.1])
def test_a_constant_target_has_scale_1(value):
    dataset = array(np.zeros((20, 1)), np.full(20, value), "regression")
    learned = fit_statistics(dataset, all_rows(dataset))
    assert learned.target_mean == pytest.approx(value)
    assert learned.target_scale == 1.0


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_classes_are_not_standardized(task):
    learned = fit_statistics(array(np.zeros((4, 1)), [0, 1, 2, 3], task), np.arange(4))
    assert (learned.target_mean, learned.target_scale) == (0.0, 1.0)


# Width of the encoded matrix


@pytest.mark.parametrize(
    "dataset, n_columns",
    [
        (array(np.ones((3, 5))), 5),
        (array([[1.0, NAN], [2.0, 3.0], [NAN, 1.0]], names=True), 4),
        (array(np.ones((3, 28, 28))), 784),
        (table(a=[1, 2, NAN], b=["x", "y", "x"], c=["p", "q", "r"], d=[1, 2, 3]), 3 + 2 + 3),
        (table(b=["x", "y", "x"]), 2),
    ],
)
def test_number_of_columns(dataset, n_columns):
    assert fit_statistics(dataset, all_rows(dataset)).n_columns(dataset.schema) == n_columns


# Units


@pytest.mark.parametrize("factor", [1e-30, 1e-10, 1e10, 1e30])
@pytest.mark.parametrize("scaling", ["standard", "unit", "symmetric"])
def test_statistics_follow_the_unit(wine, scaling, factor):
    usual = fit_statistics(replace(wine, scaling=scaling), all_rows(wine))
    other = replace(wine, scaling=scaling, features=wine.features * factor)
    learned = fit_statistics(other, all_rows(wine))
    assert learned.mean / factor == pytest.approx(usual.mean)
    assert learned.scale / factor == pytest.approx(usual.scale)


@pytest.mark.parametrize("value", [0.1e-30, 0.1, 0.1e30])
def test_a_constant_column_has_scale_1_in_any_unit(value):
    learned = fit_statistics(array(np.full((20, 1), value)), np.arange(20))
    assert learned.scale == [1.0]


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_the_scale_of_a_target_follows_the_unit(factor):
    dataset = array(np.zeros((3, 1)), np.array([1.0, 5.0, 9.0]) * factor, "regression")
    learned = fit_statistics(dataset, np.arange(3))
    assert learned.target_scale / factor == pytest.approx(np.sqrt(32 / 3))


def test_features_of_sequences_have_a_scale_each():
    x = np.arange(24.0).reshape(3, 4, 2) * [1, 1e6]
    dataset = replace(array(x), scale_per_feature=True)
    learned = fit_statistics(dataset, np.arange(3))
    assert learned.mean == pytest.approx(np.tile(x.mean(axis=(0, 1)), 4))
    assert learned.scale == pytest.approx(np.tile(x.std(axis=(0, 1)), 4))
    assert learned.n_columns(dataset.schema) == 8


# Plain data


@pytest.mark.parametrize(
    "dataset",
    [
        table(a=[0.1, 2, NAN], b=["x", "", "ö ☃"]),
        array(np.random.default_rng(0).normal(size=(3, 2)), [0.1, 0.2, 0.4], "regression"),
        array(np.arange(12).reshape(3, 2, 2).astype(np.uint8)),
    ],
)
def test_statistics_are_plain_data(dataset):
    learned = fit_statistics(dataset, all_rows(dataset))
    again = Statistics.from_dict(json.loads(json.dumps(learned.to_dict())))
    assert same(again, learned)
    assert again.mean.shape == learned.mean.shape
