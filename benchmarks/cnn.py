"""How long a small convolutional network takes: nas beside `model.fit`, and what limits it.

Trials of one architecture, on 2,000 rows of MNIST with 3 folds, that differ in optimizer, learning
rate and dropout. Then a profile of the steps that a worker takes: what each kind of operation
costs, and how far the convolutions are from the rate of large matrix products. It is a part of
`throughput.py`:

    python benchmarks/throughput.py --only --cnn --sample 2
"""

import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import peers
from rich.console import Console
from rich.table import Table

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.execution.pool import drive
from nas.execution.workers import WorkerPool
from nas.metrics import METRICS
from nas.space import RandomSuggester, Range, SearchSpace
from nas.spec import TrialResult, TrialSpec

if TYPE_CHECKING:
    from nas.encoding import FoldData

SPACE = SearchSpace(
    {
        "layers": "32c3-mp2-32c3-mp2-64c5-mp2-fc32-fc32",
        "optimizer": ["adam", "rmsprop"],
        "learning_rate": Range(3e-4, 3e-3, log=True),
        "dropout": Range(0.0, 0.5),
        "batch_size": 32,
        "epochs": 8,
    },
    network="cnn",
    name="cnn",
)
ROWS = 2_000
FOLDS = 3
PROFILED_EPOCHS = 3

# Kinds of operations in a training step, by TensorFlow's `path:name`. The forward convolutions have
# bias and activation in them. Only the gradient of our own max pooling is called as a function.
KINDS = {
    "convolution, forward": r".*:\w*Conv2D",
    "convolution, filter gradient": r".*:\w*Conv2DBackpropFilter",
    "convolution, input gradient": r".*:\w*Conv2DBackpropInput",
    "pooling": r".*:\w*MaxPool",
    "pooling, gradient": r".*:(\w*MaxPoolGrad|PartitionedCall)",
    "activation, bias": r".*:\w*(Relu|ReluGrad|BiasAdd|BiasAddGrad)",
    "dense": r".*:\w*MatMul",
    "optimizer": r".*/(adam|rm_sprop)/.*:\w+",
}

console = Console(
    highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 100
)


def run_cnn(n_trials: int, n_fit: int, n_workers: int, gemm: float) -> dict[str, Any]:
    """Measures both ways and the profile, and prints them.

    Args:
        n_trials: Trials that nas trains.
        n_fit: How many of them `model.fit` trains, spread evenly.
        n_workers: Worker processes of nas.
        gemm: GFLOP/s of large matrix products on one core.
    """
    from nas.encoding import encode_folds

    path = Path(os.environ.get("NAS_DATA_DIR", "../shared/data")) / "mnist.npz"
    dataset = load_dataset(DataOptions(str(path), images=True, max_rows=ROWS))
    split = split_dataset(dataset, SplitOptions(folds=FOLDS))
    folds = encode_folds(dataset, split.folds)
    problem = dataset.problem(folds[0].x_train.shape[1])
    specs = [SPACE.sample(RandomSuggester(seed), problem) for seed in range(n_trials)]
    sample = [int((i + 0.5) * n_trials / n_fit) for i in range(n_fit)]

    with (
        console.status("model.fit") as status,
        tempfile.TemporaryDirectory() as cache,
        mock.patch.dict(os.environ, NAS_CACHE_DIR=cache),  # a cold start
    ):
        fit = peers.with_fit(folds, [specs[k] for k in sample], sample, lambda: None)
        status.update("nas")
        started = time.perf_counter()
        pool = WorkerPool(n_workers, "tensorflow")
        try:
            nas = with_pool(pool, started, folds, specs)
            status.update("profile")
            own, plain = (
                pool.call(profile_steps, folds[0], specs[0], own_pooling)
                for own_pooling in (True, False)
            )
        finally:
            pool.close()
    return {
        "fit_trials": sample,
        "fit": asdict(fit),
        "nas": asdict(nas),
        "ways": compare(fit, nas, sample, n_workers),
        "profile": show_profile(own, plain, convolution_gflop(specs[0], folds[0]), gemm),
    }


def with_pool(
    pool: WorkerPool,
    started: float,
    folds: Sequence["FoldData"],
    specs: Sequence[TrialSpec],
) -> peers.Timing:
    """Trains as `nas search` does; `fixed` is the time until all workers have the data.

    Args:
        pool: A pool without data.
        started: When it was made, by `time.perf_counter`.
        folds: What to train on.
        specs: The trials; each one's number is its seed.
    """
    # A worker reads the folds, too large for the pipe's buffer, when it is ready to train.
    pool.load(folds, METRICS["accuracy"], "auto")
    start_up = time.perf_counter() - started
    results: dict[int, TrialResult] = {}
    for report in drive(pool, [(job, spec, job) for job, spec in enumerate(specs)]):
        if report is not None and report.failure:
            raise RuntimeError(report.failure)
        if report is not None and report.result is not None:
            results[report.job] = report.result
    seconds = time.perf_counter() - started
    return peers.Timing(
        [float(np.mean(results[job].fold_values)) for job in range(len(specs))],
        seconds,
        fixed=start_up,
        details={"seconds_in_trials": sum(result.seconds for result in results.values())},
    )


def compare(
    fit: peers.Timing, nas: peers.Timing, sample: Sequence[int], n_workers: int
) -> dict[str, Any]:
    """Prints seconds for each trial and fold, and how much faster nas is; returns them."""
    n_trials = len(nas.accuracies)
    same = [nas.accuracies[k] for k in sample]
    rows = {
        "model.fit, all cores": (fit.seconds, len(sample), fit.accuracies),
        "nas, start-up included": (nas.seconds, n_trials, same),
        "nas, without start-up": (nas.seconds - nas.fixed, n_trials, same),
    }
    fit_each = fit.seconds / (len(sample) * FOLDS)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for column in ("trials", "s / trial and fold", "x fit", "accuracy of fit's trials"):
        table.add_column(column, justify="right")
    numbers: dict[str, Any] = {}
    for name, (seconds, count, accuracies) in rows.items():
        each, accuracy = seconds / (count * FOLDS), float(np.mean(accuracies))
        numbers[name] = {
            "seconds_per_trial_and_fold": each,
            "times_fit": fit_each / each,
            "accuracy": accuracy,
        }
        table.add_row(name, str(count), f"{each:.2f}", f"{fit_each / each:.2f}", f"{accuracy:.4f}")
    console.print(table)
    busy = nas.details["seconds_in_trials"] / (n_workers * (nas.seconds - nas.fixed))
    console.print(
        f"  {n_workers} workers, inside trials {busy:.0%} of the time; start-up {nas.fixed:.1f} s",
        style="dim",
    )
    return numbers


# The profile


def profile_steps(fold: "FoldData", spec: TrialSpec, own_pooling: bool) -> dict[str, float]:
    """Milliseconds of a training step by kind of operation, as means over some epochs.

    Args:
        fold: What to train on.
        spec: The trial.
        own_pooling: Whether max pooling has the gradient of `nas.engines.pooling`; TensorFlow's
            otherwise, for the rest of the process.
    """
    import tensorflow as tf

    from nas.engines import pooling
    from nas.engines.keras_engine import KerasEngine
    from nas.engines.lanes import trial_lanes
    from nas.engines.startup import silence

    if not own_pooling:
        pooling.SMALLEST = sys.maxsize
    cohort = KerasEngine([fold], METRICS["accuracy"]).start(trial_lanes(spec, 0, 1))
    cohort.advance()  # traces and compiles
    with tempfile.TemporaryDirectory() as folder:
        with silence(), tf.profiler.experimental.Profile(folder):
            cohort.advance(PROFILED_EPOCHS)
        (path,) = Path(folder).rglob("*.xplane.pb")
        trace = path.read_bytes()
    n_steps = PROFILED_EPOCHS * spec.training.steps_per_epoch(len(fold.y_train))
    return {kind: time / n_steps for kind, time in times_by_kind(trace).items()}


def times_by_kind(trace: bytes) -> dict[str, float]:
    """Milliseconds that the programs of training epochs took, by kind of operation.

    Args:
        trace: What TensorFlow's profiler wrote in a process with a single thread.

    Returns:
        All kinds; "rest" has the other operations, and what is between operations.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(trace)
    (plane,) = (plane for plane in space.planes if plane.name == "/host:CPU")
    # Name, first and last moment in picoseconds.
    events = [
        (_name(event, plane), start, start + event.duration_ps)
        for line in plane.lines
        for event in line.events
        for start in [line.timestamp_ns * 1000 + event.offset_ps]
    ]
    epochs = [
        (start, end)
        for name, start, end in events
        if name.startswith("EagerLocalExecute: __inference_run_epoch")
    ]
    times: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    for name, start, end in events:
        kind = next((kind for kind, names in KINDS.items() if re.fullmatch(names, name)), None)
        if kind and any(first <= start < last for first, last in epochs):
            times[kind] += end - start
    times["rest"] = sum(end - start for start, end in epochs) - sum(times.values())
    return {kind: time / 1e9 for kind, time in times.items()}


def _name(event: Any, plane: Any) -> str:
    """An event's name; that of an operation is `path:name`."""
    name = str(plane.event_metadata[event.metadata_id].name)
    if name != "ExecutorState::ProcessAsync::Start":
        return name
    # An operation that may return before it is done, which the only thread does not.
    about = {
        plane.stat_metadata[stat.metadata_id].name: plane.stat_metadata[stat.ref_value].name
        for stat in event.stats
    }
    return f"{about['name']}:{about['kernel_type']}"


def convolution_gflop(spec: TrialSpec, fold: "FoldData") -> dict[str, float]:
    """Useful arithmetic of the convolutions in a step, by kind: that of the matrix products.

    A multiplication and an addition for each kernel weight, place and row; products with padding
    count. Nobody needs the first layer's gradient by its inputs, and it is not computed.
    """
    n_rows = len(fold.y_train)
    rows = n_rows / spec.training.steps_per_epoch(n_rows)
    layers = [
        2.0 * math.prod(layer.kernel) * math.prod(layer.output_shape[:2]) * rows / 1e9
        for layer in spec.layers
        if layer.kind == "convolution"
    ]
    return {
        "convolution, forward": sum(layers),
        "convolution, filter gradient": sum(layers),
        "convolution, input gradient": sum(layers[1:]),
    }


def show_profile(
    own: dict[str, float], plain: dict[str, float], gflop: dict[str, float], gemm: float
) -> dict[str, Any]:
    """Prints what a step consists of and what that says of the limit; returns the numbers.

    Args:
        own: Milliseconds of a step by kind of operation.
        plain: The same with TensorFlow's gradient of max pooling.
        gflop: Useful arithmetic of a step by kind of operation.
        gemm: GFLOP/s of large matrix products on one core.
    """
    step = sum(own.values())
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("a step on one core")
    for column in ("ms", "share", "GFLOP/s", "of products", "ms, TensorFlow's pooling"):
        table.add_column(column, justify="right")
    for kind, milliseconds in own.items():
        rate = gflop[kind] / milliseconds * 1000 if kind in gflop and milliseconds else None
        table.add_row(
            kind,
            f"{milliseconds:.2f}",
            f"{milliseconds / step:.0%}",
            "" if rate is None else f"{rate:.0f}",
            "" if rate is None else f"{rate / gemm:.0%}",
            f"{plain[kind]:.2f}",
        )
    table.add_row("all", f"{step:.2f}", "100%", "", "", f"{sum(plain.values()):.2f}")
    console.print(table)
    convolutions = sum(own[kind] for kind in gflop)
    useful = sum(gflop.values())
    at_best = useful / gemm * 1000
    console.print(
        f"Convolutions: {convolutions / step:.0%} of a step, at {useful / convolutions * 1000:.0f} "
        f"GFLOP/s; large products: {gemm:.0f} on one core. Without all the rest a step would be "
        f"{step / convolutions:.2f} times as fast, with convolutions at the rate of large products "
        f"too {step / at_best:.2f} times."
    )
    return {
        "milliseconds_per_step": own,
        "with_tensorflow_pooling": plain,
        "convolution_gflop_per_step": gflop,
        "gemm_gflops_one_core": gemm,
    }
