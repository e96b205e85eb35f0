"""Scores and losses that a program computes are those that NumPy finds from the outputs."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

pytest.register_assert_rewrite("contract")

from contract import folds_of, make_spec  # noqa: E402

from nas.choices import Task  # noqa: E402
from nas.encoding import FoldData  # noqa: E402
from nas.engines import validation  # noqa: E402
from nas.engines.lane_log import score_epochs  # noqa: E402
from nas.engines.shapes import program_shape  # noqa: E402
from nas.metrics import METRICS  # noqa: E402
from nas.spec import TrialSpec  # noqa: E402

LOSSES = {
    "multiclass": ("cross_entropy", "logistic"),
    "binary": ("cross_entropy", "logistic"),
    "regression": ("squared", "absolute", "huber"),
}
CASES = [
    (task, loss, name)
    for task in get_args(Task)
    for loss in LOSSES[task]
    for name in validation.SUMMED
    if task in METRICS[name].tasks
]


def found_inside(
    spec: TrialSpec, fold: FoldData, name: str, outputs: np.ndarray[Any, Any]
) -> tuple[Any, Any]:
    """Losses and scores after each epoch, of rows that are filled up with others."""
    shape, n = program_shape(spec, len(fold.y_train)), len(fold.y_val)
    y = np.pad(validation.encode_targets(spec.problem, fold), [(0, 3), (0, 0)])
    bounds, is_row = validation.encode_bounds(fold), np.arange(n + 3) < n
    filled = np.pad(outputs, [(0, 0), (0, 3), (0, 0)], constant_values=7.0)
    sums = [validation.sums(shape, name, y, of_epoch, is_row, bounds) for of_epoch in filled]
    return validation.losses_and_scores(METRICS[name], fold, np.array(sums))


@pytest.mark.parametrize("deviation", [1.0, 300.0])  # with the latter, most are very wrong
@pytest.mark.parametrize(("task", "loss", "name"), CASES)
def test_sums_are_what_numpy_finds(task: Task, loss: str, name: str, deviation: float) -> None:
    fold, spec = folds_of(task)[0], make_spec(task, loss=loss)
    if task == "regression":
        fold = replace(fold, target_bounds=(50.0, 300.0))
    shape = (4, len(fold.y_val), spec.problem.n_outputs)
    outputs = np.random.default_rng(0).normal(0.0, deviation, shape).astype(np.float32)
    losses, scores = found_inside(spec, fold, name, outputs)
    scored = score_epochs(METRICS[name], fold, fold.y_val, outputs, spec.loss)
    expected_scores, expected_losses = zip(*scored, strict=True)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_r2_of_a_constant_target_is_as_scikit_learn_has_it(shift: float) -> None:
    fold, spec = folds_of("regression")[0], make_spec("regression")
    fold = replace(fold, target_mean=64.0, y_val=np.full(len(fold.y_val), 64.0))
    outputs = np.full((1, len(fold.y_val), 1), shift, np.float32)
    _, scores = found_inside(spec, fold, "r2", outputs)
    assert scores == [METRICS["r2"].score(fold.y_val, fold.y_val + shift)]


def test_a_fold_without_rows_has_no_score() -> None:
    fold = folds_of("multiclass")[0]
    empty = replace(fold, x_val=fold.x_val[:0], y_val=fold.y_val[:0])
    found = validation.losses_and_scores(METRICS["accuracy"], empty, np.zeros((2, 3, 2)))
    assert np.isnan(found).all() and np.shape(found) == (2, 2, 3)


def test_an_own_metric_is_not_scored_by_a_program() -> None:
    own = replace(METRICS["accuracy"], is_own=True)
    assert [validation.is_summed(m, []) for m in (METRICS["accuracy"], own, METRICS["auc"])] == [
        True,
        False,
        False,
    ]
