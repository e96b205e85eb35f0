"""Arrays: NumPy archives, the sets of scikit-learn and Keras, and how mistakes are told."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sources import N, fails, frame, load, write, write_npz

from nas.data import Schema, load_features


@pytest.mark.parametrize(
    "name, rows, n_inputs, task, classes",
    [
        ("digits", 1797, 64, "multiclass", tuple(range(10))),
        ("iris", 150, 4, "multiclass", (0, 1, 2)),
        ("wine", 178, 13, "multiclass", (0, 1, 2)),
        ("breast_cancer", 569, 30, "binary", (0, 1)),
        ("diabetes", 442, 10, "regression", ()),
    ],
)
def test_sets_of_scikit_learn(name, rows, n_inputs, task, classes):
    dataset = load(name)
    assert (dataset.name, dataset.n_rows, dataset.task) == (name, rows, task)
    assert dataset.features.shape == (rows, n_inputs)
    assert dataset.schema == Schema((), (n_inputs,))
    assert dataset.classes == classes
    assert dataset.n_outputs == (len(classes) if task == "multiclass" else 1)
    assert dataset.y.dtype == (np.float64 if task == "regression" else np.int64)
    assert dataset.test_rows is None


def test_digits_as_images():
    flat, images = load("digits"), load("digits", images=True)
    assert images.schema == Schema((), (8, 8))
    assert np.array_equal(images.features.reshape(-1, 64), flat.features)
    assert np.array_equal(load_features("digits", images.schema), images.features)
    assert images.hash() != flat.hash()


def test_npz_with_x_and_y(tmp_path):
    x = np.arange(N * 3.0).reshape(N, 3)
    dataset = load(write_npz(tmp_path, x=x, y=np.arange(N) % 3))
    assert (dataset.name, dataset.task, dataset.classes) == ("data", "multiclass", (0, 1, 2))
    assert np.array_equal(dataset.features, x)
    assert dataset.schema == Schema((), (3,))
    assert dataset.test_rows is None


def test_npz_in_the_layout_of_keras(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (N, 2, 2)).astype(np.uint8)
    labels = (np.arange(N) % 2)[:, None].astype(np.uint8)
    path = write_npz(
        tmp_path,
        x_test=pixels[30:],
        y_test=labels[30:],
        x_train=pixels[:30],
        y_train=labels[:30],
    )
    dataset = load(path)
    assert np.array_equal(dataset.features, pixels)
    assert dataset.y.tolist() == labels[:, 0].tolist()
    assert dataset.test_rows.tolist() == list(range(30, N))
    assert dataset.schema.row_shape == (2, 2)
    assert "2 x 2 pixel" in dataset.describe()


@pytest.mark.parametrize(
    "y, task, classes",
    [
        (np.array(["b", "a"] * (N // 2)), "binary", ("a", "b")),
        (np.array([True, False] * (N // 2)), "binary", (False, True)),
        (np.linspace(0, 1, N), "regression", ()),
        (np.linspace(0, 1, N)[:, None], "regression", ()),
    ],
)
def test_targets_of_npz(tmp_path, y, task, classes):
    dataset = load(write_npz(tmp_path, x=np.ones((N, 1)), y=y))
    assert (dataset.task, dataset.classes) == (task, classes)
    assert dataset.y.shape == (N,)


def test_a_single_feature_may_be_one_dimensional(tmp_path):
    path = write_npz(tmp_path, x=np.arange(float(N)), y=np.arange(N) % 2)
    dataset = load(path)
    assert dataset.features.shape == (N, 1)
    assert np.array_equal(load_features(str(path), dataset.schema), dataset.features)


@pytest.mark.parametrize(
    "row_shape, image_shape",
    [
        ((4, 3), (4, 3, 1)),
        ((4, 3, 1), (4, 3, 1)),
        ((4, 3, 3), (4, 3, 3)),
        ((12,), ()),
        ((2, 2, 3, 1), ()),
    ],
)
def test_the_shape_of_an_image(tmp_path, row_shape, image_shape):
    x = np.arange(N * np.prod(row_shape)).reshape(N, *row_shape)
    path = write_npz(tmp_path, x=x, y=np.arange(N) % 2)
    assert load(path).schema.image_shape == image_shape
    if image_shape:
        assert np.array_equal(load(path, images=True).features, x)
    else:
        fails(lambda: load(path, images=True), "data.npz", "rows of ", "images")


def test_a_table_has_no_images(tmp_path):
    path = write(tmp_path, frame(b=1.0, c=["u", "v"] * (N // 2)))
    assert load(path, target="y").schema.image_shape == ()
    for drop, received in (((), "2 numeric and 1 categorical"), (("c",), "2 numeric")):
        fails(
            lambda drop=drop: load(path, target="y", drop=drop, images=True),
            "data.csv",
            f"rows of {received} features",
            "images, which network: cnn needs",
            "x is shaped (rows, height, width) or (rows, height, width, channels), or a folder",
        )


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_other_sets_of_scikit_learn_have_no_images(name):
    fails(lambda: load(name, images=True), name, "numeric features", "images", "an .npz file")


def small_mnist(folder):
    x = np.zeros((N, 28, 28), np.uint8)
    return write_npz(
        folder,
        "mnist.npz",
        x_train=x,
        y_train=np.arange(N) % 10,
        x_test=x[:10],
        y_test=np.arange(10),
    )


def test_a_local_copy_is_read_by_name(tmp_path, monkeypatch):
    small_mnist(tmp_path)
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    dataset = load("mnist", images=True)
    assert (dataset.name, dataset.n_rows, len(dataset.test_rows)) == ("mnist", N + 10, 10)
    assert dataset.schema.image_shape == (28, 28, 1)


def keras_with(load_data):
    module = SimpleNamespace(load_data=load_data)
    return SimpleNamespace(datasets=SimpleNamespace(mnist=module))


@pytest.mark.parametrize("folder", [None, "empty"])
def test_without_a_local_copy_keras_is_asked(tmp_path, monkeypatch, folder):
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    if folder:
        monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    x, y = np.zeros((N, 28, 28), np.uint8), np.arange(N) % 10
    monkeypatch.setitem(sys.modules, "keras", keras_with(lambda: ((x, y), (x[:7], y[:7]))))
    assert len(load("mnist").test_rows) == 7


def test_a_failed_download_is_told(monkeypatch):
    def load_data():
        raise Exception("URL fetch failure\non https://example.org: None")

    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    monkeypatch.setitem(sys.modules, "keras", keras_with(load_data))
    fails(lambda: load("mnist"), "mnist", "could not be downloaded (Exc", "", "--data path/mnist")


def test_mnist_by_name(data_dir, monkeypatch):
    monkeypatch.setenv("NAS_DATA_DIR", str(data_dir))
    dataset = load("mnist")
    assert dataset.features.shape == (70_000, 28, 28)
    assert dataset.test_rows.tolist() == list(range(60_000, 70_000))
    assert (dataset.task, dataset.classes) == ("multiclass", tuple(range(10)))
    assert dataset.features[:60_000].mean() / 255 == pytest.approx(0.1307, abs=1e-4)


@pytest.mark.parametrize(
    "arrays, received",
    [
        ({"x": np.ones((4, 1))}, "holds x"),
        ({"a": np.ones(4), "b": np.ones(4)}, "holds a, b"),
        ({"x_train": np.ones((4, 1)), "y_train": np.ones(4)}, "holds x_train, y_train"),
        ({}, "holds nothing"),
    ],
)
def test_npz_without_its_arrays(tmp_path, arrays, received):
    path = write_npz(tmp_path, **arrays)
    fails(lambda: load(path), "data.npz", received, "arrays x and y, or x_train")


Y = np.arange(N) % 2


@pytest.mark.parametrize(
    "arrays, where, received, expected",
    [
        ({"x": np.ones((N, 1)), "y": Y[1:]}, "", "y has shape (39,) for 40 rows", "one value"),
        ({"x": np.ones((N, 1)), "y": np.eye(N)}, "", "y has shape (40, 40)", "one value a row"),
        ({"x": np.full((N, 1), "a"), "y": Y}, ": x", "an array of <U1", "numbers"),
        ({"x": np.ones((N, 1), complex), "y": Y}, ": x", "an array of complex128", "numbers"),
        ({"x": np.ones((N, 1)), "y": Y.astype("S")}, ": y", "an array of |S", "numbers or text"),
        ({"x": np.ones((N, 1)), "y": Y * 0}, ": y", "one value only (0)", "two classes"),
        ({"x": np.array([[1, None]] * N), "y": Y}, "", "Python objects", "numbers or text"),
        ({"x": np.ones((0, 3)), "y": np.ones(0)}, "", "", ""),
        ({"x": np.ones((N, 1)), "y": np.array(1.0)}, "", "", ""),
        ({"x": np.array(1.0), "y": Y}, "", "", ""),
        (
            {"x_train": np.ones((N, 3)), "y_train": Y, "x_test": np.ones((N, 4)), "y_test": Y},
            "",
            "",
            "",
        ),
    ],
)
def test_arrays_that_are_no_data(tmp_path, arrays, where, received, expected):
    path = write_npz(tmp_path, **arrays)
    fails(lambda: load(path), f"data.npz{where}", received, expected)


@pytest.mark.parametrize("key, value", [("x", np.nan), ("x", np.inf), ("y", np.nan)])
def test_numbers_of_arrays_must_be_finite(tmp_path, key, value):
    arrays = {"x": np.ones((N, 2, 2)), "y": np.linspace(0, 1, N)}
    arrays[key][4] = value
    path = write_npz(tmp_path, **arrays)
    fails(lambda: load(path), f"data.npz: {key}", "in 1 row, first in row 5", "finite numbers")


def test_a_corrupt_archive(tmp_path):
    path = write_npz(tmp_path, x=np.random.default_rng(0).random((N, 9)), y=Y)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    fails(lambda: load(path), "data.npz", "cannot be read", "a NumPy .npz archive")
    damaged = bytearray(content)
    damaged[500:600] = b"\xff" * 100
    path.write_bytes(damaged)
    fails(lambda: load(path), "data.npz", "cannot be read", "a NumPy .npz archive")


def test_a_corrupt_compressed_archive(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.arange(3000.0).reshape(N, -1), y=Y)
    content = bytearray(path.read_bytes())
    content[100:140] = b"\x55" * 40
    path.write_bytes(content)
    fails(lambda: load(path), "data.npz", "cannot be read", "a NumPy .npz archive")


def test_a_single_array_is_no_archive(tmp_path):
    path = tmp_path / "data.npz"
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    fails(lambda: load(path), "data.npz", "", "a NumPy .npz archive")


def test_features_of_arrays(tmp_path):
    path = write_npz(tmp_path, x_test=np.ones((3, 2, 2)), y_test=np.ones(3))
    assert load_features(str(path), Schema((), (2, 2))).shape == (3, 2, 2)
    assert load_features("iris", Schema((), (4,))).shape == (150, 4)


# Scales of sequences and of images


def sequences():
    """A pressure beside a voltage, and a target that the voltage tells."""
    x = np.random.default_rng(0).normal(size=(N, 20, 2)) * [100, 1] + [1e5, 0]
    return {"x": x, "y": (x[:, :, 1].mean(axis=1) > 0).astype(int)}


def test_sequences_with_features_of_other_scale_are_told(tmp_path):
    dataset = load(write_npz(tmp_path, **sequences()))
    assert dataset.scale_per_feature
    (note,) = dataset.notes
    assert "the 2 entries of the last axis differ in scale" in note
    plain = replace(dataset, scale_per_feature=False)
    assert dataset.hash() != plain.hash()  # other numbers reach the networks


def test_channels_of_other_scale_are_told(tmp_path):
    x = np.random.default_rng(0).normal(size=(N, 4, 5, 2)) * [1e-4, 1]
    dataset = load(write_npz(tmp_path, x=x, y=np.arange(N) % 2))
    assert dataset.scale_per_feature and len(dataset.notes) == 1


def dotted_border(x):
    dots = np.random.default_rng(0).random((len(x), x.shape[1], x.shape[2] + 4)) > 0.999
    return np.pad(x, [(0, 0), (0, 0), (2, 2)]) + dots


PREPARED = {
    "as they are": lambda x: x,
    "0 to 1": lambda x: x / x.max(),
    "standardized": lambda x: (x - x.mean()) / x.std(),
    "standardized by image": lambda x: (
        (x - x.mean(axis=(1, 2), keepdims=True)) / x.std(axis=(1, 2), keepdims=True)
    ),
    "standardized by pixel": lambda x: (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-7),
    "32 bits": lambda x: (x / 255).astype(np.float32),
    "integers": lambda x: x.astype(np.int32),
    "with a channel": lambda x: x[..., None],
    "black and white": lambda x: np.where(x > x.mean(), 255.0, 0.0),
    "nearly constant border": dotted_border,
}


@pytest.mark.parametrize("prepare", PREPARED.values(), ids=PREPARED)
def test_images_keep_one_scale(tmp_path, data_dir, prepare):
    digits = load("digits", images=True)
    with np.load(data_dir / "mnist.npz") as archive:
        mnist = archive["x_train"][:500].astype(np.float64)
    for k, pixels in enumerate((digits.features, mnist)):
        path = write_npz(tmp_path, f"{k}.npz", x=prepare(pixels), y=np.arange(len(pixels)) % 2)
        dataset = load(path)
        assert not dataset.scale_per_feature
        assert dataset.notes == ()


# What 32-bit floats hold


@pytest.mark.parametrize("shape", [(N, 2), (N, 4, 2)])
@pytest.mark.parametrize(
    "factor, where, received", [(1e31, "x", "got "), (1e-32, "x", "no value beyond ")]
)
def test_numbers_that_32_bits_do_not_hold(tmp_path, shape, factor, where, received):
    x = np.random.default_rng(0).random(shape) * factor
    path = write_npz(tmp_path, x=x, y=np.arange(N) % 2)
    fails(lambda: load(path), where, received, "1e")


def test_numbers_to_predict_for_that_32_bits_do_not_hold(tmp_path):
    path = write_npz(tmp_path, x=np.full((3, 2), 1e31))
    fails(lambda: load_features(str(path), Schema((), (2,))), ": x", "got 1e+31", "1e+30")


@pytest.mark.parametrize("factor, shift", [(1e-30, 0), (1e29, 0), (1, 1e4)])
def test_numbers_that_32_bits_hold(tmp_path, factor, shift):
    x = (np.random.default_rng(0).random((N, 2)) + shift) * factor
    assert load(write_npz(tmp_path, x=x * 10, y=np.arange(N) % 2)).n_rows == N


def test_sequences_with_their_features_first_are_refused(tmp_path):
    random = np.random.default_rng(0)
    x = np.stack([101325 + 50 * random.normal(size=(N, 20)), random.normal(size=(N, 20))], axis=1)
    y = np.arange(N) % 2
    fails(
        lambda: load(write_npz(tmp_path, x=x, y=y)),
        ": x",
        "rows of 2 x 20 whose lines differ in scale",
        "last axis",
        fix="x.transpose(0, 2, 1)",
    )
    assert load(write_npz(tmp_path, x=x.transpose(0, 2, 1), y=y)).scale_per_feature


def test_labels_that_are_python_objects(tmp_path):
    y = np.array(["a", "b"] * (N // 2), dtype=object)
    np.savez(tmp_path / "o.npz", x=np.zeros((N, 2)), y=y)
    fails(lambda: load(tmp_path / "o.npz"), "o.npz", "Python objects", fix="y.astype(str)")
