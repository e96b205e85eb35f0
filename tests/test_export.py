"""The saved winner: exported from small real studies, and read back by Keras alone."""

import gc
import json
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from saved import save_untrained
from scipy.special import expit, softmax
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss, r2_score

import nas
from nas import export
from nas.analysis.study_data import study_data
from nas.data import (
    DataOptions,
    Dataset,
    Split,
    SplitOptions,
    load_dataset,
    split_dataset,
    take_rows,
)
from nas.encoding import FoldData, encode_folds, fit_encoder
from nas.encoding.keras_form import model_inputs
from nas.engines.keras_engine import KerasEngine
from nas.engines.lanes import Engine, Lane, LaneResult
from nas.engines.selection import Selection
from nas.errors import NasError
from nas.execution.pool import LocalPool
from nas.export import export_winner
from nas.metrics import get_metric, predicted_classes
from nas.model_card import card_path, winner_entry
from nas.models.dense import run_dense
from nas.models.initializers import initial_weights
from nas.saved_model import load_model, predict, predict_file
from nas.searching import SearchOptions, live_study, open_study, run_search, study_settings
from nas.space import SearchSpace
from nas.space.vocabulary import STRUCTURE
from nas.spec import Problem, TrialSpec
from nas.study.record import StudyRecord, study_record
from nas.study.storage import open_storage
from nas.whole_model import whole_model

# Keras itself raises this one while it saves a model.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning:keras"
)

SEED = 7
SPACE = {
    "depth": 1,
    "width": [4, 8],
    "dropout": 0.1,
    "learning_rate": [0.01, 0.03],
    "epochs": 3,
}


@pytest.fixture(autouse=True, scope="module")
def frozen_heap() -> Iterator[None]:
    """Spares the collections of garbage that Keras makes for each trial the imported modules."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@dataclass
class Study:
    """A study with all that it rests on, and its exported winner."""

    record: StudyRecord
    options: DataOptions
    dataset: Dataset
    split: Split
    path: Path
    card: dict[str, Any]

    @property
    def test_features(self) -> Any:
        return take_rows(self.dataset.features, self.split.test)

    @property
    def test_target(self) -> np.ndarray:
        return self.dataset.y[self.split.test]


def make_study(
    folder: Path,
    options: DataOptions,
    metric_name: str | None = None,
    network: str = "mlp",
    **more: Any,
) -> Study:
    """Searches two trials as `nas search` does, and exports the winner."""
    url = f"sqlite:///{folder}/nas.db"
    words = {key: SPACE[key] for key in SPACE if key not in STRUCTURE or "layers" not in more}
    space = SearchSpace(words | more, name="tiny", network=network)
    split_options = SplitOptions(folds=2, test_size=0.25, seed=SEED)
    dataset = load_dataset(options)
    split = split_dataset(dataset, split_options)
    metric = get_metric(metric_name, dataset.task)
    settings = study_settings(space, options, dataset, split_options, split, metric)
    storage = open_storage(url, create=True)
    study = open_study(storage, url, "tiny", settings, metric)
    folds = encode_folds(dataset, split.folds)
    problem = dataset.problem(folds[0].x_train.shape[1])
    search = SearchOptions(n_trials=2, seed=SEED, pruner="none")
    pool = LocalPool(Selection(folds, metric, "keras").choose)
    with live_study(storage, url, "tiny") as live:
        for _ in run_search(live, url, space, problem, pool, search):
            pass
    record = study_record(study)
    path = folder / "winner.keras"
    card = export_winner(record, dataset, split, KerasEngine, path, SEED)
    return Study(record, options, dataset, split, path, card)


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three classes, an array of numbers."""
    folder = tmp_path_factory.mktemp("iris")
    return make_study(folder, DataOptions("iris"), normalization="batch")


@pytest.fixture(scope="module")
def adult(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two classes with text labels; categories, and missing numbers."""
    folder = tmp_path_factory.mktemp("adult")
    frame = pd.read_csv(data_dir / "adult.csv", dtype=str, nrows=300, keep_default_na=False)
    frame.loc[::20, "age"] = ""
    frame.to_csv(folder / "adult.csv", index=False)
    options = DataOptions(str(folder / "adult.csv"), "income", drop=("fnlwgt", "native_country"))
    return make_study(folder, options, "log_loss")


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Regression."""
    return make_study(tmp_path_factory.mktemp("diabetes"), DataOptions("diabetes"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two classes, image files in folders named like them; convolutions."""
    folder = tmp_path_factory.mktemp("pictures")
    digits = load_digits()
    for row in np.flatnonzero(digits.target < 2)[:80]:
        put_image(folder / "digits" / f"no {digits.target[row]}" / f"{row}.png", digits.images[row])
    options = DataOptions(str(folder / "digits"), scaling="unit")
    return make_study(folder, options, network="cnn", layers="3r3s2-mp2-fc5")


def put_image(path: Path, pixels: np.ndarray, times: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    large = (pixels * 15).repeat(times, axis=0).repeat(times, axis=1)
    Image.fromarray(large.astype(np.uint8)).save(path)


def whole(dataset: Dataset, split: Split, spec: TrialSpec, weights: Any) -> keras.Model:
    """A network trained on the development part, as a model of raw data."""
    return whole_model(dataset, fit_encoder(dataset, split.development), spec, weights)


STUDIES = ("iris", "adult", "diabetes")


@pytest.fixture(params=STUDIES)
def any_study(request: pytest.FixtureRequest) -> Study:
    return request.getfixturevalue(request.param)


def scored(study: Study, prediction: np.ndarray) -> float:
    """The study's metric of the test rows, in scikit-learn's words."""
    y = study.test_target
    match study.record.metric:
        case "accuracy":
            return accuracy_score(y, prediction.argmax(axis=1))
        case "log_loss":
            return log_loss(y, prediction[:, 0])
        case _:
            return r2_score(y, prediction[:, 0])


class Untrained(Engine):
    """Hands back initial weights at once, for tests of what happens around the training."""

    name = "untrained"
    loss = 0.5

    def start(self, lanes: Sequence[Lane]) -> Any:
        losses = (self.loss,)

        class Done:
            def running(self) -> np.ndarray:
                return np.array([False])

            def results(self) -> list[LaneResult]:
                return [LaneResult(0.0, 0.0, 0.1, losses, losses, (0.0,))]

            def weights(self, number: int) -> list[np.ndarray]:
                return initial_weights(lanes[number].spec, lanes[number].seed)

        return Done()


class Diverging(Untrained):
    loss = float("nan")


# The model on its own

READER = """
import json, sys
import keras
import numpy as np
for job in json.loads(sys.argv[1]):
    held = np.load(job["inputs"], allow_pickle=True)
    features = held["x"] if "x" in held else {name: held[name] for name in held}
    model = keras.models.load_model(job["model"])
    np.save(job["output"], model.predict(features, verbose=0))
loaded = [name for name in sys.modules if name.split(".")[0] == "nas"]
assert not loaded, loaded
print("read without nas")
"""


@pytest.fixture(scope="module")
def read_alone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    """What Keras alone, without the card, predicts for the test rows of each study."""
    folder = tmp_path_factory.mktemp("alone")
    read = {}
    for name in STUDIES:
        study: Study = request.getfixturevalue(name)
        path = Path(shutil.copy(study.path, folder / f"{name}.keras"))
        features = model_inputs(study.test_features)
        read[name] = keras.models.load_model(path).predict(features, verbose=0)
    return read


@pytest.mark.slow
def test_a_fresh_process_predicts_the_same_without_nas(
    iris: Study, adult: Study, diabetes: Study, read_alone: dict[str, np.ndarray], tmp_path: Path
) -> None:
    jobs = []
    for name, study in zip(STUDIES, (iris, adult, diabetes), strict=True):
        features = study.test_features
        columns = features if isinstance(features, dict) else {"x": features}
        np.savez(tmp_path / f"{name}.npz", **columns)
        shutil.copy(study.path, tmp_path / f"{name}.keras")  # without its card
        jobs.append(
            {
                "inputs": str(tmp_path / f"{name}.npz"),
                "model": str(tmp_path / f"{name}.keras"),
                "output": str(tmp_path / f"{name}.npy"),
            }
        )
    # -I leaves the folder of the tests, and with it the checkout, off the path.
    done = subprocess.run(
        [sys.executable, "-I", "-c", READER, json.dumps(jobs)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "read without nas" in done.stdout
    for name in STUDIES:
        found = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(found, read_alone[name], rtol=1e-5, atol=1e-6)


def test_a_saved_model_is_made_of_what_keras_has(any_study: Study) -> None:
    """No class of nas, which a process without nas could not load."""
    with zipfile.ZipFile(any_study.path) as archive:
        config = archive.read("config.json").decode()
    modules = set(re.findall(r'"module": "([^"]*)"', config))
    assert modules and all(module.split(".")[0] in ("keras", "builtins") for module in modules)


@pytest.mark.parametrize("name", STUDIES)
def test_keras_alone_predicts_the_same(
    name: str, request: pytest.FixtureRequest, read_alone: dict[str, np.ndarray]
) -> None:
    study: Study = request.getfixturevalue(name)
    model, _ = load_model(study.path)
    here = model.predict(model_inputs(study.test_features), verbose=0)
    assert here.shape == (len(study.split.test), study.dataset.n_outputs)
    assert here.std(axis=0).min() > 0
    np.testing.assert_allclose(read_alone[name], here, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", STUDIES)
def test_test_score_is_that_of_the_saved_model(
    name: str, request: pytest.FixtureRequest, read_alone: dict[str, np.ndarray]
) -> None:
    study: Study = request.getfixturevalue(name)
    value = scored(study, read_alone[name].astype(np.float64))
    assert study.card["test_value"] == pytest.approx(value, rel=1e-5)
    low, high = study.card["test_interval"]
    assert low < value < high


def test_outputs_are_probabilities_or_values(
    iris: Study, adult: Study, diabetes: Study, read_alone: dict[str, np.ndarray]
) -> None:
    classes = read_alone["iris"]
    assert classes.min() >= 0
    np.testing.assert_allclose(classes.sum(axis=1), 1.0, rtol=1e-5)
    second = read_alone["adult"]
    assert 0 <= second.min() < second.max() <= 1
    y = diabetes.test_target
    values = read_alone["diabetes"]
    assert abs(values.mean() - y.mean()) < 0.3 * y.mean()  # not the standardized target
    assert values.std() > 1


def test_probabilities_of_logistic_outputs(iris: Study) -> None:
    best = iris.record.best().spec
    assert best is not None
    spec = replace(best, training=replace(best.training, loss="logistic"))
    model = whole(iris.dataset, iris.split, spec, initial_weights(spec, 1))
    logits = keras.Model(model.input, model.get_layer("sigmoids").input)
    x = model_inputs(iris.test_features)
    sigmoids = expit(logits.predict(x, verbose=0))
    expected = sigmoids / sigmoids.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
def test_members_of_a_saved_network_vote(iris: Study, loss: str, tmp_path: Path) -> None:
    best = iris.record.best().spec
    assert best is not None
    architecture = replace(best.in_words, members=3)
    spec = replace(best, architecture=architecture, training=replace(best.training, loss=loss))
    weights = initial_weights(spec, 1)
    model = whole(iris.dataset, iris.split, spec, weights)
    model.save(tmp_path / "members.keras")
    rows = fit_encoder(iris.dataset, iris.split.development).encode(iris.test_features)
    outputs = run_dense(spec, weights, rows, moving=True).outputs  # of each member
    p = expit(outputs) if loss == "logistic" else softmax(outputs, axis=-1)
    expected = p.mean(axis=1)
    expected /= expected.sum(axis=1, keepdims=True)
    loaded = keras.models.load_model(tmp_path / "members.keras")
    found = loaded.predict(model_inputs(iris.test_features), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_model_is_trained_on_the_development_part(diabetes: Study) -> None:
    # The network's head standardizes as those rows do, and by nothing else.
    model, card = load_model(diabetes.path)
    y = diabetes.dataset.y[diabetes.split.development]
    head = model.get_layer("value")
    assert head.offset == pytest.approx(y.mean())
    assert head.scale == pytest.approx(y.std())
    assert card["n_train_rows"] == len(y)


def test_a_saved_regression_keeps_within_the_range_of_its_target(diabetes: Study) -> None:
    dataset, split, best = diabetes.dataset, diabetes.split, diabetes.record.best()
    weights = [100.0 * weight for weight in initial_weights(best.spec, 0)]
    model = whole(dataset, split, best.spec, weights)
    values = predict(model, dataset.features, "regression")
    y = dataset.y[split.development]
    margin = 0.1 * (y.max() - y.min())
    assert values.min() == y.min() - margin and values.max() == y.max() + margin
    assert values.dtype == np.float64


def test_export_again_is_the_same_model(iris: Study, tmp_path: Path) -> None:
    path = tmp_path / "again.keras"
    card = export_winner(iris.record, iris.dataset, iris.split, KerasEngine, path, SEED)
    assert {**card, "created_at": ""} == {**iris.card, "created_at": ""}
    pairs = zip(load_model(path)[0].get_weights(), load_model(iris.path)[0].get_weights())  # noqa: B905
    for again, before in pairs:
        np.testing.assert_allclose(again, before, atol=1e-6)


# The card


def test_card_says_what_the_model_is(any_study: Study) -> None:
    card = json.loads(card_path(any_study.path).read_text(encoding="utf-8"))
    assert card == json.loads(json.dumps(any_study.card))
    record, best = any_study.record, any_study.record.best()
    assert card["nas_version"] == nas.__version__
    assert card["versions"]["keras"] == keras.__version__
    assert set(card["versions"]) == {"keras", "tensorflow", "optuna"}
    assert card["data_hash"] == any_study.dataset.hash()
    assert card["data"]["source"] == any_study.options.source
    assert card["space"] == record.settings.space
    assert "learning_rate" in card["space"]
    assert card["seed"] == SEED
    assert card["split"]["seed"] == SEED
    assert (card["study"], card["trial"]) == ("tiny", best.number)
    assert (card["metric"], card["direction"]) == (record.metric, record.direction)
    assert card["value"] == best.value == pytest.approx(np.mean(card["fold_values"]))
    assert card["stderr"] == best.stderr
    assert card["params"] == best.params
    assert card["task"] == any_study.dataset.task
    assert card["classes"] == list(any_study.dataset.classes)
    assert card["n_train_rows"] + card["n_test_rows"] == any_study.dataset.n_rows


def test_spec_of_the_card_is_that_of_the_network(any_study: Study) -> None:
    model, card = load_model(any_study.path)
    spec = TrialSpec.from_dict(card["spec"])
    network = model.get_layer("mlp")
    assert network.count_params() == spec.n_weights == card["n_weights"]
    assert network.input_shape == (None, spec.problem.n_inputs)
    assert spec.architecture == any_study.record.best().spec.architecture
    assert spec.training == any_study.record.best().spec.training


def test_winner_entry_is_the_test(iris: Study) -> None:
    entry = winner_entry(iris.card)
    keys = ("trial", "test_value", "test_interval", "predicted_on", "predicted_classes")
    assert entry == {key: iris.card[key] for key in keys}


def test_the_card_counts_the_answers(any_study: Study) -> None:
    model, card = load_model(any_study.path)
    rows = any_study.split.test
    assert card["predicted_on"] == "test" and len(rows)
    if card["task"] == "regression":
        assert card["predicted_classes"] is None
        return
    prediction = predict(model, take_rows(any_study.dataset.features, rows), card["task"])
    answers = np.array(list(map(str, card["classes"])))[predicted_classes(prediction)].tolist()
    expected = {str(label): answers.count(str(label)) for label in card["classes"]}
    assert card["predicted_classes"] == expected


def test_the_refit_never_sees_the_test_part(iris: Study, tmp_path: Path) -> None:
    seen: list[FoldData] = []

    class Watching(Untrained):
        def __init__(self, folds: Sequence[FoldData], metric: Any) -> None:
            super().__init__(folds, metric)
            seen.extend(folds)

    # Test rows that would be recognized in any matrix.
    features = iris.dataset.features.copy()
    features[iris.split.test] = 1e9
    dataset = replace(iris.dataset, features=features)
    path = tmp_path / "watched.keras"
    card = export_winner(iris.record, dataset, iris.split, Watching, path, SEED)
    (fold,) = seen
    assert len(fold.x_val) == len(fold.y_val) == 0
    assert len(fold.x_train) == len(iris.split.development)
    assert np.abs(fold.x_train).max() < 1e3
    np.testing.assert_array_equal(fold.y_train, dataset.y[iris.split.development])
    assert card["test_value"] is not None


def test_the_interval_of_the_test_is_over_groups_where_there_are_some(
    iris: Study, tmp_path: Path
) -> None:
    cards = [
        export_winner(iris.record, dataset, iris.split, Untrained, tmp_path / "m.keras", SEED)
        for dataset in (iris.dataset, replace(iris.dataset, groups=np.zeros(150)))
    ]
    assert cards[0]["test_value"] == cards[1]["test_value"]
    (low, high), (lowest, highest) = (card["test_interval"] for card in cards)
    assert high - low < 0.5 < highest - lowest  # one group says nothing


def test_no_test_part_no_test_score(iris: Study, tmp_path: Path) -> None:
    split = split_dataset(iris.dataset, SplitOptions(folds=2, test_size=0.0))
    path = tmp_path / "all.keras"
    card = export_winner(iris.record, iris.dataset, split, Untrained, path, SEED)
    assert card["test_value"] is card["test_interval"] is None
    assert (card["n_train_rows"], card["n_test_rows"]) == (150, 0)
    assert card["predicted_on"] == "training" and sum(card["predicted_classes"].values()) == 150


# Writing


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def untrained(study: Study, path: Path, engine: type[Engine] = Untrained) -> dict[str, Any]:
    return export_winner(study.record, study.dataset, study.split, engine, path, SEED)


def test_missing_folder_is_told_and_nothing_is_written(iris: Study, tmp_path: Path) -> None:
    with pytest.raises(NasError, match="no folder"):
        untrained(iris, tmp_path / "missing" / "winner.keras")
    assert files(tmp_path) == []


def test_other_ending_is_told(iris: Study, tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r"the ending '\.h5'; expected \.keras"):
        untrained(iris, tmp_path / "winner.h5")
    assert files(tmp_path) == []


def test_diverged_winner_is_told_and_not_written(iris: Study, tmp_path: Path) -> None:
    with pytest.raises(NasError, match="diverged"):
        untrained(iris, tmp_path / "winner.keras", Diverging)
    assert files(tmp_path) == []


def test_study_without_a_complete_trial_is_told(iris: Study, tmp_path: Path) -> None:
    empty = StudyRecord("none", "accuracy", "maximize", iris.record.settings, ())
    with pytest.raises(NasError, match="no complete trial"):
        export_winner(empty, iris.dataset, iris.split, Untrained, tmp_path / "w.keras", SEED)
    assert files(tmp_path) == []


def test_older_model_is_replaced(iris: Study, tmp_path: Path) -> None:
    path = tmp_path / "winner.keras"
    path.write_text("older", encoding="utf-8")
    untrained(iris, path)
    assert load_model(path)[1]["study"] == "tiny"
    assert files(tmp_path) == ["winner.json", "winner.keras"]


@pytest.mark.parametrize("part", ["model", "card"])
def test_failed_write_leaves_what_was_there(
    iris: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    path = tmp_path / "winner.keras"
    path.write_text("older", encoding="utf-8")

    def half(target: Path, *_: Any, **__: Any) -> None:
        with Path(target).open("wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    if part == "model":
        monkeypatch.setattr(keras.Model, "save", lambda _, target: half(target))
    else:
        monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(NasError, match="No space left"):
        untrained(iris, path)
    assert files(tmp_path) == ["winner.keras"]
    assert path.read_bytes() == b"older"


def test_card_that_cannot_be_placed_leaves_the_older_model(iris: Study, tmp_path: Path) -> None:
    path = tmp_path / "winner.keras"
    path.write_text("older", encoding="utf-8")
    card_path(path).mkdir()  # a folder in the card's place
    with pytest.raises(NasError, match="is a folder"):
        untrained(iris, path)
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize("column", ["value", "mlp"])
def test_column_may_have_the_name_of_a_layer(tmp_path: Path, column: str) -> None:
    y = load_dataset(DataOptions("diabetes")).y[:40]
    frame = pd.DataFrame({column: np.arange(40) % 7, "sex": ["f", "m"] * 20, "y": y})
    frame.to_csv(tmp_path / "data.csv", index=False)
    dataset = load_dataset(DataOptions(str(tmp_path / "data.csv"), "y"))
    split = split_dataset(dataset, SplitOptions(folds=2))
    spec = SearchSpace({"depth": 0}).sample(None, Problem("regression", 3, 1))
    model = whole(dataset, split, spec, initial_weights(spec, 0))
    assert predict(model, dataset.features, dataset.task).shape == (40,)


# Reading


def test_missing_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="no such file"):
        load_model(tmp_path / "none.keras")


def test_text_file_named_keras_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("not a model", encoding="utf-8")
    with pytest.raises(NasError, match="not a Keras model"):
        load_model(tmp_path / "text.keras")


@pytest.mark.parametrize("kind", ["empty", "cut", "other_zip"])
def test_broken_model_is_told(iris: Study, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "broken.keras"
    if kind == "other_zip":
        np.savez(tmp_path / "other.npz", x=np.zeros(3))
        shutil.move(tmp_path / "other.npz", path)
    else:
        path.write_bytes(iris.path.read_bytes()[: 0 if kind == "empty" else 5000])
    with pytest.raises(NasError, match="not a Keras model"):
        load_model(path)


@pytest.mark.parametrize("card", [None, "", "{", "[]", '{"schema": 1}', '{"task": "binary"}'])
def test_missing_or_broken_card_is_told(iris: Study, tmp_path: Path, card: str | None) -> None:
    path = tmp_path / "winner.keras"
    shutil.copy(iris.path, path)
    if card is not None:
        card_path(path).write_text(card, encoding="utf-8")
    with pytest.raises(NasError, match="no model card"):
        load_model(path)


# Predictions into a file


def test_predict_file_of_a_table(adult: Study, tmp_path: Path) -> None:
    rows = pd.read_csv(adult.options.source, dtype=str, keep_default_na=False)
    rows = rows.iloc[adult.split.test].drop(columns="income")
    rows.iloc[:, ::-1].to_csv(tmp_path / "rows.csv", index=False)  # in another order
    count = predict_file(adult.path, str(tmp_path / "rows.csv"), tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert count == len(table) == len(adult.split.test)
    assert list(table.columns) == ["prediction", "p_<=50K", "p_>50K"]
    np.testing.assert_allclose(table["p_<=50K"] + table["p_>50K"], 1.0)
    second = load_model(adult.path)[0].predict(model_inputs(adult.test_features), verbose=0)
    np.testing.assert_allclose(table["p_>50K"], second[:, 0], rtol=1e-5)
    likely = np.where(table["p_>50K"] > 0.5, ">50K", "<=50K")
    assert table["prediction"].tolist() == likely.tolist()
    assert set(likely) == {">50K", "<=50K"}
    assert files(tmp_path) == ["out.csv", "rows.csv"]


def test_predict_file_keeps_the_columns_of_several_files(adult: Study, tmp_path: Path) -> None:
    rows = pd.read_csv(adult.options.source, dtype=str, keep_default_na=False)
    rows = rows.iloc[adult.split.test].rename(columns={"income": "prediction"})
    rows.iloc[:20].to_csv(tmp_path / "new-1.csv", index=False)
    rows.iloc[20:].iloc[:, ::-1].to_csv(tmp_path / "new-2.csv", index=False)
    predict_file(adult.path, str(tmp_path / "new-*.csv"), tmp_path / "out.csv", keep=True)
    table = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    kept = [*rows.columns[:-1], "prediction (given)"]
    assert list(table.columns) == [*kept, "prediction", "p_<=50K", "p_>50K"]
    assert table["age"].tolist() == rows["age"].tolist()
    assert (table["prediction (given)"] == table["prediction"]).mean() > 0.6
    with pytest.raises(NasError, match="keep: given for iris; expected a table"):
        predict_file(adult.path, "iris", tmp_path / "out.csv", keep=True)


def test_predict_file_of_an_array(iris: Study, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=iris.test_features)
    assert predict_file(iris.path, str(tmp_path / "rows.npz"), tmp_path / "out.csv") == 38
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table.columns) == ["prediction", "p_0", "p_1", "p_2"]
    shares = table[["p_0", "p_1", "p_2"]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    assert table["prediction"].tolist() == shares.argmax(axis=1).tolist()
    accuracy = np.mean(table["prediction"] == iris.test_target)
    assert accuracy == pytest.approx(iris.card["test_value"])


@pytest.mark.long
def test_predict_file_of_a_folder_of_images(pictures: Study, tmp_path: Path) -> None:
    assert predict_file(pictures.path, pictures.options.source, tmp_path / "out.csv") == 80
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table.columns) == ["file", "prediction", "p_no 0", "p_no 1"]
    classes = np.array(pictures.dataset.classes)[pictures.dataset.y]
    assert [name.split("/")[0] for name in table["file"]] == classes.tolist()
    model, _ = load_model(pictures.path)
    shares = export.predict(model, pictures.dataset.features, "binary")
    np.testing.assert_allclose(table["p_no 1"], shares, atol=1e-6)
    right = (table["prediction"] == classes)[pictures.split.test].mean()
    assert right == pytest.approx(pictures.card["test_value"])


def test_predict_file_resizes_images(pictures: Study, tmp_path: Path) -> None:
    for k in range(3):
        put_image(tmp_path / "new" / f"{k}.png", pictures.dataset.features[k] / 15, times=4)
    assert predict_file(pictures.path, str(tmp_path / "new"), tmp_path / "out.csv") == 3
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["file"].tolist() == ["0.png", "1.png", "2.png"]
    model, _ = load_model(pictures.path)
    shares = export.predict(model, pictures.dataset.features[:3], "binary")
    np.testing.assert_allclose(table["p_no 1"], shares, atol=0.05)


def test_predict_file_of_values(diabetes: Study, tmp_path: Path) -> None:
    assert predict_file(diabetes.path, "diabetes", tmp_path / "out.csv") == 442
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table.columns) == ["prediction"]
    value = r2_score(diabetes.test_target, table["prediction"][diabetes.split.test])
    assert value == pytest.approx(diabetes.card["test_value"], rel=1e-5)


def test_predict_file_takes_gaps_and_unknown_categories(adult: Study, tmp_path: Path) -> None:
    rows = pd.read_csv(adult.options.source, dtype=str, keep_default_na=False).iloc[:4]
    rows["age"], rows["education_num"] = "", "?"
    rows["workclass"] = "unheard of"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    predict_file(adult.path, str(tmp_path / "rows.csv"), tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["p_>50K"].between(0, 1).all()


def test_predict_file_misses_a_column(adult: Study, tmp_path: Path) -> None:
    rows = pd.read_csv(adult.options.source, dtype=str).drop(columns="age")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(NasError, match="no column 'age'"):
        predict_file(adult.path, str(tmp_path / "rows.csv"), tmp_path / "out.csv")
    assert files(tmp_path) == ["rows.csv"]


def test_predict_file_with_another_ending_is_told(adult: Study, tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r"expected \.csv"):
        predict_file(adult.path, adult.options.source, tmp_path / "out.xlsx")


def test_failed_predictions_leave_no_partial_file(
    diabetes: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_: Any, target: Path, **__: Any) -> None:
        target.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(NasError, match="No space left"):
        predict_file(diabetes.path, "diabetes", tmp_path / "out.csv")
    assert files(tmp_path) == []


# The data of a study


def test_study_data_is_scaled_as_the_search_had_it(pictures: Study) -> None:
    dataset, split = study_data(pictures.record)
    assert dataset.scaling == "unit"
    assert dataset.hash() == pictures.dataset.hash() != replace(dataset, scaling="none").hash()
    (data,) = encode_folds(dataset, split.folds[:1])
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)


def test_study_data_is_what_the_search_had(any_study: Study) -> None:
    dataset, split = study_data(any_study.record)
    assert dataset.hash() == any_study.dataset.hash()
    assert split.hash() == any_study.split.hash()


def test_moved_data_is_read_from_its_new_place(adult: Study, tmp_path: Path) -> None:
    shutil.copy(adult.options.source, tmp_path / "moved.csv")
    dataset, _ = study_data(adult.record, str(tmp_path / "moved.csv"))
    assert dataset.hash() == adult.dataset.hash()


@pytest.mark.parametrize("change", ["cell", "target", "row"])
def test_changed_data_is_told(adult: Study, tmp_path: Path, change: str) -> None:
    frame = pd.read_csv(adult.options.source, dtype=str, keep_default_na=False)
    if change == "cell":
        frame.loc[100, "hours_per_week"] = "41" if frame.loc[100, "hours_per_week"] != "41" else "1"
    elif change == "target":
        frame.loc[0, "income"] = ">50K" if frame.loc[0, "income"] == "<=50K" else "<=50K"
    else:
        frame = frame.iloc[:-1]
    frame.to_csv(tmp_path / "changed.csv", index=False)
    with pytest.raises(NasError, match="not the data that study 'tiny' was searched on"):
        study_data(adult.record, str(tmp_path / "changed.csv"))


# Targets and columns of any kind


def mixed_table(folder: Path, y: Any, **names: str) -> Dataset:
    """Forty rows of a number, a text and a target, with other names for the first two."""
    x = np.random.default_rng(0).normal(size=40)
    columns = {names.get("number", "x"): x, names.get("text", "sex"): ["f", "m"] * 20, "y": y}
    pd.DataFrame(columns).to_csv(folder / "data.csv", index=False)
    return load_dataset(DataOptions(str(folder / "data.csv"), "y", task="regression"))


SHAPE = np.random.default_rng(1).normal(size=40)
TARGETS = {
    "Julian date": 2459000.5 + 0.2 * SHAPE,
    "Unix seconds": 1.7e9 + 3600 * SHAPE,
    "Unix milliseconds": 1.7e12 + 3.6e6 * SHAPE,
    "Unix nanoseconds": np.round(1.7e18 + 3.6e12 * SHAPE),
    "large": 1e29 * SHAPE,
    "small": 1e-30 * SHAPE,
    "negative": -1e6 + SHAPE,
    "skewed": np.exp(8 * SHAPE),
}


@pytest.mark.parametrize("name", TARGETS)
def test_values_are_those_of_the_folds_whatever_the_target(name: str, tmp_path: Path) -> None:
    dataset = mixed_table(tmp_path, TARGETS[name])
    path, rows, expected = save_untrained(tmp_path, dataset)
    predict_file(path, str(tmp_path / "data.csv"), tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv")["prediction"][rows]
    assert np.abs(found - expected).max() < 1e-5 * dataset.y.std()
    assert expected.std() > 0.01 * dataset.y.std()


@pytest.mark.parametrize(
    "number, text", [("cast", "where"), ("value", "encoder"), ("km/h", "Größe, in m")]
)
def test_saved_model_takes_the_true_names_of_columns(
    number: str, text: str, tmp_path: Path
) -> None:
    dataset = mixed_table(tmp_path, TARGETS["Julian date"], number=number, text=text)
    path, rows, expected = save_untrained(tmp_path, dataset)
    with warnings.catch_warnings():
        if "/" in number:  # Keras warns, though the model takes it
            warnings.simplefilter("ignore", UserWarning)
        model = keras.models.load_model(path)
    table = pd.read_csv(tmp_path / "data.csv").iloc[rows]
    found = model.predict({name: table[name].to_numpy() for name in (text, number)}, verbose=0)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[:, 0] - 2459000, expected - 2459000, atol=2e-6)
    predict_file(path, str(tmp_path / "data.csv"), tmp_path / "out.csv")
    np.testing.assert_array_equal(
        pd.read_csv(tmp_path / "out.csv")["prediction"][rows], found[:, 0]
    )


def test_predict_tells_what_training_never_saw(adult: Study, tmp_path: Path) -> None:
    assert adult.card["seen"]["sex"] == {"categories": ["Male", "Female"], "n_categories": 2}
    rows = pd.read_csv(adult.options.source, dtype=str, keep_default_na=False).iloc[:4]
    rows["race"] = ["White", " White ", "Martian", "Venusian"]
    rows.loc[3, "hours_per_week"] = "12345"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    lines: list[str] = []
    predict_file(adult.path, str(tmp_path / "rows.csv"), tmp_path / "out.csv", lines.append)
    assert len(lines) == 2
    assert "'race': 2 of 4 rows" in lines[0] and "'Martian' and 'Venusian'" in lines[0]
    assert "'hours_per_week': 1 of 4 rows" in lines[1] and "12345" in lines[1]


def test_predict_takes_other_spellings_of_one_category(tmp_path: Path) -> None:
    dataset = mixed_table(tmp_path, SHAPE)
    codes = np.where(dataset.features["sex"] == "f", "1", "2").astype(object)
    path, *_ = save_untrained(
        tmp_path, replace(dataset, features={**dataset.features, "sex": codes})
    )
    table = pd.read_csv(tmp_path / "data.csv")
    written, lines = [], []
    for number, spelling in enumerate((("1", "2"), ("1.0", " 2.00 "))):
        table["sex"] = list(spelling) * 20
        table.to_csv(tmp_path / f"{number}.csv", index=False)
        predict_file(path, str(tmp_path / f"{number}.csv"), tmp_path / "out.csv", lines.append)
        written.append((tmp_path / "out.csv").read_text())
    assert written[0] == written[1]
    assert lines == []


def test_model_that_was_saved_earlier_predicts_as_then(tmp_path: Path) -> None:
    earlier = Path(__file__).parent / "saved_earlier"  # by nas before it had float64 outputs
    lines: list[str] = []
    predict_file(
        earlier / "model.keras", str(earlier / "rows.csv"), tmp_path / "out.csv", lines.append
    )
    found, expected = (
        pd.read_csv(path) for path in (tmp_path / "out.csv", earlier / "predictions.csv")
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert lines == []  # its card does not say what training saw


# Cards


CARDS = {
    "task": ({"task": "clustering"}, "got the task 'clustering'"),
    "no task": ({"task": None}, "got the task None"),
    "classes": ({"classes": "abc"}, "got the classes 'abc'"),
    "fewer classes": ({"classes": ["0", "1"]}, "multiclass with 2 classes, for a model of output"),
    "another task": ({"task": "regression"}, "got regression with 3 classes"),
    "schema": ({"schema": {"columns": 3}}, "the schema cannot be read"),
    "no schema": ({"schema": []}, "the schema cannot be read"),
    "another model": ({"weights_hash": "0" * 64}, "is the card of another model"),
}


@pytest.mark.parametrize("case", CARDS)
def test_a_card_that_does_not_fit_is_refused(case: str, iris: Study, tmp_path: Path) -> None:
    changes, words = CARDS[case]
    path = tmp_path / "winner.keras"
    shutil.copy(iris.path, path)
    card_path(path).write_text(json.dumps({**iris.card, **changes}), encoding="utf-8")
    with pytest.raises(NasError) as caught:
        predict_file(path, "iris", tmp_path / "p.csv")
    assert words in str(caught.value) and str(card_path(path)) in str(caught.value)
    assert not (tmp_path / "p.csv").exists()


def test_the_card_of_a_model_with_other_inputs_is_refused(iris: Study, tmp_path: Path) -> None:
    path = tmp_path / "winner.keras"
    shutil.copy(iris.path, path)
    other = {"columns": [], "row_shape": [13]}
    older = {key: value for key, value in iris.card.items() if key != "weights_hash"}
    card_path(path).write_text(json.dumps({**older, "schema": other}), encoding="utf-8")
    with pytest.raises(NasError, match="does not fit the model"):
        predict_file(path, "wine", tmp_path / "p.csv")
    card_path(path).write_text(json.dumps(older), encoding="utf-8")
    assert predict_file(path, "iris", tmp_path / "p.csv") == 150
