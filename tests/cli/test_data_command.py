"""`nas data show`."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.long


def test_show_of_a_table(nas, folder: Path, data_dir: Path) -> None:
    lines = (data_dir / "adult.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "adult.csv").write_text("".join(lines[:801]), encoding="utf-8")
    out = nas.right("data", "show", "adult.csv", "--target", "income").out
    assert "adult: 800 rows, 6 numeric and 8 categorical features, binary (2 classes)" in out
    assert "workclass" in out and "Private" in out
    assert "Target: '<=50K'" in out
    found = nas.right("data", "show", "adult.csv", "--target", "income", "--json").json()
    assert [column["kind"] for column in found["columns"]].count("numeric") == 6
    wrong = nas.wrong("data", "show", "adult.csv", "--target", "incom")
    assert "no column 'incom' for --target" in wrong and "Did you mean 'income'?" in wrong
