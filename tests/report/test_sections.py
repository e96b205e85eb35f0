"""What the sections of a report say."""

import shlex
from dataclasses import replace

from fakes import with_settings
from reports import BASELINES, SPACE

from nas.report.blocks import Block, Code, Picture, Report, Table, Text
from nas.report.figures import parallel_figure, slice_figure
from nas.report.sections import make_report
from nas.report.summary import summarize_in_words
from nas.space import dump_space
from nas.space.domains import Choice, Parameter
from nas.study.attributes import Finding, OneAnswer, PositiveClass
from nas.study.record import StudyRecord

ELSEWHERE = "sqlite:///other place.db"


def blocks(report: Report, name: str) -> tuple[Block, ...]:
    return next(section.blocks for section in report.sections if section.name == name)


def commands(record: StudyRecord, storage: str) -> list[list[str]]:
    """The commands that a report proposes, without those that repeat the study elsewhere."""
    report = make_report(record, "it takes 5 trials.", BASELINES, storage)
    found = [b.text for b in (*blocks(report, "depth"), *blocks(report, "diagnosis"))
             if isinstance(b, Code)]  # fmt: skip
    return [shlex.split(text.replace("\\\n", "")) for text in found]


def test_proposed_commands_look_in_the_same_database(record: StudyRecord) -> None:
    few = replace(record, trials=tuple(t for t in record.trials if t.number < 12))
    asked = commands(few, ELSEWHERE)
    assert asked and all(words[-2:] == ["--storage", ELSEWHERE] for words in asked)
    assert all("--storage" not in words for words in commands(few, "postgresql://ann:pw@host/nas"))


def test_one_of_anything_is_singular(record: StudyRecord) -> None:
    alone = replace(record, trials=(record.best(),))
    report = make_report(alone, "it takes 5 trials.", BASELINES)
    assert ("1", "trial, 1 complete") in report.facts
    (picture,) = blocks(report, "history")
    assert isinstance(picture, Picture)
    assert picture.caption.startswith("Based on 1 trial (1 complete). A line")
    two = replace(record, trials=record.complete[:2])
    captions = [b.caption for b in blocks(make_report(two, "", BASELINES), "curves")
                if isinstance(b, Picture)]  # fmt: skip
    assert any("; the next one as a mean." in caption for caption in captions)


def test_all_rows_at_once_are_a_full_batch(record: StudyRecord) -> None:
    entries = {**SPACE.parameters, "batch_size": Parameter(Choice((0, 32, 128)))}
    space = dump_space(replace(SPACE, parameters=entries))
    trials = tuple(
        replace(t, params={**t.params, "batch_size": (0, 32, 128)[t.number % 3]})
        for t in record.trials
    )
    batches = replace(with_settings(record, space=space), trials=trials)
    best = {t.number: t for t in trials}[record.best().number].params["batch_size"]
    (table,) = [b for b in blocks(make_report(batches, "", ()), "winner") if isinstance(b, Table)]
    row = next(row for row in table.rows if row[0] == "batch size")
    assert row[1] == {0: "full", 32: "32", 128: "128"}[best]
    axis = slice_figure(batches, "batch_size").layout.xaxis
    assert axis.type == "category" and list(axis.categoryarray) == ["full", "32", "128"]
    labels = {note.text for note in parallel_figure(batches, ["batch_size"]).layout.annotations}
    assert {"full", "32", "128"} <= labels


def test_whole_networks_are_told_by_their_hidden_layers(record: StudyRecord) -> None:
    networks = ("vgg19/32", "4c3-mp2-4r3-gap", "vgg11/32")
    space = f"network: cnn\nlayers: [{', '.join(networks)}]"
    trials = tuple(
        replace(t, params={"layers": networks[t.number % 2]}) for t in record.trials
    )  # the last was never tried
    whole = replace(with_settings(record, space=space), trials=trials)
    (picture, *_) = blocks(make_report(whole, "", BASELINES), "depth")
    assert isinstance(picture, Picture) and "the shallowest first" in picture.caption
    levels = [name.rsplit("<br>", 1)[0] for name in picture.figure.layout.xaxis.categoryarray]
    assert levels == [
        "4c3-mp2-4r3-gap<br>3 hidden layers",
        "vgg11/32<br>10 hidden layers",
        "vgg19/32<br>18 hidden layers",
    ]


def test_cut_intervals_and_triangles_are_explained(record: StudyRecord) -> None:
    figures = [b for b in blocks(make_report(record, "", BASELINES), "significance")
               if isinstance(b, Picture)]  # fmt: skip
    assert figures
    for picture in figures:
        is_cut = picture.figure.layout.xaxis.range is not None
        assert ("reach an edge of the picture end beyond it" in picture.caption) == is_cut
    assert not [b for b in figures if isinstance(b, Text)]


def test_doubts_and_findings_are_told(record: StudyRecord) -> None:
    best = record.best()
    text = " ".join(make_report(record, "none.", BASELINES).summary)
    assert "But " not in text
    winner = {**record.winner, "predicted_on": "test", "predicted_classes": {"a": 30, "b": 0}}
    findings = (Finding("order", "neighbouring rows are alike."),)
    doubted = with_settings(record, findings=findings, constant=OneAnswer("a", best.value))
    report = make_report(replace(doubted, winner=winner), "none.", BASELINES)
    assert "But the winner predicts 'a' for all 30 rows of the test part." in report.summary[1]
    said = [block.text for block in blocks(report, "winner") if isinstance(block, Text)]
    assert f"Predicting 'a' for every row has accuracy {best.value:.4g}." in said[0]
    assert "Doubt: the winner predicts 'a' for all 30 rows of the test part." in said
    assert any("not clearly better than predicting 'a'" in text for text in said)
    assert "About the data: neighbouring rows are alike." in said


def test_the_positive_class_is_named(record: StudyRecord) -> None:
    fraud = with_settings(record, task="binary", positive=PositiveClass(0, "fraud"))
    report = make_report(replace(fraud, metric="f1"), "none.", BASELINES)
    assert "F1 of 'fraud'" in report.summary[0]
    assert any("F1 of 'fraud'" in what for _, what in report.facts)


def test_trials_that_saw_some_folds_are_told_as_such(record: StudyRecord) -> None:
    first, *others = record.trials
    assert first.fold_values
    raced = replace(record, trials=(replace(first, fold_values=first.fold_values[:1]), *others))
    n_folds = record.settings.split.folds
    for study, words in ((record, "each on "), (raced, "each on up to ")):
        told = summarize_in_words(study)[0]
        assert f"{words}{n_folds} different divisions" in told


def test_what_the_winner_scores_on_fresh_folds_stands_beside_it(record: StudyRecord) -> None:
    best = record.best()
    values = tuple(value - 0.1 for value in best.fold_values)
    again = replace(record, confirmed={best.number: values})
    notes = [b.text for b in blocks(make_report(again, "", ()), "winner") if isinstance(b, Text)]
    mean = sum(values) / len(values)
    assert any(f"on fresh folds from fresh seeds it has accuracy {mean:.4g}" in n for n in notes)
    before = [b.text for b in blocks(make_report(record, "", ()), "winner") if isinstance(b, Text)]
    assert not any("fresh folds" in note for note in before)
