"""Folds are encoded without TensorFlow."""

import subprocess
import sys
from pathlib import Path

ENCODE = """
import sys
from nas.data import DataOptions, SplitOptions, load_dataset, split_dataset
from nas.encoding import encode_folds
dataset = load_dataset(DataOptions(sys.argv[1], "income"))
folds = encode_folds(dataset, split_dataset(dataset, SplitOptions(folds=3)).folds)
print(len(folds), *folds[0].x_val.shape, *({"tensorflow", "keras"} & set(sys.modules)))
"""


def test_folds_are_encoded_without_tensorflow(data_dir: Path) -> None:
    command = [sys.executable, "-c", ENCODE, str(data_dir / "adult.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n_folds, n_rows, n_columns, *modules = done.stdout.split()
    assert (n_folds, modules) == ("3", [])
    assert int(n_rows) > 8_000 and int(n_columns) > 100
