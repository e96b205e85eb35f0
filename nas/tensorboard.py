"""Trials for TensorBoard: learning curves, hyperparameters, and the network's graph.

Each trial is a run, a folder of its own. TensorBoard itself need not be installed: its event files
are records of TensorFlow's. They are written where TensorFlow is (see `Pool.call`), which is
therefore imported by the functions that write.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.architectures import CustomArchitecture
from nas.errors import NasError, first_line
from nas.spec import TrialSpec
from nas.wording import counted

if TYPE_CHECKING:  # Optuna, which the processes that write do without
    from nas.execution.pool import Pool
    from nas.searching import Progress
    from nas.study.record import StudyRecord, TrialRecord

EVERY = 30.0  # seconds between two writings; with workers, each takes half a second

# TensorBoard knows event files by this word, and reads those of a run in the order of their names.
CURVES_FILE, GRAPH_FILE = "1-curves.tfevents", "2-graph.tfevents"


@dataclass(frozen=True)
class Run:
    """What TensorBoard shows of a trial besides its graph.

    Attributes:
        name: Its folder, such as `trial_012`.
        curves: Values by tag, from epoch 1 on.
        texts: Markdown by tag.
    """

    name: str
    curves: Mapping[str, Sequence[float]]
    texts: Mapping[str, str]


def run_name(trial: int) -> str:
    """The folder of a trial's run."""
    return f"trial_{trial:03}"


def run_of(trial: "TrialRecord", metric: str) -> Run:
    """A trial that has curves, for TensorBoard.

    The curves are means over folds. A fold that ended early counts with its last value, as it does
    in the trial's score; once one diverges, the mean is NaN.
    """
    assert trial.curves is not None
    hold = trial.outcome != "diverged"
    curves = {
        "loss/training": _means(trial.curves.train_loss, hold),
        "loss/validation": _means(trial.curves.val_loss, hold),
        f"{metric}/validation": _means(trial.curves.val_value, hold),
    }
    texts = {"trial": _description(trial, metric), "hyperparameters": _hyperparameters(trial)}
    return Run(run_name(trial.number), curves, texts)


def _means(rows: Sequence[Sequence[float]], hold: bool) -> list[float]:
    values = np.array(rows, dtype=float)
    if hold:
        for before, row in pairwise(values):
            ended = np.isnan(row)
            row[ended] = before[ended]
    return [float(value) for value in values.mean(axis=1)] if len(values) else []


def _description(trial: "TrialRecord", metric: str) -> str:
    lines = [trial.outcome + (f": {trial.reason}" if trial.reason else "")]
    if trial.spec is not None:
        lines.append(f"{trial.spec.describe()}; {trial.spec.n_weights:,} weights")
    if trial.value is not None:
        folds = counted(len(trial.fold_values), "fold")
        error = f" ± {trial.stderr:.4g}" if trial.stderr is not None else ""
        lines.append(f"{metric} {trial.value:.4g}{error} over {folds}")
    if trial.seconds is not None:
        lines.append(f"{trial.seconds:.3g} seconds, {trial.engine} engine")
    return "\n\n".join(lines)


def _hyperparameters(trial: "TrialRecord") -> str:
    """Markdown: what was searched, then everything that the network and its training are."""
    tables = {"searched": trial.params}
    if trial.spec is not None:
        network = trial.spec.architecture
        tables["network"] = asdict(network)
        if isinstance(network, CustomArchitecture):  # what it suggested was searched
            names = ("function", "optimizer", "loss", "n_weights")
            tables["network"] = {name: getattr(network, name) for name in names}
        tables["training"] = asdict(trial.spec.training)
    return "\n\n".join(_table(title, values) for title, values in tables.items() if values)


def _table(title: str, values: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {_shown(value)} |" for name, value in values.items()]
    return "\n".join([f"| {title} | |", "|---|---|", *rows])


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    return str(value).replace("|", r"\|")


# While a study is searched


@dataclass
class RunWriter:
    """Keeps a folder of runs up to date with a study.

    Attributes:
        folder: Where the study's runs lie.
        metric: What its trials are scored by.
    """

    folder: Path
    metric: str
    _waiting: list[Run] = field(default_factory=list)

    def following(self, steps: "Iterator[Progress]", pool: "Pool") -> "Iterator[Progress]":
        """Hands on the states of a search, and writes its trials, several at once.

        What the disk refuses is no reason to end the search: it is tried again with the next ones.
        """
        written_at = time.monotonic()
        with closing(steps):  # type: ignore[type-var]  # a generator, which ends with this one
            for progress in steps:
                if progress.finished is not None:
                    self.add(progress.finished)
                if time.monotonic() >= written_at + EVERY:
                    with suppress(NasError):
                        self.write(pool)
                    written_at = time.monotonic()
                yield progress

    def add(self, trial: "TrialRecord") -> None:
        """Notes a trial for the next writing; one that was not trained has nothing to show."""
        if trial.curves is not None and trial.curves.train_loss:
            self._waiting.append(run_of(trial, self.metric))

    def write(self, pool: "Pool", graph_of: "TrialRecord | None" = None) -> None:
        """Writes what waits, and the graph of one trial's network.

        Raises:
            NasError: When a file cannot be written.
        """
        graph = None
        spec = graph_of.spec if graph_of is not None else None
        # A custom network's function is not at hand here.
        if graph_of is not None and spec and not isinstance(spec.architecture, CustomArchitecture):
            path = self.folder / run_name(graph_of.number) / GRAPH_FILE
            graph = None if path.exists() else (path, spec)
        if self._waiting or graph is not None:
            pool.call(write_runs, self.folder, self._waiting, graph)
            self._waiting = []


def open_runs(directory: Path, study: "StudyRecord") -> RunWriter:
    """Makes the folder of a study's runs; trials that it lacks are written with the next ones.

    Raises:
        NasError: When it cannot be made, or holds runs that are not of this study.
    """
    folder = directory / study.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise NasError(
            "--tensorboard", f"cannot write to {folder} ({error.strerror})", "a folder"
        ) from error
    names = {trial.number: run_name(trial.number) for trial in study.trials}
    others = sorted(name for name in there - {*names.values()} if name.startswith("trial_"))
    if others:
        raise NasError(
            "--tensorboard",
            f"{folder} holds {others[0]}, which study '{study.name}' does not",
            "a folder without other runs",
            f"Delete {folder}, or name another folder.",
        )
    writer = RunWriter(folder, study.metric)
    for trial in study.trials:
        if not (folder / names[trial.number] / CURVES_FILE).exists():
            writer.add(trial)
    return writer


# Where TensorFlow is: see `Pool.call`


def write_runs(
    folder: Path, runs: Sequence[Run], graph: tuple[Path, TrialSpec] | None = None
) -> None:
    """Writes runs into their folders, and the graph of a network into a file.

    Raises:
        NasError: When a file cannot be written.
    """
    try:
        for run in runs:
            _write(folder / run.name / CURVES_FILE, _events(run))
        if graph is not None:
            path, spec = graph
            _write(path, _graph_events(spec))
    except Exception as error:  # TensorFlow's own, which no other process can read
        raise NasError(str(folder), f"cannot be written ({first_line(error)})") from error


def _events(run: Run) -> Iterator[Any]:
    from tensorflow.compat.v1 import Summary

    values = [_text(tag, text, "text") for tag, text in run.texts.items()]
    yield {"step": 0, "summary": Summary(value=values)}
    length = max(map(len, run.curves.values()), default=0)
    for epoch in range(1, length + 1):
        values = [
            Summary.Value(tag=tag, simple_value=values[epoch - 1])
            for tag, values in run.curves.items()
        ]
        yield {"step": epoch, "summary": Summary(value=values)}


def _graph_events(spec: TrialSpec) -> Iterator[dict[str, Any]]:
    """The network as TensorFlow's operations, and as Keras's layers."""
    import tensorflow as tf
    from tensorflow.compat.v1 import Summary

    from nas.models.network import build_model

    model = build_model(spec)
    features = tf.TensorSpec((None, spec.problem.n_inputs), tf.float32, "features")
    call = tf.function(lambda x: model(x, training=False)).get_concrete_function(features)
    yield {"graph_def": call.graph.as_graph_def().SerializeToString()}
    layers = _text("layers", model.to_json(), "graph_keras_model", b"1")
    yield {"step": 0, "summary": Summary(value=[layers])}


def _text(tag: str, text: str, plugin: str, content: bytes = b"") -> Any:
    import tensorflow as tf
    from tensorflow.compat.v1 import Summary, SummaryMetadata

    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    metadata = SummaryMetadata(plugin_data=data)
    return Summary.Value(tag=tag, tensor=tf.make_tensor_proto(text), metadata=metadata)


def _write(path: Path, events: Iterator[dict[str, Any]]) -> None:
    """Writes an event file; a reader of the folder sees the whole file or none."""
    import tensorflow as tf
    from tensorflow.compat.v1 import Event

    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f"{os.getpid()}.part")
    now = time.time()
    with tf.io.TFRecordWriter(str(part)) as file:
        file.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        for event in events:
            file.write(Event(wall_time=now, **event).SerializeToString())
    part.replace(path)
