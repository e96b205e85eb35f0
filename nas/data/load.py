"""Reading a data set from wherever it lies."""

from pathlib import Path

import pandas as pd

from nas.data.arrays import (
    KERAS_DATA,
    SKLEARN_DATA,
    dataset_of_arrays,
    features_of_array,
    open_npz,
    read_keras,
    read_npz,
    read_sklearn,
)
from nas.data.dataset import Dataset, Features, Schema
from nas.data.images import image_paths, list_folder, read_images, read_pixels
from nas.data.prepare import check_no_columns, check_options, to_read, vary, with_scaling
from nas.data.table_file import (
    Table,
    joined,
    read_table_by_name,
    read_table_by_position,
    read_tables,
    table_paths,
    with_test_part,
)
from nas.data.table_kinds import KNOWN_TABLES, table_kind
from nas.data.tables import dataset_of_table, features_of_table
from nas.errors import NasError, did_you_mean
from nas.options import DataOptions

KNOWN = (*SKLEARN_DATA, *KERAS_DATA)


def load_dataset(options: DataOptions) -> Dataset:
    """Reads and checks a data set.

    Raises:
        NasError: When the source is unknown or missing, cannot be read, holds values that
            nothing can be learned from, or no images where `options` ask for them.
    """
    check_options(options)
    dataset = _read_dataset(to_read(options))
    is_folder = _is_folder(options.source)
    if options.images and not is_folder and not dataset.schema.image_shape:
        raise NasError(
            options.source,
            f"rows of {dataset.schema.describe()} features",
            "images, which network: cnn needs",
            "Give an .npz file whose x is shaped (rows, height, width) or (rows, height, width, "
            "channels), or a folder with a folder of images for each class.",
        )
    dataset = vary(dataset, options)
    if is_folder:  # now that it is known which of its images are wanted
        dataset = read_pixels(dataset, options)
    return with_scaling(dataset, options)


def _read_dataset(options: DataOptions) -> Dataset:
    source = options.source
    path = Path(source)
    suffix = path.suffix.lower()
    is_folder = _is_folder(source)
    if options.image_size is not None and not is_folder and (source in KNOWN or path.exists()):
        raise NasError(
            "--image-size", f"got {options.image_size} for {source}", "a folder of images with it"
        )
    if table_kind(path) is not None:
        table = read_tables(source, options.header)
        if options.test is not None:
            table = with_test_part(table, _test_table(table, options.test), options.test)
        return dataset_of_table(table, options)
    check_no_columns(options, "a table with it, such as a CSV or Parquet file")
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
        f"a {KNOWN_TABLES} or .npz file, a folder of images, or one of " + ", ".join(KNOWN),
        did_you_mean(source, KNOWN),
    )


def _test_table(table: Table, source: str) -> Table:
    path = Path(source)
    if table_kind(path) is None:
        raise NasError("--test", f"got {source}", f"a {KNOWN_TABLES} file like the data")
    names = list(map(str, table.frame.columns))
    if table.has_header:
        return read_table_by_name(path, names)
    return read_table_by_position(path, len(names), "")


def image_names(source: str) -> list[str]:
    """The file of each row that `load_features` reads from a folder; none for other sources."""
    if not _is_folder(source):
        return []
    return [path.relative_to(source).as_posix() for path in image_paths(Path(source))]


def _is_folder(source: str) -> bool:
    """Whether it names a folder of images, rather than a file that is none or a known data set."""
    path = Path(source)
    is_file = path.suffix.lower() == ".npz" or table_kind(path) is not None
    return source not in KNOWN and not is_file and path.is_dir()


def original_columns(source: str, schema: Schema) -> pd.DataFrame:
    """The rows of a table as they are in the file; without columns for other sources."""
    if table_kind(Path(source)) is None:
        return pd.DataFrame()
    return _rows_to_predict(source, schema).frame


def _rows_to_predict(source: str, schema: Schema) -> Table:
    """A table, which may lie in several files."""
    if not schema.columns:
        raise NasError(source, "a table", f"an .npz array of rows shaped {schema.row_shape}")
    names = [column.name for column in schema.columns]

    def read(path: Path) -> Table:
        if schema.n_unnamed:
            return read_table_by_position(path, schema.n_unnamed, schema.target)
        return read_table_by_name(path, names)

    first, *others = table_paths(source)
    table = read(first)
    for path in others:
        table = joined(table, read(path), str(path))
    return table


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
    if table_kind(path) is not None:
        return features_of_table(_rows_to_predict(source, schema), schema, source)
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
            f"a {KNOWN_TABLES} or .npz file, or a folder of images",
        )
    return features_of_array(values, schema, source)
