"""What one trial is: plain, frozen data that every other module speaks.

A `TrialSpec` alone rebuilds the Keras model of its trial; nothing downstream of the search space
reads the YAML file or Optuna's parameters again.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What the data asks of a network.

    Attributes:
        task: `binary` (one logit), `multiclass` (a logit per class) or `regression` (one value).
        n_inputs: Columns of the encoded feature matrix.
        n_outputs: Units of the output layer.
    """

    task: Task
    n_inputs: int
    n_outputs: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """The network between the encoded features and the output layer.

    Attributes:
        network: Family of networks; `mlp` is the only one so far.
        units: Units of each hidden layer, first to last; empty for a linear model.
        activation: Keras name of the hidden layers' activation.
        normalization: `none`, `batch` or `layer`, between a hidden layer and its activation.
        residual: Whether each hidden layer after the first adds its input to its output.
        dropout: Share of units dropped after each hidden layer while training, in [0, 1).
        initializer: Keras name of the hidden kernels' initializer.
    """

    network: str
    units: tuple[int, ...]
    activation: str
    normalization: str
    residual: bool
    dropout: float
    initializer: str


@dataclass(frozen=True, slots=True)
class Training:
    """How the network is trained.

    Attributes:
        optimizer: Keras name of the optimizer.
        learning_rate: Peak learning rate.
        schedule: `constant`, `cosine` or `exponential`.
        warmup: Share of all steps in which the rate rises linearly from 0, in [0, 1).
        decay_to: Where cosine and exponential schedules end, as a fraction of `learning_rate`.
        momentum: SGD and RMSprop.
        nesterov: SGD.
        beta_1: Adam, AdamW and Nadam.
        beta_2: Adam, AdamW and Nadam.
        rho: RMSprop.
        epsilon: All optimizers but SGD.
        initial_accumulator: Adagrad.
        weight_decay: Decoupled decay of the kernels a step, as a multiple of the learning rate.
        l1: Penalty on the kernels' absolute values.
        l2: Penalty on the kernels' squares.
        label_smoothing: Share of a target spread over all classes; classification only.
        clip_norm: Largest global norm of a step's gradient; 0 turns clipping off.
        batch_size: Rows a step; an epoch's last batch may be smaller.
        epochs: Passes over the training rows, at the most.
        early_stopping: Epochs without a lower training loss after which a fold ends; 0 is never.
    """

    optimizer: str
    learning_rate: float
    schedule: str
    warmup: float
    decay_to: float
    momentum: float
    nesterov: bool
    beta_1: float
    beta_2: float
    rho: float
    epsilon: float
    initial_accumulator: float
    weight_decay: float
    l1: float
    l2: float
    label_smoothing: float
    clip_norm: float
    batch_size: int
    epochs: int
    early_stopping: int


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """Everything that defines a trial but its data and its seed."""

    problem: Problem
    architecture: Architecture
    training: Training

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "TrialSpec":
        """The inverse of `to_dict`, also after a way through JSON.

        Raises:
            KeyError, TypeError: When `data` lacks a field or has an unknown one.
        """
        architecture = dict(data["architecture"])
        architecture["units"] = tuple(architecture["units"])
        return cls(
            problem=Problem(**data["problem"]),
            architecture=Architecture(**architecture),
            training=Training(**data["training"]),
        )

    @property
    def n_weights(self) -> int:
        """Numbers in the Keras model's weights, moving statistics of batch normalization included.

        Equal to `build_model(spec).count_params()`, without building it.
        """
        per_unit = {"none": 0, "layer": 2, "batch": 4}[self.architecture.normalization]
        total, inputs = 0, self.problem.n_inputs
        for units in self.architecture.units:
            total += (inputs + 1 + per_unit) * units
            inputs = units
        return total + (inputs + 1) * self.problem.n_outputs

    def describe(self) -> str:
        """A few words for a progress line, such as `3 x 64 relu, adam 0.001`."""
        units = self.architecture.units
        if not units:
            layers = "linear"
        elif len(set(units)) == 1:
            layers = f"{len(units)} x {units[0]} {self.architecture.activation}"
        else:
            layers = "-".join(map(str, units)) + f" {self.architecture.activation}"
        return f"{layers}, {self.training.optimizer} {self.training.learning_rate:.2g}"


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What an engine hands back for one trial; epochs are counted from 1.

    Attributes:
        fold_values: Validation score of each fold after its last epoch.
        train_values: Score of each fold's training part after its last epoch, without dropout.
        losses: Mean training loss by epoch and fold, shape (n_epochs, n_folds); NaN after a
            fold's last epoch.
        epochs: Epochs that each fold ran.
        seconds: Wall time that the trial took.
    """

    fold_values: tuple[float, ...]
    train_values: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    epochs: tuple[int, ...]
    seconds: float
