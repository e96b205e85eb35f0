import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nas import NASClassifier, NASRegressor

SMALL = {"depth": 1, "width": 16, "activation": "relu", "learning_rate": 0.03, "epochs": 40}
QUICK = {"trials": 1, "folds": 2, "workers": 1, "device": "cpu", "confirm": 0}

# Checks of scikit-learn that cannot hold, and why.
NOT_HELD = {
    "check_sample_weight_equivalence_on_dense_data": "a row twice may lie in two folds and batches",
    "check_methods_subset_invariance": "32-bit products differ in the last digit with the rows",
    "check_methods_sample_order_invariance": "likewise with their order",
}


@pytest.mark.long
@parametrize_with_checks(
    [NASClassifier(SMALL, **QUICK), NASRegressor(SMALL, **QUICK)],
    expected_failed_checks=lambda _estimator: NOT_HELD,
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    frame = load_iris(as_frame=True).frame
    labels = np.array(["setosa", "versicolor", "virginica"], dtype=object)
    return frame.drop(columns="target"), labels[frame["target"]]


@pytest.fixture(scope="module")
def fitted(iris):
    return NASClassifier(SMALL, **QUICK).fit(*iris)


def test_a_classifier_predicts_the_labels_that_it_was_given(fitted, iris):
    X, y = iris
    assert list(fitted.classes_) == ["setosa", "versicolor", "virginica"]
    assert fitted.score(X, y) > 0.9
    assert list(fitted.feature_names_in_) == list(X.columns)
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (150, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert fitted.study_.best.value == fitted.best_score_


def test_a_pickle_predicts_the_same_without_the_study(fitted, iris):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(iris[0]), fitted.predict_proba(iris[0]))
    assert not hasattr(again, "study_")
    assert clone(again).space == SMALL


@pytest.mark.long
def test_a_regressor_works_in_a_pipeline_under_cross_validation():
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3))
    y = 100 + 5 * x[:, 0] - 3 * x[:, 1] ** 2
    model = make_pipeline(StandardScaler(), NASRegressor(SMALL, **QUICK))
    assert cross_val_score(model, x, y, cv=2).min() > 0.6


@pytest.mark.long
def test_categories_missing_values_and_weights_are_taken():
    random = np.random.default_rng(0)
    colour = random.choice(["red", "green"], 200)
    size = random.normal(size=200)
    size[::10] = np.nan
    X = pd.DataFrame({"colour": pd.Categorical(colour), "size": size})
    y = (colour == "red") & ~(size < -1)
    weights = np.ones(200)
    model = NASClassifier(SMALL, **QUICK, random_state=np.random.RandomState(3))
    assert model.fit(X, y, weights).score(X, y) > 0.9
    assert model.classes_.dtype == bool and model.predict(X).dtype == bool


@pytest.mark.long
def test_an_ensemble_answers_together(iris):
    model = NASClassifier(SMALL, **QUICK, ensemble="folds").fit(*iris)
    assert len([layer for layer in model.model_.layers if "member" in layer.name]) == 2
    assert model.score(*iris) > 0.9


def test_what_cannot_be_learned_from_is_a_value_error(iris):
    X, _ = iris
    with pytest.raises(ValueError, match="at least two classes"):
        NASClassifier(SMALL, **QUICK).fit(X, np.zeros(150))
    with pytest.raises(ValueError, match="width"):
        NASRegressor({"width": "wide"}, **QUICK).fit(X, np.arange(150.0))
