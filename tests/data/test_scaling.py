"""What is told of numbers that stay unscaled."""

from dataclasses import replace

import pytest

from nas.data import DataOptions, load_dataset
from nas.data.scaling import scaling_notes


@pytest.mark.parametrize("size", [1e-20, 1e7])
def test_unusual_numbers_without_scaling_are_told(size):
    wine = load_dataset(DataOptions("wine"))
    assert scaling_notes(replace(wine, scaling="none")) == ()
    x = wine.features / wine.features.max(axis=0)
    x[:, 3] *= size
    changed = replace(wine, features=x)
    assert scaling_notes(changed) == ()
    (note,) = scaling_notes(replace(changed, scaling="none"))
    assert note.startswith(f"1 column of numbers up to {size:.2g} without scaling")
