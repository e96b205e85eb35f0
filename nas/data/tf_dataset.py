"""A `tf.data.Dataset` as the table or array that it holds.

TensorFlow is not imported here: whoever has such a dataset has it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError

DATA = "data"
KNOWN = "a finite dataset of (features, target), where features are an array or a dict of columns"


def is_tf_dataset(data: Any) -> bool:
    """Whether it is a `tf.data.Dataset`, batched or not."""
    return hasattr(data, "element_spec") and hasattr(data, "as_numpy_iterator")


def n_axes(data: Any) -> int:
    """Axes of the features with their rows; 2 where they are columns."""
    features, _ = _checked(data)
    return 2 if isinstance(features, Mapping) else len(features.shape) + (not _is_batched(data))


def rows_of(data: Any, row_axes: int | None = None) -> tuple[Any, NDArray[Any] | None]:
    """All features, as an array or a mapping of columns, and the target, where it has one.

    Args:
        data: A dataset whose elements are rows or batches of rows, with or without a target.
        row_axes: Axes of a row that is an array, where that is known.

    Raises:
        NasError: When it never ends, is empty, or holds something else.
    """
    cardinality = int(data.cardinality())
    if cardinality == -1:
        raise NasError(DATA, "a dataset that repeats for ever", KNOWN, "Leave .repeat() out.")
    features, target = _checked(data)
    elements = [*data.as_numpy_iterator()]
    if not elements:
        raise NasError(DATA, "a dataset without elements", KNOWN)
    join = np.concatenate if _is_batched(data, row_axes) else np.stack
    given = [_parts(element) for element in elements]
    if isinstance(features, Mapping):
        rows: Any = {name: _plain(join([x[name] for x, _ in given])) for name in features}
        for name, column in rows.items():
            if column.ndim == 2 and column.shape[1] == 1:
                rows[name] = column[:, 0]
    else:
        rows = _plain(join([x for x, _ in given]))
    return rows, None if target is None else _plain(join([y for _, y in given]))


def _checked(data: Any) -> tuple[Any, Any]:
    """The kinds of features and target.

    Raises:
        NasError: When they are no tensors with a known number of axes.
    """
    features, target = _parts(data.element_spec)
    kinds = [*features.values()] if isinstance(features, Mapping) else [features]
    kinds += [] if target is None else [target]
    for kind in kinds:
        if not hasattr(kind, "shape") or not hasattr(kind, "dtype") or kind.shape.rank is None:
            raise NasError(DATA, f"a dataset of {data.element_spec}", KNOWN)
    return features, target


def _parts(element: Any) -> tuple[Any, Any]:
    """Features and target of an element; weights of rows are refused, as they would be lost."""
    if not isinstance(element, tuple):
        return element, None
    if len(element) != 2:
        raise NasError(
            DATA, f"a dataset of {len(element)} parts", KNOWN, "Give weights as sample_weight."
        )
    return element


def _is_batched(data: Any, row_axes: int | None = None) -> bool:
    """Whether elements are batches of rows, rather than single rows.

    Raises:
        NasError: When they may be either.
    """
    features, target = _parts(data.element_spec)
    if isinstance(features, Mapping):
        return len(next(iter(features.values())).shape) > 0
    if row_axes is not None:
        return len(features.shape) > row_axes
    if not len(features.shape) or features.shape[0] is None:
        return len(features.shape) > 0
    if target is None or not len(target.shape):
        return False
    if target.shape[0] is None or target.shape[0] != features.shape[0]:
        return target.shape[0] is None
    if len(target.shape) == 1 and len(features.shape) > 1:  # of one number, or a text, each
        return True
    raise NasError(
        DATA,
        f"{features.shape[0]} features and as many targets in each element",
        "elements that are rows, or batches",
        "Use .batch(32), whose last batch may be smaller.",
    )


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Text as such: TensorFlow has it as bytes."""
    if values.dtype != object and values.dtype.kind != "S":
        return values
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.ravel()]
    return np.array(texts, dtype=object).reshape(values.shape)
