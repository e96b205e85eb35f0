"""Saved models of a test's own, without a search before them."""

from pathlib import Path
from typing import Any

import numpy as np

import nas
from nas import export
from nas.data import (
    Dataset,
    Fold,
    SplitOptions,
    seen_values,
    split_dataset,
)
from nas.encoding import encode_folds, fit_encoder
from nas.engines.lane_log import predictions_on
from nas.models.initializers import initial_weights
from nas.models.network import build_model
from nas.space import SearchSpace
from nas.whole_model import whole_model


def save_untrained(folder: Path, dataset: Dataset) -> tuple[Path, np.ndarray, np.ndarray]:
    """Saves a winner without training, `winner.keras`, with its card.

    Returns:
        Its path, the test rows, and the predictions for them as a search scores them.
    """
    split = split_dataset(dataset, SplitOptions(folds=2, test_size=0.25))
    (fold,) = encode_folds(dataset, [Fold(split.development, split.test)])
    words: dict[str, Any] = {"depth": 1, "width": 4, "activation": "tanh"}
    spec = SearchSpace(words).sample(None, dataset.problem(fold.x_train.shape[1]))
    weights = initial_weights(spec, 0)
    model = whole_model(dataset, fit_encoder(dataset, split.development), spec, weights)
    categories = fit_encoder(dataset, split.development).statistics.categories
    card = {
        "nas_version": nas.__version__,
        "task": dataset.task,
        "classes": list(dataset.classes),
        "schema": dataset.schema.to_dict(),
        "seen": seen_values(dataset, split.development, categories),
    }
    export._save(model, card, folder / "winner.keras")
    network = build_model(spec)
    network.set_weights(weights)
    outputs = np.asarray(network(fold.x_val))
    values = predictions_on(fold, outputs, spec.loss)
    return folder / "winner.keras", split.test, values
