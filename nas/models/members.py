"""What the members of a network answer together, in NumPy, JAX or Keras."""

from typing import Any

from nas.spec import TrialSpec


def joined(xp: Any, outputs: Any, spec: TrialSpec) -> Any:
    """The outputs of a network, (n, n_outputs), for what its last layer gives.

    Args:
        xp: `numpy` or `keras.ops`.
        outputs: With several members (n, n_members, n_outputs), else they stay as they are.
        spec: The network.
    """
    return outputs if spec.members == 1 else join_members(xp, outputs, spec.loss)


def join_members(xp: Any, outputs: Any, loss: str, axis: int = 1) -> Any:
    """The outputs of a network for those of its members, whose axis goes.

    Members vote: a class's probability is the mean of theirs, and so is a value. The outputs of
    classifiers are logits, before and after.

    Args:
        xp: `numpy`, `jax.numpy` or `keras.ops`.
        outputs: Of each row and member, the classes or the value last.
        loss: What is minimized, by which logits become probabilities.
        axis: Of the members.
    """
    if loss in ("squared", "absolute", "huber", "quantile"):
        return xp.mean(outputs, axis=axis)
    if loss == "cross_entropy" and outputs.shape[-1] > 1:
        of_classes = outputs - _log_sum(xp, outputs, -1)
        return _log_mean(xp, of_classes, axis)
    # Probabilities of two classes for each output.
    true, false = (-xp.logaddexp(xp.zeros_like(outputs), sign * outputs) for sign in (-1.0, 1.0))
    return _log_mean(xp, true, axis) - _log_mean(xp, false, axis)


def _log_sum(xp: Any, logs: Any, axis: int) -> Any:
    most = xp.max(logs, axis=axis, keepdims=True)
    return most + xp.log(xp.sum(xp.exp(logs - most), axis=axis, keepdims=True))


def _log_mean(xp: Any, logs: Any, axis: int) -> Any:
    """The logarithm of a mean, less that of the number."""
    return xp.squeeze(_log_sum(xp, logs, axis), axis=axis)
