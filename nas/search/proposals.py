"""Which network is trained next."""

import json
from importlib.util import find_spec
from typing import Any

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
from optuna.trial import FrozenTrial, Trial, TrialState

from nas.errors import NasError
from nas.search.options import SamplerName, SearchOptions
from nas.seeds import derive_seed
from nas.space import GridWalk, RandomSuggester, Replay, SearchSpace
from nas.spec import Problem, TrialSpec
from nas.study import UNCOUNTED, set_attributes

MIN_STARTUP_TRIALS = 10
DRAWS_FOR_AN_UNSEEN_NETWORK = 1000
GRID_POINTS_LOOKED_AT = 100_000


def make_sampler(name: SamplerName, seed: int, index: int, startup_trials: int) -> BaseSampler:
    """A sampler for the one proposal of this index."""
    own_seed = derive_seed("proposal", seed, index)
    # What the sampler leaves to chance must not repeat its own draws.
    independent = RandomSampler(seed=derive_seed("independent proposal", seed, index))
    match name:
        case "tpe":
            # Grouped, because conditional parameters otherwise fall back to independent ones.
            return TPESampler(n_startup_trials=startup_trials, group=True, seed=own_seed)
        case "qmc":
            # One sequence for the whole study: its position is kept in the database.
            return QMCSampler(
                scramble=True,
                seed=derive_seed("qmc sequence", seed),
                independent_sampler=independent,
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
        case "cmaes":
            return CmaEsSampler(
                n_startup_trials=startup_trials,
                seed=own_seed,
                independent_sampler=independent,
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
                independent_sampler=independent,
                warn_independent_sampling=False,
            )
        case "random" | "grid":
            return RandomSampler(seed=own_seed)


class Proposer:
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

    def ask(self, trials: list[FrozenTrial]) -> tuple[Trial, TrialSpec, int] | None:
        """The next trial, its specification and its index; None when the space holds no other.

        The index is the lowest number that no other trial has, and seeds all that is random in a
        trial. One that was interrupted keeps its index when it is taken up again.

        Args:
            trials: All trials of the study so far.
        """
        study, options = self._study, self._options
        index = free_index(trials)
        seen = _seen(trials)
        waiting = any(trial.state == TrialState.WAITING for trial in trials)
        use_sampler = options.sampler != "grid" or waiting
        attempt = 0
        while True:
            if not use_sampler:
                params = self._acceptable_params(
                    seen, derive_seed("unseen network", options.seed, index, attempt)
                )
                if params is None:
                    return None
                study.enqueue_trial(params)
            study.sampler = make_sampler(options.sampler, options.seed, index, self._startup)
            trial = study.ask()
            spec = self._space.sample(trial, self._problem)
            trial.set_user_attr("spec", spec.to_dict())
            own_index = trial.user_attrs.get("retry_of", {}).get("index", index)
            trial.set_user_attr("index", own_index)
            twin = None if options.allow_duplicates else seen.get(_key(spec))
            if twin is not None:
                set_attributes(trial, outcome="duplicate", reason=f"same as trial {twin}")
                # As a failure, which samplers ignore: the twin has taught them already.
                study.tell(trial, state=TrialState.FAIL)
            elif self._too_large(spec):
                reason = f"{spec.n_weights:,} weights; --max-params is {options.max_params:,}"
                set_attributes(trial, outcome="too_large", reason=reason, n_weights=spec.n_weights)
                trial.set_constraint("max_params", spec.n_weights - (options.max_params or 0))
                study.tell(trial, state=TrialState.PRUNED)
            else:
                return trial, spec, own_index
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

        is_grid = self._options.sampler == "grid"
        for draw in range(DRAWS_FOR_AN_UNSEEN_NETWORK):
            seed_of_draw = derive_seed("draw", seed, draw)
            suggester = GridWalk(seed=seed_of_draw) if is_grid else RandomSuggester(seed_of_draw)
            if acceptable(suggester):
                return suggester.params
        if self._space.is_continuous and not is_grid:
            return None
        # Few are left, if any: look at every point.
        left = []
        for count, params in enumerate(self._space.grid(self._problem.task)):
            if count == GRID_POINTS_LOOKED_AT:
                break
            if acceptable(Replay(params)):
                left.append(params)
        if not left:
            return None
        generator = np.random.default_rng(derive_seed("grid point", seed))
        return left[generator.integers(len(left))]


def free_index(trials: list[FrozenTrial]) -> int:
    """The lowest index that no trial has."""
    taken = set()
    for trial in trials:
        if trial.state == TrialState.WAITING:
            taken.add(trial.user_attrs.get("retry_of", {}).get("index"))
        elif trial.user_attrs.get("outcome") not in UNCOUNTED:
            taken.add(trial.user_attrs.get("index", trial.number))
    return next(index for index in range(len(trials) + 1) if index not in taken)


def _seen(trials: list[FrozenTrial]) -> dict[str, int]:
    """Number of the trial that has or had each specification."""
    return {
        _key(spec): trial.number
        for trial in trials
        if (spec := trial.user_attrs.get("spec")) is not None
        and trial.user_attrs.get("outcome") not in UNCOUNTED
    }


def _key(spec: TrialSpec | dict[str, Any]) -> str:
    """A specification as text, the same before and after a way through the database."""
    data = spec.to_dict() if isinstance(spec, TrialSpec) else spec
    return json.dumps(data, sort_keys=True)
