"""What is concluded from cheap scores and true ones."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import PROBLEM, SPACE
from scipy.stats import norm, spearmanr

from nas.analysis.screening import (
    MIN_SAMPLE,
    MOST_NETWORKS,
    Screening,
    Trained,
    Untrained,
    judge,
    verdict,
)
from nas.experiments.screen_sample import draw_networks
from nas.spec import TrialSpec

N, N_TRAINED = 200, 40
GENERATOR = np.random.default_rng(5)
TRUTH = GENERATOR.normal(0.8, 0.05, N)
NOISE = {
    name: GENERATOR.normal(size=N) for name in ("signal", "gradient", "synflow", "jacobian")
} | {"weights": GENERATOR.integers(100, 10_000, N).astype(float)}
ONE_MS = dict.fromkeys(NOISE, 0.001)


def made(
    values: dict[str, np.ndarray] | None = None,
    first_epoch: np.ndarray = TRUTH,
    truth: np.ndarray = TRUTH,
    seconds: dict[str, float] = ONE_MS,
    direction: str = "maximize",
    n_trained: int = N_TRAINED,
    compile_seconds: float = 0.0,
) -> Screening:
    scores = NOISE | (values or {})
    networks = [
        Untrained(a_spec(), {name: float(v[k]) for name, v in scores.items()}, seconds, str(k % 10))
        for k in range(N)
    ]
    sample = [
        Trained(k, float(truth[k]), float(first_epoch[k]), 20, 0.05, compile_seconds * (k < 10))
        for k in range(n_trained)
    ]
    return judge(networks, sample, 5, "accuracy", direction)


def a_spec() -> TrialSpec:
    return draw_networks(SPACE, PROBLEM, 8, 0)[0]


def text(screening: Screening) -> str:
    return "\n".join(verdict(screening))


def test_a_score_that_is_the_truth_is_named_and_chance_is_not() -> None:
    screening = made({"jacobian": TRUTH}, first_epoch=NOISE["signal"])
    jacobian = screening.score("jacobian")
    assert jacobian.correlation == pytest.approx(1.0)
    assert jacobian.interval == pytest.approx((1.0, 1.0))
    assert [score.name for score in screening.scores if score.is_worth_something] == ["jacobian"]
    assert "Worth something on this data: Jacobian covariance (+1.00)." in text(screening)
    assert "Jacobian covariance beats one epoch per CPU second" in text(screening)
    assert "Jacobian covariance does better than counting weights" in text(screening)


def test_one_epoch_that_beats_every_training_free_score_is_said_exactly_so() -> None:
    said = text(made())
    assert "One epoch beats every training-free score per CPU second" in said
    assert "one epoch (+1.00)" in said


def test_nothing_is_worth_anything_where_all_is_chance() -> None:
    said = text(made(first_epoch=np.random.default_rng(9).normal(size=N)))
    assert "No score is told from chance by 40 networks." in said
    assert "Neither one epoch nor a training-free score is worth its CPU seconds" in said
    assert "beats" not in said and "ahead" not in said


def test_correlations_are_spearmans_with_ties_and_intervals_cover_them() -> None:
    rough = np.round(TRUTH + np.random.default_rng(1).normal(0, 0.05, N), 1)
    screening = made({"synflow": rough})
    score = screening.score("synflow")
    expected = spearmanr(rough[:N_TRAINED], TRUTH[:N_TRAINED]).statistic
    assert score.correlation == pytest.approx(expected)
    assert score.interval is not None
    low, high = score.interval
    assert low < expected < high
    # Fisher's interval is about as wide, for one of six that hold together.
    z = norm.ppf(1.0 - 0.025 / 6) / np.sqrt(N_TRAINED - 3)
    fisher = np.tanh(np.arctanh(expected) + np.array([-z, z]))
    assert high - low == pytest.approx(fisher[1] - fisher[0], rel=0.35)


@pytest.mark.long
def test_scores_without_worth_seldom_seem_to_have_some() -> None:
    generator = np.random.default_rng(7)
    n_false = 0
    for _ in range(20):
        chance = {name: generator.normal(size=N) for name in NOISE}
        screening = made(chance, first_epoch=generator.normal(size=N), n_trained=16)
        n_false += any(score.is_worth_something for score in screening.scores)
    # 1 is expected; 5 or more would be 1 in 400.
    assert n_false < 5


def test_propagation_is_best_at_zero_in_either_direction() -> None:
    off = (TRUTH.max() - TRUTH) * np.where(np.arange(N) % 2, -1.0, 1.0)
    assert made({"gradient": off}).score("gradient").correlation == pytest.approx(1.0)


def test_less_is_better_for_some_metrics() -> None:
    screening = made({"synflow": -TRUTH}, direction="minimize")
    assert screening.score("synflow").correlation == pytest.approx(1.0)
    assert screening.score("one_epoch").correlation == pytest.approx(1.0)
    assert screening.best == TRUTH[:N_TRAINED].min()
    assert screening.median == pytest.approx(np.median(TRUTH[:N_TRAINED]))
    ten = np.sort(TRUTH[:N_TRAINED])[:10]
    assert screening.score("synflow").top_quarter == pytest.approx(np.median(ten))


def test_fewer_weights_may_be_better() -> None:
    screening = made({"weights": 1000.0 - TRUTH}, first_epoch=NOISE["signal"])
    assert screening.score("weights").correlation == pytest.approx(-1.0)
    assert screening.score("weights").pick > 0.99
    assert "number of weights (−1.00: fewer is better)" in text(screening)
    assert "No training-free score does better than counting weights." in text(screening)


def test_a_score_that_only_counts_weights_is_told() -> None:
    weights = TRUTH + np.random.default_rng(2).normal(0, 0.05, N)
    screening = made({"weights": weights, "synflow": np.exp(weights)})
    assert screening.score("synflow").with_weights == pytest.approx(1.0)
    assert screening.weights_equal > 0.5
    said = text(screening)
    assert "Counting weights does as well" in said or "No training-free score does better" in said
    assert "Nearly the number of weights by another name: synflow (+1.00)." in said


def test_a_better_point_is_not_called_certain() -> None:
    generator = np.random.default_rng(4)
    jacobian = TRUTH + generator.normal(0, 0.05, N)
    first = TRUTH + generator.normal(0, 0.028, N)
    screening = made({"jacobian": jacobian}, first_epoch=first)
    assert 0.05 < screening.epoch_first < 0.95
    assert screening.score("one_epoch").pick > screening.score("jacobian").pick
    assert "One epoch is ahead of every training-free score per CPU second, but" in text(screening)


def test_costs_and_what_they_buy() -> None:
    seconds = {"signal": 0.02, "gradient": 0.01, "synflow": 0.04, "jacobian": 1.0, "weights": 1e-6}
    screening = made({"signal": 1.0 - TRUTH}, seconds=seconds, compile_seconds=2.0)
    assert screening.full_seconds == pytest.approx(20 * 0.05)
    assert screening.compile_seconds == pytest.approx(2.0)
    assert screening.n_programs == 10
    # A fifth of an epoch of five folds, and ten programs for 200 networks.
    epoch = 0.01 + 10 * 2.0 / 200
    assert screening.score("one_epoch").seconds == pytest.approx(epoch)
    assert screening.score("one_epoch").affordable == N
    assert screening.score("signal").affordable == round(N * epoch / 0.02)
    assert screening.score("jacobian").affordable == round(N * epoch / 1.0)
    assert screening.score("weights").affordable == MOST_NETWORKS
    # Correlation 1: what it picks is the best of them all. Simulated, not by Blom's formula.
    best = np.random.default_rng(0).normal(size=(4000, N)).max(axis=1).mean()
    assert screening.score("one_epoch").pick == pytest.approx(norm.cdf(best), abs=1e-3)


def test_diverged_networks_are_the_worst_and_counted() -> None:
    truth, first = TRUTH.copy(), TRUTH.copy()
    truth[:3] = first[1] = np.nan
    screening = made(truth=truth, first_epoch=first)
    assert screening.n_diverged == 3
    lowest = np.where(np.isnan(truth), -9.0, truth)[:N_TRAINED]
    expected = spearmanr(np.where(np.isnan(first), -9.0, first)[:N_TRAINED], lowest).statistic
    assert screening.score("one_epoch").correlation == pytest.approx(expected)
    assert screening.median == pytest.approx(np.median(lowest))
    assert None not in [entry["correlation"] for entry in screening.to_dict()["scores"]]


def test_a_score_that_does_not_vary_has_no_correlation() -> None:
    screening = made({"signal": np.zeros(N)})
    score = screening.score("signal")
    assert score.correlation is None and score.interval is None
    assert not score.is_worth_something
    assert "signal propagation" in text(screening)


def test_few_networks_are_judged_all_the_same() -> None:
    screening = made(n_trained=MIN_SAMPLE)
    assert screening.score("one_epoch").is_worth_something
    assert replace(screening, n_trained=MIN_SAMPLE) == screening
