"""`nas search`."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nas import DEFAULT_STORAGE
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
    StorageOption,
    TensorboardOption,
    console,
    default_model_path,
    say,
    score,
    show_command,
    show_params,
    with_interval,
    working,
)
from nas.cli.progress import follow
from nas.cli.recipe import ConfigOption, chosen_space
from nas.engines.processes import default_workers, prepare_processes
from nas.engines.startup import start_tensorflow
from nas.errors import NasError
from nas.shell import option
from nas.stopping import exit_code
from nas.study_name import check_study_name
from nas.wording import counted

if TYPE_CHECKING:
    from nas.data import Dataset, Split
    from nas.encoding import FoldData
    from nas.study import StudyRecord


def search(
    config: ConfigOption = None,
    space: Annotated[
        str, typer.Option(help="A YAML file, or the name of a shipped space; see 'nas space list'.")
    ] = "mlp_depth",
    trials: Annotated[int, typer.Option(min=1, help="Trials that the study has in the end.")] = 100,
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
    repeats: Annotated[int, typer.Option(min=1, help="Times the folds are drawn anew.")] = 1,
    groups: GroupsOption = None,
    val_size: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share that validates, with --folds 1.")
    ] = 0.2,
    test_size: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share set aside for the winner; 0 is none.")
    ] = 0.2,
    sampler: Annotated[
        Literal["tpe", "random", "grid", "qmc", "cmaes", "gp"],
        typer.Option(help="Who proposes the trials."),
    ] = "tpe",
    startup_trials: Annotated[
        int | None,
        typer.Option(min=0, help="Random trials first. \\[default: a tenth, at least 10]"),
    ] = None,
    pruner: Annotated[
        Literal["halving", "median", "none"], typer.Option(help="Who ends hopeless trials.")
    ] = "halving",
    seed: Annotated[int, typer.Option(min=0, help="Seeds everything random.")] = 0,
    timeout: Annotated[
        str | None, typer.Option(help="Time after which to stop, such as 90, 10m or 2h.")
    ] = None,
    max_params: Annotated[
        int | None, typer.Option(min=1, help="Largest number of weights of a network.")
    ] = None,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Train the same network again.")
    ] = False,
    engine: Annotated[
        Literal["auto", "compiled", "keras"],
        typer.Option(help="What trains the networks; auto is compiled wherever it can."),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that train; 1 trains in this one. \\[default: the cores]"
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Name of the study. \\[default: the space's name]")
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    tensorboard: TensorboardOption = None,
) -> None:
    """Search a space for the best network, test it once, and save it.

    The same command goes on where an earlier one stopped. Ctrl-C ends it at once, or after the
    running epoch with --workers 1.
    """
    seconds = seconds_of(timeout)
    the_space = chosen_space(space, config)
    if engine == "compiled" and the_space.network == "cnn":
        raise NasError("--engine", "got compiled for network: cnn", "auto or keras")
    name = the_space.name if study is None else study
    check_study_name(name)

    with working("Reading the data"):
        n_workers = default_workers() if workers is None else workers
        if n_workers > 1:  # they import TensorFlow while this process reads the data
            prepare_processes()

        from nas.dashboard import publish
        from nas.data import SplitOptions, load_dataset, split_dataset
        from nas.metrics import check_metric, choose_metric
        from nas.search import (
            SearchOptions,
            live_study,
            make_sampler,
            open_study,
            run_search,
            study_settings,
        )
        from nas.storage import open_storage, storage_errors
        from nas.study import study_record

        options = SearchOptions(
            n_trials=trials,
            sampler=sampler,
            startup_trials=startup_trials,
            pruner=pruner,
            seed=seed,
            timeout=seconds,
            max_params=max_params,
            allow_duplicates=allow_duplicates,
        )
        make_sampler(sampler, seed, 0, 0)  # says at once if a package is missing
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
        split_options = SplitOptions(folds, repeats, val_size, test_size, seed)
        dataset = load_dataset(data_options)
        the_space.check_problem(dataset.problem(1))
        split = split_dataset(dataset, split_options)
        the_metric = choose_metric(metric, dataset, positive)
        scored = {f"fold {k}": dataset.y[fold.val] for k, fold in enumerate(split.folds, start=1)}
        scored["the test part"] = dataset.y[split.test]
        check_metric(the_metric, scored, len(dataset.classes))
        settings = study_settings(
            the_space, data_options, dataset, split_options, split, the_metric
        )
        database = open_storage(storage, create=True)
        optuna_study = open_study(database, storage, name, settings, the_metric)
        with storage_errors(storage):  # for whoever wants to repeat the search
            optuna_study.set_user_attr("search", asdict(options))
        runs = None
        if tensorboard is not None:
            from nas.tensorboard import open_runs

            runs = open_runs(tensorboard, study_record(optuna_study))

    show_data(dataset)
    show_findings(settings["findings"])
    test = f"{len(split.test):,} rows set aside for the test" if len(split.test) else "no test part"
    parts = describe_folds(folds, repeats)
    say(f"{parts} on {len(split.development):,} rows; {test}", "Split")
    say(
        f"{the_space.name}, {counted(len(the_space.parameters), 'parameter')}; "
        f"sampler {sampler}, pruner {pruner}; by {the_metric.title}{guessing(settings)}",
        "Search",
    )
    say(f"{name} in {storage.removeprefix('sqlite:///')}", "Study")

    with working("Starting TensorFlow"):
        from nas.model_card import is_winner, winner_entry

        pool: Any
        if n_workers > 1:
            from nas.engines.workers import WorkerPool

            pool = WorkerPool(n_workers)
            encoded = pool.call(encode_data, dataset, split, pool.rows_folder)
            pool.load(encoded, the_metric, engine)
        else:
            start_tensorflow()
            from nas.engines.pool import LocalPool
            from nas.engines.selection import Selection

            encoded = encode_data(dataset, split)
            pool = LocalPool(Selection(encoded, the_metric, engine).choose)
    problem = dataset.problem(encoded[0].x_train.shape[1])
    with live_study(database, storage, name) as live:
        steps = run_search(live, storage, the_space, problem, pool, options)
        interrupted = follow(runs.following(steps, pool) if runs else steps)

    record = study_record(optuna_study)
    if interrupted:
        if runs:
            with suppress(NasError):  # the next search writes them
                runs.write(pool)
        pool.close()
        so_far = "No trial is complete yet."
        if record.complete:
            best = record.best()
            so_far = f"Best so far: {score(best.value, best.stderr)} (trial {best.number})."
        say(f"Stopped. {so_far}")
        say("The same command goes on from here.")
        sys.exit(exit_code())  # past the line that any other interruption prints
    best = record.best()
    path = default_model_path(storage, name)
    if not is_winner(path, record):
        with working(f"Training the winner (trial {best.number}) on all folds together"):
            card = pool.call(_export, record, dataset, split, path, seed)
        with storage_errors(storage):
            optuna_study.set_user_attr("winner", winner_entry(card))
        record = study_record(optuna_study)
    if runs:
        with working("Writing the runs for TensorBoard"):
            runs.write(pool, graph_of=best)
    pool.close()
    # Whatever keeps the dashboard from its figures, the search has ended well.
    with suppress(NasError), working("Putting the figures on the study for the dashboard"):
        publish(optuna_study, storage)
    _show_winner(record, path)
    if runs:
        say(f"tensorboard {option('logdir', tensorboard)}", "Runs")
    of_study = option("study", name)
    show_command(f"nas report {of_study}", storage, "Next")
    show_command(f"nas explain {of_study}", storage, " ")
    show_command("nas dashboard", storage, " ")
    sys.stdout.flush()


# Where TensorFlow is: see `Pool.call`


def encode_data(
    dataset: "Dataset", split: "Split", rows_folder: Path | None = None
) -> "tuple[FoldData, ...]":
    from nas.engines import shared_rows

    return shared_rows.encode_data(dataset, split, rows_folder)


def _export(
    study: "StudyRecord", dataset: "Dataset", split: "Split", path: Path, seed: int
) -> dict[str, Any]:
    from nas.engines.keras_engine import KerasEngine
    from nas.export import export_winner

    return export_winner(study, dataset, split, KerasEngine, path, seed)


def seconds_of(text: str | None) -> float | None:
    """Seconds of a time such as `90`, `90s`, `10m` or `2h`."""
    if text is None:
        return None
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise typer.BadParameter(
            f"got '{text}'; expected a time such as 90, 10m or 2h", param_hint="--timeout"
        )
    return seconds


def describe_folds(folds: int, repeats: int) -> str:
    if folds == 1:
        return "a single split" if repeats == 1 else f"{repeats} random splits"
    return f"{folds} folds" + (f", {repeats} times" if repeats > 1 else "")


def guessing(settings: Mapping[str, Any]) -> str:
    """The accuracy of always answering the commonest class, in brackets; "" of other metrics."""
    constant = settings.get("constant")
    if settings["metric"] != "accuracy" or not constant:
        return ""
    return f" (always '{constant['answer']}': {score(constant['value'])})"


def _show_winner(record: Any, path: Path) -> None:
    from nas.analysis.winner import summarize

    summary = summarize(record)
    best, simplest = record.best(), summary["simplest"]
    console.print()
    say(f"trial {best.number}: {best.spec.describe()}", "Winner")
    say(show_params(best.params), " ")
    say(
        f"{record.metric_title} {score(best.value, best.stderr)} over folds"
        f"{guessing(record.settings)}, {best.n_weights:,} weights",
        " ",
    )
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
