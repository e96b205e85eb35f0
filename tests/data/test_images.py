"""Folders of images: what is read from them, and how mistakes are told."""

import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sources import fails, load

from nas.data import Schema, SplitOptions, image_names, images, load_features, split_dataset

DIGITS = load_digits()
PIXELS = (DIGITS.images * 15).astype(np.uint8)  # of 0 to 15 there, of 0 to 240 here
GREY = Schema((), (8, 8))


def put(path: Path, pixels, **saving) -> Path:
    """Saves an array, or an image, as a file of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **saving)
    return path


def put_digits(folder: Path, classes=(0, 1), n: int = 5, skip: int = 0, ending: str = "png"):
    """The images of some digits, in a folder for each; returns them in the order of reading."""
    rows = [np.flatnonzero(DIGITS.target == digit)[skip : skip + n] for digit in sorted(classes)]
    for digit, own in zip(sorted(classes), rows, strict=True):
        for k, row in enumerate(own):
            put(folder / f"digit {digit}" / f"{k}.{ending}", PIXELS[row])
    return PIXELS[np.concatenate(rows)]


def coloured(pixels, channel=0):
    colour = np.zeros((*pixels.shape, 3), np.uint8)
    colour[..., channel] = pixels
    return colour


# Classes


def test_each_folder_is_a_class(tmp_path):
    pixels = put_digits(tmp_path / "digits", (8, 1, 3), n=4)
    dataset = load(tmp_path / "digits")
    assert dataset.describe() == "digits: 12 rows, 8 x 8 pixel features, multiclass (3 classes)"
    assert dataset.classes == ("digit 1", "digit 3", "digit 8")
    assert dataset.y.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert dataset.features.dtype == np.uint8
    assert np.array_equal(dataset.features, pixels)
    assert (dataset.schema, dataset.schema.image_shape) == (GREY, (8, 8, 1))
    assert dataset.test_rows is None


def test_real_mnist_as_files(tmp_path, data_dir):
    with np.load(data_dir / "mnist.npz") as archive:
        x, y = archive["x_test"][:60], archive["y_test"][:60]
    for k in range(60):
        put(tmp_path / str(y[k]) / f"{k:02}.png", x[k])
    dataset = load(tmp_path, images=True)
    order = np.lexsort((np.arange(60), y))
    assert np.array_equal(dataset.features, x[order])
    assert [dataset.classes[code] for code in dataset.y] == [str(label) for label in y[order]]


def test_two_folders_are_a_binary_task(tmp_path):
    put_digits(tmp_path)
    assert (load(tmp_path).task, load(tmp_path).n_outputs) == ("binary", 1)
    assert load(tmp_path, task="multiclass").n_outputs == 2


def test_train_and_test_folders(tmp_path):
    train = put_digits(tmp_path / "train", (0, 1, 2), n=6)
    test = put_digits(tmp_path / "test", (0, 1, 2), n=3, skip=6)
    dataset = load(tmp_path)
    assert np.array_equal(dataset.features, np.concatenate([train, test]))
    assert dataset.test_rows.tolist() == list(range(18, 27))
    assert dataset.y.tolist() == np.repeat([0, 1, 2, 0, 1, 2], [6] * 3 + [3] * 3).tolist()
    split = split_dataset(dataset, SplitOptions(folds=3))
    assert split.test.tolist() == dataset.test_rows.tolist()
    assert len(split.folds[0].train) == 12


def test_the_test_part_may_lack_a_class(tmp_path):
    put_digits(tmp_path / "train", (0, 1, 2))
    put_digits(tmp_path / "test", (2,))
    dataset = load(tmp_path)
    assert dataset.y[dataset.test_rows].tolist() == [2] * 5


def test_the_order_and_the_hash_do_not_depend_on_the_file_system(tmp_path):
    put_digits(tmp_path / "a", (0, 1, 2))
    for file in sorted((tmp_path / "a").rglob("*.png"), reverse=True):
        target = tmp_path / "b" / file.relative_to(tmp_path / "a")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    assert load(tmp_path / "a").hash() == load(tmp_path / "b").hash()
    target.unlink()
    assert load(tmp_path / "a").hash() != load(tmp_path / "b").hash()


def test_hidden_files_are_no_part_of_it(tmp_path):
    put_digits(tmp_path)
    before = load(tmp_path).hash()
    for name in (".DS_Store", "digit 0/.DS_Store", "digit 0/._0.png", "digit 1/Thumbs.db"):
        (tmp_path / name).touch()
    put_digits(tmp_path / ".trash")
    put(tmp_path / ".ipynb_checkpoints" / "0.png", PIXELS[0])
    (tmp_path / "README.txt").write_text("Digits.")
    assert load(tmp_path).hash() == before
    assert len(image_names(str(tmp_path))) == 10


def test_a_folder_is_named_as_it_is(tmp_path, monkeypatch):
    put_digits(tmp_path / "pets.v2")
    monkeypatch.chdir(tmp_path / "pets.v2")
    assert [load(source).name for source in (".", tmp_path / "pets.v2")] == ["pets.v2"] * 2


def test_a_known_name_is_not_looked_for_among_folders(tmp_path, monkeypatch):
    put_digits(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert load("digits").n_rows == 1797
    assert load("./digits").n_rows == 10
    assert image_names("digits") == []


# Pixels


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "PNG"])
def test_kinds_of_files_without_loss(tmp_path, ending):
    pixels = put_digits(tmp_path, ending=ending)
    assert np.array_equal(load(tmp_path).features, pixels)


@pytest.mark.parametrize("ending, channels", [("jpg", 1), ("jpeg", 1), ("webp", 3)])
def test_kinds_of_files_with_loss(tmp_path, ending, channels):
    pixels = put_digits(tmp_path, ending=ending)
    dataset = load(tmp_path)
    assert dataset.schema.image_shape == (8, 8, channels)
    found = dataset.features.reshape(*pixels.shape, channels).astype(float)
    assert 0 < np.abs(found - pixels[..., None]).mean() < 8


def test_grey_images_have_one_channel_however_they_are_kept(tmp_path):
    grey = Image.fromarray(PIXELS[0])
    for kind in ("L", "RGB", "RGBA", "P"):
        put(tmp_path / "a" / f"{kind}.png", grey.convert(kind))
    put(tmp_path / "b" / "bits.png", Image.fromarray(PIXELS[0] > 100))
    put(tmp_path / "b" / "LA.png", grey.convert("LA"))
    features = load(tmp_path).features
    assert features.shape == (6, 8, 8)
    assert all(np.array_equal(image, PIXELS[0]) for image in features[:5])
    assert np.array_equal(features[5], np.where(PIXELS[0] > 100, 255, 0))


def test_colours_have_three_channels_and_so_have_all_images_then(tmp_path):
    put_digits(tmp_path, (0, 1), n=2)
    put(tmp_path / "digit 0" / "9.png", coloured(PIXELS[7], 1))
    put(tmp_path / "digit 1" / "9.png", coloured(PIXELS[8], 2))
    dataset = load(tmp_path)
    assert dataset.schema == Schema((), (8, 8, 3))
    assert dataset.schema.image_shape == (8, 8, 3)
    assert np.array_equal(dataset.features[2], coloured(PIXELS[7], 1))
    assert np.array_equal(dataset.features[5], coloured(PIXELS[8], 2))
    zeros = PIXELS[np.flatnonzero(DIGITS.target == 0)[:2]]
    assert np.array_equal(dataset.features[:2], np.repeat(zeros[..., None], 3, axis=-1))


def test_transparent_parts_are_white(tmp_path):
    put_digits(tmp_path)
    black = np.zeros((8, 8, 4), np.uint8)
    black[2:4, :, 3] = 255
    put(tmp_path / "digit 0" / "0.png", black)
    expected = np.full((8, 8), 255)
    expected[2:4] = 0
    assert np.array_equal(load(tmp_path).features[0], expected)


def test_a_photo_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by a quarter, clockwise
    for k in range(4):
        put(tmp_path / "ab"[k % 2] / f"{k}.png", PIXELS[k, :, :5], exif=exif)
    features = load(tmp_path).features
    assert features.shape == (4, 5, 8)
    assert np.array_equal(features[0], np.rot90(PIXELS[0, :, :5], -1))


def test_an_animation_gives_its_first_frame(tmp_path):
    put_digits(tmp_path)
    frames = [Image.fromarray(image) for image in PIXELS[:3]]
    put(tmp_path / "digit 0" / "00.gif", frames[0], save_all=True, append_images=frames[1:])
    assert np.array_equal(load(tmp_path).features[1], PIXELS[0])


# Sizes


def test_images_need_not_be_square(tmp_path):
    for k in range(4):
        put(tmp_path / "ab"[k % 2] / f"{k}.png", PIXELS[k, :, :6])
    dataset = load(tmp_path)
    assert (dataset.features.shape, dataset.schema.image_shape) == ((4, 8, 6), (8, 6, 1))


def test_other_sizes_are_told_with_both_files(tmp_path):
    put_digits(tmp_path)
    put(tmp_path / "digit 1" / "3.png", PIXELS[0, :, :5])
    fails(
        lambda: load(tmp_path),
        tmp_path / "digit 1" / "3.png",
        f"5 wide and 8 high, where {tmp_path / 'digit 0' / '0.png'} is 8 wide and 8 high",
        "one size",
        "--image-size",
    )


def test_images_are_resized(tmp_path):
    pixels = put_digits(tmp_path)
    put(tmp_path / "digit 1" / "4.png", np.repeat(np.repeat(pixels[9], 3, axis=0), 3, axis=1))
    features = load(tmp_path, image_size=8).features
    assert np.array_equal(features[:9], pixels[:9])  # they have that size
    assert features.shape == (10, 8, 8)
    assert np.abs(features[9].astype(float) - pixels[9]).mean() < 16
    assert load(tmp_path, image_size=20).schema.row_shape == (20, 20)


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_resized_image_keeps_its_proportions_and_its_middle(tmp_path, ending, turned):
    """Of three squares side by side, or one above the other, the middle one is left."""
    squares = np.repeat(np.uint8([20, 120, 220]), 40)
    picture = np.tile(squares, (40, 1))
    for k in range(4):
        put(tmp_path / "ab"[k % 2] / f"{k}.{ending}", picture.T if turned else picture)
    features = load(tmp_path, image_size=10).features.astype(float)
    inner = features[:, 1:-1, 1:-1]
    assert features.shape == (4, 10, 10)
    assert np.abs(inner - 120).max() < 8


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_that_is_none(tmp_path, size):
    put_digits(tmp_path)
    fails(lambda: load(tmp_path, image_size=size), "--image-size", f"got {size}", "at least 1")


def test_only_folders_are_resized(tmp_path):
    np.savez(tmp_path / "a.npz", x=PIXELS[:20], y=DIGITS.target[:20])
    for source in ("digits", tmp_path / "a.npz"):
        fails(
            lambda source=source: load(source, image_size=16),
            "--image-size",
            f"got 16 for {source}",
            "a folder of images",
        )
    fails(lambda: load(tmp_path / "nowhere", image_size=16), "nowhere", "no such data set")


# Mistakes


def test_a_file_that_is_no_image(tmp_path):
    put_digits(tmp_path)
    (tmp_path / "digit 1" / "2.png").write_text("no pixels here")
    bad = tmp_path / "digit 1" / "2.png"
    fails(lambda: load(tmp_path), bad, "not an image that can be read", ".png, .jpg")
    bad.write_bytes(b"")
    fails(lambda: load(tmp_path), bad, "not an image that can be read", ".png, .jpg")
    bad.unlink()
    bad.symlink_to(tmp_path / "nowhere.png")
    fails(lambda: load(tmp_path), bad, "cannot be read (FileNotFoundError")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp"])
def test_a_damaged_image(tmp_path, ending):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    for k in range(6):
        put(tmp_path / "ab"[k % 2] / f"{k}.{ending}", noise)
    bad = tmp_path / "b" / f"3.{ending}"
    bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 2])
    fails(lambda: load(tmp_path), bad, "read", ".png, .jpg, .jpeg, .bmp, .gif or .webp files")


def test_a_file_that_is_not_what_its_name_says(tmp_path):
    put_digits(tmp_path)
    put(tmp_path / "0.jpg", PIXELS[0]).rename(tmp_path / "digit 0" / "0.png")
    assert load(tmp_path).n_rows == 10
    put(tmp_path / "0.eps", PIXELS[0]).rename(tmp_path / "digit 0" / "0.png")
    fails(lambda: load(tmp_path), tmp_path / "digit 0" / "0.png", "not an image that can be read")


def test_an_image_with_sixteen_bits(tmp_path):
    put_digits(tmp_path)
    put(tmp_path / "digit 0" / "2.png", PIXELS[0].astype(np.uint16) * 200)
    bad = tmp_path / "digit 0" / "2.png"
    fails(lambda: load(tmp_path), bad, "more than 8 bits", "8 bits", "an .npz file, which keeps")


def test_an_image_of_far_too_many_pixels(tmp_path, monkeypatch):
    put_digits(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path)  # for 64 Pillow warns
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    bad = tmp_path / "digit 0" / "0.png"
    fails(lambda: load(tmp_path), bad, "cannot be read (DecompressionBombError")


@pytest.mark.parametrize("name", ["labels.csv", "0.tif", "no ending"])
def test_other_files_among_the_images_of_a_class(tmp_path, name):
    put_digits(tmp_path)
    (tmp_path / "digit 1" / name).write_text("?")
    bad = tmp_path / "digit 1" / name
    fails(lambda: load(tmp_path), bad, "no image of a known kind", ".png", "Convert it, or move")


def test_an_empty_class(tmp_path):
    put_digits(tmp_path)
    (tmp_path / "digit 7").mkdir()
    (tmp_path / "digit 7" / ".gitkeep").touch()
    fails(lambda: load(tmp_path), tmp_path / "digit 7", "holds no images", ".png", "remove the")


def test_one_class_only(tmp_path):
    put_digits(tmp_path, (3,))
    fails(lambda: load(tmp_path), tmp_path, "one class only (digit 3)", "at least two classes")
    put_digits(tmp_path / "both" / "train", (3,))
    put_digits(tmp_path / "both" / "test", (3,))
    fails(lambda: load(tmp_path / "both"), tmp_path / "both" / "train", "one class only (digit 3)")


def test_a_folder_without_classes(tmp_path):
    fails(lambda: load(tmp_path), tmp_path, "holds no folders", "a folder of images for each class")
    put(tmp_path / "0.png", PIXELS[0])
    fails(lambda: load(tmp_path), tmp_path, "holds images and no folders", "for each class")


def test_an_image_outside_the_classes(tmp_path):
    put_digits(tmp_path)
    bad = put(tmp_path / "lost.jpg", PIXELS[0])
    fails(lambda: load(tmp_path), bad, "an image beside folders", "in one of them", "Move it")


def test_a_folder_among_the_images_of_a_class(tmp_path):
    put_digits(tmp_path)
    put(tmp_path / "digit 1" / "more" / "0.png", PIXELS[0])
    bad = tmp_path / "digit 1"
    fails(lambda: load(tmp_path), bad, "the folder 'more' among the images", "images alone")
    put_digits(tmp_path / "wrapped" / "data")  # one folder too high
    fails(lambda: load(tmp_path / "wrapped"), "data", "the folder 'digit 0'", "", "that of --data")


def test_other_folders_beside_train_and_test(tmp_path):
    for part in ("train", "test", "val"):
        put_digits(tmp_path / part)
    received = "the folder 'val' beside train and test"
    fails(lambda: load(tmp_path), tmp_path, received, "train and test alone", "into train")


def test_an_image_beside_train_and_test(tmp_path):
    for part in ("train", "test"):
        put_digits(tmp_path / part)
    bad = put(tmp_path / "lost.png", PIXELS[0])
    fails(lambda: load(tmp_path), bad, "an image beside folders")


def test_a_class_of_the_test_part_alone(tmp_path):
    put_digits(tmp_path / "train")
    put_digits(tmp_path / "test")
    put(tmp_path / "test" / "digits 1" / "0.png", PIXELS[0])
    fails(
        lambda: load(tmp_path),
        tmp_path / "test" / "digits 1",
        f"a class that {tmp_path / 'train'} does not have",
        "one of digit 0, digit 1",
        "Did you mean 'digit 1'?",
    )


def test_regression_needs_numbers(tmp_path):
    put_digits(tmp_path)
    fails(lambda: load(tmp_path, task="regression"), tmp_path, "the target is text", "numbers")


@pytest.mark.parametrize("option, value", [("target", "y"), ("groups", "g"), ("drop", ("a",))])
def test_columns_are_for_tables(tmp_path, option, value):
    put_digits(tmp_path)
    fails(lambda: load(tmp_path, **{option: value}), f"--{option}", "got", "CSV or Parquet")


# Images to predict for


def test_images_to_predict_for_lie_flat_or_in_folders(tmp_path):
    pixels = put_digits(tmp_path / "parts" / "train", (0, 1), n=2)
    more = put_digits(tmp_path / "parts" / "test", (4,), n=3)
    for k, image in enumerate(pixels):
        put(tmp_path / "flat" / f"{k}.png", image)
    assert np.array_equal(load_features(str(tmp_path / "flat"), GREY), pixels)
    assert image_names(str(tmp_path / "flat")) == [f"{k}.png" for k in range(4)]
    parts = str(tmp_path / "parts")
    assert np.array_equal(load_features(parts, GREY), np.concatenate([more, pixels]))
    assert image_names(parts) == [
        *(f"test/digit 4/{k}.png" for k in range(3)),
        *(f"train/digit {digit}/{k}.png" for digit in (0, 1) for k in range(2)),
    ]


def test_features_are_those_of_the_data_set(tmp_path):
    put_digits(tmp_path, (0, 1, 2))
    put(tmp_path / "digit 0" / "9.png", coloured(PIXELS[0, :, :5]))
    dataset = load(tmp_path, image_size=12)
    assert np.array_equal(load_features(str(tmp_path), dataset.schema), dataset.features)


def test_images_get_the_shape_that_the_model_takes(tmp_path):
    pixels = put_digits(tmp_path, n=2)
    put(tmp_path / "digit 1" / "1.png", coloured(np.repeat(pixels[3], 2, axis=0)))
    source = str(tmp_path)
    grey = load_features(source, GREY)
    assert grey.shape == (4, 8, 8)
    assert np.array_equal(grey[:3], pixels[:3])
    assert load_features(source, Schema((), (8, 8, 1))).shape == (4, 8, 8, 1)
    colour = load_features(source, Schema((), (8, 8, 3)))
    assert np.array_equal(colour[:3], np.repeat(pixels[:3, ..., None], 3, axis=-1))
    assert colour[3, ..., 0].any() and not colour[3, ..., 1:].any()
    assert load_features(source, Schema((), (12, 10))).shape == (4, 12, 10)


@pytest.mark.parametrize("schema", [Schema((), (64,)), Schema((), (8, 8, 4))])
def test_images_for_a_model_of_other_data(tmp_path, schema):
    put_digits(tmp_path)
    received, expected = "a folder of images", f"rows shaped {schema.row_shape}"
    fails(lambda: load_features(str(tmp_path), schema), tmp_path, received, expected)


def test_mistakes_with_images_to_predict_for(tmp_path):
    fails(lambda: load_features(str(tmp_path), GREY), tmp_path, "holds no images")
    put(tmp_path / "0.png", PIXELS[0])
    (tmp_path / "1.png").write_text("no pixels")
    fails(lambda: load_features(str(tmp_path), GREY), "1.png", "not an image that can be read")
    (tmp_path / "1.png").rename(tmp_path / "1.txt")
    fails(lambda: load_features(str(tmp_path), GREY), "1.txt", "no image of a known kind")
    (tmp_path / "1.txt").unlink()
    put_digits(tmp_path)
    fails(lambda: load_features(str(tmp_path), GREY), "0.png", "an image beside folders")


# Memory


def test_only_the_images_that_are_wanted_are_read(tmp_path, monkeypatch):
    put_digits(tmp_path, (0, 1, 2), n=10)
    whole = load(tmp_path, classes=("digit 0", "digit 2"), max_rows=6)
    read, reading = [], images._read_image

    def noting(path, *more):
        read.append(path)
        return reading(path, *more)

    monkeypatch.setattr(images, "_read_image", noting)
    dataset = load(tmp_path, classes=("digit 0", "digit 2"), max_rows=6)
    assert len(set(read)) == 6
    assert np.bincount(dataset.y).tolist() == [3, 3]
    np.testing.assert_array_equal(dataset.features, whole.features)
    for pixels, path in zip(dataset.features, sorted(set(read)), strict=True):
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(path)))


def test_images_that_memory_cannot_hold_are_refused_before_they_are_read(tmp_path, monkeypatch):
    put_digits(tmp_path)
    received, fix = "10 images of 200,000 x 200,000 pixels take 6,000 GB", "--max-rows"
    fails(lambda: load(tmp_path, image_size=200_000), tmp_path, received, "GB of memory", fix)
    monkeypatch.setattr(images.os, "sysconf", lambda _: 50)  # pages, and bytes of each
    fails(lambda: load(tmp_path), tmp_path, "10 images of 8 x 8 pixels", "fits into", fix)


def deep_png(path: Path, values, colour_type: int) -> Path:
    """Writes a PNG file of 16 bits, shape (height, width, channels), which Pillow cannot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        rest = kind + data
        return struct.pack(">I", len(data)) + rest + struct.pack(">I", zlib.crc32(rest))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("colour_type, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_images_with_sixteen_bits_a_channel(tmp_path, colour_type, channels):
    put_digits(tmp_path)
    values = np.repeat(PIXELS[0][..., None].astype(np.uint16), channels, axis=2)
    bad = deep_png(tmp_path / "digit 0" / "2.png", values, colour_type)
    with Image.open(bad) as file:
        assert file.size == (8, 8)  # a sound file
    fails(lambda: load(tmp_path), bad, "more than 8 bits", "8 bits", "an .npz file, which keeps")
