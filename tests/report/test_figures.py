"""Each figure holds the numbers of its study."""

import math
from dataclasses import replace

import numpy as np
import pytest
from reports import BASELINES

from nas.analysis.levels import searched_parameters
from nas.analysis.significance import Comparison, compare_levels
from nas.report import figures
from nas.report.layer_picture import describe_layers, draw_layers
from nas.report.summary import describe_network
from nas.spec import Architecture


def traces(figure) -> dict:
    return {trace.name: trace for trace in figure.data}


def test_history_has_every_trial_once(record) -> None:
    found = traces(figures.history_figure(record))
    by_outcome = {
        outcome: [t.number for t in record.trials if t.outcome == outcome]
        for outcome in ("complete", "pruned", "diverged")
    }
    assert all(by_outcome.values())  # or this test would show nothing
    assert list(found["complete"].x) == by_outcome["complete"]
    assert list(found["pruned, last score"].x) == by_outcome["pruned"]
    assert list(found["failed or diverged"].x) == by_outcome["diverged"]
    best = list(found["best so far"].y)
    assert best == sorted(best) and best[-1] == pytest.approx(record.best().value, abs=1e-5)


def test_history_of_errors_falls(record) -> None:
    best = list(
        traces(figures.history_figure(replace(record, direction="minimize")))["best so far"].y
    )
    assert best == sorted(best, reverse=True) and best[0] > best[-1]


def test_parallel_coordinates_lead_every_trial_to_its_score(record) -> None:
    names = searched_parameters(record)
    figure = figures.parallel_figure(record, names)
    lines = sum(list(trace.x).count(0) for trace in figure.data)
    assert lines == len(record.complete)
    labels = {note.text for note in figure.layout.annotations}
    assert {"relu", "tanh", "true", "false", "none"} <= labels  # some have no momentum
    best = traces(figure)["best tenth"]
    ends = [y for x, y in zip(best.x, best.y, strict=True) if x == len(names)]
    others = traces(figure)["the others"]
    assert min(ends) > max(y for x, y in zip(others.x, others.y, strict=True) if x == len(names))


def test_the_best_are_at_the_top_also_for_errors(record) -> None:
    figure = figures.parallel_figure(replace(record, direction="minimize"), ["depth"])
    best = traces(figure)["best tenth"]
    assert max(y for x, y in zip(best.x, best.y, strict=True) if x == 1) > 0.5


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [
        ("learning_rate", "log"),
        ("depth", "linear"),
        ("activation", "category"),
        ("residual", "category"),
        ("momentum", "linear"),
    ],
)
def test_a_slice_has_the_trials_with_its_parameter(record, parameter: str, kind: str) -> None:
    figure = figures.slice_figure(record, parameter)
    having = [t for t in record.complete if parameter in t.params]
    drawn = {name: trace for name, trace in traces(figure).items() if name != "winner"}
    numbers = [number for trace in drawn.values() for number in trace.customdata]
    assert sorted(numbers) == [t.number for t in having]
    low, high = figure.layout.yaxis.range
    scores = {t.number: t.value for t in having}
    assert [n for n, score in scores.items() if score < low] == list(
        drawn["below"].customdata if "below" in drawn else []
    )
    assert all(low <= y <= high for trace in drawn.values() for y in trace.y)
    assert figure.layout.xaxis.type == kind
    winner = traces(figure)["winner"]
    assert list(winner.customdata) == [record.best().number] * (parameter in record.best().params)


def test_curves_have_means_and_bands_of_the_folds_that_still_train(record) -> None:
    best = record.best()
    figure = figures.loss_figure(best)
    rows = np.array(best.curves.train_loss)
    line = traces(figure)["training"]
    assert line.y[0] == pytest.approx(rows[0].mean(), rel=1e-4)
    assert line.y[-1] == pytest.approx(np.nanmean(rows[-1]), rel=1e-4)
    band = figure.data[0]
    assert band.fill == "toself" and max(band.y) == pytest.approx(np.nanmax(rows), rel=1e-4)
    scores = figures.score_curves_figure(record, [best, *record.complete[:2]])
    assert f"trial {best.number} (winner)" in traces(scores)


def test_without_curves_the_means_by_epoch_are_drawn(record) -> None:
    old = replace(record.best(), curves=None)
    (line,) = figures.score_curves_figure(record, [old]).data
    assert list(line.x) == sorted(old.epoch_values)
    with pytest.raises(ValueError, match="no curves"):
        figures.loss_figure(old)


def test_differences_have_intervals_and_far_ones_a_triangle(record) -> None:
    comparisons = compare_levels(record, "depth")
    assert comparisons
    far = Comparison("depth", "9", "1", 0, 1, -0.9, 0.01, 0.0, 0.0, 0.0, 0.0, 1.0)
    figure = figures.significance_figure([*comparisons, far], 0.01, 3)
    near, distant = figure.data
    drawn = dict(zip(near.y, zip(near.x, near.error_x.array, strict=True), strict=True))
    for row in comparisons:
        if abs(row.difference) <= 0.15:
            middle, half = drawn[f"{row.a} against {row.b}"]
            assert middle == pytest.approx(row.difference, abs=1e-5)
            assert half == pytest.approx(4.3027 * row.stderr, rel=1e-3)  # t with 2 degrees
    assert "9 against 1" in distant.y and "-0.9" in distant.text
    place = distant.x[list(distant.y).index("9 against 1")]
    low, _ = figure.layout.xaxis.range
    assert low == pytest.approx(-0.15) and low < place < low + 0.02


def test_wide_intervals_leave_a_far_difference_beyond_the_picture() -> None:
    # With two folds an interval is 12.7 standard errors wide on either side.
    far = Comparison("depth", "3", "1", 0, 2, -0.9, 0.01, 0.0, 0.0, 0.0, 0.0, 1.0)
    wide = Comparison("depth", "2", "1", 0, 1, -0.05, 0.2, 0.9, 0.9, 0.4, 0.2, 0.4)
    near = Comparison("depth", "4", "1", 0, 3, -0.05, 0.001, 0.1, 0.1, 0.0, 0.0, 1.0)
    low, high = figures.significance_figure([near, far], 0.01, 2).layout.xaxis.range
    assert low == pytest.approx(-0.15) and 0.01 < high < 0.05
    low, high = figures.significance_figure([near, wide], 0.01, 2).layout.xaxis.range
    assert (low, high) == (pytest.approx(-0.15), pytest.approx(0.15))
    assert figures.significance_figure([near], 0.01, 2).layout.xaxis.range is None
    # Errors in the target's unit have no region, where all of them are 0.
    assert figures.significance_figure([near, far], 0.0, 2).layout.xaxis.range is None


def test_baselines_stand_in_the_order_of_their_scores(record) -> None:
    figure = figures.baselines_figure(record, BASELINES)
    folds, test = figure.data
    names = ["logistic regression", "<b>this network</b>", "SVC"]
    assert list(folds.text) == list(test.text) == list(figure.layout.yaxis.ticktext) == names
    assert [round(y) for y in folds.y] == [round(y) for y in test.y] == [0, 1, 2]
    assert not set(folds.y) & set(test.y)
    assert test.x[1] == 0.85
    assert list(test.error_x.array)[1] == pytest.approx(0.05)


def test_layers_are_drawn_with_their_weights(record) -> None:
    spec = record.best().spec
    units = (32, 16)
    architecture = replace(spec.architecture, units=units, residual=True, normalization="batch")
    spec = replace(spec, architecture=architecture)
    drawing = draw_layers(spec)
    weights = [int(word.replace(",", "")) for word in drawing_numbers(drawing)]
    assert sum(weights) == spec.n_weights and len(weights) == 3
    assert drawing.count('class="hidden"') == 2 and drawing.count('class="skip"') == 1


def test_a_deep_network_is_drawn_short(record) -> None:
    spec = record.best().spec
    architecture: Architecture = replace(spec.architecture, units=(8,) * 40)
    drawing = draw_layers(replace(spec, architecture=architecture))
    assert "40 layers of 8" in drawing and drawing.count('class="hidden"') == 1
    weights = sum(int(word.replace(",", "")) for word in drawing_numbers(drawing))
    assert weights == replace(spec, architecture=architecture).n_weights


def test_convolutions_are_drawn_with_poolings_and_shortcuts(record) -> None:
    spec = record.best().spec
    architecture = replace(
        spec.architecture,
        network="cnn",
        convolutions=("8c3", "mp2", "8r3", "16r3s2", "gap"),
        units=(12,),
        spatial_dropout=0.2,
        residual=False,
    )
    problem = replace(spec.problem, n_inputs=64, image_shape=(8, 8, 1))
    spec = replace(spec, problem=problem, architecture=architecture)
    drawing = draw_layers(spec)
    weights = [int(word.replace(",", "")) for word in drawing_numbers(drawing)]
    assert sum(weights) == spec.n_weights and len(weights) == 7
    assert drawing.count('class="hidden"') == 6 and drawing.count('class="pooling"') == 2
    assert drawing.count('class="skip"') == 2
    for name in ("8 × 8 × 1 image", "8 × 3×3 ", "max of 2×2", "average of maps", "12 × "):
        assert name in drawing
    assert "spatial dropout of 20%" in describe_layers(spec) and "An arc" in describe_layers(spec)
    words = describe_network(replace(record.best(), spec=spec))
    assert words == "5 convolutions and one dense layer of 12 units"


def drawing_numbers(drawing: str) -> list[str]:
    return [part.rpartition(">")[2] for part in drawing.split(" weights</text>")[:-1]]


def test_outliers_do_not_squash_the_rest() -> None:
    low, high = figures.focus([0.9, 0.91, 0.92, 0.93, 0.94, 0.1])
    assert 0.85 < low < 0.9 and 0.94 < high < 1
    assert figures.focus([0.5, 0.5]) is None
    assert figures.focus([math.nan, None]) is None


def test_long_pairs_stand_over_two_lines(record) -> None:
    long = Comparison("learning_rate", "0.0016–0.0063", "0.0004–0.0016", *(0,) * 2, *(0.0,) * 7)
    figure = figures.significance_figure([long], 0.01, 3)
    assert list(figure.data[0].y) == ["0.0016–0.0063<br>against 0.0004–0.0016"]


def test_weights_have_round_ticks(record) -> None:
    axis = figures.pareto_figure(record).layout.xaxis
    assert axis.type == "log"
    assert axis.dtick == 1 or {text.rstrip("k").lstrip("0.")[0] for text in axis.ticktext} <= set(
        "125"
    )
