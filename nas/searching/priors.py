"""Random proposals near values that the user believes to be good.

A sampler begins with random trials. Where a range has a `prior`, they are drawn from a normal
distribution around it instead of uniformly. What the sampler makes of their scores is its own
affair: it is told no belief, so a wrong one costs start-up trials and nothing else. To weigh the
belief into the acquisition itself, with a weight that falls (Hvarfner et al., piBO: augmenting
acquisition functions with user beliefs, ICLR 2022), would need a part of each sampler's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from nas.seeds import derive_seed
from nas.space import Range, SearchSpace
from nas.space.checks import LAYER
from nas.space.domains import share_of, value_at

DEVIATION = 0.25  # of the draws, as a share of the range


def priors_of(space: SearchSpace) -> dict[str, Range]:
    """The ranges of a space that have a prior, by parameter."""
    return {
        key: entry.domain
        for key, entry in space.parameters.items()
        if isinstance(entry.domain, Range) and entry.domain.prior is not None
    }


class AroundPriors(BaseSampler):
    """Draws parameters with a prior near it as long as the sampler itself would draw at random.

    Args:
        sampler: Proposes everything else.
        priors: The ranges that have a prior, by parameter.
        startup_trials: Trials that have ended when it no longer does; None for never.
        seed: The search's seed.
        index: Index of the trial.
    """

    def __init__(
        self,
        sampler: BaseSampler,
        priors: Mapping[str, Range],
        startup_trials: int | None,
        seed: int,
        index: int,
    ) -> None:
        self._sampler, self._priors, self._startup = sampler, priors, startup_trials
        self._random = np.random.default_rng(derive_seed("prior", seed, index))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See `BaseSampler`."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `BaseSampler`; empty at the start, so that each parameter is drawn alone."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """See `BaseSampler`."""
        domain = self._priors.get("width" if LAYER.fullmatch(name) else name)
        if (
            domain is None
            or not isinstance(distribution, IntDistribution | FloatDistribution)
            or not self._is_at_start(study)
        ):
            return self._sampler.sample_independent(study, trial, name, distribution)
        return self._draw(domain, distribution)

    def _is_at_start(self, study: optuna.Study) -> bool:
        """As the samplers count."""
        if self._startup is None:
            return True
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        return len(study.get_trials(deepcopy=False, states=states)) < self._startup

    def _draw(self, domain: Range, distribution: IntDistribution | FloatDistribution) -> float:
        assert domain.prior is not None
        middle, share = share_of(domain, domain.prior), -1.0
        while not 0.0 <= share <= 1.0:  # half of the draws at least are inside
            share = self._random.normal(middle, DEVIATION)
        value, low, high = value_at(domain, share), distribution.low, distribution.high
        if distribution.step is not None:
            value = low + distribution.step * round((value - low) / distribution.step)
        value = min(max(value, low), high)
        return round(value) if isinstance(distribution, IntDistribution) else value

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """See `BaseSampler`."""
        self._sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """See `BaseSampler`."""
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """See `BaseSampler`."""
        self._sampler.reseed_rng()
