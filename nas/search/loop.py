"""The loop: ask Optuna, train a trial on all folds, prune by the mean, tell.

The generator `run_search` drives everything, and hands out a `Progress` after each epoch; whoever
iterates may stop there, and the study is left clean. Each proposal is seeded from the search's
seed and the number of trials before it, so a search that was stopped and resumed proposes what
an uninterrupted one would have.
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from nas import pruning
from nas.engines.base import Engine
from nas.errors import NasError, first_line
from nas.search.options import Progress, SearchOptions
from nas.search.proposals import Proposer, derive_seed
from nas.space import SearchSpace
from nas.spec import Problem, TrialResult, TrialSpec
from nas.storage import storage_errors
from nas.study import Outcome, set_attributes, trial_record


@dataclass(frozen=True)
class _Run:
    """What stays the same for all trials of one call of `run_search`."""

    study: optuna.Study
    engine: Engine
    options: SearchOptions
    rungs: tuple[int, ...]
    deadline: float | None

    def time_is_up(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


def run_search(
    study: optuna.Study,
    url: str,
    space: SearchSpace,
    problem: Problem,
    engine: Engine,
    options: SearchOptions,
) -> Iterator[Progress]:
    """Trains trials until the study has `options.n_trials`, the time is up, or none is left.

    Closing the generator ends the trial in training as interrupted; a later run takes it up again.

    Args:
        study: From `open_study`.
        url: The study's database, for messages.
        space: Where networks are drawn from.
        problem: What the data asks of a network.
        engine: Trains the trials.
        options: How to search.

    Yields:
        The state after each epoch and after each trial.
    """
    deadline = time.monotonic() + options.timeout if options.timeout is not None else None
    run = _Run(study, engine, options, pruning.rungs(space.max_epochs), deadline)
    proposer = Proposer(study, space, problem, options)
    finished: FrozenTrial | None = None
    with storage_errors(url):
        while True:
            trials = study.get_trials(deepcopy=False)
            state = _progress(study, trials, options)
            if finished is not None:
                yield replace(state, finished=trial_record(finished))
            # Trials that another process has in training count as done, or N becomes more.
            index = state.done + sum(trial.state == TrialState.RUNNING for trial in trials)
            if index >= options.n_trials:
                return
            if run.time_is_up():
                yield replace(state, note="The time is up.")
                return
            asked = proposer.ask(index, trials)
            if asked is None:
                note = (
                    "No other network of this space is within --max-params."
                    if options.max_params is not None
                    else "Every network of this space has been trained."
                )
                yield replace(state, note=note)
                return
            trial, spec = asked
            state = replace(state, running=spec, number=trial.number)
            finished = yield from _train(run, trial, spec, state)


def _train(
    run: _Run, trial: Trial, spec: TrialSpec, state: Progress
) -> Generator[Progress, None, FrozenTrial]:
    outcome: Outcome = "complete"
    reason = ""
    value = float("nan")
    result: TrialResult | None = None
    epoch = 0
    try:
        yield state
        try:
            # Seeded by the count of trials, not by Optuna's number: interruptions push that on.
            cohort = run.engine.start([spec], [derive_seed(run.options.seed, state.done)])
            while outcome == "complete" and cohort.running()[0]:
                scores = cohort.advance(1)[0]
                epoch += 1
                if not np.isfinite(scores).all():
                    fold = int(np.argmin(np.isfinite(scores)))
                    outcome = "diverged"
                    reason = f"diverged in epoch {epoch} on fold {fold + 1}"
                    continue
                value = float(scores.mean())
                trial.report(value, epoch)
                if cohort.running()[0] and not _keeps(run, trial, value, epoch):
                    outcome = "pruned"
                    reason = f"{run.options.pruner} after epoch {epoch}"
                    continue
                yield replace(state, epoch=epoch, score=value)
                if run.time_is_up() and cohort.running()[0]:
                    outcome, reason = "interrupted", "the time was up"
            cohort.keep([outcome == "complete"])
            result = cohort.finish()[0]
        except (NasError, optuna.exceptions.StorageInternalError):
            raise
        except Exception as error:  # whatever a network does must not end the search
            outcome, reason = "failed", first_line(error)
    except GeneratorExit:
        _end(run, trial, spec, "interrupted", "stopped by the user", value, None)
        raise
    return _end(run, trial, spec, outcome, reason, value, result)


def _keeps(run: _Run, trial: Trial, value: float, epoch: int) -> bool:
    study, pruner = run.study, run.options.pruner
    if pruner == "none" or (pruner == "halving" and epoch not in run.rungs):
        return True
    known = [
        other.intermediate_values[epoch]
        for other in study.get_trials(deepcopy=False)
        if other.number != trial.number
        and epoch in other.intermediate_values
        and other.user_attrs.get("outcome") != "interrupted"
    ]
    direction: Any = "maximize" if study.direction.name == "MAXIMIZE" else "minimize"
    rule = pruning.halving if pruner == "halving" else pruning.median
    return bool(rule([value], known, direction)[0])


def _end(
    run: _Run,
    trial: Trial,
    spec: TrialSpec,
    outcome: Outcome,
    reason: str,
    value: float,
    result: TrialResult | None,
) -> FrozenTrial:
    attributes: dict[str, Any] = {
        "outcome": outcome,
        "engine": run.engine.name,
        "n_weights": spec.n_weights,
    }
    if reason:
        attributes["reason"] = reason
    if result is not None:
        attributes |= {
            "fold_values": [v if np.isfinite(v) else None for v in result.fold_values],
            "train_value": _finite_mean(result.train_values),
            "epochs": list(result.epochs),
            "seconds": round(result.seconds, 3),
        }
    set_attributes(trial, **attributes)
    if outcome == "complete":
        return run.study.tell(trial, value)
    pruned = outcome in ("pruned", "diverged")
    return run.study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)


def _finite_mean(values: tuple[float, ...]) -> float | None:
    mean = float(np.mean(values))
    return mean if np.isfinite(mean) else None


def _progress(study: optuna.Study, trials: list[FrozenTrial], options: SearchOptions) -> Progress:
    outcomes: dict[Outcome, int] = dict.fromkeys(get_args(Outcome), 0)
    best: FrozenTrial | None = None
    sign = 1.0 if study.direction.name == "MAXIMIZE" else -1.0
    for trial in trials:
        if trial.state in (TrialState.RUNNING, TrialState.WAITING):
            continue
        outcome: Outcome = trial.user_attrs.get("outcome", "failed")
        outcomes[outcome] += 1
        if outcome != "complete" or trial.value is None:
            continue
        if best is None or sign * trial.value > sign * (best.value or 0.0):
            best = trial
    return Progress(
        n_trials=options.n_trials,
        complete=outcomes["complete"],
        pruned=outcomes["pruned"] + outcomes["diverged"],
        failed=outcomes["failed"],
        rejected=outcomes["duplicate"] + outcomes["too_large"],
        best=trial_record(best) if best is not None else None,
    )
