"""The layers of a network as a drawing that needs no library to be shown."""

import math
from html import escape

from nas.spec import TrialSpec

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
.layers .flow { stroke: currentColor; stroke-width: 1.5; fill: none; }
.layers .skip { stroke: #D55E00; stroke-width: 1.5; fill: none; }
"""


def draw_layers(spec: TrialSpec) -> str:
    """A network as SVG: a bar for each layer, from the inputs at the top to the outputs.

    A bar's length grows with the logarithm of its units. Beside it stand its weights, moving
    statistics of batch normalization included; an arc is a residual connection.
    """
    architecture = spec.architecture
    groups = _groups(architecture.units)
    rows = [
        (
            "input",
            "1 input" if spec.problem.n_inputs == 1 else f"{spec.problem.n_inputs:,} inputs",
            spec.problem.n_inputs,
            "",
        )
    ]
    before = spec.problem.n_inputs
    per_unit = {"none": 0, "layer": 2, "batch": 4}[architecture.normalization]
    for count, units in groups:
        weights = (before + 1 + per_unit) * units + (count - 1) * (units + 1 + per_unit) * units
        name = f"{units:,} × {architecture.activation}"
        if count > 1:
            name = f"{count} layers of {name}"
        rows.append(("hidden", name, units, f"{weights:,} weights"))
        before = units
    n_outputs = spec.problem.n_outputs
    outputs = {"binary": "1 logit", "multiclass": f"{n_outputs:,} classes", "regression": "1 value"}
    weights = (before + 1) * n_outputs
    rows.append(("output", outputs[spec.problem.task], n_outputs, f"{weights:,} weights"))

    largest = max(units for _, _, units, _ in rows)
    parts = []
    for index, (kind, name, units, note) in enumerate(rows):
        top = 4 + index * ROW
        share = math.log1p(units) / math.log1p(largest)
        length = max(SHORTEST + share * (LONGEST - SHORTEST), 8.0 * len(name) + 16)
        parts.append(
            f'<rect class="{kind}" x="{MIDDLE - length / 2:.1f}" y="{top}" width="{length:.1f}" '
            f'height="{BAR}" rx="5"/>'
            f'<text class="name" x="{MIDDLE}" y="{top + 20}">{escape(name)}</text>'
        )
        if note:
            parts.append(
                f'<text class="note" x="{WIDTH - 2}" y="{top + 20}" text-anchor="end">{note}</text>'
            )
        if index:
            parts.append(f'<path class="flow" d="M{MIDDLE} {top - ROW + BAR}V{top - 2}"/>')
        # A residual connection begins with the second hidden layer.
        if kind == "hidden" and architecture.residual and index > 1:
            side = MIDDLE - LONGEST / 2 - 2
            parts.append(
                f'<path class="skip" d="M{side} {top - ROW + BAR / 2}q-7 {ROW / 2} 0 {ROW}"/>'
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
    architecture = spec.architecture
    text = "The length of a bar grows with the number of units."
    between = []
    if architecture.normalization != "none":
        between.append(f"{architecture.normalization} normalization before each activation")
    if architecture.dropout:
        between.append(f"dropout of {architecture.dropout:.0%} after each hidden layer")
    if between:
        text += f" Not drawn: {' and '.join(between)}."
    if architecture.residual and len(architecture.units) > 1:
        text += " An arc at the left adds a layer's input to its output."
    return text


def _groups(units: tuple[int, ...]) -> list[tuple[int, int]]:
    """Layers and their units; neighbours of equal width are one group in a deep network."""
    if len(units) <= MAX_ROWS:
        return [(1, width) for width in units]
    groups: list[tuple[int, int]] = []
    for width in units:
        if groups and groups[-1][1] == width:
            groups[-1] = (groups[-1][0] + 1, width)
        else:
            groups.append((1, width))
    return groups
