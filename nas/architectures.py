"""The families of networks as plain data: those that words of a space describe, and custom ones.

What the rest of nas asks of either: `layers_for`, `weights_of`, `count_weights`,
`batch_normalized`, `has_maps`, and a few words (`str`). How they become Keras models is in
`nas.families`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from nas.choices import Scaling
from nas.layers import Embedding, EmbeddingKind, Layer, build_layers, well_known_name

CUSTOM = "custom"  # the family of networks that a function of the user's builds


@dataclass(frozen=True, slots=True)
class Architecture:
    """The network between the encoded features and the output layer.

    Attributes:
        network: Family of networks: `mlp`, or `cnn`.
        units: Units of each hidden dense layer, first to last; empty for a linear model, or for
            a convolutional network without a dense hidden layer.
        activation: Keras name of the hidden layers' activation.
        normalization: `none`, `batch` or `layer`, between a hidden layer and its activation.
        residual: Whether each hidden layer after the first adds its input to its output.
        dropout: Share of units dropped while training, in [0, 1): after each dense hidden layer,
            and after the convolutional part.
        initializer: Of the hidden kernels: a Keras name, `normal(deviation)`,
            `uniform(low, high)` or `constant(value)`.
        bias_initializer: Of the hidden biases, likewise.
        output_initializer: Of the output layer's kernel, likewise; `same` is that of the hidden
            layers, for its bias too.
        convolutions: The convolutional part, in the notation of `nas.layers`; empty for `mlp`.
        spatial_dropout: Share of feature maps dropped after each convolution, in [0, 1).
        normalization_momentum: What a step leaves of the moving averages of batch normalization,
            in [0, 1).
        embedding: What numbers in columns pass first: `none`, `periodic` or `piecewise`; see
            `nas.layers.Embedding`.
        embedding_size: Of what each number becomes.
        frequencies: Of each number.
        frequency_scale: Standard deviation of the initial frequencies, per unit of scaled inputs.
        scaling: How numbers in columns are scaled; `data` is as the data says.
        bins: Of each number, of a piecewise embedding.
        members: Networks that share the hidden layers and answer together; see
            `nas.layers.build_layers`.
    """

    network: str
    units: tuple[int, ...]
    activation: str
    normalization: str
    residual: bool
    dropout: float
    initializer: str
    bias_initializer: str = "zeros"
    output_initializer: str = "glorot_uniform"
    convolutions: tuple[str, ...] = ()
    spatial_dropout: float = 0.0
    normalization_momentum: float = 0.99
    embedding: Literal["none"] | EmbeddingKind = "none"
    embedding_size: int = 16
    frequencies: int = 32
    frequency_scale: float = 0.1
    scaling: Literal["data"] | Scaling = "data"
    bins: int = 16
    members: int = 1

    @property
    def batch_normalized(self) -> bool:
        """Whether batch normalization follows hidden layers."""
        return self.normalization == "batch"

    @property
    def has_maps(self) -> bool:
        """Whether its layers give feature maps, and not numbers alone."""
        return bool(self.convolutions)

    def layers_for(
        self, n_inputs: int, image_shape: tuple[int, ...], n_outputs: int, n_numbers: int = 0
    ) -> tuple[Layer, ...]:
        """All layers of a network with these inputs and outputs."""
        shape = image_shape if self.convolutions else (n_inputs,)
        return build_layers(
            shape, self.convolutions, self.units, n_outputs, self.residual, self.activation,
            self.embedding_of(n_numbers), self.members,
        )  # fmt: skip

    def embedding_of(self, n_numbers: int) -> Embedding | None:
        """The embedding of so many numbers in columns."""
        if self.embedding == "none" or not n_numbers:
            return None
        parts = self.frequencies if self.embedding == "periodic" else self.bins
        return Embedding(self.embedding, n_numbers, parts, self.embedding_size)

    def weights_of(self, layer: Layer) -> int:
        """Numbers in the weights of a layer, those of its normalization included."""
        return layer.n_weights(self.normalization)

    def count_weights(self, layers: Sequence[Layer]) -> int:
        """Numbers in the weights of the network with these layers."""
        return sum(map(self.weights_of, layers))

    def __str__(self) -> str:
        """The layers in a few words, such as `3 x 64 relu` or `32c3-mp2-fc32 relu`."""
        units = self.units
        if self.embedding != "none":
            return f"{self.embedding} {replace(self, embedding='none')}"
        if self.members > 1:
            return f"{self.members} members {replace(self, members=1)}"
        if self.convolutions:
            items = (*self.convolutions, *(f"fc{n}" for n in units))
            shown = "-".join(items if len(items) <= 12 else [*items[:6], "...", *items[-5:]])
            return f"{well_known_name(items) or shown} {self.activation}"
        if not units:
            return "linear"
        if len(set(units)) == 1:
            return f"{len(units)} x {units[0]} {self.activation}"
        return "-".join(map(str, units)) + f" {self.activation}"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One parameter that a function suggested, and what it could have been.

    Attributes:
        name: The parameter.
        value: What it is in this trial.
        kind: Which of `suggest_int`, `suggest_float` and `suggest_categorical` was called.
        low: Smallest value of a number.
        high: Largest value of a number.
        log: Whether it is drawn from the logarithmic scale.
        step: Between its values; None for a continuous one.
        choices: The values of a category.
    """

    name: str
    value: bool | int | float | str | None
    kind: Literal["int", "float", "categorical"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[bool | int | float | str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomArchitecture:
    """A network that a function of the user's builds from what it suggests.

    Attributes:
        function: Name of the function.
        suggestions: What it suggested, in that order; with the same values it builds the same
            network again.
        layers: The layers that can be examined, in the order in which they are called: dense
            layers and convolutions, the last one being the output layer. Empty where the function
            failed, or the network has none.
        n_weights: Numbers in its weights.
        batch_normalized: Whether it has batch normalization.
        optimizer: That of a model that comes compiled, such as `Adam 0.001`; empty for the one
            that the training's words say.
        loss: The loss that it comes with, by name; empty for the one that the words say.
        network: The family.
    """

    function: str
    suggestions: tuple[Suggestion, ...]
    layers: tuple[Layer, ...] = ()
    n_weights: int = 0
    batch_normalized: bool = False
    optimizer: str = ""
    loss: str = ""
    network: str = CUSTOM

    @property
    def scaling(self) -> Literal["data"]:
        """How numbers in columns are scaled: as the data says."""
        return "data"

    @property
    def params(self) -> dict[str, Any]:
        """The values that the function suggested, by name."""
        return {suggestion.name: suggestion.value for suggestion in self.suggestions}

    @property
    def has_maps(self) -> bool:
        """Whether a layer gives feature maps or sequences."""
        return any(len(layer.output_shape) > 1 for layer in self.layers)

    def layers_for(
        self, n_inputs: int, image_shape: tuple[int, ...], n_outputs: int, n_numbers: int = 0
    ) -> tuple[Layer, ...]:
        """Its layers, which are known from the model itself."""
        return self.layers

    def weights_of(self, layer: Layer) -> int:
        """Numbers in the weights of a layer."""
        return layer.n_weights("none")

    def count_weights(self, layers: Sequence[Layer]) -> int:
        """Numbers in its weights, also of layers that cannot be examined."""
        return self.n_weights

    def __str__(self) -> str:
        """Its name and its hidden layers, such as `build_model 32c3-fc64`."""
        hidden = [layer for layer in self.layers if layer.is_hidden]
        is_dense = all(layer.kind == "dense" for layer in hidden)
        sizes = [layer.output_shape[-1] for layer in hidden]
        if not hidden:
            return self.function
        if is_dense and len(set(sizes)) == 1:
            return f"{self.function} {len(sizes)} x {sizes[0]}"
        items = [
            f"fc{size}" if layer.kind == "dense" else f"{size}c{layer.window}"
            for layer, size in zip(hidden, sizes, strict=True)
        ]
        texts = [str(size) for size in sizes] if is_dense else items
        return f"{self.function} " + "-".join(
            texts if len(texts) <= 12 else [*texts[:6], "...", *texts[-5:]]
        )


def architecture_from_dict(data: Mapping[str, Any]) -> Architecture | CustomArchitecture:
    """The architecture that `dataclasses.asdict` made, also after a way through JSON.

    Raises:
        KeyError, TypeError: When `data` lacks a field or has an unknown one.
    """
    fields = dict(data)
    if fields["network"] != CUSTOM:
        fields["units"] = tuple(fields["units"])
        fields["convolutions"] = tuple(fields.get("convolutions", ()))
        return Architecture(**fields)
    suggestions = [Suggestion(**suggestion) for suggestion in fields["suggestions"]]
    fields["suggestions"] = tuple(replace(s, choices=tuple(s.choices)) for s in suggestions)
    layers = [Layer(**layer) for layer in fields["layers"]]
    fields["layers"] = tuple(
        replace(layer, output_shape=tuple(layer.output_shape), kernel=tuple(layer.kernel))
        for layer in layers
    )
    return CustomArchitecture(**fields)
