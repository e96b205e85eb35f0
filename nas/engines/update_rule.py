"""One update rule for all optimizers, with coefficients for each step.

With gradient g, weights w, first moment m and second moment v:

    v' = v_keep * v + v_add * g^2
    d  = sqrt(v_scale * v' + inside) + outside
    q  = g / d before the first moment (RMSprop, Adagrad, SGD), or g (Adam and its kin)
    m' = m_keep * m + m_add * q
    w' = w - m_rate * m' - q_rate * q, both over d where d was not used before

Plain and Nesterov SGD have d = 1. A program that applies the rule needs no word about which
optimizer it is, so lanes of different optimizers can share it.

The steps are those of Keras's optimizers: Kingma and Ba 2015, algorithm 1, with the bias correction
in the rate; Dozat 2016 (Nadam), with the momentum schedule of Sutskever et al. 2013; Duchi et al.
2011, section 1.1; Tieleman and Hinton 2012, lecture 6.5 (RMSprop).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.models.steps import learning_rates
from nas.spec import Training


class Coefficients(NamedTuple):
    """The rule's numbers; each an array over steps, or the number of one step."""

    v_keep: Any
    v_add: Any
    v_scale: Any
    inside: Any
    outside: Any
    divide_early: Any  # 1 where the gradient is divided before the first moment, else 0
    m_keep: Any
    m_add: Any
    m_rate: Any
    q_rate: Any
    decay: Any  # of the kernels, before the update: the learning rate times the weight decay


N_COEFFICIENTS = len(Coefficients._fields)
# Whatever the gradient is, as long as it is finite, nothing changes.
AT_REST = Coefficients(
    v_keep=np.float32(1.0),
    v_add=np.float32(0.0),
    v_scale=np.float32(0.0),
    inside=np.float32(1.0),
    outside=np.float32(0.0),
    divide_early=np.float32(1.0),
    m_keep=np.float32(1.0),
    m_add=np.float32(0.0),
    m_rate=np.float32(0.0),
    q_rate=np.float32(0.0),
    decay=np.float32(0.0),
)


def coefficients(
    training: Training, steps_per_epoch: int, epoch: int, n_epochs: int = 1
) -> NDArray[np.float32]:
    """The coefficients of each step of some epochs from one on; (steps, N_COEFFICIENTS).

    As many as `learning_rates` has.
    """
    t = training
    rate = learning_rates(t, steps_per_epoch, epoch, n_epochs).astype(np.float64)
    n_steps = len(rate)
    step = epoch * steps_per_epoch + 1.0 + np.arange(n_steps)
    zero, one = np.zeros_like(rate), np.ones_like(rate)
    # Keras's numbers for a rule without a second moment, with d = 1.
    rule = Coefficients(zero, zero, zero, one, zero, one, zero, zero, zero, rate, zero)
    match t.optimizer:
        case "sgd":
            rule = rule._replace(m_keep=t.momentum * one, m_add=rate)
            if t.nesterov:
                rule = rule._replace(m_rate=t.momentum * one)
            else:
                rule = rule._replace(m_rate=one, q_rate=zero)
        case "rmsprop":
            rule = rule._replace(
                v_keep=t.rho * one,
                v_add=(1.0 - t.rho) * one,
                v_scale=one,
                inside=t.epsilon * one,
                m_keep=t.momentum * one,
                m_add=rate,
                m_rate=one,
                q_rate=zero,
            )
        case "adagrad":
            rule = rule._replace(v_keep=one, v_add=one, v_scale=one, inside=t.epsilon * one)
        case "adam" | "adamw" | "nadam":
            rule = rule._replace(
                v_keep=t.beta_2 * one,
                v_add=(1.0 - t.beta_2) * one,
                v_scale=one,
                inside=zero,
                outside=t.epsilon * one,
                divide_early=zero,
                m_keep=t.beta_1 * one,
                m_add=(1.0 - t.beta_1) * one,
            )
            v_correction = 1.0 - t.beta_2**step
            if t.optimizer == "nadam":
                # Its product runs over all steps from the first one on.
                momenta = t.beta_1 * (1.0 - 0.5 * 0.96 ** np.arange(1.0, step[-1] + 2.0))
                product = np.cumprod(momenta)[-n_steps - 1 : -1]
                momentum, upcoming = momenta[-n_steps - 1 : -1], momenta[-n_steps:]
                rule = rule._replace(
                    v_scale=1.0 / v_correction,
                    m_rate=rate * upcoming / (1.0 - product * upcoming),
                    q_rate=rate * (1.0 - momentum) / (1.0 - product),
                )
            else:
                corrected = rate * np.sqrt(v_correction) / (1.0 - t.beta_1**step)
                rule = rule._replace(m_rate=corrected, q_rate=zero)
        case unknown:
            raise ValueError(f"unknown optimizer {unknown!r}")
    return np.stack(rule._replace(decay=rate * t.weight_decay), axis=-1).astype(np.float32)


def initial_second_moment(training: Training) -> float:
    """What the second moment starts from."""
    return training.initial_accumulator if training.optimizer == "adagrad" else 0.0
