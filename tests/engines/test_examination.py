"""What is seen inside a network, against Keras, scikit-learn and arithmetic."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

pytest.register_assert_rewrite("contract")

from contract import folds_of, make_spec  # noqa: E402

from nas.engines.examination import (  # noqa: E402
    RIDGE,
    Snapshots,
    effective_rank,
    examine,
)
from nas.families.family import features  # noqa: E402
from nas.families.in_words import inside_in_words  # noqa: E402
from nas.models.initializers import initial_weights  # noqa: E402
from nas.models.network import build_model  # noqa: E402
from nas.models.steps import encode_labels  # noqa: E402
from nas.models.training import make_loss  # noqa: E402
from nas.spec import Examination, TrialSpec  # noqa: E402


def examined(spec: TrialSpec, fold: Any = None, **moments: Any) -> Examination:
    start = initial_weights(spec, 1)
    snapshots = Snapshots(
        **{name: moments.get(name, start) for name in ("initial", "first", "previous", "final")}
    )
    the_fold = fold or folds_of(spec.problem.task)[0]
    found = examine(spec, the_fold, 2, snapshots, inside_in_words(spec))
    assert found is not None
    return found


def test_effective_rank_counts_equal_directions() -> None:
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.normal(size=(200, 6)))[0]
    centered = directions - directions.mean(0)
    equal = np.linalg.qr(centered)[0] @ random.permutation(np.eye(6))
    assert effective_rank(equal - equal.mean(0)) == pytest.approx(6.0, rel=0.01)
    line = np.outer(np.arange(50.0), [1.0, -2.0, 0.5])
    assert effective_rank(line) == pytest.approx(1.0)
    assert effective_rank(line + 1e6) == pytest.approx(1.0)
    assert effective_rank(np.ones((20, 3))) == 0.0


@pytest.mark.parametrize("task", ["multiclass", "binary", "regression"])
@pytest.mark.parametrize(
    "network",
    [{}, {"normalization": "layer"}, {"normalization": "batch"}, {"residual": True}],
    ids=str,
)
def test_gradients_and_loss_are_keras_own(task: str, network: dict[str, Any]) -> None:
    spec = make_spec(task, units=(9, 6, 7), **network)
    fold = folds_of(task)[0]
    model = build_model(spec)
    model.set_weights(initial_weights(spec, 1))
    targets = encode_labels(spec.problem, fold.y_train, fold.target_mean, fold.target_scale)
    with tf.GradientTape() as tape:
        loss = make_loss(spec.problem, spec.training)(targets, model(fold.x_train, training=True))
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    gradients = tape.gradient(loss, [kernel.value for kernel in kernels])
    found = examined(spec)
    expected = [float(np.sqrt(np.mean(np.square(g)))) for g in gradients]
    np.testing.assert_allclose(found.gradient_before, expected, rtol=1e-3)
    assert found.loss_before == pytest.approx(float(loss), rel=1e-4)
    assert len(found.rank) == 3 and len(found.probe) == 4 and len(found.gradient_after) == 4


def test_probe_is_a_ridge_regression_scored_on_new_rows() -> None:
    spec = make_spec("multiclass")
    fold = folds_of("multiclass")[0]
    x = fold.x_train - fold.x_train.mean(0)
    alpha = RIDGE * len(x) * float(np.square(x).mean())
    ridge = Ridge(alpha).fit(fold.x_train, np.eye(10)[fold.y_train.astype(int)])
    predicted = ridge.predict(fold.x_val).argmax(1)
    assert examined(spec).probe[0] == pytest.approx(float(np.mean(predicted == fold.y_val)))


def test_probe_of_few_rows_is_the_same_regression() -> None:
    # More inputs than rows take the other side of the closed form.
    spec, fold = make_spec("multiclass"), folds_of("multiclass")[0]
    few = replace(fold, x_train=fold.x_train[:20], y_train=fold.y_train[:20])
    x = few.x_train - few.x_train.mean(0)
    ridge = Ridge(RIDGE * len(x) * float(np.square(x).mean()))
    ridge.fit(few.x_train, np.eye(10)[few.y_train.astype(int)])
    expected = float(np.mean(ridge.predict(fold.x_val).argmax(1) == fold.y_val))
    assert examined(spec, few).probe[0] == pytest.approx(expected)


def test_steps_are_relative_to_the_kernels_norm() -> None:
    spec = make_spec("binary", units=(4,), epochs=2)
    start = initial_weights(spec, 1)
    double = [2 * weight for weight in start]
    found = examined(spec, first=double, previous=double, final=double)
    np.testing.assert_allclose(found.first_step, 1.0, rtol=1e-6)
    np.testing.assert_allclose(found.last_step, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.norm_ratio, 2.0, rtol=1e-6)
    assert found.n_steps == 2 * -(-200 // 32) and found.n_train == 200


def test_dead_and_saturated_units_are_counted() -> None:
    spec = make_spec("multiclass", units=(4, 4), activation="relu")
    weights = initial_weights(spec, 1)
    dead = [weight.copy() for weight in weights]
    dead[1][:3] = -1e3
    found = examined(spec, final=dead)
    assert found.dead_before[0] == 0.0
    assert found.dead[0] == 0.75
    assert found.saturated == (0.0, 0.0)
    spec = make_spec("multiclass", units=(4, 4), activation="tanh")
    found = examined(spec, final=dead)
    assert found.saturated[0] == 0.75 and found.saturated_before == (0.0, 0.0)
    assert found.dead == (0.0, 0.0)


def test_penalties_and_shares() -> None:
    spec = make_spec("multiclass", units=(4,), l1=0.5, l2=2.0)
    kernels = initial_weights(spec, 1)[::2]
    penalty = sum(0.5 * np.abs(k).sum() + 2.0 * np.square(k).sum() for k in kernels)
    one_class = [weight.copy() for weight in initial_weights(spec, 1)]
    one_class[-1][3] = 1e3
    found = examined(spec, final=one_class)
    assert found.penalty_before == pytest.approx(float(penalty), rel=1e-5)
    assert found.predicted_share == 1.0
    counts = np.bincount(folds_of("multiclass")[0].y_val.astype(int))
    assert found.true_share == pytest.approx(counts.max() / counts.sum())


def test_a_diverged_network_keeps_what_was_before() -> None:
    spec = make_spec("regression", units=(4,), activation="relu")
    broken = [np.full_like(weight, np.nan) for weight in initial_weights(spec, 1)]
    found = examined(spec, final=broken)
    assert np.isfinite(found.loss_before) and np.isfinite(found.gradient_before).all()
    assert np.isnan(found.loss_after) and np.isnan(found.val_value)
    assert Examination.from_dict(found.to_dict()).gradient_before == pytest.approx(
        found.gradient_before, rel=1e-4
    )


def test_nothing_to_validate_on_is_not_examined() -> None:
    spec = make_spec("binary")
    fold = replace(folds_of("binary")[0], x_val=np.zeros((0, 30), np.float32), y_val=np.zeros(0))
    start = initial_weights(spec, 1)
    assert examine(spec, fold, 1, Snapshots(start, start, start, start)) is None


# Convolutions

CNN = {"convolutions": ("4c3", "mp2", "5r3s2", "gap"), "units": (6,)}


def some_weights(spec: TrialSpec) -> list[np.ndarray]:
    """Initial weights with biases, so that shortcuts and poolings show."""
    generator = np.random.default_rng(2)
    return [
        w if w.ndim > 1 else (w + generator.uniform(0.0, 0.2, w.shape)).astype(np.float32)
        for w in initial_weights(spec, 1)
    ]


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_gradients_of_convolutions_are_keras_own(normalization: str) -> None:
    spec = make_spec("multiclass", **CNN, normalization=normalization, loss="logistic")
    fold, weights = folds_of("multiclass")[0], some_weights(spec)
    model = build_model(spec)
    model.set_weights(weights)
    targets = encode_labels(spec.problem, fold.y_train, 0.0, 1.0)
    with tf.GradientTape() as tape:
        loss = make_loss(spec.problem, spec.training)(targets, model(fold.x_train, training=True))
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    gradients = tape.gradient(loss, [kernel.value for kernel in kernels])
    found = examined(spec, initial=weights, final=weights)
    expected = [float(np.sqrt(np.mean(np.square(g)))) for g in gradients]
    np.testing.assert_allclose(found.gradient_before, expected, rtol=2e-3)
    np.testing.assert_allclose(found.gradient_after, expected, rtol=2e-3)
    assert found.loss_before == pytest.approx(float(loss), rel=1e-4)
    assert len(spec.hidden) == 4
    assert len(found.probe) == 1 + 4 and len(found.norm_ratio) == 4 + 1
    assert len(found.rank) == len(found.dead) == len(found.saturated_before) == 4
    assert np.isfinite(list(found.rank + found.probe)).all()
    assert all(1.0 < rank <= 128.0 for rank in found.rank)


@pytest.mark.parametrize("task", ["multiclass", "binary", "regression"])
def test_the_moving_value_is_the_score_of_predictions(task: str) -> None:
    spec = make_spec(task, normalization="batch", units=(9, 6))
    fold, weights = folds_of(task)[0], some_weights(spec)
    model = build_model(spec)
    model.set_weights(weights)
    outputs = np.asarray(model(fold.x_val, training=False))
    targets = encode_labels(spec.problem, fold.y_val, fold.target_mean, fold.target_scale)
    expected = {
        "multiclass": lambda: np.mean(outputs.argmax(1) == fold.y_val),
        "binary": lambda: np.mean((outputs > 0.0) == targets),
        "regression": lambda: r2_score(targets, outputs),
    }[task]()
    found = examined(spec, final=weights)
    assert found.moving_value == pytest.approx(expected, rel=1e-4)
    assert found.moving_value != found.val_value
    plain = examined(make_spec(task, normalization="layer"))
    assert plain.moving_value == plain.val_value


def test_a_filter_is_dead_where_it_is_zero_everywhere() -> None:
    spec = make_spec("multiclass", **CNN, activation="relu")
    dead = [weight.copy() for weight in initial_weights(spec, 1)]
    dead[1][:3] = -1e3  # of four filters
    dead[4][:] = 0.0  # the end of the residual block, which leaves its shortcut
    found = examined(spec, final=dead)
    assert found.dead_before[0] == 0.0
    assert found.dead[0] == 0.75
    assert found.dead[2] == 0.8  # the fourth filter goes through, the fifth has no shortcut
    spec = make_spec("multiclass", **CNN, activation="tanh")
    assert examined(spec, final=dead).saturated[0] == 0.75


def test_feature_maps_are_seen_as_averages_of_parts() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 8, 6, 2)).astype(np.float32)
    found = features(tf.constant(maps))
    assert found.shape == (3, 4 * 3 * 2)  # of 2 x 2 pixels
    np.testing.assert_allclose(
        found.reshape(3, 4, 3, 2)[:, 1, 2], maps[:, 2:4, 4:6].mean(axis=(1, 2)), rtol=1e-5
    )
    np.testing.assert_array_equal(features(tf.constant(maps[:, 0, 0])), maps[:, 0, 0])
    small = maps[:, :3, :1]
    np.testing.assert_array_equal(features(tf.constant(small)), small.reshape(3, -1))


def test_probe_of_a_layer_sees_its_parts() -> None:
    # The identity as a network: the first hidden layer knows no more than the pixels' averages.
    spec = make_spec("multiclass", convolutions=("1c1",), units=(), activation="linear")
    weights = initial_weights(spec, 1)
    identity = [np.ones_like(weights[0]), *weights[1:]]
    fold = folds_of("multiclass")[0]
    parts = [
        rows.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
        for rows in (fold.x_train, fold.x_val)
    ]
    x = parts[0] - parts[0].mean(0)
    ridge = Ridge(RIDGE * len(x) * float(np.square(x).mean()))
    ridge.fit(parts[0], np.eye(10)[fold.y_train.astype(int)])
    expected = float(np.mean(ridge.predict(parts[1]).argmax(1) == fold.y_val))
    found = examined(spec, final=identity)
    assert found.probe[1] == pytest.approx(expected)
    assert found.probe[0] > found.probe[1]
    assert found.rank[0] == pytest.approx(effective_rank(parts[0]), rel=1e-3)


def test_steps_end_with_their_budget() -> None:
    # Two epochs of seven steps.
    assert examined(make_spec("multiclass", epochs=9, steps=10)).n_steps == 10
    assert examined(make_spec("multiclass", epochs=9, steps=20)).n_steps == 14
    assert examined(make_spec("multiclass", batch_size=0)).n_steps == 2
