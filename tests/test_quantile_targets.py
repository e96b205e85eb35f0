"""Quantiles of a target: searched, scored, exported, predicted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_pinball_loss

import nas
from nas.data import DataOptions, Fold, load_dataset
from nas.data.from_memory import dataset_from_memory
from nas.encoding import encode_folds
from nas.engines.lane_log import score_outputs
from nas.errors import NasError
from nas.formats.endings import ENDINGS
from nas.measures import measures
from nas.metrics import METRICS, choose_metric, constant_score, pinball
from nas.models.steps import encode_labels
from nas.preparation import read_options
from nas.space import load_space
from nas.spec import Problem

WANTED = (0.05, 0.5, 0.95)
SPACE = {"depth": 1, "width": [16, 32], "epochs": 40, "learning_rate": 0.02}


def table(n: int = 600) -> pd.DataFrame:
    """A target whose noise grows with one column."""
    random = np.random.default_rng(0)
    a, b = random.uniform(0.0, 1.0, (2, n))
    return pd.DataFrame({"a": a, "b": b, "y": 10 + 5 * a + (0.2 + 3 * b) * random.normal(size=n)})


def data(**options: Any) -> Any:
    return dataset_from_memory(table(), "y", DataOptions("", quantiles=WANTED, **options))


def test_the_metric_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    y, prediction = random.normal(size=50), np.sort(random.normal(size=(50, 3)), axis=1)
    metric = choose_metric(None, data())
    expected = [
        mean_pinball_loss(y, column, alpha=q)
        for q, column in zip(WANTED, prediction.T, strict=True)
    ]
    assert (metric.name, metric.quantiles) == ("pinball", WANTED)
    assert metric.score(y, prediction) == pytest.approx(np.mean(expected))
    np.testing.assert_allclose(pinball(WANTED, y, prediction).mean(axis=0), expected)


def test_the_best_constant_is_the_quantiles() -> None:
    y = np.random.default_rng(0).gamma(2.0, size=1000)
    metric = choose_metric(None, data())
    found = constant_score(metric, y, "regression", 0)
    best = np.tile(np.quantile(y, WANTED), (len(y), 1))
    assert found == metric.score(y, best)
    assert found <= metric.score(y, best + 0.05) and found <= metric.score(y, best - 0.05)


def test_the_problem_and_the_hash_know() -> None:
    dataset = data()
    assert (dataset.n_outputs, dataset.problem(2).quantiles) == (3, WANTED)
    assert dataset.hash() != dataset_from_memory(table(), "y", DataOptions("")).hash()
    assert dataset.describe().endswith("regression of quantiles 0.05, 0.5, 0.95")


@pytest.mark.parametrize("given", ["0.05, 0.5,0.95", WANTED, [0.05, 0.5, 0.95]])
def test_how_quantiles_are_given(given: Any) -> None:
    read = read_options(load_space("tabular"), table(), "y", quantiles=given)
    assert read.quantiles == WANTED
    assert read_options(load_space("tabular"), table(), "y", quantiles=0.9).quantiles == (0.9,)


@pytest.mark.parametrize(
    ("quantiles", "told"),
    [((0.9, 0.1), "got 0.9, 0.1"), ((0.5, 0.5), "got 0.5, 0.5"), ((0.0, 0.5), "got 0, 0.5")],
)
def test_what_are_no_quantiles(quantiles: tuple[float, ...], told: str) -> None:
    with pytest.raises(NasError, match=told):
        dataset_from_memory(table(), "y", DataOptions("", quantiles=quantiles))


def test_what_has_no_quantiles() -> None:
    with pytest.raises(NasError, match="given for a multiclass task"):
        load_dataset(DataOptions("iris", quantiles=WANTED))
    with pytest.raises(NasError, match="given for 2 targets"):
        dataset_from_memory(table(), ["a", "y"], DataOptions("", quantiles=WANTED))
    with pytest.raises(NasError, match="got 'r2' for quantiles"):
        choose_metric("r2", data())
    with pytest.raises(NasError, match="got 'pinball' for a regression task"):
        choose_metric("pinball", dataset_from_memory(table(), "y", DataOptions("")))
    with pytest.raises(NasError, match="numbers between 0 and 1"):
        read_options(load_space("tabular"), table(), "y", quantiles="0.1,much")
    with pytest.raises(NasError, match=r"got '0\.1,much'"):
        read_options(load_space("tabular"), table(), "y", quantiles=("0.1", "much"))


@pytest.mark.parametrize("target_scaling", ["standard", "log"])
def test_a_higher_quantile_is_no_smaller(target_scaling: Any) -> None:
    dataset = dataset_from_memory(
        table().assign(y=lambda t: t["y"].abs()),
        "y",
        DataOptions("", quantiles=WANTED, target_scaling=target_scaling),
    )
    (fold,) = encode_folds(dataset, [Fold(np.arange(400), np.arange(400, 600))])
    outputs = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    score, loss = score_outputs(choose_metric(None, dataset), fold, fold.y_val, outputs, "quantile")
    rising = np.maximum.accumulate(outputs.astype(float), axis=1)
    values = np.clip(rising * fold.target_scale + fold.target_mean, *fold.target_bounds)
    scaled = (values - fold.target_mean) / fold.target_scale
    if target_scaling == "log":
        values = np.exp(values)
    assert score == pytest.approx(pinball(WANTED, fold.y_val, values).mean())
    problem = Problem("regression", 2, 3, quantiles=WANTED)
    labels = encode_labels(problem, fold.for_loss(fold.y_val), fold.target_mean, fold.target_scale)
    assert loss == pytest.approx(pinball(WANTED, labels[:, 0], scaled).mean(), rel=1e-5)


def test_coverage_is_counted() -> None:
    y = np.arange(100.0)
    prediction = np.tile([9.0, 49.0, 89.0], (100, 1))
    told = measures(y, prediction, (), (), (0.1, 0.5, 0.9))
    assert [one["below"] for one in told["quantiles"]] == [0.1, 0.5, 0.9]
    assert told["coverage"]["found"] == 0.81 and told["coverage"]["wanted"] == pytest.approx(0.8)
    low, high = told["coverage"]["interval"]
    assert low < 0.81 < high
    assert told["coverage"]["width"] == 80.0
    assert METRICS["pinball"].direction.sign == -1


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> nas.Study:
    folder = tmp_path_factory.mktemp("quantiles")
    return nas.search(
        SPACE, table(), "y", trials=2, folds=3, workers=1, confirm=0, pruner="none",
        quantiles=WANTED, storage=f"sqlite:///{folder}/nas.db", quiet=True, device="cpu",
    )  # fmt: skip


@pytest.mark.long
def test_a_search_finds_intervals(study: nas.Study, tmp_path: Path) -> None:
    rows = table()
    predicted = study.predict(rows)
    assert predicted.shape == (600, 3)
    assert (np.diff(predicted, axis=1) >= 0.0).all()
    inside = (predicted[:, 0] <= rows["y"]) & (rows["y"] <= predicted[:, 2])
    assert 0.85 < inside.mean() < 0.95
    width = predicted[:, 2] - predicted[:, 0]
    assert np.corrcoef(width, rows["b"])[0, 1] > 0.8  # where the noise is
    constant = study.record.settings.constant
    assert constant is not None and study.best.value < 0.9 * constant.value
    plain = {baseline.name: baseline.value for baseline in study.baselines()}
    assert set(plain) == {"linear quantiles", "gradient boosting"}
    assert study.best.value < constant.value and min(plain.values()) < constant.value
    assert study.report(tmp_path / "r.html").exists()
    assert study.diagnose(study.best.number).summary


@pytest.mark.long
def test_two_quantiles_are_diagnosed_by_what_is_between(tmp_path: Path) -> None:
    trained = nas.train(
        SPACE, table(), "y", quantiles=(0.05, 0.95), folds=2, width=32, name="two", quiet=True,
        storage=f"sqlite:///{tmp_path}/nas.db",
    )  # fmt: skip
    examination = trained.trial.examination
    assert examination is not None
    assert examination.val_value > 0.3  # a line explains 0.4 of the differences
    with pytest.raises(NasError, match="given for quantiles"):
        nas.search({**SPACE, "loss": ["squared", "huber"]}, table(), "y", quantiles=WANTED)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["keras", "savedmodel", "onnx", "litert", "openvino"])
def test_quantiles_are_exported(study: nas.Study, kind: str, tmp_path: Path) -> None:
    packages = {"onnx": "tf2onnx", "litert": "ai_edge_litert", "openvino": "openvino"}
    pytest.importorskip(packages.get(kind, "tensorflow"))
    path = tmp_path / f"model{ENDINGS[kind]}"
    study.export(path, format=kind)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["quantiles"] == list(WANTED)
    assert kind == "keras" or card["format"]["difference"] <= 1e-5
    assert 0.6 < card["measures"]["coverage"]["found"] <= 1.0
    assert "lie between the outer quantiles" in path.with_suffix(".md").read_text()


@pytest.mark.long
def test_predictions_have_a_column_for_each_quantile(study: nas.Study, tmp_path: Path) -> None:
    from nas.saved_model import predict_file

    study.export(tmp_path / "model.keras", ensemble="folds", workers=1)
    table().to_csv(tmp_path / "new.csv", index=False)
    predict_file(tmp_path / "model.keras", str(tmp_path / "new.csv"), tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found.columns) == ["quantile_0.05", "quantile_0.5", "quantile_0.95"]
    assert (np.diff(found, axis=1) >= 0.0).all()
    with pytest.raises(NasError, match="'code' for"):
        study.export(tmp_path / "model.py")
