"""The numbers of a data set, and what the user is to know of how they are scaled."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.dataset import Dataset, Features, Schema
from nas.data.date_values import part_columns
from nas.wording import counted

UNUSUAL_SIZE = 1e6  # numbers beyond it, or below its inverse, are hard to learn from unscaled


def numeric_values(features: Features, schema: Schema) -> NDArray[Any] | None:
    """The numbers, shape (n_rows, n_numbers) or that of the array; None where there are none.

    A date has several: see `nas.data.date_values`.
    """
    if not isinstance(features, Mapping):
        return features
    numbers: list[NDArray[Any]] = []
    for column in schema.columns:
        if column.kind == "numeric":
            numbers.append(features[column.name])
        elif column.kind == "date":
            numbers += part_columns(features[column.name], column.parts, column.origin)
    return np.stack(numbers, axis=1) if numbers else None


def scaling_notes(dataset: Dataset) -> tuple[str, ...]:
    """What the user is to know of how numbers are scaled, a sentence each."""
    if dataset.scaling != "none":
        if not dataset.scale_per_feature:
            return ()
        n_features = dataset.schema.row_shape[-1]
        return (
            f"the {n_features} entries of the last axis differ in scale by orders of magnitude: "
            "each is scaled by itself, unlike the pixels of images",
        )
    values = numeric_values(dataset.features, dataset.schema)
    if values is None or values.dtype.itemsize == 1:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        largest = np.nan_to_num(np.nanmax(np.abs(values.reshape(len(values), -1)), axis=0))
    unusual = (largest > UNUSUAL_SIZE) | ((largest > 0) & (largest < 1 / UNUSUAL_SIZE))
    if not unusual.any():
        return ()
    return (
        f"{counted(int(unusual.sum()), 'column')} of numbers up to {largest[unusual.argmax()]:.2g} "
        "without scaling: networks hardly learn from them; leave --scaling none out",
    )
