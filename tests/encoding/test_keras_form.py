"""The Keras form of an encoder, which goes into a saved model, gives the encoder's numbers."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest
from heads import TRAIN, VAL
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.choices import Scaling
from nas.data import Column, Dataset, Features, Schema, take_rows
from nas.data.date_values import useful_parts
from nas.encoding import fit_encoder
from nas.encoding.keras_form import build_preprocessor, ignore_input_names, model_inputs

PRECISION = 1e-6  # in units of a column's scale, or of the number where that is larger
N_TRAIN, N_ROWS = 10, 16


def by_keras(preprocessor: keras.Model, features: Features) -> np.ndarray:
    """The encoded rows by a direct call, which traces no program."""
    if not isinstance(features, Mapping):
        return np.asarray(preprocessor(keras.ops.convert_to_tensor(features, dtype="float32")))
    tensors = {
        name: keras.ops.convert_to_tensor(values[:, None], dtype=preprocessor.input[name].dtype)
        for name, values in features.items()
    }
    return np.asarray(preprocessor(tensors))


def assert_equal(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=PRECISION, atol=PRECISION)


def assert_forms_agree(dataset: Dataset, train: np.ndarray, padding: int = 0) -> None:
    """Both forms encode all rows alike, after learning from some of them."""
    fitted = fit_encoder(dataset, train)
    fitted = replace(fitted, n_columns=fitted.n_columns + padding)
    expected = fitted.encode(dataset.features)
    assert_equal(by_keras(build_preprocessor(fitted), dataset.features), expected)
    assert np.isfinite(expected).all()


def numbers_of(draw: Any) -> np.ndarray:
    """A column of numbers: constant or not, in any unit, with an offset."""
    whole = draw(st.lists(st.integers(-1000, 1000), min_size=N_ROWS, max_size=N_ROWS))
    values = np.array([whole[0]] * N_ROWS if draw(st.booleans()) else whole) / 7.0
    values += draw(st.sampled_from([0.0, 100.0]))
    values *= 10.0 ** draw(st.integers(-30, 26))
    return values


@st.composite
def tables(draw: Any) -> Dataset:
    """Columns of numbers and of any texts; some of the rows that do not teach hold new ones."""
    texts = st.text(max_size=4)
    some = [*draw(st.lists(texts, min_size=1, max_size=4)), "", "[unknown]", "[UNK]", " a"]
    features: dict[str, np.ndarray] = {}
    for number in range(draw(st.integers(0, 3))):
        values = numbers_of(draw)
        values[sorted(draw(st.sets(st.integers(0, N_ROWS - 1), max_size=6)))] = np.nan
        features[f"n{number}"] = values
    for number in range(draw(st.integers(1, 2))):
        known = draw(st.lists(st.sampled_from(some), min_size=N_TRAIN, max_size=N_TRAIN))
        others = draw(st.lists(texts | st.sampled_from(known), min_size=6, max_size=6))
        features[f"c{number}"] = np.array([*known, *others], dtype=object)
    columns = tuple(
        Column(name, "categorical" if values.dtype == object else "numeric")
        for name, values in features.items()
    )
    return of(features, Schema(columns, (len(columns),)), draw(st.sampled_from(get_args(Scaling))))


@st.composite
def arrays(draw: Any) -> Dataset:
    """Numbers with and without names, pixels of some types, sequences."""
    kind = draw(st.sampled_from(["names", "columns", "uint8", "int64", "float", "sequence"]))
    in_columns = kind in ("names", "columns")
    allowed = [scaling for scaling in get_args(Scaling) if in_columns or scaling != "quantile"]
    scaling = draw(st.sampled_from(allowed))
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    if in_columns:
        x = np.stack([numbers_of(draw) for _ in range(3)], axis=1)
        if kind == "names":
            x[generator.random(x.shape) < 0.2] = np.nan
            names = tuple(Column(f"n{k}", "numeric") for k in range(3))
            return of(x, Schema(names, (3,)), scaling)
        return of(x, Schema((), (3,)), scaling)
    if kind == "sequence":
        unit = 10.0 ** np.array([draw(st.integers(-30, 28)), 0, 5])
        x = generator.normal([0, 10, 100], size=(N_ROWS, 4, 3)) * unit
        return replace(of(x, Schema((), (4, 3)), scaling), scale_per_feature=True)
    x = generator.integers(0, 256, (N_ROWS, 4, 3)).astype(kind)
    if kind == "float":
        x = x * 10.0 ** draw(st.integers(-30, 27))
    return of(x * draw(st.integers(0, 1)), Schema((), (4, 3)), scaling)  # or black


def of(features: Any, schema: Schema, scaling: Any) -> Dataset:
    return Dataset("d", features, np.arange(N_ROWS) % 2, schema, "binary", (0, 1), scaling=scaling)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(tables(), st.integers(0, 3))
@pytest.mark.long
def test_tables_of_any_kind_are_encoded_alike(dataset: Dataset, padding: int) -> None:
    assert_forms_agree(dataset, np.arange(N_TRAIN), padding)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays(), st.integers(0, 3))
def test_arrays_of_any_kind_are_encoded_alike(dataset: Dataset, padding: int) -> None:
    assert_forms_agree(dataset, np.arange(N_TRAIN), padding)


def test_columns_without_any_number_are_encoded_alike(adult: Dataset) -> None:
    features = {**adult.features, "age": np.full(adult.n_rows, np.nan)}
    features["fnlwgt"] = np.where(np.arange(adult.n_rows) < len(TRAIN), np.nan, 1e30)
    assert_forms_agree(replace(adult, features=features), TRAIN)


@pytest.mark.parametrize("scaling", get_args(Scaling))
def test_dates_are_encoded_alike(scaling: Any) -> None:
    random = np.random.default_rng(0)
    days = np.round(19_000 + 900 * random.random(N_ROWS) ** 3, 3)
    days[[2, 12]] = np.nan
    parts = useful_parts(days)
    assert parts == ("days", "year", "week", "day")
    columns = (
        Column("when", "date", parts=parts, origin=19_000.0),
        Column("x", "numeric"),
        Column("time", "date", parts=("day",)),
    )
    features = {"when": days, "x": random.normal(size=N_ROWS), "time": random.random(N_ROWS)}
    dataset = of(features, Schema(columns, (3,)), scaling)
    assert dataset.schema.n_numbers == 10
    assert Schema.from_dict(dataset.schema.to_dict()) == dataset.schema
    assert_forms_agree(dataset, np.arange(N_TRAIN))


@pytest.mark.parametrize("scaling", get_args(Scaling))
def test_a_saved_form_gives_the_same_numbers(
    any_dataset: Dataset, scaling: Any, tmp_path: Path
) -> None:
    if scaling == "quantile" and not any_dataset.schema.is_table:
        pytest.skip("images share one scale")
    fitted = fit_encoder(replace(any_dataset, scaling=scaling), TRAIN)
    build_preprocessor(fitted).save(tmp_path / "model.keras")
    saved = keras.models.load_model(tmp_path / "model.keras")
    rows = take_rows(any_dataset.features, VAL)
    assert_equal(by_keras(saved, rows), fitted.encode(rows))


def test_predict_gives_the_same_numbers(any_dataset: Dataset) -> None:
    fitted = fit_encoder(any_dataset, TRAIN)
    rows = take_rows(any_dataset.features, VAL)
    predicted = build_preprocessor(fitted).predict(model_inputs(rows), verbose=0)
    assert_equal(predicted, fitted.encode(rows))


# Names of columns

OPERATIONS = (
    *("cast", "where", "isnan", "get_item", "subtract", "multiply", "one_hot", "pad", "squeeze"),
    *("concatenate", "numbers", "lookup_1", "encoder", "preprocessing"),
)
WORDS = (
    *("km/h", "/", "", " ", "Größe ☃", "age", "Age", "a.b:c", "it's", '"', "column_1", "dense_1"),
    *("features", "nas_winner"),
)


def renamed(dataset: Dataset, words: Any) -> Dataset:
    columns = dataset.schema.columns
    assert len(words) >= len(columns)
    named = {column.name: word for column, word in zip(columns, words, strict=False)}
    return replace(
        dataset,
        features={named[name]: values for name, values in dataset.features.items()},
        schema=replace(
            dataset.schema,
            columns=tuple(replace(column, name=named[column.name]) for column in columns),
        ),
    )


@pytest.mark.parametrize("words", [OPERATIONS, WORDS], ids=["operations", "words"])
def test_columns_may_have_any_names(adult: Dataset, words: Any, tmp_path: Path) -> None:
    dataset = renamed(adult, words)
    # Filling up is an operation of its own.
    expected = replace(fit_encoder(adult, TRAIN), n_columns=200).encode(adult.features, VAL)
    fitted = replace(fit_encoder(dataset, TRAIN), n_columns=200)
    np.testing.assert_array_equal(fitted.encode(dataset.features, VAL), expected)
    build_preprocessor(fitted).save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        ignore_input_names()
        saved = keras.models.load_model(tmp_path / "model.keras")
    assert set(saved.input) == set(dataset.features)
    rows = model_inputs(take_rows(dataset.features, VAL))
    assert_equal(saved.predict(rows, verbose=0), expected)


@pytest.mark.parametrize(
    "column", ["hours per week", "a b.c: é", "x" * 200, "numbers", "standardize", "encoded"]
)
def test_one_column_may_have_any_name(adult: Dataset, column: str) -> None:
    others = [c.name for c in adult.schema.columns]
    dataset = renamed(adult, [column if name == "age" else name for name in others])
    assert_forms_agree(dataset, TRAIN)


def test_only_unusual_names_make_keras_warn(adult: Dataset, tmp_path: Path) -> None:
    build_preprocessor(fit_encoder(adult, TRAIN)).save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keras.models.load_model(tmp_path / "model.keras")
