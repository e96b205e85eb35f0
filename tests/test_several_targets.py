"""Several targets that one network predicts: read, searched, exported, predicted."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_absolute_error, r2_score

import nas
from nas.data import DataOptions, load_dataset, load_features
from nas.data.from_memory import dataset_from_memory
from nas.encoding import fit_encoder
from nas.engines.lane_log import score_outputs
from nas.errors import NasError
from nas.formats.endings import ENDINGS
from nas.metrics import METRICS, own_metric
from nas.models.steps import encode_labels

NAMES = ["width", "height, cm"]
SPACE = {"depth": 1, "width": [16, 32], "epochs": 30, "learning_rate": 0.02}


def table(n: int = 240) -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 3))
    noise = 0.1 * random.normal(size=(n, 2))
    y = np.stack([100 * np.tanh(x[:, 0]), 0.01 * (x[:, 1] - x[:, 2])], axis=1)
    y += noise * y.std(axis=0)
    frame = pd.DataFrame(x, columns=list("abc"))
    frame["colour"] = random.choice(["red", "blue"], n)
    return frame.assign(**dict(zip(NAMES, y.T, strict=True)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "both.csv"
    table().to_csv(path, index=False)
    return path


def test_a_file_has_several_targets(path: Path) -> None:
    dataset = load_dataset(DataOptions(str(path), target='width,"height, cm"'))
    assert dataset.targets == tuple(NAMES)
    assert (dataset.y.shape, dataset.n_outputs, dataset.task) == ((240, 2), 2, "regression")
    assert dataset.describe().endswith("regression of 2 targets")
    assert [column.name for column in dataset.schema.columns] == ["a", "b", "c", "colour"]
    swapped = load_dataset(DataOptions(str(path), target='"height, cm",width'))
    assert dataset.hash() != swapped.hash()


def test_memory_has_several_targets(path: Path) -> None:
    dataset = load_dataset(DataOptions(str(path), target='width,"height, cm"'))
    given = table()
    by_name = dataset_from_memory(given, NAMES, DataOptions(""))
    apart = dataset_from_memory(given.drop(columns=NAMES), given[NAMES], DataOptions(""))
    assert dataset.hash() == by_name.hash() == apart.hash()
    x, y = given[list("abc")].to_numpy(), given[NAMES].to_numpy()
    arrays = dataset_from_memory(x, y, DataOptions(""))
    assert arrays.targets == ("target 1", "target 2")
    np.testing.assert_array_equal(arrays.y, y)


def test_an_archive_has_several_targets(tmp_path: Path) -> None:
    x, y = table()[list("abc")].to_numpy(), table()[NAMES].to_numpy()
    np.savez(tmp_path / "both.npz", x=x, y=y)
    dataset = load_dataset(DataOptions(str(tmp_path / "both.npz")))
    assert dataset.targets == ("1", "2")
    np.savez(tmp_path / "one_hot.npz", x=x, y=np.eye(2)[np.arange(240) % 2])
    with pytest.raises(NasError, match=r"argmax"):
        load_dataset(DataOptions(str(tmp_path / "one_hot.npz")))


def test_rows_need_all_targets(tmp_path: Path) -> None:
    given = table()
    given.loc[3, NAMES[0]] = given.loc[7, NAMES[1]] = None
    given.to_csv(tmp_path / "both.csv", index=False)
    dataset = load_dataset(DataOptions(str(tmp_path / "both.csv"), target='width,"height, cm"'))
    assert dataset.n_rows == 238 and np.isfinite(dataset.y).all()
    assert "1 row without a target ('width') is left out" in " ".join(dataset.notes)


@pytest.mark.parametrize(
    ("target", "options", "told"),
    [
        ("width,depth", {}, "no column 'depth'"),
        ("width,colour", {}, "both.csv: colour: is no column of numbers"),
        ("width,a", {"task": "binary"}, "got 'binary' for several targets"),
        ("width,width", {}, "several once each"),
        ('-1,"height, cm"', {}, "several once each"),
        (",", {}, "one column, or several once each"),
        ("width,a", {"target_scaling": "log"}, "got 'log' for several targets"),
        ("width,a", {"drop": ("a",)}, "got 'a', which is the target"),
    ],
)
def test_what_is_refused(path: Path, target: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(NasError, match=told):
        load_dataset(DataOptions(str(path), target=target, **options))


def test_other_containers_of_targets(path: Path) -> None:
    import polars
    import pyarrow

    given, apart = table().drop(columns=NAMES), table()[NAMES]
    expected = dataset_from_memory(given, apart, DataOptions("")).hash()
    for target in (polars.from_pandas(apart), pyarrow.Table.from_pandas(apart)):
        assert dataset_from_memory(given, target, DataOptions("")).hash() == expected
    zeros = (apart > apart.median()).to_numpy(float)
    with pytest.raises(NasError, match="argmax"):
        dataset_from_memory(given, zeros, DataOptions(""))
    several = dataset_from_memory(given, zeros, DataOptions("", task="regression"))
    assert several.targets == ("target 1", "target 2")
    rows = dataset_from_memory(given, apart.to_numpy().tolist(), DataOptions(""))
    np.testing.assert_array_equal(rows.y, apart)


def test_a_list_of_one_target_is_that_target() -> None:
    given = table().assign(kind=pd.Categorical(np.arange(240) % 30))
    one = dataset_from_memory(given, ["kind"], DataOptions(""))
    assert one.task == "multiclass"
    assert one.hash() == dataset_from_memory(given, "kind", DataOptions("")).hash()


def test_an_archive_whose_parts_have_other_targets(tmp_path: Path) -> None:
    x, y = table()[list("abc")].to_numpy(), table()[NAMES].to_numpy()
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y[:, 0])
    with pytest.raises(NasError, match="expected as many targets"):
        load_dataset(DataOptions(str(tmp_path / "a.npz")))


def test_rows_without_a_header_lack_all_targets(tmp_path: Path) -> None:
    columns = [*NAMES, "a", "b", "c"]
    table()[columns].to_csv(tmp_path / "both.csv", index=False, header=False)
    dataset = load_dataset(DataOptions(str(tmp_path / "both.csv"), target="1,2"))
    for names in (columns, columns[2:]):
        table()[names].to_csv(tmp_path / "new.csv", index=False, header=False)
        features = load_features(str(tmp_path / "new.csv"), dataset.schema)
        np.testing.assert_allclose(features, table()[["a", "b", "c"]])
    table()[columns[1:]].to_csv(tmp_path / "new.csv", index=False, header=False)
    with pytest.raises(NasError, match="or 3 without the targets"):
        load_features(str(tmp_path / "new.csv"), dataset.schema)


def test_what_is_said_of_each_target(tmp_path: Path) -> None:
    given = table().assign(a=lambda t: t["width"] * 2, b=lambda t: t["height, cm"] + 1)
    found = nas.describe_data(given, NAMES).findings
    described = nas.describe_data(given, NAMES).target
    assert "height, cm: median" in described and len(described) == 10
    copies = [finding.text for finding in found if finding.code == "target_copy"]
    assert len(copies) == 2
    assert "'a'" in copies[0] and "'b'" in copies[1]


def test_an_own_metric_gets_values() -> None:
    scorer = make_scorer(mean_absolute_error, greater_is_better=False)
    metric = own_metric(scorer, "regression")
    y = table()[NAMES].to_numpy()
    assert metric.score(y, y + 2.0) == pytest.approx(2.0)


def test_each_target_is_standardized_and_bounded_by_itself(path: Path) -> None:
    dataset = load_dataset(DataOptions(str(path), target='width,"height, cm"'))
    encoder = fit_encoder(dataset, np.arange(200))
    learned = encoder.statistics
    np.testing.assert_allclose(learned.target_mean, dataset.y[:200].mean(axis=0))
    np.testing.assert_allclose(learned.target_scale, dataset.y[:200].std(axis=0))
    again = type(encoder).from_dict(json.loads(json.dumps(encoder.to_dict()))).statistics
    assert again.target_bounds is not None and learned.target_bounds is not None
    np.testing.assert_array_equal(again.target_bounds, learned.target_bounds)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> nas.Study:
    folder = tmp_path_factory.mktemp("several")
    return nas.search(
        SPACE, table(), NAMES, trials=2, folds=3, workers=1, confirm=0, pruner="none",
        storage=f"sqlite:///{folder}/nas.db", quiet=True, device="cpu",
    )  # fmt: skip


@pytest.mark.long
def test_a_search_learns_both(study: nas.Study) -> None:
    rows = table()
    predicted = study.predict(rows)
    assert predicted.shape == (240, 2)
    each = r2_score(rows[NAMES], predicted, multioutput="raw_values")
    assert (each > 0.7).all()
    assert study.best.value > 0.7
    plain = {baseline.name: baseline.value for baseline in study.baselines()}
    ridge = Ridge().fit(rows[list("abc")], rows[NAMES]).score(rows[list("abc")], rows[NAMES])
    assert plain["ridge regression"] == pytest.approx(ridge, abs=0.1)
    assert study.diagnose(study.best.number).summary
    assert study.report(Path(study.storage.removeprefix("sqlite:///")).parent / "r.html").exists()


@pytest.mark.long
def test_a_study_knows_its_targets(study: nas.Study) -> None:
    trained = nas.train(
        SPACE, table(), NAMES, name=study.name, storage=study.storage, quiet=True, width=8
    )
    assert trained.trial.spec.problem.n_outputs == 2


@pytest.mark.long
@pytest.mark.parametrize("kind", ["keras", "savedmodel", "onnx", "litert", "openvino"])
def test_a_winner_of_several_is_exported(study: nas.Study, kind: str, tmp_path: Path) -> None:
    packages = {"onnx": "tf2onnx", "litert": "ai_edge_litert", "openvino": "openvino"}
    pytest.importorskip(packages.get(kind, "tensorflow"))
    path = tmp_path / f"both{ENDINGS[kind]}"
    study.export(path, format=kind)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["targets"] == NAMES
    assert set(card["measures"]["targets"]) == set(NAMES)
    assert kind == "keras" or card["format"]["difference"] <= 1e-5
    assert "less the truth of height, cm" in path.with_suffix(".md").read_text()


@pytest.mark.long
def test_predictions_have_a_column_for_each(study: nas.Study, tmp_path: Path) -> None:
    from nas.saved_model import predict_file

    study.export(tmp_path / "both.keras", ensemble="folds", workers=1)
    rows = table().drop(columns=NAMES)
    rows.to_csv(tmp_path / "new.csv", index=False)
    predict_file(tmp_path / "both.keras", str(tmp_path / "new.csv"), tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found.columns) == ["prediction_width", "prediction_height, cm"]
    model = keras.models.load_model(tmp_path / "both.keras")
    inputs = {name: rows[name].to_numpy() for name in rows}
    np.testing.assert_allclose(found, model.predict(inputs, verbose=0), rtol=1e-6)


@pytest.mark.long
def test_a_regressor_predicts_both(tmp_path: Path) -> None:
    rows = table()
    regressor = nas.NASRegressor(SPACE, trials=1, folds=2, workers=1, confirm=0)
    regressor.fit(rows.drop(columns=NAMES), rows[NAMES])
    assert regressor.predict(rows.drop(columns=NAMES)).shape == (240, 2)


@pytest.mark.long
def test_a_program_is_refused(path: Path, tmp_path: Path) -> None:
    both = 'width,"height, cm"'
    study = nas.search(
        SPACE, str(path), both, trials=1, folds=2, workers=1, confirm=0, quiet=True,
        storage=f"sqlite:///{tmp_path}/nas.db",
    )  # fmt: skip
    with pytest.raises(NasError, match="'code' for a search with several targets"):
        study.export(tmp_path / "both.py")


def test_the_score_is_the_mean_of_the_targets(path: Path) -> None:
    from nas.data import Fold
    from nas.encoding import encode_folds
    from nas.spec import Problem

    dataset = load_dataset(DataOptions(str(path), target='width,"height, cm"'))
    (fold,) = encode_folds(dataset, [Fold(np.arange(200), np.arange(200, 240))])
    problem = Problem("regression", 5, 2)
    targets = encode_labels(problem, fold.y_val, fold.target_mean, fold.target_scale)
    outputs = np.clip(targets + 0.2, -1.5, 1.5).astype(np.float32)
    value, loss = score_outputs(METRICS["r2"], fold, fold.y_val, outputs, "squared")
    predicted = outputs * fold.target_scale + fold.target_mean
    assert value == pytest.approx(r2_score(fold.y_val, predicted), rel=1e-4)
    assert loss == pytest.approx(float(np.mean((outputs - targets) ** 2)), rel=1e-4)
