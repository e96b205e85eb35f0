import numpy as np
import pytest
import tensorflow as tf

from nas.engines import pooling
from nas.engines.pooling import MaxPooling


@pytest.mark.parametrize(("height", "width", "size"), [(8, 8, 2), (7, 9, 2), (5, 11, 3), (3, 3, 4)])
@pytest.mark.parametrize("n_rows", [6, 5])  # a whole batch, and a smaller one
def test_output_and_gradient_are_tensorflows(height, width, size, n_rows, monkeypatch):
    monkeypatch.setattr(pooling, "SMALLEST", 0)
    generator = np.random.default_rng(0)
    # Few different values, so that many windows have equal maxima.
    x = tf.constant(generator.integers(-2, 3, (n_rows, height, width, 3)).astype(np.float32))
    layer = MaxPooling(size, 6, "pooling")

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        wanted, got = tf.nn.max_pool2d(x, size, size, "SAME"), layer(x)
        weights = tf.constant(generator.normal(size=wanted.shape).astype(np.float32))
        totals = tf.reduce_sum(weights * wanted), tf.reduce_sum(weights * got)

    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(*[tape.gradient(total, x) for total in totals])
