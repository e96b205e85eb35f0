"""The encoder against scikit-learn, on real data."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from heads import N_ROWS, TRAIN, VAL, names
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nas.data import DataOptions, Dataset, Fold, Schema, load_dataset, take_rows
from nas.encoding import Encoder, encode_folds, encoder, fit_encoder, fit_statistics


def reference(dataset: Dataset, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What scikit-learn makes of some rows after learning from others.

    Only the order of the categories is taken from nas: most frequent first.
    """
    frame = pd.DataFrame(dataset.features)
    numbers, texts = names(dataset, "numeric"), names(dataset, "categorical")
    scaled = StandardScaler().fit(frame.loc[train, numbers])
    # The scaled mean is 0.
    filled = SimpleImputer(strategy="constant", fill_value=0.0, add_indicator=True)
    filled.fit(scaled.transform(frame.loc[train, numbers]))
    statistics = fit_statistics(dataset, train)
    coded = OneHotEncoder(
        handle_unknown="ignore",
        categories=[list(statistics.categories[name]) for name in texts],
        sparse_output=False,
    ).fit(frame.loc[train, texts])
    x = filled.transform(scaled.transform(frame.loc[rows, numbers]))
    return np.hstack([x, coded.transform(frame.loc[rows, texts])])


@pytest.mark.parametrize("name", ["adult", "abalone"])
def test_table_is_encoded_as_by_scikit_learn(name: str, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    (data,) = encode_folds(dataset, [Fold(TRAIN, VAL)])
    for x, rows in ((data.x_train, TRAIN), (data.x_val, VAL)):
        expected = reference(dataset, TRAIN, rows)
        assert x.shape == expected.shape
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, expected, atol=1e-4)
    np.testing.assert_array_equal(data.y_train, dataset.y[TRAIN])
    np.testing.assert_array_equal(data.y_val, dataset.y[VAL])


def test_categories_are_all_texts_of_the_training_rows(adult: Dataset) -> None:
    statistics = fit_statistics(adult, TRAIN)
    assert list(statistics.categories) == names(adult, "categorical")
    for name, categories in statistics.categories.items():
        values = pd.Series(adult.features[name][TRAIN])
        assert set(categories) == set(values)
        counts = values.value_counts()[list(categories)].to_numpy()
        assert (np.diff(counts) <= 0).all()
    assert "?" in statistics.categories["workclass"]  # itself a category, not a gap
    assert "" in statistics.categories["race"]  # so is an empty cell


def test_missing_number_is_the_mean_and_has_an_indicator(adult: Dataset) -> None:
    (data,) = encode_folds(adult, [Fold(TRAIN, VAL)])
    numbers = names(adult, "numeric")
    age, hours, weight = (numbers.index(n) for n in ("age", "hours_per_week", "fnlwgt"))
    for x, first, gaps in (
        (data.x_train, 0, {age: [2, 40, 41], hours: [7]}),
        (data.x_val, 300, {age: [310], hours: [320, 321]}),
    ):
        for indicator, column in enumerate((age, hours), start=len(numbers)):
            rows = np.array(gaps[column]) - first
            assert (x[rows, column] == 0).all()
            assert np.flatnonzero(x[:, indicator]).tolist() == rows.tolist()
    # A gap in validation rows alone gets the mean, and no column.
    assert data.x_val[50, weight] == 0
    assert fit_statistics(adult, TRAIN).missing == (age, hours)


def test_constant_column_is_zeros_and_empty_one_stays_finite(adult: Dataset) -> None:
    changed = {name: values.copy() for name, values in adult.features.items()}
    changed["age"][:] = 42.0
    changed["fnlwgt"][TRAIN] = np.nan
    (data,) = encode_folds(replace(adult, features=changed), [Fold(TRAIN, VAL)])
    numbers = names(adult, "numeric")
    assert (data.x_train[:, numbers.index("age")] == 0).all()
    assert (data.x_train[:, numbers.index("fnlwgt")] == 0).all()
    assert np.isfinite(data.x_val).all()


def test_unknown_category_is_zeros(abalone: Dataset) -> None:
    changed = {name: values.copy() for name, values in abalone.features.items()}
    changed["sex"][VAL[:3]] = ["unheard of", "", "m"]
    (data,) = encode_folds(replace(abalone, features=changed), [Fold(TRAIN, VAL)])
    hot = data.x_val[:, -3:]  # M, F and I
    assert (hot[:3] == 0).all()
    assert (hot[3:].sum(axis=1) == 1).all()
    assert (data.x_train[:, -3:].sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("-1", 5),
        ("0", 250),
        ("ö ☃", 5),
        ("a\x1fb", 250),
        (" M", 5),
        ("[UNK]", 250),
        ("[unknown]", 5),
    ],
)
def test_any_text_may_be_a_category(abalone: Dataset, text: str, count: int) -> None:
    values = abalone.features["sex"].copy()
    values[TRAIN[:count]] = text
    values[VAL[:3]] = text
    changed = replace(abalone, features={**abalone.features, "sex": values})
    (data,) = encode_folds(changed, [Fold(TRAIN, VAL)])
    np.testing.assert_allclose(data.x_train, reference(changed, TRAIN, TRAIN), atol=1e-4)
    np.testing.assert_allclose(data.x_val, reference(changed, TRAIN, VAL), atol=1e-4)


def test_images_are_flattened_and_share_one_scale(digits_images: Dataset) -> None:
    (data,) = encode_folds(digits_images, [Fold(TRAIN, VAL)])
    pixels = digits_images.features.astype(np.float64)
    mean, scale = pixels[TRAIN].mean(), pixels[TRAIN].std()
    for x, rows in ((data.x_train, TRAIN), (data.x_val, VAL)):
        expected = (pixels[rows].reshape(len(rows), 64) - mean) / scale
        np.testing.assert_allclose(x, expected, atol=1e-5)


def test_array_is_standardized_by_column() -> None:
    dataset = load_dataset(DataOptions("diabetes"))
    (data,) = encode_folds(dataset, [Fold(TRAIN, VAL)])
    scaler = StandardScaler().fit(dataset.features[TRAIN])
    np.testing.assert_allclose(data.x_val, scaler.transform(dataset.features[VAL]), atol=1e-4)
    assert data.target_mean == pytest.approx(dataset.y[TRAIN].mean())
    assert data.target_scale == pytest.approx(dataset.y[TRAIN].std())


def test_classes_have_no_target_scale(adult: Dataset) -> None:
    (data,) = encode_folds(adult, [Fold(TRAIN, VAL)])
    assert (data.task, data.target_mean, data.target_scale) == ("binary", 0.0, 1.0)


def test_validation_rows_do_not_leak(any_dataset: Dataset) -> None:
    if isinstance(any_dataset.features, dict):
        features: Any = {name: values.copy() for name, values in any_dataset.features.items()}
        for values in features.values():
            values[VAL] = "new" if values.dtype == object else np.where(VAL % 2, np.nan, 1e9)
    else:
        features = any_dataset.features.copy()
        features[VAL] = 255
    y = any_dataset.y.copy()
    if any_dataset.task == "regression":
        y[VAL] = 1e6
    (before,) = encode_folds(any_dataset, [Fold(TRAIN, VAL)])
    (after,) = encode_folds(replace(any_dataset, features=features, y=y), [Fold(TRAIN, VAL)])
    np.testing.assert_array_equal(before.x_train, after.x_train)
    assert (before.x_val != after.x_val).any()
    assert before.target_mean == after.target_mean
    assert before.target_scale == after.target_scale


def test_training_rows_do_teach(any_dataset: Dataset) -> None:
    fewer = [Fold(TRAIN, VAL), Fold(TRAIN[:150], VAL)]
    all_rows, half = encode_folds(any_dataset, fewer)
    assert not np.allclose(all_rows.x_val, half.x_val)


def test_folds_are_equally_wide(adult: Dataset) -> None:
    folds = [Fold(TRAIN, VAL), Fold(TRAIN[50:70], VAL)]
    widths = [fit_statistics(adult, f.train).n_columns(adult.schema) for f in folds]
    assert widths[1] < widths[0]
    wide, narrow = encode_folds(adult, folds)
    (alone,) = encode_folds(adult, folds[1:])
    for padded in (narrow.x_train, narrow.x_val):
        assert padded.shape[1] == wide.x_train.shape[1] == widths[0]
        assert (padded[:, widths[1] :] == 0).all()
    assert alone.x_val.shape[1] == widths[1]
    np.testing.assert_array_equal(narrow.x_val[:, : widths[1]], alone.x_val)


def test_rows_are_encoded_in_any_portions(
    any_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, rows = fit_encoder(any_dataset, TRAIN), VAL[:40][::-1]
    at_once = fitted.encode(any_dataset.features, rows)
    np.testing.assert_array_equal(fitted.encode(take_rows(any_dataset.features, rows)), at_once)
    monkeypatch.setattr(encoder, "ENCODE_BATCH", 7)
    np.testing.assert_array_equal(fitted.encode(any_dataset.features, rows), at_once)
    np.testing.assert_array_equal(fitted.encode(take_rows(any_dataset.features, rows)), at_once)
    assert fitted.encode(any_dataset.features, rows[:0]).shape == (0, at_once.shape[1])


def test_raw_rows_stay_as_they_are(any_dataset: Dataset) -> None:
    before = any_dataset.hash()
    fit_encoder(any_dataset, TRAIN).encode(any_dataset.features)
    assert any_dataset.hash() == before


def test_an_encoder_is_plain_data(any_dataset: Dataset) -> None:
    fitted = replace(fit_encoder(any_dataset, TRAIN), n_columns=200)
    again = Encoder.from_dict(json.loads(json.dumps(fitted.to_dict())))
    expected = fitted.encode(any_dataset.features, VAL)
    np.testing.assert_array_equal(again.encode(any_dataset.features, VAL), expected)
    assert expected.shape == (len(VAL), 200)


@pytest.mark.parametrize("scaling, ends", [("unit", (0, 1)), ("symmetric", (-1, 1))])
def test_training_rows_fill_their_range(any_dataset: Dataset, scaling: Any, ends: Any) -> None:
    (data,) = encode_folds(replace(any_dataset, scaling=scaling), [Fold(TRAIN, VAL)])
    n_numbers = len(names(any_dataset, "numeric")) or data.x_train.shape[1]
    numbers = data.x_train[:, :n_numbers]
    if any_dataset.schema.row_shape == (8, 8):
        pixels = any_dataset.features.reshape(N_ROWS, 64)[TRAIN] / 16.0
        np.testing.assert_allclose(numbers, ends[0] + (ends[1] - ends[0]) * pixels, atol=1e-6)
    else:
        np.testing.assert_allclose(numbers.min(axis=0), ends[0], atol=1e-6)
        np.testing.assert_allclose(numbers.max(axis=0), ends[1], atol=1e-6)


def test_numbers_may_stay_as_they_are(any_dataset: Dataset) -> None:
    (data,) = encode_folds(replace(any_dataset, scaling="none"), [Fold(TRAIN, VAL)])
    if isinstance(any_dataset.features, dict):
        columns = names(any_dataset, "numeric")
        raw = np.stack([any_dataset.features[name][VAL] for name in columns], axis=1)
    else:
        raw = any_dataset.features[VAL].reshape(len(VAL), -1)
    given = ~np.isnan(raw.astype(float))
    found = data.x_val[:, : raw.shape[1]]
    np.testing.assert_array_equal(found[given], raw[given].astype(np.float32))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("scaling", ["unit", "symmetric", "none"])
def test_missing_number_is_the_mean_in_any_scaling(adult: Dataset, scaling: Any) -> None:
    dataset = replace(adult, scaling=scaling)
    (data,) = encode_folds(dataset, [Fold(TRAIN, VAL)])
    statistics = fit_statistics(dataset, TRAIN)
    age = names(adult, "numeric").index("age")
    mean = np.nanmean(adult.features["age"][TRAIN])
    expected = (mean - statistics.mean[age]) / statistics.scale[age]
    np.testing.assert_allclose(data.x_train[[2, 40, 41], age], expected, rtol=1e-5)
    np.testing.assert_allclose(data.x_val[10, age], expected, rtol=1e-5)


# Units


def in_unit(dataset: Dataset, factor: Any) -> Dataset:
    return replace(dataset, features=dataset.features * factor)


@pytest.mark.parametrize("scaling", ["standard", "unit", "symmetric"])
@pytest.mark.parametrize(
    "factor",
    [1e-30, 1e-20, 1e-10, 1e10, 1e20, 1e30, np.array([1e-30, 1e-10, 1e10, 1e29])],
    ids=str,
)
def test_numbers_are_encoded_alike_in_any_unit(scaling: Any, factor: Any) -> None:
    dataset = replace(load_dataset(DataOptions("iris")), scaling=scaling)
    rows = [Fold(np.arange(100), np.arange(100, 150))]
    (expected,), (found,) = (encode_folds(d, rows) for d in (dataset, in_unit(dataset, factor)))
    np.testing.assert_allclose(found.x_train, expected.x_train, atol=1e-5)
    np.testing.assert_allclose(found.x_val, expected.x_val, atol=1e-5)
    assert abs(found.x_train).max() <= 5


@pytest.mark.parametrize("factor", [1e-30, 1e28])
def test_missing_numbers_and_pixels_are_encoded_alike_in_any_unit(
    adult: Dataset, digits_images: Dataset, factor: float
) -> None:
    texts = names(adult, "categorical")
    features = {
        name: values if name in texts else values / 1e5 * factor
        for name, values in adult.features.items()
    }
    for before, after in (
        (adult, replace(adult, features=features)),
        (digits_images, in_unit(digits_images, factor)),
    ):
        (expected,), (found,) = (encode_folds(d, [Fold(TRAIN, VAL)]) for d in (before, after))
        np.testing.assert_allclose(found.x_val, expected.x_val, atol=1e-4)


def test_training_rows_too_much_alike_for_32_bits_stay_finite() -> None:
    dataset = load_dataset(DataOptions("iris"))
    x = dataset.features.copy()
    x[:100] *= 1e-42
    (data,) = encode_folds(
        replace(dataset, features=x), [Fold(np.arange(100), np.arange(100, 150))]
    )
    assert np.isfinite(data.x_train).all() and np.isfinite(data.x_val).all()


# Sequences


def test_features_of_a_sequence_have_a_scale_each() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 5, 2)) * [100, 1] + [1e5, 0]
    dataset = Dataset(
        "sequences", x, np.arange(60) % 2, Schema((), (5, 2)), "binary", (0, 1),
        scale_per_feature=True,
    )  # fmt: skip
    (data,) = encode_folds(dataset, [Fold(np.arange(40), np.arange(40, 60))])
    mean, scale = x[:40].mean(axis=(0, 1)), x[:40].std(axis=(0, 1))
    expected = ((x[40:] - mean) / scale).reshape(20, 10)
    np.testing.assert_allclose(data.x_val, expected, atol=1e-3)
