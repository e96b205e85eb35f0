"""What dense networks must have in common to train in one compiled program.

Light to import: the search asks it, too, to hand trials of one program to one worker.
"""

import math
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nas.architectures import CustomArchitecture
from nas.layers import Embedding
from nas.models.activations import FORMULAS
from nas.spec import Loss, TrialSpec

MAX_DEPTH = 16  # hidden layers; a program's compilation takes longer with each
MAX_WIDTH = 4096
MAX_LANES = 8  # of one program on a CPU
# Of one program. A free place costs as much as a lane, and the trials of a search are spread over a
# dozen shapes; more lanes of a shape are several programs.
MAX_LANES_OF_A_GPU = 128
# Of one program, since more lanes may come; with fewer an epoch takes nearly as long.
MIN_LANES_OF_A_GPU = 64
LANES_OF_A_GPU_STEP = 8
GPU_SHARE = 0.25  # of a GPU's memory for one program: others lie beside it
STATE_BUDGET = 8e6  # bytes of weights and moments of one program, to stay in the caches
MAX_EPOCHS = 100  # of one call
# Of one call: floating-point operations, some 0.2 s of a core, and bytes of its rows and outputs.
BUDGETS = (4e9, 32e6)
BUDGETS_OF_A_GPU = (1e13, 64e6)
CALLS_OF_A_REPORT = 4  # on a GPU, where hundreds of trials report
STEP_COST = 1e6  # the operations that take as long as the rest of a lane's step


@dataclass(frozen=True)
class Shape:
    """What must be the same in all lanes of a program.

    Attributes:
        loss: See `TrialSpec.loss`.
        n_inputs: Columns of the features.
        n_outputs: Units of the output layer.
        depth: Hidden layers.
        width: Units of every hidden layer; a narrower layer leaves its last units unused.
        batch_size: Rows of a step.
        normalization: `none`, `batch` or `layer`.
        formula: The activation, if it has a formula of its own; empty for all that share one.
        has_l1: Whether there is a penalty on absolute values.
        clips: Whether gradients are clipped.
        embedding: Of numbers among the inputs.
        members: Networks that share the hidden layers.
        quantiles: Those that the outputs are, if they are.
    """

    loss: Loss
    n_inputs: int
    n_outputs: int
    depth: int
    width: int
    batch_size: int
    normalization: str
    formula: str
    has_l1: bool
    clips: bool
    embedding: Embedding | None = None
    members: int = 1
    quantiles: tuple[float, ...] = ()

    @property
    def kernels(self) -> list[tuple[int, int]]:
        """Shape of each kernel, from the inputs to the outputs."""
        embedding, n_inputs = self.embedding, self.n_inputs
        first = n_inputs if embedding is None else embedding.n_outputs(n_inputs)
        return list(pairwise((first, *[self.width] * self.depth, self.n_outputs)))

    @property
    def others(self) -> list[int]:
        """Size of each other weight.

        Biases, scale and offset of normalizations, factors of the members of what the first and the
        last layer get, and those of an embedding.
        """
        normalized = 0 if self.normalization == "none" else self.depth
        embedded = self.embedding.weight_shapes if self.embedding is not None else []
        return [
            *[n_out for _, n_out in self.kernels],
            *[self.width] * (2 * normalized),
            *map(math.prod, self.factors),
            *map(math.prod, embedded),
        ]

    @property
    def factors(self) -> list[tuple[int, int]]:
        """Shapes of the members' factors."""
        if self.members == 1:
            return []
        return [(self.members, self.kernels[k][0]) for k in (0, -1)]

    @property
    def first_factors(self) -> int:
        """Which of the other weights are the first factors; the second ones follow."""
        normalized = 0 if self.normalization == "none" else self.depth
        return len(self.kernels) + 2 * normalized

    @property
    def n_weights(self) -> int:
        """Numbers in all weights."""
        return sum(map(math.prod, self.kernels)) + sum(self.others)


def unsupported(spec: TrialSpec) -> str:
    """Why the compiled engine does not train a network, in a few words; empty if it does."""
    if isinstance(spec.architecture, CustomArchitecture):
        return "built by a function"
    units = spec.in_words.units
    if spec.in_words.convolutions:
        return "it has convolutions"
    if spec.training.augments:
        return "its images are changed at random"
    if len(units) > MAX_DEPTH:
        return f"{len(units)} hidden layers take too long to compile"
    if units and max(units) > MAX_WIDTH:
        return f"{max(units)} units gain nothing"
    return ""


def width_class(units: int) -> int:
    """The width of the program for a layer: 32, or the next multiple of 64."""
    return 32 if units <= 32 else 64 * math.ceil(units / 64)


def program_shape(spec: TrialSpec, n_rows: int) -> Shape:
    """The shape of the program that trains a network on folds of up to `n_rows` training rows."""
    units = spec.in_words.units
    return Shape(
        loss=spec.loss,
        n_inputs=spec.problem.n_inputs,
        n_outputs=spec.problem.n_outputs,
        depth=len(units),
        width=width_class(max(units)) if units else 0,
        batch_size=spec.training.rows_per_step(n_rows),
        normalization=spec.in_words.normalization if units else "none",
        formula=spec.in_words.activation if units and spec.in_words.activation in FORMULAS else "",
        has_l1=spec.training.l1 > 0.0,
        clips=spec.training.clip_norm > 0.0,
        embedding=spec.embedding,
        members=spec.members,
        quantiles=spec.problem.quantiles,
    )


def program_of(spec: TrialSpec) -> Any:
    """What networks must have in common to share a program; data have more rows than a batch."""
    return spec.architecture if unsupported(spec) else program_shape(spec, sys.maxsize)


def lanes_at_once(shape: Shape, n_lanes: int) -> int:
    """How many of so many lanes train in one call: a divisor, so that none rests."""
    fitting = STATE_BUDGET / (12 * shape.n_weights)  # weights and two moments, 4 bytes each
    at_most = int(max(1.0, min(fitting, MAX_LANES)))
    return max(n for n in range(1, at_most + 1) if n_lanes % n == 0)


def lanes_that_fit(shape: Shape, n_rows: int, n_val: int, memory: float) -> int:
    """How many lanes of a program have room on a GPU; at least 1.

    Args:
        shape: Of the program.
        n_rows: Training rows of the longest fold.
        n_val: Validation rows of the longest fold.
        memory: Bytes of the GPU that programs may use.
    """
    steps = -(-n_rows // shape.batch_size)
    # The state before and behind a call, with five arrays of weights each, and the gradients.
    state = 11 * shape.n_weights
    # Of each layer of a batch some six arrays; of what is predicted two layers.
    rows_at_once = max(shape.batch_size, n_val)
    activations = (
        shape.members * shape.width * (6 * shape.depth * shape.batch_size + 2 * rows_at_once)
    )
    if shape.embedding is not None:
        numbers = shape.embedding.n_numbers * (shape.embedding.parts + shape.embedding.size)
        activations += 4 * numbers * rows_at_once
    # Of each epoch: outputs, rows, and coefficients of its steps; and a copy of what is predicted.
    of_epochs = n_val * (shape.n_outputs + shape.n_inputs) + n_rows + 12 * steps
    return int(max(1.0, GPU_SHARE * memory / (4 * (state + activations + of_epochs))))


def places_of_a_gpu(n_lanes: int, most: int) -> int:
    """How many places a program on a GPU has when so many lanes wait for one.

    Args:
        n_lanes: Lanes that wait, for one program or several.
        most: Places that a program may have.
    """
    n_programs = -(-n_lanes // most)
    each = -(-n_lanes // (n_programs * LANES_OF_A_GPU_STEP)) * LANES_OF_A_GPU_STEP
    return min(most, max(MIN_LANES_OF_A_GPU, each))


def epochs_at_once(
    shape: Shape,
    n_rows: int,
    n_val: int,
    n_lanes: int,
    budgets: tuple[float, float] = BUDGETS,
    returns_outputs: bool = True,
) -> int:
    """How many epochs of so many lanes one call trains.

    Args:
        shape: Of their program.
        n_rows: Training rows of the longest fold.
        n_val: Validation rows of the longest fold.
        n_lanes: Lanes side by side.
        budgets: Floating-point operations of one call, and bytes of its rows and outputs.
        returns_outputs: Whether it returns the outputs for validation rows.
    """
    steps = -(-n_rows // shape.batch_size)
    operations = shape.members * shape.n_weights * (6 * n_rows + 2 * n_val) + STEP_COST * steps
    n_bytes = 4 * (n_rows + n_val * shape.n_outputs * returns_outputs)
    fitting = min(budgets[0] / operations, budgets[1] / n_bytes) / n_lanes
    return int(min(max(1.0, fitting), MAX_EPOCHS))
