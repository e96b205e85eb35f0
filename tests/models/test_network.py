"""The Keras network of a specification."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from nas.models.network import build_model, initial_weights
from nas.space import RandomSuggester, load_space
from nas.space.vocabulary import WORDS
from nas.spec import Architecture, Problem, Training, TrialSpec

PROBLEMS = (
    Problem("multiclass", 7, 3),
    Problem("binary", 5, 1),
    Problem("regression", 4, 1),
)


def make_spec(problem: Problem = PROBLEMS[0], l1: float = 0.0, **architecture: object) -> TrialSpec:
    values = {f: WORDS[f].default for f in Training.__dataclass_fields__} | {"l1": l1}
    base = Architecture("mlp", (6, 4), "tanh", "none", False, 0.0, "glorot_uniform")
    return TrialSpec(problem, replace(base, **architecture), Training(**values))


def sampled(seed: int) -> TrialSpec:
    spec = load_space("mlp_full").sample(RandomSuggester(seed), PROBLEMS[seed % 3])
    # Narrow layers, so that building them is quick; their number and order stay.
    narrow = tuple(1 + units % 13 for units in spec.architecture.units)
    return replace(spec, architecture=replace(spec.architecture, units=narrow))


def outputs(spec: TrialSpec, weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    model = build_model(spec)
    model.set_weights(weights)
    return np.asarray(model(x.astype(np.float32), training=False))


@pytest.mark.parametrize("seed", range(24))
def test_weights_of_sampled_networks(seed: int) -> None:
    spec = sampled(seed)
    model = build_model(spec)
    weights = initial_weights(spec, seed)
    assert model.count_params() == spec.n_weights == sum(w.size for w in weights)
    assert [w.shape for w in weights] == [w.shape for w in model.get_weights()]
    assert all(w.dtype == np.float32 for w in weights)
    assert model.input_shape == (None, spec.problem.n_inputs)
    assert model.output_shape == (None, spec.problem.n_outputs)


def test_sampled_networks_cover_the_language() -> None:
    architectures = [sampled(seed).architecture for seed in range(24)]
    assert {a.normalization for a in architectures} == {"none", "batch", "layer"}
    assert {a.residual for a in architectures} == {False, True}
    assert len({len(a.units) for a in architectures}) > 4


def test_a_network_without_hidden_layers_is_linear() -> None:
    spec = make_spec(units=())
    assert spec.n_weights == build_model(spec).count_params() == (7 + 1) * 3
    kernel, bias = initial_weights(spec, 0)
    x = np.random.default_rng(0).normal(size=(5, 7))
    bias = bias + np.float32(0.5)
    np.testing.assert_allclose(outputs(spec, [kernel, bias], x), x @ kernel + bias, rtol=1e-5)


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_initial_weights_are_what_keras_begins_with(normalization: str) -> None:
    spec = make_spec(normalization=normalization)
    for mine, theirs in zip(initial_weights(spec, 1), build_model(spec).get_weights(), strict=True):
        if mine.ndim == 1:
            np.testing.assert_array_equal(mine, theirs)
        else:
            limit = np.sqrt(6 / sum(mine.shape))  # of glorot_uniform
            assert np.abs(mine).max() <= limit
            assert np.abs(mine).max() > 0.5 * limit


@pytest.mark.parametrize("initializer", WORDS["initializer"].choices)
def test_initializer_draws_the_hidden_kernels(initializer: str) -> None:
    spec = make_spec(Problem("binary", 120, 1), units=(150,), initializer=initializer)
    kernel, _, out, _ = initial_weights(spec, 3)
    if initializer == "orthogonal":
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(120), atol=1e-4)
    else:
        family, shape = initializer.split("_")
        fan = {"glorot": (120 + 150) / 2, "he": 120 / 2, "lecun": 120}[family]
        assert np.var(kernel) == pytest.approx(1 / fan, rel=0.05)
        kurtosis = np.mean(kernel**4) / np.var(kernel) ** 2  # 1.8 when uniform
        assert kurtosis < 1.9 if shape == "uniform" else kurtosis > 2
    assert np.abs(out).max() <= np.sqrt(6 / 151)  # the output layer's is glorot_uniform


@pytest.mark.parametrize(
    ("initializer", "low", "high", "deviation"),
    [
        ("normal(0.5)", -5.0, 5.0, 0.5),
        ("uniform(0.0, 0.01)", 0.0, 0.01, 0.01 / 12**0.5),
        ("constant(-3)", -3.0, -3.0, 0.0),
    ],
)
def test_initializers_with_numbers(
    initializer: str, low: float, high: float, deviation: float
) -> None:
    spec = make_spec(
        Problem("binary", 120, 1),
        units=(150,),
        initializer=initializer,
        bias_initializer=initializer,
    )
    kernel, bias, *_ = initial_weights(spec, 3)
    for drawn in (kernel, bias):
        assert low <= drawn.min() and drawn.max() <= high
        assert np.std(drawn) == pytest.approx(deviation, rel=0.2, abs=1e-6)
    other, *_ = initial_weights(spec, 4)
    assert deviation == 0.0 or not np.array_equal(kernel, other)
    kernel_of_keras, bias_of_keras, *_ = build_model(spec).get_weights()
    assert low <= min(kernel_of_keras.min(), bias_of_keras.min())
    assert max(kernel_of_keras.max(), bias_of_keras.max()) <= high


def test_unknown_initializers_are_refused() -> None:
    with pytest.raises(ValueError, match="triangle"):
        initial_weights(make_spec(units=(3,), initializer="triangle(2)"), 1)


def test_seeds_and_layers_draw_differently() -> None:
    spec = make_spec(Problem("binary", 5, 1), units=(5, 5, 5))
    one, again, other = (initial_weights(spec, seed) for seed in (1, 1, 2))
    for a, b, c in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        if a.ndim == 2:
            assert not np.isclose(a, c).any()
    kernels = one[0:6:2]
    assert not np.isclose(kernels[0], kernels[1]).any()
    assert not np.isclose(kernels[1], kernels[2]).any()


@pytest.mark.parametrize("units", [(3, 3, 3), (3, 5, 2), (4, 2, 6)])
def test_residual_by_hand(units: tuple[int, ...]) -> None:
    spec = make_spec(Problem("multiclass", 4, 3), units=units, residual=True)
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=w.shape) for w in initial_weights(spec, 0)]
    x = generator.normal(size=(6, 4))
    first = np.tanh(x @ weights[0] + weights[1])  # adds nothing
    hidden = first
    for layer in (1, 2):
        kernel, bias = weights[2 * layer : 2 * layer + 2]
        added = np.zeros((6, units[layer]))
        width = min(units[layer], hidden.shape[1])
        added[:, :width] = hidden[:, :width]
        hidden = np.tanh(hidden @ kernel + bias) + added
    np.testing.assert_allclose(
        outputs(spec, weights, x), hidden @ weights[6] + weights[7], rtol=1e-4, atol=1e-5
    )


def test_normalization_lies_between_dense_and_activation() -> None:
    spec = make_spec(Problem("regression", 4, 1), units=(5,), normalization="layer")
    generator = np.random.default_rng(1)
    weights = [generator.normal(size=w.shape) for w in initial_weights(spec, 0)]
    x = generator.normal(size=(6, 4))
    h = x @ weights[0] + weights[1]
    h = (h - h.mean(axis=1, keepdims=True)) / np.sqrt(h.var(axis=1, keepdims=True) + 1e-3)
    h = np.tanh(h * weights[2] + weights[3])
    np.testing.assert_allclose(
        outputs(spec, weights, x), h @ weights[4] + weights[5], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_dropout_layers_exist_only_with_dropout(dropout: float) -> None:
    model = build_model(make_spec(units=(4, 4, 4), dropout=dropout))
    rates = [la.rate for la in model.layers if isinstance(la, keras.layers.Dropout)]
    assert rates == ([0.25] * 3 if dropout else [])


def test_dropout_acts_on_a_layer_before_its_input_is_added() -> None:
    # Both layers put out tanh(9) = 1, so each branch is 0 or 2 after dropout. Were the sum
    # dropped, or the added input once more, there would be other values or shares.
    units = 200
    spec = make_spec(Problem("multiclass", 2, units), units=(units,) * 2, dropout=0.5)
    spec = replace(spec, architecture=replace(spec.architecture, residual=True))
    weights = [np.zeros(w.shape) for w in initial_weights(spec, 0)]
    weights[1] += 9.0
    weights[3] += 9.0
    weights[4] = np.eye(units)
    model = build_model(spec)
    model.set_weights(weights)
    values = np.round(np.asarray(model(np.zeros((50, 2), np.float32), training=True)))
    shares = {value: float(np.mean(values == value)) for value in np.unique(values)}
    assert shares == pytest.approx({0: 0.25, 2: 0.5, 4: 0.25}, abs=0.03)


def test_penalties_are_on_kernels() -> None:
    spec = make_spec(l1=0.5)
    model = build_model(spec)
    weights = [w + np.float32(1) for w in initial_weights(spec, 0)]
    model.set_weights(weights)
    expected = 0.5 * sum(np.abs(w).sum() for w in weights if w.ndim == 2)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    assert not build_model(make_spec()).losses
