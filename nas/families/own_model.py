"""A model of a user's function: built, checked, described, and trained with what it came with."""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nas.architectures import CustomArchitecture
from nas.encoding import FoldData
from nas.errors import NasError
from nas.families.family import InsideWithTape, KerasNetwork, Outputs, as_logits
from nas.families.inside import plain_labels
from nas.families.looking import Pass, pass_through
from nas.families.suggestions import BuildModel, FunctionTrial, call_function, function_name
from nas.layers import Layer
from nas.models.dense import Forward
from nas.models.training import make_loss, make_optimizer
from nas.space import Replay
from nas.spec import Loss, Problem, TrialSpec

ANY_CROSS_ENTROPY = ("crossentropy", "ce")  # of which Keras chooses by the shapes


@dataclass(frozen=True)
class OwnModel:
    """A model that a function returned, built and checked.

    Attributes:
        model: The model.
        input_shape: Of one row.
        looked: A pass of one row of zeros.
        loss: The loss that it came with; None without one.
    """

    model: keras.Model
    input_shape: tuple[int, ...]
    looked: Pass
    loss: Any


def build_own(build: BuildModel, trial: FunctionTrial, problem: Problem) -> OwnModel:
    """Calls the function, and checks what it returns.

    Raises:
        NasError: When that is no Keras model, or one that does not fit the problem.
        Exception: Whatever the function raises.
    """
    name, model = function_name(build), call_function(build, trial, problem)
    if not isinstance(model, keras.Model):
        fix = "Does it lack a return?" if model is None else ""
        raise NasError(name, f"returned {type(model).__name__}", "a keras.Model", fix)
    if type(model).train_step is not keras.Model.train_step:
        raise NasError(
            name,
            "returned a model with its own train_step, which would not be called",
            "a model that is trained as usual",
            "Override compute_loss instead.",
        )
    shape = _input_shape(model, problem, name)
    looked = pass_through(model, np.zeros((1, *shape), np.float32))
    outputs = looked.outputs
    if isinstance(outputs, list | tuple | dict):
        raise NasError(name, f"returned a model with {len(outputs)} outputs", "one output")
    if tuple(outputs.shape[1:]) != (problem.n_outputs,):
        raise NasError(
            name,
            f"returned a model with outputs of shape {tuple(outputs.shape[1:])}",
            f"{(problem.n_outputs,)}: {_wanted(problem)}",
            "End with layers.Dense(problem.n_outputs), and take (trial, problem).",
        )
    return OwnModel(model, shape, looked, _own_loss(model, problem))


def _wanted(problem: Problem) -> str:
    if problem.task == "multiclass":
        return "a probability or logit for each class"
    if problem.task == "binary":
        return "the probability or logit of the second class"
    return "a value for each target" if problem.n_outputs > 1 else "a value"


def _input_shape(model: keras.Model, problem: Problem, name: str) -> tuple[int, ...]:
    """The shape in which the model takes a row; builds a model without one."""
    shape = problem.image_shape or (problem.n_inputs,)
    if not model.built and isinstance(model, keras.Sequential):
        model.build((None, *shape))
    inputs = getattr(model, "inputs", None)  # a subclassed model has none
    if inputs is None:
        return shape
    if len(inputs) != 1:
        raise NasError(name, f"returned a model with {len(inputs)} inputs", "one input")
    found = tuple(inputs[0].shape[1:])
    if len(found) == 1 and found[0] is None:
        return (problem.n_inputs,)
    if None in found and len(found) == len(shape):
        found = tuple(b if a is None else a for a, b in zip(found, shape, strict=True))
    if None in found or math.prod(found) != problem.n_inputs:
        images = f" or {problem.image_shape} for an image" if problem.image_shape else ""
        raise NasError(
            name,
            f"returned a model for rows of shape {found}",
            f"({problem.n_inputs},), the encoded columns{images}",
            "Begin with keras.Input((problem.n_inputs,)), and take (trial, problem).",
        )
    return found


def _own_loss(model: keras.Model, problem: Problem) -> Any:
    loss = getattr(model, "loss", None) if model.compiled else None
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        loss = loss[0] if len(loss) == 1 else None
    if isinstance(loss, str) and loss in ANY_CROSS_ENTROPY:
        loss = f"{'binary' if problem.n_outputs == 1 else 'categorical'}_crossentropy"
    return keras.losses.get(loss) if loss is not None else None


def _loss_name(loss: Any) -> str:
    if loss is None:
        return ""
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__))


def outputs_of(own: OwnModel, problem: Problem, name: str) -> Outputs:
    """What the outputs of a model are: by its last activation, else by its loss.

    Raises:
        NasError: When the loss takes outputs without an activation for probabilities, or there is
            a softmax of one output.
    """
    activation = own.looked.output_activation
    if problem.task == "regression":
        return "value"
    if activation == "softmax":
        if problem.n_outputs == 1:
            raise NasError(name, "ends with the softmax of one output, which is 1", "a sigmoid")
        return "probabilities"
    if activation == "sigmoid":
        return "shares"
    from_logits = getattr(own.loss, "from_logits", None)
    if from_logits is None and "crossentropy" in _loss_name(own.loss).replace("_", ""):
        from_logits = False  # the functions' default
    if from_logits is False and activation == "linear":
        raise NasError(
            name,
            f"ends without an activation, and its loss {_loss_name(own.loss)} takes probabilities",
            "a softmax or sigmoid, or a loss with from_logits=True",
        )
    return "shares" if from_logits is False else "logits"


def describe_own(
    build: BuildModel, trial: FunctionTrial, problem: Problem
) -> tuple[CustomArchitecture, OwnModel]:
    """The model of a function, and what is known of it.

    Raises:
        NasError, Exception: See `build_own` and `outputs_of`.
    """
    name = function_name(build)
    own = build_own(build, trial, problem)
    outputs_of(own, problem, name)
    inner = own.model._flatten_layers(include_self=False, recursive=True)
    architecture = CustomArchitecture(
        function=name,
        suggestions=trial.suggestions,
        layers=_layers(own.looked),
        n_weights=own.model.count_params(),
        batch_normalized=any(isinstance(x, keras.layers.BatchNormalization) for x in inner),
        optimizer=_optimizer_name(own.model) if own.model.compiled else "",
        loss=_loss_name(own.loss),
    )
    return architecture, own


def _optimizer_name(model: keras.Model) -> str:
    return f"{type(model.optimizer).__name__} {float(model.optimizer.learning_rate):.2g}"


def _layers(looked: Pass) -> tuple[Layer, ...]:
    """The layers that can be examined; numbered, as Keras's own names differ from time to time."""
    found: list[Layer] = []
    for number, seen in enumerate(looked.seen, start=1):
        layer = seen.layer
        is_last = number == len(looked.seen)
        is_dense = isinstance(layer, keras.layers.Dense)
        kind = "dense" if is_dense else "convolution"
        found.append(
            Layer(
                "dense" if is_dense else "convolution",
                "output" if is_last else f"{kind}_{number}",
                tuple(map(int, seen.output.shape[1:])),
                kernel=tuple(map(int, layer.kernel.shape)),
                window=1 if is_dense else int(layer.kernel_size[0]),
                stride=1 if is_dense else int(layer.strides[0]),
                is_hidden=not is_last,
                activation=seen.activation,
                has_bias=bool(layer.use_bias),
            )
        )
    return tuple(found)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it everything random is seeded; Python's and numpy's generators are put back."""
    python, numpy = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


class OwnNetwork(KerasNetwork):
    """A network that a function builds.

    Args:
        spec: The trial.
        build: The function.

    Raises:
        NasError, Exception: See `build_own`.
    """

    def __init__(self, spec: TrialSpec, build: BuildModel) -> None:
        assert isinstance(spec.architecture, CustomArchitecture)
        self.spec, self._build, self._params = spec, build, spec.architecture.params
        problem, training = spec.problem, spec.training
        own = self._built(0)
        self.model, self.input_shape = own.model, own.input_shape
        self.outputs = outputs_of(own, problem, function_name(build))
        self.sets_rates = not self.model.compiled
        self._own_loss = own.loss
        loss = own.loss
        has_own_objective = type(self.model).compute_loss is not keras.Model.compute_loss
        if loss is None:
            loss = make_loss(problem, training, from_logits=self.outputs == "logits")
            if not (self.model.compiled and has_own_objective):
                optimizer = (
                    self.model.optimizer if self.model.compiled else make_optimizer(training)
                )
                self.model.compile(optimizer, loss, jit_compile=False)
        self.scored_as = self._scored_as()
        self.inside: InsideOwn = InsideOwn(self, loss)

    def _scored_as(self) -> Loss:
        if self.outputs in ("value", "logits") and self._own_loss is None:
            return self.spec.loss
        if self.outputs == "value":
            return "squared"
        is_binary = "binary" in _loss_name(self._own_loss)
        many = self.spec.problem.task == "multiclass"
        return "logistic" if self.outputs == "logits" and is_binary and many else "cross_entropy"

    def _built(self, seed: int) -> OwnModel:
        with seeded(seed):
            return build_own(self._build, FunctionTrial(Replay(self._params)), self.spec.problem)

    def initial_weights(self, seed: int, x: NDArray[np.float32]) -> list[NDArray[Any]]:
        # Built anew rather than drawn anew: a function may load the weights of another model.
        model = self._built(seed).model
        if model is self.model:
            raise NasError(
                function_name(self._build),
                "returned the same model again, with the weights of another fold",
                "a new model each time it is called",
            )
        return [np.array(weight) for weight in model.get_weights()]

    def mean_loss(
        self, fold: FoldData, y: NDArray[Any], outputs: NDArray[np.float32]
    ) -> float | None:
        if self._own_loss is None or not len(y):
            return None
        return float(self.inside.loss(self.inside.labels(fold, y), outputs))


class InsideOwn(InsideWithTape):
    """It leaves other weights in the model."""

    def __init__(self, network: OwnNetwork, loss: Any) -> None:
        self._network, self._loss = network, loss
        looked = pass_through(network.model, np.zeros((1, *network.input_shape), np.float32))
        self._layers = [seen.layer for seen in looked.seen]
        self.activations = [seen.activation for seen in looked.seen[:-1]]
        places = {id(weight): k for k, weight in enumerate(network.model.weights)}
        self._places = [places[id(layer.kernel)] for layer in self._layers]

    def kernels(self, weights: Any) -> list[Any]:
        return [weights[place] for place in self._places]

    def run(
        self, weights: Any, x: Any, n_statistics: int | None, moving: bool, tape: Any = None
    ) -> tuple[list[Any], Forward]:
        network = self._network
        network.model.set_weights(weights)
        kernels = [layer.kernel.value for layer in self._layers]
        if tape is not None:
            tape.watch(kernels)  # of layers that are not trained, too
        rows = np.reshape(x, (-1, *network.input_shape))
        looked = pass_through(network.model, rows, n_statistics, moving)
        seen = {id(one.layer): one.output for one in looked.seen}
        hidden = [seen[id(layer)] for layer in self._layers[:-1]]
        return kernels, Forward(hidden, hidden, looked.outputs)

    def labels(self, fold: FoldData, y: NDArray[Any]) -> NDArray[Any]:
        """Whole numbers for a loss with `sparse` in its name, else as for nas's own losses."""
        if self._network.spec.problem.task == "multiclass" and "sparse" in _loss_name(self._loss):
            return y.astype(np.int32)
        return plain_labels(self._network.spec, fold, y)

    def loss(self, labels: Any, outputs: Any) -> Any:
        return ops.mean(self._loss(ops.convert_to_tensor(labels), ops.convert_to_tensor(outputs)))

    def penalty(self, kernels: Any) -> float:
        total = 0.0
        for layer, kernel in zip(self._layers, kernels, strict=True):
            if layer.kernel_regularizer is not None:
                total += float(layer.kernel_regularizer(ops.convert_to_tensor(kernel)))
        return total

    def plain_outputs(self, outputs: NDArray[Any]) -> NDArray[Any]:
        return as_logits(outputs, self._network.outputs)
