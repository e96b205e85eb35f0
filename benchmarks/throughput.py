"""How long 200 random trials take: nas beside what else one would use, in one run.

The trials are those that `nas search --sampler random --seed 0` proposes (digits, 5 folds, 20
epochs, batch 32; depth 1-4, width 32, 64 or 128). Slow ways train a sample of them, spread evenly
over their numbers of weights, and their time is scaled. Ratios are what counts, times are of the
machine; it should be idle otherwise. Usage:

    python benchmarks/throughput.py [--trials 200] [--sample 6] [--only nas fit] [--json FILE]
    python benchmarks/throughput.py --only nas --warm --mnist --memory
    python benchmarks/throughput.py --only --cnn --sample 2

KerasTuner is measured where it is installed (`pip install keras-tuner`).
"""

import argparse
import gc
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cnn
import memory
import mnist
import numpy as np
import peers
import warm
from compiled_loop import architecture, with_compiled_loop
from machine import describe_machine, gemm_gflops
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from work import SPACE, Work, console, digits_work, useful_flops


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
            with_compiled_loop,
            "an epoch in JAX for each architecture, a pinned process a core, cold start",
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
    kinds_growth = len(set(map(architecture, work.specs))) / len(set(map(architecture, specs)))
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
    parser.add_argument("--warm", action="store_true", help="epochs of compiled programs as well")
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

    facts = describe_machine()
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
    if arguments.warm:
        report["warm"] = warm.run_warm(work, gflops["one core"])
        save()
    if arguments.mnist:
        report["mnist"] = mnist.run_mnist(arguments.engine)
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
        report["memory"] = memory.run_memory(
            peers.engine_class(arguments.engine), work, arguments.memory
        )
        save()
    if arguments.overheads:
        import overheads  # and with it the whole search

        seconds = nas.get("seconds") if nas is not None and "failed" not in nas else None
        report["overheads"] = overheads.run_overheads(seconds, arguments.trials, arguments.workers)
        save()


if __name__ == "__main__":
    main()
