"""Folders of images: one for each class to learn from, any to predict for."""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nas.data.dataset import Dataset, Schema, encode_target
from nas.errors import NasError, did_you_mean, first_line
from nas.options import DataOptions

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # others may run programs, as EPS does
KINDS = ", ".join(SUFFIXES[:-1]) + " or " + SUFFIXES[-1]
BYTES_OF_A_NUMBER = 5  # one as it is read, four as it is learned from
SYSTEM_FILES = ("thumbs.db", "desktop.ini")  # hidden by Windows, as those with a dot elsewhere


def list_folder(folder: Path, options: DataOptions) -> Dataset:
    """The images of a folder by their paths, which `read_pixels` puts pixels in the place of."""
    size = options.image_size
    if size is not None and size < 1:
        raise NasError("--image-size", f"got {size}", "a number of pixels, at least 1")
    parts = _parts(folder)
    paths = [path for part in parts for images in part.values() for path in images]
    labels = [label for part in parts for label, images in part.items() for _ in images]
    codes, task, classes = encode_target(np.array(labels), options.task, str(folder))
    n_train = sum(map(len, parts[0].values()))
    return Dataset(
        name=folder.resolve().name,
        features=np.array(paths, dtype=object),
        y=codes,
        schema=Schema((), ()),
        task=task,
        classes=classes,
        test_rows=np.arange(n_train, len(paths)) if len(parts) == 2 else None,
    )


def read_pixels(listed: Dataset, options: DataOptions) -> Dataset:
    """The data set with its images."""
    size = options.image_size
    assert not isinstance(listed.features, Mapping)
    pixels = read_images(list(listed.features), None if size is None else (size, size))
    return replace(listed, features=pixels, schema=Schema((), pixels.shape[1:]))


def image_paths(folder: Path) -> list[Path]:
    """The images of a folder and of the folders in it, in the order of their names.

    Raises:
        NasError: When there are none, or other files among them.
    """
    folders, _ = _entries(folder)
    if not folders:
        return _images(folder)
    _check_none_outside(folder)
    return [path for inner in folders for path in image_paths(inner)]


def read_images(
    paths: Sequence[Path], size: tuple[int, int] | None = None, channels: int | None = None
) -> NDArray[np.uint8]:
    """Reads images of one size.

    Args:
        paths: At least one.
        size: Width and height to give them: scaled to cover it, then cut to it around the
            middle. None leaves them as they are.
        channels: 1 or 3; None is 1 where all images are grey.

    Returns:
        Shape (n_images, height, width), or with three channels (n_images, height, width, 3).

    Raises:
        NasError: When a file is no image, their sizes differ, or there is no memory for them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that nothing here reads
        if size is not None:
            _check_memory(paths, (*size, channels or 3))
        shape = _read_image(paths[0], size, channels).shape
        _check_memory(paths, shape)
        images = np.empty((len(paths), *shape), np.uint8)
        for row, path in enumerate(paths):
            pixels = _read_image(path, size, channels)
            if pixels.shape[:2] != images.shape[1:3]:
                raise NasError(
                    str(path),
                    f"{pixels.shape[1]} wide and {pixels.shape[0]} high, where {paths[0]} is "
                    f"{images.shape[2]} wide and {images.shape[1]} high",
                    "images of one size",
                    "Resize all of them with --image-size, such as --image-size 64.",
                )
            if pixels.ndim == images.ndim:  # the first one in colour
                images = np.repeat(images[..., None], 3, axis=-1)
            images[row] = pixels if pixels.ndim == images.ndim - 1 else pixels[..., None]
    return images


def _check_memory(paths: Sequence[Path], shape: tuple[int, ...]) -> None:
    """Refuses what the system would end the program for, without a word."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on every system
        return
    needed = BYTES_OF_A_NUMBER * len(paths) * math.prod(shape)
    if needed > memory:
        raise NasError(
            os.path.commonpath([path.parent for path in paths]),
            f"{len(paths):,} image{'s' * (len(paths) > 1)} of {shape[0]:,} x {shape[1]:,} pixels "
            f"take {needed / 1e9:,.0f} GB",
            f"what fits into {memory / 1e9:,.0f} GB of memory",
            "Give a smaller --image-size, or fewer images with --max-rows.",
        )


def _parts(folder: Path) -> list[dict[str, list[Path]]]:
    """The images by class: all of them, or those to learn from and those to test with."""
    names = [inner.name for inner in _entries(folder)[0]]
    if not {"train", "test"} <= set(names):
        return [_classes(folder)]
    if len(names) > 2:
        (other, *_) = (name for name in names if name not in ("train", "test"))
        raise NasError(
            str(folder),
            f"the folder '{other}' beside train and test",
            "train and test alone, or a folder for each class",
            f"Put its images into train: nas sets rows for validation aside, fold by fold; "
            f"or move '{other}' elsewhere.",
        )
    _check_none_outside(folder)
    train, test = _classes(folder / "train"), _classes(folder / "test", least=1)
    for name in test:
        if name not in train:
            raise NasError(
                str(folder / "test" / name),
                f"a class that {folder / 'train'} does not have",
                "one of " + ", ".join(train),
                did_you_mean(name, train),
            )
    return [train, test]


def _classes(folder: Path, least: int = 2) -> dict[str, list[Path]]:
    folders, files = _entries(folder)
    if not folders:
        raise NasError(
            str(folder),
            "holds images and no folders" if any(map(_is_image, files)) else "holds no folders",
            "a folder of images for each class, named like it",
        )
    _check_none_outside(folder)
    classes = {inner.name: _images(inner) for inner in folders}
    if len(classes) < least:
        raise NasError(
            str(folder),
            f"one class only ({folders[0].name})",
            "a folder of images for each of at least two classes",
        )
    return classes


def _images(folder: Path) -> list[Path]:
    folders, files = _entries(folder)
    if folders:
        raise NasError(
            str(folder),
            f"the folder '{folders[0].name}' among the images of a class",
            "images alone",
            "The folders of the classes lie in that of --data, or in its train and test folders.",
        )
    if not files:
        raise NasError(
            str(folder), "holds no images", f"{KINDS} files", "Add some, or remove the folder."
        )
    for file in files:
        if not _is_image(file):
            raise NasError(
                str(file),
                "no image of a known kind",
                f"{KINDS} files alone",
                "Convert it, or move it elsewhere.",
            )
    return files


def _check_none_outside(folder: Path) -> None:
    """Of files beside folders only images are wrong: others may describe them."""
    outside = [file for file in _entries(folder)[1] if _is_image(file)]
    if outside:
        raise NasError(
            str(outside[0]),
            "an image beside folders",
            "each image in one of them",
            "Move it there, or elsewhere.",
        )


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Folders and files by name, without hidden ones."""
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise NasError(str(folder), f"cannot be read ({first_line(error, 120)})") from error
    shown = [
        entry
        for entry in entries
        if not entry.name.startswith(".") and entry.name.lower() not in SYSTEM_FILES
    ]
    folders = [entry for entry in shown if entry.is_dir()]
    return folders, [entry for entry in shown if not entry.is_dir()]


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _read_image(path: Path, size: tuple[int, int] | None, channels: int | None) -> NDArray[Any]:
    """Pixels of the first frame, as a viewer shows them; without channels where they are grey."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            if size is not None:  # JPEG files can be read at a fraction of their size
                file.draft(None, (2 * max(size), 2 * max(size)))
            image = ImageOps.exif_transpose(file)
    except UnidentifiedImageError as error:
        raise NasError(str(path), "not an image that can be read", f"{KINDS} files") from error
    except Exception as error:  # a damaged file makes Pillow raise exceptions of any kind
        raise NasError(
            str(path), f"cannot be read ({first_line(error, 120)})", f"{KINDS} files"
        ) from error
    if image.mode.startswith("I") or image.mode == "F" or _is_deep_png(path):
        raise NasError(
            str(path),
            "more than 8 bits a pixel and channel",
            "8 bits",
            "Convert it, or give an .npz file, which keeps the numbers as they are.",
        )
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
    is_grey = channels == 1 or (channels is None and image.mode in ("1", "L"))
    image = image.convert("L" if is_grey else "RGB")
    if size is not None:
        image = ImageOps.fit(image, size)
    pixels = np.asarray(image)
    # Many files keep a grey image as three equal channels, or as a palette.
    if channels is None and not is_grey and (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    return pixels


def _is_deep_png(path: Path) -> bool:
    """Whether it is a PNG file with 16 bits, of which Pillow drops the lower 8 where it has colour.

    Of the other formats none that Pillow reads has more than 8 bits. The header comes first, and
    says how many after width and height (PNG specification, section 11.2.2).
    """
    with path.open("rb") as file:
        header = file.read(25)
    return header.startswith(b"\x89PNG") and header[24] > 8
