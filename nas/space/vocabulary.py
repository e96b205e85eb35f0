"""The words of the space language: every parameter that a space may name, with its bounds.

One table serves the checks, the defaults, the sampling, the options of `nas space new` and the
documentation.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from nas.architectures import CUSTOM
from nas.layers import EXPECTED, parse_layers
from nas.spec import parse_initializer

Kind = Literal["int", "float", "bool", "str", "initializer", "layers"]
Value = int | float | bool | str

NETWORKS = ("mlp", "cnn")  # whose layers the words say, unlike those of a custom network
ADAM_LIKE = ("adam", "adamw", "nadam")
OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd", "adagrad")


AUTO = -1  # a batch size that follows the number of rows
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
        choices: The values allowed, for `str`; for `initializer` those without numbers.
        names: Words that stand for one of its numbers.
        used_with: Other parameters' values for which this one has a meaning. Where they have
            another value it is neither sampled nor used, whatever the space says.
        at_least: The smallest values of other parameters for which it has a meaning, where a
            network has those.
        tasks: The tasks for which it has a meaning.
        networks: The families of networks that have it.
        of_numbers: Whether it has a meaning only where there are numbers in columns.
    """

    kind: Kind
    default: Value
    help: str
    low: float = 0.0
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()
    names: dict[str, int] = field(default_factory=dict)
    used_with: dict[str, tuple[str, ...]] = field(default_factory=dict)
    at_least: dict[str, int] = field(default_factory=dict)
    tasks: tuple[str, ...] = ("binary", "multiclass", "regression")
    networks: tuple[str, ...] = (*NETWORKS, CUSTOM)
    of_numbers: bool = False

    def allowed(self, value: object = None) -> str:
        """The values allowed, in words.

        Args:
            value: One that is not; the bound of all numbers is said only where it is beyond.
        """
        if self.kind == "bool":
            return "true or false"
        if self.kind == "layers":
            return EXPECTED
        if self.kind == "initializer":
            numbers = "normal(deviation), uniform(low, high) or constant(value)"
            numbers += ", with deviation >= 0 and low <= high"
            return f"one of {', '.join(self.choices)}, {numbers}"
        if self.kind == "str":
            return "one of " + ", ".join(self.choices)
        noun = "a whole number" if self.kind == "int" else "a number"
        bound = f"> {self.low:g}" if self.open_low else f">= {self.low:g}"
        if self.high is not None:
            bound += f" and {'<' if self.open_high else '<='} {self.high:g}"
        elif isinstance(value, int | float) and value > LARGEST:
            bound += f" and <= {LARGEST:g}"
        return " or ".join([f"{noun} {bound}", *self.names])

    def plain(self, value: Any) -> Any:
        """The number that a name stands for; anything else as it is."""
        return self.names.get(value, value) if isinstance(value, str) else value

    def accepts(self, value: object) -> bool:
        """Whether `value` has the right type and lies within the bounds."""
        if self.kind == "bool":
            return isinstance(value, bool)
        if self.kind in ("str", "initializer", "layers"):
            return isinstance(value, str) and self._accepts_text(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if abs(value) > LARGEST or (self.kind == "int" and value != int(value)):
            return False
        if value in self.names.values():
            return True
        if value < self.low or (self.open_low and value == self.low):
            return False
        if self.high is None:
            return True
        return value < self.high or (value == self.high and not self.open_high)

    def _accepts_text(self, text: str) -> bool:
        try:
            match self.kind:
                case "layers":
                    return bool(parse_layers(text))
                case "initializer":
                    return text in self.choices or bool(parse_initializer(text)[1])
        except ValueError:
            return False
        return text in self.choices


def _unit_interval(default: float, help: str, **more: Any) -> Word:
    return Word("float", default, help, low=0.0, high=1.0, open_high=True, **more)


INITIALIZERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
)
_MLP, _CNN = ("mlp",), ("cnn",)


def _of_embedding(kind: Kind, default: Value, help: str, *kinds: str, **more: Any) -> Word:
    used_with = {"embedding": kinds}
    return Word(kind, default, help, used_with=used_with, networks=_MLP, of_numbers=True, **more)


# The order is the order of sampling, of `nas space show` and of the columns of `nas trials`.
WORDS: dict[str, Word] = {
    "layers": Word(
        "layers",
        "",
        "whole networks in the compact notation, instead of the parameters about layers",
        networks=NETWORKS,
    ),
    "scaling": Word(
        "str",
        "data",
        "how numbers in columns are scaled (docs/data.md); data is as --scaling says",
        choices=("data", "standard", "robust", "quantile"),
        networks=_MLP,
        of_numbers=True,
    ),
    "embedding": Word(
        "str",
        "none",
        "what each number in a column passes first; periodic: cosines and sines of learned "
        "frequencies, piecewise: places within bins; then a small dense layer",
        choices=("none", "periodic", "piecewise"),
        networks=_MLP,
        of_numbers=True,
    ),
    "embedding_size": _of_embedding(
        "int", 16, "numbers that each number becomes", "periodic", "piecewise", low=1, high=1000
    ),
    "frequencies": _of_embedding(
        "int", 32, "frequencies of each number", "periodic", low=1, high=1000
    ),
    "frequency_scale": _of_embedding(
        "float",
        0.1,
        "standard deviation of the initial frequencies; larger ones tell nearer numbers apart",
        "periodic",
        open_low=True,
    ),
    "bins": _of_embedding(
        "int", 16, "bins of each number, with as many rows each", "piecewise", low=2, high=1000
    ),
    "depth": Word(
        "int", 2, "number of hidden layers; 0 is a linear model", high=1000, networks=_MLP
    ),
    "width": Word(
        "int",
        64,
        "units of a hidden layer; with a shape, of the widest one",
        low=1,
        at_least={"depth": 1},
        networks=_MLP,
    ),
    "shape": Word(
        "str",
        "constant",
        "constant: all layers alike; funnel: from the width down to a quarter of it; "
        "pyramid: from a quarter of the width up to it",
        choices=("constant", "funnel", "pyramid"),
        at_least={"depth": 2},
        networks=_MLP,
    ),
    "blocks": Word(
        "int", 2, "blocks, each of which halves the resolution", low=1, high=20, networks=_CNN
    ),
    "convolutions": Word("int", 1, "convolutions of a block", low=1, high=100, networks=_CNN),
    "filters": Word(
        "int", 32, "filters of the first block's convolutions", low=1, high=10_000, networks=_CNN
    ),
    "filter_growth": Word(
        "float",
        2.0,
        "factor of the filters from one block to the next",
        open_low=True,
        high=10.0,
        at_least={"blocks": 2},
        networks=_CNN,
    ),
    "kernel": Word("int", 3, "side of the convolutions' windows", low=1, high=100, networks=_CNN),
    "pooling": Word(
        "str",
        "max",
        "what halves the resolution: max or average pooling over 2 x 2, or a stride of 2 in the "
        "last convolution of a block",
        choices=("max", "average", "stride"),
        networks=_CNN,
    ),
    "head": Word(
        "str",
        "flatten",
        "what follows the last block: all its values, or the average or maximum of each feature "
        "map",
        choices=("flatten", "average", "max"),
        networks=_CNN,
    ),
    "head_depth": Word(
        "int", 1, "hidden dense layers after the convolutions", high=100, networks=_CNN
    ),
    "head_width": Word(
        "int", 64, "units of each of them", low=1, at_least={"head_depth": 1}, networks=_CNN
    ),
    "members": Word(
        "int",
        1,
        "networks in one, which share the hidden layers and vote",
        low=1,
        high=128,
        at_least={"depth": 1},
        networks=_MLP,
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
            "mish",
            "leaky_relu",
            "softplus",
            "linear",
        ),
        at_least={"depth": 1},
        networks=NETWORKS,
    ),
    "normalization": Word(
        "str",
        "none",
        "normalization between a hidden layer and its activation (default batch with resnet)",
        choices=("none", "batch", "layer"),
        at_least={"depth": 1},
        networks=NETWORKS,
    ),
    "normalization_momentum": _unit_interval(
        0.99,
        "momentum of batch normalization's moving averages; with 0.9 they follow within about 30 "
        "steps, with 0.99 within 300",
        used_with={"normalization": ("batch",)},
        at_least={"depth": 1},
        networks=NETWORKS,
    ),
    "residual": Word(
        "bool",
        False,
        "each hidden layer after the first adds its input",
        at_least={"depth": 2},
        networks=NETWORKS,
    ),
    "initializer": Word(
        "initializer",
        "glorot_uniform",
        "initializer of the hidden kernels",
        choices=INITIALIZERS,
        at_least={"depth": 1},
        networks=NETWORKS,
    ),
    "bias_initializer": Word(
        "initializer",
        "zeros",
        "initializer of the hidden biases",
        choices=("zeros",),
        at_least={"depth": 1},
        networks=NETWORKS,
    ),
    "output_initializer": Word(
        "initializer",
        "glorot_uniform",
        "initializer of the output layer's kernel; same: kernel and bias as in the hidden layers",
        choices=(*INITIALIZERS, "same"),
        networks=NETWORKS,
    ),
    "dropout": _unit_interval(
        0.0,
        "share of units dropped after each hidden dense layer, and after the convolutions",
        at_least={"depth": 1},
        networks=NETWORKS,
    ),
    "spatial_dropout": _unit_interval(
        0.0, "share of feature maps dropped after each convolution", networks=_CNN
    ),
    "shift": _unit_interval(
        0.0, "largest random shift of a training image, as a share of its size", networks=_CNN
    ),
    "rotation": Word(
        "float",
        0.0,
        "largest random rotation of a training image, in degrees",
        high=180.0,
        networks=_CNN,
    ),
    "zoom": _unit_interval(
        0.0, "largest random enlargement or reduction of a training image", networks=_CNN
    ),
    "flip": Word(
        "str",
        "none",
        "how training images are flipped at random",
        choices=("none", "horizontal", "vertical", "both"),
        networks=_CNN,
    ),
    "loss": Word(
        "str",
        "auto",
        "auto: cross_entropy, or squared for regression; logistic: a sigmoid output and a "
        "logistic loss for each class; absolute and huber: for regression",
        choices=("auto", "cross_entropy", "logistic", "squared", "absolute", "huber"),
    ),
    "optimizer": Word("str", "adam", "optimizer", choices=OPTIMIZERS),
    "learning_rate": Word("float", 1e-3, "peak of the learning rate", open_low=True),
    "schedule": Word(
        "str",
        "constant",
        "how the learning rate changes over the epochs; flat_cosine falls in their second half, "
        "cos_log rises and falls four times",
        choices=("constant", "cosine", "flat_cosine", "cos_log", "exponential"),
    ),
    "warmup": _unit_interval(
        0.0, "share of the steps for the warm-up, in which the learning rate rises from 0"
    ),
    "decay_to": Word(
        "float",
        0.01,
        "where a schedule ends, as a fraction of the learning rate; exponential not below 1e-6",
        high=1.0,
        used_with={"schedule": ("cosine", "flat_cosine", "cos_log", "exponential")},
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
    "l1": Word("float", 0.0, "penalty on the kernels' absolute values", networks=NETWORKS),
    "l2": Word("float", 0.0, "penalty on the kernels' squares", networks=NETWORKS),
    "label_smoothing": _unit_interval(
        0.0, "share of each target spread over all classes", tasks=("binary", "multiclass")
    ),
    "clip_norm": Word("float", 0.0, "largest global norm of a gradient; 0 is no clipping"),
    "batch_size": Word(
        "int",
        32,
        "rows of a training step; auto: as many as make 32 to 64 steps an epoch, from 16 to 256; "
        "full: all rows in one step",
        names={"auto": AUTO, "full": 0},
    ),
    "epochs": Word(
        "int",
        20,
        "largest number of passes over the training rows (default with steps: no limit)",
        low=1,
    ),
    "steps": Word(
        "int", 0, "largest number of training steps; 0 is no limit other than the epochs"
    ),
    "early_stopping": Word(
        "int",
        0,
        "a fold ends after this number of epochs without a lower training loss; 0 is never",
    ),
}

# Words that say which layers a network has; `layers` stands for them all.
STRUCTURE = (
    "depth", "width", "shape", "blocks", "convolutions", "filters", "filter_growth", "kernel",
    "pooling", "head", "head_depth", "head_width",
)  # fmt: skip
# Words that still mean something for a model that comes compiled.
COMPILED_WORDS = ("batch_size", "epochs", "steps", "early_stopping")
LOSSES: dict[str, tuple[str, ...]] = {  # by task
    "binary": ("auto", "cross_entropy", "logistic"),
    "multiclass": ("auto", "cross_entropy", "logistic"),
    "regression": ("auto", "squared", "absolute", "huber"),
}

ADAMW_WEIGHT_DECAY = 0.004  # Keras's own default for AdamW

# Keys of a space that are not parameters of the network.
HEADER_KEYS = ("network", "data", "target", "first")
# Options that take several names.
NAME_LISTS = ("drop", "categorical", "numeric", "date", "text", "missing", "classes")
LISTS = (*NAME_LISTS, "quantiles", "target")  # in recipes
# Options of `nas search` for which people look in a space.
SEARCH_OPTIONS = (
    "model", "trials", "task", "drop", "categorical", "numeric", "date", "text", "image_size",
    "classes", "merge_rare", "max_rows", "label_noise", "header", "missing", "test", "positive",
    "metric", "folds", "nested", "repeats", "groups", "sample_weight", "class_weight", "time",
    "target_scaling", "quantiles", "val_size", "test_size", "sampler", "startup_trials", "pruner",
    "confirm", "stop", "seed", "timeout", "max_params", "allow_duplicates", "enqueue", "warm_start",
    "engine", "device", "workers", "study", "storage", "tensorboard",
)  # fmt: skip


def shown_value(key: str, value: Value) -> Value:
    """A parameter's value as people write it: a name, such as `full`, where a number has one."""
    names = WORDS[key].names if key in WORDS else {}
    return next((name for name, number in names.items() if number == value), value)


def words_of(network: str) -> dict[str, Word]:
    """The words of a family of networks."""
    return {key: word for key, word in WORDS.items() if network in word.networks}
