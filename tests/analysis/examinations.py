"""A healthy network as its examination shows it, to be spoilt one sign at a time."""

from dataclasses import replace
from typing import Any

from nas.space import RandomSuggester, SearchSpace
from nas.spec import Examination, Problem, TrialSpec

PROBLEM = Problem("multiclass", 64, 10)
HEALTHY = Examination(
    n_train=1400,
    n_steps=900,
    gradient_before=(0.01, 0.01, 0.02),
    gradient_after=(0.001, 0.001, 0.002),
    first_step=(0.4, 0.4, 0.5),
    last_step=(0.05, 0.05, 0.05),
    norm_ratio=(1.2, 1.2, 1.3),
    dead_before=(0.0, 0.0),
    dead=(0.02, 0.05),
    saturated_before=(0.0, 0.0),
    saturated=(0.0, 0.0),
    rank=(30.0, 20.0),
    probe=(0.92, 0.95, 0.96),
    loss_before=2.4,
    loss_after=0.05,
    penalty_before=0.01,
    penalty_after=0.02,
    train_value=0.99,
    val_value=0.96,
    predicted_share=0.11,
    true_share=0.1,
    moving_value=0.96,
)
FALLEN = (2.0, 1.0, 0.5, 0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.055, 0.052, 0.05)
FALLING = (2.3, 2.29, 2.28, 2.26, 2.24, 2.2, 2.15, 2.1, 2.05, 1.98, 1.9, 1.8)
FLAT = (2.31,) * 12
# What a network shows that has learned nothing.
NOTHING = {"train_value": 0.11, "val_value": 0.1, "loss_after": 2.3}


def spec_of(**values: Any) -> TrialSpec:
    words = {"depth": 2, "width": 64, **values}
    return SearchSpace(words).sample(RandomSuggester(0), PROBLEM)


def convolutional(*items: str, units: tuple[int, ...] = ()) -> TrialSpec:
    """A convolutional network for images of 8 x 8 pixels."""
    spec = spec_of()
    architecture = replace(spec.architecture, network="cnn", convolutions=items, units=units)
    problem = replace(PROBLEM, image_shape=(8, 8, 1))
    return replace(spec, problem=problem, architecture=architecture)
