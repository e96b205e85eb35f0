import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import open_fake_study

from nas.data import (
    DataOptions,
    Dataset,
    Schema,
    Split,
    SplitOptions,
    load_dataset,
    split_dataset,
)
from nas.encoding import encode_folds, fit_statistics
from nas.experiments import baselines
from nas.experiments.baselines import Baseline, load_baselines, run_baselines
from nas.metrics import METRICS, get_metric
from nas.study.record import study_record
from nas.uncertainty import rows_ratio, standard_error

NAMES = {
    "classes": {"logistic regression", "random forest", "gradient boosting", "SVC"},
    "regression": {"ridge regression", "random forest", "gradient boosting", "SVR"},
}


def loaded(source: str, folds: int = 3, **options: object) -> tuple[Dataset, Split]:
    dataset = load_dataset(DataOptions(source, **options))
    return dataset, split_dataset(dataset, SplitOptions(folds=folds))


@pytest.fixture(scope="module")
def iris() -> tuple[Dataset, Split]:
    return loaded("iris")


def test_they_are_as_good_as_is_known(iris: tuple[Dataset, Split]) -> None:
    found = run_baselines(*iris, METRICS["accuracy"])
    assert {baseline.name for baseline in found} == NAMES["classes"]
    for baseline in found:
        assert 0.9 < baseline.value <= 1
        assert baseline.value == pytest.approx(np.mean(baseline.fold_values))
        assert len(baseline.fold_values) == 3
        low, high = baseline.test_interval
        assert low <= baseline.test_value <= high
        assert baseline.note == "" and baseline.seconds > 0
    assert found[0].estimator == "LogisticRegression()"


@pytest.mark.parametrize(
    ("source", "metric", "least", "most"),
    [
        ("breast_cancer", "auc", 0.97, 1.0),
        ("wine", "log_loss", 0.0, 0.4),
        ("diabetes", "rmse", 50, 70),
        pytest.param("diabetes", "r2", 0.3, 0.6, marks=pytest.mark.slow),
    ],
)
@pytest.mark.long
def test_every_kind_of_metric(source: str, metric: str, least: float, most: float) -> None:
    dataset, split = loaded(source)
    found = run_baselines(dataset, split, get_metric(metric, dataset.task))
    kind = "regression" if dataset.task == "regression" else "classes"
    assert {baseline.name for baseline in found} == NAMES[kind]
    for baseline in found:
        assert least < baseline.value <= most, baseline


def test_scores_are_those_of_scikit_learn_by_hand(iris: tuple[Dataset, Split]) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    dataset, split = iris
    model = make_pipeline(StandardScaler(), LogisticRegression())
    by_hand = [
        model.fit(dataset.features[fold.train], dataset.y[fold.train]).score(
            dataset.features[fold.val], dataset.y[fold.val]
        )
        for fold in split.folds
    ]
    found = {b.name: b for b in run_baselines(dataset, split, METRICS["accuracy"])}
    assert found["logistic regression"].fold_values == pytest.approx(by_hand)


def test_nothing_leaks() -> None:
    """A target that has nothing to do with the features is predicted no better than by chance."""
    generator = np.random.default_rng(0)
    dataset = Dataset(
        name="noise",
        features=generator.normal(size=(300, 20)),
        y=generator.permutation(np.arange(300) % 2),
        schema=Schema((), (20,)),
        task="binary",
        classes=(0, 1),
    )
    split = split_dataset(dataset, SplitOptions(folds=5))
    for baseline in run_baselines(dataset, split, METRICS["accuracy"]):
        assert 0.35 < baseline.value < 0.65, baseline


def test_what_validates_teaches_nothing(iris: tuple[Dataset, Split]) -> None:
    """The rows of the first fold and of the test part, replaced by others, change only theirs."""
    dataset, split = iris
    before = run_baselines(dataset, split, METRICS["accuracy"])
    spoilt = dataset.features.copy()
    spoilt[split.test] = 1e6
    after = run_baselines(replace(dataset, features=spoilt), split, METRICS["accuracy"])
    for one, other in zip(before, after, strict=True):
        assert one.fold_values == other.fold_values
        assert one.test_value != other.test_value
    spoilt = dataset.features.copy()
    spoilt[split.folds[0].val] = 1e6
    statistics = fit_statistics(replace(dataset, features=spoilt), split.folds[0].train)
    assert np.abs(statistics.mean).max() < 10


class _Recorder:
    """A model that keeps what it is given, and answers zeros."""

    def __init__(self) -> None:
        self.given: list[np.ndarray] = []

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        self.given.append(x)

    def predict(self, x: np.ndarray) -> np.ndarray:
        self.given.append(x)
        return np.zeros(len(x), np.int64)


@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_they_see_what_the_networks_see(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, scaling: str
) -> None:
    reading = DataOptions(str(data_dir / "adult.csv"), "income", scaling=scaling, max_rows=300)
    dataset = load_dataset(reading)
    split = split_dataset(dataset, SplitOptions(folds=1, test_size=0.0))
    recorder = _Recorder()
    models = {"recorder": baselines._Model(recorder, 10**6, 10**9)}
    monkeypatch.setattr(baselines, "_models", lambda *arguments: models)
    run_baselines(dataset, split, METRICS["accuracy"])
    (fold,) = encode_folds(dataset, split.folds)
    x_train, x_val = recorder.given
    np.testing.assert_array_equal(x_train, fold.x_train)
    np.testing.assert_array_equal(x_val, fold.x_val)


@pytest.mark.parametrize(
    "scale, offset", [(1e-30, 0), pytest.param(1e-3, 2459000.5, marks=pytest.mark.slow)]
)
@pytest.mark.long
def test_their_scores_do_not_depend_on_the_unit_of_the_target(scale: float, offset: float) -> None:
    dataset = load_dataset(DataOptions("diabetes", max_rows=120))
    split = split_dataset(dataset, SplitOptions(folds=2))
    changed = replace(dataset, y=dataset.y * scale + offset)
    usual, found = (run_baselines(d, split, METRICS["r2"]) for d in (dataset, changed))
    for one, other in zip(usual, found, strict=True):
        # Trees may choose another one of two equal splits.
        assert other.value == pytest.approx(one.value, abs=0.02), one.name


def test_large_data_are_sampled_or_left_out_and_it_is_said(
    iris: tuple[Dataset, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, split = iris
    models = baselines._models

    def limited(*arguments: object) -> dict[str, object]:
        found = models(*arguments)
        found["SVC"] = replace(found["SVC"], max_rows=30)
        found["random forest"] = replace(found["random forest"], max_cells=60 * 4)
        return found

    monkeypatch.setattr(baselines, "_models", limited)
    monkeypatch.setattr(baselines, "MIN_ROWS", 50)
    found = {b.name: b for b in run_baselines(dataset, split, METRICS["accuracy"])}
    assert found["SVC"].value is None and found["SVC"].fold_values == ()
    assert found["SVC"].test_value is None
    assert found["SVC"].note == "left out, too slow for 80 rows of 4 columns"
    assert found["random forest"].note == "learned from 60 of 80 rows"
    assert found["random forest"].value > 0.8
    assert found["logistic regression"].note == ""


def test_without_a_test_part_and_with_one_split() -> None:
    dataset = load_dataset(DataOptions("iris"))
    split = split_dataset(dataset, SplitOptions(folds=1, test_size=0.0))
    for baseline in run_baselines(dataset, split, METRICS["accuracy"]):
        assert len(baseline.fold_values) == 1 and baseline.stderr is None
        assert baseline.test_value is None and baseline.test_interval is None


def test_a_fold_that_lacks_a_class(iris: tuple[Dataset, Split]) -> None:
    dataset, split = iris
    fold = split.folds[0]
    lacking = replace(fold, train=fold.train[dataset.y[fold.train] != 2])
    for metric in ("accuracy", "log_loss"):
        found = run_baselines(dataset, replace(split, folds=(lacking,)), METRICS[metric])
        assert all(np.isfinite(baseline.value) for baseline in found)
        if metric == "accuracy":
            assert all(baseline.value < 0.7 for baseline in found)


@pytest.mark.parametrize(
    ("task", "metric", "names"),
    [
        (
            "binary",
            "accuracy",
            [
                "LogisticRegression()",
                "RandomForestClassifier(random_state=0)",
                "HistGradientBoostingClassifier(random_state=0)",
                "SVC()",
            ],
        ),
        (
            "multiclass",
            "log_loss",
            [
                "LogisticRegression()",
                "RandomForestClassifier(random_state=0)",
                "HistGradientBoostingClassifier(random_state=0)",
                "CalibratedClassifierCV(cv=3, ensemble=False, estimator=SVC())",
            ],
        ),
        (
            "regression",
            "r2",
            [
                "Ridge()",
                "RandomForestRegressor(random_state=0)",
                "HistGradientBoostingRegressor(random_state=0)",
                "SVR()",
            ],
        ),
    ],
)
def test_all_have_the_defaults_of_scikit_learn(task: str, metric: str, names: list[str]) -> None:
    """What differs from a default is what scikit-learn writes in the parentheses."""
    y = np.arange(60.0) if task == "regression" else np.arange(60) % 3
    if task == "binary":
        y = np.arange(60) % 2
    classes = () if task == "regression" else tuple(range(int(y.max()) + 1))
    x = np.random.default_rng(0).normal(size=(60, 2))
    dataset = Dataset("made", x, y, Schema((), (2,)), task, classes)
    found = [
        repr(model.estimator) for model in baselines._models(dataset, METRICS[metric]).values()
    ]
    assert [" ".join(text.split()) for text in found] == names


def test_boosting_is_left_out_where_there_are_too_many_columns() -> None:
    x, y = np.random.default_rng(0).normal(size=(80, 400)), np.arange(80) % 2
    dataset = Dataset("wide", x, y, Schema((), (400,)), "multiclass", (0, 1))
    split = split_dataset(dataset, SplitOptions(folds=2))
    found = {b.name: b for b in run_baselines(dataset, split, METRICS["accuracy"])}
    assert found["gradient boosting"].value is None
    assert found["gradient boosting"].note == "left out, too slow for 32 rows of 400 columns"
    assert found["random forest"].value is not None


def test_standard_errors_are_those_of_trials() -> None:
    dataset = load_dataset(DataOptions("iris"))
    split = split_dataset(dataset, SplitOptions(folds=3, repeats=2))
    for baseline in run_baselines(dataset, split, METRICS["accuracy"]):
        ratio = rows_ratio(SplitOptions(folds=3))
        assert baseline.stderr == pytest.approx(standard_error(baseline.fold_values, ratio))


def test_the_interval_of_the_test_is_over_groups() -> None:
    dataset = load_dataset(DataOptions("iris"))
    split = split_dataset(dataset, SplitOptions(folds=2))
    one_group = replace(dataset, groups=np.zeros(dataset.n_rows))
    rows, grouped = (run_baselines(d, split, METRICS["accuracy"]) for d in (dataset, one_group))
    for by_row, by_group in zip(rows, grouped, strict=True):
        assert by_row.test_value == by_group.test_value
        assert by_row.test_interval[0] > 0.5 > by_group.test_interval[0]


def test_those_of_an_older_version_are_trained_anew(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path)
    old = Baseline("SVC", (0.9, 0.8), 0.85, 0.05, 0.9, (0.8, 1.0), 0.1, estimator="SVC()").to_dict()
    study.set_user_attr("baselines", [old])
    assert len(load_baselines(study_record(study))) == 1
    del old["estimator"]
    study.set_user_attr("baselines", [old])
    assert load_baselines(study_record(study)) == ()


def test_they_are_kept_in_the_study(iris: tuple[Dataset, Split], tmp_path: Path) -> None:
    study = open_fake_study(tmp_path)
    assert load_baselines(study_record(study)) == ()
    found = run_baselines(*iris, METRICS["accuracy"])
    study.set_user_attr("baselines", json.loads(json.dumps([b.to_dict() for b in found])))
    assert load_baselines(study_record(study)) == found
    assert all(isinstance(baseline, Baseline) for baseline in found)
