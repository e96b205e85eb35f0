"""Searches within outer folds: what each sees, and what they are worth together."""

from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.model_selection import KFold

import nas
from nas.errors import NasError

pytestmark = pytest.mark.long

SPACE = {"depth": 1, "width": [4, 8], "learning_rate": 0.03, "epochs": 3}
X, Y = load_wine(return_X_y=True)


def measure(folder: Path, **options: Any) -> nas.Nested:
    given = {"trials": 2, "pruner": "none", "workers": 1, "folds": 2, "outer": 3, **options}
    return nas.nested(
        SPACE, X, Y, quiet=True, name="wine", storage=f"sqlite:///{folder}/nas.db", **given
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> nas.Nested:
    return measure(tmp_path_factory.mktemp("nested"))


@pytest.mark.long
def test_each_row_tests_one_search_and_trains_none_of_it(found: nas.Nested) -> None:
    splits = [study.known().split for study in found.studies]
    assert len(splits) == 3
    np.testing.assert_array_equal(np.sort(np.concatenate([s.test for s in splits])), range(len(Y)))
    for split in splits:
        assert len(split.folds) == 2
        for fold in split.folds:
            rows = np.concatenate([fold.train, fold.val])
            assert not set(rows) & set(split.test)
            assert len(rows) == len(split.development)
        assert np.bincount(Y[split.test], minlength=3).min() > 0  # stratified


def test_the_scores_are_those_of_the_studies(found: nas.Nested) -> None:
    assert [study.name for study in found.studies] == ["wine-1", "wine-2", "wine-3"]
    assert found.values == tuple(study.best.test_value for study in found.studies)
    assert found.value == pytest.approx(fmean(found.values))
    assert found.optimism == pytest.approx(found.searched - found.value)
    assert found.stderr is not None and found.stderr > 0.0
    assert "3 searches" in repr(found)


def test_each_search_confirms_its_winner_as_any_search(tmp_path: Path) -> None:
    found = measure(tmp_path, confirm=2, outer=2)
    for study in found.studies:
        assert len(study.record.confirmed) == 2
        assert study.best.confirmed is not None
    assert found.searched == pytest.approx(fmean(s.best.confirmed or 0 for s in found.studies))


def test_outer_folds_leave_no_other_test(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="test_size: given for a nested search: outer folds test"):
        measure(tmp_path, test_size=0.2)
    with pytest.raises(NasError, match="test: given for a nested search: outer folds test"):
        measure(tmp_path, test=[1, 2])
    with pytest.raises(NasError, match="warm_start: given for a nested search: the other study"):
        measure(tmp_path, warm_start="other")
    with pytest.raises(NasError, match=r"folds: got .* within outer folds; expected a number"):
        measure(tmp_path, folds=KFold(3))
    with pytest.raises(NasError, match="outer: got 1; expected at least 2"):
        measure(tmp_path, outer=1)
