"""What members answer together, against probabilities by hand."""

from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from scipy.special import expit, softmax

from nas.models.members import join_members

OUTPUTS = np.random.default_rng(0).normal(0.0, 3.0, (5, 4, 3)).astype(np.float32)  # rows, members


@pytest.mark.parametrize("xp", [np, jnp, keras.ops], ids=["numpy", "jax", "keras"])
class TestJoinMembers:
    def test_the_probabilities_of_classes_are_means(self, xp: Any) -> None:
        found = np.asarray(join_members(xp, OUTPUTS, "cross_entropy"))
        expected = softmax(OUTPUTS, axis=-1).mean(axis=1)
        np.testing.assert_allclose(softmax(found, axis=-1), expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("loss, n", [("cross_entropy", 1), ("logistic", 3)])
    def test_so_are_those_of_each_class_by_itself(self, xp: Any, loss: str, n: int) -> None:
        found = np.asarray(join_members(xp, OUTPUTS[..., :n], loss))
        expected = expit(OUTPUTS[..., :n]).mean(axis=1)
        np.testing.assert_allclose(expit(found), expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("loss", ["squared", "absolute", "huber"])
    def test_a_value_is_a_mean(self, xp: Any, loss: str) -> None:
        found = np.asarray(join_members(xp, OUTPUTS[..., :1], loss))
        np.testing.assert_allclose(found, OUTPUTS[..., :1].mean(axis=1), rtol=1e-4, atol=1e-6)

    def test_members_that_are_sure_stay_finite(self, xp: Any) -> None:
        sure = np.float32([[[300.0], [-300.0]]])
        assert np.asarray(join_members(xp, sure, "cross_entropy")) == pytest.approx(0.0)
        both = np.float32([[[300.0, -300.0], [-300.0, 300.0]]])
        found = np.asarray(join_members(xp, both, "cross_entropy"))
        assert softmax(found, axis=-1) == pytest.approx(np.float32([[0.5, 0.5]]))

    def test_their_axis_may_be_the_first(self, xp: Any) -> None:
        first = np.swapaxes(OUTPUTS, 0, 1)
        np.testing.assert_allclose(
            np.asarray(join_members(xp, first, "cross_entropy", axis=0)),
            np.asarray(join_members(xp, OUTPUTS, "cross_entropy")),
            rtol=1e-5,
            atol=1e-5,
        )
