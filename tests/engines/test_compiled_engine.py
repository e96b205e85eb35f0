"""The compiled engine: the contract, and what is its own."""

from dataclasses import replace
from itertools import product
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

pytest.register_assert_rewrite("contract")

from contract import (  # noqa: E402
    EngineContract,
    assert_same_trial,
    folds_of,
    make_spec,
    train,
)

from nas.engines import compiled_engine, program  # noqa: E402
from nas.engines.compiled_engine import CompiledEngine, program_shape, width_class  # noqa: E402
from nas.engines.keras_engine import KerasEngine  # noqa: E402
from nas.engines.program import ACTIVATIONS, compile_epoch  # noqa: E402
from nas.engines.update_rule import coefficients  # noqa: E402
from nas.metrics import METRICS  # noqa: E402
from nas.models.training import make_loss  # noqa: E402
from nas.space.vocabulary import OPTIMIZERS, WORDS  # noqa: E402
from nas.spec import TrialSpec  # noqa: E402


class TestCompiledEngine(EngineContract):
    engine_class = CompiledEngine


def start(spec: TrialSpec, seed: int = 1, n_folds: int = 3) -> Any:
    folds = folds_of(spec.problem.task)[:n_folds]
    return CompiledEngine(folds, METRICS["log_loss"]).start([spec], [seed])


def test_one_program_serves_every_trial_of_a_shape() -> None:
    # A width of its own, so that no other test has compiled this shape.
    common = {"units": (321, 330), "epochs": 2}
    specs = [
        make_spec("multiclass", **common),
        make_spec("multiclass", **common, optimizer="sgd", activation="relu", dropout=0.5),
        make_spec("multiclass", **common, optimizer="nadam", activation="gelu", residual=True),
        make_spec("multiclass", **common, l2=0.1, label_smoothing=0.1, schedule="cosine"),
        make_spec("multiclass", **{**common, "units": (325, 380)}, weight_decay=0.1),
    ]
    engine = CompiledEngine(folds_of("multiclass"), METRICS["log_loss"])
    for seed, spec in enumerate(specs):
        train(engine.start([spec], [seed]))
    assert len(engine.shapes) == 1
    (shape,) = engine.shapes
    assert compile_epoch(shape).experimental_get_tracing_count() == 1


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_units_beyond_a_layers_width_get_no_gradient(normalization: str) -> None:
    # Sigmoid of 0 is not 0: an unused unit that is not masked would be seen by the next layer.
    spec = make_spec(
        "multiclass",
        units=(8, 5),
        activation="sigmoid",
        normalization=normalization,
        optimizer="adam",
        weight_decay=0.1,
        residual=True,
        dropout=0.2,
        epochs=3,
    )
    cohort = start(spec)
    train(cohort)
    state = cohort._trials[0]._states[0]
    width = cohort._trials[0].shape.width
    d, c = spec.problem.n_inputs, spec.problem.n_outputs
    for part in (state.weights, state.first, state.second):
        for lane in np.asarray(part.kernels):
            first, second, last = np.split(lane, [d * width, d * width + width * width])
            assert not first.reshape(d, width)[:, 8:].any()
            assert not second.reshape(width, width)[8:].any()
            assert not second.reshape(width, width)[:, 5:].any()
            assert not last.reshape(width, c)[5:].any()
            assert first.reshape(d, width)[:, :8].any(axis=0).all()
        biases = np.asarray(part.others)[:, : 2 * width].reshape(-1, 2, width)
        assert not biases[:, 0, 8:].any()
        assert not biases[:, 1, 5:].any()


@pytest.mark.parametrize(
    ("units", "width"), [(1, 32), (32, 32), (33, 64), (64, 64), (65, 128), (500, 512)]
)
def test_widths_are_rounded_up_to_few_classes(units: int, width: int) -> None:
    assert width_class(units) == width


@pytest.mark.parametrize(
    ("units", "n_folds", "lanes"),
    [
        ((64,), 1, 1),
        ((64,), 5, 5),
        ((64,), 10, 5),
        ((64,), 7, 7),
        ((64,), 11, 1),
        ((512,) * 3, 5, 1),
    ],
)
def test_lanes_divide_the_folds_and_fit_the_caches(
    units: tuple[int, ...], n_folds: int, lanes: int
) -> None:
    assert program_shape(make_spec("multiclass", units=units), n_folds, 1000).lanes == lanes


def test_folds_in_groups_are_the_same_as_together(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec("multiclass", units=(8, 6), dropout=0.2, normalization="layer", epochs=3)
    together = train(start(spec))
    monkeypatch.setattr(compiled_engine, "STATE_BUDGET", 1.0)
    cohort = start(spec)
    assert cohort._trials[0].shape.lanes == 1
    # Another program adds in another order.
    assert_same_trial(train(cohort), 0, together, 0, 1e-3)


def test_scores_do_not_depend_on_the_rows_predicted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec("binary", epochs=1)
    results = []
    for rows in (8192, 30):
        monkeypatch.setattr(compiled_engine, "PREDICT_ROWS", rows)
        results.append(train(start(spec)).results[0])
    np.testing.assert_allclose(results[0].fold_values, results[1].fold_values, rtol=1e-5)
    np.testing.assert_allclose(results[0].train_values, results[1].train_values, rtol=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_is_uniform_and_independent(rate: float) -> None:
    shape = program_shape(make_spec("multiclass", units=(64,)), 5, 1000)
    counters = program.dropout_counters(shape)
    seeds = tf.constant(np.random.default_rng(0).integers(0, 2**32, 40, np.uint32))
    masks = []
    for step in range(20):  # as the program draws them
        keys = program._hash(seeds + tf.constant(step, tf.uint32))
        for layer in range(3):
            key = program._hash(keys + tf.constant(layer, tf.uint32))
            masks.append(np.asarray(program._dropout(counters, key, rate)))
    drawn = np.array(masks)  # (step and layer, lane, row, unit)
    assert set(np.unique(drawn)) == {np.float32(0.0), np.float32(1.0 / (1.0 - rate))}
    dropped = drawn == 0.0
    n = dropped.size
    assert abs(dropped.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / n)
    # Every axis by itself: the shares of rows, units, lanes and steps scatter as they must.
    for axis in range(4):
        others = tuple(k for k in range(4) if k != axis)
        shares = dropped.mean(axis=others)
        each = n // dropped.shape[axis]
        z = (shares - rate) / np.sqrt(rate * (1 - rate) / each)
        assert stats.kstest(z, "norm").pvalue > 1e-3
    # Neighbours along every axis are uncorrelated.
    centered = dropped - rate
    for axis in range(4):
        a = np.take(centered, range(dropped.shape[axis] - 1), axis)
        b = np.take(centered, range(1, dropped.shape[axis]), axis)
        assert abs(np.mean(a * b)) < 5 * rate * (1 - rate) / np.sqrt(a.size)


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("multiclass", "cross_entropy"),
        ("multiclass", "logistic"),
        ("binary", "cross_entropy"),
        ("regression", "squared"),
        ("regression", "absolute"),
        ("regression", "huber"),
    ],
)
def test_losses_of_rows_are_keras_own(task: Any, loss: str) -> None:
    spec = make_spec(task, loss=loss)
    n_outputs = spec.problem.n_outputs
    generator = np.random.default_rng(0)
    outputs = generator.normal(0.0, 3.0, (2, 40, n_outputs)).astype(np.float32)
    y = {
        "multiclass": np.eye(n_outputs)[generator.integers(0, n_outputs, (2, 40))],
        "binary": generator.integers(0, 2, outputs.shape),
        "regression": generator.normal(size=outputs.shape),
    }[task].astype(np.float32)
    found = program._row_losses(spec.loss, y, tf.constant(outputs))
    assert found.shape == (2, 40)
    for lane in range(2):
        expected = make_loss(spec.problem, spec.training)(y[lane], outputs[lane])
        np.testing.assert_allclose(np.mean(found[lane]), expected, rtol=1e-5)


# Zeros, numbers that round away, kinks, and numbers whose squares, exponentials or sums overflow.
SIZES = (0.0, 1e-30, 1e-10, 1e-4, 0.3, 1.0, 2.0, 9.0, 88.0, 100.0, 1e4, 1e10, 1e20, 1e30, 3e38)
NUMBERS = np.array([sign * size for size in (*SIZES, np.inf) for sign in (1, -1)], np.float32)


def with_slope(function: Any, x: Any) -> tuple[np.ndarray, np.ndarray]:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x)


@pytest.mark.parametrize("name", WORDS["activation"].choices)
def test_activations_and_their_slopes_are_keras_own(name: str) -> None:
    coefficients = tf.constant(np.array(ACTIVATIONS[name], np.float32))

    @tf.function(jit_compile=True, autograph=False)
    def compiled(z: Any) -> Any:
        if name == "softplus":  # which has a program of its own
            return with_slope(tf.nn.softplus, z)
        activation = program.Activation(*tf.unstack(coefficients))
        return with_slope(lambda z: program._activate(z, activation), z)

    found = compiled(tf.constant(NUMBERS))
    expected = with_slope(keras.activations.get(name), tf.constant(NUMBERS))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def rows_of(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Targets and outputs at every kink, tie and size, (1, n, n_outputs)."""
    finite = NUMBERS[np.abs(NUMBERS) <= 1e30]  # Keras's own Huber overflows beyond that
    if task == "multiclass":
        ties = np.array([*product(finite[::3], (0.0, 1.0, -1e30), (0.0, 1.0, 1e30)), (2, 2, 2)])
        truths = [*np.eye(3), np.full(3, 1 / 3)]
    else:
        kinks = [1.5, -1.5, -3.5]  # where the error from the targets below is exactly 1
        ties, truths = np.array([*finite, *kinks])[:, None], np.array([[0.0], [1.0], [-2.5]])
        if task == "binary":
            truths = np.array([[0.0], [1.0], [0.1]])
    y = np.repeat(truths, len(ties), axis=0).astype(np.float32)
    return y[None], np.tile(ties, (len(truths), 1)).astype(np.float32)[None]


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("multiclass", "cross_entropy"),
        ("multiclass", "logistic"),
        ("binary", "cross_entropy"),
        ("regression", "squared"),
        ("regression", "absolute"),
        ("regression", "huber"),
    ],
)
def test_losses_and_their_slopes_are_keras_own(task: Any, loss: Any) -> None:
    y, outputs = rows_of(task)
    spec = make_spec(task, loss=loss)
    theirs = make_loss(spec.problem, spec.training)
    theirs.reduction = None

    @tf.function(jit_compile=True, autograph=False)
    def compiled(outputs: Any) -> Any:
        return with_slope(lambda o: program._row_losses(spec.loss, y, o), outputs)

    found = compiled(tf.constant(outputs))
    expected = with_slope(lambda o: theirs(y[0], o), tf.constant(outputs[0]))
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine[0], other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_of_a_budget_are_the_first_of_all(optimizer: str) -> None:
    whole = make_spec("binary", optimizer=optimizer, momentum=0.5, epochs=5).training
    for epoch, taken in ((0, 7), (1, 7), (2, 2)):
        expected = coefficients(whole, 7, epoch)
        found = coefficients(replace(whole, steps=16), 7, epoch)
        np.testing.assert_array_equal(found, expected[:taken])


@pytest.mark.slow
def test_scores_with_dropout_are_distributed_as_the_keras_engines() -> None:
    folds = folds_of("multiclass")
    compiled, plain = (
        engine(folds, METRICS["accuracy"]) for engine in (CompiledEngine, KerasEngine)
    )
    spec = make_spec(
        "multiclass", units=(32, 32), activation="relu", dropout=0.4, l2=1e-4, epochs=8
    )
    scores = {}
    for engine in (compiled, plain):
        trials = [train(engine.start([spec], [seed])).results[0] for seed in range(30)]
        scores[engine.name] = np.array([np.mean(trial.fold_values) for trial in trials])
    assert stats.ks_2samp(scores["compiled"], scores["keras"]).pvalue > 0.01
    difference = scores["compiled"] - scores["keras"]  # same initial weights and batches
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert abs(difference.mean()) < 3 * error
    assert scores["keras"].std() > 0
