"""Causes from signs: one healthy network, and one sign at a time that is not."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from examinations import FALLEN, FALLING, FLAT, HEALTHY, NOTHING, convolutional, spec_of

from nas.analysis.causes import TITLES, better_epoch, find_causes
from nas.direction import Direction
from nas.spec import Curves, TrialSpec


def causes(
    losses: tuple[float, ...] = FALLEN, spec: TrialSpec | None = None, **signs: Any
) -> list[str]:
    curves = Curves(train_loss=tuple((loss, loss) for loss in losses))
    found = find_causes(spec or spec_of(), curves, replace(HEALTHY, **signs))
    strengths = [strength for _, strength, _ in found]
    assert strengths == sorted(strengths, reverse=True)
    assert all(0.0 <= strength <= 1.0 for strength in strengths)
    assert all(evidence and name in TITLES for name, _, evidence in found)
    return [name for name, _, _ in found]


def test_nothing_is_wrong_with_a_healthy_network() -> None:
    assert causes() == []


@pytest.mark.parametrize(
    ("cause", "losses", "signs", "words"),
    [
        ("learning_rate_too_high", (2.0, math.nan), {"loss_after": math.nan}, {}),
        ("learning_rate_too_high", FLAT, {**NOTHING, "first_step": (30.0, 40.0, 50.0)}, {}),
        ("learning_rate_too_high", FLAT, {**NOTHING, "loss_after": 40.0}, {}),
        ("too_few_epochs", FALLING, {"train_value": 0.5, "val_value": 0.5}, {}),
        ("too_few_epochs", FALLEN[:1], {**NOTHING, "n_steps": 5}, {}),
        ("learning_rate_too_low", FLAT, {**NOTHING, "first_step": (1e-4, 2e-4, 1e-3)}, {}),
        (
            "vanishing_gradients",
            FLAT,
            {**NOTHING, "gradient_before": (1e-9, 1e-6, 1e-4, 1e-2)},
            {"depth": 3},
        ),
        ("exploding_gradients", FLAT, {**NOTHING, "loss_before": 1e4}, {}),
        ("dead_units", FLAT, {**NOTHING, "dead_before": (1.0, 0.0), "dead": (1.0, 0.0)}, {}),
        (
            "saturation",
            FLAT,
            {**NOTHING, "saturated_before": (0.0, 0.9), "saturated": (0.0, 0.9)},
            {"activation": "tanh"},
        ),
        ("moving_averages", FALLEN, {"moving_value": 0.7}, {"normalization": "batch"}),
        ("too_narrow", FALLEN, {"train_value": 0.6, "val_value": 0.6}, {"width": 5}),
        ("over_regularized", FLAT, {**NOTHING, "penalty_before": 60.0}, {"l2": 1.0}),
        ("over_fitting", FALLEN, {"train_value": 1.0, "val_value": 0.6}, {}),
        ("label_noise", FALLEN, {"val_value": 0.1, "probe": (0.1, 0.1, 0.1)}, {}),
        ("imbalanced", FALLEN, {"true_share": 0.95}, {}),
        (
            "idle_layers",
            FALLEN,
            {"probe": (0.92, 0.96, 0.96, 0.96, 0.96, 0.96)},
            {"depth": 5},
        ),
    ],
)
def test_a_sign_names_its_cause_first(
    cause: str, losses: tuple[float, ...], signs: Any, words: Any
) -> None:
    found = causes(losses, spec_of(**words), **signs)
    assert found[0] == cause


def test_a_high_rate_explains_the_dead_units_it_leaves() -> None:
    signs = {**NOTHING, "first_step": (30.0,) * 3, "dead": (1.0, 1.0)}
    assert causes(FLAT, **signs) == ["learning_rate_too_high"]


def test_many_dead_units_of_a_network_that_works_are_no_cause() -> None:
    assert causes(dead=(0.7, 0.1)) == []


def test_causes_of_an_all_too_famous_network_come_in_the_order_of_their_evidence() -> None:
    # 784-5-5-10, sigmoid, learning rate 2, five full-batch iterations, lambda = 1.
    spec = spec_of(
        width=5, activation="sigmoid", optimizer="sgd", learning_rate=2.0, l2=1.0, epochs=5
    )
    signs = {
        **NOTHING,
        "n_steps": 5,
        "first_step": (4.0, 4.0, 4.0),
        "last_step": (4.0, 4.0, 4.0),
        "norm_ratio": (240.0,) * 3,
        "loss_before": 2.36,
        "loss_after": 290.0,
        "penalty_before": 20.0,
        "saturated": (1.0, 1.0),
    }
    assert causes((23.6, 1e2, 1e3, 1e4, 1e5), spec, **signs) == [
        "learning_rate_too_high",
        "too_few_epochs",
        "too_narrow",
        "over_regularized",
    ]


def test_a_rate_that_wastes_its_steps_is_too_high_below_the_usual_threshold() -> None:
    signs = {**NOTHING, "first_step": (1.3, 1.4, 1.2), "norm_ratio": (1e-5, 1e-5, 1e-5)}
    assert causes(FLAT, spec_of(l2=1e-4), **signs) == ["learning_rate_too_high"]
    # With a heavy penalty the steps are the penalty's.
    assert causes(FLAT, spec_of(l2=1.0), **{**signs, "penalty_before": 60.0}) == [
        "over_regularized"
    ]
    # A network that learns all the same may take such steps.
    assert causes(first_step=(1.3, 1.4, 1.2)) == []


def evidence(**signs: Any) -> str:
    curves = Curves(train_loss=tuple((loss,) for loss in FLAT))
    exam = replace(HEALTHY, **{**NOTHING, "first_step": (0.5, 0.5, 0.5), **signs})
    ((_, _, sentence),) = find_causes(spec_of(l2=0.1), curves, exam)
    return sentence


def test_only_what_was_seen_is_evidence() -> None:
    assert evidence(penalty_before=24.0) == "before training the penalty is 10 times the loss"
    shrunk = {"norm_ratio": (0.1, 0.1, 0.1)}
    assert evidence(**shrunk) == "training has shrunk the kernels to 0.1 of their norm"
    both = evidence(penalty_before=24.0, **shrunk)
    assert "10 times the loss, and training has shrunk" in both


def test_maps_that_are_averaged_hand_on_a_number_each() -> None:
    signs: dict[str, Any] = {"train_value": 0.6, "val_value": 0.6}
    assert causes(FLAT, convolutional("4c3", "mp2", "4c3"), **signs) == []  # 64 numbers
    assert causes(FLAT, convolutional("4c3", "mp2", "4c3", "gap"), **signs) == ["too_narrow"]
    assert causes(FLAT, convolutional("32c3", units=(4,)), **signs) == ["too_narrow"]


def narrow(spec: TrialSpec) -> str:
    curves = Curves(train_loss=tuple((loss,) for loss in FLAT))
    exam = replace(HEALTHY, train_value=0.6, val_value=0.6)
    ((name, _, sentence),) = find_causes(spec, curves, exam)
    assert name == "too_narrow"
    return sentence


def test_the_rank_stands_beside_the_numbers_that_it_is_the_rank_of() -> None:
    # Rank 30 of maps cannot be that of the 4 numbers which are left of them.
    assert narrow(convolutional("4c3", "gap")) == (
        "layer 1 hands on 4 numbers for 10 classes after pooling; a linear model scores 0.920 on "
        "the inputs and 0.950 behind it, before the pooling"
    )
    assert narrow(convolutional("32c3", units=(1,))) == (
        "layer 2 hands on 1 number for 10 classes (effective rank 20.0); a linear model scores "
        "0.920 on the inputs and 0.960 behind it"
    )


def test_a_network_that_diverged_does_not_need_more_epochs() -> None:
    signs = {**NOTHING, "loss_after": math.nan, "n_steps": 5}
    assert causes((2.0, math.nan), **signs) == ["learning_rate_too_high"]


def test_few_steps_are_no_over_fitting() -> None:
    gap = {"n_train": 60, "train_value": 0.4, "val_value": 0.15}
    assert causes(FALLEN, n_steps=8, **gap) == ["too_few_epochs"]
    # Training rows that are learned after few steps are over-fitted all the same.
    assert causes(FALLEN, **{**gap, "n_steps": 8, "train_value": 1.0}) == ["over_fitting"]


def test_one_step_and_one_epoch_are_singular() -> None:
    def sentence(losses: tuple[float, ...], **signs: Any) -> str:
        curves = Curves(train_loss=tuple((loss,) for loss in losses))
        ((_, _, text),) = find_causes(spec_of(), curves, replace(HEALTHY, **signs))
        return text

    young: dict[str, Any] = {"train_value": 0.5, "val_value": 0.5}
    assert sentence(FALLEN[:1], n_steps=1, **young) == "training ended after 1 step"
    assert sentence((1.2,), **young) == "the loss was still falling, by 50% in its only epoch"


def test_convolutions_count_as_layers_that_may_add_nothing() -> None:
    flat: dict[str, Any] = {"probe": (0.92, 0.96, 0.96, 0.96, 0.96)}
    deep = convolutional("8c3", "8c3", "mp2", "8c3", "8c3")
    assert causes(FALLEN, deep, **flat) == ["idle_layers"]


# Training too long


def scores(
    fall: float, noise: float, n_epochs: int = 30, n_folds: int = 5, seed: int = 0
) -> Curves:
    """Scores that rise to 0.9 in a third of the epochs, and fall by so much after that."""
    generator = np.random.default_rng(seed)
    rise = np.interp(np.arange(n_epochs), [0, n_epochs // 3, n_epochs - 1], [0.5, 0.9, 0.9 - fall])
    values = rise[:, None] + generator.normal(scale=noise, size=(n_epochs, n_folds))
    loss = tuple((x, x) for x in np.linspace(2.0, 0.1, n_epochs))
    return Curves(train_loss=loss, val_value=tuple(map(tuple, values)))


def test_an_epoch_that_was_better_is_named_and_how_much() -> None:
    curves = scores(fall=0.1, noise=0.005)
    found = better_epoch(curves, Direction.MAXIMIZE)
    assert found is not None and 9 <= found.epoch <= 13
    assert found.gain == pytest.approx(0.1, abs=0.02)
    ((name, _, text),) = find_causes(spec_of(), curves, HEALTHY)
    assert name == "trained_too_long"
    assert text.startswith(f"after epoch {found.epoch} of 30 ")


def test_errors_are_better_where_they_are_less() -> None:
    curves = scores(fall=0.1, noise=0.005)
    errors = replace(curves, val_value=tuple(tuple(-v for v in row) for row in curves.val_value))
    assert better_epoch(errors, Direction.MINIMIZE) == better_epoch(curves, Direction.MAXIMIZE)
    first = better_epoch(curves, Direction.MINIMIZE)  # when the score was 0.5
    assert first is not None and first.epoch == 1


def test_the_best_of_many_noisy_epochs_is_not_better() -> None:
    named = [better_epoch(scores(0.0, 0.02, seed=seed), Direction.MAXIMIZE) for seed in range(100)]
    assert sum(found is not None for found in named) <= 10


def test_one_fold_or_epoch_tells_nothing() -> None:
    for n_epochs, n_folds in ((30, 1), (1, 5)):
        curves = scores(0.1, 0.0, n_epochs, n_folds)
        assert better_epoch(curves, Direction.MAXIMIZE) is None
    assert better_epoch(Curves(), Direction.MAXIMIZE) is None
