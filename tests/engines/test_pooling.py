"""Max pooling with its own gradient, against Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nas.engines import pooling
from nas.engines.pooling import MaxPooling


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("shape", [(8, 6), (7, 5)])
def test_pooling_and_its_gradient_are_keras_own(
    size: int, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, "SMALLEST", 4 * 35 * 3)
    generator = np.random.default_rng(0)
    for n_rows in (4, 3):  # a full batch, and a smaller one
        # Whole numbers, so that many windows have several maxima; all below any padding's zero.
        x = tf.constant(generator.integers(-4, 0, (n_rows, *shape, 3)), tf.float32)
        upstream = None
        found = []
        for layer in (keras.layers.MaxPooling2D(size, padding="same"), MaxPooling(size, 4, "p")):
            with tf.GradientTape() as tape:
                tape.watch(x)
                output = layer(x)
            if upstream is None:
                upstream = tf.constant(generator.normal(size=output.shape), tf.float32)
            found.append((output, tape.gradient(output, x, upstream)))
        for theirs, mine in zip(*found, strict=True):
            np.testing.assert_array_equal(mine, theirs)
