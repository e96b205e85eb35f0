"""What one trial is: plain, frozen data that every other module speaks.

A `TrialSpec` alone rebuilds the Keras model of its trial; nothing downstream of the search space
reads the YAML file or Optuna's parameters again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from nas.architectures import Architecture as Architecture
from nas.architectures import CustomArchitecture, architecture_from_dict
from nas.choices import Task
from nas.errors import NasError
from nas.layers import Embedding, Layer

Loss = Literal["cross_entropy", "logistic", "squared", "absolute", "huber", "quantile"]


INITIALIZERS_WITH_NUMBERS = {"normal": 1, "uniform": 2, "constant": 1}  # and how many


def parse_initializer(text: str) -> tuple[str, tuple[float, ...]]:
    """Name and numbers of an initializer such as `he_normal` or `uniform(0, 0.01)`.

    Raises:
        ValueError: When it has numbers that it should not have, or that cannot be read.
    """
    name, bracket, rest = text.partition("(")
    texts = rest.removesuffix(")").split(",") if bracket else []
    numbers = tuple(float(number) for number in texts)
    if (bracket and not rest.endswith(")")) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"got '{text}'")
    if len(numbers) != INITIALIZERS_WITH_NUMBERS.get(name, 0):
        raise ValueError(f"got {len(numbers)} numbers in '{text}'")
    if (name == "normal" and numbers[0] < 0) or (name == "uniform" and numbers[0] > numbers[1]):
        raise ValueError(f"got '{text}'")
    return name, numbers


@dataclass(frozen=True, slots=True)
class Problem:
    """What the data asks of a network.

    Attributes:
        task: `binary` (one logit), `multiclass` (a logit per class) or `regression` (one value).
        n_inputs: Columns of the encoded feature matrix.
        n_outputs: Units of the output layer.
        image_shape: Height, width and channels of a row that is an image, in the order of its
            columns; empty for any other row.
        n_numbers: Columns that are scaled numbers, the first ones; 0 for images and sequences.
        n_rows: Training rows of the longest fold; 0 where that is not known.
        quantiles: Those that are predicted, one by each output, in rising order; empty where the
            target itself is.
    """

    task: Task
    n_inputs: int
    n_outputs: int
    image_shape: tuple[int, ...] = ()
    n_numbers: int = 0
    n_rows: int = 0
    quantiles: tuple[float, ...] = ()

    @property
    def usual_batch_size(self) -> int:
        """A batch size for so many rows: such that an epoch has 32 to 64 steps, from 16 to 256."""
        if not self.n_rows:
            return 32
        return int(min(max(2 ** math.floor(math.log2(self.n_rows / 32)), 16), 256))


@dataclass(frozen=True, slots=True)
class Training:
    """How the network is trained.

    Attributes:
        optimizer: Keras name of the optimizer.
        learning_rate: Peak learning rate.
        schedule: `constant`, `cosine`, `flat_cosine`, `cos_log` or `exponential`; see
            `nas.models.steps.learning_rates`.
        warmup: Share of all steps in which the rate rises linearly from 0, in [0, 1).
        decay_to: Where a schedule ends, as a fraction of `learning_rate`.
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
        batch_size: Rows a step; an epoch's last batch may be smaller. 0 is all rows at once.
        epochs: Passes over the training rows, at the most.
        early_stopping: Epochs without a lower training loss after which a fold ends; 0 is never.
        steps: Steps after which a fold ends, if its epochs have more; 0 for no such limit.
        loss: What is minimized; see `TrialSpec.loss`.
        shift: Largest random shift of an image, as a share of its size.
        rotation: Largest random rotation of an image, in degrees.
        zoom: Largest random enlargement or reduction of an image, as a share.
        flip: How images are flipped at random: `none`, `horizontal`, `vertical` or `both`.
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
    steps: int = 0
    loss: Literal["auto"] | Loss = "auto"
    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    flip: str = "none"

    @property
    def augments(self) -> bool:
        """Whether training images are changed at random."""
        return self.flip != "none" or max(self.shift, self.rotation, self.zoom) > 0.0

    def rows_per_step(self, n_rows: int) -> int:
        """Rows of every step but an epoch's last, with so many training rows."""
        return max(1, min(self.batch_size or n_rows, n_rows))

    def steps_per_epoch(self, n_rows: int) -> int:
        """Steps of an epoch that is not cut short."""
        return -(-n_rows // self.rows_per_step(n_rows))

    def n_steps(self, n_rows: int) -> int:
        """Steps in all, at the most."""
        total = self.epochs * self.steps_per_epoch(n_rows)
        return min(total, self.steps) if self.steps else total

    def n_epochs(self, n_rows: int) -> int:
        """Epochs in all, at the most; the last one may be cut short."""
        return -(-self.n_steps(n_rows) // max(1, self.steps_per_epoch(n_rows)))


def resolve_loss(problem: Problem, training: Training) -> Loss:
    """What is minimized; see `TrialSpec.loss`."""
    if problem.quantiles:
        return "quantile"
    if training.loss == "auto":
        return "squared" if problem.task == "regression" else "cross_entropy"
    if problem.task == "binary":  # where the two are the same
        return "cross_entropy"
    return training.loss


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """Everything that defines a trial but its data and its seed."""

    problem: Problem
    architecture: Architecture | CustomArchitecture
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
        problem = dict(data["problem"])
        problem["image_shape"] = tuple(problem.get("image_shape", ()))
        problem["quantiles"] = tuple(problem.get("quantiles", ()))
        return cls(
            problem=Problem(**problem),
            architecture=architecture_from_dict(data["architecture"]),
            training=Training(**data["training"]),
        )

    @property
    def n_epochs(self) -> int:
        """Epochs that it trains, at the most; see `Training.n_epochs`."""
        n_rows = self.problem.n_rows
        return self.training.n_epochs(n_rows) if n_rows else self.training.epochs

    @property
    def loss(self) -> Loss:
        """What is minimized.

        `cross_entropy` of softmax outputs, or of one sigmoid output; `logistic`, the sum of one
        logistic loss for each class, each with a sigmoid output; for regression `squared`,
        `absolute` or `huber`. `auto` is the first that fits the task. `quantile`, the pinball loss
        (Koenker and Bassett 1978, equation 3.1), where quantiles are asked for.
        """
        return resolve_loss(self.problem, self.training)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers with their shapes, from the first to the output layer.

        Of a custom network those that can be examined: its dense layers and convolutions.
        """
        problem = self.problem
        return self.architecture.layers_for(
            problem.n_inputs, problem.image_shape, problem.n_outputs, problem.n_numbers
        )

    @property
    def embedding(self) -> Embedding | None:
        """The embedding of numbers among the inputs."""
        return self.in_words.embedding_of(self.problem.n_numbers)

    @property
    def members(self) -> int:
        """Networks in it that share its hidden layers and answer together."""
        return 1 if isinstance(self.architecture, CustomArchitecture) else self.architecture.members

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The hidden layers: those with weights, but for the output layer."""
        return tuple(layer for layer in self.layers if layer.is_hidden)

    @property
    def has_maps(self) -> bool:
        """Whether its layers give feature maps, and not numbers alone."""
        return self.architecture.has_maps

    @property
    def n_weights(self) -> int:
        """Numbers in the Keras model's weights, moving statistics of batch normalization included.

        Equal to what the model's `count_params()` says, without building it.
        """
        return self.architecture.count_weights(self.layers)

    @property
    def in_words(self) -> Architecture:
        """The architecture of a network that the words of a space describe.

        Raises:
            NasError: For a custom network.
        """
        if isinstance(self.architecture, CustomArchitecture):
            raise NasError("custom network", "its layers are built by a function")
        return self.architecture

    def describe(self) -> str:
        """A few words for a progress line, such as `3 x 64 relu, adam 0.001`."""
        training = self.training
        optimizer = f"{training.optimizer} {training.learning_rate:.2g}"
        if isinstance(self.architecture, CustomArchitecture):
            optimizer = self.architecture.optimizer or optimizer
        return f"{self.architecture}, {optimizer}"


@dataclass(frozen=True, slots=True)
class Curves:
    """How a trial learned: by epoch and fold, shape (n_epochs, n_folds); NaN after a fold's end.

    Attributes:
        train_loss: Mean loss over an epoch's batches, with penalties and dropout.
        val_loss: Loss on the validation part after the epoch, without either.
        val_value: Score on the validation part after the epoch.
    """

    train_loss: tuple[tuple[float, ...], ...] = ()
    val_loss: tuple[tuple[float, ...], ...] = ()
    val_value: tuple[tuple[float, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: five digits, None for what is not finite."""
        return {name: [_short(row) for row in rows] for name, rows in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Curves":
        """The inverse of `to_dict`."""
        return cls(**{name: tuple(map(_long, rows)) for name, rows in data.items()})


@dataclass(frozen=True, slots=True)
class Examination:
    """What one fold's network looks like before and after its training.

    Measured on up to 500 rows. Entries by layer run from the first hidden layer to the output
    layer, those of hidden layers leave the latter out. Where training diverged, everything after
    it is NaN.

    Attributes:
        n_train: Training rows.
        n_steps: Steps of the optimizer.
        gradient_before: Root mean square of each kernel's gradient before training, by layer.
        gradient_after: The same after training.
        first_step: Change of each kernel in the first epoch, relative to its norm, by layer.
        last_step: The same in the last epoch.
        norm_ratio: Norm of each kernel after training, relative to that before, by layer.
        dead_before: Share of units that are zero on more than 99 % of the rows before training,
            by hidden layer.
        dead: The same after training.
        saturated_before: Share of units that are at a bound of their activation on more than
            90 % of the rows before training, by hidden layer.
        saturated: The same after training.
        rank: Effective rank (Roy & Vetterli 2007) of the outputs, by hidden layer.
        probe: Validation score of a linear model on the inputs, then on each hidden layer's
            outputs; accuracy, or the coefficient of determination.
        loss_before: Training loss without penalties before training.
        loss_after: The same after training.
        penalty_before: L1 and L2 penalties before training.
        penalty_after: The same after training.
        train_value: Accuracy, or coefficient of determination, on training rows after training.
        val_value: The same on validation rows.
        predicted_share: Share of the class that is predicted most on validation rows; for
            regression, 1 less the predictions' deviation relative to the targets'.
        true_share: Share of the largest class there; 0 for regression.
        moving_value: Score on validation rows by the moving averages of batch normalization, with
            which a network predicts, where all else is measured with the statistics of the
            training rows; `val_value` without batch normalization. NaN in older studies.
    """

    n_train: int
    n_steps: int
    gradient_before: tuple[float, ...]
    gradient_after: tuple[float, ...]
    first_step: tuple[float, ...]
    last_step: tuple[float, ...]
    norm_ratio: tuple[float, ...]
    dead_before: tuple[float, ...]
    dead: tuple[float, ...]
    saturated_before: tuple[float, ...]
    saturated: tuple[float, ...]
    rank: tuple[float, ...]
    probe: tuple[float, ...]
    loss_before: float
    loss_after: float
    penalty_before: float
    penalty_after: float
    train_value: float
    val_value: float
    predicted_share: float
    true_share: float
    moving_value: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: five digits, None for what is not finite."""
        return {
            name: _short(value) if isinstance(value, tuple) else _short([value])[0]
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Examination":
        """The inverse of `to_dict`."""
        values: dict[str, Any] = {
            name: _long(value) if isinstance(value, list) else _long([value])[0]
            for name, value in data.items()
        }
        counts = {name: int(values[name]) for name in ("n_train", "n_steps")}
        return cls(**{**values, **counts})


def _short(values: Sequence[float]) -> list[float | None]:
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


def _long(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(float("nan") if value is None else value for value in values)


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What an engine hands back for one trial; epochs are counted from 1.

    Attributes:
        fold_values: Validation score of each fold after its last epoch.
        train_values: Score of each fold's training part after its last epoch, without dropout.
        epochs: Epochs that each fold ran.
        seconds: Wall time that the trial took.
        curves: Losses and scores by epoch and fold.
        examination: Of the first fold's network; None where it could not be examined.
    """

    fold_values: tuple[float, ...]
    train_values: tuple[float, ...]
    epochs: tuple[int, ...]
    seconds: float
    curves: Curves = field(default_factory=Curves)
    examination: Examination | None = None
