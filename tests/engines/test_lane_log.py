"""Scores and losses of outputs, and which folds train on."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.register_assert_rewrite("contract")

from contract import folds_of, make_spec  # noqa: E402

from nas.engines.lane_log import LaneLog, score_outputs  # noqa: E402
from nas.engines.lanes import Lane  # noqa: E402
from nas.metrics import METRICS, predictions_of  # noqa: E402
from nas.models.steps import encode_labels  # noqa: E402
from nas.models.training import make_loss  # noqa: E402

LOSSES = [
    ("multiclass", "cross_entropy"),
    ("multiclass", "logistic"),
    ("binary", "cross_entropy"),
    ("binary", "logistic"),
    ("regression", "squared"),
    ("regression", "absolute"),
    ("regression", "huber"),
]


@pytest.mark.parametrize("deviation", [2.0, 500.0])  # with the latter, most are very wrong
@pytest.mark.parametrize(("task", "loss"), LOSSES)
def test_the_loss_is_the_one_that_is_minimized(task: Any, loss: str, deviation: float) -> None:
    fold, spec = folds_of(task)[0], make_spec(task, loss=loss)
    shape = (len(fold.y_val), spec.problem.n_outputs)
    outputs = np.random.default_rng(0).normal(0.0, deviation, shape).astype(np.float32)
    metric = METRICS["rmse" if task == "regression" else "log_loss"]
    score, found = score_outputs(metric, fold, fold.y_val, outputs, spec.loss)
    targets = encode_labels(spec.problem, fold.y_val, fold.target_mean, fold.target_scale)
    assert found == pytest.approx(float(make_loss(spec.problem, spec.training)(targets, outputs)))
    scale = (fold.target_mean, fold.target_scale)
    prediction = predictions_of(task, outputs, *scale, spec.loss)
    assert score == metric.score(fold.y_val, prediction)


def test_infinite_outputs_have_no_loss() -> None:
    fold, spec = folds_of("multiclass")[0], make_spec("multiclass", loss="logistic")
    outputs = np.full((len(fold.y_val), 10), np.inf, np.float32)
    found = score_outputs(METRICS["accuracy"], fold, fold.y_val, outputs, spec.loss)
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("changes", "epochs"),
    [
        ({"epochs": 2}, [2, 2, 2]),
        ({"epochs": 20, "steps": 14}, [2, 3, 3]),  # of 7, 6 and 5 steps
        ({"epochs": 2, "steps": 14}, [2, 2, 2]),
        ({"epochs": 3, "steps": 2, "batch_size": 0}, [2, 2, 2]),
    ],
)
def test_folds_end_with_their_epochs_or_steps(changes: dict[str, int], epochs: list[int]) -> None:
    spec, folds = make_spec("multiclass", **changes), folds_of("multiclass")
    logs = [LaneLog(Lane(spec, k, 1), len(fold.y_train)) for k, fold in enumerate(folds)]
    for log in logs:
        while log.active:
            log.record(1.0, 1.0, 0.5, finite=True)
    assert [log.epochs for log in logs] == epochs


def test_a_fold_without_rows_does_not_train() -> None:
    lane = Lane(make_spec("multiclass"), 0, 1)
    assert [LaneLog(lane, n_rows).active for n_rows in (0, 200)] == [False, True]


def test_predictions_of_a_regression_keep_within_the_bounds_of_the_target() -> None:
    fold = folds_of("regression")[0]
    low, high = bounds = (50.0, 300.0)
    bounded = replace(fold, target_bounds=bounds)
    outputs = np.random.default_rng(0).normal(0.0, 1e6, (len(fold.y_val), 1)).astype(np.float32)
    score, loss = score_outputs(METRICS["rmse"], bounded, fold.y_val, outputs, "squared")
    expected = np.where(outputs[:, 0] > 0.0, high, low)
    assert score == METRICS["rmse"].score(fold.y_val, expected)
    assert loss == pytest.approx((score / fold.target_scale) ** 2)
