"""Random numbers by hashing counters: alike in NumPy and in JAX, on every processor and GPU."""

from typing import Any

import numpy as np

_ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B))  # Wellons 2018, the `lowbias32` hash
_SPREAD = 0x9E3779B9  # 2^32 divided by the golden ratio


def mixed(x: Any) -> Any:
    """Mixes 32-bit numbers; every bit of the result depends on every bit of `x`.

    Args:
        x: An array of NumPy or JAX, uint32.
    """
    for bits, factor in _ROUNDS:
        x = (x ^ (x >> np.uint32(bits))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


def spread(n: int) -> Any:
    """`n` numbers from 0 on, far from each other; with a key they are what `mixed` takes."""
    return np.arange(n, dtype=np.uint32) * np.uint32(_SPREAD)
