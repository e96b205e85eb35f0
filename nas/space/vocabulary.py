"""The words of the space language: every parameter that a space may name, with its bounds.

One table serves the checks, the defaults, the sampling, the options of `nas space new` and the
documentation.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["int", "float", "bool", "str"]
Value = int | float | bool | str

NETWORKS = ("mlp",)
ADAM_LIKE = ("adam", "adamw", "nadam")
OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd", "adagrad")


LARGEST = 10**15  # far beyond any use, and still exact as a float


@dataclass(frozen=True, slots=True)
class Word:
    """One parameter of the space language.

    Attributes:
        kind: Type of its values.
        default: Its value where a space does not name it.
        help: What it is, in a line.
        low: Smallest value allowed.
        high: Largest value allowed; None for no limit.
        open_low: Whether `low` itself is not allowed.
        open_high: Whether `high` itself is not allowed.
        choices: The values allowed, for `str`.
        used_with: Other parameters' values for which this one has a meaning. Where they have
            another value it is neither sampled nor used, whatever the space says.
        min_depth: The smallest number of hidden layers for which it has a meaning.
        tasks: The tasks for which it has a meaning.
    """

    kind: Kind
    default: Value
    help: str
    low: float = 0.0
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()
    used_with: dict[str, tuple[str, ...]] = field(default_factory=dict)
    min_depth: int = 0
    tasks: tuple[str, ...] = ("binary", "multiclass", "regression")

    def allowed(self) -> str:
        """The values allowed, in words."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "str":
            return "one of " + ", ".join(self.choices)
        noun = "a whole number" if self.kind == "int" else "a number"
        bound = f"> {self.low:g}" if self.open_low else f">= {self.low:g}"
        if self.high is not None:
            bound += f" and {'<' if self.open_high else '<='} {self.high:g}"
        return f"{noun} {bound}"

    def accepts(self, value: object) -> bool:
        """Whether `value` has the right type and lies within the bounds."""
        if self.kind == "bool":
            return isinstance(value, bool)
        if self.kind == "str":
            return isinstance(value, str) and value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if abs(value) > LARGEST or (self.kind == "int" and value != int(value)):
            return False
        if value < self.low or (self.open_low and value == self.low):
            return False
        if self.high is None:
            return True
        return value < self.high or (value == self.high and not self.open_high)


def _unit_interval(default: float, help: str, **more: Any) -> Word:
    return Word("float", default, help, low=0.0, high=1.0, open_high=True, **more)


# The order is the order of sampling, of `nas space show` and of the columns of `nas trials`.
MLP: dict[str, Word] = {
    "depth": Word("int", 2, "number of hidden layers; 0 is a linear model", high=1000),
    "width": Word(
        "int", 64, "units of a hidden layer, of the widest one under a shape", low=1, min_depth=1
    ),
    "shape": Word(
        "str",
        "constant",
        "constant: all layers alike; funnel: from the width down to a quarter of it; "
        "pyramid: from a quarter of the width up to it",
        choices=("constant", "funnel", "pyramid"),
        min_depth=2,
    ),
    "activation": Word(
        "str",
        "relu",
        "activation of the hidden layers",
        choices=(
            "relu",
            "gelu",
            "tanh",
            "sigmoid",
            "elu",
            "selu",
            "silu",
            "leaky_relu",
            "softplus",
            "linear",
        ),
        min_depth=1,
    ),
    "normalization": Word(
        "str",
        "none",
        "normalization between a hidden layer and its activation",
        choices=("none", "batch", "layer"),
        min_depth=1,
    ),
    "residual": Word(
        "bool", False, "each hidden layer after the first adds its input", min_depth=2
    ),
    "initializer": Word(
        "str",
        "glorot_uniform",
        "initializer of the hidden kernels",
        choices=(
            "glorot_uniform",
            "glorot_normal",
            "he_uniform",
            "he_normal",
            "lecun_uniform",
            "lecun_normal",
            "orthogonal",
        ),
        min_depth=1,
    ),
    "dropout": _unit_interval(0.0, "share of units dropped after each hidden layer", min_depth=1),
    "optimizer": Word("str", "adam", "optimizer", choices=OPTIMIZERS),
    "learning_rate": Word("float", 1e-3, "learning rate, at its peak", open_low=True),
    "schedule": Word(
        "str",
        "constant",
        "how the learning rate changes over the epochs",
        choices=("constant", "cosine", "exponential"),
    ),
    "warmup": _unit_interval(0.0, "share of the steps in which the learning rate rises from 0"),
    "decay_to": Word(
        "float",
        0.01,
        "where a schedule ends, as a fraction of the learning rate",
        high=1.0,
        open_low=True,
        used_with={"schedule": ("cosine", "exponential")},
    ),
    "momentum": _unit_interval(0.0, "momentum", used_with={"optimizer": ("sgd", "rmsprop")}),
    "nesterov": Word("bool", False, "Nesterov momentum", used_with={"optimizer": ("sgd",)}),
    "beta_1": _unit_interval(
        0.9, "decay of the first moment's average", used_with={"optimizer": ADAM_LIKE}
    ),
    "beta_2": _unit_interval(
        0.999, "decay of the second moment's average", used_with={"optimizer": ADAM_LIKE}
    ),
    "rho": _unit_interval(
        0.9, "decay of the squared gradient's average", used_with={"optimizer": ("rmsprop",)}
    ),
    "epsilon": Word(
        "float",
        1e-7,
        "guard against a division by zero",
        open_low=True,
        used_with={"optimizer": (*ADAM_LIKE, "rmsprop", "adagrad")},
    ),
    "initial_accumulator": Word(
        "float", 0.1, "start of the squared gradients' sum", used_with={"optimizer": ("adagrad",)}
    ),
    "weight_decay": Word("float", 0.0, "decoupled decay of the kernels (default 0.004 with adamw)"),
    "l1": Word("float", 0.0, "penalty on the kernels' absolute values"),
    "l2": Word("float", 0.0, "penalty on the kernels' squares"),
    "label_smoothing": _unit_interval(
        0.0, "share of each target spread over all classes", tasks=("binary", "multiclass")
    ),
    "clip_norm": Word("float", 0.0, "largest global norm of a gradient; 0 is no clipping"),
    "batch_size": Word("int", 32, "rows of a training step", low=1),
    "epochs": Word("int", 20, "passes over the training rows, at the most", low=1),
    "early_stopping": Word(
        "int", 0, "epochs without a lower training loss after which a fold ends; 0 is never"
    ),
}

ADAMW_WEIGHT_DECAY = 0.004  # Keras's own default for AdamW

# Keys of a space that are not parameters of the network.
HEADER_KEYS = ("network", "data", "target")
