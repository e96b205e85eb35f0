"""Scaling by quantiles, against scikit-learn, and by quartiles; on real data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer, RobustScaler

from nas.data import DataOptions, Dataset, load_dataset
from nas.encoding import Encoder, fit_encoder
from nas.encoding.quantiles import MOST, fit_knots
from nas.errors import NasError

TRAIN, VAL = np.arange(12_000), np.arange(12_000, 16_512)


@pytest.fixture(scope="module")
def houses(data_dir: Path) -> Dataset:
    return load_dataset(DataOptions(str(data_dir / "california_published_split.npz")))


@pytest.fixture(params=["skewed", "with ties"])
def column(request: pytest.FixtureRequest) -> np.ndarray:
    random = np.random.default_rng(0)
    values = random.lognormal(sigma=2.0, size=(5_000, 1))
    return (values if request.param == "skewed" else np.round(values)).astype(np.float32)


def test_columns_become_normal_as_by_scikit_learn(houses: Dataset) -> None:
    transformer = QuantileTransformer(
        n_quantiles=1_000, output_distribution="normal", subsample=None
    )
    expected = transformer.fit(houses.features[TRAIN]).transform(houses.features[VAL])
    found = fit_encoder(replace(houses, scaling="quantile"), TRAIN).encode(houses.features, VAL)
    inside = np.abs(expected) < 2.5  # at the ends the two differ in what the last ranks are
    assert inside.mean() > 0.97
    assert np.abs(found - expected)[inside].max() < 0.1
    assert np.abs(found - expected)[inside].mean() < 0.005


def test_rows_that_teach_have_the_quantiles_of_a_normal_distribution(column: np.ndarray) -> None:
    found = fit_knots(column).apply(column)[:, 0]
    order = np.argsort(column[:, 0])
    assert (np.diff(found[order]) >= 0.0).all()
    assert np.median(found) == pytest.approx(0.0, abs=0.4)  # one value in three is a tie
    assert np.mean(found < 1.2816) == pytest.approx(0.9, abs=0.02)


def test_numbers_beyond_the_training_rows_become_the_outermost(column: np.ndarray) -> None:
    knots = fit_knots(column)
    assert knots.places.shape == knots.heights.shape
    assert knots.places.shape[1] <= MOST
    far = np.array([[-np.inf], [-1e30], [1e30], [np.inf]], np.float32)
    low, high = knots.heights[0, 0], knots.heights[0, -1]
    assert knots.apply(far)[:, 0].tolist() == [low, low, high, high]
    assert high > 3.0 and (low < -3.0 or column.min() == 0.0)


@pytest.mark.parametrize("values", [[7.0] * 5, [np.nan] * 5, [0.0, 0.0, 0.0, 1.0, 1.0]])
def test_columns_of_few_values(values: list[float]) -> None:
    column = np.array(values, np.float32)[:, None]
    found = fit_knots(column).apply(np.nan_to_num(column))[:, 0]
    assert np.isfinite(found).all()
    n_values = len(set(np.nan_to_num(column[:, 0]).tolist()))
    assert len(set(found.tolist())) == n_values
    if n_values == 1:
        assert found[0] == 0.0


def test_robust_scaling_is_scikit_learns_drawn_in(houses: Dataset) -> None:
    quartiles = RobustScaler().fit(houses.features[TRAIN]).transform(houses.features[VAL])
    expected = quartiles / np.sqrt(1.0 + (quartiles / 3.0) ** 2)
    found = fit_encoder(replace(houses, scaling="robust"), TRAIN).encode(houses.features, VAL)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(found).max() <= 3.0


def test_a_column_with_few_outliers_is_scaled_by_its_range() -> None:
    dataset = load_dataset(DataOptions("diabetes"))
    features = np.array(dataset.features)
    features[:, 0] = np.where(np.arange(442) < 10, 50.0, 0.0)
    encoder = fit_encoder(replace(dataset, features=features, scaling="robust"), np.arange(442))
    assert encoder.statistics.scale[0] == 25.0
    assert encoder.encode(features)[0, 0] == pytest.approx(2.0 / np.sqrt(1.0 + 4.0 / 9.0))


@pytest.mark.parametrize("scaling", ["robust", "quantile"])
def test_an_encoder_survives_json(houses: Dataset, scaling: str) -> None:
    encoder = fit_encoder(replace(houses, scaling=scaling), TRAIN)
    again = Encoder.from_dict(encoder.to_dict())
    np.testing.assert_array_equal(again.encode(houses.features), encoder.encode(houses.features))


def test_images_have_no_quantiles() -> None:
    with pytest.raises(NasError, match="scaling: got 'quantile' for images"):
        load_dataset(DataOptions("digits", scaling="quantile", images=True))
