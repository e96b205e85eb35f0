"""The networks that a screening draws, scores and trains."""

import numpy as np
import pytest
from fakes import PROBLEM, SPACE, FakeEngine, smooth

from nas.analysis.screening import MIN_SAMPLE
from nas.encoding import FoldData
from nas.errors import NasError
from nas.execution.pool import LocalPool
from nas.experiments.screen_sample import SampleOptions, Sampling, draw_networks, run_sampling
from nas.space import SearchSpace
from nas.spec import TrialSpec


def test_drawn_networks_differ_and_repeat() -> None:
    specs = draw_networks(SPACE, PROBLEM, 60, 3)
    assert len(set(specs)) == 60
    assert specs == draw_networks(SPACE, PROBLEM, 60, 3)
    assert specs != draw_networks(SPACE, PROBLEM, 60, 4)
    assert len(draw_networks(SPACE, PROBLEM, 500, 3)) == 75  # all that there are


def test_a_space_with_a_single_network_is_refused() -> None:
    with pytest.raises(NasError, match="the space holds 1 network; expected at least 8"):
        draw_networks(SearchSpace({"depth": 2}, name="one"), PROBLEM, 100, 0)


def sampled(
    engine: FakeEngine, n: int = 30, space: SearchSpace = SPACE, **options: object
) -> tuple[list[TrialSpec], Sampling]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 4)).astype(np.float32)
    fold = FoldData("multiclass", x, generator.integers(0, 3, 200), x[:5], np.zeros(5, np.int64))
    specs = draw_networks(space, PROBLEM, n, 0)
    pool = LocalPool(lambda _spec: (engine, "fake"))
    states = list(run_sampling(pool, specs, [fold] * 3, SampleOptions(**options)))
    return specs, states[-1]


def test_all_are_scored_and_the_first_are_trained() -> None:
    specs, state = sampled(FakeEngine(), sample=10)
    assert [network.spec for network in state.networks] == specs
    assert [network.index for network in state.trained] == list(range(10))
    assert state.networks[0].values["weights"] == specs[0].n_weights
    for network in state.trained:
        spec = specs[network.index]
        assert network.epochs == 9
        assert network.value == pytest.approx(smooth(spec, 0, 0, 9), abs=0.005)
        assert network.first_epoch == pytest.approx(smooth(spec, 0, 0, 1), abs=0.005)
    same = {spec: network.program for spec, network in zip(specs, state.networks, strict=True)}
    # A program's shape: depth and width class.
    for a in specs[:10]:
        for b in specs[:10]:
            alike = len(a.architecture.units) == len(b.architecture.units)
            alike &= (a.architecture.units[0] <= 32) == (b.architecture.units[0] <= 32)
            assert (same[a] == same[b]) == alike


def test_when_the_time_is_up_the_fewest_are_trained_and_none_of_the_largest() -> None:
    space = SearchSpace({**SPACE.parameters, "width": [16, 32, 500]}, name="wide")
    engine = FakeEngine()
    specs, state = sampled(engine, 40, space, deadline=0.0)
    assert len(state.trained) == MIN_SAMPLE
    limit = np.quantile([spec.n_weights for spec in specs], 0.9)
    assert max(spec.n_weights for spec in engine.started) <= limit
    kept = [k for k, spec in enumerate(specs) if spec.n_weights <= limit]
    assert [network.index for network in state.trained] == kept[:MIN_SAMPLE]


def test_diverging_and_failing_networks() -> None:
    def scores(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
        if spec.training.learning_rate == 0.03:
            raise RuntimeError("out of memory")
        if spec.training.learning_rate == 0.01 and epoch == 2:
            return float("nan")
        return smooth(spec, fold, seed, epoch)

    specs, state = sampled(FakeEngine(scores), sample=12)
    assert len(state.trained) == 12
    assert state.failures and set(state.failures) == {"RuntimeError: out of memory"}
    rates = [specs[network.index].training.learning_rate for network in state.trained]
    assert 0.03 not in rates and 0.01 in rates
    for network, rate in zip(state.trained, rates, strict=True):
        assert np.isnan(network.value) == (rate == 0.01)
        assert network.epochs == (2 if rate == 0.01 else 9)
        assert np.isfinite(network.first_epoch)


def test_too_few_that_can_be_trained_are_an_error() -> None:
    def scores(*_: object) -> float:
        raise RuntimeError("out of memory")

    with pytest.raises(NasError, match="0 networks could be trained: RuntimeError: out of memory"):
        sampled(FakeEngine(scores), sample=10)
