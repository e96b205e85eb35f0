"""`nas screen`."""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn

from nas.cli.data_options import (
    CategoricalOption,
    ClassesOption,
    DropOption,
    GroupsOption,
    HeaderOption,
    ImageSizeOption,
    LabelNoiseOption,
    MaxRowsOption,
    MissingOption,
    PositiveOption,
    ScalingOption,
    SourceOption,
    TargetOption,
    TaskOption,
    reading,
    show_data,
    show_findings,
)
from nas.cli.output import (
    JsonOption,
    console,
    plain_table,
    print_json,
    say,
    score,
    stderr_console,
    working,
)
from nas.cli.search import describe_folds, encode_data, seconds_of
from nas.engines.processes import default_workers, prepare_processes
from nas.engines.startup import start_tensorflow
from nas.shell import join
from nas.space import load_space

if TYPE_CHECKING:
    from nas.analysis.screen_sample import SampleOptions, Sampling
    from nas.analysis.screening import Screening

ENDING = 3.0  # seconds of the time that judging and ending take


def screen(
    space: Annotated[
        str, typer.Option(help="A YAML file, or the name of a shipped space; see 'nas space list'.")
    ] = "mlp_depth",
    n: Annotated[int, typer.Option("--n", min=8, help="Networks to score before training.")] = 500,
    sample: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Networks to train, for the true score. \\[default: as many as --timeout allows]",
        ),
    ] = None,
    data: SourceOption = None,
    target: TargetOption = None,
    task: TaskOption = None,
    drop: DropOption = None,
    categorical: CategoricalOption = None,
    header: HeaderOption = None,
    missing: MissingOption = None,
    scaling: ScalingOption = "standard",
    image_size: ImageSizeOption = None,
    classes: ClassesOption = None,
    max_rows: MaxRowsOption = None,
    label_noise: LabelNoiseOption = 0.0,
    metric: Annotated[
        str | None,
        typer.Option(
            help="accuracy, balanced_accuracy, f1, auc, log_loss; r2, rmse, mae. "
            "\\[default: accuracy or r2]"
        ),
    ] = None,
    positive: PositiveOption = None,
    folds: Annotated[int, typer.Option(min=1, help="Folds; 1 is a single split.")] = 5,
    groups: GroupsOption = None,
    test_size: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share set aside and not looked at; 0 is none.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Seeds everything random.")] = 0,
    timeout: Annotated[
        str,
        typer.Option(
            help="Time to end in, such as 60 or 5m; at least 8 networks are trained all the same."
        ),
    ] = "55",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that train; 1 trains in this one. \\[default: the cores]"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Is there a way to know before training? Which cheap scores are worth anything on your data.

    Scores networks before training and after one epoch, trains a sample of them on all folds, and
    tells how well each score ranks them. Writes nothing.
    """
    deadline = time.monotonic() + (seconds_of(timeout) or 0.0) - ENDING
    the_space = load_space(space)

    with working("Reading the data"):
        n_workers = default_workers() if workers is None else workers
        if n_workers > 1:  # they import TensorFlow while this process reads the data
            prepare_processes()

        from nas.analysis.reproduction import option_words
        from nas.analysis.screen_sample import SampleOptions, draw_networks, run_sampling
        from nas.analysis.screening import FEW, judge
        from nas.data import SplitOptions, load_dataset, split_dataset
        from nas.data.findings import find
        from nas.metrics import check_metric, choose_metric

        data_options = reading(
            the_space,
            data,
            target=target,
            task=task,
            groups=groups,
            drop=drop,
            categorical=categorical,
            header=header,
            missing=missing,
            positive=positive,
            scaling=scaling,
            image_size=image_size,
            classes=classes,
            max_rows=max_rows,
            label_noise=label_noise,
        )
        if data_options.source in ("mnist", "fashion_mnist", "cifar10"):
            start_tensorflow()
        dataset = load_dataset(data_options)
        the_space.check_problem(dataset.problem(1))
        split = split_dataset(dataset, SplitOptions(folds, test_size=test_size, seed=seed))
        the_metric = choose_metric(metric, dataset, positive)
        scored = {f"fold {k}": dataset.y[fold.val] for k, fold in enumerate(split.folds, start=1)}
        check_metric(the_metric, scored, len(dataset.classes))
        findings = [asdict(finding) for finding in find(dataset, split, the_metric.name)]
        # Whether the space holds enough networks does not depend on the number of inputs.
        draw_networks(the_space, dataset.problem(1), n, seed)

    if not as_json:
        show_data(dataset)
        show_findings(findings)
        say(f"{describe_folds(folds, 1)} on {len(split.development):,} rows", "Split")
    with working("Starting TensorFlow"):
        pool: Any
        if n_workers > 1:
            from nas.engines.workers import WorkerPool

            pool = WorkerPool(n_workers)
            encoded = pool.call(encode_data, dataset, split, pool.rows_folder)
            pool.load(encoded, the_metric, "auto")
        else:
            start_tensorflow()
            from nas.engines.pool import LocalPool
            from nas.engines.selection import Selection

            encoded = encode_data(dataset, split)
            pool = LocalPool(Selection(encoded, the_metric, "auto").choose)
    problem = dataset.problem(encoded[0].x_train.shape[1])
    specs = draw_networks(the_space, problem, n, seed)
    options = SampleOptions(sample, deadline, seed, n_workers)
    try:
        sampling = _follow(run_sampling(pool, specs, encoded, options), len(specs), options)
    finally:
        pool.close()
    screening = judge(
        sampling.networks,
        sampling.trained,
        len(split.folds),
        the_metric.name,
        the_metric.direction,
        seed,
    )
    if as_json:
        print_json(
            {
                "space": the_space.name,
                "data": data_options.source,
                "positive": the_metric.positive_label or None,
                "findings": findings,
                **screening.to_dict(),
            }
        )
        return
    _show(screening, sampling, the_metric.title, all_sizes=sample is not None)
    early = screening.score("one_epoch")
    tells = early.is_worth_something and (early.correlation or 0.0) > 0.0
    few = screening.n_trained < FEW and not tells
    words = {
        "space": space,
        "n": n if few and n != 500 else None,  # a search has no such option
        "data": data,
        "target": target,
        "task": task,
        "drop": drop,
        "categorical": categorical,
        "header": header,
        "missing": missing,
        "positive": positive,
        "scaling": scaling if scaling != "standard" else None,
        "image-size": image_size,
        "classes": classes,
        "max-rows": max_rows,
        "label-noise": label_noise or None,
        "metric": metric,
        "folds": folds if folds != 5 else None,
        "groups": groups,
        "test-size": test_size if test_size != 0.2 else None,
        "seed": seed or None,
        "sample": 2 * FEW if few else None,
        "pruner": None if tells or few else "none",
    }
    command = join(option_words(words))
    if few:
        say(f"nas screen {command}", "Next")
    else:
        why = "early scores tell, so prune" if tells else "early scores do not tell: do not prune"
        say(f"nas search {command} ({why})", "Next")


def _show(screening: "Screening", sampling: "Sampling", metric_title: str, all_sizes: bool) -> None:
    from nas.analysis.screening import FEW, signed, verdict

    drawn = f"{screening.n_trained} of {screening.n_networks} networks trained"
    if not all_sizes:
        drawn += ", none of the tenth with the most to compute"
    if sampling.unfinished:
        drawn += f"; {len(sampling.unfinished)} more not finished in time"
    if screening.n_diverged:
        drawn += f"; {screening.n_diverged} diverged"
    say(drawn, "Sample")
    if sampling.failures:
        say(f"{len(sampling.failures)} failed, the first because {sampling.failures[0]}", " ")
    say(
        f"{metric_title} over folds: median {_median(screening.median)}, "
        f"best {score(screening.best)}",
        "True",
    )
    say(
        f"{screening.full_seconds:.2g} s CPU for a full training, and "
        f"{screening.compile_seconds:.2g} s to compile each of {screening.n_programs} shapes",
        "Cost",
    )
    console.print()
    right = ("rank correlation", "CPU ms", "networks", "pick beats", "top quarter")
    table = plain_table("score", *right, right=right)
    for entry in sorted(screening.scores, key=lambda entry: -entry.pick):
        correlation = signed(entry.correlation)
        if entry.interval is not None:
            correlation += f" ({' to '.join(map(signed, entry.interval))})"
        table.add_row(
            entry.name.replace("_", " "),
            correlation,
            f"{1000 * entry.seconds:.{1 if entry.seconds >= 1e-3 else 3}f}",
            f"{entry.affordable:,}",
            f"{entry.pick:.1%}",
            _median(entry.top_quarter),
            style="bold" if entry.is_worth_something else "",
        )
    console.print(table)
    say(
        "Rank correlation: with the true score; the intervals hold together with 95 %, bold ones "
        "leave out 0. Networks: how many it scores while one epoch scores all drawn. Pick beats: "
        "share of the space that is worse than the one it picks among them. Top quarter: median "
        "true score of the quarter of the sample that it likes best."
    )
    console.print()
    for line in verdict(screening):
        say(line)
    if screening.n_trained < FEW:
        say(f"{screening.n_trained} networks are few: --sample {2 * FEW} tells more.")


def _median(value: float) -> str:
    return score(value) if math.isfinite(value) else "diverged"


def _follow(steps: "Iterator[Sampling]", n_networks: int, options: "SampleOptions") -> "Sampling":
    """Shows how far the sampling is, on stderr, until it ends."""
    shown = 0
    with Progress(
        TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[state]}"),
        console=stderr_console, transient=True, disable=not stderr_console.is_terminal,
    ) as progress:  # fmt: skip
        begun = time.monotonic()
        total = options.sample or max(options.deadline - begun, 1.0)
        scoring = progress.add_task("Scoring untrained networks", total=n_networks, state="")
        training = progress.add_task("Training a sample", total=total, state="")
        for state in steps:
            n_scored, n_trained = len(state.networks), len(state.trained)
            done = n_trained if options.sample else time.monotonic() - begun
            progress.update(scoring, completed=n_scored, state=f"{n_scored} of {n_networks}")
            progress.update(training, completed=done, state=_describe(n_trained, done, options))
            if not stderr_console.is_terminal and n_scored + n_trained > shown:
                shown = n_scored + n_trained
                print(f"{n_scored} scored, {n_trained} trained", file=sys.stderr, flush=True)
    return state


def _describe(n_trained: int, seconds: float, options: "SampleOptions") -> str:
    if options.sample:
        return f"{n_trained} of {options.sample}"
    left = options.deadline - time.monotonic()
    if left > 0.0:
        return f"{n_trained} trained, {left:.0f} s left"
    return f"{n_trained} trained, on to 8"
