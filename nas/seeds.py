"""The one place where a seed is made from another."""

import hashlib
import json
from functools import cache

_quoted = cache(json.dumps)


def derive_seed(purpose: str, *numbers: int) -> int:
    """A seed for one purpose, so that nothing random repeats what is drawn for another.

    Purpose and numbers are hashed as text, which differs wherever they differ: `("trial", 7)` from
    `("trial", 7, 0)`, as `numpy.random.SeedSequence`, which fills up with zeros, would not.

    Args:
        purpose: What is drawn, in a word or two.
        numbers: Further seeds, indices and the like; any whole numbers.

    Returns:
        A number from 0 to 2^32 - 1, which is what NumPy, scikit-learn, Keras and Optuna take. The
        same for the same arguments on every machine and in every version.
    """
    # As JSON, a list, which is written by hand here: this is called for each lane's epoch.
    text = ", ".join([_quoted(purpose), *[str(int(number)) for number in numbers]])
    text = f"[{text}]"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
