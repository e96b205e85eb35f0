"""What is wrong with a trial, and with the trials of a study."""

from dataclasses import replace
from typing import Any

import pytest
from examinations import FALLING, FLAT, HEALTHY, NOTHING, convolutional, spec_of
from fakes import made_settings, with_settings

from nas.analysis.diagnosis import _experiment, diagnose_study, diagnose_trial
from nas.analysis.experiment import Experiment, LookAtData, SearchAgain, TrainAgain
from nas.errors import NasError
from nas.space import Range
from nas.spec import Curves, Examination, TrialSpec
from nas.study.record import StudyRecord, TrialRecord


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
    return StudyRecord("iris", "accuracy", "maximize", made_settings(), tuple(trials))


def test_a_diagnosis_gives_the_next_experiment() -> None:
    sick = replace(HEALTHY, **{**NOTHING, "first_step": (30.0,) * 3})
    diagnosis = diagnose_trial(record(HEALTHY, sick), 1)
    (cause,) = diagnosis.causes
    assert cause.title == "learning rate too high"
    assert cause.experiment == TrainAgain(1, {"learning_rate": 0.0001})
    assert diagnose_trial(record(HEALTHY), 0).summary == "Nothing is wrong with this network."


def test_a_study_counts_first_causes_and_shows_the_worst() -> None:
    sick = replace(HEALTHY, **{**NOTHING, "first_step": (30.0,) * 3})
    whole = diagnose_study(record(sick, HEALTHY, sick, None))
    assert whole.n_examined == 3
    assert whole.counts == (("learning rate too high", 2),)
    assert whole.best is not None and whole.best.trial == 1 and not whole.best.causes
    assert [diagnosis.trial for diagnosis in whole.worst] == [0, 2]


def test_a_pruned_trial_is_not_blamed_for_its_end() -> None:
    young = replace(HEALTHY, n_steps=50, train_value=0.5, val_value=0.5)
    whole = record(young)
    assert [cause.name for cause in diagnose_trial(whole, 0).causes] == ["too_few_epochs"]
    pruned = replace(whole, trials=(replace(whole.trials[0], outcome="pruned"),))
    assert diagnose_trial(pruned, 0).causes == ()
    assert "as far as 12 epochs tell" in diagnose_trial(pruned, 0).summary
    once = replace(pruned.trials[0], curves=Curves(train_loss=((2.3,),)))
    once_pruned = replace(pruned, trials=(once,))
    assert "as far as 1 epoch tells" in diagnose_trial(once_pruned, 0).summary
    idle = record(replace(HEALTHY, probe=(0.92, 0.96, 0.96, 0.96, 0.96)))
    trial = replace(idle.trials[0], spec=spec_of(depth=4))
    assert diagnose_trial(replace(idle, trials=(trial,)), 0).causes
    pruned = replace(idle, trials=(replace(trial, outcome="pruned"),))
    assert diagnose_trial(pruned, 0).causes == ()


def test_what_was_not_examined_is_refused() -> None:
    with pytest.raises(NasError, match="a trial of study 'iris', 0 to 0"):
        diagnose_trial(record(HEALTHY), 7)
    with pytest.raises(NasError, match=r"trial 0 was not examined.*, with like=0\.") as raised:
        diagnose_trial(record(None), 0)
    assert raised.value.on_command_line.endswith("again, with --like 0.")
    with pytest.raises(NasError, match="no trial was examined"):
        diagnose_study(record(None))


SICK = replace(HEALTHY, **{**NOTHING, "first_step": (30.0,) * 3})


def test_among_the_worst_are_only_the_worse_half() -> None:
    narrow_gap = replace(HEALTHY, train_value=1.0, val_value=0.8)  # over-fits, and scores well
    whole = diagnose_study(record(HEALTHY, narrow_gap, SICK, SICK, HEALTHY, HEALTHY))
    assert dict(whole.counts) == {"learning rate too high": 2, "over-fitting": 1}
    assert [diagnosis.trial for diagnosis in whole.worst] == [2, 3, 1]
    whole = diagnose_study(record(HEALTHY, narrow_gap, SICK, SICK))
    assert [diagnosis.trial for diagnosis in whole.worst] == [2, 3]


def test_the_best_trial_is_not_among_the_worst() -> None:
    whole = diagnose_study(record(SICK))
    assert whole.best is not None and whole.best.causes and whole.worst == ()
    assert whole.summary.startswith("1 trial examined: nothing is wrong with 0")


def test_an_imbalanced_sample_is_searched_again_in_the_same_space() -> None:
    space = "depth: {low: 1, high: 3}\ndata: adult.csv\n"
    skewed = with_settings(record(replace(HEALTHY, true_share=0.95)), space=space)
    (cause,) = diagnose_trial(skewed, 0).causes
    # Without the data that the space names: those of the study may be others.
    words = {"name": "iris_balanced", "depth": Range(1, 3)}
    assert cause.experiment == SearchAgain(words, metric="balanced_accuracy")


def test_noisy_labels_are_looked_at() -> None:
    assert _experiment(record(HEALTHY), record(HEALTHY).trials[0], "label_noise") == LookAtData()


def changes(spec: TrialSpec, **signs: Any) -> dict[str, Any]:
    whole = record(replace(HEALTHY, **signs))
    whole = replace(whole, trials=(replace(whole.trials[0], spec=spec),))
    (cause,) = diagnose_trial(whole, 0).causes
    return _params(cause.experiment)


def _params(experiment: Experiment | None) -> dict[str, Any]:
    assert isinstance(experiment, TrainAgain) and experiment.like == 0
    return dict(experiment.params)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ({"epochs": 3}, {"epochs": 15}),
        ({"steps": 900}, {"steps": 4500}),
        ({"steps": 900, "epochs": 3}, {"epochs": 15}),  # 44 steps each
    ],
)
def test_training_goes_on_by_what_ended_it(words: dict[str, int], change: dict[str, int]) -> None:
    whole = record(replace(HEALTHY, train_value=0.5, val_value=0.5))
    curves = Curves(train_loss=tuple((loss,) for loss in FALLING))
    trial = replace(whole.trials[0], spec=spec_of(**words), curves=curves)
    (cause,) = diagnose_trial(replace(whole, trials=(trial,)), 0).causes
    assert cause.name == "too_few_epochs"
    assert _params(cause.experiment) == change


def test_averages_that_are_off_are_to_follow_faster() -> None:
    lagging = {"moving_value": 0.5}
    assert changes(spec_of(normalization="batch"), **lagging) == {"normalization_momentum": 0.9}
    fast = {"normalization": "batch", "normalization_momentum": 0.9, "epochs": 20}
    assert changes(spec_of(**fast), **lagging) == {"epochs": 100}
    assert changes(spec_of(**fast, dropout=0.5), **lagging) == {"dropout": 0}


def test_experiments_with_convolutions_name_their_layers() -> None:
    narrow = {"train_value": 0.6, "val_value": 0.6}
    spec = convolutional("64c3", "mp2", "4c3", "gap")
    assert changes(spec, **narrow) == {"layers": "64c3-mp2-32c3-gap"}
    idle = {"probe": (0.92, 0.96, 0.96, 0.96, 0.96)}
    spec = convolutional("16c3", "mp2", "16r3", "gap", units=(32,))
    # Half-way through the residual block: its first layer is kept.
    assert changes(spec, **idle) == {"layers": "16c3-mp2-16c3-gap"}
    spec = convolutional("16c3", "16c3", "mp2", "16r3", "gap")
    assert changes(spec, **idle) == {"layers": "16c3-16c3-mp2-gap"}
    assert changes(spec_of(depth=4), **idle) == {"depth": 2}
