"""`nas screen`."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.data_options import (
    CategoricalOption,
    ClassesOption,
    ClassWeightOption,
    DateOption,
    DropOption,
    GroupsOption,
    HeaderOption,
    ImageSizeOption,
    LabelNoiseOption,
    MaxRowsOption,
    MergeRareOption,
    MissingOption,
    NumericOption,
    PositiveOption,
    QuantilesOption,
    SampleWeightOption,
    ScalingOption,
    SourceOption,
    TargetOption,
    TargetScalingOption,
    TaskOption,
    TestOption,
    TextOption,
    TimeOption,
    names_of,
)
from nas.cli.output import JsonOption, console, plain_table, print_json, say, time_option
from nas.shell import join
from nas.wording import score

if TYPE_CHECKING:
    from nas.analysis.screening import Screening
    from nas.experiments.screen_sample import Sampling


def screen(
    space: Annotated[
        str, typer.Option(help="A YAML file, or the name of a shipped space; see 'nas space list'.")
    ] = "mlp_depth",
    n: Annotated[
        int, typer.Option("--n", min=8, help="Number of networks to score before training.")
    ] = 500,
    sample: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Number of them to train. \\[default: as many as --timeout allows]",
        ),
    ] = None,
    data: SourceOption = None,
    target: TargetOption = None,
    task: TaskOption = None,
    drop: DropOption = None,
    categorical: CategoricalOption = None,
    numeric: NumericOption = None,
    date: DateOption = None,
    text: TextOption = None,
    test: TestOption = None,
    header: HeaderOption = None,
    missing: MissingOption = None,
    scaling: ScalingOption = "standard",
    target_scaling: TargetScalingOption = "standard",
    quantiles: QuantilesOption = None,
    image_size: ImageSizeOption = None,
    classes: ClassesOption = None,
    merge_rare: MergeRareOption = None,
    max_rows: MaxRowsOption = None,
    label_noise: LabelNoiseOption = 0.0,
    metric: Annotated[
        str | None,
        typer.Option(
            help="accuracy, balanced_accuracy, f1, auc, log_loss; r2, rmse, mae; pinball for "
            "quantiles. \\[default: accuracy, r2 or pinball]"
        ),
    ] = None,
    positive: PositiveOption = None,
    folds: Annotated[int, typer.Option(min=1, help="Number of folds; 1 is a single split.")] = 5,
    groups: GroupsOption = None,
    sample_weight: SampleWeightOption = None,
    class_weight: ClassWeightOption = "none",
    time: TimeOption = None,
    test_size: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.9, help="Share of the rows that are set aside and not used; 0 is none."
        ),
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    timeout: Annotated[
        str,
        typer.Option(
            callback=time_option,
            help="Time within which to finish, such as 60 or 5m; at least 8 networks are trained.",
        ),
    ] = "55",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes that train; 1 trains in this one. \\[default: the cores]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure which cheap scores of networks are worth anything on your data.

    Scores networks before training and after one epoch, trains a sample of them on all folds, and
    reports how well each score ranks them. Writes no files.
    """
    from nas.screened import screen as run

    screened = run(
        space,
        data,
        target,
        n=n,
        sample=sample,
        timeout=timeout,
        folds=folds,
        groups=groups,
        sample_weight=sample_weight,
        class_weight=class_weight,
        time=time,
        test=test,
        test_size=test_size,
        metric=metric,
        positive=positive,
        task=task,
        drop=names_of(drop),
        categorical=names_of(categorical),
        numeric=names_of(numeric),
        date=names_of(date),
        text=names_of(text),
        header=header,
        missing=names_of(missing),
        scaling=scaling,
        target_scaling=target_scaling,
        quantiles=names_of(quantiles),
        image_size=image_size,
        classes=names_of(classes),
        merge_rare=merge_rare,
        max_rows=max_rows,
        label_noise=label_noise,
        workers=workers,
        seed=seed,
        quiet=as_json,
    )
    screening, prepared = screened.screening, screened.prepared
    if as_json:
        print_json(
            {
                "space": prepared.space.name,
                "data": prepared.data_options.source,
                "positive": prepared.metric.positive_label or None,
                "findings": [asdict(finding) for finding in prepared.findings],
                **screening.to_dict(),
            }
        )
        return
    _show(screening, screened.sampling, prepared.metric.title, all_sizes=sample is not None)
    from nas.analysis.screening import FEW
    from nas.proposal import option_words

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
        "numeric": numeric,
        "date": date,
        "text": text,
        "test": test,
        "header": header,
        "missing": missing,
        "positive": positive,
        "scaling": scaling if scaling != "standard" else None,
        "quantiles": quantiles,
        "target-scaling": target_scaling if target_scaling != "standard" else None,
        "image-size": image_size,
        "classes": classes,
        "merge-rare": merge_rare,
        "max-rows": max_rows,
        "label-noise": label_noise or None,
        "metric": metric,
        "folds": folds if folds != 5 else None,
        "groups": groups,
        "sample-weight": sample_weight,
        "class-weight": class_weight if class_weight != "none" else None,
        "time": time,
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
