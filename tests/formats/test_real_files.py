"""Real files, however they are spelled: shown, searched and exported with a target alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import nas
from nas.formats.convert import LARGEST_DIFFERENCE
from nas.formats.endings import ENDINGS
from nas.model_card import read_card

pytestmark = pytest.mark.slow

TARGETS = {"adult": "income", "abalone": "rings", "california_housing": "median_house_value"}
SPELLINGS = ("plain", "no header", "decimal commas", "nulls")
SPACE = {"depth": 1, "width": [4, 8], "epochs": 2, "scaling": ["quantile", "robust"]}


def write(folder: Path, table: pd.DataFrame, target: str, spelling: str) -> tuple[Path, str]:
    """A file of a table, and what its target is called there."""
    path = folder / f"data.{'parquet' if spelling == 'nulls' else 'csv'}"
    match spelling:
        case "plain":
            table.to_csv(path, index=False)
        case "no header":
            table.to_csv(path, index=False, header=False)
            return path, str(1 + table.columns.get_loc(target))
        case "decimal commas":
            table.to_csv(path, index=False, sep=";", decimal=",")
        case "nulls":
            random = np.random.default_rng(0)
            gaps = random.random(table.shape) < 0.03
            gaps[:, table.columns.get_loc(target)] = False
            table.convert_dtypes().mask(gaps).to_parquet(path)
    return path, target


def export_all(study: Any, folder: Path, refused: tuple[str, ...] = ()) -> None:
    """Writes the winner in every format; each is compared with Keras before it is there."""
    for kind, ending in ENDINGS.items():
        path = folder / f"winner_{kind}{ending}"
        if kind in refused:
            with pytest.raises(nas.NasError, match=f"'{kind}' for"):
                study.export(path, format=kind)
            continue
        study.export(path, format=kind)
        assert path.exists()
        if kind not in ("keras", "code"):
            written = (read_card(path) or {})["format"]
            assert written["difference"] <= LARGEST_DIFFERENCE
            assert written["n_rows"] > 50


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", TARGETS)
def test_tables(name: str, spelling: str, data_dir: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data_dir / f"{name}.csv").sample(2000, random_state=0)
    path, target = write(tmp_path, table, TARGETS[name], spelling)
    described = nas.describe_data(str(path), target)
    plain = nas.describe_data(table, TARGETS[name])
    assert [c.kind for c in described.columns] == [c.kind for c in plain.columns]
    assert described.task == plain.task
    assert described.target == plain.target
    if spelling == "nulls":
        numeric = [c for c in described.columns if c.kind == "numeric"]
        assert all(0.01 < c.missing < 0.1 for c in numeric)
    study = nas.search(
        SPACE, str(path), target, trials=2, storage=f"sqlite:///{tmp_path / 's.db'}", quiet=True
    )
    export_all(study, tmp_path)
    assert len(study.predict(str(path))) == 2000


def test_a_folder_of_images(tmp_path: Path) -> None:
    images, labels = load_digits(return_X_y=True)
    for number, (image, label) in enumerate(zip(images[:300], labels[:300], strict=True)):
        folder = tmp_path / "digits_png" / f"digit {label}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = (image.reshape(8, 8) * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    source = str(tmp_path / "digits_png")
    assert nas.describe_data(source).task == "multiclass"
    study = nas.search(
        None, source, trials=1, folds=2, storage=f"sqlite:///{tmp_path / 's.db'}", quiet=True
    )
    assert study.record.best().spec.architecture.network == "cnn"
    export_all(study, tmp_path, refused=("code",))
    assert len(study.predict(source)) == 300
