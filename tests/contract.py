"""What every engine guarantees (see `nas.engines.lanes`), as tests that any engine can be bound to.

class TestMyEngine(EngineContract):
    engine_class = MyEngine
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from keras_reference import keras_fit, keras_steps
from sklearn import datasets
from sklearn.metrics import log_loss, mean_pinball_loss, root_mean_squared_error

from nas.encoding import FoldData
from nas.engines.examination import Snapshots, examine
from nas.engines.lanes import Engine, Lanes, lane_seed, trial_lanes, trial_result
from nas.metrics import METRICS, get_metric
from nas.models.initializers import initial_weights
from nas.models.network import build_model
from nas.models.steps import encode_labels
from nas.models.training import make_loss
from nas.spec import Architecture, Problem, TrialResult, TrialSpec

# What a specification has where a test does not say otherwise.
PLAIN: dict[str, Any] = {
    "units": (8,),
    "activation": "tanh",
    "normalization": "none",
    "residual": False,
    "dropout": 0.0,
    "initializer": "glorot_uniform",
    "bias_initializer": "zeros",
    "output_initializer": "glorot_uniform",
    "convolutions": (),
    "spatial_dropout": 0.0,
    "normalization_momentum": 0.99,
    "scaling": "data",
    "embedding": "none",
    "embedding_size": 3,
    "frequencies": 4,
    "frequency_scale": 0.5,
    "bins": 5,
    "members": 1,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "schedule": "constant",
    "warmup": 0.0,
    "decay_to": 0.01,
    "momentum": 0.0,
    "nesterov": False,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "rho": 0.9,
    "epsilon": 1e-7,
    "initial_accumulator": 0.1,
    "weight_decay": 0.0,
    "l1": 0.0,
    "l2": 0.0,
    "label_smoothing": 0.0,
    "clip_norm": 0.0,
    "batch_size": 32,
    "epochs": 7,
    "early_stopping": 0,
    "steps": 0,
    "loss": "auto",
    "shift": 0.0,
    "rotation": 0.0,
    "zoom": 0.0,
    "flip": "none",
}
SOURCES = {"multiclass": "digits", "binary": "breast_cancer", "regression": "diabetes"}
METRIC = {"multiclass": "log_loss", "binary": "log_loss", "regression": "rmse"}
FOLD_ROWS = ((200, 60), (163, 71), (131, 83))  # training and validation rows


@cache
def folds_of(task: Any) -> tuple[FoldData, ...]:
    """Three folds of real data, of different size."""
    x, y = getattr(datasets, f"load_{SOURCES[task]}")(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))[:320]
    x, y = x[rows], y[rows]
    x = ((x - x.mean(axis=0)) / (x.std(axis=0) + 1e-3)).astype(np.float32)
    folds = []
    for number, (n_train, n_val) in enumerate(FOLD_ROWS):
        train = np.arange(10 * number, 10 * number + n_train)
        val = np.arange(220, 220 + n_val)
        mean, scale = 0.0, 1.0
        if task == "regression":
            mean, scale = float(y[train].mean()), float(y[train].std())
        folds.append(FoldData(task, x[train], y[train], x[val], y[val], mean, scale))
    return tuple(folds)


def without_val(fold: FoldData) -> FoldData:
    return replace(fold, x_val=fold.x_val[:0], y_val=fold.y_val[:0])


def make_spec(task: Any, **changes: Any) -> TrialSpec:
    values = PLAIN | changes
    assert len(values) == len(PLAIN), "a test named an unknown field"
    architecture = {f.name: values[f.name] for f in fields(Architecture) if f.name != "network"}
    n_outputs = 10 if task == "multiclass" else 1
    image_shape = (8, 8, 1) if task == "multiclass" else ()
    n_inputs = folds_of(task)[0].x_train.shape[1]
    problem = Problem(task, n_inputs, n_outputs, image_shape, n_numbers=n_inputs - 2)
    return TrialSpec.from_dict(
        {
            "problem": {f.name: getattr(problem, f.name) for f in fields(Problem)},
            "architecture": {"network": "cnn" if values["convolutions"] else "mlp", **architecture},
            "training": {k: v for k, v in values.items() if k not in architecture},
        }
    )


# Running


class Cohort:
    """Trials on all folds of an engine, one after another in its list of lanes."""

    def __init__(self, engine: Engine, specs: Sequence[TrialSpec], seeds: Sequence[int]) -> None:
        self.n_folds, self.n_trials = len(engine.folds), len(specs)
        of_trials = [trial_lanes(*one, self.n_folds) for one in zip(specs, seeds, strict=True)]
        self.lanes: Lanes = engine.start([lane for lanes in of_trials for lane in lanes])

    def advance(self, epochs: int = 1) -> np.ndarray:
        """Scores after the last of these epochs, (n_trials, n_folds)."""
        scores = self.lanes.advance(epochs)
        assert scores.shape == (self.n_trials * self.n_folds, epochs)
        return scores[:, -1].reshape(self.n_trials, self.n_folds)

    def running(self) -> np.ndarray:
        """Trials that have a lane left to train, (n_trials,)."""
        return self.lanes.running().reshape(self.n_trials, self.n_folds).any(axis=1)

    def keep(self, mask: Any) -> None:
        for trial in np.flatnonzero(~np.asarray(mask, bool)):
            self.lanes.drop(list(range(trial * self.n_folds, (trial + 1) * self.n_folds)))

    def finish(self) -> list[TrialResult]:
        results = self.lanes.results()
        starts = range(0, len(results), self.n_folds)
        return [trial_result(results[start : start + self.n_folds]) for start in starts]

    def weights(self, trial: int, fold: int) -> list[np.ndarray]:
        return self.lanes.weights(trial * self.n_folds + fold)


@dataclass
class Trained:
    """Everything that a cohort tells."""

    scores: list[np.ndarray]  # after each epoch, (n_trials, n_folds)
    running: list[np.ndarray]
    results: list[TrialResult]
    weights: list[list[list[np.ndarray]]]  # by trial and fold


def train(cohort: Cohort) -> Trained:
    scores, running = [], []
    while cohort.running().any():
        scores.append(cohort.advance())
        running.append(cohort.running())
        assert len(scores) <= 100, "a cohort does not end"
    return collect(cohort, scores, running)


def collect(cohort: Cohort, scores: Any = (), running: Any = ()) -> Trained:
    results = cohort.finish()
    weights = [
        [cohort.weights(trial, fold) for fold in range(len(result.epochs))]
        for trial, result in enumerate(results)
    ]
    return Trained(list(scores), list(running), results, weights)


def assert_same_weights(
    actual: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float
) -> None:
    """Each array agrees within the tolerance, relative to its norm."""
    assert [w.shape for w in actual] == [w.shape for w in expected]
    for number, (a, e) in enumerate(zip(actual, expected, strict=True)):
        # A bias before batch normalization has no gradient but noise, and stays near 0.
        error = np.linalg.norm(a - e) / max(np.linalg.norm(e), 0.1)
        assert error <= tolerance, f"weight {number}, shape {e.shape}: off by {error:.2g}"


def weights_differ(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return all(np.linalg.norm(v - w) > 1e-3 for v, w in zip(a, b, strict=True) if v.ndim == 2)


def assert_same_trial(
    actual: Trained, i: int, expected: Trained, j: int, tolerance: float, folds: Any = None
) -> None:
    """Trial `i` of one run is trial `j` of another, on the given folds."""
    a, e = actual.results[i], expected.results[j]
    for fold in range(len(a.epochs)) if folds is None else folds:
        assert a.epochs[fold] == e.epochs[fold]
        ran = e.epochs[fold]
        for column in ("fold_values", "train_values"):
            np.testing.assert_allclose(
                getattr(a, column)[fold], getattr(e, column)[fold], rtol=tolerance
            )
        np.testing.assert_allclose(
            np.array(a.curves.train_loss)[:ran, fold],
            np.array(e.curves.train_loss)[:ran, fold],
            rtol=tolerance,
        )
        assert_same_weights(actual.weights[i][fold], expected.weights[j][fold], tolerance)


ADAM = {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}
SGD = {"optimizer": "sgd", "learning_rate": 0.05}
# Each tells what it adds to the plain network; tracing takes long, so some add two things.
AGREEMENT: dict[str, tuple[str, dict[str, Any]]] = {
    "adam": ("multiclass", {"optimizer": "adam", **ADAM}),
    "adamw": ("multiclass", {"optimizer": "adamw", "weight_decay": 0.1, **ADAM}),
    "nadam": ("multiclass", {"optimizer": "nadam", **ADAM}),
    "rmsprop": (
        "multiclass",
        {"optimizer": "rmsprop", "rho": 0.8, "momentum": 0.7, "epsilon": 1e-4},
    ),
    "sgd": ("multiclass", {**SGD, "momentum": 0.8}),
    "sgd_nesterov": ("regression", {**SGD, "momentum": 0.8, "nesterov": True}),
    "adagrad": (
        "multiclass",
        {
            "optimizer": "adagrad",
            "learning_rate": 0.05,
            "initial_accumulator": 0.02,
            "epsilon": 1e-3,
        },
    ),
    "relu_l1": ("multiclass", {"activation": "relu", "l1": 0.003}),
    "gelu_l2": ("regression", {"activation": "gelu", "l2": 0.03}),
    "sigmoid_l1_l2": ("binary", {"activation": "sigmoid", "l1": 0.003, "l2": 0.01}),
    "elu_decay_of_adam": ("binary", {"activation": "elu", "weight_decay": 0.5}),
    "selu_decay_of_sgd": ("regression", {**SGD, "activation": "selu", "weight_decay": 0.2}),
    "silu_clip_norm": ("multiclass", {**SGD, "activation": "silu", "clip_norm": 0.5}),
    "leaky_relu_smoothing": ("multiclass", {"activation": "leaky_relu", "label_smoothing": 0.2}),
    "mish_flat_cosine_to_0": (
        "regression",
        {"activation": "mish", "schedule": "flat_cosine", "decay_to": 0.0, "epochs": 4},
    ),
    "periodic_adamw": (
        "regression",
        {"embedding": "periodic", "optimizer": "adamw", "weight_decay": 0.3, **ADAM},
    ),
    "piecewise_adamw": (
        "regression",
        {"embedding": "piecewise", "optimizer": "adamw", "weight_decay": 0.3, **ADAM},
    ),
    "periodic_clip_cos_log": (
        "binary",
        {
            "embedding": "periodic",
            "activation": "relu",
            "clip_norm": 0.3,
            "schedule": "cos_log",
            "decay_to": 0.1,
            "l2": 0.01,
        },
    ),
    "members_adamw": (
        "multiclass",
        {"members": 3, "units": (8, 6), "optimizer": "adamw", "weight_decay": 0.3, **ADAM},
    ),
    "members_batch_periodic": (
        "regression",
        {**SGD, "members": 2, "normalization": "batch", "embedding": "periodic", "l2": 0.01},
    ),
    "members_layer_smoothing": (
        "binary",
        {"members": 2, "normalization": "layer", "activation": "relu", "label_smoothing": 0.2},
    ),
    "softplus_smoothing": ("binary", {"activation": "softplus", "label_smoothing": 0.2}),
    "linear_cosine": (
        "regression",
        {"activation": "linear", "schedule": "cosine", "decay_to": 0.1},
    ),
    "cosine_warmup": ("multiclass", {"schedule": "cosine", "decay_to": 0.1, "warmup": 0.3}),
    "exponential": ("binary", {"schedule": "exponential", "decay_to": 0.02}),
    "batch": ("multiclass", {**SGD, "units": (8, 6), "normalization": "batch"}),
    "layer_decay": (
        "binary",
        {**SGD, "units": (8, 6), "normalization": "layer", "weight_decay": 0.2},
    ),
    "residual": ("multiclass", {"units": (8, 8, 8), "residual": True}),
    "residual_widths": (
        "regression",
        {
            **SGD,
            "units": (5, 9, 4),
            "residual": True,
            "normalization": "batch",
            "normalization_momentum": 0.8,
        },
    ),
    "absolute_full_batch": ("regression", {**SGD, "loss": "absolute", "batch_size": 0}),
    "no_hidden_layer_one_batch_warmup": (
        "regression",
        {"units": (), "batch_size": 500, "epochs": 25, "warmup": 0.4},
    ),
}

# What `make test` runs of these; `make test-all` runs all.
QUICK = {
    "adam", "sgd_nesterov", "relu_l1", "sigmoid_l1_l2", "silu_clip_norm", "cosine_warmup", "batch",
    "layer_decay", "residual_widths", "relu_batch", "leaky_relu_tied_logits",
    "relu_layer_absolute", "poolings_l2", "periodic_adamw", "piecewise_adamw", "members_adamw",
}  # fmt: skip


def some_slow(cases: Mapping[str, Any]) -> list[Any]:
    """Cases as parameters, those that are not quick with a mark."""
    slow = pytest.mark.slow
    return [pytest.param(case, marks=() if case in QUICK else slow) for case in cases]


# Networks that start from constants: units are 0, or alike, and activations and losses stand at
# their kinks and ties.
CONSTANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("multiclass", {"activation": "relu", "initializer": "constant(0)"}),
    "relu_batch": (
        "binary",
        {
            "activation": "relu",
            "initializer": "constant(0)",
            "bias_initializer": "constant(0.5)",
            "normalization": "batch",
        },
    ),
    "leaky_relu_tied_logits": (
        "multiclass",
        {
            **SGD,
            "activation": "leaky_relu",
            "initializer": "constant(0)",
            "bias_initializer": "zeros",
            "output_initializer": "constant(0.3)",
        },
    ),
    "selu_logit_of_0": (
        "binary",
        {**SGD, "activation": "selu", "initializer": "constant(0)", "output_initializer": "same"},
    ),
    "elu_logistic_logits_of_0": (
        "multiclass",
        {"activation": "elu", "output_initializer": "constant(0)", "loss": "logistic"},
    ),
    "softplus_biases": (
        "binary",
        {
            "activation": "softplus",
            "initializer": "constant(-0.01)",
            "bias_initializer": "constant(0.5)",
            "output_initializer": "same",
        },
    ),
    "gelu_residual_huber": (
        "regression",
        {
            **SGD,
            "units": (6, 6),
            "activation": "gelu",
            "residual": True,
            "initializer": "constant(0.05)",
            "loss": "huber",
        },
    ),
    "relu_layer_absolute": (
        "regression",
        {
            **SGD,
            "activation": "relu",
            "normalization": "layer",
            "initializer": "constant(0.1)",
            "loss": "absolute",
        },
    ),
}

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "poolings_l2": {
        "convolutions": ("4c3", "mp2", "5c3s2", "ap2"),
        "units": (6,),
        "activation": "relu",
        "l2": 0.01,
    },
    "blocks_batch": {
        "normalization_momentum": 0.7,
        **SGD,
        "convolutions": ("3c3", "5r3s2", "4r3", "gap"),
        "units": (),
        "normalization": "batch",
    },
    "equal_maxima_of_constants": {
        "convolutions": ("3c3", "mp2"),
        "units": (4,),
        "activation": "relu",
        "initializer": "constant(0.05)",
        "output_initializer": "constant(0.1)",
        "bias_initializer": "constant(0.01)",
    },
}
AUGMENTED = {"shift": 0.2, "rotation": 15.0, "zoom": 0.1, "flip": "horizontal"}

DROPOUT_UNITS = 900

# Three trials that differ in nearly everything.
COMPANY = (
    make_spec("multiclass", activation="relu", dropout=0.3, epochs=4),
    make_spec(
        "multiclass",
        units=(7, 6),
        normalization="batch",
        dropout=0.2,
        optimizer="sgd",
        learning_rate=0.3,
        momentum=0.5,
        epochs=9,
        early_stopping=1,
    ),
    make_spec(
        "multiclass",
        units=(),
        optimizer="rmsprop",
        label_smoothing=0.1,
        schedule="cosine",
        batch_size=16,
        epochs=2,
    ),
)
SEEDS = (3, 14, 15)


class EngineContract:
    """The guarantees; a subclass names the engine."""

    engine_class: type[Engine]
    tolerance = 1e-5  # between a lane in different company, relative

    @classmethod
    def start(
        cls, folds: Sequence[FoldData], specs: Sequence[TrialSpec], seeds: Sequence[int]
    ) -> Cohort:
        metric = METRICS[METRIC[folds[0].task]]
        return Cohort(cls.engine_class(folds, metric), specs, seeds)

    @pytest.fixture(scope="class")
    @classmethod
    def company(cls) -> Trained:
        """The three trials, trained together on three folds."""
        return train(cls.start(folds_of("multiclass"), COMPANY, SEEDS))

    # Shapes and ends

    def test_scores_are_by_trial_and_fold(self, company: Trained) -> None:
        assert all(scores.shape == (3, 3) for scores in company.scores)
        assert all(scores.dtype == np.float64 for scores in company.scores)
        assert all(running.shape == (3,) for running in company.running)
        assert all(running.dtype == bool for running in company.running)
        assert np.isfinite(company.scores).all()

    def test_each_trial_runs_its_own_epochs(self, company: Trained) -> None:
        ran = [max(result.epochs) for result in company.results]
        assert (ran[0], ran[2]) == (4, 2)
        for epoch, running in enumerate(company.running, start=1):
            assert running.tolist() == [epoch < n for n in ran]

    def test_results_have_a_value_for_each_fold(self, company: Trained) -> None:
        assert len(company.results) == 3
        for trial, result in enumerate(company.results):
            assert result.fold_values == tuple(company.scores[-1][trial])
            assert len(result.train_values) == len(result.epochs) == 3
            assert np.shape(result.curves.train_loss) == (max(result.epochs), 3)
            assert result.seconds > 0

    def test_losses_end_with_their_fold(self, company: Trained) -> None:
        for result in company.results:
            for fold, ran in enumerate(result.epochs):
                finite = np.isfinite([row[fold] for row in result.curves.train_loss])
                assert finite.tolist() == [epoch < ran for epoch in range(len(finite))]

    @pytest.mark.parametrize("task", SOURCES)
    def test_curves_hold_validation_scores_and_losses(self, task: str) -> None:
        spec = make_spec(task, epochs=3, l2=0.1, dropout=0.3)
        folds = folds_of(task)
        trained = train(self.start(folds, [spec], [4]))
        curves = trained.results[0].curves
        np.testing.assert_array_equal(curves.val_value, [scores[0] for scores in trained.scores])
        for number, fold in enumerate(folds):
            model = build_model(make_spec(task))  # without penalties
            model.set_weights(trained.weights[0][number])
            targets = encode_labels(spec.problem, fold.y_val, fold.target_mean, fold.target_scale)
            outputs = model.predict(fold.x_val, verbose=0)
            loss = make_loss(spec.problem, spec.training)(targets, outputs)
            assert curves.val_loss[-1][number] == pytest.approx(float(loss), rel=1e-4)

    def test_logarithms_are_learned_and_amounts_scored(self) -> None:
        spec = make_spec("regression", epochs=2)
        folds = []
        for fold in folds_of("regression"):
            logs = np.log(fold.y_train + 3.0)
            folds.append(
                replace(
                    fold,
                    log_shift=3.0,
                    target_mean=float(logs.mean()),
                    target_scale=float(logs.std()),
                    target_bounds=(float(logs.min()), float(logs.max())),
                )
            )
        trained = train(self.start(tuple(folds), [spec], [4]))
        for number, fold in enumerate(folds):
            model = build_model(spec)
            model.set_weights(trained.weights[0][number])
            outputs = model.predict(fold.x_val, verbose=0)[:, 0]
            logs = np.clip(outputs * fold.target_scale + fold.target_mean, *fold.target_bounds)
            error = np.exp(logs) - 3.0 - fold.y_val
            rmse = float(np.sqrt(np.mean(error**2)))
            assert trained.results[0].fold_values[number] == pytest.approx(rmse, rel=1e-4)
            targets = (np.log(fold.y_val + 3.0) - fold.target_mean) / fold.target_scale
            scaled = (logs - fold.target_mean) / fold.target_scale
            loss = float(np.mean((scaled - targets) ** 2))
            assert trained.results[0].curves.val_loss[-1][number] == pytest.approx(loss, rel=1e-4)

    def test_examines_the_first_folds_weights_at_four_moments(self) -> None:
        spec = make_spec("multiclass", units=(9, 6), epochs=4, residual=True)
        folds = folds_of("multiclass")
        cohort = self.start(folds, [spec], [3])
        weights = [cohort.weights(0, 0)]
        while cohort.running().any():
            cohort.advance()
            weights.append(cohort.weights(0, 0))
        snapshots = Snapshots(weights[0], weights[1], weights[-2], weights[-1])
        expected = examine(spec, folds[0], 4, snapshots)
        actual = cohort.finish()[0].examination
        assert expected is not None and actual is not None
        assert actual.to_dict() == expected.to_dict()
        assert actual.first_step != actual.last_step

    def test_scores_of_ended_trials_stay(self, company: Trained) -> None:
        for scores in company.scores[2:]:
            np.testing.assert_array_equal(scores[2], company.scores[1][2])

    def test_training_lowers_the_loss(self, company: Trained) -> None:
        for result in company.results:
            # A fold that stopped early has no loss at the end.
            assert np.nanmin(result.curves.train_loss[-1]) < min(result.curves.train_loss[0])

    def test_advancing_past_the_end_changes_nothing(self) -> None:
        cohort = self.start(folds_of("regression")[:2], [make_spec("regression", epochs=2)], [5])
        last = cohort.advance(2)
        assert not cohort.running().any()
        before = collect(cohort)
        np.testing.assert_array_equal(cohort.advance(3), last)
        after = collect(cohort)
        assert_same_trial(after, 0, before, 0, tolerance=0.0)
        assert after.results[0].curves.train_loss == before.results[0].curves.train_loss
        assert not cohort.running().any()

    def test_many_epochs_at_once_are_as_one_by_one(self, company: Trained) -> None:
        cohort = self.start(folds_of("multiclass"), COMPANY, SEEDS)
        assert not np.allclose(cohort.advance(2), company.scores[0], rtol=self.tolerance)
        scores = cohort.advance(100)
        np.testing.assert_allclose(scores, company.scores[-1], rtol=self.tolerance)
        assert not cohort.running().any()
        trained = collect(cohort)
        for trial in range(3):
            assert_same_trial(trained, trial, company, trial, self.tolerance)

    # Agreement with Keras

    @pytest.mark.parametrize("case", some_slow(AGREEMENT))
    def test_agrees_with_fit(self, case: str) -> None:
        task, changes = AGREEMENT[case]
        spec = make_spec(task, **changes)
        fold = without_val(folds_of(task)[0])  # whose score is another test's business
        cohort = self.start([fold], [spec], [11])
        initial = cohort.weights(0, 0)
        trained = train(cohort)
        weights, losses = keras_fit(spec, fold, lane_seed(11, 0), initial)
        first = 2 if spec.architecture.embedding == "piecewise" else 0  # behind what stays
        assert weights_differ(weights[first:], initial[first:])
        assert_same_weights(trained.weights[0][0], weights, 1e-4)
        np.testing.assert_allclose(
            [row[0] for row in trained.results[0].curves.train_loss], losses, rtol=1e-4
        )

    def test_a_network_sees_the_numbers_in_its_own_scaling(self) -> None:
        plain = folds_of("regression")[:2]
        other = [replace(f, x_train=f.x_train**3, x_val=f.x_val**3) for f in plain]
        rows = [{"robust": (f.x_train, f.x_val)} for f in other]
        both = [replace(f, otherwise=r) for f, r in zip(plain, rows, strict=True)]
        spec = make_spec("regression", scaling="robust", epochs=2)
        as_data = make_spec("regression", epochs=2)
        found = train(self.start(both, [spec, as_data], [3, 3]))
        scaled, unscaled = (train(self.start(f, [as_data], [3])) for f in (other, plain))
        assert_same_trial(found, 0, scaled, 0, self.tolerance)
        assert_same_trial(found, 1, unscaled, 0, self.tolerance)
        assert weights_differ(found.weights[0][0], found.weights[1][0])

    @pytest.mark.parametrize("case", some_slow(CONSTANTS))
    def test_agrees_with_fit_from_constants(self, case: str) -> None:
        task, changes = CONSTANTS[case]
        spec = make_spec(task, **changes, epochs=3)
        fold = without_val(folds_of(task)[0])
        cohort = self.start([fold], [spec], [11])
        initial = cohort.weights(0, 0)
        assert_same_weights(initial, initial_weights(spec, lane_seed(11, 0)), 0.0)
        trained = train(cohort)
        weights, losses = keras_fit(spec, fold, lane_seed(11, 0), initial)
        assert any(np.linalg.norm(a - b) > 1e-3 for a, b in zip(weights, initial, strict=True))
        assert_same_weights(trained.weights[0][0], weights, 1e-4)
        np.testing.assert_allclose(
            [row[0] for row in trained.results[0].curves.train_loss], losses, rtol=1e-4
        )

    @pytest.mark.parametrize("case", ["adam", "batch", "sigmoid_l1_l2"])
    def test_rows_that_count_differently_agree_with_fit(self, case: str) -> None:
        task, changes = AGREEMENT[case]
        spec = make_spec(task, **changes)
        plain = without_val(folds_of(task)[0])
        weights = np.random.default_rng(0).gamma(0.5, 2.0, len(plain.y_train)).astype(np.float32)
        fold = replace(plain, weights=weights / weights.mean())
        cohort = self.start([fold], [spec], [11])
        initial = cohort.weights(0, 0)
        trained = train(cohort)
        expected, losses = keras_fit(spec, fold, lane_seed(11, 0), initial)
        assert_same_weights(trained.weights[0][0], expected, 1e-4)
        np.testing.assert_allclose(
            [row[0] for row in trained.results[0].curves.train_loss], losses, rtol=1e-4
        )
        unweighted = train(self.start([plain], [spec], [11]))
        assert weights_differ(unweighted.weights[0][0], trained.weights[0][0])

    @pytest.mark.parametrize(
        "changes", [{}, {"loss": "huber"}, {"loss": "absolute"}, {"members": 2}], ids=str
    )
    def test_several_targets_agree_with_fit(self, changes: dict[str, Any]) -> None:
        plain = folds_of("regression")[0]

        def both(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return np.stack([y, 0.01 * y * x[:, 2] - 3.0], axis=1)

        y, y_val = both(plain.x_train, plain.y_train), both(plain.x_val, plain.y_val)
        mean, scale = y.mean(axis=0), y.std(axis=0)
        bounds = (y.min(axis=0), y.max(axis=0))
        fold = replace(plain, y_train=y, y_val=y_val, target_mean=mean, target_scale=scale)
        spec = make_spec("regression", epochs=3, **changes)
        spec = replace(spec, problem=replace(spec.problem, n_outputs=2))
        cohort = self.start([replace(fold, target_bounds=bounds)], [spec], [11])
        initial = cohort.weights(0, 0)
        trained = train(cohort)
        weights, losses = keras_fit(spec, fold, lane_seed(11, 0), initial)
        assert_same_weights(trained.weights[0][0], weights, 1e-4)
        found = trained.results[0]
        np.testing.assert_allclose([row[0] for row in found.curves.train_loss], losses, rtol=1e-4)
        model = build_model(spec)
        model.set_weights(weights)
        outputs = model.predict(fold.x_val, verbose=0).reshape(len(y_val), -1, 2).mean(axis=1)
        predicted = np.clip(outputs * scale + mean, *bounds)
        rmse = np.sqrt(((predicted - y_val) ** 2).mean(axis=0)).mean()
        assert found.fold_values[0] == pytest.approx(rmse, rel=1e-3)

    @pytest.mark.parametrize("members", [1, 2])
    def test_quantiles_agree_with_fit(self, members: int) -> None:
        wanted = (0.1, 0.5, 0.8)
        fold = replace(folds_of("regression")[0], quantiles=wanted)
        spec = make_spec("regression", epochs=3, members=members)
        spec = replace(spec, problem=replace(spec.problem, n_outputs=3, quantiles=wanted))
        metric = get_metric(None, "regression", quantiles=wanted)
        cohort = Cohort(self.engine_class([fold], metric), [spec], [11])
        initial = cohort.weights(0, 0)
        trained = train(cohort)
        weights, losses = keras_fit(spec, fold, lane_seed(11, 0), initial)
        assert_same_weights(trained.weights[0][0], weights, 1e-4)
        found = trained.results[0]
        np.testing.assert_allclose([row[0] for row in found.curves.train_loss], losses, rtol=1e-4)
        model = build_model(spec)
        model.set_weights(weights)
        outputs = model.predict(fold.x_val, verbose=0).reshape(len(fold.y_val), -1, 3).mean(axis=1)
        values = np.maximum.accumulate(outputs * fold.target_scale + fold.target_mean, axis=1)
        columns = zip(wanted, values.T, strict=True)
        means = [mean_pinball_loss(fold.y_val, column, alpha=q) for q, column in columns]
        assert found.fold_values[0] == pytest.approx(np.mean(means), rel=1e-4)

    def test_a_norm_that_overflows_diverges_with_clipping_too(self) -> None:
        fold = folds_of("regression")[0]
        huge = replace(fold, x_train=fold.x_train * np.float32(1e22))
        spec = make_spec("regression", units=(), loss="absolute", clip_norm=1.0, epochs=3)
        trained = train(self.start([huge], [spec], [1]))
        weights = trained.weights[0][0]
        assert np.isnan(weights[0]).all(), "Keras scales such a gradient by NaN"

    def test_every_fold_agrees_with_fit(self) -> None:
        spec = make_spec("regression", epochs=4, schedule="cosine", warmup=0.2, momentum=0.6, **SGD)
        folds = folds_of("regression")
        cohort = self.start(folds, [spec], [2])
        initial = [cohort.weights(0, fold) for fold in range(3)]
        trained = train(cohort)
        for number, fold in enumerate(folds):
            weights, losses = keras_fit(spec, fold, lane_seed(2, number), initial[number])
            assert_same_weights(trained.weights[0][number], weights, 1e-4)
            np.testing.assert_allclose(
                [row[number] for row in trained.results[0].curves.train_loss], losses, rtol=1e-4
            )

    def test_a_budget_of_steps_ends_within_an_epoch(self) -> None:
        spec = make_spec(
            "multiclass",
            **SGD,
            momentum=0.5,
            normalization="batch",
            loss="logistic",
            label_smoothing=0.2,
            schedule="cosine",
            epochs=13,
            steps=13,
        )
        folds = folds_of("multiclass")[::2]
        cohort = self.start(folds, [spec], [8])
        initial = [cohort.weights(0, fold) for fold in range(2)]
        trained = train(cohort)
        result = trained.results[0]
        assert result.epochs == (2, 3)  # of 7 and 5 steps
        assert result.examination is not None and result.examination.n_steps == 13
        for number, fold in enumerate(folds):
            weights, losses = keras_steps(spec, fold, lane_seed(8, number), initial[number])
            assert_same_weights(trained.weights[0][number], weights, 1e-4)
            found = [row[number] for row in result.curves.train_loss[: result.epochs[number]]]
            np.testing.assert_allclose(found, losses, rtol=1e-4)
            model = build_model(spec)
            model.set_weights(weights)
            outputs = np.asarray(model(fold.x_val, training=False), np.float64)
            sigmoids = 1.0 / (1.0 + np.exp(-outputs))
            p = sigmoids / sigmoids.sum(axis=1, keepdims=True)
            expected = log_loss(fold.y_val, p, labels=np.arange(10))
            np.testing.assert_allclose(result.fold_values[number], expected, rtol=1e-3)

    # Seeds and company

    def test_weights_begin_as_initial_weights(self) -> None:
        specs = [COMPANY[1], make_spec("multiclass", units=(4,), initializer="orthogonal")]
        cohort = self.start(folds_of("multiclass")[:2], specs, [8, 9])
        for trial, (spec, seed) in enumerate(zip(specs, (8, 9), strict=True)):
            for fold in range(2):
                expected = initial_weights(spec, lane_seed(seed, fold))
                assert_same_weights(cohort.weights(trial, fold), expected, 0.0)

    @pytest.mark.parametrize("trial", range(3))
    def test_a_trial_alone_is_the_same_trial(self, company: Trained, trial: int) -> None:
        alone = train(self.start(folds_of("multiclass"), [COMPANY[trial]], [SEEDS[trial]]))
        assert_same_trial(alone, 0, company, trial, self.tolerance)

    def test_a_fold_beside_other_folds_is_the_same_fold(self, company: Trained) -> None:
        first, second, third = folds_of("multiclass")
        fewer = train(self.start([third, second], COMPANY[1:2], SEEDS[1:2]))
        assert_same_trial(fewer, 0, company, 1, self.tolerance, folds=[1])
        assert weights_differ(fewer.weights[0][0], company.weights[1][0])
        only = train(self.start([first], COMPANY[1:2], SEEDS[1:2]))
        assert_same_trial(only, 0, company, 1, self.tolerance)

    def test_another_cohort_in_between_changes_nothing(self, company: Trained) -> None:
        folds = folds_of("multiclass")
        cohort = self.start(folds, COMPANY[:1], SEEDS[:1])
        cohort.advance()
        train(self.start(folds[:1], [make_spec("multiclass", dropout=0.1, epochs=1)], [99]))
        assert_same_trial(train(cohort), 0, company, 0, self.tolerance)

    def test_looking_at_a_cohort_changes_nothing(self, company: Trained) -> None:
        cohort = self.start(folds_of("multiclass"), COMPANY[1:2], SEEDS[1:2])
        while cohort.running().any():
            collect(cohort)
            cohort.advance()
        assert_same_trial(collect(cohort), 0, company, 1, self.tolerance)

    def test_seeds_make_the_difference(self) -> None:
        fold = folds_of("multiclass")[0]
        spec = make_spec("multiclass", dropout=0.3, epochs=2)
        trained = train(self.start([fold, fold], [spec, spec, spec], [1, 1, 2]))
        assert_same_trial(trained, 0, trained, 1, self.tolerance)  # one seed
        assert weights_differ(trained.weights[0][0], trained.weights[2][0])  # another seed
        assert weights_differ(trained.weights[0][0], trained.weights[0][1])  # another fold
        values = [v for result in trained.results[1:] for v in result.fold_values]
        assert len(set(values)) == 4

    # Dropping trials

    def test_dropped_trials_freeze_and_the_others_go_on(self, company: Trained) -> None:
        cohort = self.start(folds_of("multiclass"), COMPANY, SEEDS)
        scores = cohort.advance(1)
        at_drop = collect(cohort)
        cohort.keep([False, True, True])
        assert cohort.running().tolist() == [False, True, True]
        np.testing.assert_array_equal(cohort.advance()[0], scores[0])
        cohort.keep(np.array([True, True, True]))  # does not bring anyone back
        assert not cohort.running()[0]
        trained = train(cohort)
        np.testing.assert_array_equal(trained.scores[-1][0], scores[0])
        assert len(trained.results) == 3
        assert trained.results[0].epochs == (1, 1, 1)
        assert np.shape(trained.results[0].curves.train_loss) == (1, 3)
        assert_same_trial(trained, 0, at_drop, 0, tolerance=self.tolerance)
        for survivor in (1, 2):
            assert_same_trial(trained, survivor, company, survivor, self.tolerance)

    def test_a_cohort_without_survivors_stands_still(self) -> None:
        cohort = self.start(folds_of("binary")[:1], [make_spec("binary")], [4])
        scores = cohort.advance()
        cohort.keep([False])
        assert not cohort.running().any()
        np.testing.assert_array_equal(cohort.advance(5), scores)
        assert cohort.finish()[0].epochs == (1,)

    # Dropout

    def test_dropout_draws_for_each_lane_epoch_layer_and_row(self) -> None:
        rate = 0.3
        # A unit dropped in a step of one row gets no gradient in its outgoing weights, so that
        # the step itself shows who was dropped. Sigmoid units are never 0 by themselves.
        data = folds_of("binary")[0]
        one, eight = (
            replace(data, x_train=data.x_train[:n], y_train=data.y_train[:n]) for n in (1, 8)
        )
        spec = make_spec(
            "binary",
            units=(DROPOUT_UNITS, DROPOUT_UNITS),
            activation="sigmoid",
            dropout=rate,
            optimizer="sgd",
            learning_rate=1e-3,  # small, or the second step would have no gradient left
            epochs=2,
        )
        cohort = self.start([one, one, eight], [spec, spec], [1, 2])
        dropped: dict[Any, np.ndarray] = {}
        kernels = {}
        for epoch in range(3):
            for lane in ((0, 0), (0, 1), (0, 2), (1, 0)):
                for layer, position in ((1, 2), (2, 4)):
                    kernel = cohort.weights(*lane)[position]
                    assert kernel.shape[0] == DROPOUT_UNITS
                    if epoch:
                        still = (kernel == kernels[lane, layer]).all(axis=1)
                        dropped[lane, layer, epoch] = still
                    kernels[lane, layer] = kernel
            cohort.advance()
        masks = [mask for (lane, *_), mask in dropped.items() if lane[1] != 2]
        assert len(masks) == 12
        spread = 4.5 / np.sqrt(DROPOUT_UNITS)
        for mask in masks:
            assert abs(mask.mean() - rate) < spread * np.sqrt(rate * (1 - rate))
        agree = rate**2 + (1 - rate) ** 2
        for a, b in combinations(masks, 2):
            assert abs((a == b).mean() - agree) < spread * np.sqrt(agree * (1 - agree))
        for (lane, *_), mask in dropped.items():
            if lane[1] == 2:  # hardly a unit is dropped in all eight rows
                assert mask.mean() < 0.01

    def test_dropout_scales_up_what_it_keeps(self) -> None:
        # E[loss] = loss without dropout + p / (1 - p) * mean of the squared terms of the output.
        fold = folds_of("regression")[0]
        rate, units = 0.4, 64
        spec = make_spec(
            "regression",
            units=(units,),
            activation="sigmoid",
            dropout=rate,
            optimizer="sgd",
            learning_rate=1e-12,
            batch_size=50,
            epochs=60,
        )
        cohort = self.start([fold], [spec], [6])
        kernel, bias, out, out_bias = cohort.weights(0, 0)
        terms = out[:, 0] / (1.0 + np.exp(-(fold.x_train @ kernel + bias)))
        y = (fold.y_train - fold.target_mean) / fold.target_scale
        plain = np.mean((terms.sum(axis=1) + out_bias[0] - y) ** 2)
        expected = rate / (1 - rate) * np.mean(np.sum(terms**2, axis=1))
        losses = np.array(train(cohort).results[0].curves.train_loss)[:, 0]
        error = losses.std(ddof=1) / np.sqrt(len(losses))
        assert expected > 10 * error
        assert abs(losses.mean() - plain - expected) < 4 * error

    # Early stopping and divergence

    def test_early_stopping_counts_from_the_last_lower_loss(self) -> None:
        patience = 3
        spec = make_spec(
            "multiclass",
            dropout=0.5,
            learning_rate=0.1,
            epochs=60,
            early_stopping=patience,
        )
        trained = train(self.start(folds_of("multiclass"), [spec], [2]))
        ends = set()
        for result in trained.results:
            for fold, ran in enumerate(result.epochs):
                losses = np.array(result.curves.train_loss)[:, fold]
                assert ran == 1 + np.nanargmin(losses[:ran]) + patience
                assert np.isnan(losses[ran:]).all()
                best_yet = np.minimum.accumulate(losses[:ran])
                improved = np.flatnonzero(np.diff(best_yet, prepend=np.inf) < 0)
                assert np.diff(improved).max() <= patience  # it did not stop too late
                ends.add(ran)
        assert max(ends) < 60
        assert len(ends) > 1
        running = np.array(trained.running)
        for trial, result in enumerate(trained.results):
            assert running[:, trial].sum() == max(result.epochs) - 1
        # Where all epochs are one call, lanes stop within it.
        at_once = self.start(folds_of("multiclass"), [spec], [2])
        at_once.advance(100)
        assert at_once.lanes.epochs().tolist() == list(trained.results[0].epochs)
        assert_same_trial(collect(at_once), 0, trained, 0, self.tolerance)

    def test_no_early_stopping_runs_to_the_end(self) -> None:
        spec = make_spec("multiclass", dropout=0.5, learning_rate=0.1, epochs=20)
        result = train(self.start(folds_of("multiclass")[:1], [spec], [1])).results[0]
        losses = np.array(result.curves.train_loss)[:, 0]
        assert np.max(np.flatnonzero(np.diff(losses) > 0)) < 19  # it got worse in between
        assert (np.diff(losses) > 0).any()
        assert result.epochs == (20,)

    def test_a_diverged_trial_stops_and_leaves_its_neighbours(self) -> None:
        folds = folds_of("regression")[:2]
        calm = make_spec("regression", epochs=3)
        wild = make_spec("regression", optimizer="sgd", learning_rate=1e6, epochs=40)
        together = train(self.start(folds, [calm, wild, calm], [1, 2, 3]))
        diverged = together.results[1]
        assert np.isnan(diverged.fold_values).all()
        assert np.isnan(diverged.train_values).all()
        assert np.isnan(together.scores[-1][1]).all()
        assert max(diverged.epochs) < 10
        for fold, ran in enumerate(diverged.epochs):
            assert not np.isfinite(diverged.curves.train_loss[ran - 1][fold])
        alone = train(self.start(folds, [calm], [3]))
        assert_same_trial(together, 2, alone, 0, self.tolerance)
        for neighbour in (0, 2):
            assert together.results[neighbour].epochs == (3, 3)
            assert np.isfinite(together.results[neighbour].fold_values).all()

    def test_a_diverged_fold_leaves_the_other_folds(self) -> None:
        first, second, third = folds_of("regression")
        poisoned = replace(second, x_train=second.x_train * np.float32(1e30))
        spec = make_spec("regression", activation="relu", epochs=4, **SGD)
        mixed = train(self.start([first, poisoned, third], [spec], [1]))
        clean = train(self.start([first, second, third], [spec], [1]))
        assert np.isnan(mixed.results[0].fold_values[1])
        assert mixed.results[0].epochs == (4, 1, 4)
        assert_same_trial(mixed, 0, clean, 0, self.tolerance, folds=[0, 2])

    # Scores

    @pytest.mark.parametrize("task", SOURCES)
    def test_scores_are_the_metric_of_the_weights(self, task: str) -> None:
        folds = folds_of(task)[:2]
        spec = make_spec(task, **SGD, dropout=0.4, normalization="batch", epochs=2)
        cohort = self.start(folds, [spec], [21])
        for _ in range(2):
            scores = cohort.advance()[0]
            result = cohort.finish()[0]
            for number, fold in enumerate(folds):
                model = build_model(spec)
                model.set_weights(cohort.weights(0, number))
                assert scores[number] == result.fold_values[number]
                for x, y, value in (
                    (fold.x_val, fold.y_val, scores[number]),
                    (fold.x_train, fold.y_train, result.train_values[number]),
                ):
                    outputs = np.asarray(model(x, training=False), np.float64)
                    np.testing.assert_allclose(value, _score(fold, y, outputs), rtol=1e-4)

    def test_regression_is_scored_in_the_unit_of_the_target(self) -> None:
        fold = folds_of("regression")[0]
        result = train(self.start([fold], [make_spec("regression", epochs=3)], [1])).results[0]
        # The standardized target has a deviation of 1, this one of about 77.
        assert 30 < result.fold_values[0] < 3 * fold.y_val.std()
        assert 30 < result.train_values[0] < 3 * fold.y_train.std()

    def test_a_fold_without_validation_rows_trains_to_its_end(self) -> None:
        fold = folds_of("binary")[0]
        spec = make_spec("binary", epochs=3, dropout=0.2)
        trained = train(self.start([without_val(fold)], [spec], [1]))
        assert np.isnan(trained.scores).all()
        assert [running.tolist() for running in trained.running] == [[True], [True], [False]]
        result = trained.results[0]
        assert result.epochs == (3,)
        assert np.isnan(result.fold_values[0])
        assert np.isfinite(result.train_values[0])
        full = train(self.start([fold], [spec], [1]))
        assert_same_weights(trained.weights[0][0], full.weights[0][0], self.tolerance)


class ConvolutionContract(EngineContract):
    """The guarantees of an engine that trains convolutional networks, too."""

    @pytest.mark.parametrize("case", some_slow(CONVOLUTIONS))
    def test_convolutions_agree_with_fit(self, case: str) -> None:
        spec = make_spec("multiclass", **CONVOLUTIONS[case], epochs=3, batch_size=64)
        fold = without_val(folds_of("multiclass")[0])
        cohort = self.start([fold], [spec], [11])
        initial = cohort.weights(0, 0)
        assert_same_weights(initial, initial_weights(spec, lane_seed(11, 0)), 0.0)
        trained = train(cohort)
        weights, losses = keras_fit(spec, fold, lane_seed(11, 0), initial)
        assert all(np.linalg.norm(a - b) > 1e-3 for a, b in zip(weights, initial, strict=True)
                   if a.ndim > 1)  # fmt: skip
        assert_same_weights(trained.weights[0][0], weights, 1e-4)
        np.testing.assert_allclose(
            [row[0] for row in trained.results[0].curves.train_loss], losses, rtol=1e-4
        )

    @pytest.mark.long
    def test_augmentation_repeats_with_its_seed_in_any_company(self) -> None:
        changes = {"convolutions": ("4c3", "mp2"), "units": (5,), "epochs": 2, "batch_size": 64}
        spec = make_spec("multiclass", **changes, **AUGMENTED, spatial_dropout=0.3, dropout=0.2)
        first, second, _ = folds_of("multiclass")
        together = train(self.start([first, second], [spec, spec], [2, 1]))
        alone = train(self.start([first], [spec], [1]))
        assert_same_trial(alone, 0, together, 1, self.tolerance, folds=[0])
        kernels = [together.weights[trial][fold][0] for trial, fold in ((1, 0), (0, 0), (1, 1))]
        for other in kernels[1:]:  # another seed, another fold
            assert np.linalg.norm(other - kernels[0]) > 1e-3
        model = build_model(spec)
        for number, fold in enumerate((first, second)):
            model.set_weights(together.weights[1][number])
            for x, y, value in (
                (fold.x_val, fold.y_val, together.results[1].fold_values[number]),
                (fold.x_train, fold.y_train, together.results[1].train_values[number]),
            ):
                outputs = np.asarray(model(x, training=False), np.float64)
                np.testing.assert_allclose(value, _score(fold, y, outputs), rtol=1e-4)


def _score(fold: FoldData, y: np.ndarray, outputs: np.ndarray) -> float:
    """The metric in scikit-learn's words."""
    if fold.task == "regression":
        return root_mean_squared_error(y, outputs[:, 0] * fold.target_scale + fold.target_mean)
    if fold.task == "binary":
        return log_loss(y, 1.0 / (1.0 + np.exp(-outputs[:, 0])))
    e = np.exp(outputs)
    return log_loss(y, e / e.sum(axis=1, keepdims=True), labels=np.arange(10))
