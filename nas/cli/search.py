"""`nas search`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nas.about import DEFAULT_STORAGE
from nas.choices import EngineName, PrunerName, SamplerName, StopName
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
from nas.cli.output import (
    StorageOption,
    TensorboardOption,
    console,
    say,
    show_command,
    show_params,
    time_option,
)
from nas.cli.own_model import ModelOption, space_of_model
from nas.cli.recipe import ConfigOption, chosen_space
from nas.shell import option
from nas.stopping import exit_code
from nas.wording import score, with_interval

FOLDS = "Folds and score"  # a part of --help


def search(
    config: ConfigOption = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="A YAML file, or the name of a shipped space; see 'nas space list'. "
            "\\[default: tabular or images, after the data; mlp_depth without --data]"
        ),
    ] = None,
    model: ModelOption = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of trials that the study has at the end. "
            "\\[default: 100, or as many as --timeout allows]",
        ),
    ] = None,
    data: SourceOption = None,
    target: TargetOption = None,
    test: TestOption = None,
    task: TaskOption = None,
    drop: DropOption = None,
    categorical: CategoricalOption = None,
    numeric: NumericOption = None,
    date: DateOption = None,
    text: TextOption = None,
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
            "quantiles. \\[default: accuracy, r2 or pinball]",
            rich_help_panel=FOLDS,
        ),
    ] = None,
    positive: PositiveOption = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of folds; 1 is a single split. "
            "\\[default: 5, or fewer where --timeout has no time for them]",
            rich_help_panel=FOLDS,
        ),
    ] = None,
    nested: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Search so many times, each time without one part of the rows, and test the "
            "winners there: what such a search is worth.",
            rich_help_panel=FOLDS,
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            min=1, help="How often the cross-validation is repeated.", rich_help_panel=FOLDS
        ),
    ] = 1,
    groups: GroupsOption = None,
    sample_weight: SampleWeightOption = None,
    class_weight: ClassWeightOption = "none",
    time: TimeOption = None,
    val_size: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=0.9,
            help="Share of the rows for validation, with --folds 1.",
            rich_help_panel=FOLDS,
        ),
    ] = 0.2,
    test_size: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.9,
            help="Share of the rows to test the winner; 0 is none.",
            rich_help_panel=FOLDS,
        ),
    ] = 0.2,
    sampler: Annotated[
        SamplerName,
        typer.Option(help="The sampler that proposes trials."),
    ] = "tpe",
    startup_trials: Annotated[
        int | None,
        typer.Option(min=0, help="Random trials at the start. \\[default: a tenth, at least 10]"),
    ] = None,
    pruner: Annotated[
        PrunerName | None,
        typer.Option(
            help="The pruner that ends hopeless trials. \\[default: that of the study; a new "
            "one has halving for networks of equally many epochs on few rows, else racing]"
        ),
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="How many of the best trials are trained again on fresh folds, before the winner "
            "is chosen among them. \\[default: 5 after 20 complete trials, if time allows]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    timeout: Annotated[
        str | None,
        typer.Option(
            callback=time_option, help="Time after which the search stops: 90, 10m or 2h."
        ),
    ] = None,
    stop: Annotated[
        StopName,
        typer.Option(help="auto ends the search when more trials are not worth their time."),
    ] = "never",
    max_params: Annotated[
        int | None, typer.Option(min=1, help="Largest number of weights that a network may have.")
    ] = None,
    allow_duplicates: Annotated[
        bool,
        typer.Option("--allow-duplicates", help="Allow a network to be trained a second time."),
    ] = False,
    enqueue: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SETTINGS",
            help="Own settings to train before all others, such as depth=2,width=128, or a YAML or "
            "JSON file with a list of them. Repeatable.",
        ),
    ] = None,
    warm_start: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Another study of the database, whose best settings are trained first.",
        ),
    ] = None,
    engine: Annotated[
        EngineName,
        typer.Option(help="The engine that trains; auto is compiled if it can train the network."),
    ] = "auto",
    device: Annotated[
        str,
        typer.Option(help="cpu, gpu, or some GPUs as gpu:0,1; auto takes a GPU that JAX can use."),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes that train; 1 trains in this one. \\[default: the cores]",
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Name of the study. \\[default: the space's name]")
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    tensorboard: TensorboardOption = None,
) -> None:
    """Search a space for the best network, test it once, and save it.

    The same command continues an earlier search. Ctrl-C ends it at once, or with --workers 1 after
    some tenths of a second or the current epoch.
    """
    from nas import api
    from nas.model_card import default_model_path
    from nas.nested_search import nested as api_nested
    from nas.one_search import Interrupted
    from nas.options import SplitOptions
    from nas.space import parse_enqueued

    the_space: Any = None
    if model is not None:
        the_space = space_of_model(model, space)
    elif space is not None:
        the_space = chosen_space(space, config)
    options: dict[str, Any] = {
        "trials": trials,
        "timeout": timeout,
        "folds": folds,
        "repeats": repeats,
        "groups": groups,
        "sample_weight": sample_weight,
        "class_weight": class_weight,
        "time": time,
        "metric": metric,
        "positive": positive,
        "test": test,
        "task": task,
        "drop": names_of(drop),
        "categorical": names_of(categorical),
        "numeric": names_of(numeric),
        "date": names_of(date),
        "text": names_of(text),
        "header": header,
        "missing": names_of(missing),
        "scaling": scaling,
        "target_scaling": target_scaling,
        "quantiles": names_of(quantiles),
        "image_size": image_size,
        "classes": names_of(classes),
        "merge_rare": merge_rare,
        "max_rows": max_rows,
        "label_noise": label_noise,
        "sampler": sampler,
        "startup_trials": startup_trials,
        "pruner": pruner,
        "confirm": confirm,
        "stop": stop,
        "max_params": max_params,
        "allow_duplicates": allow_duplicates,
        "enqueue": [one for text in enqueue or () for one in parse_enqueued(text)] or (),
        "warm_start": warm_start,
        "engine": engine,
        "device": device,
        "workers": workers,
        "name": study,
        "storage": storage,
        "tensorboard": tensorboard,
        "seed": seed,
    }
    try:
        if nested is not None:
            usual = SplitOptions()
            changed = {"val_size": val_size, "test_size": test_size}
            options |= {k: v for k, v in changed.items() if v != getattr(usual, k)}
            _show_nested(api_nested(the_space, data, target, outer=nested, **options))
            return
        found = api.search(
            the_space, data, target, val_size=val_size, test_size=test_size, **options
        )
    except Interrupted:
        sys.exit(exit_code())  # past the line that any other interruption prints
    _show_winner(found.record, default_model_path(storage, found.name))
    if tensorboard is not None:
        say(f"tensorboard {option('logdir', tensorboard)}", "Runs")
    of_study = option("study", found.name)
    show_command(f"nas report {of_study}", storage, "Next")
    show_command(f"nas explain {of_study}", storage, " ")
    show_command("nas dashboard", storage, " ")
    sys.stdout.flush()


def _show_nested(found: Any) -> None:
    console.print()
    say("  ".join(map(score, found.values)), "Tests")
    title = found.studies[0].record.metric_title
    say(f"{title} {score(found.value, found.stderr)} on rows that no search saw", "Nested")
    how = f"{found.optimism:.2g} too good" if found.optimism > 0 else "not better"
    say(f"{score(found.searched)} over their own folds: {how}", " ")
    names = ", ".join(study.name for study in found.studies)
    say(f"{names}; without --nested the same command finds the network to use", "Studies")


def _show_winner(record: Any, path: Path) -> None:
    from nas.analysis.winner import summarize
    from nas.one_search import guessing

    summary = summarize(record)
    best, simplest = record.best(), summary["simplest"]
    console.print()
    say(f"trial {best.number}: {best.spec.describe()}", "Winner")
    say(show_params(best.params), " ")
    where = "over folds" if best.stderr is not None else "on the validation part"
    say(
        f"{record.metric_title} {score(best.value, best.stderr)} {where}"
        f"{guessing(record.settings)}, {best.n_weights:,} weights",
        " ",
    )
    if again := summary["confirmed"]:
        of = f", the best of {again['n_trials']}" if again["n_trials"] > 1 else ""
        where = "on fresh folds" if again["on_fresh_folds"] else "from fresh seeds"
        say(f"{with_interval(again['value'], again['interval'])} {where}{of}", "Confirm")
    if summary["test_value"] is not None:
        tested = with_interval(summary["test_value"], summary["test_interval"])
        say(f"{tested}, on rows never seen before", "Test")
    if simplest["trial"] != best.number:
        say(
            f"trial {simplest['trial']} is within one standard error: "
            f"{score(simplest['value'])} with {simplest['n_weights']:,} weights",
            "Simple",
        )
    for doubt in summary["doubts"]:
        say(doubt, "Doubt")
    say(str(path), "Model")
