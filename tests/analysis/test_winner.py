"""When a winner is doubted: it answers the same for every row."""

from dataclasses import replace

import pytest
from fakes import SPACE, fill_study, with_settings

from nas.analysis.winner import doubts, summarize
from nas.study.attributes import OneAnswer
from nas.study.record import StudyRecord, study_record


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    """A study whose best trial has 0.95 in the mean over its folds, with a deviation of 0.01."""
    return study_record(fill_study(SPACE, 8, lambda spec: 0.95 - 0.01 * spec.n_weights / 1e4))


def with_constant(record: StudyRecord, value: float, **changed: object) -> StudyRecord:
    return replace(with_settings(record, constant=OneAnswer("ok", value)), **changed)


def answering(record: StudyRecord, counts: dict | None, rows: str = "test") -> StudyRecord:
    winner = {"trial": record.best().number, "test_value": 0.9, "test_interval": None}
    winner |= {"predicted_on": rows, "predicted_classes": counts}
    return with_constant(record, 0.5, winner=winner)


@pytest.mark.parametrize(("below", "doubted"), [(0.1, False), (0.02, False), (0.001, True),
                                                (0.0, True), (-0.1, True)])  # fmt: skip
def test_it_has_to_be_clearly_better_than_one_answer_for_all(record, below, doubted) -> None:
    best = record.best()
    assert 0.001 < best.stderr < 0.02
    found = doubts(with_constant(record, best.value - below))
    assert bool(found) == doubted
    if doubted:
        assert "not clearly better than predicting 'ok' for every row (accuracy" in found[0]
        assert "--metric balanced_accuracy" in found[1]


def test_less_is_better_for_a_loss(record) -> None:
    value = record.best().value
    for constant, doubted in ((value + 0.1, False), (value - 0.1, True)):
        other = with_constant(record, constant, metric="log_loss", direction="minimize")
        # The best is now the trial with the lowest value.
        shifted = constant - value + other.best().value
        assert bool(doubts(with_constant(other, shifted))) == doubted


@pytest.mark.parametrize(("rows", "part"), [("test", "the test part"),
                                            ("training", "the training rows")])  # fmt: skip
def test_one_answer_is_said(record, rows, part) -> None:
    found = doubts(answering(record, {"fraud": 0, "ok": 1200}, rows))
    assert found[0] == f"the winner predicts 'ok' for all 1,200 rows of {part}."
    assert summarize(answering(record, {"fraud": 0, "ok": 9}))["predicted_classes"]["ok"] == 9


def test_several_answers_are_no_doubt(record) -> None:
    assert doubts(answering(record, {"fraud": 1, "ok": 1200})) == ()
    assert doubts(answering(record, None)) == ()  # regression


def test_an_earlier_winner_says_nothing_of_this_one(record) -> None:
    other = answering(record, {"fraud": 0, "ok": 9})
    earlier = {**other.winner, "trial": other.best().number + 1}
    assert doubts(replace(other, winner=earlier)) == ()


def test_an_older_study_has_no_doubt(record) -> None:
    older = with_settings(record, constant=None, findings=())
    older = replace(older, winner={"trial": 0, "test_value": 0.9})
    assert doubts(older) == ()
    assert summarize(older)["findings"] == [] and summarize(older)["constant"] is None
