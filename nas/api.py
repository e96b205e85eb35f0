"""What `import nas` offers: one call for each thing that nas does.

Heavy packages are imported inside the functions: TensorFlow takes seconds to import, and a function
that reads a database does not need it. The command line calls the same functions.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.about import DEFAULT_STORAGE
from nas.arguments import check_bounds, check_words, seconds_of
from nas.choices import (
    ClassWeight,
    EngineName,
    PrunerName,
    SamplerName,
    Scaling,
    StopName,
    TargetScaling,
    Task,
)
from nas.display import Display
from nas.errors import NasError
from nas.execution.devices import find_gpus
from nas.execution.processes import default_workers, prepare_processes
from nas.one_search import search_prepared
from nas.options import ENDLESS, USUAL_TRIALS
from nas.stopping import forget
from nas.study_name import check_study_name
from nas.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from nas.preparation import Prepared
    from nas.results import Study
    from nas.searching import Settings
    from nas.study.attributes import StudySettings


def search(
    space: Any = None,
    data: Any = None,
    target: Any = None,
    *,
    trials: int | None = None,
    timeout: float | str | None = None,
    folds: Any = None,
    repeats: int = 1,
    groups: Any = None,
    sample_weight: Any = None,
    class_weight: ClassWeight = "none",
    time: str | None = None,
    val_size: float = 0.2,
    test_size: float = 0.2,
    metric: Any = None,
    positive: str | None = None,
    test: Any = None,
    task: Task | None = None,
    drop: Any = (),
    categorical: Any = (),
    numeric: Any = (),
    date: Any = (),
    text: Any = (),
    header: bool | None = None,
    missing: Any = (),
    scaling: Scaling = "standard",
    target_scaling: TargetScaling = "standard",
    quantiles: Any = (),
    image_size: int | None = None,
    classes: Any = (),
    merge_rare: int | None = None,
    max_rows: int | None = None,
    label_noise: float = 0.0,
    sampler: SamplerName = "tpe",
    startup_trials: int | None = None,
    pruner: PrunerName | None = None,
    confirm: int | None = None,
    stop: StopName = "never",
    max_params: int | None = None,
    allow_duplicates: bool = False,
    enqueue: Sequence[Mapping[str, Any]] = (),
    warm_start: "str | Study | None" = None,
    engine: EngineName = "auto",
    device: str = "auto",
    workers: int | None = None,
    name: str | None = None,
    storage: str = DEFAULT_STORAGE,
    tensorboard: str | Path | None = None,
    seed: int = 0,
    training: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> "Study":
    """Searches a space for the best network, tests it once, and saves it.

    The same call continues an earlier search that was stopped, by Ctrl-C or otherwise, or that had
    fewer `trials`.

    Args:
        space: The name of a shipped space; a YAML file; a mapping from parameters of the space
            language (docs/spaces.md) to a value, a list of values or a `nas.Range`; or a function
            that builds a Keras model from an `optuna.Trial` (docs/own_models.md). None is
            `tabular`, or `images` where the data is images; `mlp_depth` without data.
        data: The name of a known data set; a table in a `.csv`, `.tsv`, `.parquet`, `.feather`,
            `.xlsx`, `.arff` or `.npy` file, or in several as `"part-*.csv"`; an `.npz` file; a
            folder that has a folder of images for each class; a pandas, polars or pyarrow table;
            a finite `tf.data.Dataset` of features and targets; or an array of shape
            (n_rows, n_features), (n_rows, height, width) or (n_rows, height, width, channels).
            None takes the data that the space names.
        target: The name of the target column, or the target itself as an array of shape (n_rows,).
            Several targets, which are numbers, are predicted by one network: a list of names, or
            an array of shape (n_rows, n_targets).
        trials: Number of trials that the study has at the end, including those of earlier calls;
            None is 100, or as many as the `timeout` allows.
        timeout: Time after which the search stops, in seconds or as `"10m"` or `"2h"`.
        folds: The number of folds, a splitter of scikit-learn, or pairs of arrays of row numbers
            (training, validation); 1 is a single split. None is 5, or fewer where that leaves no
            time for a search: 3, or a single split of many rows.
        repeats: How often the cross-validation is repeated with new folds.
        groups: Column whose equal values stay in one fold, or an array of shape (n_rows,).
        sample_weight: Column, or array of shape (n_rows,), of how much each row counts in the loss.
            Scores count all rows alike.
        class_weight: `balanced` where all classes weigh the same in the training loss, however rare
            they are; scores count all rows alike.
        time: Column of dates or numbers in whose order rows are divided: each fold validates on
            rows after those that it trains on, and the last rows are the test part.
        val_size: Share of the rows that are used for validation when `folds` is 1.
        test_size: Share of the rows that are set aside to test the winner; 0 for no test.
        metric: `accuracy`, `balanced_accuracy`, `f1`, `auc`, `log_loss`, `r2`, `rmse`, `mae`,
            `pinball` for quantiles, or a scorer made by `sklearn.metrics.make_scorer`; None is
            accuracy for classes, r2 for regression, and pinball for quantiles.
        positive: For `f1` of two classes, the positive class; None is the rarer one.
        test: What the winner is tested on, instead of rows that are drawn: numbers of rows, or
            another file, where `data` is a table in a file; its columns are matched by name.
        task: The kind of task; None infers it from the target.
        drop: Columns to leave out.
        categorical: Columns of numbers to treat as categories.
        numeric: Columns of numbers; a cell that is not a number counts as missing.
        date: Columns of dates or times; a cell that is not a date or time counts as missing.
        text: Columns of text, of which words and pairs of words count.
        header: Whether the first line of a CSV file names the columns; None detects it.
        missing: More words that stand for a missing value.
        scaling: How numbers are scaled; see docs/data.md.
        target_scaling: How a network is given the numbers that it predicts: `standard`, or `log`
            for their logarithms; scores stay those of the numbers.
        quantiles: Quantiles of the target to predict instead of it, such as `(0.05, 0.5, 0.95)`.
        image_size: Width and height in pixels to which the images of a folder are resized.
        classes: Classes to keep; all others are left out.
        merge_rare: Classes with fewer rows are one class, `other`; None leaves them.
        max_rows: Largest number of rows to keep, drawn at random.
        label_noise: Share of the rows that get a wrong label.
        sampler: The sampler that proposes the trials.
        startup_trials: Number of random trials at the start; None is a tenth of `trials`, at least
            10.
        pruner: The pruner that ends hopeless trials. None is that of the study. A new one has
            `halving` where all networks have equally many epochs and less than 2,000 rows or so
            are searched, and else `racing`.
        confirm: How many of the best trials are trained again on fresh folds, before the winner is
            chosen among them. None is 5 after at least 20 complete trials (8 with a single
            split), or as many of these as a quarter of the `timeout` has room for; none for folds
            of your own, which stay as they are, so that only the seeds are fresh.
        stop: `auto` ends the search before its last trial when as many trials again would gain less
            than half of the standard error of the winner's score.
        max_params: Largest number of weights that a network may have.
        allow_duplicates: Whether a network may be trained a second time.
        enqueue: Settings of your own, which are trained before all others, such as
            `[{"depth": 2, "width": 128}]`. A parameter that one does not name is proposed as
            usual. Each is trained once, however often the call is made.
        warm_start: Another study, or the name of one in the same database, of any data and
            metric: the best of its settings that lie in the space, at most 8 and no two alike, are
            trained after those of `enqueue`.
        engine: The engine that trains; `auto` takes the compiled one for every network that it can
            train.
        device: `cpu`, `gpu` for all GPUs, or some of them as `gpu:0,1`; `auto` takes GPUs where
            there are any and JAX can use them.
        workers: Number of processes that train; 1 trains in the calling process. None is the
            number of cores. A GPU has one process, whatever is given.
        name: Name of the study; None is the name of the space.
        storage: Study database, as an SQLAlchemy URL.
        tensorboard: Folder for learning curves in the format of TensorBoard.
        seed: Seed of everything random.
        training: Training parameters for a function as `space`, such as `{"epochs": 30}`.
        quiet: Whether to print nothing.

    Returns:
        The study.

    Raises:
        NasError: When an argument, the data or the study cannot be used; it names the parameter.
        Interrupted: On Ctrl-C, once the study is clean. It is a `KeyboardInterrupt`.
    """
    check_bounds(
        trials=(trials, 1, None),
        repeats=(repeats, 1, None),
        val_size=(val_size, 0.01, 0.9),
        test_size=(test_size, 0.0, 0.9),
        startup_trials=(startup_trials, 0, None),
        confirm=(confirm, 0, None),
        max_params=(max_params, 1, None),
        workers=(workers, 1, None),
        seed=(seed, 0, None),
        image_size=(image_size, 1, None),
    )
    check_words(
        sampler=(sampler, SamplerName),
        stop=(stop, StopName),
        engine=(engine, EngineName),
        **({"pruner": (pruner, PrunerName)} if pruner is not None else {}),
    )
    forget()
    display = Display(quiet)
    seconds = seconds_of(timeout)
    n_workers = default_workers() if workers is None else workers
    gpus = find_gpus(device)
    if gpus and workers is not None and workers > len(gpus):
        given = f"got {workers} for {counted(len(gpus), 'GPU')}"
        raise NasError("--workers", given, "at most one for each GPU")
    with display.working("Reading the data"):
        if n_workers > 1 and not gpus:  # they import JAX while this process reads the data
            prepare_processes()
        import_optuna()

        from nas.data import SplitOptions
        from nas.preparation import as_space, prepare, read_options, usual_pruner, usual_space
        from nas.searching import SearchOptions, make_sampler

        the_space = as_space(usual_space(data) if space is None else space, training)
        if engine == "compiled" and the_space.network == "cnn":
            raise NasError("--engine", "got compiled for network: cnn", "auto or keras")
        name = the_space.name if name is None else name
        check_study_name(name)
        options = SearchOptions(
            n_trials=trials or (USUAL_TRIALS if seconds is None else ENDLESS),
            sampler=sampler,
            startup_trials=startup_trials,
            pruner=pruner or "racing",
            seed=seed,
            timeout=seconds,
            max_params=max_params,
            allow_duplicates=allow_duplicates,
            confirm=confirm,
            stop=stop,
        )
        make_sampler(sampler, seed, 0, 0)  # says at once if a package is missing
        earlier = _earlier(name, storage)
        if earlier and folds is None and not earlier.split.given:
            folds = earlier.split.folds
        prepared = prepare(
            the_space,
            data,
            target,
            read_options(
                the_space,
                data,
                target,
                test=test,
                task=task,
                groups=groups,
                sample_weight=sample_weight,
                class_weight=class_weight,
                time=time,
                drop=drop,
                categorical=categorical,
                numeric=numeric,
                date=date,
                text=text,
                header=header,
                missing=missing,
                positive=positive,
                scaling=scaling,
                target_scaling=target_scaling,
                quantiles=quantiles,
                image_size=image_size,
                classes=classes,
                merge_rare=merge_rare,
                max_rows=max_rows,
                label_noise=label_noise,
            ),
            folds,
            SplitOptions(5, repeats, val_size, test_size, seed),
            metric=metric,
            positive=positive,
            groups=groups,
            sample_weight=sample_weight,
            test=test,
            timeout=None if gpus else seconds,  # a GPU trains all folds side by side
        )
        if pruner is None:
            usual = usual_pruner(the_space, prepared.split)
            # Another one's scores are not comparable with those of a study that is there.
            kept = earlier.search.pruner if earlier and earlier.search else usual
            options = replace(options, pruner=kept)
        waiting = _waiting_settings(prepared, enqueue, warm_start, name, storage)
        settings = prepared.settings()
    return search_prepared(
        prepared,
        settings,
        options,
        name,
        storage,
        n_workers,
        display,
        engine,
        tensorboard,
        gpus,
        waiting,
    )


def _waiting_settings(
    prepared: "Prepared",
    enqueue: Sequence[Mapping[str, Any]],
    warm_start: "str | Study | None",
    name: str,
    storage: str,
) -> "list[tuple[str, Sequence[Settings]]]":
    """The user's own settings and those of another study, each with where they come from.

    Raises:
        NasError: When one does not fit the space, or there is nothing to take over.
    """
    from nas.results import Study
    from nas.searching import best_settings
    from nas.space import fitting_settings

    waiting: list[tuple[str, Sequence[Settings]]] = []
    if enqueue != ():
        own = fitting_settings(prepared.space, enqueue, prepared.problem)
        waiting.append(("--enqueue", own))
    if warm_start is not None:
        if isinstance(warm_start, Study):
            other = warm_start
        else:
            try:
                other = load(warm_start, storage)
            except NasError as error:
                where = "--warm-start" if error.where == "--study" else error.where
                raise NasError(where, error.received, error.expected, error.fix) from None
        if (other.name, other.storage) == (name, storage):
            fix = "To go on with it, leave --warm-start out."
            raise NasError("--warm-start", f"got '{name}', the study itself", "another one", fix)
        best = best_settings(other.record, prepared.space, prepared.problem)
        waiting.append((f"--warm-start {other.name}", best))
    return waiting


def _earlier(name: str, storage: str) -> "StudySettings | None":
    """What a study rests on, if it is there."""
    from nas.study.record import load_study
    from nas.study.storage import open_storage, sqlite_path, study_names

    path = sqlite_path(storage)
    try:
        is_new = path is not None and not path.exists()
        if is_new or name not in study_names(open_storage(storage)):
            return None
        return load_study(name, storage).settings
    except (NasError, OSError):  # which `open_study` tells better
        return None


def import_optuna() -> None:
    """Imports Optuna without the warning of a notebook that lacks ipywidgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna  # noqa: F401


def load(name: str | None = None, storage: str = DEFAULT_STORAGE) -> "Study":
    """Loads a study from its database.

    Args:
        name: Name of the study; None is the one that was searched last.
        storage: The study database, as an SQLAlchemy URL.

    Returns:
        The study.

    Raises:
        NasError: When there is no such study.
    """
    import_optuna()
    from nas.results import Study

    study = Study(name, storage)
    _ = study.record  # says at once what is wrong with it
    return study


def studies(storage: str = DEFAULT_STORAGE) -> "pd.DataFrame":
    """Lists the studies of a database, one per row; the one that was searched last comes last.

    Args:
        storage: The study database, as an SQLAlchemy URL.

    Raises:
        NasError: When there is no such database.
    """
    import_optuna()
    from nas.results import studies_frame

    return studies_frame(storage)
