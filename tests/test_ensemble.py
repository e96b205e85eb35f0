"""Ensembles: which members are chosen, what they score together, and the model that is saved."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine

import nas
from nas.encoding import fit_encoder
from nas.ensemble import best_trials, train_members, vote
from nas.errors import NasError
from nas.export import export_ensemble
from nas.metrics import get_metric
from nas.model_card import default_model_path, is_winner, read_card
from nas.saved_model import load_model, predict
from nas.whole_model import whole_model

SPACE = {
    "depth": [0, 1],
    "width": 4,
    "learning_rate": nas.Range(0.01, 0.1, log=True),
    "scaling": ["standard", "quantile"],
    "epochs": 3,
}
R2 = get_metric("r2", "regression")
ACCURACY = get_metric("accuracy", "multiclass")


@pytest.fixture(scope="module")
def adult(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> nas.Study:
    """Categories that not every fold's training rows hold, and missing numbers."""
    folder = tmp_path_factory.mktemp("adult")
    frame = pd.read_csv(data_dir / "adult.csv", nrows=300, skipinitialspace=True)
    frame.loc[::20, "age"] = None
    frame.to_csv(folder / "adult.csv", index=False)
    return searched(folder, str(folder / "adult.csv"), "income")


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> nas.Study:
    return searched(tmp_path_factory.mktemp("diabetes"), "diabetes", None)


def searched(folder: Path, data: str, target: str | None) -> nas.Study:
    return nas.search(
        SPACE, data, target, trials=4, folds=3, pruner="none", workers=1, quiet=True, seed=3,
        name="tiny", storage=f"sqlite:///{folder}/nas.db",
    )  # fmt: skip


# Choosing


def test_members_that_correct_each_other_are_chosen() -> None:
    generator = np.random.default_rng(0)
    y = generator.normal(size=300)
    noise = generator.normal(size=300)
    best, opposite, useless = y + noise, y - 1.1 * noise, generator.normal(size=300)
    folds = [slice(k, None, 3) for k in range(3)]
    predictions = [[member[k] for k in folds] for member in (best, opposite, useless)]
    rows = [np.arange(300)[k] for k in folds]
    found = vote(predictions, [y[k] for k in folds], rows, R2)
    assert found.shares[0] > 0.3 and found.shares[1] > 0.3 and found.shares[2] == 0.0
    assert sum(found.shares) == pytest.approx(1.0)
    alone = [R2.score(y[k], best[k]) for k in folds]
    assert min(found.fold_values) > max(alone)


def test_the_best_alone_stays_alone() -> None:
    y = np.arange(90.0)
    worse = y[::-1].copy()
    rows = np.arange(90)
    members = [[y[:45], y[45:]], [worse[:45], worse[45:]]]
    found = vote(members, [y[:45], y[45:]], [rows[:45], rows[45:]], R2)
    assert found.shares == (1.0, 0.0)
    assert found.fold_values == (1.0, 1.0)


def test_a_fold_is_scored_with_shares_that_the_others_chose() -> None:
    # Each member is right on one fold only: what the others choose is always wrong here.
    y = np.arange(40.0)
    right, wrong = y[:20], -y[:20]
    rows = [np.arange(20), np.arange(20, 40)]
    found = vote([[right, wrong], [wrong, right]], [y[:20], y[:20]], rows, R2)
    assert max(found.fold_values) < 0.0


def test_chance_is_no_better_than_chance() -> None:
    # Of twenty guessers the best vote looks good on the rows that chose it, and is not.
    generator = np.random.default_rng(1)
    y = [generator.integers(0, 2, 40) for _ in range(5)]
    members = [[generator.dirichlet([1, 1], 40) for _ in range(5)] for _ in range(20)]
    rows = list(np.arange(200).reshape(5, 40))
    values = [vote(members, y, rows, ACCURACY).fold_values]
    for _ in range(19):  # other truths for the same guesses
        y = [generator.integers(0, 2, 40) for _ in range(5)]
        values.append(vote(members, y, rows, ACCURACY).fold_values)
    assert abs(np.mean(values) - 0.5) < 0.02  # of 4,000 rows; chosen on themselves 0.6


def test_rows_of_another_repeat_do_not_choose_either() -> None:
    # Each member knows one fold's rows by heart, in both repeats.
    y = np.arange(40.0)
    right, wrong = y[:20], -y[:20]
    rows = [np.arange(20), np.arange(20, 40)] * 2
    found = vote([[right, wrong] * 2, [wrong, right] * 2], [y[:20]] * 4, rows, R2)
    assert max(found.fold_values) < 0.0


def test_what_has_no_score_is_left_to_the_winner_alone() -> None:
    one_class = [np.zeros(4, int), np.zeros(4, int)]
    guesses = [[np.full((4, 2), 0.5)] * 2] * 3
    found = vote(
        guesses, one_class, [np.arange(4), np.arange(4, 8)], get_metric("auc", "multiclass")
    )
    assert found.shares == (1.0, 0.0, 0.0)


def test_a_single_fold_is_halved() -> None:
    y = np.arange(30.0)
    found = vote([[y + 1.0], [y - 1.0]], [y], [np.arange(30)], R2)
    assert found.shares == (0.5, 0.5)
    assert found.fold_values == (1.0, 1.0)


@pytest.mark.long
def test_trials_of_the_same_network_count_once(diabetes: nas.Study) -> None:
    record = diabetes.record
    chosen = best_trials(replace(record, trials=record.trials * 2), 20)
    assert [trial.number for trial, _ in chosen] == [
        t.number for t in sorted(record.complete, key=lambda t: -(t.value or 0.0))
    ]
    assert best_trials(record, 2) == chosen[:2]


@pytest.mark.long
def test_raced_trials_that_ended_the_first_folds_are_ranked_by_those(diabetes: nas.Study) -> None:
    record = diabetes.record
    first, *others = record.complete
    assert first.spec is not None
    other = replace(first.spec, training=replace(first.spec.training, learning_rate=0.5))
    ended = replace(
        first, number=90, outcome="pruned", value=None, spec=other, epoch_values={3: 0.9}
    )
    stopped = replace(ended, number=91, epoch_values={2: 0.9})
    raced = replace(record, trials=(first, *others, ended, stopped))
    numbers = [trial.number for trial, _ in best_trials(raced, 20, raced=True)]
    assert numbers[:2] == [raced.best().number, 90]
    assert 91 not in numbers and len(numbers) == 5
    assert {90, 91}.isdisjoint(t.number for t, _ in best_trials(raced, 20))


@pytest.mark.long
def test_too_few_trials_are_trained_from_other_seeds(diabetes: nas.Study) -> None:
    members, _ = train_members(diabetes.record, diabetes.known(), 5, workers=1)
    assert [m.trial.number for m in members[:1]] == [m.trial.number for m in members[4:]]
    once, again = members[0].whole, members[4].whole
    assert once is not None and again is not None
    assert not np.array_equal(once[0], again[0])


# Saving


def answers(study: nas.Study, members: Any, shares: Any, rows: Any) -> np.ndarray:
    """The weighted mean of what the members answer, each by itself."""
    known = study.known()
    total: Any = 0.0
    for member, share in zip(members, shares, strict=True):
        if not share:
            continue
        parts = [(known.split.development, member.whole)]
        if member.whole is None:
            trained = [fold.train for fold in known.split.folds]
            parts = list(zip(trained, member.by_fold, strict=True))
        for train, weights in parts:
            dataset = replace(known.dataset, scaling=member.spec.architecture.scaling)
            encoder = replace(fit_encoder(dataset, train), n_columns=member.spec.problem.n_inputs)
            alone = whole_model(dataset, encoder, member.spec, weights)
            total = total + share / len(parts) * predict(alone, rows, dataset.task)
    return np.asarray(total)


@pytest.mark.parametrize("kind", ["folds", 4])
@pytest.mark.parametrize("name", ["adult", "diabetes"])
@pytest.mark.long
def test_the_saved_model_is_the_vote_of_its_members(
    name: str, kind: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    study: nas.Study = request.getfixturevalue(name)
    known, record = study.known(), study.record
    members, folds = train_members(record, known, kind, workers=1)
    path = tmp_path / "ensemble.keras"
    export_ensemble(record, known.dataset, known.split, members, folds, kind, path, 3)
    model, card = load_model(path)  # which finds that card and weights belong together
    told = card["ensemble"]
    shares = {member["trial"]: member["share"] for member in told["members"]}
    expected = answers(
        study, members, [shares.get(m.trial.number, 0.0) for m in members], known.dataset.features
    )
    found = predict(model, known.dataset.features, known.dataset.task)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    test = known.split.test
    assert card["test_value"] == pytest.approx(
        known.metric.score(known.dataset.y[test], expected[test]), abs=1e-3
    )
    assert told["n_networks"] == (3 if kind == "folds" else len(shares))
    assert len(card["fold_values"]) == 3
    assert card["value"] == pytest.approx(np.mean(card["fold_values"]))
    assert told["single"]["test_value"] == study.best.test_value
    assert told["single"]["value"] == study.best.value
    assert not is_winner(path, record)


def test_networks_of_the_folds_are_those_that_the_folds_trained(diabetes: nas.Study) -> None:
    # A fold's score is that of the network which has not seen its rows.
    known = diabetes.known()
    (member,), folds = train_members(diabetes.record, known, "folds", workers=1)
    for fold, given, weights in zip(folds, known.split.folds, member.by_fold, strict=True):
        dataset = replace(known.dataset, scaling=member.spec.architecture.scaling)
        alone = whole_model(dataset, fit_encoder(dataset, given.train), member.spec, weights)
        values = predict(alone, known.dataset.features[given.val], "regression")  # type: ignore[index]
        assert R2.score(fold.y_val, values) == pytest.approx(
            R2.score(known.dataset.y[given.val], values)
        )
        assert np.isfinite(values).all()


@pytest.mark.long
def test_an_ensemble_in_one_call(diabetes: nas.Study, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = diabetes.export(
        tmp_path / "e.keras", ensemble=2, workers=2, progress=lambda *n: told.append(n)
    )
    assert told == [(1, 2), (2, 2)]
    features = load_diabetes().data
    assert keras.models.load_model(path).predict(features, verbose=0).shape == (442, 1)
    card = read_card(path)
    assert card is not None and card["ensemble"]["kind"] == 2
    # The study's winner is a single network as before.
    assert diabetes.best.test_value == card["ensemble"]["single"]["test_value"]


@pytest.mark.long
def test_networks_of_members_vote_like_others(tmp_path: Path) -> None:
    space = {"depth": 1, "width": 8, "members": [2, 3], "embedding": "piecewise", "epochs": 4}
    study = nas.search(
        space, "wine", trials=2, pruner="none", folds=3, workers=1, quiet=True,
        name="wine", storage=f"sqlite:///{tmp_path}/nas.db",
    )  # fmt: skip
    path = study.export(tmp_path / "e.keras", ensemble=2, calibrate=True, workers=1)
    found = keras.models.load_model(path).predict(load_wine().data, verbose=0)
    assert found.shape == (178, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    card = read_card(path)
    assert card is not None and card["ensemble"]["kind"] == 2


@pytest.mark.parametrize("kind", ["fold", 1, 21, 0, True, 2.5])
def test_what_is_no_ensemble_is_told(diabetes: nas.Study, kind: Any, tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r"folds, or a number of trials from 2 to 20"):
        diabetes.export(tmp_path / "e.keras", ensemble=kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [None, 3])
@pytest.mark.long
def test_calibrated_probabilities_have_the_classes_of_the_others(
    adult: nas.Study, kind: int | None, tmp_path: Path
) -> None:
    path = adult.export(tmp_path / "c.keras", ensemble=kind, calibrate=True, workers=1)
    card = read_card(path)
    assert card is not None
    told = card["calibration"]
    assert ("ensemble" in card) == (kind is not None)
    assert told["temperature"] > 0.0
    assert {"folds", "folds_calibrated", "test", "test_calibrated"} <= told.keys()
    assert told["test"] != told["test_calibrated"]
    if kind:  # a temperature changes no answer
        plain = read_card(adult.export(tmp_path / "p.keras", ensemble=kind, workers=1))
        assert plain is not None and plain["calibration"] is None
        assert plain["test_value"] == card["test_value"]


@pytest.mark.long
def test_networks_of_folds_are_calibrated_each(adult: nas.Study, tmp_path: Path) -> None:
    path = adult.export(tmp_path / "f.keras", ensemble="folds", calibrate=True, workers=1)
    model, card = load_model(path)
    found = predict(model, adult.known().dataset.features, "binary")
    assert card["calibration"]["temperature"] > 0.0 and card["ensemble"]["n_networks"] == 3
    assert np.isfinite(found).all() and found.min() >= 0.0 and found.max() <= 1.0


def test_the_place_of_the_winner_is_kept_for_it(diabetes: nas.Study) -> None:
    path = default_model_path(diabetes.storage, diabetes.name)
    with pytest.raises(NasError, match="is where the study keeps its winner"):
        diabetes.export(path, ensemble=2)


def test_a_regression_has_nothing_to_calibrate(diabetes: nas.Study, tmp_path: Path) -> None:
    with pytest.raises(NasError, match="given for a regression"):
        diabetes.export(tmp_path / "c.keras", calibrate=True)
