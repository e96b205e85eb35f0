import math
import time
from pathlib import Path

import pytest
from fakes import FakeEngine, fill_study, open_fake_study, search_fake

from nas.analysis.importance import importance, ranked_parameters, rests_on
from nas.errors import NasError
from nas.report.figures import importance_figure, save_figure
from nas.space import Range, SearchSpace, load_space, parameter
from nas.spec import TrialSpec

SPACE = SearchSpace(
    {
        "depth": Range(1, 6),
        "learning_rate": Range(1e-4, 1e-1, log=True),
        "optimizer": ["adam", "sgd"],
        "momentum": parameter(Range(0.0, 0.9), optimizer="sgd"),
        "epochs": 9,
    },
    name="fake",
)


def depth_matters(spec: TrialSpec, fold: int, seed: int, epoch: int) -> float:
    return 0.9 - 0.1 * len(spec.architecture.units) + 0.001 * (seed % 10)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("importance")
    engine = FakeEngine(depth_matters)
    return search_fake(
        folder,
        engine,
        SPACE,
        n_trials=40,
        sampler="random",
        startup_trials=0,
        pruner="median",
        seed=2,
    )[0]


def test_what_decides_the_score_is_named_by_both(study) -> None:
    found = importance(study)
    for shares in found.shares.values():
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["depth"] > 2 * shares["learning_rate"]
    assert found.shares["fanova"]["depth"] > 0.8
    assert ranked_parameters(found)[0] == "depth"  # by fANOVA, whose share is larger


def test_it_says_what_it_rests_on_and_what_it_leaves_out(study) -> None:
    found = importance(study)
    pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
    assert pruned > 0
    assert (found.n_complete, found.n_left_out) == (40 - pruned, pruned)
    assert f"{40 - pruned} complete" in rests_on(found) and f"{pruned} pruned" in rests_on(found)
    assert "momentum" in found.left_out["fanova"]
    assert "momentum" in found.shares["ped_anova"]
    for evaluator, shares in found.shares.items():
        named = set(shares) | set(found.left_out[evaluator])
        assert named == {"depth", "learning_rate", "optimizer", "momentum"}


@pytest.mark.slow
def test_a_thousand_trials_of_the_largest_space_take_seconds() -> None:
    def score(spec: TrialSpec) -> float:
        rate = abs(math.log10(spec.training.learning_rate / 0.003))
        return 0.9 - 0.02 * len(spec.architecture.units) - 0.03 * rate

    large = fill_study(load_space("mlp_full"), 1000, score)
    started = time.process_time()
    found = importance(large)
    assert time.process_time() - started < 15  # it takes 2, and a minute with deep trees
    assert ranked_parameters(found)[:2] == ["depth", "learning_rate"]
    assert len(found.shares["ped_anova"]) > 25


def test_shallow_trees_find_what_deep_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(spec: TrialSpec) -> float:
        rate = abs(math.log10(spec.training.learning_rate / 0.003))
        noise = math.sin(1e6 * spec.training.learning_rate) / 100
        return 0.9 - 0.02 * len(spec.architecture.units) - 0.03 * rate + noise

    study = fill_study(SPACE, 200, score)
    deep = importance(study).shares["fanova"]
    monkeypatch.setattr("nas.analysis.importance.MAX_VALUES", 10)
    shallow = importance(study).shares["fanova"]
    assert shallow != deep
    assert shallow == pytest.approx(deep, abs=0.1)


def test_too_few_trials(tmp_path: Path) -> None:
    study, _ = search_fake(tmp_path, n_trials=3, pruner="none")
    with pytest.raises(NasError, match="3 complete trials; expected at least 5"):
        importance(study)


def test_no_trials(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="0 complete trials"):
        importance(open_fake_study(tmp_path))


def test_trials_that_all_score_alike(tmp_path: Path) -> None:
    engine = FakeEngine(lambda spec, fold, seed, epoch: 0.5)
    study, _ = search_fake(tmp_path, engine, n_trials=6, pruner="none")
    with pytest.raises(NasError, match="nothing differs"):
        importance(study)


def test_the_figure_has_a_bar_for_each_share(study) -> None:
    found = importance(study)
    figure = importance_figure(found)
    bars = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in figure.data}
    assert bars["fANOVA"]["depth"] == found.shares["fanova"]["depth"]
    assert bars["fANOVA"]["momentum"] is None
    assert bars["PED-ANOVA"]["momentum"] == found.shares["ped_anova"]["momentum"]


def test_the_figure_as_a_picture(study, tmp_path: Path, need) -> None:
    import shutil

    chrome = any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    need(chrome, "Kaleido needs Chrome or Chromium")
    save_figure(importance_figure(importance(study)), tmp_path / "i.png")
    assert (tmp_path / "i.png").read_bytes().startswith(b"\x89PNG")
