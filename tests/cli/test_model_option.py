"""`--model`: a search over a function of the user's."""

from pathlib import Path

import pytest

MODELS = """
import keras

WIDTHS = [4, 8]


def build_model(trial, problem):
    units = trial.suggest_categorical("units", WIDTHS)
    model = keras.Sequential([keras.Input((problem.n_inputs,))])
    model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(problem.n_outputs, activation="softmax"))
    rate = trial.suggest_float("rate", 1e-2, 1e-1, log=True)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


number = 3
"""


@pytest.fixture
def models(folder: Path) -> Path:
    (folder / "models.py").write_text(MODELS, encoding="utf-8")
    (folder / "words.yaml").write_text("epochs: 3\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.long
def test_a_function_in_a_file_is_searched_and_exported(nas, models: Path, workers: int) -> None:
    options = "--space words.yaml --data iris --trials 2 --folds 2 --pruner none"
    # Worker processes get the function itself, with what it uses of its module.
    search = f"search --model models.py:build_model --workers {workers}"
    out = nas.right(*search.split(), *options.split()).out
    assert "build_model 1 x " in out and (models / "studies" / "words.keras").exists()
    assert "2 trials examined" in nas.right("diagnose").out
    nas.right(*"export --output saved.keras".split())  # which needs no function
    (models / "studies" / "words.keras").unlink()
    assert "is not at hand" in nas.wrong(*"export --output best.keras".split())
    nas.right(*"export --output best.keras --model models.py:build_model".split())
    assert (models / "best.keras").exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("models.py", "got 'models.py'; expected FILE.py:FUNCTION"),
        ("model.py:build_model", "no file 'model.py'; expected"),
        ("models.py:build_mode", "has no function 'build_mode'"),
        ("models.py:number", "has no function 'number'"),
        ("nowhere:build_model", "nowhere cannot be imported (ModuleNotFoundError"),
    ],
)
def test_what_is_no_function_gets_one_line(nas, models: Path, place: str, words: str) -> None:
    assert words in nas.wrong("search", "--model", place, "--data", "iris")


def test_a_space_with_layers_is_refused(nas, models: Path) -> None:
    line = nas.wrong(*"search --model models.py:build_model --space tiny.yaml".split())
    assert "depth" in line and not (models / "studies").exists()
