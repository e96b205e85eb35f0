from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEngine, search_fake
from scipy.stats import ttest_rel
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from nas.analysis.significance import (
    compare_levels,
    correlated_t_test,
    describe,
    holm,
    rope_width,
)
from nas.data import SplitOptions
from nas.errors import NasError
from nas.metrics import METRICS
from nas.spec import TrialSpec
from nas.study.record import study_record
from nas.uncertainty import rows_ratio

A = [0.91, 0.93, 0.90, 0.95, 0.92]
B = [0.90, 0.90, 0.91, 0.92, 0.90]


def test_the_example_of_scikit_learns_documentation() -> None:
    """The page "Statistical comparison of models using grid search": the two best models there."""
    x, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel), x, y, cv=folds, scoring="roc_auc")
        for kernel in ("rbf", "linear")
    )
    ratio = rows_ratio(SplitOptions(folds=10))
    found = correlated_t_test(rbf, linear, ratio, 0.01)
    assert found["difference"] / found["stderr"] == pytest.approx(0.750, abs=5e-4)
    assert found["p_value"] / 2 == pytest.approx(0.227, abs=5e-4)  # it tests one side
    assert found["p_equal"] == pytest.approx(0.432, abs=5e-4)
    none = correlated_t_test(rbf, linear, ratio, 0.0)
    assert none["p_higher"] == pytest.approx(0.773, abs=5e-4)
    assert none["p_lower"] == pytest.approx(0.227, abs=5e-4)


def test_without_correction_it_is_the_paired_t_test() -> None:
    found = correlated_t_test(A, B, 0.0, 0.01)
    assert found["p_value"] == pytest.approx(ttest_rel(A, B).pvalue)
    corrected = correlated_t_test(A, B, 0.25, 0.01)
    assert corrected["stderr"] == pytest.approx(found["stderr"] * np.sqrt((1 / 5 + 1 / 4) * 5))
    assert corrected["p_value"] > found["p_value"]


def test_the_probabilities_are_of_the_same_posterior_from_both_sides() -> None:
    one, other = correlated_t_test(A, B, 0.25, 0.01), correlated_t_test(B, A, 0.25, 0.01)
    assert one["p_higher"] == pytest.approx(other["p_lower"])
    assert one["p_equal"] == pytest.approx(other["p_equal"])
    assert sum(one[key] for key in ("p_higher", "p_equal", "p_lower")) == pytest.approx(1)


@pytest.mark.parametrize(
    ("shift", "p_value", "verdict"),
    [(0.0, 1.0, "p_equal"), (0.005, 0.0, "p_equal"), (0.5, 0.0, "p_higher"), (-1, 0.0, "p_lower")],
)
def test_the_same_difference_on_every_fold(shift: float, p_value: float, verdict: str) -> None:
    found = correlated_t_test([b + shift for b in B], B, 0.25, 0.01)
    assert (found["stderr"], found["p_value"], found[verdict]) == (0.0, p_value, 1.0)


def test_holm_as_in_rs_p_adjust() -> None:
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def by_depth(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
    """Two layers are better by 0.1 than any others, of which 3 and 4 are the same up to 0.001."""
    layers = len(spec.architecture.units)
    score = {2: 0.9, 3: 0.8, 4: 0.799}.get(layers, 0.7)
    return score + 0.01 * fold + 0.002 * ((fold * layers) % 3)


def test_every_pair_once_the_best_first(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, FakeEngine(by_depth), n_trials=75, pruner="none")
    record = study_record(study)
    found = compare_levels(record, "depth")
    assert len(found) == 10
    assert [c.b for c in found[:4]] == ["2"] * 4
    assert len({frozenset((c.a, c.b)) for c in found}) == 10
    for c in found:
        a, b = record.trials[c.trial_a], record.trials[c.trial_b]
        assert (str(a.params["depth"]), str(b.params["depth"])) == (c.a, c.b)
        assert c.difference == pytest.approx(a.value - b.value)
        assert c.p_adjusted >= c.p_value
        assert c.difference <= 0 and c.p_a_better <= c.p_b_better
    assert all(c.p_b_better > 0.95 for c in found[:4])
    (close,) = [c for c in found if {c.a, c.b} == {"3", "4"}]
    assert close.p_equal > 0.9
    assert "practically equal" in describe(close)


def test_smaller_is_better_where_it_is(tmp_path: Path) -> None:
    study, _ = search_fake(
        tmp_path, FakeEngine(by_depth), n_trials=75, pruner="none", metric=METRICS["log_loss"]
    )
    record = study_record(study)
    found = compare_levels(record, "depth")
    assert {c.b for c in found[:4]} <= {"1", "5"}
    (against_two,) = [c for c in found[:4] if c.a == "2"]
    assert against_two.difference > 0 and against_two.p_b_better > 0.95
    # Log loss has no scale of its own: the region is a share of the best score.
    assert rope_width(record, 0.01) == pytest.approx(0.01 * record.best().value)
    assert rope_width(replace(record, metric="accuracy"), 0.01) == 0.01


def test_one_split_cannot_be_tested(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, FakeEngine(n_folds=1), n_trials=10, pruner="none")
    assert compare_levels(study_record(study), "depth") == ()


def test_repeats_of_a_single_split_can(tmp_path: Path) -> None:
    from fakes import PROBLEM, SPACE, open_fake_study, url_of

    from nas.execution.pool import LocalPool
    from nas.searching import SearchOptions, live_study, run_search
    from nas.study.storage import open_storage

    study = open_fake_study(tmp_path, split=SplitOptions(folds=1, repeats=4, val_size=0.5))
    engine = FakeEngine(by_depth, n_folds=4)
    pool = LocalPool(lambda _spec: (engine, "fake"))
    url = url_of(tmp_path)
    with live_study(open_storage(url), url, "fake") as live:
        for _ in run_search(live, url, SPACE, PROBLEM, pool, SearchOptions(20)):
            pass
    record = study_record(study)
    comparison = compare_levels(record, "depth")[0]
    a, b = (record.trials[n].fold_values for n in (comparison.trial_a, comparison.trial_b))
    deviation = np.std(np.subtract(a, b), ddof=1)
    assert comparison.stderr == pytest.approx(deviation * np.sqrt(1 / 4 + 1))


def test_the_sentence_of_the_documentation(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, FakeEngine(by_depth), n_trials=30, pruner="none")
    comparison = replace(
        compare_levels(study_record(study), "depth")[0],
        a="4",
        b="2",
        difference=-0.004,
        stderr=0.003,
        p_a_better=0.01,
        p_equal=0.91,
        p_b_better=0.08,
    )
    assert describe(comparison) == "4 against 2: −0.0040 ± 0.0030, practically equal (91 %)"
    unsure = replace(comparison, p_equal=0.6, p_b_better=0.39)
    assert describe(unsure).endswith("perhaps practically equal (60 %)")
    sure = replace(comparison, p_equal=0.001, p_b_better=0.999, p_a_better=0.0)
    assert describe(sure).endswith("2 better (> 99 %)")


def test_an_unknown_parameter(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=5, pruner="none")
    with pytest.raises(NasError, match=r"no trial of 'fake' has 'dept'.*Did you mean 'depth'"):
        compare_levels(study_record(study), "dept")
