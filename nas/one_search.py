"""A search whose data is read and divided: trials, confirmation, the winner, publishing."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.choices import EngineName
from nas.direction import Direction
from nas.display import Display
from nas.errors import NasError
from nas.wording import counted, score

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nas.execution.pool import Pool
    from nas.preparation import Prepared
    from nas.results import Study
    from nas.searching import Progress, SearchOptions, Settings
    from nas.study.attributes import StudySettings
    from nas.study.record import StudyRecord

ENDING = 6.0  # seconds before the end in which the winner's process gets ready


class Interrupted(KeyboardInterrupt):
    """Raised when the user stops a search. The study is clean, and the same call continues it."""


def search_prepared(
    prepared: "Prepared",
    settings: "StudySettings",
    options: "SearchOptions",
    name: str,
    storage: str,
    workers: int,
    display: Display,
    engine: EngineName = "auto",
    tensorboard: str | Path | None = None,
    gpus: tuple[int, ...] = (),
    waiting: "Sequence[tuple[str, Sequence[Settings]]]" = (),
) -> "Study":
    """`nas.search` from where the data is read and divided.

    Args:
        prepared: What to search on.
        settings: What the study rests on, of `prepared`; it takes a while for much data.
        options: How to search.
        name: Name of the study.
        storage: Its database.
        workers: Processes that train.
        display: Where it shows itself.
        engine: What trains.
        tensorboard: Folder to write learning curves to.
        gpus: Numbers of the GPUs to train on.
        waiting: Settings that are trained first, by where they come from; see
            `nas.searching.enqueue`.
    """
    from nas.analysis.budget import why_enough
    from nas.confirmation import has_fresh_folds
    from nas.preparation import opened_pool, problem_of
    from nas.results import Study
    from nas.searching import enqueue, live_study, open_study, run_search
    from nas.study.record import settings_of, study_record
    from nas.study.storage import open_storage, storage_errors

    database = open_storage(storage, create=True)
    optuna_study = open_study(database, storage, name, settings, prepared.metric)
    with storage_errors(storage):
        new = {
            source: enqueue(optuna_study, database, settings, source, options.n_trials)
            for source, settings in waiting
        }
        if waiting and options.sampler != "grid":
            # The space's own ones go by the index of a trial, which those now have.
            enqueue(optuna_study, database, prepared.space.first, "first", options.n_trials)
        # So that the search can be repeated.
        before = settings_of(optuna_study).search
        enqueued = (*(before.enqueue if before else ()), *chain(*new.values()))
        optuna_study.set_user_attr("search", asdict(replace(options, enqueue=enqueued)))
    runs = None
    if tensorboard is not None:
        from nas.tensorboard import open_runs

        runs = open_runs(Path(tensorboard), study_record(optuna_study))
    if options.confirm is None and not has_fresh_folds(prepared):
        options = replace(options, confirm=0)
    _show_plan(display, prepared, settings, options.sampler, options.pruner, name, storage)
    told = [f"{counted(len(one), 'setting')} of {source}" for source, one in new.items() if one]
    if told:
        display.say(" and ".join(told), "First")

    with display.working("Getting ready to train"):
        pool, encoded = opened_pool(prepared, workers, engine, gpus)
    with pool:
        problem = problem_of(prepared, encoded)
        with live_study(database, storage, name) as live:
            val_rows = [len(fold.val) for fold in prepared.split.folds]
            space = prepared.space
            enough = why_enough if options.stop == "auto" else None
            steps: Any = run_search(live, storage, space, problem, pool, options, val_rows, enough)
            steps = _ready_for_end(steps, pool)
            interrupted = display.follow(runs.following(steps, pool) if runs else steps)
        record = study_record(optuna_study)
        if interrupted:
            if runs:
                with suppress(NasError):  # the next search writes them
                    runs.write(pool)
            _show_stopped(display, record)
            raise Interrupted
        try:
            record = _confirm(display, record, prepared, options, storage, pool, engine, gpus)
        except KeyboardInterrupt as stopped:
            _show_stopped(display, record)
            raise Interrupted from stopped
        _publish(display, record, prepared, storage, pool, runs)
    return Study(name, storage, prepared.known)


def _ready_for_end(steps: "Iterator[Progress]", pool: "Pool") -> "Iterator[Progress]":
    """The steps of a search; when its last trials train, the pool gets ready for the winner."""
    for progress in steps:
        begun = progress.complete + progress.pruned + progress.failed + progress.in_training
        ends_at = progress.deadline
        if begun >= progress.n_trials or (ends_at and ends_at - time.monotonic() < ENDING):
            pool.prepare_call()
        yield progress


def _confirm(
    display: Display, record: "StudyRecord", prepared: "Prepared", options: "SearchOptions",
    storage: str, pool: "Pool", engine: EngineName, gpus: tuple[int, ...],
) -> "StudyRecord":  # fmt: skip
    """Trains the best trials again, where that is asked for or time allows; the study then."""
    from nas.confirmation import confirm
    from nas.searching.pace import most_confirmed, to_confirm
    from nas.study.record import load_study

    key = Direction(record.direction).key
    ranked = sorted(record.complete, key=lambda trial: -key(trial.value or 0.0))
    times = [trial.seconds or 0.0 for trial in ranked[: most_confirmed(options)]]
    n_folds = len(prepared.split.folds)
    number, _ = to_confirm(options, times, len(ranked), pool.workers, n_folds)
    if not number:
        return record
    pool.end_training()
    message = f"Training the {counted(number, 'best trial')} again"
    with display.working(message) as tell:
        confirm(
            record, prepared, storage, number, pool.workers, engine, gpus,
            lambda done, of: tell(f"{message}: {done} of {of}"),
        )  # fmt: skip
    return load_study(record.name, storage)


def _publish(
    display: Display, record: "StudyRecord", prepared: "Prepared", storage: str, pool: Any,
    runs: Any,
) -> None:  # fmt: skip
    """Trains, tests and saves the winner unless that was done; updates the other programs."""
    from nas.dashboard import publish
    from nas.model_card import default_model_path, is_winner
    from nas.refit import refit
    from nas.study.storage import open_optuna_study, open_storage

    best, path = record.best(), default_model_path(storage, record.name)
    if not is_winner(path, record):
        with display.working(f"Training the winner (trial {best.number}) on all folds together"):
            refit(pool, record, storage, path, prepared.known)
    if runs:
        with display.working("Writing the runs for TensorBoard"):
            runs.write(pool, graph_of=best)
    # A failure here is no failure of the search.
    with (
        suppress(NasError),
        display.working("Putting the figures on the study for the dashboard"),
    ):
        publish(open_optuna_study(open_storage(storage), record.name, storage), storage)


def _show_plan(
    display: Display,
    prepared: "Prepared",
    settings: "StudySettings",
    sampler: str,
    pruner: str,
    name: str,
    storage: str,
) -> None:
    space, split = prepared.space, prepared.split
    display.data(prepared.dataset)
    display.findings(settings.findings)
    test = f"{len(split.test):,} rows set aside for the test" if len(split.test) else "no test part"
    parts = describe_folds(prepared.split_options.folds, prepared.split_options.repeats)
    if prepared.few_folds:
        parts += ", as the time is short (--folds 5 asks for more),"
    display.say(f"{parts} on {len(split.development):,} rows; {test}", "Split")
    display.say(
        f"{space.name}, {counted(len(space.parameters), 'parameter')}; "
        f"sampler {sampler}, pruner {pruner}; by {prepared.metric.title}{guessing(settings)}",
        "Search",
    )
    display.say(f"{name} in {storage.removeprefix('sqlite:///')}", "Study")


def _show_stopped(display: Display, record: "StudyRecord") -> None:
    so_far = "No trial is complete yet."
    if record.complete:
        best = record.best()
        so_far = f"Best so far: {score(best.value, best.stderr)} (trial {best.number})."
    display.say(f"Stopped. {so_far}")
    display.say("The same command goes on from here.")


def describe_folds(folds: int, repeats: int) -> str:
    if folds == 1:
        return "a single split" if repeats == 1 else f"{repeats} random splits"
    return f"{folds} folds" + (f", {repeats} times" if repeats > 1 else "")


def guessing(settings: "StudySettings") -> str:
    """The accuracy of always answering the commonest class, in brackets; "" of other metrics."""
    constant = settings.constant
    if settings.metric != "accuracy" or constant is None:
        return ""
    return f" (always '{constant.answer}': {score(constant.value)})"
