"""Reading a data set from wherever it lies."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

from nas.data.arrays import (
    KERAS_DATA,
    SKLEARN_DATA,
    dataset_of_arrays,
    open_npz,
    read_keras,
    read_npz,
    read_sklearn,
)
from nas.data.checks import check_array
from nas.data.dataset import Dataset, Features, Scaling, Schema
from nas.data.images import image_paths, list_folder, read_images, read_pixels
from nas.data.options import DataOptions
from nas.data.positive import positive_class
from nas.data.scaling import scaling_notes
from nas.data.table_file import read_table, read_table_by_name, read_table_by_position
from nas.data.tables import dataset_of_table, features_of_table
from nas.data.variants import add_label_noise, keep_classes, sample_rows
from nas.errors import NasError, did_you_mean

TABLES = (".csv", ".parquet", ".pq")
KNOWN = (*SKLEARN_DATA, *KERAS_DATA)


def load_dataset(options: DataOptions) -> Dataset:
    """Reads and checks a data set.

    Raises:
        NasError: When the source is unknown or missing, cannot be read, holds values that
            nothing can be learned from, or no images where `options` ask for them.
    """
    if options.scaling not in get_args(Scaling):
        raise NasError(
            "--scaling",
            f"got '{options.scaling}'",
            "one of " + ", ".join(get_args(Scaling)),
            did_you_mean(options.scaling, get_args(Scaling)),
        )
    _check_variant(options)
    # With --task binary, two classes are left of what is read only.
    all_classes = options.classes and options.task == "binary"
    dataset = _read_dataset(replace(options, task="multiclass") if all_classes else options)
    is_folder = _is_folder(options.source)
    if options.images and not is_folder and not dataset.schema.image_shape:
        raise NasError(
            options.source,
            f"rows of {dataset.schema.describe()} features",
            "images, which network: cnn needs",
            "Give an .npz file whose x is shaped (rows, height, width) or (rows, height, width, "
            "channels), or a folder with a folder of images for each class.",
        )
    if options.classes:
        dataset = keep_classes(dataset, options.classes, options.task)
    # Before rows are drawn and labels spoilt: with more noise the rarer class is the same.
    dataset = replace(dataset, positive=positive_class(dataset, options.positive))
    if options.max_rows is not None:
        dataset = sample_rows(dataset, options.max_rows)
    if options.label_noise:
        dataset = add_label_noise(dataset, options.label_noise)
    if is_folder:  # now that it is known which of its images are wanted
        dataset = read_pixels(dataset, options)
    dataset = replace(dataset, scaling=options.scaling)
    return replace(dataset, notes=(*dataset.notes, *scaling_notes(dataset)))


def _check_variant(options: DataOptions) -> None:
    if len(set(options.classes)) == 1:
        raise NasError("--classes", f"got {','.join(options.classes)}", "at least two classes")
    if options.max_rows is not None and options.max_rows < 1:
        raise NasError("--max-rows", f"got {options.max_rows}", "at least 1")
    if not 0.0 <= options.label_noise <= 1.0:
        raise NasError("--label-noise", f"got {options.label_noise:g}", "a share from 0 to 1")


def _read_dataset(options: DataOptions) -> Dataset:
    source = options.source
    path = Path(source)
    suffix = path.suffix.lower()
    is_folder = _is_folder(source)
    if options.image_size is not None and not is_folder and (source in KNOWN or path.exists()):
        raise NasError(
            "--image-size", f"got {options.image_size} for {source}", "a folder of images with it"
        )
    if suffix in TABLES:
        return dataset_of_table(read_table(path, options.header), options)
    for option, value in (
        ("--target", options.target),
        ("--groups", options.groups),
        ("--drop", options.drop),
        ("--categorical", options.categorical),
        ("--missing", options.missing),
    ):
        if value:
            raise NasError(option, f"got {value!r} for {source}", "a CSV or Parquet file with it")
    if options.header is not None:
        option = "--header" if options.header else "--no-header"
        raise NasError(option, f"given for {source}", "a CSV file with it")
    if is_folder:
        return list_folder(path, options)
    if suffix == ".npz":
        return dataset_of_arrays(read_npz(path), options)
    if source in SKLEARN_DATA:
        return dataset_of_arrays(read_sklearn(source, options.images), options)
    if source in KERAS_DATA:
        return dataset_of_arrays(read_keras(source), options)
    raise NasError(
        source,
        "no such data set" if not path.exists() else "a file of unknown kind",
        "a .csv, .parquet or .npz file, a folder of images, or one of " + ", ".join(KNOWN),
        did_you_mean(source, KNOWN),
    )


def image_names(source: str) -> list[str]:
    """The file of each row that `load_features` reads from a folder; none for other sources."""
    if not _is_folder(source):
        return []
    return [path.relative_to(source).as_posix() for path in image_paths(Path(source))]


def _is_folder(source: str) -> bool:
    """Whether it names a folder of images, rather than a file that is none or a known data set."""
    path = Path(source)
    is_file = path.suffix.lower() in (*TABLES, ".npz")
    return source not in KNOWN and not is_file and path.is_dir()


def load_features(source: str, schema: Schema) -> Features:
    """Reads rows to predict for; columns that the schema does not name are left out.

    The images of a folder are given the size and the channels that the schema has; their order
    is that of `image_names`.

    Raises:
        NasError: When a column is missing, or holds text where the schema has numbers.
    """
    path = Path(source)
    wanted = "a table of columns" if schema.is_table else f"rows shaped {schema.row_shape}"
    if _is_folder(source):
        height, width, channels = schema.image_shape or (0, 0, 0)
        if channels not in (1, 3):
            raise NasError(source, "a folder of images", wanted)
        images = read_images(image_paths(path), (width, height), channels)
        return images.reshape(-1, *schema.row_shape)
    if path.suffix.lower() in TABLES:
        if not schema.columns:
            raise NasError(source, "a table", f"an .npz array of rows shaped {schema.row_shape}")
        if schema.n_unnamed and path.suffix.lower() == ".csv":
            table = read_table_by_position(path, schema.n_unnamed, schema.target)
        else:
            table = read_table_by_name(path, [column.name for column in schema.columns])
        return features_of_table(table, schema, source)
    if path.suffix.lower() == ".npz":
        arrays = open_npz(path)
        key = next((k for k in ("x", "x_test") if k in arrays), None)
        if key is None:
            raise NasError(source, f"holds {', '.join(arrays)}", "an array named x")
        values = arrays[key]
    elif source in SKLEARN_DATA:
        values = read_sklearn(source, images=len(schema.row_shape) > 1)["x"]
    else:
        raise NasError(
            source,
            "no data of a known kind",
            "a .csv, .parquet or .npz file, or a folder of images",
        )
    if values.ndim == 1:
        values = values[:, None]
    if schema.is_table or values.shape[1:] != schema.row_shape:
        raise NasError(source, f"rows shaped {values.shape[1:]}", wanted)
    check_array(values, "x", source)
    return values
