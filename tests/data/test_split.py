"""Splits: every row in its place, classes in their shares, groups in one piece."""

import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nas.data import (
    DataOptions,
    Dataset,
    Fold,
    Schema,
    Split,
    SplitOptions,
    load_dataset,
    split_dataset,
)
from nas.errors import NasError


def make(y, groups=None, test_rows=None, task=None):
    y = np.asarray(y)
    if task is None:
        task = "binary" if len(np.unique(y)) == 2 else "multiclass"
    return Dataset(
        name="mine",
        features=np.zeros((len(y), 1)),
        y=y.astype(float) if task == "regression" else y,
        schema=Schema((), (1,)),
        task=task,
        classes=() if task == "regression" else tuple("abcdefgh"[: int(y.max()) + 1]),
        groups=None if groups is None else np.asarray(groups),
        test_rows=None if test_rows is None else np.asarray(test_rows),
    )


def check(dataset, split, options):
    """What holds for every split."""
    rows = list(range(dataset.n_rows))
    assert sorted([*split.development, *split.test]) == rows
    assert len(split.folds) == options.folds * options.repeats
    for fold in split.folds:
        assert len(fold.train)
        assert len(fold.val)
        assert sorted([*fold.train, *fold.val]) == sorted(split.development)
    if options.folds > 1:
        for repeat in range(options.repeats):
            folds = split.folds[repeat * options.folds : (repeat + 1) * options.folds]
            validated = np.concatenate([fold.val for fold in folds])
            assert sorted(validated) == sorted(split.development)
    if dataset.groups is not None:
        parts = [(split.development, split.test)]
        parts += [(fold.train, fold.val) for fold in split.folds]
        for one, other in parts:
            assert not set(dataset.groups[one]) & set(dataset.groups[other])


OPTIONS = st.builds(
    SplitOptions,
    folds=st.integers(1, 5),
    repeats=st.integers(1, 3),
    val_size=st.sampled_from([0.1, 0.25, 0.5]),
    test_size=st.sampled_from([0.0, 0.1, 0.2, 0.5]),
    seed=st.integers(0, 1000),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(12, 40), min_size=2, max_size=4), OPTIONS)
def test_classes_keep_their_shares(counts, options):
    y = np.repeat(np.arange(len(counts)), counts)
    # Else a single validation part has no room for all classes, which is refused.
    share = options.val_size * (1.0 - options.test_size)
    assume(options.folds > 1 or int(share * len(y)) >= len(counts))
    np.random.default_rng(0).shuffle(y)
    dataset = make(y)
    split = split_dataset(dataset, options)
    check(dataset, split, options)
    assert len(split.test) == np.ceil(options.test_size * len(y))
    for part in (split.test, *(part for fold in split.folds for part in (fold.train, fold.val))):
        for label, count in enumerate(counts):
            expected = len(part) * count / len(y)
            # A row of rounding for each cut: test part, then folds.
            assert abs(np.sum(y[part] == label) - expected) <= 2


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 60), OPTIONS)
def test_numbers_are_split_evenly(n, options):
    dataset = make(np.linspace(0, 1, n), task="regression")
    split = split_dataset(dataset, options)
    check(dataset, split, options)
    if options.folds > 1:
        sizes = [len(fold.val) for fold in split.folds]
        assert max(sizes) - min(sizes) <= 1


@settings(max_examples=60, deadline=None)
@given(
    st.integers(12, 20), st.integers(0, 1000), st.sampled_from(["binary", "regression"]), OPTIONS
)
def test_groups_stay_together(n_groups, seed, task, options):
    generator = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(n_groups), generator.integers(0, n_groups, 100)])
    dataset = make(np.arange(len(groups)) % 2, generator.permutation(groups), task=task)
    split = split_dataset(dataset, options)
    check(dataset, split, options)
    assert bool(len(split.test)) == (options.test_size > 0)


def test_groups_stay_together_and_classes_keep_their_shares():
    groups = np.repeat(np.arange(40), 5)
    y = (groups % 4 == 0).astype(int)
    split = split_dataset(make(y, groups), SplitOptions(folds=4, test_size=0))
    assert [y[fold.val].mean() for fold in split.folds] == pytest.approx([0.25] * 4, abs=0.06)


@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("groups", [None, np.arange(60) // 3])
def test_a_given_test_part_is_kept(folds, task, groups):
    given_rows = np.arange(48, 60)
    dataset = make(np.arange(60) % 2, groups, given_rows, task)
    options = SplitOptions(folds=folds, test_size=0.5)
    split = split_dataset(dataset, options)
    check(dataset, split, options)
    assert split.test.tolist() == given_rows.tolist()


def test_a_given_test_part_is_left_alone_without_a_test():
    dataset = make(np.arange(60) % 2, test_rows=np.arange(50, 60))
    split = split_dataset(dataset, SplitOptions(folds=2, test_size=0))
    assert split.test.tolist() == []
    assert split.development.tolist() == list(range(50))


def test_no_test_part():
    dataset = make(np.arange(60) % 2)
    split = split_dataset(dataset, SplitOptions(test_size=0))
    assert split.test.tolist() == []
    assert split.development.tolist() == list(range(60))


@pytest.mark.parametrize("val_size, n_val", [(0.25, 20), (0.5, 40)])
def test_a_single_split_has_the_share_asked_for(val_size, n_val):
    dataset = make(np.arange(100) % 2)
    split = split_dataset(dataset, SplitOptions(folds=1, val_size=val_size))
    [fold] = split.folds
    assert (len(split.test), len(fold.val), len(fold.train)) == (20, n_val, 80 - n_val)


@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("groups", [None, np.arange(80) // 4])
def test_repeats_draw_anew(folds, task, groups):
    dataset = make(np.arange(80) % 2, groups, task=task)
    split = split_dataset(dataset, SplitOptions(folds=folds, repeats=3, val_size=0.3))
    rounds = {
        tuple(tuple(fold.val) for fold in split.folds[k * folds : (k + 1) * folds])
        for k in range(3)
    }
    assert len(rounds) == 3


@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("test_size", [0, 0.2])
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("groups", [None, np.arange(80) // 4])
def test_the_seed_decides(folds, test_size, task, groups):
    dataset = make(np.arange(80) % 2, groups, task=task)

    def draw(seed):
        options = SplitOptions(folds=folds, test_size=test_size, val_size=0.3, seed=seed)
        return split_dataset(dataset, options)

    assert draw(1).hash() == draw(1).hash()
    assert len({draw(seed).hash() for seed in range(5)}) == 5
    if test_size:
        assert len({tuple(draw(seed).test) for seed in range(5)}) == 5


def test_the_test_part_does_not_depend_on_the_folds():
    dataset = make(np.arange(80) % 2)
    tests = {
        tuple(split_dataset(dataset, SplitOptions(folds=folds, repeats=repeats)).test)
        for folds in (1, 2, 5)
        for repeats in (1, 2)
    }
    assert len(tests) == 1


# Hash


def rows(*numbers):
    return np.array(numbers, dtype=np.int64)


BASE = Split(rows(0, 1, 2), rows(3, 4), (Fold(rows(0, 1), rows(2)), Fold(rows(0, 2), rows(1))))


@pytest.mark.parametrize(
    "other",
    [
        Split(BASE.development, rows(3, 5), BASE.folds),
        Split(BASE.development, rows(4, 3), BASE.folds),
        Split(BASE.development, BASE.test, BASE.folds[:1]),
        Split(BASE.development, BASE.test, BASE.folds[::-1]),
        Split(BASE.development, BASE.test, (Fold(rows(0), rows(1, 2)), BASE.folds[1])),
        Split(BASE.development, BASE.test, (BASE.folds[0], Fold(rows(1), rows(0, 2)))),
    ],
)
def test_the_hash_tells_splits_apart(other):
    assert other.hash() != BASE.hash()


def test_the_hash_is_of_the_numbers_alone():
    same = Split(
        BASE.development.astype(np.int32),
        BASE.test.astype(np.int32),
        tuple(Fold(f.train.astype(np.int32), f.val.astype(np.int32)) for f in BASE.folds),
    )
    assert same.hash() == BASE.hash()


# Mistakes


@pytest.mark.parametrize(
    "dataset, options, where, received, expected",
    [
        # A class needs a row for each fold, and one for the test part.
        (make([0] * 20 + [1] * 5), {"folds": 5}, "mine", "class 'b' has 5 rows", "at least 6"),
        (
            make([0] * 20 + [1] * 4),
            {"folds": 5, "test_size": 0},
            "mine",
            "class 'b' has 4 rows",
            "at least 5",
        ),
        (make([0] * 20 + [1]), {"folds": 1}, "mine", "class 'b' has 1 row", "at least 2"),
        (
            make([0] * 20 + [1] * 20, test_rows=np.arange(18, 40)),
            {"folds": 3},
            "mine",
            "class 'b' has 0 rows",
            "at least 3",
        ),
        (
            make(np.linspace(0, 1, 10), task="regression"),
            {"folds": 5},
            "--folds",
            "got 5 for 8 rows",
            "at most 4",
        ),
        (
            make(np.arange(60) % 2, np.arange(60) % 4),
            {"folds": 5, "test_size": 0},
            "--groups",
            "4 groups for 5 folds",
            "at least one group a fold",
        ),
        (make(np.arange(60) % 2, np.zeros(60, int)), {}, "--groups", "one group only", "two"),
        (
            make(np.arange(60) % 2, np.arange(60) % 2, task="regression"),
            {"folds": 1},
            "--groups",
            "one group only",
            "two",
        ),
        (
            make(np.arange(8), task="regression"),
            {"folds": 1, "val_size": 0.95},
            "mine",
            "6 rows cannot be divided with a share of 0.95",
            "",
        ),
        (
            make(np.arange(60) % 2, np.arange(60) % 3, task="regression"),
            {"folds": 2, "test_size": 0.9},
            "",
            "cannot be divided",
            "",
        ),
        (
            make(np.arange(60) % 2, np.arange(60) % 6),
            {"folds": 2, "test_size": 1.5},
            "",
            "cannot be divided",
            "",
        ),
    ],
)
def test_what_cannot_be_split(dataset, options, where, received, expected):
    with pytest.raises(NasError) as caught:
        split_dataset(dataset, SplitOptions(**options))
    assert where in caught.value.where
    assert received in caught.value.received
    assert expected in caught.value.expected
    assert "\n" not in caught.value.on_command_line


@pytest.mark.parametrize(
    "dataset, options",
    [
        (make([0] * 20 + [1] * 6), {"folds": 5}),
        (make([0] * 20 + [1] * 5), {"folds": 5, "test_size": 0}),
        (make([0] * 20 + [1] * 2), {"folds": 1, "test_size": 0}),
        (make(np.linspace(0, 1, 10), task="regression"), {"folds": 4}),
        (make(np.arange(60) % 2, np.arange(60) // 12), {"folds": 5, "test_size": 0}),
    ],
)
def test_what_can_just_be_split(dataset, options):
    options = SplitOptions(**options)
    check(dataset, split_dataset(dataset, options), options)


# What is proposed works


def proposals(text):
    """The options that a message proposes, as a shell would take them apart."""
    words = shlex.split(
        re.sub(r",? or |[.,]? ?$", " ", text.split(". Use ")[1].split(", or more rows")[0])
    )
    return {
        word.split("=")[0]: word.split("=", 1)[1] if "=" in word else value
        for word, value in zip(words, [*words[1:], ""], strict=True)
        if word.startswith("--")
    }


@pytest.fixture
def table(tmp_path):
    """A way to read a table with so many rows of each label."""

    def read(counts, **options):
        rows = [f"{k},{label}" for label, n in counts.items() for k in range(n)]
        path = tmp_path / "table.csv"
        path.write_text("\n".join(["a,label", *rows]) + "\n", encoding="utf-8")
        return load_dataset(DataOptions(str(path), target="label", **options))

    return read


def test_all_rare_classes_are_named_at_once_with_the_classes_that_are_left(table):
    counts = {"<=50K": 30, "-1": 20, "two words": 15, "a": 1, "b": 2, "c": 1}
    with pytest.raises(NasError) as caught:
        split_dataset(table(counts), SplitOptions())
    line = caught.value.on_command_line
    assert "classes 'a' (1 row), 'b' (2 rows), 'c' (1 row) have too few rows" in line
    found = proposals(line)
    assert set(found) == {"--classes"}  # no number of folds suffices
    left = table(counts, classes=tuple(found["--classes"].split(",")))
    assert set(map(str, left.classes)) == {"-1", "<=50K", "two words"}
    check(left, split_dataset(left, SplitOptions()), SplitOptions())


def test_many_rare_classes_are_counted(table):
    counts = {"x": 100, "y": 100, **{f"rare{k}": 1 for k in range(9)}}
    with pytest.raises(NasError, match=r"'rare4' \(1 row\) and 4 more have too few rows"):
        split_dataset(table(counts), SplitOptions())


def test_rare_numbers_may_be_a_regression(table):
    counts = {3: 2, 4: 9, 5: 60, 6: 40, 7: 1}
    with pytest.raises(NasError) as caught:
        split_dataset(table(counts), SplitOptions())
    found = proposals(caught.value.on_command_line)
    assert found["--task"] == "regression" and found["--classes"] == "4,5,6"
    split_dataset(table(counts, task=found["--task"]), SplitOptions())
    split_dataset(table(counts, classes=("4", "5", "6")), SplitOptions())


def test_words_are_no_regression(table):
    with pytest.raises(NasError) as caught:
        split_dataset(table({"a": 30, "b": 30, "c": 1}), SplitOptions())
    assert "regression" not in caught.value.on_command_line


@pytest.mark.parametrize("rarest", range(2, 7))
@pytest.mark.parametrize("folds", [5, 10])
@pytest.mark.parametrize("test_size", [0.0, 0.2, 0.5])
def test_fewer_folds_are_proposed_where_they_suffice(rarest, folds, test_size):
    dataset = make([0] * 40 + [1] * rarest)
    options = {"folds": folds, "test_size": test_size}
    try:
        split_dataset(dataset, SplitOptions(**options))
    except NasError as error:
        if "Use more rows" in str(error):
            assert rarest == 2 or test_size == 0.5  # one of them is for the test part
            return
        found = proposals(str(error))
        fewer = int(found["--folds"]) if "--folds" in found else folds
        share = float(found.get("--test-size", test_size))
        for changed in ({"folds": fewer}, {"test_size": share}):
            if {**options, **changed} != options:
                split_dataset(dataset, SplitOptions(**{**options, **changed}))
    else:
        assert rarest >= folds


@pytest.mark.parametrize(
    "dataset, options",
    [
        (make(np.linspace(0, 1, 10), task="regression"), {"folds": 5}),
        (make(np.arange(60) % 2, np.arange(60) % 4, task="regression"), {"test_size": 0}),
        (make(np.arange(60) % 2, np.arange(60) % 4), {"folds": 5}),
        (make(np.arange(8), task="regression"), {"folds": 1, "val_size": 0.95}),
        (make(np.arange(60), task="regression"), {"test_size": 1.5}),
    ],
)
def test_other_mistakes_get_options_that_work(dataset, options):
    with pytest.raises(NasError) as caught:
        split_dataset(dataset, SplitOptions(**options))
    found = proposals(caught.value.on_command_line)
    assert found, caught.value.on_command_line
    for name, value in found.items():
        changed = {name[2:].replace("-", "_"): float(value) if "size" in name else int(value)}
        split_dataset(dataset, SplitOptions(**{**options, **changed}))


def in_time(times, y=None, **options):
    times = np.asarray(times, float)
    y = np.arange(len(times)) % 2 if y is None else y
    dataset = replace(make(y), times=times)
    return split_dataset(dataset, SplitOptions(**{"test_size": 0.0, **options}))


def test_folds_in_time_order_validate_on_rows_after_those_they_train_on():
    times = np.random.default_rng(0).permutation(120)
    split = in_time(times, folds=3, test_size=0.25)
    assert sorted(times[split.test]) == list(range(90, 120))
    assert [len(fold.train) for fold in split.folds] == [22, 45, 68]
    for fold in split.folds:
        assert times[fold.train].max() < times[fold.val].min()
    assert sorted(times[split.folds[-1].val]) == list(range(68, 90))


def test_rows_of_one_time_stay_together():
    times = np.repeat(np.arange(10), [4, 27, 1, 1, 20, 1, 1, 1, 1, 3])
    for fold in in_time(times, folds=2).folds:
        assert not set(times[fold.train]) & set(times[fold.val])


def test_a_single_split_in_time_order():
    (fold,) = in_time(np.arange(100), folds=1, val_size=0.3).folds
    assert len(fold.train) == 70 and min(fold.val) == 70


def test_folds_that_time_does_not_allow():
    with pytest.raises(NasError, match="2 different times for 3 folds"):
        in_time(np.repeat([1, 2], 30), folds=3)
    with pytest.raises(NasError, match="class 'c' is in fold 1, and in no row before it"):
        in_time(np.arange(60), np.repeat([0, 1, 2], [8, 8, 44]), folds=3)
    with pytest.raises(NasError, match="repeats: got 2"):
        in_time(np.arange(60), folds=2, repeats=2)
