"""Reading a data set from wherever it lies."""

from pathlib import Path

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
from nas.data.dataset import Dataset, Features, Schema
from nas.data.options import DataOptions
from nas.data.tables import dataset_of_table, read_table, table_features
from nas.errors import NasError, did_you_mean


def load_dataset(options: DataOptions) -> Dataset:
    """Reads and checks a data set.

    Raises:
        NasError: When the source is unknown or missing, cannot be read, or holds values that
            nothing can be learned from.
    """
    source = options.source
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".parquet", ".pq"):
        return dataset_of_table(read_table(path), options)
    for option, value in (
        ("--target", options.target),
        ("--groups", options.groups),
        ("--drop", options.drop),
        ("--categorical", options.categorical),
    ):
        if value:
            raise NasError(option, f"got {value!r} for {source}", "a CSV or Parquet file with it")
    if suffix == ".npz":
        return dataset_of_arrays(read_npz(path), options)
    if source in SKLEARN_DATA:
        return dataset_of_arrays(read_sklearn(source), options)
    if source in KERAS_DATA:
        return dataset_of_arrays(read_keras(source), options)
    known = (*SKLEARN_DATA, *KERAS_DATA)
    raise NasError(
        source,
        "no such data set" if not path.exists() else "a file of unknown kind",
        "a .csv, .parquet or .npz file, or one of " + ", ".join(known),
        did_you_mean(source, known),
    )


def load_features(source: str, schema: Schema) -> Features:
    """Reads rows to predict for; columns that the schema does not name are left out.

    Raises:
        NasError: When a column is missing, or holds text where the schema has numbers.
    """
    path = Path(source)
    if path.suffix.lower() in (".csv", ".parquet", ".pq"):
        if not schema.columns:
            raise NasError(source, "a table", f"an .npz array of rows shaped {schema.row_shape}")
        frame = read_table(path)
        names = [column.name for column in schema.columns]
        for name in names:
            if name not in frame:
                raise NasError(
                    source,
                    f"no column '{name}', which the model needs",
                    "the columns " + ", ".join(names),
                    did_you_mean(name, frame.columns),
                )
        return table_features(frame, schema, source)
    if path.suffix.lower() == ".npz":
        arrays = open_npz(path)
        key = next((k for k in ("x", "x_test") if k in arrays), None)
        if key is None:
            raise NasError(source, f"holds {', '.join(arrays)}", "an array named x")
        values = arrays[key]
    elif source in SKLEARN_DATA:
        values = read_sklearn(source)["x"]
    else:
        raise NasError(source, "no data of a known kind", "a .csv, .parquet or .npz file")
    if values.ndim == 1:
        values = values[:, None]
    if schema.is_table or values.shape[1:] != schema.row_shape:
        wanted = "a table of columns" if schema.is_table else f"rows shaped {schema.row_shape}"
        raise NasError(source, f"rows shaped {values.shape[1:]}", wanted)
    check_array(values, "x", source)
    return values
