"""The real tables in the spellings that people have them in: read alike, and predicted alike."""

import csv
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli import Nas

from nas.cli import main
from nas.data import DataOptions, load_dataset

N_ROWS = 400
TARGETS = {
    "adult": "income",
    "abalone": "rings",
    "california_housing": "median_house_value",
}
# Adult has numbers, whole and not, and categories; the others are trained by `make test-all`.
TRAINED = ["adult", *[pytest.param(n, marks=pytest.mark.long) for n in TARGETS if n != "adult"]]
SPACE = """\
network: mlp
depth: 1
width: 8
learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}
epochs: 2
"""
# As layers and operations of Keras are called, which the model's inputs then are too.
KERAS_NAMES = "cast where isnan get_item subtract one_hot pad squeeze features numbers".split()
KERAS_NAMES += ["concatenate", "a/b", "lookup_1", "dense_1", "stack"]


def table(data_dir: Path, name: str) -> pd.DataFrame:
    """The first rows as text; the empty cells of california are among them."""
    frame = pd.read_csv(data_dir / f"{name}.csv", dtype=str, keep_default_na=False)
    return frame.head(N_ROWS)


def is_number(column: "pd.Series[str]") -> bool:
    return bool(pd.to_numeric(column[column != ""], errors="coerce").notna().all())


def respelled(frame: pd.DataFrame, spell: Callable[[str], str]) -> pd.DataFrame:
    """The numbers of a table in another spelling; its target too."""
    frame = frame.copy()
    for name in frame.columns:
        if is_number(frame[name]):
            frame[name] = frame[name].map(lambda cell: spell(cell) if cell else "")
    return frame


def with_thousands(mark: str) -> Callable[[str], str]:
    def spell(cell: str) -> str:
        whole, dot, rest = cell.partition(".")
        return f"{int(whole):,}".replace(",", mark) + dot + rest if abs(int(whole)) > 0 else cell

    return spell


def semicolons(frame: pd.DataFrame, path: Path) -> None:
    respelled(frame, lambda cell: cell.replace(".", ",")).to_csv(path, sep=";", index=False)


def percent(frame: pd.DataFrame, path: Path) -> None:
    respelled(frame, lambda cell: f"{Decimal(cell) * 100:f} %").to_csv(path, index=False)


def thousands(frame: pd.DataFrame, path: Path) -> None:
    respelled(frame, with_thousands(",")).to_csv(path, index=False)


def european(frame: pd.DataFrame, path: Path) -> None:
    def spell(cell: str) -> str:
        return with_thousands("_")(cell).replace(".", ",").replace("_", ".")

    respelled(frame, spell).to_csv(path, sep=";", index=False, encoding="utf-8-sig")


def currency(frame: pd.DataFrame, path: Path) -> None:
    respelled(frame, lambda cell: f"${with_thousands(',')(cell)}").to_csv(path, index=False)


def parquet(frame: pd.DataFrame, path: Path) -> None:
    typed = frame.copy()
    for name in typed.columns:
        if is_number(typed[name]):
            typed[name] = pd.to_numeric(typed[name]).astype("Float64")
    typed.to_parquet(path)


def excel_errors(frame: pd.DataFrame, path: Path) -> None:
    frame.map(lambda cell: cell or "#N/A").to_csv(path, index=False)


def padded(frame: pd.DataFrame, path: Path) -> None:
    spaced = frame.map(lambda cell: f"  {cell} ").rename(columns=lambda name: f" {name} ")
    spaced.to_csv(path, index=False)


def windows(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, sep="\t", index=False, lineterminator="\r\n", encoding="utf-16")


def quoted(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL)


SPELLINGS = {
    write.__name__: write
    for write in (
        semicolons,
        percent,
        thousands,
        european,
        currency,
        parquet,
        excel_errors,
        padded,
        windows,
        quoted,
    )
}


def values_of(path: Path, target: str, **options: object) -> tuple[dict, np.ndarray, tuple]:
    dataset = load_dataset(DataOptions(str(path), target=target, **options))
    features = dataset.features
    if isinstance(features, np.ndarray):
        names = [column.name for column in dataset.schema.columns]
        features = dict(zip(names, features.T, strict=True))
    return dict(features), dataset.y, dataset.classes


def same(a: tuple[dict, np.ndarray, tuple], b: tuple[dict, np.ndarray, tuple]) -> None:
    assert list(a[0]) == list(b[0]) and a[2] == b[2]
    for name in a[0]:
        np.testing.assert_array_equal(a[0][name], b[0][name], err_msg=name)
    np.testing.assert_array_equal(a[1], b[1])


def written(write: Callable[[pd.DataFrame, Path], None], frame: pd.DataFrame, path: Path) -> Path:
    path = path.with_suffix(".parquet" if write is parquet else ".csv")
    write(frame, path)
    return path


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_table_is_read_alike_in_every_spelling(
    data_dir: Path, tmp_path: Path, name: str, spelling: str
) -> None:
    frame = table(data_dir, name)
    frame.to_csv(tmp_path / "plain.csv", index=False)
    other = written(SPELLINGS[spelling], frame, tmp_path / "other")
    plain = values_of(tmp_path / "plain.csv", TARGETS[name])
    same(plain, values_of(other, TARGETS[name]))


@pytest.mark.parametrize("name", TARGETS)
def test_a_table_without_header_is_read_alike(data_dir: Path, tmp_path: Path, name: str) -> None:
    frame = table(data_dir, name)
    frame.to_csv(tmp_path / "plain.csv", index=False)
    frame.to_csv(tmp_path / "bare.csv", index=False, header=False)
    plain = values_of(tmp_path / "plain.csv", TARGETS[name])
    position = list(frame.columns).index(TARGETS[name])
    for target in (str(position + 1), str(position - len(frame.columns))):
        features, y, classes = values_of(tmp_path / "bare.csv", target)
        number = {column: str(k) for k, column in enumerate(frame.columns, start=1)}
        same(({number[column]: v for column, v in plain[0].items()}, *plain[1:]),
             (features, y, classes))  # fmt: skip


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Callable[[str], Path]:
    """The model of a table as it is."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny.yaml").write_text(SPACE, encoding="utf-8")

    @cache
    def model(name: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            table(data_dir, name).to_csv(f"{name}.csv", index=False)
            search = f"search --space tiny.yaml --trials 1 --folds 2 --workers 1 --study {name}"
            with pytest.raises(SystemExit) as ended:
                main([*search.split(), "--data", f"{name}.csv", "--target", TARGETS[name]])
            assert ended.value.code == 0
        return folder / "studies" / f"{name}.keras"

    return model


def predictions(nas: Nas, model: Path, data: Path) -> np.ndarray:
    nas.right("predict", model, "--data", data, "--output", "predictions.csv")
    return pd.read_csv("predictions.csv").iloc[:, -1].to_numpy()


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.long
def test_rows_to_predict_for_may_be_spelled_otherwise(
    nas: Nas, folder: Path, model_of: Callable[[str], Path], data_dir: Path, name: str
) -> None:
    model = model_of(name)
    frame = table(data_dir, name).tail(60).drop(columns=TARGETS[name])
    frame.to_csv("plain.csv", index=False)
    wanted = predictions(nas, model, Path("plain.csv"))
    for spelling, write in SPELLINGS.items():
        other = written(write, frame, folder / spelling)
        if write in (percent, currency):  # another unit than the training rows had
            line = nas.wrong("predict", model, "--data", other, "--output", "no.csv")
            assert "a unit" in line or "which may be" in line
            continue
        if name == "adult" and write in (thousands, european):  # without any decimal number
            line = nas.wrong("predict", model, "--data", other, "--output", "no.csv")
            assert "which may be 94.936 or 94936" in line
            continue
        np.testing.assert_allclose(predictions(nas, model, other), wanted, rtol=1e-6)
    shuffled = frame.assign(extra="x", another=range(len(frame)))
    shuffled = shuffled[sorted(shuffled.columns, reverse=True)]
    shuffled.to_csv("shuffled.csv", index=False)
    np.testing.assert_allclose(predictions(nas, model, Path("shuffled.csv")), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.long
def test_columns_may_be_named_like_operations_of_keras(
    nas: Nas, folder: Path, model_of: Callable[[str], Path], data_dir: Path, name: str
) -> None:
    """The names change nothing: the same network, trained on the same rows, predicts the same."""
    frame = table(data_dir, name)
    features = [column for column in frame.columns if column != TARGETS[name]]
    renamed = frame.rename(columns=dict(zip(features, KERAS_NAMES, strict=False)))
    renamed.to_csv("renamed.csv", index=False)
    (folder / "tiny.yaml").write_text(SPACE, encoding="utf-8")
    search = "search --space tiny.yaml --trials 1 --folds 2 --workers 1 --study renamed".split()
    nas.right(*search, "--data", "renamed.csv", "--target", TARGETS[name])
    renamed.drop(columns=TARGETS[name]).to_csv("new.csv", index=False)
    frame.drop(columns=TARGETS[name]).to_csv("plain.csv", index=False)
    found = predictions(nas, folder / "studies" / "renamed.keras", Path("new.csv"))
    wanted = predictions(nas, model_of(name), Path("plain.csv"))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_a_table_without_header_trains_and_predicts(
    nas: Nas, folder: Path, model_of: Callable[[str], Path], data_dir: Path, name: str
) -> None:
    frame = table(data_dir, name)
    frame.to_csv("bare.csv", index=False, header=False)
    (folder / "tiny.yaml").write_text(SPACE, encoding="utf-8")
    target = str(list(frame.columns).index(TARGETS[name]) + 1)
    search = "search --space tiny.yaml --trials 1 --folds 2 --workers 1 --study bare".split()
    nas.right(*search, "--data", "bare.csv", "--target", target)
    model = folder / "studies" / "bare.keras"
    frame.drop(columns=TARGETS[name]).to_csv("plain.csv", index=False)
    wanted = predictions(nas, model_of(name), Path("plain.csv"))
    np.testing.assert_allclose(predictions(nas, model, Path("bare.csv")), wanted, rtol=1e-5)
    frame.drop(columns=TARGETS[name]).to_csv("new.csv", index=False, header=False)
    np.testing.assert_allclose(predictions(nas, model, Path("new.csv")), wanted, rtol=1e-5)
