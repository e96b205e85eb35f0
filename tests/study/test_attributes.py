import json
import math
from dataclasses import fields, replace
from pathlib import Path

import optuna
import pytest
from earlier import write_earlier
from fakes import made_settings, open_fake_study, url_of
from optuna.trial import create_trial

from nas.analysis.study_data import study_data
from nas.data import DataOptions, SplitOptions
from nas.errors import NasError
from nas.experiments.baselines import run_baselines
from nas.metrics import METRICS
from nas.options import SearchOptions
from nas.searching import open_study, study_settings
from nas.space import parse_space
from nas.spec import Problem, TrialSpec
from nas.study.attributes import (
    VERSION,
    Finding,
    OneAnswer,
    PositiveClass,
    RetryOf,
    StudySettings,
    TrialAttributes,
)
from nas.study.record import load_study, settings_of, study_record
from nas.study.storage import open_storage
from nas.study.study_list import summarize_studies

FULL = made_settings(
    data=DataOptions("my.csv", target="y", drop=("a", "b"), classes=("0", "1"), label_noise=0.1),
    split=SplitOptions(folds=1, repeats=3, given="packed"),
    positive=PositiveClass(0, "fraud"),
    constant=OneAnswer(None, 0.3),
    own_metric=True,
    findings=(Finding("order", "alike."), Finding("imbalanced", "rare.")),
    search=SearchOptions(sampler="grid", timeout=3.0, max_params=10, allow_duplicates=True),
    searched_at="2026-11-26T20:54:00+00:00",
    identity="1f",
)


@pytest.fixture(scope="module")
def spec() -> TrialSpec:
    problem = Problem("multiclass", 4, 3)
    space = parse_space("depth: 2\nwidth: 8\n")
    return space.sample(optuna.trial.FixedTrial({}), problem)


@pytest.fixture
def earlier(tmp_path: Path) -> optuna.Study:
    return write_earlier(tmp_path)


def test_settings_come_back_from_the_database_as_they_were() -> None:
    for settings in (FULL, made_settings()):
        kept = json.loads(json.dumps(settings.to_attributes()))
        assert StudySettings.from_attributes({**kept, "winner": {"trial": 0}}, "s") == settings
    assert kept.keys().isdisjoint({"positive", "constant", "own_metric", "search", "identity"})


def test_every_setting_is_kept() -> None:
    """A field that `FULL` leaves at its default would not be tried above."""
    plain = made_settings()
    without = {f.name for f in fields(plain) if getattr(FULL, f.name) == getattr(plain, f.name)}
    assert without == {
        *("space", "data_hash", "task", "split_hash", "metric", "versions", "nas_version"),
        "version",
    }


def test_trials_come_back_from_the_database_as_they_were(spec: TrialSpec) -> None:
    full = TrialAttributes(
        index=0,
        owner={"pid": 1},
        outcome="diverged",
        reason="diverged in epoch 2",
        spec=spec,
        n_weights=99,
        engine="keras",
        engine_reason="as asked",
        fold_values=(0.5, 0.25),
        train_value=0.0,
        epochs=(2, 1),
        seconds=0.5,
        curves={"val_loss": [[0.1], [None]]},
        examination={"n_train": 9},
        retry_of=RetryOf(3, 2, killed=True),
        killed=True,
        given=True,
        enqueued="--warm-start other",
    )
    assert not [f.name for f in fields(full) if getattr(full, f.name) == f.default]
    for attributes in (full, replace(full, retry_of=RetryOf(3)), TrialAttributes()):
        kept = json.loads(json.dumps(attributes.to_attributes()))
        assert TrialAttributes.from_attributes({**kept, "noted": "by a user"}) == attributes
    assert kept == {}


def test_a_diverged_fold_is_null_in_the_database() -> None:
    kept = TrialAttributes(fold_values=(0.5, math.nan)).to_attributes()
    assert kept == {"fold_values": [0.5, None]}
    read = TrialAttributes.from_attributes(kept).fold_values
    assert read[0] == 0.5 and math.isnan(read[1])


def test_curves_are_not_decoded_before_they_are_read(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path)
    broken = {"curves": {"no such curve": []}, "examination": {"none": 1}}
    study.add_trial(create_trial(value=0.5, user_attrs=broken))
    (trial,) = study_record(study).trials
    assert trial.value == 0.5
    with pytest.raises(TypeError, match="no such curve"):
        _ = trial.curves


def test_a_new_study_says_its_version(tmp_path: Path) -> None:
    assert open_fake_study(tmp_path).user_attrs["version"] == VERSION


def test_the_version_is_raised_with_what_is_kept() -> None:
    """Whoever adds a field decides whether an older nas reads a study wrongly without it."""
    kept = {cls: [f.name for f in fields(cls)] for cls in (DataOptions, SplitOptions)}
    assert VERSION == 3
    assert kept == {
        DataOptions: [
            *("source", "target", "test", "task", "groups", "sample_weight", "time", "drop"),
            *("categorical", "numeric", "date", "text", "header", "missing", "positive"),
            *(
                "class_weight",
                "scaling",
                "target_scaling",
                "quantiles",
                "images",
                "image_size",
                "classes",
                "merge_rare",
                "max_rows",
                "label_noise",
            ),
        ],
        SplitOptions: [
            *("folds", "repeats", "val_size", "test_size", "seed", "given", "given_test"),
        ],
    }


def test_a_study_of_a_newer_nas_is_refused_in_one_line(tmp_path: Path) -> None:
    study = open_fake_study(tmp_path)
    study.set_user_attr("version", VERSION + 1)
    told = "fake: was written by a newer nas, in form 4; expected form 3 or older. Update nas."
    with pytest.raises(NasError) as caught:
        load_study("fake", url_of(tmp_path))
    assert str(caught.value) == told
    with pytest.raises(NasError) as caught:  # nor does a search go on with it
        open_fake_study(tmp_path)
    assert str(caught.value) == told
    assert [listed.name for listed in summarize_studies(url_of(tmp_path))] == ["fake"]


def test_a_study_of_another_program_is_refused() -> None:
    study = optuna.create_study(study_name="other")
    with pytest.raises(NasError, match="other: was not made by nas"):
        study_record(study)


# A study as nas 0.1 left it


def test_a_study_of_nas_0_1_has_the_defaults_of_what_came_later(earlier: optuna.Study) -> None:
    assert "version" not in earlier.user_attrs
    settings = settings_of(earlier)
    assert settings.data == DataOptions("iris")
    assert settings.split == SplitOptions(folds=3, seed=1)
    assert (settings.positive, settings.constant, settings.search) == (None, None, None)
    assert (settings.findings, settings.own_metric, settings.identity) == ((), False, "")
    record = study_record(earlier)
    assert [t.outcome for t in record.trials].count("interrupted") == 2
    assert (len(record.complete), len(record.counted)) == (10, 19)
    best = record.best()
    assert (best.number, best.value, best.engine) == (19, pytest.approx(0.9333, abs=1e-4), "keras")
    assert best.spec.architecture.units == (4,)
    assert (best.engine_reason, best.curves, best.examination) == ("", None, None)
    again = TrialAttributes.from_attributes(earlier.trials[18].user_attrs)
    assert again.retry_of == RetryOf(17, None, killed=True)
    assert (again.index, again.epochs, again.given) == (None, (4, 4, 4), False)


def test_its_data_is_read_as_then(earlier: optuna.Study) -> None:
    dataset, split = study_data(study_record(earlier))  # which compares the hash
    assert split.hash() == settings_of(earlier).split_hash
    assert run_baselines(dataset, split, METRICS["accuracy"])


def test_a_search_goes_on_with_it(earlier: optuna.Study, tmp_path: Path) -> None:
    old = settings_of(earlier)
    dataset, split = study_data(study_record(earlier))
    metric = METRICS["accuracy"]
    settings = study_settings(
        parse_space(old.space), DataOptions("iris"), dataset, old.split, split, metric
    )
    url = url_of(tmp_path)
    before = earlier.user_attrs
    opened = open_study(open_storage(url), url, "first", settings, metric)
    added = {"version": VERSION, "searched_at": opened.user_attrs["searched_at"]}
    assert opened.user_attrs == {**before, **added}
    assert settings_of(opened) == replace(old, searched_at=added["searched_at"])
    with pytest.raises(NasError, match=r"folds \(seed 1, now 2\)"):
        other = replace(settings, split=replace(old.split, seed=2), split_hash="0")
        open_study(open_storage(url), url, "first", other, metric)
