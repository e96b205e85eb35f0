"""Random proposals near values that the user believes to be good."""

from pathlib import Path

import numpy as np
import optuna
import pytest
from fakes import search_fake
from optuna.samplers import RandomSampler, TPESampler

from nas.searching import make_sampler
from nas.searching.priors import AroundPriors, priors_of
from nas.space import Range, SearchSpace, parameter
from nas.study.record import study_record

RATE = Range(1e-4, 1e-1, log=True)
NEAR = Range(1e-4, 1e-1, log=True, prior=1e-3)  # at a third of the range


def space_of(rate: Range, **entries: object) -> SearchSpace:
    return SearchSpace(
        {"depth": Range(1, 5), "learning_rate": rate, "epochs": 9, **entries}, "fake"
    )


def drawn(domain: Range, n: int, sampler: str = "random", whole: bool = False) -> np.ndarray:
    """`n` proposals for one parameter, each by the sampler of its index."""
    study = optuna.create_study()
    values = []
    for index in range(n):
        study.sampler = make_sampler(sampler, 0, index, n, {"x": domain})
        trial = study.ask()
        if whole:
            step = int(domain.step or 1)
            args = {"step": step, "log": domain.log}
            values.append(trial.suggest_int("x", int(domain.low), int(domain.high), **args))
        else:
            args = {"step": domain.step, "log": domain.log}
            values.append(trial.suggest_float("x", domain.low, domain.high, **args))
        study.tell(trial, 0.0)
    return np.array(values)


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes"])
def test_draws_are_normal_on_the_scale_of_the_range(sampler: str) -> None:
    shares = np.log10(drawn(NEAR, 400, sampler) / 1e-4) / 3
    assert shares.min() >= 0 and shares.max() <= 1
    # Of a normal distribution with mean 1/3 and deviation 1/4, cut off at 0 and 1: its mean is
    # 0.375 and its deviation 0.21, against 0.5 and 0.29 of a uniform one; four standard errors.
    assert abs(shares.mean() - 0.375) < 0.04
    assert abs(shares.std() - 0.21) < 0.03
    assert len(set(shares)) == 400


def test_whole_numbers_and_steps_are_met() -> None:
    numbers = drawn(Range(1, 9, step=2, prior=9), 200, whole=True)
    assert set(numbers) <= {1, 3, 5, 7, 9} and (numbers >= 5).mean() > 0.9
    widths = drawn(Range(8, 512, log=True, prior=64), 200, whole=True)
    assert widths.min() >= 8 and widths.max() <= 512 and abs(np.log2(np.median(widths)) - 6) < 0.5
    shares = drawn(Range(0.0, 0.5, step=0.1, prior=0.0), 200)
    assert set(np.round(shares, 9)) <= {0.0, 0.1, 0.2, 0.3, 0.4, 0.5} and shares.mean() < 0.15


def test_a_space_without_priors_has_the_plain_sampler() -> None:
    assert priors_of(space_of(RATE)) == {}
    assert type(make_sampler("tpe", 0, 0, 10, {})) is TPESampler
    assert type(make_sampler("random", 0, 0, 10)) is RandomSampler
    assert isinstance(make_sampler("tpe", 0, 0, 10, {"learning_rate": NEAR}), AroundPriors)
    for name in ("qmc", "grid"):
        sampler = make_sampler(name, 0, 0, 10, {"learning_rate": NEAR})
        assert not isinstance(sampler, AroundPriors)


def test_only_the_start_is_near_the_prior(tmp_path: Path) -> None:
    """The objective is best at 0.003; a prior at the other end is overcome."""
    space = space_of(Range(1e-7, 1e-1, log=True, prior=1e-7))
    study, _ = search_fake(tmp_path, space=space, n_trials=60, startup_trials=15, pruner="none")
    rates = np.array([trial.params["learning_rate"] for trial in study_record(study).counted])
    assert np.median(rates[:15]) < 3e-6 and rates[:15].max() < 1e-3
    assert np.median(rates[-15:]) > 1e-4
    best = study_record(study).best()
    assert abs(np.log10(best.params["learning_rate"] / 0.003)) < 1


@pytest.mark.long
def test_a_good_prior_finds_good_networks_sooner(tmp_path: Path) -> None:
    best = {}
    for prior in (None, 0.003):
        values = []
        for seed in range(5):
            folder = tmp_path / f"{prior}{seed}"
            folder.mkdir()
            space = SearchSpace(
                {"learning_rate": Range(1e-8, 1e-1, log=True, prior=prior), "epochs": 9}, "fake"
            )
            study, _ = search_fake(folder, space=space, n_trials=8, seed=seed, pruner="none")
            values += [trial.value for trial in study_record(study).complete]
        best[prior] = np.mean(values)
    assert best[0.003] > best[None] + 0.1  # half a decade costs 0.1


def test_a_width_for_each_layer_and_a_conditional_one_have_it_too(tmp_path: Path) -> None:
    space = space_of(
        NEAR,
        width=parameter(Range(8, 512, log=True, prior=8), per_layer=True),
        optimizer=["adam", "sgd"],
        momentum=parameter(Range(0.0, 0.9, prior=0.9), optimizer="sgd"),
    )
    study, _ = search_fake(tmp_path, space=space, n_trials=40, sampler="random", pruner="none")
    trials = study_record(study).counted
    widths = [w for t in trials for name, w in t.params.items() if name.startswith("width_")]
    moments = [t.params["momentum"] for t in trials if "momentum" in t.params]
    assert len(widths) > 60 and np.median(widths) < 30
    assert 5 < len(moments) < 35 and np.median(moments) > 0.6


def test_a_resumed_search_draws_the_same(tmp_path: Path) -> None:
    found = []
    for name, stop_after in (("whole", None), ("cut", 25)):
        folder = tmp_path / name
        folder.mkdir()
        options = {"space": space_of(NEAR), "n_trials": 8, "startup_trials": 5}
        search_fake(folder, stop_after=stop_after, **options)
        study, _ = search_fake(folder, **options)
        found.append([(t.params, t.value) for t in study_record(study).counted])
    assert found[0] == found[1]
