"""Which network is trained next."""

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial, Trial, TrialState

from nas.choices import SamplerName
from nas.errors import NasError
from nas.options import ENDLESS, SearchOptions
from nas.searching.leftovers import why_interrupted
from nas.searching.priors import AroundPriors, priors_of
from nas.seeds import derive_seed
from nas.space import GridWalk, RandomSuggester, Range, Replay, SearchSpace
from nas.spec import Problem, TrialSpec
from nas.study.attributes import TrialAttributes
from nas.study.claims import Claims
from nas.study.record import set_attributes
from nas.study.storage import quiet_optuna

MIN_STARTUP_TRIALS = 10
DRAWS_FOR_AN_UNSEEN_NETWORK = 1000
GRID_POINTS_LOOKED_AT = 100_000


def make_sampler(
    name: SamplerName,
    seed: int,
    index: int,
    startup_trials: int,
    priors: Mapping[str, Range] | None = None,
) -> BaseSampler:
    """A sampler for the one proposal of this index.

    Args:
        name: Its name.
        seed: The search's seed.
        index: Index of the trial.
        startup_trials: Random trials before its own proposals.
        priors: Ranges of the space that have a prior, by parameter; `qmc` and `grid`, which cover
            all of a space evenly, take no notice of them.
    """
    sampler = _plain_sampler(name, seed, index, startup_trials)
    if not priors or name in ("qmc", "grid"):
        return sampler
    at_start = None if name == "random" else startup_trials
    return AroundPriors(sampler, priors, at_start, seed, index)


@quiet_optuna()
def _plain_sampler(name: SamplerName, seed: int, index: int, startup_trials: int) -> BaseSampler:
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
            return _CmaEsByIndex(
                index,
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


class _CmaEsByIndex(CmaEsSampler):
    """CMA-ES that draws by a trial's index instead of its number, as a resumed search has others.

    Args:
        index: Of the trial.
        options: Of `CmaEsSampler`.
    """

    def __init__(self, index: int, **options: Any) -> None:
        super().__init__(**options)
        self._index = index

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        by_index = copy.copy(trial)
        by_index.number = self._index
        proposed: dict[str, Any] = super().sample_relative(study, by_index, search_space)
        return proposed


def _never(spec: TrialSpec) -> str:
    return ""


class Proposer:
    """Asks for trials that are worth training: unseen, not too large, and not too long.

    Attributes:
        found_too_long: Whether the last call of `ask` met a network that there was no time for.
    """

    def __init__(
        self,
        study: optuna.Study,
        claims: Claims,
        space: SearchSpace,
        problem: Problem,
        options: SearchOptions,
    ) -> None:
        self._study, self._claims, self._space, self._problem = study, claims, space, problem
        self._options = options
        self._priors = priors_of(space)
        usual = 0 if options.n_trials >= ENDLESS else options.n_trials // 10
        startup = options.startup_trials
        self._startup = max(MIN_STARTUP_TRIALS, usual) if startup is None else startup

    def ask(
        self, why_too_long: Callable[[TrialSpec], str] = _never
    ) -> tuple[Trial, TrialSpec, int] | None:
        """The next trial, its specification and its index; None when the space holds no other.

        The index is the lowest number that no other trial has, and seeds all that is random in a
        trial. One that was interrupted keeps its index when it is taken up again.

        Args:
            why_too_long: Says of a network why there is no time for it; empty where there is.

        Raises:
            NoPlaceError: When the study has as many trials as it is to have.
        """
        claims, options, first = self._claims, self._options, self._space.first
        attempt, of_index = 0, -1
        self.found_too_long = False
        while True:
            # Decided by what was known last; `begin` refuses if another search came in between.
            index, params, too_long = claims.index, None, why_too_long
            if claims.waiting:  # which was chosen before
                index, too_long = -1, _never
            elif index < len(first) and index != of_index and options.sampler != "grid":
                params = dict(first[index])
            elif options.sampler == "grid" or index == of_index:
                attempt = attempt if index == of_index else 0
                seed = derive_seed("unseen network", options.seed, index, attempt)
                params = self._acceptable_params(seed, why_too_long)
                if params is None:
                    return None
            begun = claims.begin(index, params, options.n_trials)
            if begun is None:
                continue
            trial_id, index = begun
            attempt, of_index = attempt + 1 if index == of_index else 1, index
            trial = claims.trial(trial_id)
            try:
                sampler = make_sampler(
                    options.sampler, options.seed, index, self._startup, self._priors
                )
                self._study.sampler = sampler
                spec = self._space.sample(trial, self._problem)
                if self._is_accepted(trial, spec, too_long):
                    return trial, spec, index
            except BaseException as error:
                with suppress(Exception):  # the error itself is what is to be told
                    reason = why_interrupted(error)
                    set_attributes(trial, TrialAttributes(outcome="interrupted", reason=reason))
                    self._study._storage.set_trial_state_values(trial_id, TrialState.FAIL)
                raise
            claims.give_back()

    def _is_accepted(
        self, trial: Trial, spec: TrialSpec, why_too_long: Callable[[TrialSpec], str]
    ) -> bool:
        """Tells a trial at once that is too large, too long or a duplicate."""
        if self._too_large(spec):
            reason = f"{spec.n_weights:,} weights; --max-params is {self._options.max_params:,}"
            mine = TrialAttributes(
                outcome="too_large", reason=reason, n_weights=spec.n_weights, spec=spec
            )
            set_attributes(trial, mine)
            trial.set_constraint("max_params", spec.n_weights - (self._options.max_params or 0))
            self._study.tell(trial, state=TrialState.PRUNED)
            return False
        if reason := why_too_long(spec):
            self.found_too_long = True
            # As a failure, which samplers ignore: with more time it may be a good one.
            mine = TrialAttributes(outcome="too_long", reason=reason, spec=spec)
            set_attributes(trial, mine)
            self._study.tell(trial, state=TrialState.FAIL)
            return False
        if self._options.allow_duplicates:
            set_attributes(trial, TrialAttributes(spec=spec))
            return True
        twin = self._claims.take_network(trial, spec)
        if twin is None:
            return True
        reason = f"same as trial {twin}"
        set_attributes(trial, TrialAttributes(outcome="duplicate", reason=reason, spec=spec))
        # As a failure, which samplers ignore: the twin has taught them already.
        self._study.tell(trial, state=TrialState.FAIL)
        return False

    def _too_large(self, spec: TrialSpec) -> bool:
        limit = self._options.max_params
        return limit is not None and spec.n_weights > limit

    def _acceptable_params(
        self, seed: int, why_too_long: Callable[[TrialSpec], str]
    ) -> dict[str, Any] | None:
        """Parameters of a network that was not trained yet, is not too large and not too long."""
        duplicates, twin = self._options.allow_duplicates, self._claims.twin

        def acceptable(suggester: Any) -> bool:
            spec = self._space.sample(suggester, self._problem)
            if self._too_large(spec) or not (duplicates or twin(spec) is None):
                return False
            is_too_long = bool(why_too_long(spec))
            self.found_too_long |= is_too_long
            return not is_too_long

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
