"""The search: ask Optuna, train a trial on all folds, prune by the mean, tell.

The generator `run_search` drives everything, and hands out a `Progress` after each epoch; whoever
iterates may stop there, and the study is left clean. Each proposal is seeded from the search's
seed and the number of trials before it, so a search that was stopped and resumed proposes what
an uninterrupted one would have.
"""

import json
import os
import socket
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import optuna
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

import nas
from nas import pruning
from nas.data import DataOptions, Dataset, Split, SplitOptions
from nas.engines.base import Cohort, Engine
from nas.errors import NasError, first_line
from nas.metrics import Metric
from nas.space import RandomSuggester, SearchSpace, dump_space, parse_space
from nas.spec import Problem, TrialResult, TrialSpec
from nas.storage import storage_errors
from nas.study import UNCOUNTED, Outcome, TrialRecord, trial_record

SamplerName = Literal["tpe", "random", "grid", "qmc", "cmaes", "gp"]
PrunerName = Literal["halving", "median", "none"]

MIN_STARTUP_TRIALS = 10
DRAWS_FOR_AN_UNSEEN_NETWORK = 1000
GRID_POINTS_LOOKED_AT = 100_000
FOREIGN_TRIAL_IS_STALE = timedelta(days=1)


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Attributes:
        n_trials: Trials that the study has in the end, earlier ones included.
        sampler: Who proposes.
        startup_trials: Random trials before the sampler's own proposals; None for a tenth of
            `n_trials`, and at least 10.
        pruner: Who ends hopeless trials.
        seed: Seeds proposals, weights, batches and dropout.
        timeout: Seconds after which the search ends.
        max_params: Largest number of weights; larger networks are not trained.
        allow_duplicates: Whether the same network and training may be trained twice.
    """

    n_trials: int = 100
    sampler: SamplerName = "tpe"
    startup_trials: int | None = None
    pruner: PrunerName = "halving"
    seed: int = 0
    timeout: float | None = None
    max_params: int | None = None
    allow_duplicates: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Attributes:
        n_trials: Trials to reach.
        complete: Trials trained to their end, those of earlier runs included.
        pruned: Trials pruned, diverged ones included.
        failed: Trials that raised.
        rejected: Proposals that were not trained: duplicates and too large ones.
        best: The best complete trial.
        running: The specification in training.
        number: The number of the trial in training.
        epoch: Epochs that it has run.
        score: Its mean score over the folds.
        finished: The trial that ended just now.
        note: Why the search ends before its last trial, in a sentence.
    """

    n_trials: int
    complete: int
    pruned: int
    failed: int
    rejected: int
    best: TrialRecord | None
    running: TrialSpec | None = None
    number: int = 0
    epoch: int = 0
    score: float | None = None
    finished: TrialRecord | None = None
    note: str = ""

    @property
    def done(self) -> int:
        """Trials that count towards `n_trials`."""
        return self.complete + self.pruned + self.failed


def study_settings(
    space: SearchSpace,
    data: DataOptions,
    dataset: Dataset,
    split_options: SplitOptions,
    split: Split,
    metric: Metric,
) -> dict[str, Any]:
    """What a study rests on, as its attributes in the database."""
    return {
        "nas_version": nas.__version__,
        "space": dump_space(space),
        "data": asdict(data),
        "data_hash": dataset.hash(),
        "task": dataset.task,
        "split": asdict(split_options),
        "split_hash": split.hash(),
        "metric": metric.name,
        "versions": {name: metadata.version(name) for name in ("optuna", "tensorflow", "keras")},
    }


def open_study(
    storage: RDBStorage, url: str, name: str, settings: dict[str, Any], metric: Metric
) -> optuna.Study:
    """Opens or creates the study of a search, and clears away what a killed search left.

    Raises:
        NasError: When a study of that name rests on another space, data set, split or metric.
    """
    with storage_errors(url):
        # Loaded if it exists, so that two searches may begin at the same moment.
        study = optuna.create_study(
            study_name=name, storage=storage, direction=metric.direction, load_if_exists=True
        )
        described = "nas_version" in study.user_attrs
        if not described and study.get_trials(deepcopy=False):
            raise NasError("--study", f"'{name}' was not made by nas", "another name")
        if not described:
            study.set_metric_names([metric.name])
            # The version comes last: with it the description is whole.
            for key in sorted(settings, key=lambda key: key == "nas_version"):
                study.set_user_attr(key, settings[key])
        _check_same(study, settings)
        study.set_user_attr("searched_at", datetime.now(UTC).isoformat())
        sweep(study, storage)
    return study


def _check_same(study: optuna.Study, settings: dict[str, Any]) -> None:
    old = study.user_attrs
    differences = []
    if old["space"] != settings["space"]:
        differences.append("space (" + _space_difference(old["space"], settings["space"]) + ")")
    if old["data_hash"] != settings["data_hash"]:
        differences.append(f"data set ({old['data']['source']})")
    elif old["split_hash"] != settings["split_hash"]:
        before, now = old["split"], settings["split"]
        changed = [f"{key} {before[key]}" for key in now if before.get(key) != now[key]]
        differences.append("folds (" + (", ".join(changed) or "other rows") + ")")
    if old["metric"] != settings["metric"]:
        differences.append(f"metric ({old['metric']})")
    if differences:
        raise NasError(
            "--study",
            f"'{study.study_name}' was made with another " + " and another ".join(differences),
            "the same, to go on",
            f"Give a new name with --study, or run 'nas study delete {study.study_name}'.",
        )


def _space_difference(old: str, new: str) -> str:
    before, now = parse_space(old).parameters, parse_space(new).parameters
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if not keys:
        return "network or default data"
    lines = {line.split(":")[0]: line for line in old.splitlines()}
    return ", ".join(lines.get(key, f"no {key}") for key in keys)


# Trials left behind


def _owner() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "start": _start_of(os.getpid())}


def _start_of(pid: int) -> str:
    """When a process started, where the system tells; guards against a reused process id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _is_alive(trial: FrozenTrial) -> bool:
    owner = trial.user_attrs.get("owner")
    if owner is None or owner["host"] != socket.gethostname():
        started = trial.datetime_start or datetime.now()
        limit = timedelta(minutes=1) if owner is None else FOREIGN_TRIAL_IS_STALE
        return datetime.now() - started < limit
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(owner["start"] == _start_of(owner["pid"]))


def sweep(study: optuna.Study, storage: RDBStorage) -> None:
    """Ends the trials of processes that are gone, and queues what was interrupted once more."""
    trials = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.state == TrialState.RUNNING and not _is_alive(trial):
            twice = "killed" in trial.user_attrs.get("retry_of", {})
            outcome: Outcome = "failed" if twice else "interrupted"
            reason = "the process ended while it trained" + (", for the second time" * twice)
            study_id = storage.get_study_id_from_name(study.study_name)
            trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
            for key, value in (("outcome", outcome), ("reason", reason), ("killed", True)):
                storage.set_trial_user_attr(trial_id, key, value)
            study.tell(trial.number, state=TrialState.FAIL)
    trials = study.get_trials(deepcopy=False)
    retried = {t.user_attrs["retry_of"]["trial"] for t in trials if "retry_of" in t.user_attrs}
    for trial in trials:
        if trial.user_attrs.get("outcome") == "interrupted" and trial.number not in retried:
            retry_of: dict[str, Any] = {"trial": trial.number}
            if trial.user_attrs.get("killed"):
                retry_of["killed"] = True
            if trial.params:
                study.enqueue_trial(trial.params, user_attrs={"retry_of": retry_of})


def _set_attributes(trial: Trial, **attributes: Any) -> None:
    for key, value in attributes.items():
        trial.set_user_attr(key, value)


# Proposals


def make_sampler(name: SamplerName, seed: int, index: int, startup_trials: int) -> BaseSampler:
    """A sampler for the one proposal that follows `index` earlier trials."""
    own_seed = _seed(seed, index)
    match name:
        case "tpe":
            # Grouped, because conditional parameters otherwise fall back to independent ones.
            return TPESampler(n_startup_trials=startup_trials, group=True, seed=own_seed)
        case "qmc":
            # One sequence for the whole study: its position is kept in the database.
            return QMCSampler(
                scramble=True,
                seed=_seed(seed),
                independent_sampler=RandomSampler(seed=own_seed),
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
        case "cmaes":
            return CmaEsSampler(
                n_startup_trials=startup_trials,
                seed=own_seed,
                independent_sampler=RandomSampler(seed=own_seed),
                warn_independent_sampling=False,
            )
        case "gp":
            if find_spec("torch") is None:
                raise NasError(
                    "--sampler",
                    "'gp' needs PyTorch, which is not installed",
                    fix="Run: pip install torch, or choose another sampler.",
                )
            return GPSampler(
                n_startup_trials=startup_trials,
                seed=own_seed,
                independent_sampler=RandomSampler(seed=own_seed),
                warn_independent_sampling=False,
            )
        case "random" | "grid":
            return RandomSampler(seed=own_seed)


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class _Proposer:
    """Asks for trials that are worth training: unseen, and not too large."""

    def __init__(
        self, study: optuna.Study, space: SearchSpace, problem: Problem, options: SearchOptions
    ) -> None:
        self._study, self._space, self._problem = study, space, problem
        self._options = options
        startup = options.startup_trials
        self._startup = (
            max(MIN_STARTUP_TRIALS, options.n_trials // 10) if startup is None else startup
        )

    def ask(self, index: int, trials: list[FrozenTrial]) -> tuple[Trial, TrialSpec] | None:
        """The next trial and its specification; None when the space holds no other.

        Args:
            index: Trials before it, which seeds the proposal.
            trials: All trials of the study so far.
        """
        study, options = self._study, self._options
        seen = _seen(trials)
        waiting = any(trial.state == TrialState.WAITING for trial in trials)
        use_sampler = options.sampler != "grid" or waiting
        attempt = 0
        while True:
            if not use_sampler:
                params = self._acceptable_params(seen, _seed(options.seed, index, attempt))
                if params is None:
                    return None
                study.enqueue_trial(params)
            study.sampler = make_sampler(options.sampler, options.seed, index, self._startup)
            trial = study.ask()
            spec = self._space.sample(trial, self._problem)
            trial.set_user_attr("spec", spec.to_dict())
            trial.set_user_attr("owner", _owner())
            twin = None if options.allow_duplicates else seen.get(_key(spec))
            if twin is not None:
                _set_attributes(trial, outcome="duplicate", reason=f"same as trial {twin}")
                # As a failure, which samplers ignore: the twin has taught them already.
                study.tell(trial, state=TrialState.FAIL)
            elif self._too_large(spec):
                reason = f"{spec.n_weights:,} weights; --max-params is {options.max_params:,}"
                _set_attributes(trial, outcome="too_large", reason=reason, n_weights=spec.n_weights)
                trial.set_constraint("max_params", spec.n_weights - (options.max_params or 0))
                study.tell(trial, state=TrialState.PRUNED)
            else:
                return trial, spec
            use_sampler = False
            attempt += 1

    def _too_large(self, spec: TrialSpec) -> bool:
        limit = self._options.max_params
        return limit is not None and spec.n_weights > limit

    def _acceptable_params(self, seen: dict[str, int], seed: int) -> dict[str, Any] | None:
        """Parameters of a network that was not trained yet and is not too large."""
        duplicates = self._options.allow_duplicates

        def acceptable(suggester: Any) -> bool:
            spec = self._space.sample(suggester, self._problem)
            return (duplicates or _key(spec) not in seen) and not self._too_large(spec)

        if self._options.sampler != "grid":
            for draw in range(DRAWS_FOR_AN_UNSEEN_NETWORK):
                suggester = RandomSuggester(f"{seed} {draw}")
                if acceptable(suggester):
                    return suggester.params
            if self._space.is_continuous:
                return None
        # Few are left, or a grid was asked for: look at every point.
        left = []
        for count, params in enumerate(self._space.grid(self._problem.task)):
            if count == GRID_POINTS_LOOKED_AT:
                break
            if acceptable(_Replay(params)):
                left.append(params)
        if not left:
            return None
        return left[np.random.default_rng(seed).integers(len(left))]


def _seen(trials: list[FrozenTrial]) -> dict[str, int]:
    """Number of the trial that has or had each specification."""
    return {
        _key(spec): trial.number
        for trial in trials
        if (spec := trial.user_attrs.get("spec")) is not None
        and trial.user_attrs.get("outcome") not in UNCOUNTED
    }


class _Replay:
    """Suggests given values."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self._params[name])

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        return float(self._params[name])

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._params[name]


def _key(spec: TrialSpec | dict[str, Any]) -> str:
    """A specification as text, the same before and after a way through the database."""
    data = spec.to_dict() if isinstance(spec, TrialSpec) else spec
    return json.dumps(data, sort_keys=True)


# The loop


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
    proposer = _Proposer(study, space, problem, options)
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
            if deadline is not None and time.monotonic() >= deadline:
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
            finished = yield from _train(
                study, trial, spec, engine, options, space, deadline, state
            )


def _train(
    study: optuna.Study,
    trial: Trial,
    spec: TrialSpec,
    engine: Engine,
    options: SearchOptions,
    space: SearchSpace,
    deadline: float | None,
    state: Progress,
) -> Generator[Progress, None, FrozenTrial]:
    cohort: Cohort | None = None
    outcome: Outcome = "complete"
    reason = ""
    value = float("nan")
    result: TrialResult | None = None
    rungs = pruning.rungs(space.max_epochs)
    epoch = 0
    try:
        yield state
        try:
            # Seeded by the count of trials, not by Optuna's number: interruptions push that on.
            cohort = engine.start([spec], [_seed(options.seed, state.done)])
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
                if cohort.running()[0] and not _keeps(study, trial, value, epoch, options, rungs):
                    outcome = "pruned"
                    reason = f"{options.pruner} after epoch {epoch}"
                    continue
                yield replace(state, epoch=epoch, score=value)
                if deadline is not None and time.monotonic() >= deadline:
                    outcome, reason = "interrupted", "the time was up"
            cohort.keep([outcome == "complete"])
            result = cohort.finish()[0]
        except (NasError, optuna.exceptions.StorageInternalError):
            raise
        except Exception as error:  # whatever a network does must not end the search
            outcome, reason = "failed", first_line(error)
    except GeneratorExit:
        _end(study, trial, spec, engine, "interrupted", "stopped by the user", value, None)
        raise
    return _end(study, trial, spec, engine, outcome, reason, value, result)


def _keeps(
    study: optuna.Study,
    trial: Trial,
    value: float,
    epoch: int,
    options: SearchOptions,
    rungs: tuple[int, ...],
) -> bool:
    if options.pruner == "none" or (options.pruner == "halving" and epoch not in rungs):
        return True
    known = [
        other.intermediate_values[epoch]
        for other in study.get_trials(deepcopy=False)
        if other.number != trial.number
        and epoch in other.intermediate_values
        and other.user_attrs.get("outcome") != "interrupted"
    ]
    direction: Any = "maximize" if study.direction.name == "MAXIMIZE" else "minimize"
    rule = pruning.halving if options.pruner == "halving" else pruning.median
    return bool(rule([value], known, direction)[0])


def _end(
    study: optuna.Study,
    trial: Trial,
    spec: TrialSpec,
    engine: Engine,
    outcome: Outcome,
    reason: str,
    value: float,
    result: TrialResult | None,
) -> FrozenTrial:
    attributes: dict[str, Any] = {
        "outcome": outcome,
        "engine": engine.name,
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
    _set_attributes(trial, **attributes)
    if outcome == "complete":
        return study.tell(trial, value)
    pruned = outcome in ("pruned", "diverged")
    return study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)


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
