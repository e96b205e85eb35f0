"""How long 200 random trials take: nas beside what else one would use, in one run.

The trials are those that `nas search --sampler random --seed 0` proposes (digits, 5 folds, 20
epochs, batch 32; depth 1-4, width 32, 64 or 128). Slow ways train a sample of them, spread evenly
over their numbers of weights, and their time is scaled. Ratios are what counts, times are of the
machine; it should be idle otherwise. Usage:

    python benchmarks/throughput.py [--trials 200] [--sample 6] [--only nas fit] [--json FILE]
    python benchmarks/throughput.py --only nas --mnist --memory
    python benchmarks/throughput.py --only --cnn --sample 2

KerasTuner is measured where it is installed (`pip install keras-tuner`).
"""

import argparse
import gc
import itertools
import json
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnn
import numpy as np
import peers
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from nas.space import RandomSuggester, Range, SearchSpace
from nas.spec import Problem, TrialSpec

if TYPE_CHECKING:
    from nas.data import FoldData
    from nas.engines.base import Engine
    from nas.engines.program import Shape

SPACE = SearchSpace(
    {
        "depth": Range(1, 4),
        "width": [32, 64, 128],
        "activation": ["relu", "gelu", "tanh", "sigmoid"],
        "optimizer": ["adam", "sgd", "rmsprop"],
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "l2": Range(1e-7, 1e-2, log=True),
        "dropout": Range(0.0, 0.5),
        "batch_size": 32,
        "epochs": 20,
    },
    name="throughput",
)
PACKAGES = ("nas", "tensorflow", "keras", "numpy", "scikit-learn", "keras-tuner", "optuna")

MNIST_TRAIN_ROWS = 48_000  # of the 60,000; the rest validates
MNIST_DEPTHS = (1, 4, 10)

MEMORY_EVERY = 50  # trials between two looks at the memory
MEMORY_FROM = 100  # trials until everything that is kept once is there
MEMORY_EPOCHS = 2

console = Console(highlight=False, markup=False, emoji=False)


# The work


@dataclass(frozen=True)
class Work:
    """What is trained: trial `k` has `specs[k]` and `seeds[k]`."""

    folds: tuple["FoldData", ...]
    specs: list[TrialSpec]
    seeds: list[int]

    def sample(self, n: int) -> list[int]:
        """Numbers of `n` trials, evenly spread over all of them in order of their weights."""
        by_size = sorted(range(len(self.specs)), key=lambda k: self.specs[k].n_weights)
        n = min(n, len(by_size))
        return sorted(by_size[int((i + 0.5) * len(by_size) / n)] for i in range(n))


def digits_work(n_trials: int) -> Work:
    """The trials that `nas search` proposes, on its folds."""
    from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
    from nas.models.preprocessing import encode_folds

    dataset = load_dataset(DataOptions("digits"))
    folds = encode_folds(dataset, split_dataset(dataset, SplitOptions()).folds)
    problem = Problem("multiclass", folds[0].x_train.shape[1], dataset.n_outputs)
    specs, seeds = draw_trials(n_trials, problem)
    return Work(folds, specs, seeds)


def draw_trials(n_trials: int, problem: Problem) -> tuple[list[TrialSpec], list[int]]:
    """Specifications and seeds of a random search, in its order."""
    import optuna

    from nas.search.proposals import derive_seed, make_sampler

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    specs, seeds = [], []
    for index in range(n_trials):
        study.sampler = make_sampler("random", 0, index, 0)
        specs.append(SPACE.sample(study.ask(), problem))
        seeds.append(derive_seed(0, index))
    return specs, seeds


def useful_flops(spec: TrialSpec, n_rows: float, folds: int) -> float:
    """Arithmetic that no way can avoid: that of the matrix products.

    A multiplication and an addition for each kernel weight and row, once forwards and twice
    backwards. (The first layer's gradient by its inputs is counted, though nobody needs it.)

    Args:
        spec: The trial.
        n_rows: Training rows of a fold, as a mean.
        folds: Number of folds.
    """
    sizes = [spec.problem.n_inputs, *spec.architecture.units, spec.problem.n_outputs]
    kernels = sum(a * b for a, b in itertools.pairwise(sizes))
    return 6.0 * kernels * n_rows * spec.training.epochs * folds


# The machine


def machine() -> dict[str, Any]:
    """What the times depend on."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cpu": model,
        "cores": len(peers.usable_cpus()),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }


def gemm_gflops(threads: int, size: int = 2048, repeats: int = 5) -> float:
    """Rate of large products of 32-bit matrices, one for each thread at once; the best of some."""
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(0)
    a, b = generator.random((2, size, size), dtype=np.float32)
    targets = [np.empty_like(a) for _ in range(threads)]
    best = math.inf
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            started = time.perf_counter()
            list(pool.map(lambda target: np.matmul(a, b, out=target), targets))
            best = min(best, time.perf_counter() - started)
    return threads * 2 * size**3 / best / 1e9


# The rows


@dataclass(frozen=True)
class Row:
    """One way, and how many of the trials it is given.

    Attributes:
        title: What the table calls it.
        trials: Which number of trials it trains.
        train: From folds, specifications, seeds and a tick to a `Timing`.
        note: What a reader must know of it.
    """

    title: str
    trials: Literal["few", "some", "all"]
    train: Callable[..., peers.Timing]
    note: str = ""


def make_rows(engine: str, workers: int | None, cache: str) -> dict[str, Row]:
    """All rows by the name that `--only` takes.

    Args:
        engine: Of `nas search`.
        workers: Of `nas search`.
        cache: An empty directory for the programs that `nas search` compiles.
    """
    return {
        "fit": Row("model.fit", "few", peers.with_fit, "a fresh model for each fold"),
        "tuner": Row(
            "KerasTuner",
            "few",
            peers.with_keras_tuner,
            "random search, a fresh model for each fold",
        ),
        "sklearn": Row(
            "scikit-learn",
            "some",
            peers.with_sklearn,
            "MLPClassifier, RandomizedSearchCV on all cores; ReLU for GELU, Adam for RMSprop, no "
            "dropout, no scores during training",
        ),
        "loop": Row(
            "compiled loop",
            "some",
            peers.with_compiled_loop,
            "an XLA epoch written for each architecture, a pinned process a core, cold start",
        ),
        "keras": Row(
            "keras engine",
            "some",
            lambda *work: peers.with_engine(peers.engine_class("keras"), *work),
            "nas in one process, without a study",
        ),
        "nas": Row(
            "nas search",
            "all",
            partial(peers.with_nas_search, SPACE, engine, workers, cache),
            f"the whole command with --engine {engine}, cold start, all programs compiled",
        ),
        "again": Row(
            "nas, again",
            "all",
            partial(peers.with_nas_search, SPACE, engine, workers, cache),
            "the same command, with the programs that the row before has kept on disk",
        ),
    }


def run_row(row: Row, work: Work, trials: Sequence[int]) -> dict[str, Any]:
    """Trains the given trials, and scales the time to all of them; says why if it cannot."""
    specs = [work.specs[k] for k in trials]
    gc.collect()
    if not console.is_terminal:
        console.print(f"{row.title}: {len(trials)} of {len(work.specs)} trials")
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(row.title, total=len(trials))
        try:
            timing = row.train(
                work.folds, specs, [work.seeds[k] for k in trials], lambda: progress.advance(task)
            )
        except ImportError as error:
            return {"title": row.title, "failed": f"not installed ({error.name})"}
        except Exception as error:  # the other rows go on
            lines = str(error).splitlines() or [""]
            return {"title": row.title, "failed": f"{type(error).__name__}: {lines[0]}"}
    growth = len(work.specs) / len(specs)
    kinds_growth = len(set(map(peers.architecture, work.specs))) / len(
        set(map(peers.architecture, specs))
    )
    rest = timing.seconds - timing.fixed - timing.compiling
    return {
        "title": row.title,
        "note": row.note,
        "trials": list(trials),
        "accuracies": [value if math.isfinite(value) else None for value in timing.accuracies],
        "seconds_measured": timing.seconds,
        "seconds_fixed": timing.fixed,
        "seconds_compiling": timing.compiling,
        "seconds_for_all": timing.fixed + timing.compiling * kinds_growth + rest * growth,
        "details": timing.details,
    }


def add_comparisons(rows: dict[str, dict[str, Any]], n_trials: int) -> None:
    """Adds to each row what it is beside `model.fit` and nas."""
    done = {name: row for name, row in rows.items() if "failed" not in row}
    by_nas: dict[int, float] = {}
    if "nas" in done:
        by_nas = dict(zip(done["nas"]["trials"], done["nas"]["accuracies"], strict=True))
    for row in done.values():
        total = row["seconds_for_all"]
        row["seconds_per_trial"] = total / n_trials
        row["mean_accuracy"] = _mean(row["accuracies"])
        row["mean_accuracy_of_nas"] = _mean([by_nas.get(k) for k in row["trials"]])
        row["times_fit"] = done["fit"]["seconds_for_all"] / total if "fit" in done else None
        row["nas_is_times"] = total / done["nas"]["seconds_for_all"] if "nas" in done else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def show_rows(rows: dict[str, dict[str, Any]], n_trials: int) -> None:
    """The table, and the rows' notes below it."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for column in (
        "trained",
        f"s for {n_trials}",
        "s / trial",
        "x fit",
        "nas is x",
        "accuracy",
        "nas here",
    ):
        table.add_column(column, justify="right")
    for row in rows.values():
        if "failed" in row:
            table.add_row(row["title"], "failed")
            continue
        table.add_row(
            row["title"],
            str(len(row["trials"])),
            _number(row["seconds_for_all"], ",.1f"),
            _number(row["seconds_per_trial"], ".3f"),
            _number(row["times_fit"], ".1f"),
            _number(row["nas_is_times"], ".1f"),
            _number(row["mean_accuracy"], ".4f"),
            _number(row["mean_accuracy_of_nas"], ".4f"),
        )
    console.print(table)
    for row in rows.values():
        text = row.get("failed") or row["note"]
        if row.get("details"):
            text += "".join(f"; {key} {value}" for key, value in row["details"].items())
        if text:
            console.print(f"  {row['title']}: {text}", style="dim")


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def arithmetic(work: Work, gflops: dict[str, float], nas: dict[str, Any] | None) -> dict[str, Any]:
    """The useful arithmetic, the time that it takes at the rate of large products, nas's share."""
    n_rows = float(np.mean([len(fold.y_train) for fold in work.folds]))
    total = sum(useful_flops(spec, n_rows, len(work.folds)) for spec in work.specs) / 1e9
    floor = total / gflops["all cores"]
    numbers: dict[str, Any] = {
        "useful_gflop": total,
        "gemm_gflops": gflops,
        "floor_seconds": floor,
    }
    text = (
        f"Useful arithmetic: {total:,.0f} GFLOP. Large products: {gflops['all cores']:.0f} GFLOP/s "
        f"on all cores, {gflops['one core']:.0f} on one; {floor:.1f} s at the least."
    )
    if nas is not None:
        rate = total / nas["seconds_for_all"]
        share = rate / gflops["all cores"]
        numbers |= {"nas_gflops": rate, "nas_share": share}
        text += f" nas search: {rate:.1f} GFLOP/s, {100 * share:.1f} % of that."
    console.print(text)
    return numbers


# Larger data


def mnist_fold() -> "FoldData":
    """48,000 rows that train and 12,000 that validate, all of MNIST's training part."""
    from nas.data import FoldData

    folder = Path(os.environ.get("NAS_DATA_DIR", "../shared/data"))
    with np.load(folder / "mnist.npz") as arrays:
        x, y = arrays["x_train"].reshape(60_000, -1), arrays["y_train"].astype(np.int64)
    n = MNIST_TRAIN_ROWS
    mean, scale = np.float32(x[:n].mean()), np.float32(x[:n].std())
    x = (x.astype(np.float32) - mean) / scale
    return FoldData("multiclass", x[:n], y[:n], x[n:], y[n:], 0.0, 1.0)


def run_mnist(engine: "type[Engine]") -> list[dict[str, Any]]:
    """Seconds an epoch of `model.fit` and of an engine, by depth."""
    fold = mnist_fold()
    rows: list[dict[str, Any]] = []
    with console.status("MNIST") as status:
        for depth in MNIST_DEPTHS:
            status.update(f"MNIST, depth {depth}")
            space = SearchSpace(
                {
                    "depth": depth,
                    "width": 50,
                    "activation": "relu",
                    "optimizer": "adam",
                    "learning_rate": 0.001,
                    "batch_size": 32,
                    "epochs": peers.MNIST_EPOCHS,
                }
            )
            spec = space.sample(
                RandomSuggester(0), Problem("multiclass", fold.x_train.shape[1], 10)
            )
            epochs = {
                "fit": peers.fit_epochs(fold, spec),
                "engine": peers.engine_epochs(engine, fold, spec),
            }
            flops = useful_flops(spec, len(fold.y_train), 1) / spec.training.epochs / 1e9
            rows.append({"depth": depth, "useful_gflop_per_epoch": flops, "seconds": epochs})
    table = Table("MNIST, depth", "s / epoch, fit", f"{engine.name} engine", "x fit", box=None)
    for row in rows:
        fit, own = (float(np.mean(row["seconds"][way][1:])) for way in ("fit", "engine"))
        row |= {"fit_epoch": fit, "engine_epoch": own, "times_fit": fit / own}
        table.add_row(str(row["depth"]), f"{fit:.2f}", f"{own:.2f}", f"{fit / own:.1f}")
    console.print(table)
    return rows


# Memory


def resident_megabytes() -> float:
    """Memory of this process and of all that it started, in MB; of Linux only."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(path.parent.name)] = int(fields[1])
    family = {os.getpid()}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    pages = 0
    for process in family:
        try:
            pages += int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory_growth(
    engine: "Engine",
    specs: Sequence[TrialSpec],
    seeds: Sequence[int],
    tick: peers.Tick,
    start: int = MEMORY_FROM,
    every: int = MEMORY_EVERY,
) -> dict[str, Any]:
    """Trains trials one by one, and how much memory each leaves behind.

    Returns:
        Numbers of trials, the MB after them, and the slope of a straight line through those
        after the first `start` trials; None with less than two.
    """
    counts, megabytes = [], []
    for count, (spec, seed) in enumerate(zip(specs, seeds, strict=True), start=1):
        cohort = engine.start([spec], [seed])
        while cohort.running().any():
            cohort.advance()
        cohort.finish()
        del cohort
        tick()
        if count % every == 0:
            counts.append(count)
            megabytes.append(resident_megabytes())
    n_late = sum(count >= start for count in counts)
    slope = None
    if n_late > 1:
        slope = float(np.polyfit(counts[-n_late:], megabytes[-n_late:], 1)[0])
    return {"trials": counts, "megabytes": megabytes, "megabytes_per_trial": slope}


def run_memory(engine: "type[Engine]", work: Work, n_trials: int) -> dict[str, Any]:
    """`memory_growth` of an engine on further trials of the space, with few epochs."""
    from nas.metrics import METRICS

    drawn, seeds = draw_trials(n_trials, work.specs[0].problem)
    specs = [replace(s, training=replace(s.training, epochs=MEMORY_EPOCHS)) for s in drawn]
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Memory", total=n_trials)
        trained: Any = engine(work.folds, METRICS["accuracy"])
        growth = memory_growth(trained, specs, seeds, lambda: progress.advance(task))
    slope = growth["megabytes_per_trial"]
    last = growth["megabytes"][-1] if growth["megabytes"] else None
    console.print(
        f"Memory, {engine.name} engine: {_number(slope, '.3f')} MB a trial after the first "
        f"{MEMORY_FROM}; {_number(last, ',.0f')} MB after {n_trials} trials of {MEMORY_EPOCHS} "
        "epochs."
    )
    if engine.name == "compiled":
        growth["shapes"], growth["programs"] = count_programs(trained.shapes)
        console.print(f"{growth['programs']} compiled programs for {growth['shapes']} shapes.")
    return growth


def count_programs(shapes: "set[Shape]") -> tuple[int, int]:
    """Shapes that were trained, and the programs that were compiled for them."""
    from nas.engines.program import compile_epoch

    programs = [compile_epoch(shape).experimental_get_tracing_count() for shape in shapes]
    return len(shapes), sum(programs)


# Everything but training


def run_overheads(seconds: float | None, n_trials: int, workers: int | None) -> dict[str, Any]:
    """What storage and sampler cost, and how busy workers are while halving prunes.

    Args:
        seconds: Wall time of `nas search` for as many trials, if it was measured.
        n_trials: Trials of the comparison.
        workers: Workers of the default search; None for all cores.
    """
    import overheads

    report: dict[str, Any] = {}
    for sampler in ("random", "tpe"):
        cost = overheads.search_without_training(SPACE, n_trials, sampler)
        report[sampler] = cost
        share = f", {cost / seconds:.1%} of the search's time" if seconds else ""
        console.print(
            f"Storage, sampler ({sampler}) and loop: {cost:.1f} processor seconds for {n_trials} "
            f"trials{share}."
        )
    report["halving"] = halving = overheads.default_search(n_trials, workers)
    console.print(
        f"Default search with halving, {n_trials} trials: {halving['seconds']:.0f} s, "
        f"{halving['pruned']} pruned; workers busy {halving['busy']:.1%} of the time."
    )
    return report


# The command


def parse_arguments() -> argparse.Namespace:
    names = list(make_rows("keras", None, ""))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200, help="trials of the comparison")
    parser.add_argument("--sample", type=int, default=6, help="trials of the slowest rows")
    parser.add_argument("--larger-sample", type=int, default=40, help="trials of the other samples")
    parser.add_argument("--only", nargs="*", choices=names, default=names, metavar="ROW")
    parser.add_argument(
        "--engine", default="compiled", help="engine of nas search, MNIST and memory"
    )
    parser.add_argument("--workers", type=int, help="workers of nas search")
    parser.add_argument("--mnist", action="store_true", help="epochs on 48,000 rows as well")
    parser.add_argument(
        "--cnn",
        type=int,
        nargs="?",
        const=6,
        metavar="TRIALS",
        help="a convolutional network as well; model.fit trains --sample of the trials",
    )
    parser.add_argument(
        "--memory", type=int, nargs="?", const=400, metavar="TRIALS", help="memory as well"
    )
    parser.add_argument(
        "--overheads", action="store_true", help="storage, sampler and idle workers as well"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    counts = (arguments.trials, arguments.sample, arguments.larger_sample, arguments.cnn or 1)
    if min(counts) < 1:
        parser.error("expected at least one trial")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    from nas.engines.startup import start_tensorflow

    facts = machine()
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    console.print(f"{facts['cores']} cores, {facts['cpu']}; {versions}")
    if (facts["load_before"] or 0.0) > 0.3:
        console.print(f"The machine is not idle: load {facts['load_before']:.2f}", style="bold")
    gflops = {"all cores": gemm_gflops(facts["cores"]), "one core": gemm_gflops(1)}
    start_tensorflow()
    peers.warm_up()
    work = digits_work(arguments.trials)

    report: dict[str, Any] = {"machine": facts, "options": vars(arguments) | {"json": None}}
    rows: dict[str, dict[str, Any]] = {}
    sizes = {
        "few": arguments.sample,
        "some": arguments.larger_sample,
        "all": arguments.trials,
    }

    def save() -> None:
        # After every part, so that a long run that is ended leaves what it has.
        if arguments.json is not None:
            text = json.dumps(report, indent=2, allow_nan=False)
            arguments.json.write_text(text + "\n", encoding="utf-8")

    with tempfile.TemporaryDirectory() as cache:
        for name, row in make_rows(arguments.engine, arguments.workers, cache).items():
            if name in arguments.only:
                rows[name] = run_row(row, work, work.sample(sizes[row.trials]))
                add_comparisons(rows, arguments.trials)
                report["rows"] = rows
                save()
    if rows:
        show_rows(rows, arguments.trials)
    nas = rows.get("nas")
    if rows:
        report["arithmetic"] = arithmetic(
            work, gflops, nas if nas is not None and "failed" not in nas else None
        )
        save()
    if arguments.mnist:
        report["mnist"] = run_mnist(peers.engine_class(arguments.engine))
        save()
    if arguments.cnn is not None:
        report["cnn"] = cnn.run_cnn(
            arguments.cnn,
            min(arguments.sample, arguments.cnn),
            arguments.workers or facts["cores"],
            gflops["one core"],
        )
        save()
    if arguments.memory is not None:
        report["memory"] = run_memory(peers.engine_class(arguments.engine), work, arguments.memory)
        save()
    if arguments.overheads:
        seconds = nas.get("seconds") if nas is not None and "failed" not in nas else None
        report["overheads"] = run_overheads(seconds, arguments.trials, arguments.workers)
        save()


if __name__ == "__main__":
    main()
