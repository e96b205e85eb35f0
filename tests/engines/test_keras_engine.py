"""The plain engine: the contract, and what is its own."""

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.register_assert_rewrite("contract")

from contract import (  # noqa: E402
    COMPANY,
    SEEDS,
    Cohort,
    ConvolutionContract,
    folds_of,
    make_spec,
    train,
)

from nas.engines import keras_engine  # noqa: E402
from nas.engines.keras_engine import KerasEngine  # noqa: E402
from nas.metrics import METRICS  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def frozen_heap() -> Iterator[None]:
    """Spares the collections of garbage that Keras makes for each trial the imported modules."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class TestKerasEngine(ConvolutionContract):
    engine_class = KerasEngine


def test_is_named_for_the_records_of_a_study() -> None:
    assert KerasEngine(folds_of("binary"), METRICS["auc"]).name == "keras"


def test_a_trial_is_traced_once_for_folds_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[Any] = []

    def kept(build: Any) -> Any:
        def wrapper(*given: Any) -> Any:
            programs.append(build(*given))
            return programs[-1]

        return wrapper

    for name in ("_epoch_program", "_predict_program"):
        monkeypatch.setattr(keras_engine, name, kept(getattr(keras_engine, name)))
    folds = folds_of("multiclass")
    assert len({len(fold.y_train) for fold in folds}) == 3
    specs = COMPANY[:2]
    train(Cohort(KerasEngine(folds, METRICS["accuracy"]), specs, SEEDS[:2]))
    assert [p.experimental_get_tracing_count() for p in programs] == [1, 1, 1, 1]


def test_scores_do_not_depend_on_the_rows_predicted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec("regression", epochs=1)
    results = []
    for rows in (8192, 7):
        monkeypatch.setattr(keras_engine, "PREDICT_BATCH", rows)
        engine = KerasEngine(folds_of("regression")[:2], METRICS["r2"])
        results.append(train(Cohort(engine, [spec], [1])).results[0])
    np.testing.assert_allclose(results[0].fold_values, results[1].fold_values, rtol=1e-5)
    np.testing.assert_allclose(results[0].train_values, results[1].train_values, rtol=1e-5)
