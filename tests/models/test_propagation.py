"""Scores before training, against Keras and against their definitions."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from nas.encoding import FoldData
from nas.models.initializers import initial_weights
from nas.models.network import build_model
from nas.models.propagation import (
    gradient_propagation,
    jacobian_covariance,
    signal_propagation,
    synflow,
    untrained_scores,
)
from nas.models.steps import encode_labels
from nas.models.training import make_loss
from nas.space import SearchSpace
from nas.space.suggesters import RandomSuggester
from nas.spec import Problem, TrialSpec

PROBLEMS = (
    Problem("multiclass", 7, 3),
    Problem("binary", 5, 1),
    Problem("regression", 4, 1),
)
NETWORKS = (
    {"depth": 3, "width": 6, "activation": "tanh"},
    {"depth": 4, "width": 9, "shape": "funnel", "residual": True, "activation": "gelu"},
    {"depth": 2, "width": 8, "normalization": "batch", "activation": "silu"},
    {"depth": 3, "width": 5, "normalization": "layer", "residual": True, "dropout": 0.5},
    {"depth": 0},
)


def make_spec(problem: Problem = PROBLEMS[0], **parameters: object) -> TrialSpec:
    return SearchSpace(parameters).sample(RandomSuggester(0), problem)


def make_batch(problem: Problem, n_rows: int = 30) -> FoldData:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(n_rows, problem.n_inputs)).astype(np.float32)
    y = {
        "multiclass": generator.integers(0, problem.n_outputs, n_rows),
        "binary": generator.integers(0, 2, n_rows),
        "regression": generator.normal(5.0, 3.0, n_rows),
    }[problem.task]
    return FoldData(problem.task, x, y, x[:0], y[:0], 5.0, 3.0)


def kernels_of(model: keras.Model) -> list[keras.Variable]:
    return [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Dense)]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.task)
@pytest.mark.parametrize("network", NETWORKS)
def test_signal_gradient_and_jacobian_are_those_of_the_keras_model(
    problem: Problem, network: dict[str, object]
) -> None:
    # Without dropout, Keras's model in training is the one that is scored.
    spec = make_spec(problem, **{**network, "dropout": 0.0})
    batch = make_batch(problem)
    model = build_model(spec)
    model.set_weights(initial_weights(spec, 3))
    ends = [layer for layer in model.layers if layer.name.startswith(("activation", "residual"))]
    last_of_each = {layer.name.split("_")[-1]: layer.output for layer in ends}
    inside = keras.Model(model.inputs, [*last_of_each.values(), model.outputs[0]])
    x = tf.constant(batch.x_train)
    labels = encode_labels(problem, batch.y_train, 5.0, 3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        *hidden, outputs = tf.nest.flatten(inside(x, training=True))
        loss = make_loss(problem, spec.training)(labels, outputs)
        total = tf.reduce_sum(outputs)
    kernels = [kernel.value for kernel in kernels_of(model)]
    gradients = [g.numpy() for g in tape.gradient(loss, kernels)]
    values = untrained_scores(make_spec(problem, **network), 3, batch).values

    variances = [np.var(h.numpy(), axis=0).mean() for h in hidden]
    signal = np.log10(variances[-1] / variances[0]) if hidden else 0.0
    assert values["signal"] == pytest.approx(signal, abs=1e-3)
    first, last = (np.sqrt(np.mean(g**2)) for g in (gradients[0], gradients[-1]))
    assert values["gradient"] == pytest.approx(np.log10(first / last), abs=1e-3)
    expected = jacobian_covariance(tape.gradient(total, x).numpy())
    # Small eigenvalues enter by their inverse.
    assert values["jacobian"] == pytest.approx(expected, rel=1e-3)
    assert values["weights"] == model.count_params()


@pytest.mark.parametrize(
    "network",
    [
        {"depth": 3, "width": 6},
        {"depth": 4, "width": 9, "shape": "funnel", "residual": True},
        {"depth": 4, "width": 9, "shape": "pyramid", "residual": True, "normalization": "batch"},
        {"depth": 2, "width": 5, "normalization": "layer", "activation": "sigmoid"},
        {"depth": 0},
    ],
)
def test_synflow_is_the_sum_of_weights_times_their_gradients(network: dict[str, object]) -> None:
    spec = make_spec(**network)
    weights = initial_weights(spec, 5)
    linear = replace(spec.architecture, activation="linear", normalization="none")
    model = build_model(replace(spec, architecture=linear))
    per_layer = {"none": 2, "layer": 4, "batch": 6}[spec.architecture.normalization]
    kernels = [*weights[:-2:per_layer], weights[-2]]
    for variable, kernel in zip(kernels_of(model), kernels, strict=True):
        variable.assign(np.abs(kernel))
    variables = [kernel.value for kernel in kernels_of(model)]
    with tf.GradientTape() as tape:
        flow = tf.reduce_sum(model(tf.ones((1, spec.problem.n_inputs))))
    gradients = tape.gradient(flow, variables)
    expected = sum(float(tf.reduce_sum(g * v)) for g, v in zip(gradients, variables, strict=True))
    assert synflow(spec, weights) == pytest.approx(np.log(expected), rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
def test_a_convolution_over_one_pixel_is_a_dense_layer(loss: str) -> None:
    dense = make_spec(layers="fc5-fc4", residual=True, loss=loss)
    problem = replace(dense.problem, image_shape=(1, 1, dense.problem.n_inputs))
    space = SearchSpace({"layers": "5c1-4c1", "residual": True, "loss": loss}, network="cnn")
    convolutional = space.sample(RandomSuggester(0), problem)
    batch = make_batch(problem)

    # Glorot's bounds are the same for a kernel of one pixel, and so are the weights drawn.
    scores = [untrained_scores(spec, 3, batch).values for spec in (dense, convolutional)]

    for name, value in scores[0].items():
        assert scores[1][name] == pytest.approx(value, rel=1e-4), name


def test_synflow_of_a_chain_by_hand() -> None:
    spec = make_spec(Problem("regression", 2, 1), depth=1, width=2)
    weights = [
        np.array([[1.0, -2.0], [3.0, 0.5]], np.float32),
        np.array([9.0, 9.0], np.float32),  # biases have no part in it
        np.array([[-1.0], [4.0]], np.float32),
        np.array([9.0], np.float32),
    ]
    # (1 + 3) * 1 + (2 + 0.5) * 4 = 14 flows through each of two layers.
    assert synflow(spec, weights) == pytest.approx(np.log(28.0))


@pytest.mark.parametrize("residual", [False, True])
def test_synflow_of_very_deep_networks_does_not_overflow(residual: bool) -> None:
    spec = make_spec(depth=600, width=30, residual=residual)
    value = synflow(spec, initial_weights(spec, 0))
    # The product itself is far beyond the largest 64-bit float.
    assert 709.8 < value < 1e4


def test_deep_sigmoid_networks_lose_signal_and_gradient_and_he_with_relu_does_not() -> None:
    problem = Problem("multiclass", 20, 4)
    batch = make_batch(problem, 100)

    def values(**parameters: object) -> dict[str, float]:
        return untrained_scores(make_spec(problem, width=100, **parameters), 0, batch).values

    sigmoid = values(depth=8, activation="sigmoid")
    relu = values(depth=8, activation="relu", initializer="he_normal")
    assert sigmoid["signal"] < -4.0 and sigmoid["gradient"] < -3.0
    assert abs(relu["signal"]) < 1.5 and abs(relu["gradient"]) < 1.5
    # It is the depth that does it.
    assert values(depth=2, activation="sigmoid")["gradient"] > sigmoid["gradient"] + 2.0


def test_jacobian_covariance_by_its_formula() -> None:
    jacobian = np.random.default_rng(0).normal(size=(6, 9))
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(jacobian)) + 1e-5
    expected = -np.mean(np.log(eigenvalues) + 1.0 / eigenvalues)
    assert jacobian_covariance(jacobian.astype(np.float32)) == pytest.approx(expected, rel=1e-3)
    # More rows than columns: rows are correlated, and the covariance is short of full rank.
    tall = np.random.default_rng(0).normal(size=(9, 6))
    eigenvalues = np.clip(np.linalg.eigvalsh(np.corrcoef(tall)), 0.0, None) + 1e-5
    expected = -np.mean(np.log(eigenvalues) + 1.0 / eigenvalues)
    assert jacobian_covariance(tall.astype(np.float32)) == pytest.approx(expected, rel=1e-3)


def test_rows_that_are_answered_alike_score_worse() -> None:
    generator = np.random.default_rng(0)
    different = generator.normal(size=(10, 20))
    alike = generator.normal(size=(1, 20)) + 0.1 * different
    assert jacobian_covariance(alike) < jacobian_covariance(different)
    assert np.isnan(jacobian_covariance(np.full((4, 3), np.inf)))


def test_dead_and_infinite_layers() -> None:
    ones, zeros = np.eye(3), np.zeros((3, 3))
    assert signal_propagation([ones, zeros]) == -np.inf
    assert signal_propagation([zeros, zeros]) == 0.0
    assert np.isnan(gradient_propagation([np.full((3, 3), np.inf), ones]))
    assert gradient_propagation([10.0 * ones, ones]) == pytest.approx(1.0)


def test_each_score_has_its_own_processor_seconds() -> None:
    spec = make_spec(depth=6, width=200)
    batch = make_batch(PROBLEMS[0])
    untrained_scores(spec, 0, batch)
    scores = [untrained_scores(spec, 0, batch) for _ in range(3)]
    assert set(scores[0].seconds) == set(scores[0].values)
    total = {name: sum(s.seconds[name] for s in scores) for name in scores[0].seconds}
    assert total["gradient"] > total["signal"] > total["weights"]
    assert total["jacobian"] > total["signal"]
