"""Standard errors that know of shared rows, and intervals that know of groups and of 100 %."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, sem
from test_metrics import BINARY, REGRESSION, binary, multiclass, regression

from nas.metrics import METRICS, predictions_of
from nas.options import SplitOptions
from nas.uncertainty import rows_ratio, score_interval, standard_error

# Standard errors


def test_rows_of_folds_and_of_single_splits() -> None:
    assert rows_ratio(SplitOptions(folds=5)) == 0.25
    assert rows_ratio(SplitOptions(folds=1, val_size=0.2)) == pytest.approx(0.25)


def test_one_fold_has_no_standard_error() -> None:
    assert standard_error((0.5,), 0.25) is None
    assert standard_error((0.5, 0.5, 0.5), 0.5) == 0.0


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_without_shared_rows_it_is_scipys(values) -> None:
    assert standard_error(values, 0.0) == pytest.approx(sem(values), abs=1e-12)


def test_repeats_on_the_same_rows_do_not_make_it_vanish() -> None:
    """Means over 5 folds, repeated on one sample, against the same with new samples."""
    generator = np.random.default_rng(0)
    n, folds, repeats = 50, 5, 20
    means, corrected, plain = [], [], []
    for _ in range(200):
        x = generator.normal(size=n)  # the model predicts the mean of its training rows
        scores = []
        for _ in range(repeats):
            order = generator.permutation(n).reshape(folds, -1)
            for fold in order:
                train = np.delete(x, fold)
                scores.append(np.mean((x[fold] - train.mean()) ** 2))
        means.append(np.mean(scores))
        corrected.append(standard_error(scores, rows_ratio(SplitOptions(folds=folds))))
        plain.append(standard_error(scores, 0.0))
    true = np.std(means)
    assert np.mean(plain) < 0.25 * true
    assert 0.8 * true < np.mean(corrected) < 1.5 * true


# Intervals of test scores

SOURCES = [(binary, "binary", name) for name in BINARY if name != "balanced_accuracy"]
SOURCES += [(multiclass, "multiclass", "accuracy"), (multiclass, "multiclass", "auc")]
SOURCES += [(regression, "regression", name) for name in REGRESSION]


@pytest.mark.parametrize("make, task, name", SOURCES)
def test_the_interval_holds_the_estimate_and_shrinks_with_rows(make, task, name) -> None:
    metric = METRICS[name]
    widths = []
    for n in (100, 1600):
        y, outputs = make(n=n)
        prediction = predictions_of(task, outputs, 10.0, 5.0)
        low, high = score_interval(metric, y, prediction, n_resamples=100)
        assert low <= metric.score(y, prediction) <= high
        assert low < high
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_the_interval_of_an_accuracy_is_wilsons() -> None:
    # Brown, Cai & DasGupta 2001, section 3.1.1, with z = 1.96
    y = np.zeros(40, np.int64)
    for n_right in (40, 30, 0):
        prediction = np.where(np.arange(40) < n_right, 0.1, 0.9)
        n, z, p = 40, 1.959964, n_right / 40
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        found = score_interval(METRICS["accuracy"], y, prediction)
        assert found == pytest.approx((centre - half, centre + half), abs=1e-6)
        assert found[0] <= p <= found[1] and found[1] - found[0] > 0.08


@settings(max_examples=5, deadline=None)
@given(st.integers(10, 60))
def test_the_interval_repeats(n) -> None:
    y, outputs = regression(n=n)
    prediction = predictions_of("regression", outputs, 10.0, 5.0)
    first, again = (
        score_interval(METRICS["rmse"], y, prediction, n_resamples=50) for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize("name", BINARY)
def test_a_rare_class_does_not_disturb_the_interval(name) -> None:
    y = np.array([0] * 30 + [1] * 2)
    prediction = np.linspace(0.01, 0.99, 32)
    low, high = score_interval(METRICS[name], y, prediction, n_resamples=100)
    assert low <= METRICS[name].score(y, prediction) <= high


# Groups


@pytest.mark.parametrize("name", ["accuracy", "rmse"])
def test_groups_are_drawn_whole(name) -> None:
    """Twenty copies of each row are worth no more than the row."""
    if name == "accuracy":
        y, logits = binary(n=60)
        prediction = predictions_of("binary", logits)
    else:
        y, outputs = regression(n=60)
        prediction = predictions_of("regression", outputs, 10.0, 5.0)
    metric, order = METRICS[name], np.random.default_rng(1).permutation(1200)
    copies, groups = np.repeat(np.arange(60), 20)[order], np.repeat(np.arange(60), 20)[order]
    labels = np.array([f"patient {number}" for number in range(60)], dtype=object)
    single = score_interval(metric, y, prediction, n_resamples=400)
    grouped = score_interval(metric, y[copies], prediction[copies], labels[groups], 400)
    rows = score_interval(metric, y[copies], prediction[copies], n_resamples=400)
    assert grouped == pytest.approx(single, abs=0.2 * (single[1] - single[0]))
    assert rows[1] - rows[0] < 0.3 * (grouped[1] - grouped[0])


def test_groups_of_one_row_are_rows() -> None:
    y, outputs = regression(n=80)
    prediction = predictions_of("regression", outputs, 10.0, 5.0)
    rows = score_interval(METRICS["mae"], y, prediction, n_resamples=400)
    grouped = score_interval(METRICS["mae"], y, prediction, np.arange(80), 400)
    assert grouped == pytest.approx(rows, abs=0.05 * rows[1])


# Scores that are the same on every resample


def without_exception(n: int) -> float:
    """Largest share that n draws may all miss, by Clopper & Pearson."""
    return float(beta.ppf(0.975, 1, n))


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1", "auc"])
def test_a_perfect_score_is_as_sure_as_its_rarest_class(name) -> None:
    y = np.array([0] * 90 + [1] * 10)
    found = score_interval(METRICS[name], y, np.where(y == 1, 0.9, 0.1), n_resamples=50)
    assert found == pytest.approx((1.0 - without_exception(10), 1.0))


def test_a_perfect_accuracy_is_as_sure_as_there_are_groups() -> None:
    y, groups = np.arange(100) % 2, np.arange(100) // 20
    found = score_interval(METRICS["accuracy"], y, y.astype(float), groups, 50)
    assert found == pytest.approx((1.0 - without_exception(5), 1.0))
    found = score_interval(METRICS["accuracy"], y, 1.0 - y, groups, 50)
    assert found == pytest.approx((0.0, without_exception(5)))
    found = score_interval(METRICS["f1"], y, y.astype(float), y, 50)
    assert found[0] < 0.1  # one group of each class says next to nothing


def test_a_network_that_says_one_class_always() -> None:
    y = np.array([0] * 90 + [1] * 10)
    found = score_interval(METRICS["balanced_accuracy"], y, np.full(100, 0.1), n_resamples=50)
    share = without_exception(10)
    assert found == pytest.approx((0.5 - share, 0.5 + share))


def test_perfect_predictions_of_numbers() -> None:
    y = np.random.default_rng(0).normal(5.0, 3.0, 50)
    share = without_exception(50)
    r2, rmse, mae = (score_interval(METRICS[name], y, y, n_resamples=50) for name in REGRESSION)
    assert r2 == pytest.approx((1.0 - share, 1.0))
    assert rmse == pytest.approx((0.0, np.sqrt(share) * y.std()))
    assert mae == pytest.approx((0.0, share * np.abs(y - y.mean()).mean()))


def test_a_log_loss_of_zero_is_widened_upwards() -> None:
    y = np.arange(40) % 2
    low, high = score_interval(METRICS["log_loss"], y, y.astype(float), n_resamples=50)
    assert low == pytest.approx(0.0, abs=1e-9)
    assert high == pytest.approx(without_exception(40) * np.log(2))


def test_nothing_to_tell_a_spread_from_has_no_interval() -> None:
    y = np.ones(20)
    assert score_interval(METRICS["mae"], y, y + 0.5, n_resamples=20) is None
