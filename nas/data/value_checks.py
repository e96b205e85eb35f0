"""What is wrong with a file or with numbers, before anything learns from them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.wording import counted

# Networks compute with 32-bit floats: a deviation below this share of the values is lost in them.
LEAST_RELATIVE_DEVIATION = 1e-5
LEAST_TARGET_DEVIATION = 1e-10  # the same of a target, which is kept in 64-bit floats
LARGEST_NUMBER = 1e30
SMALLEST_NUMBER = 1e-30


def check_file(path: Path) -> None:
    if not path.exists():
        raise NasError(str(path), "no such file", "a file with data")
    if path.is_dir():
        raise NasError(str(path), "is a folder", "a file with data")
    if path.stat().st_size == 0:
        raise NasError(str(path), "the file is empty", "a file with data")


def check_largest(values: NDArray[Any], where: str) -> None:
    """Refuses numbers beyond what 32-bit floats hold with a margin for computing."""
    values = np.asarray(values)
    if values.dtype.itemsize == 1 or not values.size:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        ends = (np.nanmin(values), np.nanmax(values))
    largest = max(ends, key=lambda end: abs(float(end)))
    if abs(float(largest)) > LARGEST_NUMBER:
        raise NasError(where, f"got {largest:g}", f"numbers below {LARGEST_NUMBER:g}")


def check_target(values: NDArray[np.float64], where: str) -> None:
    """Refuses regression targets whose differences 64-bit floats cannot tell."""
    largest = np.abs(values).max()
    if largest > LARGEST_NUMBER:
        raise NasError(where, "values beyond 1e30", "smaller numbers", "Divide the target.")
    if largest < SMALLEST_NUMBER or values.std() < np.finfo(np.float32).tiny:
        raise NasError(where, "no value beyond 1e-30", "larger numbers", "Multiply the target.")
    # The rounding error of a mean grows with the number of rows.
    least = max(LEAST_TARGET_DEVIATION, len(values) * np.finfo(np.float64).eps) * largest
    if values.std() < least:
        raise NasError(
            where,
            f"values around {largest:.6g} that differ by {values.std():.2g} only",
            "differences that 64-bit floats can tell",
            "Subtract a constant from the target.",
        )


def check_precision(values: NDArray[Any], where: str, leave_out: str = "leave it out") -> None:
    """Refuses columns to learn from whose differences 32-bit floats, which networks take, lose.

    Args:
        values: Shape (n_rows, n_columns).
        where: What an error message begins with.
        leave_out: How a user does that.
    """
    values = np.asarray(values, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        largest = np.nanmax(np.abs(values), axis=0)
        deviation = np.nanstd(values, axis=0)

    def name(column: int) -> str:
        return where if values.shape[1] == 1 else f"{where}, column {column + 1}"

    tiny = (largest > 0) & (largest < SMALLEST_NUMBER)
    if tiny.any():
        column = int(tiny.argmax())
        raise NasError(
            name(column),
            f"no value beyond {largest[column]:.2g}",
            f"some of at least {SMALLEST_NUMBER:g}",
            f"Multiply the column, or {leave_out}.",
        )
    lost = (deviation > 0) & (deviation < LEAST_RELATIVE_DEVIATION * largest)
    # Differences at the limit of 64 bits are rounding errors of a constant column.
    lost &= deviation > 1e-14 * largest
    if lost.any():
        column = int(lost.argmax())
        raise NasError(
            name(column),
            f"values around {largest[column]:.6g} that differ by {deviation[column]:.2g} only",
            "differences that 32-bit floats can tell",
            f"Subtract a constant from the column, or {leave_out}.",
        )


def check_array(x: NDArray[Any], key: str, source: str) -> None:
    if x.dtype.kind not in "biuf":
        raise NasError(f"{source}: {key}", f"an array of {x.dtype}", "numbers")
    if x.dtype.kind == "f":
        check_finite(x, f"{source}: {key}")
    check_largest(x, f"{source}: {key}")


def check_finite(values: NDArray[Any], where: str, allow_missing: bool = False) -> None:
    bad = np.isinf(values) if allow_missing else ~np.isfinite(values)
    if bad.any():
        rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
        raise NasError(
            where,
            f"{'infinite' if allow_missing else 'NaN or infinite'} in "
            f"{counted(len(rows), 'row')}, first in row {rows[0] + 1}",
            "finite numbers",
            "Empty those cells: an empty cell is a missing value."
            if allow_missing
            else "Remove those rows, or give a table, where an empty cell is a missing value.",
        )
