"""The compiled engine: the contract, and what is its own."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partialmethod
from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats

pytest.register_assert_rewrite("contract")

from contract import (  # noqa: E402
    Cohort,
    EngineContract,
    assert_same_trial,
    folds_of,
    make_spec,
    train,
)

from nas.engines import lane_end, program, shapes  # noqa: E402
from nas.engines.compiled_engine import CompiledEngine  # noqa: E402
from nas.engines.keras_engine import KerasEngine  # noqa: E402
from nas.engines.lanes import Lane, batch_order, batch_order_seed, trial_lanes  # noqa: E402
from nas.engines.program import compile_epochs, times_traced  # noqa: E402
from nas.engines.shapes import lanes_at_once, program_shape, width_class  # noqa: E402
from nas.engines.update_rule import coefficients  # noqa: E402
from nas.metrics import METRICS  # noqa: E402
from nas.space.vocabulary import OPTIMIZERS  # noqa: E402
from nas.spec import TrialSpec  # noqa: E402


class TestCompiledEngine(EngineContract):
    engine_class = CompiledEngine


def start(spec: TrialSpec, seed: int = 1, n_folds: int = 3) -> Any:
    folds = folds_of(spec.problem.task)[:n_folds]
    return Cohort(CompiledEngine(folds, METRICS["log_loss"]), [spec], [seed])


def test_one_program_serves_every_trial_of_a_shape() -> None:
    # A width of its own, so that no other test has compiled this shape.
    common = {"units": (321, 330), "epochs": 2}
    specs = [
        make_spec("multiclass", **common),
        make_spec("multiclass", **common, optimizer="sgd", activation="relu", dropout=0.5),
        make_spec("multiclass", **common, optimizer="nadam", activation="gelu", residual=True),
        make_spec("multiclass", **common, l2=0.1, label_smoothing=0.1, schedule="cosine"),
        make_spec("multiclass", **{**common, "units": (325, 380)}, weight_decay=0.1),
    ]
    engine = CompiledEngine(folds_of("multiclass"), METRICS["log_loss"])
    for seed, spec in enumerate(specs):
        train(Cohort(engine, [spec], [seed]))
    assert len(engine.sizes) == 1
    (shape,) = engine.sizes
    assert times_traced[shape] == 1


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_units_beyond_a_layers_width_get_no_gradient(normalization: str) -> None:
    # Sigmoid of 0 is not 0: an unused unit that is not masked would be seen by the next layer.
    spec = make_spec(
        "multiclass",
        units=(8, 5),
        activation="sigmoid",
        normalization=normalization,
        optimizer="adam",
        weight_decay=0.1,
        residual=True,
        dropout=0.2,
        epochs=3,
    )
    cohort = start(spec)
    train(cohort)
    (block,) = cohort.lanes._blocks
    width = block.shape.width
    assert width == 32
    for part in (block._state.weights, block._state.first, block._state.second):
        first, second, last = map(np.asarray, part.kernels)
        assert not first[:, :, 8:].any()
        assert not second[:, 8:].any()
        assert not second[:, :, 5:].any()
        assert not last[:, 5:].any()
        assert first[:, :, :8].any(axis=1).all()
        others = np.split(np.asarray(part.others), np.cumsum(block.shape.others)[:-1], axis=1)
        assert not others[0][:, 8:].any()
        assert not others[1][:, 5:].any()


@pytest.mark.parametrize(
    ("units", "width"), [(1, 32), (32, 32), (33, 64), (64, 64), (65, 128), (500, 512)]
)
def test_widths_are_rounded_up_to_few_classes(units: int, width: int) -> None:
    assert width_class(units) == width


@pytest.mark.parametrize(
    ("units", "n_folds", "lanes"),
    [
        ((64,), 1, 1),
        ((64,), 5, 5),
        ((64,), 10, 5),
        ((64,), 7, 7),
        ((64,), 11, 1),
        ((512,) * 3, 5, 1),
    ],
)
def test_lanes_divide_the_folds_and_fit_the_caches(
    units: tuple[int, ...], n_folds: int, lanes: int
) -> None:
    shape = program_shape(make_spec("multiclass", units=units), 1000)
    assert lanes_at_once(shape, n_folds) == lanes


def test_folds_in_groups_are_the_same_as_together(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec("multiclass", units=(8, 6), dropout=0.2, normalization="layer", epochs=3)
    together = train(start(spec))
    monkeypatch.setattr(shapes, "STATE_BUDGET", 1.0)
    cohort = start(spec)
    assert [len(block.numbers) for block in cohort.lanes._blocks] == [1, 1, 1]
    # Another program adds in another order.
    assert_same_trial(train(cohort), 0, together, 0, 1e-3)


@pytest.mark.long
def test_other_folds_train_in_the_program_that_is_there() -> None:
    folds = folds_of("multiclass") * 2
    spec = make_spec("multiclass", epochs=3)

    def train_on(chosen: list[int], engine: CompiledEngine) -> list[tuple[float, ...]]:
        lanes = engine.start(trial_lanes(spec, 5, len(folds), folds=chosen))
        lanes.advance(3)
        return [result.val_loss for result in lanes.results()]

    engine = CompiledEngine(folds, METRICS["log_loss"])
    first, later = train_on([0, 1], engine), train_on([2, 3, 4], engine)
    (sizes,) = engine.sizes.values()
    assert sizes == {2}  # with one place that stays free
    together = train_on([0, 1, 2, 3, 4], CompiledEngine(folds, METRICS["log_loss"]))
    np.testing.assert_allclose([*first, *later], together, rtol=1e-4)
    train_on([4], engine)
    assert sizes == {1, 2}  # else half of the places would stay free


@pytest.mark.long
def test_scores_do_not_depend_on_the_rows_predicted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec("binary", epochs=1)
    results = []
    for rows in (8192, 30):
        monkeypatch.setattr(lane_end, "PREDICT_ROWS", rows)
        monkeypatch.setattr(program, "PREDICT_ROWS", rows)
        compile_epochs.cache_clear()
        results.append(train(start(spec)).results[0])
    np.testing.assert_allclose(results[0].fold_values, results[1].fold_values, rtol=1e-5)
    np.testing.assert_allclose(results[0].train_values, results[1].train_values, rtol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_of_a_budget_are_the_first_of_all(optimizer: str) -> None:
    whole = make_spec("binary", optimizer=optimizer, momentum=0.5, epochs=5).training
    for epoch, taken in ((0, 7), (1, 7), (2, 2)):
        expected = coefficients(whole, 7, epoch)
        found = coefficients(replace(whole, steps=16), 7, epoch)
        np.testing.assert_array_equal(found, expected[:taken])


@pytest.mark.slow
def test_scores_with_dropout_are_distributed_as_the_keras_engines() -> None:
    folds = folds_of("multiclass")
    compiled, plain = (
        engine(folds, METRICS["accuracy"]) for engine in (CompiledEngine, KerasEngine)
    )
    spec = make_spec(
        "multiclass", units=(32, 32), activation="relu", dropout=0.4, l2=1e-4, epochs=8
    )
    scores = {}
    for engine in (compiled, plain):
        trials = [train(Cohort(engine, [spec], [seed])).results[0] for seed in range(30)]
        scores[engine.name] = np.array([np.mean(trial.fold_values) for trial in trials])
    assert stats.ks_2samp(scores["compiled"], scores["keras"]).pvalue > 0.01
    difference = scores["compiled"] - scores["keras"]  # same initial weights and batches
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert abs(difference.mean()) < 3 * error
    assert scores["keras"].std() > 0


def test_a_freed_place_is_taken_and_its_neighbours_do_not_notice() -> None:
    wide, other = make_spec("multiclass", epochs=6, dropout=0.3), make_spec("multiclass", epochs=3)
    engine = CompiledEngine(folds_of("multiclass"), METRICS["log_loss"])

    def alone(lane: Lane) -> Any:
        lanes = engine.start([lane])
        lanes.advance(6)
        return lanes.results()[0], lanes.weights(0)

    first = [Lane(wide, fold, 10 + fold, examined=True) for fold in range(3)]
    late = [Lane(other, fold, 20 + fold, examined=True) for fold in (2, 0)]
    lanes = engine.start(first)
    lanes.advance(2)
    lanes.drop([1])
    lanes.add(late)
    assert [block.numbers for block in lanes._blocks] == [[0, 3, 2], [4]]
    assert lanes.running().tolist() == [True, False, True, True, True]
    scores = lanes.advance(6)
    assert scores.shape == (5, 6) and not lanes.running().any()
    for number, lane in ((0, first[0]), (2, first[2]), (3, late[0]), (4, late[1])):
        expected, weights = alone(lane)
        found = lanes.results([number])[0]
        assert len(found.train_loss) == lane.spec.training.epochs
        np.testing.assert_allclose(found.train_loss, expected.train_loss, rtol=1e-4)
        np.testing.assert_allclose(found.val_value, expected.val_value, rtol=1e-4)
        assert found.examination is not None and expected.examination is not None
        np.testing.assert_allclose(
            found.examination.norm_ratio, expected.examination.norm_ratio, rtol=1e-4
        )
        for mine, theirs in zip(lanes.weights(number), weights, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
    dropped = lanes.results([1])[0]
    assert len(dropped.train_loss) == 2 and dropped.examination is not None
    expected, _ = alone(first[1])
    np.testing.assert_allclose(dropped.train_loss, expected.train_loss[:2], rtol=1e-4)


@pytest.fixture
def on_gpu() -> CompiledEngine:
    """An engine as on a GPU with so much memory, here on the processor."""
    return CompiledEngine(folds_of("multiclass"), METRICS["log_loss"], memory=2e8)


def lanes_of(n_trials: int, **changes: Any) -> list[Lane]:
    """Lanes of trials on three folds that share a program and little else."""
    generator = np.random.default_rng(0)
    lanes: list[Lane] = []
    for trial in range(n_trials):
        spec = make_spec(
            "multiclass",
            units=(int(generator.integers(3, 33)),),
            activation=str(generator.choice(["relu", "tanh", "gelu"])),
            optimizer=str(generator.choice(["adam", "sgd", "rmsprop"])),
            dropout=float(generator.choice([0.0, 0.3])),
            epochs=int(generator.integers(2, 7)),
            early_stopping=int(generator.choice([0, 2])),
            **changes,
        )
        lanes += trial_lanes(spec, trial, 3)
    return lanes


def assert_same_lanes(lanes: Any, numbers: Sequence[int], expected: Sequence[Lane]) -> None:
    """Each is what an engine of the processor makes of it alone."""
    engine = CompiledEngine(folds_of("multiclass"), METRICS["log_loss"])
    for number, lane in zip(numbers, expected, strict=True):
        alone = engine.start([lane])
        alone.advance(10)
        (mine,), (theirs,) = lanes.results([number]), alone.results()
        np.testing.assert_allclose(mine.train_loss, theirs.train_loss, rtol=1e-4)
        np.testing.assert_allclose(mine.val_value, theirs.val_value, rtol=1e-4)
        assert (mine.examination is None) == (theirs.examination is None)
        if mine.examination and theirs.examination:
            for name in ("norm_ratio", "first_step", "last_step"):
                a, b = getattr(mine.examination, name), getattr(theirs.examination, name)
                np.testing.assert_allclose(a, b, rtol=1e-3)


@pytest.mark.long
def test_many_lanes_of_many_trials_are_one_program(on_gpu: CompiledEngine) -> None:
    wanted = lanes_of(40)
    together = on_gpu.start(wanted)
    (block,) = together._blocks
    assert len(block.numbers) == len(wanted) == 120
    together.advance(10)
    assert not together.running().any()
    some = range(0, 120, 7)
    assert_same_lanes(together, some, [wanted[number] for number in some])


@pytest.mark.long
def test_released_lanes_make_room_for_others(on_gpu: CompiledEngine) -> None:
    wanted = lanes_of(24, batch_size=31)  # which no other test has
    together = on_gpu.start([])
    numbers, waiting, done = [], list(wanted), 0
    while waiting or numbers:
        while waiting and len(numbers) < 12:  # a small program is always full
            numbers += together.add([waiting.pop(0)])
        assert len(together._blocks) == 1
        together.advance(dict.fromkeys(numbers, 1))
        ended = [n for n in numbers if n not in running_of(together)]
        assert_same_lanes(together, ended[:1], [wanted[n] for n in ended[:1]])
        together.release(ended)
        numbers = [n for n in numbers if n not in ended]
        done += len(ended)
    assert done == 72 and together._blocks == [] and together.logs == {}
    assert together.epochs().size == 0
    (shape,) = on_gpu.sizes
    assert times_traced[shape] == 2  # with many places, and with one


def running_of(lanes: Any) -> set[int]:
    return {number for number, log in lanes.logs.items() if log.active}


@pytest.mark.long
def test_lanes_train_for_as_many_epochs_as_each_is_to(on_gpu: CompiledEngine) -> None:
    first, second, third = wanted = lanes_of(1, normalization="layer")
    together = on_gpu.start(wanted)
    n = first.spec.training.epochs
    scores = together.advance({0: 2, 2: 1})
    assert scores.shape == (2, 2) and scores[1, 0] == scores[1, 1]
    assert together.epochs().tolist() == [2, 0, 1]
    together.advance({1: n, 2: n})
    assert together.epochs()[0] == 2
    together.advance(n)
    assert_same_lanes(together, [0, 1, 2], [first, second, third])


@pytest.mark.long
def test_a_program_without_room_is_divided(
    on_gpu: CompiledEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GPU says it: an error of XLA where a call begins, or where its outputs are fetched."""
    wanted = lanes_of(8)
    train, most = CompiledEngine.train, 20
    failures = []

    def fail(when: str) -> None:
        failures.append(when)
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    class WithoutRoom:
        def __array__(self, *_: Any, **__: Any) -> Any:
            fail("fetched")

    def scarce(engine: Any, shape: Any, state: Any, settings: Any, *rest: Any, late: bool) -> Any:
        if len(settings.dropout) <= most:
            return train(engine, shape, state, settings, *rest)
        if not late:
            fail("begun")
        return state, (WithoutRoom(),) * 3

    together = on_gpu.start(wanted)
    together.advance(1)
    monkeypatch.setattr(CompiledEngine, "train", partialmethod(scarce, late=True))
    together.advance(1)
    monkeypatch.setattr(CompiledEngine, "train", partialmethod(scarce, late=False))
    most = 10
    together.advance(10)
    assert set(failures) == {"begun", "fetched"}
    assert max(len(block.numbers) for block in together._blocks) <= 10
    numbers = [n for block in together._blocks for n in block.numbers if n is not None]
    assert sorted(numbers) == list(range(24))
    assert_same_lanes(together, range(0, 24, 5), wanted[::5])
    late = together.add(wanted[:1])
    assert len(together._blocks_of[late[0]].numbers) <= 10  # later programs are as small


def test_a_program_sorts_rows_as_the_processor_does() -> None:
    """Folds of unequal length, whose rows lie one behind another, in batches of 32."""
    first, lengths, n_steps = np.array([0, 100, 197]), np.array([100, 97, 129]), 5
    nothing = dict.fromkeys(program.Rows._fields)
    rows = program.Rows(**nothing | {"first": first, "lengths": lengths})
    for fold, epoch in itertools.product(range(3), range(4)):
        seeds = np.array([batch_order_seed(7, e) for e in range(4)], np.uint32)
        nothing = dict.fromkeys(program.Course._fields)
        course = program.Course(
            **nothing | {"order_seeds": seeds, "fold": fold, "row_weights": np.zeros((n_steps, 32))}
        )
        found = program.order_of_rows(course, rows, epoch)
        n = lengths[fold]
        order = np.asarray(found).ravel()
        np.testing.assert_array_equal(order[:n], first[fold] + batch_order(7, epoch, n))
        assert (order[n:] == first[fold]).all()  # any row that is there: it counts nothing


def test_an_order_is_a_shuffle() -> None:
    orders = np.array([batch_order(seed, 0, 50) for seed in range(2000)])
    assert (np.sort(orders, axis=1) == np.arange(50)).all()
    counts = np.array([np.bincount(orders[:, place], minlength=50) for place in range(50)])
    # Each number as often at each place, and neighbours as often in either order.
    assert stats.chisquare(counts.ravel()).pvalue > 0.01
    ups = (np.diff(orders, axis=1) > 0).mean(axis=0)
    assert abs(ups - 0.5).max() < 0.05


def test_more_memory_is_more_lanes() -> None:
    shape = program_shape(make_spec("multiclass", units=(128,) * 4), 1000)
    few, many = (shapes.lanes_that_fit(shape, 1000, 300, memory) for memory in (1e9, 8e10))
    assert 1 <= few < many and many / few == pytest.approx(80, rel=0.1)
    wide = program_shape(make_spec("multiclass", units=(2048,) * 4), 1000)
    assert shapes.lanes_that_fit(wide, 1000, 300, 8e10) < many / 20
    assert shapes.lanes_that_fit(wide, 1000, 300, 1.0) == 1


def test_lanes_of_any_trial_share_a_program() -> None:
    specs = [
        make_spec("multiclass", units=(40, 36), epochs=2, activation="relu", optimizer="sgd"),
        make_spec("multiclass", units=(33, 60), epochs=2, activation="gelu", label_smoothing=0.1),
    ]
    engine = CompiledEngine(folds_of("multiclass"), METRICS["log_loss"])
    together = engine.start([Lane(specs[0], 2, 5), Lane(specs[1], 0, 6), Lane(specs[0], 1, 7)])
    assert len(together._blocks) == 1
    together.advance(2)
    alone = engine.start([Lane(specs[1], 0, 6)])
    alone.advance(2)
    for mine, theirs in zip(together.weights(1), alone.weights(0), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
