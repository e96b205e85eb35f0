"""Columns of text: their terms, and the same numbers from NumPy and from Keras."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from nas.data import Column, Dataset, Schema
from nas.encoding import Encoder, fit_encoder
from nas.encoding.keras_form import build_preprocessor, model_inputs
from nas.encoding.texts import LEAST_TEXTS, MOST_TERMS, NO_TERM, fit_terms, terms_of

TEXTS = [
    "The quick, brown fox.",
    "the QUICK brown dog!",
    "A slow\tbrown dog; isn't it?",
    "Quick  answers (mostly)\nwrong",
    "",
    "...",
    "Über den brown DOG",
]


def column(texts: list[str]) -> np.ndarray:
    return np.array(texts, dtype=object)


def of(texts: np.ndarray) -> Dataset:
    features = {"review": texts, "x": np.arange(len(texts)) * 0.5}
    schema = Schema((Column("review", "text"), Column("x", "numeric")), (2,))
    return Dataset("d", features, np.arange(len(texts)) % 2, schema, "binary", (0, 1))


def by_keras(encoder: Encoder, features: Any) -> np.ndarray:
    model = build_preprocessor(encoder)
    return np.asarray(model.predict(model_inputs(features), verbose=0))


def test_words_and_pairs_in_lower_case_without_punctuation() -> None:
    assert terms_of(" Isn't it\tGOOD? ") == ["isnt", "it", "good", "isnt it", "it good"]
    assert terms_of("Ünder Straße") == ["Ünder", "straße", "Ünder straße"]  # as TensorFlow has it
    assert terms_of("... !") == []


def test_the_terms_are_those_of_several_texts() -> None:
    terms = fit_terms(column(TEXTS))
    assert set(terms.texts) == {"quick", "brown", "dog", "brown dog"}
    assert LEAST_TEXTS == 3


def test_the_weights_are_those_of_scikit_learn() -> None:
    texts = column(TEXTS * 3)
    terms = fit_terms(texts)
    vectorizer = TfidfVectorizer(analyzer=terms_of, vocabulary=terms.texts, lowercase=False)
    expected = vectorizer.fit_transform(texts).toarray()
    found = terms.encode(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[4].any()  # no text
    np.testing.assert_allclose(np.linalg.norm(found[0]), 1.0, rtol=1e-6)


def test_a_column_has_at_most_so_many_terms() -> None:
    texts = [" ".join(f"w{k + j}" for j in range(5)) for k in range(0, 3000)]
    assert len(fit_terms(column(texts)).texts) == MOST_TERMS


@pytest.mark.parametrize("texts", [["one two", "three"], ["", "..."]])
def test_texts_that_share_nothing(texts: list[str]) -> None:
    terms = fit_terms(column(texts))
    assert len(terms.texts) == (4 if texts[0] else 1)
    dataset = of(column(texts))
    encoder = fit_encoder(dataset, np.arange(2))
    assert encoder.n_columns == 1 + len(terms.texts)
    assert texts[0] or terms.texts == (NO_TERM,)
    np.testing.assert_allclose(
        by_keras(encoder, dataset.features), encoder.encode(dataset.features), atol=1e-6
    )


def test_a_fold_learns_terms_from_its_training_rows_alone() -> None:
    dataset = of(column([*TEXTS, "zebra zebra", "zebra", "a zebra"]))
    encoder = fit_encoder(dataset, np.arange(len(TEXTS)))
    assert "zebra" not in encoder.statistics.texts["review"].texts


def test_keras_gives_the_same_numbers() -> None:
    dataset = of(column([*TEXTS, "new words and a brown dog", "brown\xa0dog", "quick\x0bdog"]))
    encoder = fit_encoder(dataset, np.arange(len(TEXTS)))
    encoder = replace(encoder, n_columns=encoder.n_columns + 2)
    encoder = Encoder.from_dict(encoder.to_dict())
    found = by_keras(encoder, dataset.features)
    expected = encoder.encode(dataset.features)
    assert expected[:, 1:-2].any(axis=1).tolist() == [True] * 4 + [False] * 2 + [True] * 2 + [
        False,
        True,
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.long
@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.lists(st.text(st.sampled_from("aAbB éÉ.,-'_\t\n\u2003\u00a0ß0"), max_size=12), min_size=2)
)
def test_any_texts_are_encoded_alike(texts: list[str]) -> None:
    dataset = of(column(texts))
    encoder = fit_encoder(dataset, np.arange(len(texts)))
    found = by_keras(encoder, dataset.features)
    np.testing.assert_allclose(found, encoder.encode(dataset.features), atol=1e-6)


def test_the_saved_form_loads_with_keras_alone(tmp_path: Any) -> None:
    dataset = of(column(TEXTS))
    encoder = fit_encoder(dataset, np.arange(len(TEXTS)))
    path = tmp_path / "form.keras"
    build_preprocessor(encoder).save(path)
    loaded = keras.models.load_model(path)
    found = np.asarray(loaded.predict(model_inputs(dataset.features), verbose=0))
    np.testing.assert_allclose(found, encoder.encode(dataset.features), atol=1e-6)
