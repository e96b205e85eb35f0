"""Metrics: equal to scikit-learn's, from logits on."""

import pickle

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.special import expit, softmax

from nas.data import Dataset, Schema
from nas.errors import NasError
from nas.metrics import (
    METRICS,
    check_metric,
    choose_metric,
    constant_score,
    get_metric,
    predicted_classes,
    predictions_of,
)

N = 200
BINARY = ("accuracy", "balanced_accuracy", "f1", "auc", "log_loss")
REGRESSION = ("r2", "rmse", "mae")


def binary(seed=0, n=N):
    """Unbalanced classes and logits that know something of them."""
    generator = np.random.default_rng(seed)
    y = (generator.random(n) < 0.3).astype(np.int64)
    return y, generator.normal(2 * y - 1, 1.5)[:, None]


def multiclass(seed=0, n=N):
    generator = np.random.default_rng(seed)
    y = generator.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    return y, generator.normal(size=(n, 4)) + 1.5 * np.eye(4)[y]


def regression(seed=0, n=N):
    generator = np.random.default_rng(seed)
    outputs = generator.normal(size=(n, 1))
    return 10 + 5 * outputs[:, 0] + generator.normal(size=n), outputs


@pytest.mark.parametrize(
    "name, reference",
    [
        ("accuracy", lambda y, p: sk.accuracy_score(y, p > 0.5)),
        ("balanced_accuracy", lambda y, p: sk.balanced_accuracy_score(y, p > 0.5)),
        ("f1", lambda y, p: sk.f1_score(y, p > 0.5)),
        ("auc", sk.roc_auc_score),
        ("log_loss", sk.log_loss),
    ],
)
def test_binary(name, reference):
    y, logits = binary()
    ours = METRICS[name].score(y, predictions_of("binary", logits))
    assert ours == pytest.approx(reference(y, expit(logits[:, 0])), rel=1e-12)
    assert type(ours) is float


@pytest.mark.parametrize(
    "name, reference",
    [
        ("accuracy", lambda y, p: sk.accuracy_score(y, p.argmax(1))),
        ("balanced_accuracy", lambda y, p: sk.balanced_accuracy_score(y, p.argmax(1))),
        ("f1", lambda y, p: sk.f1_score(y, p.argmax(1), average="macro")),
        ("auc", lambda y, p: sk.roc_auc_score(y, p, multi_class="ovr")),
        ("log_loss", sk.log_loss),
    ],
)
def test_multiclass(name, reference):
    y, logits = multiclass()
    ours = METRICS[name].score(y, predictions_of("multiclass", logits))
    assert ours == pytest.approx(reference(y, softmax(logits, axis=1)), rel=1e-12)
    assert type(ours) is float


@pytest.mark.parametrize(
    "name, reference",
    [
        ("r2", sk.r2_score),
        ("rmse", sk.root_mean_squared_error),
        ("mae", sk.mean_absolute_error),
    ],
)
def test_regression(name, reference):
    y, outputs = regression()
    ours = METRICS[name].score(y, predictions_of("regression", outputs, 10.0, 5.0))
    assert ours == pytest.approx(reference(y, 5 * outputs[:, 0] + 10), rel=1e-12)
    assert type(ours) is float


def test_every_metric_is_tested_above():
    assert set(METRICS) == {*BINARY, *REGRESSION, "pinball"}  # which is test_quantile_targets's


@pytest.mark.parametrize("task, n_outputs", [("binary", 1), ("multiclass", 3)])
def test_large_logits_do_not_overflow(task, n_outputs):
    logits = np.full((2, n_outputs), 0.0, np.float32)
    logits[:, 0] = [1000, -1000]
    predictions = predictions_of(task, logits)
    expected = expit([1000, -1000]) if task == "binary" else [[1, 0, 0], [0, 0.5, 0.5]]
    assert predictions == pytest.approx(np.array(expected))


def test_logistic_outputs_are_sigmoids_divided_by_their_sum():
    _, logits = multiclass()
    sigmoids = expit(logits)
    predictions = predictions_of("multiclass", logits, loss="logistic")
    np.testing.assert_allclose(predictions, sigmoids / sigmoids.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(predictions.sum(axis=1), 1.0, rtol=1e-12)
    assert not np.allclose(predictions, softmax(logits, axis=1), atol=0.01)
    assert (predictions.argmax(1) == logits.argmax(1)).all()
    # Where all sigmoids are 0 in any precision, their proportions are still known.
    far = predictions_of("multiclass", np.array([[-2000.0, -2001.0]]), loss="logistic")
    np.testing.assert_allclose(far, softmax([[1.0, 0.0]], axis=1))
    high = predictions_of("multiclass", np.array([[2000.0, 1000.0]]), loss="logistic")
    np.testing.assert_allclose(high, [[0.5, 0.5]])
    one = predictions_of("binary", logits[:, :1], loss="logistic")
    np.testing.assert_allclose(one, expit(logits[:, 0]))


def test_predictions_are_double_precision():
    logits = np.array([[0.1, 0.2, 0.3]], np.float32)
    predictions = predictions_of("multiclass", logits)
    assert predictions.dtype == np.float64
    assert predictions.sum() == pytest.approx(1.0, abs=1e-15)


def test_predicted_classes():
    assert predicted_classes(np.array([0.2, 0.5, 0.51])).tolist() == [0, 0, 1]
    assert predicted_classes(np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])).tolist() == [1, 0]


def test_log_loss_of_a_part_without_every_class():
    prediction = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    expected = -np.mean(np.log([0.7, 0.8]))
    assert METRICS["log_loss"].score(np.array([0, 1]), prediction) == pytest.approx(expected)
    ones = METRICS["log_loss"].score(np.array([1, 1]), np.array([0.5, 0.25]))
    assert ones == pytest.approx(-np.mean(np.log([0.5, 0.25])))


def test_f1_without_a_predicted_class_is_zero():
    assert METRICS["f1"].score(np.array([0, 1, 0]), np.array([0.1, 0.2, 0.3])) == 0.0


def test_balanced_accuracy_of_a_part_without_every_class():
    score = METRICS["balanced_accuracy"].score(np.array([0, 0, 0]), np.array([0.1, 0.2, 0.9]))
    assert score == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "name, direction, better, worse",
    [(name, "maximize", 0.9, 0.8) for name in ("accuracy", "balanced_accuracy", "f1", "auc", "r2")]
    + [(name, "minimize", 0.8, 0.9) for name in ("log_loss", "rmse", "mae")],
)
def test_direction(name, direction, better, worse):
    metric = METRICS[name]
    assert metric.direction == direction
    assert metric.direction.better(better, worse)
    assert not metric.direction.better(worse, better)
    assert not metric.direction.better(better, better)


@pytest.mark.parametrize(
    "make, task, names",
    [
        (binary, "binary", BINARY),
        (multiclass, "multiclass", BINARY),
        (regression, "regression", REGRESSION),
    ],
)
def test_a_better_network_scores_better(make, task, names):
    y, outputs = make()
    scale = (10.0, 5.0) if task == "regression" else ()
    good = predictions_of(task, outputs, *scale)
    poor = predictions_of(task, np.random.default_rng(1).permutation(outputs), *scale)
    for name in names:
        metric = get_metric(name, task)
        assert metric.direction.better(metric.score(y, good), metric.score(y, poor)), name


def test_auc_of_two_classes_that_are_taken_as_multiclass():
    y, logits = binary()
    one = predictions_of("binary", logits)
    two = np.column_stack([1 - one, one])
    assert METRICS["auc"].score(y, two) == METRICS["auc"].score(y, one)


# By name


@pytest.mark.parametrize(
    "task, name", [("binary", "accuracy"), ("multiclass", "accuracy"), ("regression", "r2")]
)
def test_default_metric(task, name):
    assert get_metric(None, task).name == name


@pytest.mark.parametrize("name", [*BINARY, *REGRESSION])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_metric_fits_its_tasks_only(name, task):
    if (task == "regression") == (name in REGRESSION):
        assert get_metric(name, task) is METRICS[name]
        return
    with pytest.raises(NasError) as caught:
        get_metric(name, task)
    assert caught.value.where == "--metric"
    assert caught.value.received == f"got '{name}' for a {task} task"
    others = REGRESSION if task == "regression" else BINARY
    assert caught.value.expected == "one of " + ", ".join(others)


def test_an_unknown_metric_gets_the_nearest():
    with pytest.raises(NasError, match=r"got 'acuracy' .* one of .*Did you mean 'accuracy'"):
        get_metric("acuracy", "binary")


def test_a_metric_in_capitals_gets_the_nearest():
    with pytest.raises(NasError, match=r"Did you mean 'auc'"):
        get_metric("AUC", "binary")


# The positive class


def labelled(classes=("fraud", "ok"), positive=0, task="binary"):
    y = np.arange(20) % len(classes)
    return Dataset("mine", np.zeros((20, 1)), y, Schema((), (1,)), task, classes, positive=positive)


@pytest.mark.parametrize("positive", [0, 1])
def test_f1_is_about_the_positive_class(positive):
    y, logits = binary()
    prediction = predictions_of("binary", logits)
    metric = get_metric("f1", "binary", positive)
    expected = sk.f1_score(y, prediction > 0.5, pos_label=positive)
    assert metric.score(y, prediction) == pytest.approx(expected, rel=1e-12)
    # Workers get it pickled.
    assert pickle.loads(pickle.dumps(metric)).score(y, prediction) == metric.score(y, prediction)


def test_answering_the_common_class_alone_has_no_f1():
    """The search is not won by a model that never says fraud."""
    y = np.array([0] * 5 + [1] * 95)  # fraud, ok
    always_ok = np.full(100, 0.9)
    assert get_metric("f1", "binary").score(y, always_ok) > 0.97  # what older studies have
    assert choose_metric("f1", labelled()).score(y, always_ok) == 0.0
    assert choose_metric("f1", labelled()).title == "f1 of 'fraud'"


@pytest.mark.parametrize("name", [name for name in BINARY if name != "f1"])
def test_no_other_metric_depends_on_the_positive_class(name):
    assert choose_metric(name, labelled()) is METRICS[name]
    if name != "log_loss":
        y, logits = binary()
        prediction = predictions_of("binary", logits)
        swapped = METRICS[name].score(1 - y, 1 - prediction)
        assert swapped == pytest.approx(METRICS[name].score(y, prediction), rel=1e-12)


def test_f1_of_many_classes_is_about_all():
    dataset = labelled(("a", "b", "c"), None, "multiclass")
    assert choose_metric("f1", dataset) is METRICS["f1"]


@pytest.mark.parametrize("name", [None, "accuracy", "auc"])
def test_a_positive_class_is_for_f1(name):
    with pytest.raises(NasError, match=r"^positive: got 'ok' .*Add metric f1") as caught:
        choose_metric(name, labelled(), "ok")
    assert "\n" not in str(caught.value)


# One answer for all


@pytest.mark.parametrize(
    "name, expected",
    [
        ("accuracy", 0.7),
        ("balanced_accuracy", 0.5),
        ("f1", 0.6 / 1.3),
        ("auc", 0.5),
        ("log_loss", -0.7 * np.log(0.7) - 0.3 * np.log(0.3)),
    ],
)
def test_the_score_of_one_answer_for_all(name, expected):
    y = np.array([0] * 70 + [1] * 30)
    assert constant_score(METRICS[name], y, "binary", 2) == pytest.approx(expected)
    # --task multiclass with two classes has a column for each.
    many = 0.7 / 1.7 if name == "f1" else expected
    assert constant_score(METRICS[name], y, "multiclass", 2) == pytest.approx(many)


@pytest.mark.parametrize("name, expected", [("r2", 0.0), ("rmse", 2.0), ("mae", 1.0)])
def test_the_score_of_one_number_for_all(name, expected):
    y = np.array([1.0, 1.0, 1.0, 1.0, 6.0])
    assert constant_score(METRICS[name], y, "regression", 0) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["log_loss", "balanced_accuracy"])
def test_what_is_proposed_instead_of_auc_takes_the_part(name):
    parts = {"fold 1": np.zeros(9, np.int64)}
    with pytest.raises(NasError, match=f"auc, but fold 1 has 1 of 2 classes.*{name}"):
        check_metric(METRICS["auc"], parts, 2)
    check_metric(METRICS[name], parts, 2)
    assert np.isfinite(METRICS[name].score(parts["fold 1"], np.full(9, 0.4)))


def test_what_is_proposed_instead_of_r2_takes_one_row():
    parts = {"the test part": np.ones(1)}
    with pytest.raises(NasError, match=r"r2, but the test part has one row.*metric rmse"):
        check_metric(METRICS["r2"], parts, 0)
    check_metric(METRICS["rmse"], parts, 0)
