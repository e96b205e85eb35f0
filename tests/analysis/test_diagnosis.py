"""Causes from signs: one healthy network, and one sign at a time that is not."""

import math
from dataclasses import replace
from typing import Any

import pytest

from nas.analysis.diagnosis import TITLES, diagnose_study, diagnose_trial, find_causes
from nas.errors import NasError
from nas.space import RandomSuggester, SearchSpace
from nas.spec import Curves, Examination, Problem, TrialSpec
from nas.study import StudyRecord, TrialRecord

PROBLEM = Problem("multiclass", 64, 10)
HEALTHY = Examination(
    n_train=1400,
    n_steps=900,
    gradient_before=(0.01, 0.01, 0.02),
    gradient_after=(0.001, 0.001, 0.002),
    first_step=(0.4, 0.4, 0.5),
    last_step=(0.05, 0.05, 0.05),
    norm_ratio=(1.2, 1.2, 1.3),
    dead_before=(0.0, 0.0),
    dead=(0.02, 0.05),
    saturated_before=(0.0, 0.0),
    saturated=(0.0, 0.0),
    rank=(30.0, 20.0),
    probe=(0.92, 0.95, 0.96),
    loss_before=2.4,
    loss_after=0.05,
    penalty_before=0.01,
    penalty_after=0.02,
    train_value=0.99,
    val_value=0.96,
    predicted_share=0.11,
    true_share=0.1,
)
FALLEN = (2.0, 1.0, 0.5, 0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.055, 0.052, 0.05)
FALLING = (2.3, 2.29, 2.28, 2.26, 2.24, 2.2, 2.15, 2.1, 2.05, 1.98, 1.9, 1.8)
FLAT = (2.31,) * 12
# What a network shows that has learned nothing.
NOTHING = {"train_value": 0.11, "val_value": 0.1, "loss_after": 2.3}


def spec_of(**values: Any) -> TrialSpec:
    words = {"depth": 2, "width": 64, **values}
    return SearchSpace(words).sample(RandomSuggester(0), PROBLEM)


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


def record(*examinations: Examination | None) -> StudyRecord:
    spec = spec_of()
    trials = []
    for number, examination in enumerate(examinations):
        value = examination.val_value if examination is not None else 0.5
        curves = Curves(train_loss=tuple((loss,) for loss in FLAT))
        trials.append(
            TrialRecord(
                number=number,
                outcome="complete",
                value=value,
                stderr=None,
                params={},
                spec=spec,
                fold_values=(value,),
                train_value=value,
                epoch_values={},
                seconds=1.0,
                n_weights=spec.n_weights,
                engine="compiled",
                engine_reason="",
                reason="",
                curves=curves,
                examination=examination,
            )
        )
    return StudyRecord("iris", "accuracy", "maximize", {}, tuple(trials))


def test_a_diagnosis_gives_the_next_experiment() -> None:
    sick = replace(HEALTHY, **{**NOTHING, "first_step": (30.0,) * 3})
    diagnosis = diagnose_trial(record(HEALTHY, sick), 1)
    (cause,) = diagnosis.causes
    assert cause.title == "learning rate too high"
    assert cause.experiment == "nas train --study iris --like 1 --set learning_rate=0.0001"
    assert diagnose_trial(record(HEALTHY), 0).summary == "Nothing is wrong with this network."


def test_a_study_counts_first_causes_and_shows_the_worst() -> None:
    sick = replace(HEALTHY, **{**NOTHING, "first_step": (30.0,) * 3})
    whole = diagnose_study(record(sick, HEALTHY, sick, None))
    assert whole.n_examined == 3
    assert whole.counts == (("learning rate too high", 2),)
    assert whole.best is not None and whole.best.trial == 1 and not whole.best.causes
    assert [diagnosis.trial for diagnosis in whole.worst] == [0, 2]


def test_a_pruned_trial_is_not_blamed_for_its_few_epochs() -> None:
    young = replace(HEALTHY, n_steps=50, train_value=0.5, val_value=0.5)
    whole = record(young)
    assert [cause.name for cause in diagnose_trial(whole, 0).causes] == ["too_few_epochs"]
    pruned = replace(whole, trials=(replace(whole.trials[0], outcome="pruned"),))
    assert diagnose_trial(pruned, 0).causes == ()
    assert "as far as 12 epochs tell" in diagnose_trial(pruned, 0).summary


def test_what_was_not_examined_is_refused() -> None:
    with pytest.raises(NasError, match="a trial of study 'iris', 0 to 0"):
        diagnose_trial(record(HEALTHY), 7)
    with pytest.raises(NasError, match="trial 0 was not examined"):
        diagnose_trial(record(None), 0)
    with pytest.raises(NasError, match="no trial was examined"):
        diagnose_study(record(None))
