"""Pruning: verdicts on cohorts, whatever the order of their trials."""

import math
from itertools import pairwise

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import pruning
from nas.direction import Direction
from nas.pruning import promotes, rungs, stages


def halving(values, known, direction, *how):
    """The rule on the scores of the others, in any order."""
    direction = Direction(direction)
    return pruning.halving(values, sorted(map(direction.key, known)), direction, *how)


def median(values, known, direction, **how):
    direction = Direction(direction)
    return pruning.median(values, sorted(map(direction.key, known)), direction, **how)


RULES = pytest.mark.parametrize("rule", [halving, median])
DIRECTIONS = st.sampled_from(["maximize", "minimize"])
SCORES = st.floats(-1e6, 1e6)
SCORES_OR_NAN = st.one_of(SCORES, st.integers(-2, 2).map(float), st.just(math.nan))
COHORTS = st.lists(SCORES_OR_NAN, min_size=1, max_size=20)
OTHERS = st.lists(SCORES_OR_NAN, max_size=20)


def better(a, b, direction):
    """Whether score `a` beats score `b`; NaN loses to any number."""
    if math.isnan(a) or math.isnan(b):
        return math.isnan(b) and not math.isnan(a)
    return a > b if direction == "maximize" else a < b


@RULES
@given(values=COHORTS, known=OTHERS, direction=DIRECTIONS)
def test_the_best_of_all_goes_on(rule, values, known, direction):
    keep = rule(values, known, direction)
    assert keep.shape == (len(values),)
    for value, kept in zip(values, keep, strict=True):
        beaten = any(better(other, value, direction) for other in [*values, *known])
        if not beaten and not math.isnan(value):
            assert kept


@RULES
@given(values=COHORTS, known=OTHERS, direction=DIRECTIONS)
def test_nan_is_never_kept(rule, values, known, direction):
    keep = rule(values, known, direction)
    assert not keep[np.isnan(values)].any()


@RULES
@given(values=COHORTS, known=OTHERS, direction=DIRECTIONS)
def test_whoever_is_better_than_a_kept_trial_is_kept_and_ties_go_together(
    rule, values, known, direction
):
    keep = rule(values, known, direction)
    for a, a_kept in zip(values, keep, strict=True):
        for b, b_kept in zip(values, keep, strict=True):
            if b_kept and not better(b, a, direction):
                assert a_kept


@RULES
@given(values=COHORTS, known=OTHERS, direction=DIRECTIONS, data=st.data())
def test_order_does_not_matter(rule, values, known, direction, data):
    order = data.draw(st.permutations(range(len(values))))
    shuffled = data.draw(st.permutations(known))
    keep = rule(values, known, direction)
    again = rule([values[k] for k in order], shuffled, direction)
    assert again.tolist() == keep[list(order)].tolist()


@RULES
@given(values=COHORTS, known=OTHERS)
def test_the_direction_is_a_sign(rule, values, known):
    up = rule(values, known, "maximize")
    down = rule([-v for v in values], [-v for v in known], "minimize")
    assert up.tolist() == down.tolist()


@pytest.mark.parametrize("rule", [pruning.halving, pruning.median])
def test_arguments_are_left_alone(rule):
    values, known = [1.0, np.nan, 3.0], [-np.inf, 0.0, 1.0, 2.0, 5.0]
    rule(values, known, Direction.MAXIMIZE)
    assert values[::2] == [1.0, 3.0] and np.isnan(values[1])
    assert known == [-np.inf, 0.0, 1.0, 2.0, 5.0]


@RULES
def test_all_nan_is_pruned_altogether(rule):
    nan = [math.nan] * 9
    assert not rule(nan, nan, "maximize").any()
    assert not rule(nan, [], "minimize").any()


# Halving


@given(COHORTS, OTHERS, DIRECTIONS, st.sampled_from([2, 3, 4]))
def test_halving_keeps_the_best_share(values, known, direction, factor):
    everyone = [*values, *known]
    places = math.ceil(len(everyone) / factor)
    for value, kept in zip(values, halving(values, known, direction, factor), strict=True):
        ahead = sum(better(other, value, direction) for other in everyone)
        has_place = len(everyone) < factor or ahead < places
        assert kept == (has_place and not math.isnan(value))


@given(st.lists(SCORES, min_size=3, max_size=60, unique=True), DIRECTIONS)
def test_a_third_of_distinct_values_goes_on(values, direction):
    kept = halving(values, [], direction).sum()
    assert kept == math.ceil(len(values) / 3)


def test_halving_examples():
    values = [0.1, 0.9, 0.5, 0.7, 0.3, 0.2]
    assert halving(values, [], "maximize").nonzero()[0].tolist() == [1, 3]
    assert halving(values, [], "minimize").nonzero()[0].tolist() == [0, 5]
    assert halving([0.5, 0.8], [0.6, 0.7, 0.9, 0.95], "maximize").tolist() == [False, False]
    assert halving([0.5, 0.8], [0.6, 0.7, 0.1, 0.2], "maximize").tolist() == [False, True]


def test_halving_waits_for_three_trials():
    assert halving([0.1, 0.9], [], "maximize").tolist() == [True, True]
    assert halving([0.1], [0.9], "maximize").tolist() == [True]
    assert halving([0.1, math.nan], [], "maximize").tolist() == [True, False]
    assert halving([0.1], [0.9, 0.8], "maximize").tolist() == [False]


def test_ties_at_the_last_place_go_on_together():
    assert halving([0.5] * 9, [], "maximize").all()
    assert halving([0.9, 0.5, 0.5, 0.1, 0.1, 0.1], [], "maximize").sum() == 3


def test_failed_trials_take_no_place():
    keep = halving([math.nan] * 6 + [0.1, 0.2, 0.3], [], "maximize")
    assert keep.tolist() == [False] * 6 + [True] * 3


# Median


def test_median_examples():
    known = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert median([0.29, 0.3, 0.31], known, "maximize").tolist() == [False, True, True]
    assert median([0.29, 0.3, 0.31], known, "minimize").tolist() == [True, True, False]


def test_median_waits_for_five_others():
    assert median([0.0, math.nan], [1.0] * 4, "maximize").tolist() == [True, False]
    assert median([0.0], [1.0] * 5, "maximize").tolist() == [False]
    assert median([0.0] * 10, [], "maximize").all()
    assert median([0.0], [1.0, 1.0], "maximize", n_startup_trials=2).tolist() == [False]


def test_failed_trials_lower_the_bar():
    nan = math.nan
    assert median([0.1, 0.9], [0.5, 0.6, 0.7, 0.8, nan], "maximize").tolist() == [False, True]
    assert median([0.1, 0.9], [0.5, 0.6, nan, nan, nan], "maximize").tolist() == [True, True]


@given(COHORTS, COHORTS, OTHERS, DIRECTIONS)
def test_the_median_is_of_the_others_alone(values, more, known, direction):
    together = median([*values, *more], known, direction)
    assert together[: len(values)].tolist() == median(values, known, direction).tolist()


# Against Optuna's pruners, which judge each trial on arrival


def kept_by_optuna(pruner, values):
    study = optuna.create_study(direction="maximize", pruner=pruner)
    kept = set()
    for value in values:
        trial = study.ask()
        trial.report(value, 1)
        if not trial.should_prune():
            kept.add(value)
    return kept


def kept_by(rule, values, known=()):
    mask = rule(values, known, "maximize")
    return {value for value, kept in zip(values, mask, strict=True) if kept}


def test_a_cohort_is_halved_the_same_in_any_order_unlike_in_optuna():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rising = [k / 10 for k in range(1, 10)]
    falling = rising[::-1]

    def pruner():
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)

    assert kept_by_optuna(pruner(), rising) != kept_by_optuna(pruner(), falling)
    assert kept_by(halving, rising) == kept_by(halving, falling) == {0.7, 0.8, 0.9}


# Rungs


@pytest.mark.parametrize(
    "max_epochs, factor, epochs",
    [
        (20, 3, (2, 7)),
        (27, 3, (3, 9)),
        (81, 3, (3, 9, 27)),
        (10, 3, (3,)),
        (16, 2, (2, 4, 8)),
        (4, 3, ()),
        (5, 3, (2,)),
        (1, 3, ()),
    ],
)
def test_rungs(max_epochs, factor, epochs):
    assert rungs(max_epochs, factor) == epochs


@given(st.integers(1, 5000), st.integers(2, 5))
def test_rungs_rise_from_the_second_epoch_and_end_before_the_last(max_epochs, factor):
    epochs = (1, *rungs(max_epochs, factor), max(max_epochs, 2))
    assert all(a < b for a, b in pairwise(epochs))
    assert all(isinstance(epoch, int) for epoch in epochs)


@pytest.mark.parametrize(
    ("val_rows", "expected"),
    [
        ([3000] * 5, ((0,), (1, 2, 3, 4))),
        ([600] * 5, ((0, 1), (2, 3, 4))),
        ([400] * 5, ((0, 1, 2, 3, 4),)),  # three folds of five are no less than all
        ([500, 500, 100, 100], ((0, 1), (2, 3))),
        ([50_000], ((0,),)),
        ([1000, 1000], ((0,), (1,))),
        ([], ((),)),
    ],
)
def test_the_first_stage_has_folds_enough_to_tell_networks_apart(val_rows, expected):
    assert stages(val_rows) == expected


def test_promotion_examples():
    maximize, minimize = Direction.MAXIMIZE, Direction.MINIMIZE
    assert promotes(0.5, [], maximize)
    assert not promotes(0.4, [0.5], maximize)
    assert promotes(0.5, [0.5], maximize)  # a tie
    assert promotes(0.4, [0.3, 0.5], maximize)  # two of three
    assert not promotes(0.2, [0.3, 0.5], maximize)
    assert promotes(0.4, [-0.5, -0.3], minimize)
    assert not promotes(math.nan, [], maximize)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30, unique=True))
def test_half_of_distinct_values_would_be_promoted(values):
    keys = sorted(values)
    kept = [v for v in values if promotes(v, [k for k in keys if k != v], Direction.MAXIMIZE)]
    assert len(kept) == -(-len(values) // 2)
    assert max(values) in kept
