"""A search over a function of a user's, from its first trial to the predictions of its winner."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from functions import Scaled, build_model
from keras import layers

from nas.analysis.diagnosis import diagnose_study
from nas.analysis.effects import parameter_effect
from nas.analysis.levels import depth_word, space_of
from nas.architectures import CustomArchitecture
from nas.data import DataOptions, Dataset, Split, SplitOptions, load_dataset, split_dataset
from nas.encoding import encode_folds
from nas.engines.keras_engine import KerasEngine
from nas.engines.selection import Selection
from nas.errors import NasError
from nas.execution.pool import LocalPool
from nas.export import export_winner
from nas.families.custom import custom_space
from nas.metrics import get_metric
from nas.report.page import render_page
from nas.report.sections import make_report
from nas.saved_model import load_model, predict
from nas.searching import SearchOptions, live_study, open_study, run_search, study_settings
from nas.space import Choice, Range, SearchSpace
from nas.study.record import StudyRecord, study_record
from nas.study.storage import open_storage
from nas.tensorboard import run_of

# Keras itself raises this one while it saves a model.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning:keras"
)


@dataclass
class Searched:
    folder: Path
    record: StudyRecord
    dataset: Dataset
    split: Split


def search(
    folder: Path, space: SearchSpace, build: Any, n_trials: int, source: str = "iris", **more: Any
) -> Searched:
    """Searches as `nas search` does."""
    url, name, options = f"sqlite:///{folder}/nas.db", space.name, DataOptions(source)
    dataset, split_options = load_dataset(options), SplitOptions(folds=2, test_size=0.25, seed=1)
    split, metric = split_dataset(dataset, split_options), get_metric(None, dataset.task)
    settings = study_settings(space, options, dataset, split_options, split, metric)
    storage = open_storage(url, create=True)
    study = open_study(storage, url, name, settings, metric)
    folds = encode_folds(dataset, split.folds)
    problem = dataset.problem(folds[0].x_train.shape[1])
    space.check_problem(problem)
    pool = LocalPool(Selection(folds, metric, "auto", build).choose)
    search_options = SearchOptions(n_trials=n_trials, seed=1, **{"pruner": "none", **more})
    with live_study(storage, url, name) as live:
        for _ in run_search(live, url, space, problem, pool, search_options):
            pass
    record = study_record(study)
    return Searched(folder, record, dataset, split)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    space = custom_space(build_model, {"epochs": 2, "batch_size": [8, 16]})
    return search(tmp_path_factory.mktemp("custom"), space, build_model, 3)


def test_trials_are_trained_and_kept_like_any_others(searched: Searched) -> None:
    record = searched.record
    assert [trial.outcome for trial in record.trials] == ["complete"] * 3
    for trial in record.complete:
        assert (trial.engine, trial.engine_reason) == ("keras", "built by a function")
        assert trial.spec is not None and trial.n_weights == trial.spec.n_weights
        architecture = trial.spec.architecture
        assert isinstance(architecture, CustomArchitecture)
        batch_size = trial.spec.training.batch_size
        assert trial.params == {**architecture.params, "batch_size": batch_size}
        assert trial.examination is not None
        assert len(trial.examination.rank) == len(trial.spec.hidden) == trial.params["layers"]
        assert sorted(trial.epoch_values) == [1, 2]


def test_the_same_seed_finds_the_same(searched: Searched, tmp_path: Path) -> None:
    space = custom_space(build_model, {"epochs": 2, "batch_size": [8, 16]})
    again = search(tmp_path, space, build_model, 1).record.trials[0]
    first = searched.record.trials[0]
    assert (again.params, again.fold_values) == (first.params, first.fold_values)


def test_a_study_of_another_function_is_not_gone_on_with(searched: Searched) -> None:
    def other(trial: Any) -> keras.Model:
        return build_model(trial)

    space = custom_space(other, {"epochs": 2, "batch_size": [8, 16]}, name="build_model")
    with pytest.raises(
        NasError, match=r"other settings: space \(another function, or another text"
    ):
        search(searched.folder, space, other, 3)


def test_analysis_knows_what_the_function_suggested(searched: Searched) -> None:
    record = searched.record
    space = space_of(record)
    assert space.parameters["width_0"].domain == Range(4, 32, log=True)
    assert space.parameters["rate"].domain == Range(0.001, 0.1, log=True)
    assert space.parameters["activation"].domain == Choice(["relu", "tanh"])
    assert space.parameters["batch_size"].domain == Choice([8, 16])
    assert space.is_whole("width_0") and not space.is_whole("rate")
    assert depth_word(record) == "layers"
    effect = parameter_effect(record, "layers")
    assert [level.label for level in effect.levels] == ["1", "2"]
    assert effect.doubt and effect.experiment is None
    for parameter in ("width_0", "rate", "activation"):
        assert parameter_effect(record, parameter).levels


def test_diagnosis_and_report_name_the_function(searched: Searched) -> None:
    record = searched.record
    found = diagnose_study(record)
    causes = [cause for d in (found.best, *found.worst) if d for cause in d.causes]
    assert found.n_examined == 3 and causes
    for cause in causes:
        assert cause.experiment is None and cause.advice
    page = render_page(make_report(record, "not asked for", "not asked for"))
    assert "dense layers and convolutions of build_model" in page
    assert "What to try: " in page
    assert "def build_model(trial: Any)" in page
    run = run_of(record.best(), record.metric)
    assert "| function | build_model |" in run.texts["hyperparameters"]


@dataclass
class Exported:
    path: Path
    card: dict[str, Any]


@pytest.fixture(scope="module")
def exported(searched: Searched, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("exported") / "best.keras"
    card = export_winner(
        searched.record, searched.dataset, searched.split, KerasEngine, path, 1, build_model
    )
    return Exported(path, card)


def test_the_winner_is_exported_and_predicts(searched: Searched, exported: Exported) -> None:
    path, card, rows = exported.path, exported.card, searched.split.test
    x = searched.dataset.features[rows]
    model, again = load_model(path)
    prediction = predict(model, x, "multiclass")
    assert again["weights_hash"] == card["weights_hash"]
    accuracy = float(np.mean(prediction.argmax(axis=1) == searched.dataset.y[rows]))
    assert accuracy == pytest.approx(card["test_value"])
    np.testing.assert_allclose(prediction.sum(axis=1), 1.0, rtol=1e-5)
    with pytest.raises(NasError, match="build_model: builds this network, and is not at hand"):
        export_winner(searched.record, searched.dataset, searched.split, KerasEngine, path, 1, None)


@pytest.mark.slow
def test_the_winner_predicts_without_nas(searched: Searched, exported: Exported) -> None:
    folder, x = exported.path.parent, searched.dataset.features[searched.split.test]
    prediction = predict(load_model(exported.path)[0], x, "multiclass")
    np.save(folder / "x.npy", x)
    code = (
        "import sys, keras, numpy as np; model = keras.models.load_model('best.keras');"
        "np.save('p.npy', model.predict(np.load('x.npy'), verbose=0));"
        "assert 'nas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    np.testing.assert_allclose(np.load(folder / "p.npy"), prediction, rtol=1e-5)


def test_a_function_that_fails_sometimes_costs_those_trials_alone(tmp_path: Path) -> None:
    class Unregistered(layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    def brittle(trial: Any) -> keras.Model:
        if trial.suggest_categorical("broken", [True, False]):
            raise RuntimeError("no such layer\nand more")
        return keras.Sequential([layers.Dense(4), Scaled(), Unregistered(), layers.Dense(3)])

    found = search(tmp_path, custom_space(brittle, {"epochs": 1}), brittle, 9, sampler="grid")
    by_outcome = {trial.outcome: trial for trial in found.record.trials}
    assert sorted(by_outcome) == ["complete", "failed"]
    assert by_outcome["failed"].reason == "RuntimeError: no such layer"
    assert by_outcome["failed"].params == {"broken": True}
    path = tmp_path / "best.keras"
    with pytest.raises(NasError, match=r"holds 'Unregistered', which is not known here.*Decorate"):
        export_winner(found.record, found.dataset, found.split, KerasEngine, path, 1, brittle)
        load_model(path)
    model, _ = load_model(path, {"Unregistered": Unregistered})
    assert model.output_shape == (None, 3)
