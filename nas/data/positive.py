"""Which of two classes is the positive one, which f1 is about."""

import numpy as np

from nas.data.dataset import Dataset
from nas.errors import NasError, did_you_mean


def positive_class(dataset: Dataset, label: str | None = None) -> int | None:
    """The number of the positive class; None where there are not two classes.

    Args:
        dataset: The data.
        label: Its label as text; None is the rarer class, and of two that are as rare the second.

    Raises:
        NasError: When there is no such class, or there are not two.
    """
    if dataset.task != "binary":
        if label is None:
            return None
        classes = f", which has {len(dataset.classes)} classes" if dataset.classes else ""
        raise NasError(
            "--positive",
            f"got '{label}' for a {dataset.task} task{classes}",
            "two classes",
            "Leave it out, or keep two with --classes." if classes else "Leave it out.",
        )
    known = [str(name) for name in dataset.classes]
    if label is None:
        counts = np.bincount(dataset.y, minlength=2)
        return 0 if counts[0] < counts[1] else 1
    if label not in known:
        raise NasError(
            "--positive",
            f"no class '{label}' in {dataset.name}",
            f"'{known[0]}' or '{known[1]}'",
            did_you_mean(label, known),
        )
    return known.index(label)
