"""The layers of a network as a drawing that needs no library to be shown."""

import math
from dataclasses import dataclass
from html import escape
from itertools import groupby

from nas.architectures import CustomArchitecture
from nas.layers import Layer
from nas.spec import TrialSpec
from nas.wording import counted

WIDTH, ROW, BAR = 360, 46, 30  # of the drawing, of a layer with its gap, of a layer's bar
MIDDLE, LONGEST, SHORTEST = 122, 226, 56  # where bars are centred, and how long they are
MAX_ROWS = 12  # hidden layers beyond which equal neighbours share a bar

# Okabe and Ito's colours; the text takes the page's colour, or a grey of equal contrast.
_STYLE = """
.layers { color: #767676; font: 13px system-ui, sans-serif; }
.layers .name { fill: #fff; text-anchor: middle; }
.layers .note { fill: currentColor; font-size: 12px; }
.layers .input, .layers .output { fill: #767676; }
.layers .hidden { fill: #0072B2; }
.layers .pooling { fill: #5A6B7B; }
.layers .flow { stroke: currentColor; stroke-width: 1.5; fill: none; }
.layers .skip { stroke: #D55E00; stroke-width: 1.5; fill: none; }
"""


def draw_layers(spec: TrialSpec) -> str:
    """A network as SVG: a bar for each layer, from the inputs at the top to the outputs.

    A bar's length grows with the logarithm of its units. Beside it stand its weights, moving
    statistics of batch normalization included; an arc is a residual connection.
    """
    rows = _rows(spec)
    largest = max(row.units for row in rows)
    parts = []
    for index, row in enumerate(rows):
        top, name, note = 4 + index * ROW, row.name, row.note
        share = math.log1p(row.units) / math.log1p(largest)
        length = max(SHORTEST + share * (LONGEST - SHORTEST), 8.0 * len(name) + 16)
        parts.append(
            f'<rect class="{row.kind}" x="{MIDDLE - length / 2:.1f}" y="{top}" '
            f'width="{length:.1f}" height="{BAR}" rx="5"/>'
            f'<text class="name" x="{MIDDLE}" y="{top + 20}">{escape(name)}</text>'
        )
        if note:
            parts.append(
                f'<text class="note" x="{WIDTH - 2}" y="{top + 20}" text-anchor="end">{note}</text>'
            )
        if index:
            parts.append(f'<path class="flow" d="M{MIDDLE} {top - ROW + BAR}V{top - 2}"/>')
        if row.skip is not None:
            side, rise = MIDDLE - LONGEST / 2 - 2, (index - row.skip) * ROW
            parts.append(
                f'<path class="skip" d="M{side} {top - rise + BAR / 2}q-9 {rise / 2} 0 {rise}"/>'
            )
    height = 4 + len(rows) * ROW - (ROW - BAR) + 4
    title = escape(f"Layers of the network: {spec.describe()}")
    return (
        f'<svg class="layers" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{title}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>"
    )


def describe_layers(spec: TrialSpec) -> str:
    """What stands between the layers, in a sentence."""
    if isinstance(spec.architecture, CustomArchitecture):
        return (
            f"Drawn are the dense layers and convolutions of {spec.architecture.function}, in the "
            "order in which they are called, and not what connects them. The length of a bar grows "
            "with the number of filters or units."
        )
    architecture = spec.in_words
    what = "filters or units" if architecture.convolutions else "units"
    text = f"The length of a bar grows with the number of {what}."
    between = []
    if architecture.normalization != "none":
        between.append(f"{architecture.normalization} normalization before each activation")
    if architecture.dropout:
        behind = "behind the convolutions" if architecture.convolutions else ""
        each = "after each hidden dense layer" if behind else "after each hidden layer"
        places = [behind] * bool(behind) + [each] * bool(architecture.units)
        between.append(f"dropout of {architecture.dropout:.0%} {' and '.join(places)}")
    if architecture.spatial_dropout:
        share = architecture.spatial_dropout
        between.append(f"spatial dropout of {share:.0%} after each convolution")
    if between:
        text += f" Not drawn: {' and '.join(between)}."
    if any(layer.skip is not None for layer in spec.layers):
        drawn = len(spec.hidden) <= MAX_ROWS
        text += " An arc at the left adds " if drawn else " Not drawn: residual connections add "
        text += "an earlier layer's output, or the input, to a layer's output."
    return text


@dataclass(frozen=True)
class _Row:
    """One bar.

    Attributes:
        kind: `input`, `hidden`, `pooling` or `output`.
        units: How wide it is: units or filters.
        skip: Row from which a residual connection comes.
    """

    kind: str
    name: str
    units: int
    note: str = ""
    skip: int | None = None


def _rows(spec: TrialSpec) -> list[_Row]:
    problem = spec.problem
    if spec.has_maps and problem.image_shape:
        inputs = " × ".join(map(str, problem.image_shape)) + " image"
        rows = [_Row("input", inputs, problem.image_shape[-1])]
    else:
        inputs = "1 input" if problem.n_inputs == 1 else f"{problem.n_inputs:,} inputs"
        rows = [_Row("input", inputs, problem.n_inputs)]
    n_outputs = problem.n_outputs
    outputs = {
        "binary": "1 logit",
        "multiclass": f"{n_outputs:,} classes",
        "regression": counted(n_outputs, "value"),
    }
    is_deep = len(spec.hidden) > MAX_ROWS
    row_of = {-1: 0}  # of each layer, by position
    position = 0
    for _, same in groupby(spec.layers, key=_alike if is_deep else id):
        layers = list(same)
        first, count = layers[0], len(layers)
        weights = sum(map(spec.architecture.weights_of, layers))
        note = f"{weights:,} weights" if weights else ""
        name = _name(first)
        if count > 1:
            name = f"{count} layers of {name}"
        if first.name == "output":
            rows.append(_Row("output", outputs[problem.task], n_outputs, note))
        elif first.kind != "flatten":
            kind = "hidden" if first.is_hidden else "pooling"
            skip = row_of[first.skip] if first.skip is not None and count == 1 else None
            rows.append(_Row(kind, name, first.output_shape[-1], note, skip))
        for _ in layers:
            row_of[position] = len(rows) - 1
            position += 1
    return rows


def _alike(layer: Layer) -> tuple[object, ...]:
    """Equal for neighbours that share a bar in a deep network."""
    name = layer.name if not layer.is_hidden else ""
    return layer.kind, layer.output_shape, layer.window, layer.stride, name


def _name(layer: Layer) -> str:
    size, activation = f"{layer.output_shape[-1]:,}", layer.activation
    match layer.kind:
        case "dense":
            return f"{size} × {activation}"
        case "convolution":
            stride = f"/{layer.stride}" if layer.stride > 1 else ""
            return f"{size} × {layer.window}×{layer.window}{stride} {activation}"
        case "max_pooling" | "average_pooling":
            return f"{layer.kind.partition('_')[0]} of {layer.window}×{layer.window}"
        case "embedding":
            assert layer.embedding is not None
            return f"{layer.embedding.n_numbers:,} numbers, each as {layer.embedding.size}"
        case "members":
            return f"factors of {layer.members:,} members"
        case "global_average":
            return "average of maps"
        case _:
            return "maximum of maps"
