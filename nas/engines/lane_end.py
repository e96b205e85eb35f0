"""What is found out when lanes of the compiled engine have ended: with NumPy, from their weights.

A function of its arguments alone, so that another process can call it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.encoding import FoldData
from nas.engines.examination import Snapshots, examine
from nas.engines.lane_log import LaneEnd, score_outputs
from nas.families.inside_dense import InsideDense
from nas.metrics import Metric
from nas.spec import TrialSpec

PREDICT_ROWS = 8192  # training rows that are predicted at once


@dataclass(frozen=True)
class EndedLane:
    """A lane that has ended.

    Attributes:
        spec: Its network.
        fold: The number of its fold.
        epochs: Epochs that it has run.
        weights: What it has learned, in the order of `build_model(spec).get_weights()`.
        snapshots: Its weights at four moments; None where it is not to be examined.
    """

    spec: TrialSpec
    fold: int
    epochs: int
    weights: list[NDArray[np.float32]]
    snapshots: Snapshots | None


LookAtEnds = Callable[[Sequence[FoldData], Metric, Sequence[EndedLane]], list[LaneEnd]]


def look_at_ends(
    folds: Sequence[FoldData], metric: Metric, lanes: Sequence[EndedLane]
) -> list[LaneEnd]:
    """What is to be found out of lanes that have ended.

    Args:
        folds: All folds.
        metric: What training parts are scored by.
        lanes: The lanes.
    """
    return [_end(folds[lane.fold], metric, lane) for lane in lanes]


def _end(fold: FoldData, metric: Metric, lane: EndedLane) -> LaneEnd:
    spec = lane.spec
    fold = fold.scaled(spec.architecture.scaling)
    inside = InsideDense(spec)
    with np.errstate(all="ignore"):  # a diverged network's numbers
        parts = np.split(fold.x_train, range(PREDICT_ROWS, len(fold.x_train), PREDICT_ROWS))
        outputs = np.concatenate([inside.predict(lane.weights, x) for x in parts])
    score, _ = score_outputs(metric, fold, fold.y_train, outputs, spec.loss)
    if lane.snapshots is None:
        return LaneEnd(score, None)
    return LaneEnd(score, examine(spec, fold, lane.epochs, lane.snapshots))
