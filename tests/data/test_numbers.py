"""Numbers in other spellings: read as what they mean, or told in one line."""

import json

import numpy as np
import pandas as pd
import pytest
from sources import N, fails, frame, load, write

from nas.data import Column, Schema, load_features
from nas.data.numerals import parse_cell


@pytest.mark.parametrize(
    "text, dot, comma",
    [
        ("0,53", None, 0.53),
        ("0.53", 0.53, None),
        ("1,234", 1234, 1.234),
        ("1.234", 1.234, 1234),
        ("0,535", None, 0.535),  # no thousands after a zero
        ("1.234,5", None, 1234.5),
        ("1,234,567.8", 1234567.8, None),
        ("1,23,456", 123456, None),  # India
        ("1 234", 1234, 1234),
        ("1\u00a0234,5", None, 1234.5),
        ("1\u202f234.5", 1234.5, None),
        ("1\u2009234", 1234, 1234),
        ("1'234.50", 1234.5, None),
        ("1’234", 1234, 1234),
        ("\u22125,5", None, -5.5),
        ("–7", -7, -7),
        ("+3", 3, 3),
        ("(1,234.5)", -1234.5, None),
        ("$5.5", 5.5, None),
        ("-$5", -5, -5),
        ("$ -5", -5, -5),
        ("5 €", 5, 5),
        ("EUR 1.000,50", None, 1000.5),
        ("CHF 1'000.-", None, None),
        ("12.5%", 0.125, None),
        ("45,5 %", None, 0.455),
        ("1.5e-3", 0.0015, None),
        (",5", None, 0.5),
        ("5.", 5, None),
    ],
)
def test_cells(text, dot, comma):
    cell = parse_cell(text)
    if dot is comma is None:
        assert cell is None
        return
    for read, expected in ((cell.dot, dot), (cell.comma, comma)):
        assert np.isnan(read) if expected is None else read == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "abc", "A1", "1.2.3", "10.0.0.1", "1,2,3", "2024-05-03", "12:30", "3+", "5 kg"),
        *("+49 170 123 456", "555-1234", "(555) 123-4567", "1-2", "--5", "(-5)", "$5€", "0x1F"),
        *("12,34,5", "1.23.456", "1 23", "١", "1_000", "(5", "5)", "."),
    ],
)
def test_cells_that_are_no_numbers(text):
    assert parse_cell(text) is None


def spelled(folder, cells, target=None, separator=";", name="data.csv"):
    table = frame(b=cells) if target is None else frame(b=cells, y=target)
    path = folder / name
    table.to_csv(path, index=False, sep=separator)
    return path


SPELLINGS = {  # of k * 1000.25 as a cell, and what is said
    "decimal commas": lambda k: f"{k * 1000.25:.2f}".replace(".", ","),
    "thousands marks": lambda k: f"{k * 1000.25:,.2f}",
    "decimal commas and thousands marks": lambda k: f"{k * 1000.25:,.2f}".translate(
        str.maketrans(",.", ".,")
    ),
    "thousands marks ": lambda k: f"{k * 1000.25:,.2f}".replace(",", "\u202f"),
    "thousands marks and amounts in $": lambda k: f"${k * 1000.25:,.2f}",
    "amounts in EUR": lambda k: f"{k * 1000.25:.2f} €",
    "amounts in CHF": lambda k: f"CHF {k * 1000.25:.2f}",
    "percent": lambda k: f"{k * 100025:.0f}%",
    "parentheses for negative numbers": lambda k: f"({k * 1000.25})" if k % 2 else str(k * 1000.25),
    "signs of print": lambda k: f"\u2212{k * 1000.25}",
}
SIGNS = {
    "parentheses for negative numbers": [(-1.0) ** k for k in range(N)],
    "signs of print": [-1.0] * N,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("separator", [",", ";"])
def test_features_and_what_is_said(tmp_path, spelling, separator):
    cells = [SPELLINGS[spelling](k) for k in range(N)]
    path = spelled(tmp_path, cells, separator=separator)
    dataset = load(path, target="y")
    expected = np.arange(N) * 1000.25 * SIGNS.get(spelling, 1)
    assert dataset.features[:, 1].tolist() == pytest.approx(expected)
    assert dataset.features[:, 0].tolist() == [k / 10 for k in range(N)]
    (note,) = dataset.notes
    assert note.startswith(f"column 'b' read as numbers: {spelling.strip()} (such as '")

    schema = Schema.from_dict(json.loads(json.dumps(dataset.schema.to_dict())))
    plain = frame(b=expected)
    for source in (
        path,
        write(tmp_path, plain, "plain.csv"),
        write(tmp_path, plain, "plain.parquet"),
    ):
        assert np.allclose(load_features(str(source), schema), dataset.features)


@pytest.mark.parametrize("spelling", [s for s in SPELLINGS if "signs" not in s])
def test_targets(tmp_path, spelling):
    path = spelled(tmp_path, 1, [SPELLINGS[spelling](k) for k in range(N)])
    dataset = load(path, target="y")
    assert dataset.task == "regression"
    expected = np.arange(N) * 1000.25 * SIGNS.get(spelling, 1)
    assert dataset.y.tolist() == pytest.approx(expected)
    assert f"column 'y' read as numbers: {spelling.strip()}" in dataset.notes[0]


def test_one_file_has_one_decimal_mark(tmp_path):
    thousands = [f"{k % 9 + 1}.{k:03d}" for k in range(N)]
    plain = write(tmp_path, frame(b=thousands))
    assert load(plain, target="y").notes == ()  # the other column has decimal points
    doubtful = write(tmp_path, frame(a=range(N), b=thousands), "doubtful.csv")
    dataset = load(doubtful, target="y")
    assert dataset.features[1, 1] == 2.001
    assert dataset.notes == ("column 'b' read as numbers: decimal points (such as '1.000')",)
    # Beside decimal commas the point stands between thousands.
    table = frame(a=[f"0,{k}" for k in range(N)], b=thousands)
    path = tmp_path / "data.csv"
    table.to_csv(path, index=False, sep=";")
    dataset = load(path, target="y")
    assert dataset.features[1].tolist() == [0.1, 2001]
    assert dataset.schema.marks == ",."


def test_what_can_be_read_in_two_ways_is_read_in_one(tmp_path):
    table = frame(a=range(N), b=[f"{k % 9 + 1},{k:03d}" for k in range(N)])
    for separator, value in ((",", 2001), (";", 2.001)):
        table.to_csv(tmp_path / "data.csv", index=False, sep=separator)
        assert load(tmp_path / "data.csv", target="y").features[1, 1] == value
    # The other way round with points, where semicolons separate the cells.
    table = frame(a=range(N), b=[f"{k % 9 + 1}.{k:03d}" for k in range(N)])
    for separator, value in ((",", 2.001), (";", 2001)):
        table.to_csv(tmp_path / "data.csv", index=False, sep=separator)
        assert load(tmp_path / "data.csv", target="y").features[1, 1] == value
    # As decimals, the points beside smaller whole numbers would not all have three digits.
    for mark in (".", ","):
        table = frame(a=range(N), b=[f"{37 * k:,}".replace(",", mark) for k in range(N)])
        table.to_csv(tmp_path / "data.csv", index=False, sep=";")
        dataset = load(tmp_path / "data.csv", target="y")
        assert dataset.features[:, 1].tolist() == [37 * k for k in range(N)]
        assert "thousands marks" in dataset.notes[0]


@pytest.mark.parametrize("marks, value", [(".", None), (".,", 1234), (",", 1.234), (",.", 1.234)])
def test_training_settles_rows_to_predict_for(tmp_path, marks, value):
    schema = Schema((Column("b", "numeric"),), (1,), marks=marks)
    path = write(tmp_path, 'b\n"1,234"\n"2,345"\n')
    if value is None:
        fails(
            lambda: load_features(str(path), schema), ": b", "'1,234', which may be 1.234 or 1234"
        )
    else:
        assert load_features(str(path), schema)[0, 0] == value


@pytest.mark.parametrize("marks, value", [(".", 1.234), (",", 1.234), (",.", None)])
def test_a_point_that_may_stand_between_thousands(tmp_path, marks, value):
    schema = Schema((Column("b", "numeric"),), (1,), marks=marks)
    path = write(tmp_path, "b\n1.234\n")
    if value is not None or marks != ",.":
        assert load_features(str(path), schema)[0, 0] == value
    path = write(tmp_path, "b,c\n1.234,0.5\n")  # the file has decimal points
    assert load_features(str(path), schema)[0, 0] == 1.234


@pytest.mark.parametrize(
    "cells, received",
    [
        (["1,5", "1.5"], "got '1.5' and '1,5'"),
        (["$5", "€6"], "got '$5' and '€6'"),
        (["5%", "6"], "got '5%' and '6'"),
    ],
)
def test_two_spellings_in_a_column(tmp_path, cells, received):
    path = spelled(tmp_path, [cells[k % 2] for k in range(N)])
    fails(lambda: load(path, target="y"), "data.csv: b", received, "one ", "--categorical b")


def test_other_units_in_rows_to_predict_for(tmp_path):
    dataset = load(spelled(tmp_path, [f"${k}" for k in range(N)]), target="y")
    path = write(tmp_path, "a,b\n1,€5\n", "new.csv")
    fails(lambda: load_features(str(path), dataset.schema), "new.csv: b", "'€5'", "numbers in '$'")
    plain = load(write(tmp_path, frame(b=np.arange(N) / N)), target="y")
    path = write(tmp_path, "a,b\n1,5%\n", "new.csv")
    fails(lambda: load_features(str(path), plain.schema), ": b", "'5%'", "without a unit")


def test_shares_and_percent_in_rows_to_predict_for(tmp_path):
    dataset = load(spelled(tmp_path, [f"{k}%" for k in range(N)]), target="y")
    path = write(tmp_path, "a,b\n1,0.15\n", "new.csv")
    assert load_features(str(path), dataset.schema)[0, 1] == 0.15
    path = write(tmp_path, "a,b\n1,15\n", "new.csv")
    fails(
        lambda: load_features(str(path), dataset.schema), ": b", "got 15 without", "shares", "15%"
    )


@pytest.mark.parametrize(
    "cells",
    [
        [f"A{k % 3}" for k in range(N)],
        [f"192.168.100.{100 + k % 5}" for k in range(N)],
        [f"1.{k % 5}.10" for k in range(N)],
        [f"555 {100 + k % 9} 456" for k in range(N)],
        [f"+49 170 {100 + k % 9} 456" for k in range(N)],
        [f"({k % 4})" for k in range(N)],
        [f"{k % 3}-{k % 3 + 1}" for k in range(N)],
    ],
)
def test_codes_stay_categories(tmp_path, cells):
    dataset = load(spelled(tmp_path, cells), target="y")
    assert dataset.features["b"].tolist() == cells
    assert dataset.notes == ()


def test_codes_among_numbers_stay_numbers(tmp_path):
    cells = [f"{k:03d}" for k in range(N)]
    dataset = load(spelled(tmp_path, cells), target="y")
    assert dataset.features[:, 1].tolist() == list(range(N))
    assert dataset.notes == ()


@pytest.mark.parametrize(
    "text",
    [
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?", "#n/a", ""),
    ],
)
def test_words_for_missing(tmp_path, text):
    cells = [text if k % 6 == 0 else str(k + 0.5) for k in range(N)]
    dataset = load(spelled(tmp_path, cells), target="y")
    assert np.isnan(dataset.features[:, 1]).tolist() == [k % 6 == 0 for k in range(N)]


@pytest.mark.parametrize("word", ["-", ".", "missing", "unknown", "a b", "x,y"])
def test_other_words_among_numbers(tmp_path, word):
    cells = [word if k % 6 == 0 else str(k + 0.5) for k in range(N)]
    path = spelled(tmp_path, cells)
    quoted = {"-": "--missing=-", "a b": "--missing 'a b'", "x,y": "--missing '\"x,y\"'"}
    fix = quoted.get(word, f"--missing {word}")
    fails(lambda: load(path, target="y"), ": b, row 1", f"'{word}'", "a number", fix)
    fails(lambda: load(path, target="y"), fix="--categorical b")
    dataset = load(path, target="y", missing=(word.upper(),))
    assert np.isnan(dataset.features[:, 1]).tolist() == [k % 6 == 0 for k in range(N)]
    new = write(tmp_path, f'a,b\n1,"{word}"\n', "new.csv")
    assert np.isnan(load_features(str(new), dataset.schema)[0, 1])
    assert load(path, target="y", categorical=("b",)).features["b"][0] == word


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_numbers_for_missing(tmp_path, name):
    values = [-9 if k % 6 == 0 else k for k in range(N)]
    path = write(tmp_path, frame(b=values, c=np.array(values) * 1.0), name)
    features = load(path, target="y", missing=("-9",)).features
    assert (np.isnan(features[:, 1:]).sum(axis=0) == sum(k % 6 == 0 for k in range(N))).all()


def test_words_of_the_user_are_missing_in_categories_too(tmp_path):
    path = spelled(tmp_path, ["u", "unknown"] * (N // 2))
    assert load(path, target="y").features["b"][1] == "unknown"
    assert load(path, target="y", missing=("unknown",)).features["b"][1] == ""


def test_categories_that_are_nearly_numbers_are_told(tmp_path):
    dataset = load(spelled(tmp_path, [("0", "1", "2", "3+")[k % 4] for k in range(N)]), target="y")
    assert dataset.notes == ("column 'b' is categories, as it holds '3+' beside numbers",)
    dataset = load(spelled(tmp_path, [f"{k % 30} kg" for k in range(N)]), target="y")
    assert dataset.notes == (
        "column 'b' is categories, as its numbers have 'kg' behind them, such as '0 kg'",
    )
    dataset = load(spelled(tmp_path, [f"{k} kg" for k in range(N)]), target="y")
    assert dataset.dropped["b"].endswith("as its numbers have 'kg' behind them, such as '0 kg'")


def test_truth_values_for_a_model_of_numbers(tmp_path):
    path = write(tmp_path, frame(b=[True, False] * (N // 2)), "data.parquet")
    dataset = load(path, target="y")
    new = write(tmp_path, "a,b\n1,True\n2,false\n", "new.csv")
    assert load_features(str(new), dataset.schema)[:, 1].tolist() == [1, 0]


def test_an_earlier_schema_is_read(tmp_path):
    card = {"columns": [{"name": "b", "kind": "numeric"}], "row_shape": [1]}
    assert Schema.from_dict(card) == Schema((Column("b", "numeric"),), (1,))


@pytest.mark.parametrize(
    "name, target", [("abalone", "rings"), ("adult", "income"), ("california_housing", None)]
)
def test_real_sets_in_ten_spellings(tmp_path, data_dir, name, target):
    target = target or "median_house_value"
    # From row 400 on some amounts in adult are below 1000, which shows what the points are.
    table = pd.read_csv(
        data_dir / f"{name}.csv",
        skiprows=range(1, 400),
        nrows=300,
        keep_default_na=False,
        na_values=[""],
    )
    plain = load(write(tmp_path, table, "plain.csv"), target=target)
    numeric = [c for c in table if pd.api.types.is_numeric_dtype(table[c])]

    def rewritten(cell):
        columns = {c: ["" if pd.isna(v) else cell(v) for v in table[c]] for c in numeric}
        return table.assign(**columns)

    def german(text):
        return text.translate(str.maketrans(",.", ".,"))

    def padded(cell):
        return f"  {cell} " if pd.notna(cell) else "  "

    versions = {
        "semicolons": (rewritten(lambda v: german(f"{v}")), {"sep": ";"}),
        "decimal commas": (rewritten(lambda v: german(f"{v}")), {}),
        "thousands": (rewritten(lambda v: f"{v:,}"), {}),
        "German thousands": (rewritten(lambda v: german(f"{v:,}")), {"sep": "\t"}),
        "currency": (rewritten(lambda v: f"${v:,}"), {"sep": "|"}),
        "not available": (table, {"na_rep": "#N/A"}),
        "Latin-1": (table.rename(columns={}), {"encoding": "latin-1"}),
        "UTF-16": (table, {"encoding": "utf-16"}),
        "padded": (table.map(padded), {}),
        "Windows": (table, {"lineterminator": "\r\n", "quoting": 1}),
    }
    for label, (version, how) in versions.items():
        path = tmp_path / "version.csv"
        version.to_csv(path, index=False, **how)
        dataset = load(path, target=target)
        assert dataset.schema == plain.schema, label
        assert dataset.hash() == plain.hash(), label
        shuffled = version[list(version)[::-1]].assign(more="x")
        shuffled.drop(columns=target).to_csv(path, index=False, **how)
        features = load_features(str(path), dataset.schema)
        for column, values in plain.features.items():
            assert pd.Series(features[column]).equals(pd.Series(values)), (label, column)
    table.convert_dtypes().to_parquet(tmp_path / "nulls.parquet")
    assert load(tmp_path / "nulls.parquet", target=target).hash() == plain.hash()
