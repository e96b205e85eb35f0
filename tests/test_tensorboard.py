"""What TensorBoard is given of a study."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import event_files
import keras
import numpy as np
import pytest
from fakes import made_settings

from nas import tensorboard
from nas.errors import NasError
from nas.models.network import build_model
from nas.searching import Progress
from nas.space import SearchSpace
from nas.spec import Curves, Problem, TrialSpec
from nas.study.record import StudyRecord, TrialRecord
from nas.tensorboard import RunWriter, open_runs, run_of, write_runs

NAN = float("nan")
PROBLEM = Problem("multiclass", 4, 3)
SPEC = SearchSpace({"depth": 2, "width": 8, "normalization": "batch"}).sample(None, PROBLEM)


class Here:
    """A pool that calls functions in this process, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.calls += 1
        return function(*arguments)


def trial(number: int = 12, **changes: Any) -> TrialRecord:
    """A trial of two folds, the first of which stopped after its second epoch."""
    record = TrialRecord(
        number=number,
        outcome="complete",
        value=0.75,
        stderr=0.05,
        params={"depth": 2, "learning_rate": 0.0012345678},
        spec=SPEC,
        fold_values=(0.7, 0.8),
        train_value=0.9,
        epoch_values={1: 0.45, 2: 0.65, 3: 0.75},
        seconds=1.25,
        n_weights=SPEC.n_weights,
        engine="compiled",
        engine_reason="",
        reason="",
        curves=Curves(
            train_loss=((1.0, 0.8), (0.5, 0.6), (NAN, 0.4)),
            val_loss=((1.2, 1.0), (0.9, 0.7), (NAN, 0.5)),
            val_value=((0.4, 0.5), (0.7, 0.6), (NAN, 0.8)),
        ),
    )
    return replace(record, **changes)


def study(*trials: TrialRecord, name: str = "mine") -> StudyRecord:
    return StudyRecord(name, "accuracy", "maximize", made_settings(), trials)


def write(folder: Path, *trials: TrialRecord, graph_of: TrialRecord | None = None) -> Path:
    """Writes the runs of a study; the folder of the first trial's run."""
    writer = open_runs(folder, study(*trials))
    writer.write(Here(), graph_of=graph_of)
    return writer.folder / tensorboard.run_name(trials[0].number)


def test_curves_are_means_in_which_an_ended_fold_keeps_its_last_value(tmp_path: Path) -> None:
    run = write(tmp_path, trial())
    assert run == tmp_path / "mine" / "trial_012"
    found = event_files.curves(run)
    assert found == {
        "loss/training": pytest.approx({1: 0.9, 2: 0.55, 3: 0.45}),
        "loss/validation": pytest.approx({1: 1.1, 2: 0.8, 3: 0.7}),
        "accuracy/validation": pytest.approx({1: 0.45, 2: 0.65, 3: 0.75}),
    }
    assert found["accuracy/validation"] == pytest.approx(trial().epoch_values)


def test_a_diverged_fold_makes_the_mean_nan(tmp_path: Path) -> None:
    run = write(tmp_path, trial(outcome="diverged", value=None, reason="diverged in epoch 3"))
    loss = event_files.curves(run)["loss/training"]
    assert loss[2] == pytest.approx(0.55)
    assert np.isnan(loss[3])
    assert "diverged: diverged in epoch 3" in event_files.texts(run)["trial"]


def test_texts_tell_the_trial_and_all_its_hyperparameters(tmp_path: Path) -> None:
    found = event_files.texts(write(tmp_path, trial()))
    assert "accuracy 0.75 ± 0.05 over 2 folds" in found["trial"]
    assert SPEC.describe() in found["trial"] and f"{SPEC.n_weights:,} weights" in found["trial"]
    table = found["hyperparameters"]
    searched = table[: table.index("| network | |")]
    assert "| learning_rate | 0.00123457 |" in searched
    assert "| units | 8, 8 |" in table and "| batch_size | 32 |" in table
    # Each table has a head, without which it is no Markdown table.
    assert table.count("|---|---|") == 3


def test_every_word_of_a_specification_is_told() -> None:
    table = run_of(trial(), "accuracy").texts["hyperparameters"]
    for part in (SPEC.architecture, SPEC.training):
        for name in part.__slots__:
            assert f"| {name} | " in table


def test_a_sign_of_a_table_in_a_value_stays_one_cell() -> None:
    table = run_of(trial(params={"a": "b|c"}), "accuracy").texts["hyperparameters"]
    assert r"| a | b\|c |" in table


IMAGES = Problem("multiclass", 64, 10, image_shape=(8, 8, 1))
CNN = SearchSpace(
    {"layers": "8c3-mp2-fc16", "dropout": 0.2, "flip": "horizontal"}, network="cnn"
).sample(None, IMAGES)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [(SPEC, {"MatMul": 3, "Relu": 2}), (CNN, {"Conv2D": 1, "MatMul": 2, "MaxPool": 1})],
    ids=["mlp", "cnn"],
)
def test_the_graph_is_the_network(tmp_path: Path, spec: TrialSpec, expected: dict) -> None:
    chosen = trial(3, spec=spec)
    run = write(tmp_path, chosen, trial(4), graph_of=chosen)
    found = event_files.operations(run)
    assert {name: found.count(name) for name in expected} == expected
    # Dropout and what changes images are for training.
    assert not any("Random" in name or "Stateless" in name for name in found)
    (layers,) = event_files.texts(run, "graph_keras_model").values()
    again = keras.models.model_from_json(layers)
    assert again.count_params() == spec.n_weights
    assert [x.name for x in again.layers] == [x.name for x in build_model(spec).layers]
    # The others have none, but curves.
    assert event_files.operations(run.with_name("trial_004")) == []
    assert event_files.curves(run) == event_files.curves(run.with_name("trial_004"))


def test_the_layers_are_of_a_kind_that_tensorboard_knows(tmp_path: Path) -> None:
    run = write(tmp_path, trial(), graph_of=trial())
    (value,) = (v for _, v in event_files.values(run) if v.tag == "layers")
    assert value.metadata.plugin_data.content == b"1"  # the version, which it compares


def test_trials_that_were_not_trained_have_no_run(tmp_path: Path) -> None:
    bare = {"curves": None, "value": None}
    trials = (
        trial(0, outcome="failed", **bare),
        trial(1, outcome="duplicate", **bare),
        trial(2, outcome="failed", curves=Curves(), value=None),
        trial(3, outcome="pruned", value=None, params={}),
    )
    write(tmp_path, *trials)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["trial_003"]


def test_what_a_folder_lacks_is_written_and_nothing_twice(tmp_path: Path) -> None:
    first = write(tmp_path, trial(1), trial(2), graph_of=trial(1)) / tensorboard.CURVES_FILE
    before = first.stat().st_mtime_ns
    # As a search leaves it that was killed while it wrote.
    second = tmp_path / "mine" / "trial_002" / tensorboard.CURVES_FILE
    second.unlink()
    pool = Here()
    writer = open_runs(tmp_path, study(trial(1), trial(2)))
    writer.write(pool, graph_of=trial(1))
    writer.write(pool, graph_of=trial(1))
    assert pool.calls == 1
    assert second.exists() and first.stat().st_mtime_ns == before


def test_runs_of_another_study_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, trial(1), trial(2))
    with pytest.raises(NasError, match=r"tensorboard: .*holds trial_002, which study 'mine'"):
        open_runs(tmp_path, study(trial(1)))
    open_runs(tmp_path, study(trial(1), name="other"))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(NasError, match=r"tensorboard: cannot write to .*file/mine"):
        open_runs(tmp_path / "file", study())


def test_a_full_disk_is_told_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(NasError, match="No space left"):
        write_runs(tmp_path, [run_of(trial(), "accuracy")])
    assert list(tmp_path.rglob("*tfevents*")) == []


# While a search runs


def steps(*trials: TrialRecord, closed: list[str] | None = None):
    try:
        for done, finished in enumerate(trials, start=1):
            yield Progress(9, done, 0, 0, 0, None, finished=finished)
    finally:
        if closed is not None:
            closed.append("closed")


def test_a_search_is_written_every_half_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pool, writer = Here(), open_runs(tmp_path, study())
    written = []
    for progress in writer.following(steps(*map(trial, range(6))), pool):
        written.append((progress.done, len(list(writer.folder.iterdir()))))
        now += 12.0
    assert written == [(1, 0), (2, 0), (3, 0), (4, 4), (5, 4), (6, 4)]
    writer.write(pool)
    assert pool.calls == 2
    assert len(list(writer.folder.iterdir())) == 6


def test_a_search_that_is_stopped_is_closed(tmp_path: Path) -> None:
    closed: list[str] = []
    pool, writer = Here(), open_runs(tmp_path, study())
    following = writer.following(steps(trial(0), trial(1), closed=closed), pool)
    next(following)
    following.close()
    assert closed == ["closed"]
    writer.write(pool)
    assert [path.name for path in writer.folder.iterdir()] == ["trial_000"]


def test_a_full_disk_does_not_end_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def call(self, *_: Any) -> None:
            raise NasError("runs", "cannot be written (No space left on device)")

    monkeypatch.setattr(tensorboard, "EVERY", 0.0)
    writer = open_runs(tmp_path, study())
    assert len(list(writer.following(steps(trial(0), trial(1)), Full()))) == 2
    with pytest.raises(NasError, match="No space left"):
        writer.write(Full())
    writer.write(Here())  # there is room again
    assert len(list(writer.folder.iterdir())) == 2


def test_the_writer_begins_with_nothing_to_write(tmp_path: Path) -> None:
    pool = Here()
    RunWriter(tmp_path, "accuracy").write(pool)
    assert pool.calls == 0
