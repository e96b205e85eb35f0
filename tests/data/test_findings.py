"""What is said of the data before training: planted faults are found, real data has none."""

import shlex
from dataclasses import replace
from time import process_time

import numpy as np
import pandas as pd
import pytest

from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset, take_rows
from nas.data.findings import find

CLEAN = ("digits", "iris", "wine", "breast_cancer", "diabetes")


def findings(dataset, metric=None, **split):
    metric = metric or ("accuracy" if dataset.classes else "r2")
    return {
        f.code: f.text for f in find(dataset, split_dataset(dataset, SplitOptions(**split)), metric)
    }


@pytest.fixture
def table(tmp_path):
    """A way to read a table of the given columns; the target is `y`."""

    def read(columns, **options):
        path = tmp_path / "table.csv"
        pd.DataFrame(columns).to_csv(path, index=False)
        return load_dataset(DataOptions(str(path), target="y", **options))

    return read


def features(n, seed=0, n_columns=4):
    """Columns of noise, and a class and a number that depend on them."""
    generator = np.random.default_rng(seed)
    columns = {f"x{k}": generator.normal(size=n).round(4) for k in range(n_columns)}
    value = columns["x0"] + 0.5 * generator.normal(size=n)
    return columns, np.where(value > 0, "yes", "no"), value.round(4)


def walk(n, seed):
    return np.cumsum(np.random.default_rng(seed).normal(size=n)).round(4)


def shuffled(dataset, seed):
    rows = np.random.default_rng(seed).permutation(dataset.n_rows)
    return replace(
        dataset, features=take_rows(dataset.features, rows), y=dataset.y[rows], test_rows=None
    )


def sorted_by_target(dataset):
    rows = np.argsort(dataset.y, kind="stable")
    return replace(
        dataset, features=take_rows(dataset.features, rows), y=dataset.y[rows], test_rows=None
    )


# False alarms


@pytest.mark.parametrize("name", CLEAN)
def test_clean_data_has_none_in_any_order(name):
    dataset = load_dataset(DataOptions(name))
    assert findings(dataset) == {}
    for seed in range(5):
        mixed = shuffled(dataset, seed)
        assert findings(mixed, seed=seed) == {}
        assert findings(sorted_by_target(mixed), seed=seed) == {}


@pytest.mark.parametrize("classes", [("0", "1"), ("0", "2"), ("1", "2")])
def test_two_kinds_of_iris_have_none(classes):
    """A single petal tells setosa from the others, and is no copy of the target."""
    assert findings(load_dataset(DataOptions("iris", classes=classes))) == {}


@pytest.mark.parametrize(
    "name, target", [("adult", "income"), ("abalone", "rings"),
                     ("california_housing", "median_house_value")],
)  # fmt: skip
def test_real_tables_have_none_and_that_is_quickly_known(data_dir, name, target):
    dataset = load_dataset(DataOptions(str(data_dir / f"{name}.csv"), target=target))
    split = split_dataset(dataset, SplitOptions())
    began = process_time()
    assert find(dataset, split, "accuracy" if dataset.classes else "r2") == ()
    assert process_time() - began < 5  # a tenth of that, unless the machine is busy
    assert findings(shuffled(dataset, 0)) == {}


def test_mnist_has_none(data_dir):
    assert findings(load_dataset(DataOptions(str(data_dir / "mnist.npz")))) == {}


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_none(table, seed):
    columns, label, value = features(400, seed)
    assert findings(table({**columns, "y": label})) == {}
    assert findings(table({**columns, "y": value})) == {}


@pytest.mark.parametrize("seed", range(5))
def test_rows_sorted_by_a_feature_have_no_order_of_their_own(table, seed):
    columns, label, value = features(400, seed)
    columns["like_x0"] = columns["x0"] + np.random.default_rng(seed).normal(size=400).round(4) / 5
    columns["x0"] = columns["x0"].round(1)  # with equal ones, as ages have
    rows = np.argsort(columns["x0"], kind="stable")
    ordered = {name: column[rows] for name, column in columns.items()}
    assert findings(table({**ordered, "y": label[rows]})) == {}
    assert findings(table({**ordered, "y": value[rows]})) == {}


@pytest.mark.parametrize("seed", range(5))
def test_a_forecast_from_the_rows_before_is_no_leak(table, seed):
    """Neighbours are alike, but any other row at that level foretells as well."""
    y = walk(1003, seed)
    lags = {f"lag{k}": y[3 - k : -k] for k in (1, 2, 3)}
    assert "order" not in findings(table({**lags, "y": y[3:]}))


# Order


@pytest.mark.parametrize("n", [300, 2000])
@pytest.mark.parametrize("seed", range(3))
def test_random_walks_have_an_order(table, n, seed):
    columns, _, _ = features(n, seed)
    for k in range(3):
        columns[f"walk{k}"] = walk(n, 100 * seed + k)
    found = findings(table({**columns, "y": walk(n, 100 * seed + 50)}))
    assert list(found) == ["order"]
    assert "neighbouring rows are alike" in found["order"] and "--groups" in found["order"]


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_one_class_have_an_order(table, seed):
    """As in a recording of activities."""
    generator = np.random.default_rng(seed)
    y = np.repeat(generator.integers(0, 4, 50), 20)
    columns = {f"sensor{k}": walk(len(y), 100 * seed + k) for k in range(3)}
    dataset = table({**columns, "y": [f"activity {k}" for k in y]})
    assert "order" in findings(dataset)
    assert "order" not in findings(shuffled(dataset, seed))


def test_several_rows_of_one_patient_have_an_order_until_they_are_a_group(table):
    generator = np.random.default_rng(0)
    patient = np.repeat(np.arange(80), 5)
    own = generator.normal(size=(80, 6))[patient] + 0.3 * generator.normal(size=(400, 6))
    columns = {f"x{k}": own[:, k].round(4) for k in range(6)}
    columns |= {"patient": [f"p{k}" for k in patient], "y": generator.integers(0, 2, 80)[patient]}
    assert "order" in findings(table(columns, drop=("patient",)))
    assert "order" not in findings(table(columns, groups="patient"))


# Numbers of rows


@pytest.mark.parametrize(
    "number",
    [
        np.arange(200),
        1000 + 5 * np.arange(200),
        np.arange(200)[::-1],
        np.cumsum(np.random.default_rng(0).random(200)),  # times
        np.random.default_rng(0).permutation(300)[:200],  # ids, some of which are gone
    ],
)
def test_a_running_number_is_named(table, number):
    columns, label, _ = features(200)
    found = findings(table({"row id": number, **columns, "y": label}))
    assert list(found) == ["running_number"]
    assert "'row id'" in found["running_number"]
    assert "--drop 'row id'" in found["running_number"]
    option = shlex.split(found["running_number"].split("leave it out with ")[1].rstrip("."))
    assert findings(table({"row id": number, **columns, "y": label}, drop=(option[1],))) == {}


def test_a_running_number_of_sorted_rows_gives_the_target_away(table):
    columns, label, _ = features(200)
    found = findings(table({"id": np.arange(200), **columns, "y": np.sort(label)}))
    assert list(found) == ["running_number"]
    assert "gives the target away" in found["running_number"]


def test_the_only_column_is_left_alone(table):
    x = np.linspace(0, 10, 200)
    assert "running_number" not in findings(table({"x": x, "y": np.sin(x)}))
    assert "target_copy" not in findings(table({"x": x, "y": 2 * x}))


def test_columns_of_arrays_are_numbered(tmp_path):
    columns, label, _ = features(200)
    x = np.column_stack([columns["x0"], np.arange(200), columns["x1"]])
    np.savez(tmp_path / "a.npz", x=x, y=label)
    found = findings(load_dataset(DataOptions(str(tmp_path / "a.npz"))))
    assert "column '2'" in found["running_number"] and "out of x" in found["running_number"]
    assert "--drop" not in found["running_number"]


# Copies of the target

_, LABEL, VALUE = features(300)
CODE = (LABEL == "yes").astype(int)
NOISE = np.random.default_rng(3).normal(size=300)


@pytest.mark.parametrize(
    "y, copy",
    [
        (LABEL, LABEL),
        (LABEL, np.where(LABEL == "yes", "paid back", "lost")),
        (LABEL, CODE),
        (LABEL, 100 - 7 * CODE),
        (LABEL, CODE + 0.02 * NOISE),
        (LABEL, np.where(LABEL == "yes", [f"y{k % 9}" for k in range(300)], "none of them")),
        (LABEL, np.where(LABEL == "yes", NOISE, np.nan)),  # known of one class alone
        (VALUE, VALUE),
        (VALUE, 1.8 * VALUE + 32),
        (VALUE, np.exp(VALUE)),
        (VALUE, VALUE + 0.001 * NOISE),
        (VALUE.round(0), [f"class {v:.0f}" for v in VALUE.round(0) + 0.0]),
    ],
)
def test_a_copy_of_the_target_is_named(table, y, copy):
    columns, _, _ = features(300)
    found = findings(
        table({**columns, "its copy": copy, "y": y}, task=None if y is LABEL else "regression")
    )
    assert list(found) == ["target_copy"]
    assert "'its copy'" in found["target_copy"] and "--drop 'its copy'" in found["target_copy"]


def test_several_copies_are_dropped_at_once(table):
    columns, _, _ = features(300)
    given = {**columns, "-a": CODE, "b,c": LABEL, "y": LABEL}
    text = findings(table(given))["target_copy"]
    assert "columns '-a', 'b,c' tell" in text
    assert findings(table(given, drop=("-a", "b,c"))) == {}
    from nas.wording import split_names

    (option,) = shlex.split(text.split("leave them out with ")[1].rstrip("."))
    assert split_names(option.removeprefix("--drop=")) == ("-a", "b,c")


def test_a_good_feature_is_no_copy(table):
    columns, _, _ = features(300)
    wrong = np.where(np.arange(300) % 20 == 0, 1 - CODE, CODE)  # right of 95 %
    assert findings(table({**columns, "score": wrong, "y": LABEL})) == {}
    assert findings(table({**columns, "near": VALUE + 0.1 * NOISE, "y": VALUE})) == {}


def test_a_few_rare_rows_are_no_copy_by_chance(table):
    columns, _, _ = features(100)
    y = np.where(np.arange(100) < 10, "rare", "common")
    colour = np.where(np.arange(100) < 10, "red", [f"c{k % 40}" for k in range(100)])
    assert "target_copy" in findings(table({**columns, "colour": colour, "y": y}), folds=2)
    code = [f"c{k % 48}" if k >= 6 else f"r{k}" for k in range(100)]
    assert "target_copy" not in findings(table({**columns, "code": code, "y": y}), folds=2)


# Rows that are there twice


def test_rows_in_two_parts_are_counted(table):
    columns, label, _ = features(400)
    rows = np.concatenate([np.arange(400), np.arange(50)])
    doubled = {name: column[rows] for name, column in {**columns, "y": label}.items()}
    dataset = table(doubled)
    split = split_dataset(dataset, SplitOptions())
    part = np.full(450, -1)
    for k, fold in enumerate(split.folds):
        part[fold.val] = k
    apart = [k for k in range(50) if part[k] != part[400 + k]]
    in_test = sum(part[k] == -1 for pair in apart for k in (pair, 400 + pair))
    text = findings(dataset)["duplicates"]
    assert f"{2 * len(apart)} of 450 rows stand in another fold or in the test part too" in text
    assert f"{in_test} of them in the test part" in text
    assert "test part" not in findings(dataset, test_size=0.0)["duplicates"]
    for options in ({"repeats": 3}, {"folds": 1}):
        assert "duplicates" in findings(dataset, **options)


def test_the_same_features_with_another_target_are_no_duplicates(table):
    columns, label, _ = features(200)
    doubled = {name: np.concatenate([column, column]) for name, column in columns.items()}
    other = np.where(label == "yes", "no", "yes")
    assert "duplicates" not in findings(table({**doubled, "y": np.concatenate([label, other])}))


def test_duplicates_within_a_group_are_in_one_part(table):
    columns, label, _ = features(200)
    number = [f"g{k}" for k in range(200)]
    given = {**columns, "g": number, "y": label}
    doubled = {name: np.concatenate([column, column]) for name, column in given.items()}
    assert "duplicates" in findings(table(doubled, drop=("g",)))
    assert "duplicates" not in findings(table(doubled, groups="g"))


def test_categories_and_missing_values_are_compared_too(table):
    columns, label, _ = features(200, n_columns=1)
    columns["colour"] = np.where(np.arange(200) % 3, "red", "blue")
    columns["x0"][::4] = np.nan
    columns["zero"] = np.zeros(200)
    columns["x1"] = np.random.default_rng(5).normal(size=200)
    doubled = {name: np.concatenate([column, column]) for name, column in columns.items()}
    doubled["zero"] = np.where(np.arange(400) < 200, 0.0, -0.0)
    found = findings(table({**doubled, "y": np.concatenate([label, label])}))
    assert "of 400 rows stand" in found["duplicates"]


# Classes and groups


@pytest.mark.parametrize("share, said", [(0.8, False), (0.9, True), (0.975, True)])
def test_a_common_class_is_said_before_a_search_by_accuracy(table, share, said):
    columns, _, _ = features(1000)
    y = np.where(np.arange(1000) < 1000 * share, "ok", "fraud")
    dataset = table({**columns, "y": np.random.default_rng(0).permutation(y)})
    found = findings(dataset)
    assert list(found) == ["imbalanced"] * said
    if said:
        text = found["imbalanced"]
        assert f"{100 * share:.1f} % of the rows are 'ok'" in text
        assert "--metric balanced_accuracy" in text
    for metric in ("balanced_accuracy", "f1", "auc", "log_loss"):
        assert findings(dataset, metric) == {}


def test_one_group_of_most_rows_is_said(table):
    columns, label, _ = features(300)
    group = np.where(np.arange(300) < 180, "all", [f"g{k}" for k in range(300)])
    found = findings(table({**columns, "g": group, "y": label}, groups="g"), test_size=0.0)
    assert list(found) == ["large_group"] and "60 %" in found["large_group"]


def test_constant_and_equal_columns_are_named(table):
    columns, y, _ = features(200)
    colour = np.random.default_rng(1).choice(["red", "green", "blue"], 200)
    german = pd.Series(colour).map({"red": "rot", "green": "gruen", "blue": "blau"})
    other = np.roll(colour, 1)
    more = {"one": 1, "word": "same", "copy": columns["x0"], "colour": colour, "farbe": german}
    found = findings(table(columns | more | {"shifted": other, "y": y}))
    assert list(found) == ["constant", "same_columns"]
    assert found["constant"].startswith("columns 'one', 'word' have the same value")
    assert "'copy' the same as 'x0', 'farbe' the same as 'colour': one" in found["same_columns"]
    assert "--drop copy,farbe" in found["same_columns"]
