"""Numbers to a normal distribution, by the quantiles of the training rows.

A column's values become what a normal distribution has at their rank; between the values that the
training rows have, on a straight line. Values beyond them become the smallest or the largest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

MOST = 1000  # knots of a column, as many as scikit-learn's `QuantileTransformer` has quantiles


@dataclass(frozen=True)
class Knots:
    """Where the straight lines of each column begin and end.

    Attributes:
        places: Values of the column, rising, (n_columns, n_knots); the last one is repeated where
            a column has fewer.
        heights: What each becomes, same shape.
    """

    places: NDArray[np.float32]
    heights: NDArray[np.float32]

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What values become, shape (n_rows, n_columns)."""
        result = np.empty_like(values)
        last = self.places.shape[1] - 2
        for column, (places, heights) in enumerate(zip(self.places, self.heights, strict=True)):
            # In 32 bits and in this order, as Keras computes it: see `nas.encoding.keras_form`.
            x = np.clip(values[:, column], places[0], places[-1])
            knot = np.clip(np.searchsorted(places, x, side="right") - 1, 0, last)
            start, gap = places[knot], places[knot + 1] - places[knot]
            share = (x - start) / np.where(gap > 0.0, gap, np.float32(1.0))
            result[:, column] = heights[knot] + share * (heights[knot + 1] - heights[knot])
        return result


def fit_knots(values: NDArray[np.float32]) -> Knots:
    """Learns from the columns of an array, (n_rows, n_columns); NaN is a missing value."""
    columns = [_fit_column(values[:, column]) for column in range(values.shape[1])]
    n_knots = max([2, *(len(places) for places, _ in columns)])
    places = [np.pad(p, (0, n_knots - len(p)), mode="edge") for p, _ in columns]
    heights = [np.pad(h, (0, n_knots - len(h)), mode="edge") for _, h in columns]
    return Knots(np.stack(places), np.stack(heights))


def _fit_column(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    places, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if not len(places):
        return np.zeros(1, np.float32), np.zeros(1, np.float32)
    # Equal values share the middle of their ranks.
    ranks = (np.cumsum(counts) - counts / 2.0) / counts.sum()
    if len(places) > MOST:
        wanted = np.linspace(ranks[0], ranks[-1], MOST)
        chosen = np.unique(np.searchsorted(ranks, wanted).clip(0, len(ranks) - 1))
        places, ranks = places[chosen], ranks[chosen]
    return places, ndtri(ranks).astype(np.float32)
