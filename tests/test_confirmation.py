"""The best trials on fresh folds: what is trained, who wins then, and how honest the score is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import nas
from nas.analysis.winner import confirmed
from nas.data import SplitOptions, fresh_folds, load_dataset, split_dataset
from nas.options import DataOptions
from nas.study.record import StudyRecord, study_record

SPACE = {"depth": 1, "width": [4, 8], "learning_rate": nas.Range(0.003, 0.1), "epochs": 3}


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> nas.Study:
    return search(tmp_path_factory.mktemp("wine"), confirm=3)


def search(folder: Path, **options: Any) -> nas.Study:
    given: dict[str, Any] = {
        "trials": 5, "pruner": "none", "workers": 1, "folds": 3, "name": "wine", **options,
    }  # fmt: skip
    return nas.search(
        SPACE, "wine", quiet=True, seed=5, storage=f"sqlite:///{folder}/nas.db", **given
    )


# Training


def test_the_best_are_trained_again_and_the_winner_is_chosen_among_them(wine: nas.Study) -> None:
    record = wine.record
    by_search = sorted(record.complete, key=lambda trial: -(trial.value or 0.0))
    assert set(record.confirmed) == {trial.number for trial in by_search[:3]}
    means = {number: np.mean(values) for number, values in record.confirmed.items()}
    assert means[wine.best.number] == max(means.values())
    assert wine.best.confirmed == pytest.approx(max(means.values()))
    # Other rows, other seeds: other scores.
    mine = record.best()
    assert record.confirmed[mine.number] != mine.fold_values
    assert len(record.confirmed[mine.number]) == 3
    interval = wine.best.confirmed_interval
    assert interval is not None and interval[0] < interval[1] <= 1.0  # no accuracy is beyond
    assert wine.best.test_value == record.winner["test_value"]
    assert record.winner["trial"] == mine.number


@pytest.mark.long
def test_a_search_that_goes_on_confirms_what_is_new_and_repeats_nothing(tmp_path: Path) -> None:
    first = search(tmp_path, confirm=2).record.confirmed
    again = search(tmp_path, confirm=2).record.confirmed
    assert again == first
    more = search(tmp_path, confirm=2, trials=12).record
    assert first.items() <= more.confirmed.items()
    best = max(more.complete, key=lambda trial: trial.value or 0.0)
    assert best.number in more.confirmed


def test_few_trials_are_not_confirmed_unless_asked(tmp_path: Path) -> None:
    study = search(tmp_path)
    assert study.record.confirmed == {} and study.best.confirmed is None


def test_a_winner_without_confirmation_is_the_best_of_all(wine: nas.Study) -> None:
    # As when a search that was confirmed went on, and was stopped.
    record = wine.record
    new = replace(record.complete[0], number=99, value=1.5)
    assert replace(record, trials=(*record.trials, new)).best() is new
    assert confirmed(replace(record, trials=(*record.trials, new))) is None


def test_what_diverged_when_it_was_trained_again_does_not_win(wine: nas.Study) -> None:
    record, nan = wine.record, float("nan")
    mine = record.best().number
    some = replace(record, confirmed={**record.confirmed, mine: (nan, 0.5, 0.5)})
    assert some.best().number in record.confirmed.keys() - {mine}
    none = replace(record, confirmed=dict.fromkeys(record.confirmed, (nan, nan, nan)))
    assert none.best().value == max(trial.value or 0.0 for trial in record.complete)
    assert confirmed(none) is None


@pytest.mark.long
def test_folds_of_ones_own_are_confirmed_only_on_request(tmp_path: Path) -> None:
    rows = np.arange(178)
    folds = [(rows[rows % 3 != k], rows[rows % 3 == k]) for k in range(3)]
    usual = search(tmp_path, folds=folds, trials=21, name="usual")
    assert usual.record.confirmed == {}
    asked = search(tmp_path, folds=folds, confirm=2, name="asked")
    found = confirmed(asked.record)
    assert found is not None and not found.on_fresh_folds and found.interval is None
    assert len(asked.record.confirmed) == 2


def test_many_trials_are_confirmed_by_default(tmp_path: Path) -> None:
    assert len(search(tmp_path, trials=20).record.confirmed) == 5


def test_one_fold_tells_no_optimism(wine: nas.Study) -> None:
    record = wine.record
    alone = {number: values[:1] for number, values in record.confirmed.items()}
    found = confirmed(replace(record, confirmed=alone))
    assert found is not None and found.optimism_left is None and found.interval is None


# Folds


def test_fresh_folds_are_others_of_the_same_rows() -> None:
    dataset = load_dataset(DataOptions("iris"))
    options = SplitOptions(folds=5, repeats=2, seed=3)
    split = split_dataset(dataset, options)
    fresh = fresh_folds(dataset, split, options)
    assert len(fresh) == len(split.folds)
    for old, new in zip(split.folds, fresh, strict=True):
        assert not np.array_equal(old.val, new.val)
        rows = np.sort(np.concatenate([new.train, new.val]))
        np.testing.assert_array_equal(rows, np.sort(split.development))
        counts = np.bincount(dataset.y[new.val])
        assert counts.max() - counts.min() <= 1  # stratified as before


def test_folds_of_ones_own_stay() -> None:
    dataset = load_dataset(DataOptions("iris"))
    split = split_dataset(dataset, SplitOptions())
    assert fresh_folds(dataset, split, SplitOptions(given="packed")) is split.folds


def test_as_many_groups_as_folds_have_no_other_folds() -> None:
    dataset = replace(load_dataset(DataOptions("diabetes")), groups=np.arange(442) % 5)
    options = SplitOptions(folds=5, test_size=0.0)
    split = split_dataset(dataset, options)
    assert fresh_folds(dataset, split, options) is split.folds


# Honesty


def simulated(seed: int, n_trials: int = 200, n_folds: int = 5) -> StudyRecord:
    """A search on labels that are random: every trial guesses, and its scores are luck.

    300 rows, so that accuracy has the spread of a binomial share of 60 rows a fold.
    """
    generator = np.random.default_rng(seed)
    study = optuna.create_study(direction="maximize")
    draws = generator.binomial(60, 0.5, (n_trials, n_folds)) / 60
    for values in draws:
        study.add_trial(
            optuna.trial.create_trial(
                value=float(values.mean()), user_attrs={"fold_values": list(map(float, values))}
            )
        )
    best = np.argsort(-draws.mean(axis=1), kind="stable")[:5]
    fresh = generator.binomial(60, 0.5, (5, n_folds)) / 60
    split = {"folds": n_folds, "repeats": 1, "val_size": 0.2, "test_size": 0.2, "seed": 0}
    attributes = {
        "space": "network: mlp", "data": {"source": "coins"}, "data_hash": "", "task": "binary",
        "split": split, "split_hash": "", "metric": "accuracy", "versions": {}, "nas_version": "1",
        **{f"confirmed:{n}": list(map(float, v)) for n, v in zip(best, fresh, strict=True)},
    }  # fmt: skip
    for key, value in attributes.items():
        study.set_user_attr(key, value)
    return study_record(study)


@pytest.fixture(scope="module")
def coins() -> list[StudyRecord]:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = [simulated(seed) for seed in range(100)]
    optuna.logging.set_verbosity(level)
    return found


def test_the_confirmed_interval_of_a_guess_holds_chance(coins: list[StudyRecord]) -> None:
    held, searched = 0, 0
    for record in coins:
        found, best = confirmed(record), record.best()
        assert found is not None and found.interval is not None
        held += found.interval[0] <= 0.5 <= found.interval[1]
        by_search = max(record.complete, key=lambda trial: trial.value or 0.0)
        assert best.stderr is not None and by_search.value is not None
        searched += abs(by_search.value - 0.5) <= 1.96 * (by_search.stderr or 0.0)
    assert held >= 90
    assert searched < 80  # which is why it is confirmed


def test_the_optimism_is_told_right(coins: list[StudyRecord]) -> None:
    found = [told for record in coins if (told := confirmed(record)) is not None]
    # What is left, once taken off, leaves chance: the mean of 100 has a deviation of 0.003.
    honest = [told.value - (told.optimism_left or 0.0) for told in found]
    assert abs(np.mean(honest) - 0.5) < 0.01
    assert np.mean([told.value for told in found]) > 0.52
    assert np.mean([told.optimism for told in found]) > 0.02
