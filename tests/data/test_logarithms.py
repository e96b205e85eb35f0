"""The target as logarithms."""

from dataclasses import replace

import numpy as np
import pytest

from nas.data import Column, Dataset, Fold, Schema, SplitOptions, split_dataset
from nas.data.findings import find
from nas.data.logarithms import check_logarithms, from_logs, log_shift, to_logs
from nas.encoding import encode_folds, fit_encoder
from nas.errors import NasError

AMOUNTS = np.array([0.5, 2.0, 10.0, 4000.0])


def prices(n: int = 400, has_zeros: bool = False) -> Dataset:
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 3))
    y = np.exp(1.5 * x[:, 0] + 0.3 * random.normal(size=n) + 5.0)
    if has_zeros:
        y[::10] = 0.0
    columns = tuple(Column(name, "numeric") for name in "abc")
    return Dataset("prices", x, y, Schema(columns, (3,)), "regression", ())


@pytest.mark.parametrize(("y", "shift"), [(AMOUNTS, 0.0), (np.array([0.0, 3.0, 8.0]), 3.0)])
def test_back_and_forth(y: np.ndarray, shift: float) -> None:
    assert log_shift(y) == shift
    np.testing.assert_allclose(from_logs(to_logs(y, shift), shift), y, atol=1e-12)
    assert to_logs(y, None) is y


@pytest.mark.parametrize("has_zeros", [False, True])
def test_folds_have_logarithms(has_zeros: bool) -> None:
    dataset = replace(prices(has_zeros=has_zeros), target_scaling="log")
    train, val = np.arange(300), np.arange(300, 400)
    (fold,) = encode_folds(dataset, [Fold(train, val)])
    logs = fold.for_loss(fold.y_train)
    assert fold.log_shift == (dataset.y[dataset.y > 0].min() if has_zeros else 0.0)
    assert fold.target_mean == pytest.approx(logs.mean())
    assert fold.target_bounds[0] <= logs.min() and logs.max() < fold.target_bounds[1]
    assert from_logs(np.array(fold.target_bounds), fold.log_shift)[0] >= -1e-9
    again = type(fit_encoder(dataset, train)).from_dict(fit_encoder(dataset, train).to_dict())
    assert again.statistics.log_shift == fold.log_shift


def test_the_hash_knows() -> None:
    assert replace(prices(), target_scaling="log").hash() != prices().hash()


def test_what_has_no_logarithms_is_refused() -> None:
    with pytest.raises(NasError, match="got 'log' for values such as -1"):
        check_logarithms(replace(prices(), y=np.linspace(-1.0, 1.0, 400)))
    classes = replace(prices(), task="binary", y=np.arange(400) % 2, classes=("a", "b"))
    with pytest.raises(NasError, match="got 'log' for a binary task; expected a regression"):
        check_logarithms(classes)


def test_skewed_targets_are_told() -> None:
    dataset = prices()
    split = split_dataset(dataset, SplitOptions(folds=2))
    (found,) = (f for f in find(dataset, split, "r2") if f.code == "skewed_target")
    assert "--target-scaling log" in found.text
    for other in (replace(dataset, target_scaling="log"), replace(dataset, y=np.log(dataset.y))):
        assert "skewed_target" not in {f.code for f in find(other, split, "r2")}
