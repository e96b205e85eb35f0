"""The Keras network of a specification."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from nas.models.initializers import bin_weights, initial_weights
from nas.models.network import build_model, undecayed
from nas.space import RandomSuggester, Range, SearchSpace, load_space
from nas.space.vocabulary import WORDS
from nas.spec import Architecture, Problem, Training, TrialSpec

PROBLEMS = (
    Problem("multiclass", 7, 3, n_numbers=5),
    Problem("binary", 5, 1, n_numbers=5),
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


IMAGES = Problem("multiclass", 70, 3, (7, 5, 2))


def make_cnn(layers: str, problem: Problem = IMAGES, **words: Any) -> TrialSpec:
    space = SearchSpace({"layers": layers, **words}, network="cnn")
    return space.sample(RandomSuggester(0), problem)


def sampled_cnn(seed: int) -> TrialSpec:
    narrow = {"filters": Range(2, 5), "head_width": Range(2, 9)}
    words = {**load_space("cnn").parameters, **narrow}
    return SearchSpace(words, network="cnn").sample(RandomSuggester(seed), IMAGES)


def outputs(spec: TrialSpec, weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    model = build_model(spec)
    model.set_weights(weights)
    return np.asarray(model(x.astype(np.float32), training=False))


def check_weights(spec: TrialSpec) -> None:
    """The built network, the drawn weights and the count of them agree."""
    model = build_model(spec)
    weights = initial_weights(spec, 1)
    assert model.count_params() == spec.n_weights == sum(w.size for w in weights)
    assert [w.shape for w in weights] == [w.shape for w in model.get_weights()]
    assert all(w.dtype == np.float32 for w in weights)
    assert model.input_shape == (None, spec.problem.n_inputs)
    of_members = [spec.members] if spec.members > 1 else []
    assert model.output_shape == (None, *of_members, spec.problem.n_outputs)


@pytest.mark.parametrize("seed", range(24))
def test_weights_of_sampled_networks(seed: int) -> None:
    check_weights(sampled(seed))


@pytest.mark.parametrize("seed", range(8))
def test_weights_of_sampled_convolutional_networks(seed: int) -> None:
    check_weights(sampled_cnn(seed))


@pytest.mark.parametrize(("side", "normalization"), [(1, "none"), (8, "batch"), (9, "layer")])
@pytest.mark.parametrize("network", ["4r3s2-6r3s2-3r3-gap", "4c3s2-ap2-mp3-5c9-mp2-gmp-fc3"])
def test_weights_of_given_networks(network: str, side: int, normalization: str) -> None:
    problem = Problem("binary", side * (side + 4), 1, (side, side + 4, 1))
    spec = make_cnn(network, problem, normalization=normalization, residual=True)
    check_weights(spec)
    built = {layer.name: layer.output.shape[1:] for layer in build_model(spec).layers}
    assert all(built[layer.name] == layer.output_shape for layer in spec.layers)


def test_weights_of_a_well_known_network() -> None:
    check_weights(make_cnn("resnet18/16"))


def test_sampled_networks_cover_the_language() -> None:
    architectures = [sampled_cnn(seed).architecture for seed in range(8)]
    assert {a.normalization for a in architectures} == {"none", "batch", "layer"}
    assert {a.residual for a in architectures} == {False, True}
    items = {item.lstrip("0123456789")[:2] for a in architectures for item in a.convolutions}
    assert items == {"c3", "c5", "mp", "ap", "ga", "gm"}
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


@pytest.mark.parametrize(
    ("output", "kernel", "bias"), [("same", -3.0, 0.5), ("constant(2)", 2.0, 0.0)]
)
def test_initializer_of_the_output_layer(output: str, kernel: float, bias: float) -> None:
    spec = make_spec(
        initializer="constant(-3)", bias_initializer="constant(0.5)", output_initializer=output
    )
    for weights in (initial_weights(spec, 1), build_model(spec).get_weights()):
        assert [set(w.ravel().tolist()) for w in weights[:2]] == [{-3.0}, {0.5}]
        assert [set(w.ravel().tolist()) for w in weights[-2:]] == [{kernel}, {bias}]


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


# Convolutions


def random_weights(spec: TrialSpec) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(0.0, 0.5, w.shape) for w in initial_weights(spec, 0)]


def images(n: int = 6) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, *IMAGES.image_shape))


def as_rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def fit(x: np.ndarray, n_maps: int) -> np.ndarray:
    """Feature maps, with maps of zeros or without the last ones."""
    more = np.zeros((*x.shape[:-1], max(0, n_maps - x.shape[-1])))
    return np.concatenate([x, more], axis=-1)[..., :n_maps]


@pytest.mark.parametrize("filters", [(3, 5), (5, 3), (4, 4)])
def test_residual_blocks_by_hand(filters: tuple[int, int]) -> None:
    a, b = filters
    spec = make_cnn(f"{a}c1-{b}r1s2-gap", activation="tanh")
    weights = random_weights(spec)
    k, c = [w[0, 0] for w in weights[:-2:2]], weights[1::2]  # windows of one pixel
    first = np.tanh(images() @ k[0] + c[0])
    inner = np.tanh(first[:, ::2, ::2] @ k[1] + c[1])
    block = np.tanh(inner @ k[2] + c[2] + fit(first[:, ::2, ::2], b))
    expected = block.mean(axis=(1, 2)) @ weights[-2] + weights[-1]
    found = outputs(spec, weights, as_rows(images()))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_residual_convolutions_by_hand() -> None:
    spec = make_cnn("3c1-5c1s2-fc4", activation="tanh", residual=True)
    weights = random_weights(spec)
    first = np.tanh(images() @ weights[0][0, 0] + weights[1])
    taken = first[:, ::2, ::2]
    second = np.tanh(taken @ weights[2][0, 0] + weights[3]) + fit(taken, 5)
    flat = as_rows(second)
    hidden = np.tanh(flat @ weights[4] + weights[5]) + flat[:, :4]
    expected = hidden @ weights[6] + weights[7]
    found = outputs(spec, weights, as_rows(images()))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pooling", "pool"), [("mp2", np.max), ("ap2", np.mean)])
@pytest.mark.parametrize(("end", "reduce"), [("gap", np.mean), ("gmp", np.max)])
def test_poolings_leave_padding_out(pooling: str, pool: Any, end: str, reduce: Any) -> None:
    spec = make_cnn(f"{pooling}-{end}")
    x = images() - 5.0  # below the zeros of any padding
    pooled = [
        [pool(x[:, i : i + 2, j : j + 2], axis=(1, 2)) for j in range(0, 5, 2)]
        for i in range(0, 7, 2)
    ]
    expected = reduce(np.array(pooled), axis=(0, 1))
    weights = [np.eye(2, 3), np.zeros(3)]
    found = outputs(spec, weights, as_rows(x))
    np.testing.assert_allclose(found[:, :2], expected, rtol=1e-4)


def test_columns_are_pixels_in_their_order() -> None:
    spec = make_cnn("1c1-fc70", activation="linear")
    weights = [np.ones((1, 1, 2, 1)), np.zeros(1), np.eye(35, 70), np.zeros(70)]
    weights += [np.eye(70, 3), np.zeros(3)]
    found = outputs(spec, weights, as_rows(images()))
    np.testing.assert_allclose(found, images().sum(-1)[:, 0, :3], rtol=1e-4)


def test_dropout_of_convolutional_networks() -> None:
    spec = make_cnn("4c3-mp2-4c3-fc5-fc5", dropout=0.25, spatial_dropout=0.5)
    model = build_model(spec)
    found = {type(la).__name__: [] for la in model.layers}
    for layer in model.layers:
        found[type(layer).__name__].append(getattr(layer, "rate", None))
    assert found["SpatialDropout2D"] == [0.5, 0.5]
    assert found["Dropout"] == [0.25] * 3  # after the convolutions, and after each dense layer
    whole = make_cnn("4c3-gap", dropout=0.25)
    names = [layer.name for layer in build_model(whole).layers]
    assert names[-3:] == ["global_average_1", "dropout_global_average_1", "output"]


AUGMENTATIONS = {"shift": 0.3, "rotation": 40.0, "zoom": 0.4, "flip": "horizontal"}


@pytest.mark.parametrize("word", AUGMENTATIONS)
def test_augmentation_acts_in_training_only(word: str) -> None:
    problem = Problem("multiclass", 64, 3, (8, 8, 1))
    spec = make_cnn("mp1-fc64", problem, activation="linear", **{word: AUGMENTATIONS[word]})
    model = build_model(spec)
    assert [layer.name for layer in model.layers][1:3] == ["image", word]
    inside = keras.Model(model.input, model.get_layer(word).output)
    x = np.random.default_rng(0).uniform(size=(40, 64)).astype(np.float32)
    image = x.reshape(40, 8, 8, 1)
    np.testing.assert_array_equal(inside(x, training=False), image)
    changed = np.asarray(inside(x, training=True))
    moved = np.abs(changed - image).max(axis=(1, 2, 3)) > 0.05
    assert moved.mean() > (0.25 if word == "flip" else 0.8)
    assert not np.array_equal(changed, np.asarray(inside(x, training=True)))  # anew each time
    if word == "flip":
        np.testing.assert_allclose(changed[moved], image[moved][:, :, ::-1], atol=1e-6)
    # What moves in from outside is like the nearest pixel.
    np.testing.assert_allclose(inside(np.full((40, 64), 7.0), training=True), 7.0, rtol=1e-5)


@pytest.mark.parametrize("word", AUGMENTATIONS)
def test_augmentation_reaches_dense_layers_too(word: str) -> None:
    model = build_model(make_cnn("fc16", **{word: AUGMENTATIONS[word]}))
    x = as_rows(images(40)).astype(np.float32)  # of a few, none might be flipped
    np.testing.assert_array_equal(model(x, training=False), model(x, training=False))
    assert not np.array_equal(model(x, training=True), model(x, training=False))
    plain = build_model(make_cnn("fc16"))
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(model(x, training=False), plain(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("flip", "mode"), [("vertical", "vertical"), ("both", "horizontal_and_vertical")]
)
def test_directions_of_flips(flip: str, mode: str) -> None:
    model = build_model(make_cnn("4c3-gap", flip=flip))
    assert model.get_layer("flip").get_config()["mode"] == mode
    names = {layer.name for layer in build_model(make_cnn("4c3-gap")).layers}
    assert not names & set(AUGMENTATIONS)


@pytest.mark.parametrize(
    "words",
    [
        {"layers": "3c3-5r3s2-4r3-mp2-ap2-6c3-gmp-fc4-fc5", "normalization": "batch"},
        {"layers": "4c3s2-6c3-gap-fc3", "residual": True, **AUGMENTATIONS, "spatial_dropout": 0.3},
    ],
    ids=["blocks", "augmented"],
)
def test_a_saved_network_is_the_same(words: dict[str, Any], tmp_path: Path) -> None:
    spec = make_cnn(**words, dropout=0.2, initializer="normal(0.3)", l2=0.1)
    model = build_model(spec)
    # No variance is negative.
    model.set_weights([w if w.ndim > 1 else np.abs(w) for w in random_weights(spec)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = as_rows(images()).astype(np.float32)
    found, expected = loaded(x, training=False), model(x, training=False)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_penalties_are_on_the_kernels_of_convolutions_too() -> None:
    spec = make_cnn("4c3-mp2-fc5", l1=0.5, normalization="batch")
    model = build_model(spec)
    weights = random_weights(spec)
    model.set_weights(weights)
    expected = 0.5 * sum(np.abs(w).sum() for w in weights if w.ndim > 1)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


def test_an_embedding_is_saved_and_loaded_by_keras_alone(tmp_path: Path) -> None:
    spec = make_spec(embedding="periodic", frequencies=3, embedding_size=2, frequency_scale=0.7)
    model = build_model(spec)
    weights = initial_weights(spec, 1)
    model.set_weights(weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))
    # By hand, for one row: five numbers are embedded, all inputs stay.
    frequencies, kernel, bias = weights[:3]
    waves = [2 * np.pi * x[0, k] * frequencies[k] for k in range(5)]
    both = [np.concatenate([np.cos(w), np.sin(w)]) for w in waves]
    parts = [np.maximum(both[k] @ kernel[k] + bias[k], 0.0) for k in range(5)]
    inputs = model.get_layer("inputs").output
    found = keras.Model(model.input, inputs)(x)[0]
    np.testing.assert_allclose(found, np.concatenate([*parts, x[0]]), rtol=1e-4, atol=1e-5)
    assert weights[0].std() == pytest.approx(0.7, rel=0.4)


def test_the_layers_of_an_embedded_network_have_its_shapes() -> None:
    spec = make_spec(embedding="periodic", frequencies=3, embedding_size=2)
    first, hidden, *_ = spec.layers
    assert (first.kind, first.output_shape, first.kernel) == ("embedding", (17,), ())
    assert hidden.kernel == (17, 6)
    assert first.n_weights("none") == 5 * 3 + 5 * 6 * 2 + 5 * 2
    assert str(spec.architecture) == "periodic 6-4 tanh"
    plain = make_spec(PROBLEMS[2], embedding="periodic")
    assert [layer.kind for layer in plain.layers] == ["dense"] * 3


def test_members_share_the_kernels_and_load_with_keras_alone(tmp_path: Path) -> None:
    spec = make_spec(units=(6, 6), members=3, activation="relu")
    model = build_model(spec)
    weights = initial_weights(spec, 1)
    model.set_weights(weights)
    assert spec.n_weights == model.count_params() == sum(w.size for w in weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))
    # By hand, one member after another.
    of_inputs, k1, b1, k2, b2, of_outputs, k3, b3 = weights
    assert len({tuple(row) for row in of_inputs}) == len({tuple(row) for row in of_outputs}) == 3
    for member in range(3):
        h = np.maximum(np.maximum((x * of_inputs[member]) @ k1 + b1, 0.0) @ k2 + b2, 0.0)
        expected = (h * of_outputs[member]) @ k3 + b3
        np.testing.assert_allclose(model(x)[:, member], expected, rtol=1e-4, atol=1e-5)
    assert [v.shape[0] for v in undecayed(model)] == [3, 3]


def test_the_layers_of_members_have_their_shapes() -> None:
    spec = make_spec(units=(6, 4), members=3)
    kinds = [(layer.kind, layer.output_shape, layer.n_weights("none")) for layer in spec.layers]
    assert kinds == [
        ("members", (7,), 21), ("dense", (6,), 48), ("dense", (4,), 28), ("members", (4,), 12),
        ("dense", (3,), 15),
    ]  # fmt: skip
    assert str(spec.architecture) == "3 members 6-4 tanh"


def test_bins_are_quantiles_that_are_not_trained(tmp_path: Path) -> None:
    spec = make_spec(embedding="piecewise", bins=4, embedding_size=2)
    x = np.random.default_rng(0).normal(size=(401, 7)).astype(np.float32)
    x[:, 1] = np.repeat([0.0, 1.0, 2.0], [250, 80, 71])  # two bins, as most rows are alike
    x[:, 2] = 3.0  # none
    x[:, 3] = np.linspace(0.0, 1e-40, 401)  # so near that 1 over a bin is beyond 32 bits
    x[-1, 3] = 1.0
    factors, offsets = bin_weights(spec, x)
    places = np.clip(x[:, :5, None] * factors + offsets, 0.0, 1.0)
    np.testing.assert_allclose(places[:, 0].sum(1).mean(), 2.0, atol=0.05)  # of 4, in the middle
    inside = (places[:, 0] > 0.0) & (places[:, 0] < 1.0)
    assert inside.sum(0).tolist() == pytest.approx([100] * 4, abs=2)  # as many rows in each
    np.testing.assert_allclose(places[[0, 250, 400], 1], [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]])
    assert not places[:, 2].any()
    assert np.isfinite([factors, offsets]).all()
    np.testing.assert_allclose(places[[0, 300, 400], 3, 0], [0.0, 0.0, 1.0], atol=1e-6)

    model = build_model(spec)
    weights = initial_weights(spec, 1, bin_weights(spec, x))
    model.set_weights(weights)
    assert spec.n_weights == model.count_params() == sum(w.size for w in weights)
    assert [v.shape for v in model.non_trainable_variables] == [(5, 4), (5, 4)]
    inputs = keras.Model(model.input, model.get_layer("inputs").output)(x)
    kernel, bias = weights[2:4]
    parts = [np.maximum(places[:, k] @ kernel[k] + bias[k], 0.0) for k in range(5)]
    np.testing.assert_allclose(inputs, np.concatenate([*parts, x], 1), rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), model(x))
