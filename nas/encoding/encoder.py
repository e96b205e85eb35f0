"""The encoder: what a fold's training rows teach, applied to rows, in NumPy.

`nas.encoding.keras_form` makes the same of Keras layers, for saved models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.data import Dataset, Features, Schema, n_rows, numeric_values, take_rows
from nas.encoding.statistics import Statistics, fit_statistics, soft_clipped

ENCODE_BATCH = 8192  # rows that are encoded at once


@dataclass(frozen=True)
class Encoder:
    """Raw features to the matrix that networks take.

    Numbers are scaled; a missing one becomes the mean, and where the training rows had missing
    ones a further column says so. A category becomes one column among its peers, an unknown one
    none of them. A text becomes one column for each term. The order is: numbers, what is missing,
    categories, texts, zeros.

    Attributes:
        schema: What a row of raw features looks like.
        statistics: What was learned from the training rows.
        n_columns: Width of the matrix, at least that of the statistics; the rest is filled up
            with zeros, so that folds that saw different categories are equally wide.
    """

    schema: Schema
    statistics: Statistics
    n_columns: int

    def encode(
        self, features: Features, rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The encoded matrix, shape (n_rows, n_columns), C-contiguous.

        Args:
            features: Raw features of the schema.
            rows: Numbers of the rows to encode, in this order; None encodes all.
        """
        total = n_rows(features) if rows is None else len(rows)
        encoded = np.zeros((total, self.n_columns), np.float32)
        for start in range(0, total, ENCODE_BATCH):
            batch = slice(start, start + ENCODE_BATCH)
            self._encode_batch(
                take_rows(features, batch if rows is None else rows[batch]), encoded[batch]
            )
        return encoded

    def _encode_batch(self, features: Features, encoded: NDArray[np.float32]) -> None:
        """Fills the rows of `encoded`, which are zeros."""
        learned, end = self.statistics, 0
        values = numeric_values(features, self.schema)
        if values is not None:
            values = values.reshape(len(values), -1)
            end = values.shape[1]
            # In 32 bits and in this order, as Keras computes it: see `nas.encoding.keras_form`.
            numbers = values.astype(np.float32)
            if self.schema.columns:
                is_missing = np.isnan(numbers)
                np.copyto(numbers, learned.fill.astype(np.float32), where=is_missing)
                for column in learned.missing:
                    encoded[:, end] = is_missing[:, column]
                    end += 1
            numbers -= learned.mean.astype(np.float32)
            numbers *= learned.inverse_scale
            if learned.soft_clip:
                numbers = soft_clipped(numbers)
            if learned.knots is not None:
                numbers = learned.knots.apply(numbers)
            encoded[:, : values.shape[1]] = numbers
        if not isinstance(features, Mapping):
            return
        for name, categories in learned.categories.items():
            known = pd.Index(categories, dtype=object)
            codes = known.get_indexer(pd.Index(features[name], dtype=object))  # unknown: -1
            rows = np.flatnonzero(codes >= 0)
            encoded[rows, end + codes[rows]] = 1.0
            end += len(categories)
        for name, terms in learned.texts.items():
            encoded[:, end : end + len(terms.texts)] = terms.encode(features[name])
            end += len(terms.texts)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "schema": self.schema.to_dict(),
            "statistics": self.statistics.to_dict(),
            "n_columns": self.n_columns,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Encoder":
        """The inverse of `to_dict`, also after a way through JSON."""
        return cls(
            Schema.from_dict(data["schema"]),
            Statistics.from_dict(data["statistics"]),
            int(data["n_columns"]),
        )


def fit_encoder(dataset: Dataset, rows: NDArray[np.int64]) -> Encoder:
    """Learns from the given rows, and from no others.

    Args:
        dataset: The data, and how its numbers are to be scaled.
        rows: Numbers of the training rows.
    """
    statistics = fit_statistics(dataset, rows)
    return Encoder(dataset.schema, statistics, statistics.n_columns(dataset.schema))
