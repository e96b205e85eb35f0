"""The first rows of real files, and which of them teach."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.data import DataOptions, Dataset, load_dataset

N_ROWS = 400
TRAIN, VAL = np.arange(300), np.arange(300, N_ROWS)


def read_head(data_dir: Path, folder: Path, name: str, target: str, gaps: Any = ()) -> Dataset:
    """The first rows of a file, with some cells emptied."""
    frame = pd.read_csv(data_dir / name, dtype=str, nrows=N_ROWS, keep_default_na=False)
    for column, rows in gaps:
        frame.loc[rows, column] = ""
    frame.to_csv(folder / name, index=False)
    return load_dataset(DataOptions(str(folder / name), target))


def names(dataset: Dataset, kind: str) -> list[str]:
    """The columns of a kind."""
    return [column.name for column in dataset.schema.columns if column.kind == kind]
