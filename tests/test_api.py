"""nas in Python: one call for each thing that it does."""

import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import ShuffleSplit

import nas
from nas.api import search
from nas.arguments import seconds_of
from nas.errors import NasError

SPACE = {
    "depth": nas.Range(1, 2),
    "width": [4, 8],
    "learning_rate": nas.Range(1e-2, 1e-1, log=True),
    "epochs": 4,
}
X, Y = load_iris(return_X_y=True)
GOOD = {"space": SPACE, "data": X, "target": Y, "name": "bad", "workers": 1, "quiet": True}
FRAME = load_iris(as_frame=True).frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("api"))
        yield Path()


@pytest.fixture(scope="module")
def study(folder: Path) -> nas.Study:
    return search(SPACE, X, Y, trials=7, folds=3, workers=1, name="mine", pruner="none", quiet=True)


def test_nothing_is_printed_where_that_is_asked_for(study, capfd: pytest.CaptureFixture) -> None:
    again = search(SPACE, X, Y, trials=7, folds=3, workers=1, name="mine", quiet=True)
    assert capfd.readouterr() == ("", "")
    assert again.best == study.best


def test_a_study_keeps_its_folds_and_its_pruner(study: nas.Study) -> None:
    again = search(SPACE, X, Y, trials=7, timeout=600, workers=1, name="mine", quiet=True)
    assert len(again.best.fold_values) == 3
    assert again.record.settings.search.pruner == "none"


def test_the_winner_has_an_untouched_test_score(study: nas.Study) -> None:
    best = study.best
    assert best.value == pytest.approx(np.mean(best.fold_values))
    assert best.value == study.optuna.best_value
    assert set(best.params) == {"depth", "width", "learning_rate"}
    assert best.stderr > 0 and best.test_interval[0] < best.test_value < best.test_interval[1]


def test_trials_are_a_table(study: nas.Study) -> None:
    trials = study.trials
    assert list(trials.trial) == list(range(7)) and set(trials.outcome) == {"complete"}
    assert trials.value.max() == study.best.value
    assert trials[["fold_1", "fold_2", "fold_3"]].mean(axis=1).tolist() == pytest.approx(
        trials.value.tolist()
    )


def test_what_was_learned_comes_as_data_and_figures(study: nas.Study) -> None:
    shares = study.importance()
    assert set(shares.index) == {"depth", "width", "learning_rate"}
    assert shares.sum().tolist() == pytest.approx([1.0] * len(shares.columns))
    explained = study.explain("depth")
    assert [effect.parameter for effect in explained.effects] == ["depth"]
    assert study.diagnose().n_examined == 7
    assert study.diagnose(study.best.number).trial == study.best.number
    for name in ("history", "parallel", "pareto", "importance", "slice", "effect", "budget"):
        assert study.figure(name).data, name
    with pytest.raises(NasError, match=r"^name: got 'histroy'.* Did you mean 'history'"):
        study.figure("histroy")


def test_it_is_shown_in_a_notebook(study: nas.Study) -> None:
    page = study._repr_html_()
    assert "mine" in page and f"{study.best.value:.4f}" in page and "<table" in page
    assert "mine" in repr(study)


def test_the_model_predicts_for_rows_of_any_kind(study: nas.Study, folder: Path) -> None:
    answers = study.predict(X)
    assert answers.shape == (150,) and (answers == Y).mean() > 0.5
    probabilities = study.predict_proba(X)
    assert probabilities.to_numpy().argmax(axis=1).tolist() == answers.tolist()
    assert study.model().predict(X[:3], verbose=0).shape == (3, 3)
    saved = study.export("best.keras")
    assert saved.exists() and saved.with_suffix(".json").exists()
    page = study.report("report.html", baselines=False).read_text(encoding="utf-8")
    assert "No command can repeat it: its data was given in Python" in page
    assert "tried on data in memory" in page
    assert "nas search" not in page and "nas train" not in page
    assert "nas.run(\n    nas.SearchAgain(\n        space={" in unescape(page)


def test_a_study_of_data_in_memory_asks_for_it(study: nas.Study) -> None:
    loaded = nas.load("mine")
    assert loaded.best == study.best
    with pytest.raises(NasError, match="in memory"):
        loaded.export("again.keras")
    with pytest.raises(NasError, match=r"^data: not the data"):
        loaded.export("again.keras", X + 1, Y)
    assert loaded.export("again.keras", X, Y).exists()
    assert nas.studies().study.tolist()[-1] == "mine"
    with pytest.raises(NasError, match=r"^name: no study 'nine'.* Did you mean 'mine'"):
        nas.load("nine")


def test_a_frame_and_a_file_are_the_same_data(folder: Path) -> None:
    FRAME.to_csv("iris.csv", index=False)
    options = {"target": "target", "trials": 1, "folds": 3, "workers": 1, "quiet": True}
    of_frame = search(SPACE, FRAME, name="frame", **options)
    of_file = search(SPACE, "iris.csv", name="file", **options)
    assert of_frame.best.fold_values == of_file.best.fold_values
    new = FRAME.drop(columns="target")
    assert (of_frame.predict(new) == of_file.predict("iris.csv")).all()


@pytest.mark.long
def test_a_search_on_a_gpu_finds_networks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the code for a GPU, here on the processor."""
    monkeypatch.setattr("nas.execution.devices.GPU_PLATFORM", "cpu")
    monkeypatch.setattr("nas.api.find_gpus", lambda device: (0,))
    with pytest.raises(NasError, match=r"^workers: got 2 for 1 GPU; expected at most one"):
        search(**{**GOOD, "workers": 2})
    found = search(SPACE, X, Y, trials=30, folds=3, name="gpu", device="gpu", quiet=True)
    assert len(found.record.counted) == 30 and found.best.value > 0.8
    assert {trial.engine for trial in found.record.counted} == {"compiled"}


@pytest.mark.long
def test_rows_may_count_differently(folder: Path) -> None:
    """Rows of one class alone count: nothing else is learned."""
    weights = np.where(Y[0] == Y, 1.0, 0.0)
    options = {"trials": 1, "folds": 3, "workers": 1, "quiet": True}
    study = search(SPACE, X, Y, sample_weight=weights, name="weighted", **options)
    assert set(study.predict(X)) == {Y[0]}
    weighted = FRAME.assign(weight=weights)
    of_frame = search(
        SPACE, weighted, target="target", sample_weight="weight", name="column", **options
    )
    assert of_frame.record.settings.data.sample_weight == "weight"
    assert set(of_frame.predict(FRAME.drop(columns="target"))) == {Y[0]}


@pytest.mark.long
def test_folds_and_metric_of_ones_own(folder: Path) -> None:
    # As many rows and folds as the study has, so that its compiled program serves here too.
    splitter = ShuffleSplit(3, test_size=40, random_state=0)
    options = {"trials": 1, "workers": 1, "quiet": True}
    of_splitter = search(
        SPACE, X, Y, folds=splitter, metric=make_scorer(accuracy_score), name="own", **options
    )
    assert len(of_splitter.best.fold_values) == 3
    assert of_splitter.record.metric == "accuracy_score"
    rows = np.random.default_rng(0).permutation(150)[:120]
    parts = np.split(rows, 3)
    pairs = [(np.concatenate([parts[k - 1], parts[k - 2]]), parts[k]) for k in range(3)]
    of_pairs = search(
        SPACE,
        X,
        Y,
        folds=pairs,
        metric=make_scorer(log_loss, greater_is_better=False, response_method="predict_proba"),
        name="pairs",
        **options,
    )
    assert of_pairs.record.direction == "minimize"
    trial = of_pairs.record.trials[0]
    assert len(trial.fold_values) == 3 and of_pairs.best.test_value is not None
    # Another search has them, too.
    same = nas.SearchAgain({**SPACE, "name": "same"}, trials=1)
    again = nas.run(same, of_pairs, workers=1, quiet=True)
    assert again.record.metric == of_pairs.record.metric
    assert again.best.fold_values == of_pairs.best.fold_values
    # The rows that no pair names, and what is stored divides the data again.
    assert of_pairs.export("pairs.keras", X, Y).exists()
    with pytest.raises(NasError, match="validates on rows that it trains on"):
        search(SPACE, X, Y, folds=[([0, 1, 2], [2, 3])], name="wrong", **options)


def test_a_search_that_settles_a_doubt_runs_on_the_same_data_in_memory(study: nas.Study) -> None:
    (effect,) = study.explain("depth").effects
    assert effect.doubt and effect.experiment.space["depth"] == nas.Range(1, 2)
    settled = nas.run(replace(effect.experiment, trials=3), study, workers=1, quiet=True)
    assert settled.name == "mine-depth" and len(settled.record.complete) == 3
    assert settled.record.settings.data_hash == study.record.settings.data_hash
    assert settled.record.settings.split_hash == study.record.settings.split_hash
    assert (settled.predict(X) == Y).mean() > 0.5


def test_a_sick_network_in_memory_is_trained_again_as_its_diagnosis_says(folder: Path) -> None:
    sick = nas.train(
        SPACE, X, Y, name="sick", folds=2, depth=1, width=8, learning_rate=300.0,
        optimizer="sgd", quiet=True,
    )  # fmt: skip
    experiment = sick.diagnosis.causes[0].experiment
    assert experiment == nas.TrainAgain(sick.trial.number, {"learning_rate": 30.0})
    again = nas.run(experiment, sick.study, quiet=True)
    assert again.study.name == "sick" and again.trial.number == sick.trial.number + 1
    assert again.trial.spec.training.learning_rate == 30.0
    assert again.trial.spec.architecture == sick.trial.spec.architecture
    loaded = nas.load("sick")
    with pytest.raises(NasError, match="in memory"):
        nas.run(experiment, loaded, quiet=True)
    assert nas.run(experiment, loaded, X, Y, quiet=True).trial.number == again.trial.number + 1
    assert nas.run(experiment, "sick", X, Y, quiet=True).study.name == "sick"
    with pytest.raises(NasError, match="one that trains"):
        nas.run(nas.LookAtData(), loaded)
    with pytest.raises(NasError, match=r"experiment: got str 'sick'; expected one that study.diag"):
        nas.run("sick", experiment)
    with pytest.raises(NasError, match="study: got TrainAgain"):
        nas.run(experiment, experiment)
    with pytest.raises(NasError, match="no study 'none'"):
        nas.run(experiment, "none")


def test_one_network_is_trained_and_diagnosed(study: nas.Study, folder: Path) -> None:
    trained = nas.train(
        SPACE, X, Y, depth=6, activation="sigmoid", params={"width": 5}, name="mine", quiet=True
    )
    assert trained.trial.spec.architecture.units == (5,) * 6
    assert "vanishing" in trained.diagnosis.summary and "6 x 5 sigmoid" in repr(trained)
    assert trained.trial.number == 7 and nas.load("mine").best == study.best


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "acc"}, "^metric: got 'acc'"),
        ({"trials": 0}, "^trials: got 0; expected at least 1"),
        ({"workers": 0}, "^workers: got 0"),
        ({"test_size": 2}, "^test_size: got 2"),
        ({"sampler": "tpee"}, "^sampler: got 'tpee'.* Did you mean 'tpe'"),
        ({"folds": "five"}, "^folds: got 'five'"),
        ({"groups": [1, 2]}, "^groups: 2 groups for 150 rows"),
        ({"sample_weight": [1.0, -1.0] * 75}, "^sample_weight: got -1 in row 2"),
        ({"sample_weight": [1.0]}, "^sample_weight: 1 weight for 150 rows"),
        ({"space": 3}, "^space: got an object of type int"),
        ({"timeout": "soon"}, "^timeout: got 'soon'"),
    ],
)
def test_errors_name_the_parameter(folder: Path, arguments: dict, message: str) -> None:
    with pytest.raises(NasError, match=message):
        search(**{**GOOD, **arguments})


def test_times() -> None:
    assert [seconds_of(t) for t in (90, "90", "10m", "2h")] == [90, 90, 600, 7200]


def test_the_face_is_typed_and_complete() -> None:
    for name in nas.__all__:
        assert getattr(nas, name) is not None
    assert (Path(nas.__file__).parent / "py.typed").exists()


def test_importing_loads_nothing_heavy() -> None:
    heavy = "tensorflow keras optuna pandas sklearn numpy rich typer"
    code = f"import sys, nas; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_own_settings_and_those_of_another_study_are_trained_first(
    study: nas.Study, folder: Path, capfd: pytest.CaptureFixture
) -> None:
    own = [{"depth": 2, "width": 4, "learning_rate": 0.05}, {"width": 8}]
    options = {"data": X, "target": Y, "folds": 3, "workers": 1, "name": "warm", "pruner": "none"}
    options["trials"] = 4
    wrong = {**options, "space": SPACE, "name": "none", "quiet": True}
    for given, message in (
        ({"enqueue": [{"width": 5}]}, "^enqueue: setting 1 has width: 5, which is not among"),
        ({"warm_start": "mime"}, "^warm_start: no study 'mime' in .* Did you mean 'mine'"),
        ({"warm_start": "mine", "name": "mine"}, "^warm_start: got 'mine', the study itself"),
    ):
        with pytest.raises(NasError, match=message):
            search(**{**wrong, **given})
    assert "none" not in nas.studies().study.tolist()
    space = {**SPACE, "epochs": 2}
    found = search(space, **options, enqueue=own, warm_start="mine")
    assert "First   2 settings of --enqueue and 2 settings of --warm-start mine" in (
        capfd.readouterr().out
    )
    params = [trial.params for trial in found.record.counted]
    assert params[0] == own[0] and params[1]["width"] == 8
    assert params[2] == study.best.params and len(params) == 4
    assert found.record.settings.search.enqueue == (*own, *params[2:])
    # Once more, with the study itself instead of its name.
    again = search(space, **options, enqueue=own, warm_start=study, quiet=True)
    assert [trial.params for trial in again.record.counted] == params
    assert again.record.settings.search == found.record.settings.search
