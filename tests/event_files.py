"""Reading TensorBoard's event files back, by their record format and protocol alone."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.compat.v1 import Event, GraphDef


def events(run: Path) -> list[Any]:
    """The events of a run, in the order in which TensorBoard reads them."""
    files = sorted(str(path) for path in run.iterdir())
    assert all("tfevents" in path for path in files), files  # by which TensorBoard knows them
    found = [Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(files)]
    assert found[0].file_version == "brain.Event:2"
    return found


def values(run: Path) -> list[tuple[int, Any]]:
    """Step and value of all summaries of a run."""
    return [(event.step, value) for event in events(run) for value in event.summary.value]


def curves(run: Path) -> dict[str, dict[int, float]]:
    """Scalars of a run: by tag, then by step."""
    found: dict[str, dict[int, float]] = {}
    for step, value in values(run):
        if value.HasField("simple_value"):
            found.setdefault(value.tag, {})[step] = value.simple_value
    return found


def texts(run: Path, plugin: str = "text") -> dict[str, str]:
    """Texts of a run, or what else a plugin of TensorBoard is given as text, by tag."""
    return {
        value.tag: tf.make_ndarray(value.tensor).item().decode()
        for _, value in values(run)
        if value.metadata.plugin_data.plugin_name == plugin
    }


def operations(run: Path) -> list[str]:
    """Operations of the graph of a run; empty where it has none."""
    graphs = [GraphDef.FromString(e.graph_def) for e in events(run) if e.graph_def]
    return [node.op for graph in graphs for node in graph.node]
