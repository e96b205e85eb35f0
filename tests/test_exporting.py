"""What `Study.export` writes beside a model, and which network it takes."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_wine

import nas
from nas.errors import NasError
from nas.model_card import default_model_path

SPACE = {"depth": 1, "width": [4, 8, 16], "epochs": 4, "learning_rate": 0.03}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> nas.Study:
    folder = tmp_path_factory.mktemp("wine")
    x, y = load_wine(return_X_y=True, as_frame=True)
    return nas.search(
        SPACE, x, np.array(["low", "middle", "high"])[y], trials=3, folds=2, workers=1,
        device="cpu", confirm=0, pruner="none", sampler="grid", quiet=True, name="wine",
        storage=f"sqlite:///{folder}/nas.db",
    )  # fmt: skip


def test_a_page_tells_what_the_model_is_worth(study: nas.Study, tmp_path: Path) -> None:
    study.baselines()
    study.export(tmp_path / "best.keras")
    card = json.loads((tmp_path / "best.json").read_text())
    rows = len(study.known().split.test)
    assert sum(map(sum, card["measures"]["confusion"])) == rows
    right = sum(card["measures"]["confusion"][k][k] for k in range(3))
    assert right / rows == pytest.approx(card["test_value"])
    assert {one["column"] for one in card["importance"]} >= {"alcohol", "proline"}
    assert card["baselines"][0]["name"]
    page = (tmp_path / "best.md").read_text()
    assert page.startswith("# Model card: best.keras\n")
    for part in ("'high', 'low', 'middle'", "| alcohol |", "## How to load it", "tensorflow"):
        assert part in page
    assert f"{card['test_value']:.4f}" in page


def test_another_trial_leaves_the_study_as_it_was(study: nas.Study, tmp_path: Path) -> None:
    best = study.best.number
    (other, *_) = [t for t in study.record.complete if t.number != best]
    before = study.record.winner
    study.export(tmp_path / "other.keras", trial=other.number)
    card = json.loads((tmp_path / "other.json").read_text())
    assert (card["trial"], card["n_weights"]) == (other.number, other.n_weights)
    assert nas.load("wine", study.storage).record.winner == before
    study.export(tmp_path / "simple.keras", trial="simplest")
    assert json.loads((tmp_path / "simple.json").read_text())["trial"] == study.best.simplest


def test_a_winner_that_is_saved_is_not_trained_again(
    study: nas.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.model()
    assert default_model_path(study.storage, study.name).exists()
    monkeypatch.setattr("nas.refit.train_best", None)
    study.export(tmp_path / "again.keras")
    card = json.loads((tmp_path / "again.json").read_text())
    assert card["test_value"] == study.best.test_value
    x, _ = load_wine(return_X_y=True, as_frame=True)
    saved, again = (
        keras.models.load_model(path).predict(x.to_numpy(), verbose=0)
        for path in (default_model_path(study.storage, study.name), tmp_path / "again.keras")
    )
    np.testing.assert_array_equal(saved, again)
    study.export(tmp_path / "model", format="savedmodel")
    assert json.loads((tmp_path / "model.json").read_text())["format"]["name"] == "savedmodel"


def test_what_cannot_be_exported(study: nas.Study, tmp_path: Path) -> None:
    with pytest.raises(NasError, match="trial: got 9; expected 0 to 2"):
        study.export(tmp_path / "a.keras", trial=9)
    with pytest.raises(NasError, match="trial: got 'best'; expected the number of a trial"):
        study.export(tmp_path / "a.keras", trial="best")  # type: ignore[arg-type]
    with pytest.raises(NasError, match="trial: given beside ensemble"):
        study.export(tmp_path / "a.keras", trial=0, ensemble=2)
    (tmp_path / "a.md").write_text("# My notes\n")
    with pytest.raises(NasError, match=r"a.md: is there, and is no model card"):
        study.export(tmp_path / "a.keras")
    saved = default_model_path(study.storage, study.name)
    other = next(t.number for t in study.record.complete if t.number != study.best.number)
    with pytest.raises(NasError, match="is where the study keeps its winner"):
        study.export(saved, trial=other)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.md"]
    shutil.rmtree(tmp_path)
