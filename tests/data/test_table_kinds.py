"""Tables in files of all kinds are read alike."""

import bz2
import gzip
import lzma
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from sources import N, fails, frame, load, write

from nas.data.table_kinds import table_kind

RANDOM = np.random.default_rng(0)
TABLE = frame(b=RANDOM.normal(size=N).round(3), colour=["red", "green", "blue", "red"] * (N // 4))
ARFF = {"a": "NUMERIC", "y": "{no,yes}", "b": "NUMERIC", "colour": "{red,green,blue}"}


def compressed(folder, ending):
    text = TABLE.to_csv(index=False).encode()
    path = folder / f"data.csv{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/._data.csv", b"")
            archive.writestr("data.csv", text)
    else:
        path.write_bytes({".gz": gzip, ".bz2": bz2, ".xz": lzma}[ending].compress(text))
    return path


def of_kind(folder, ending):
    path = folder / f"data{ending}"
    if ending in (".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip"):
        return compressed(folder, ending.removeprefix(".csv"))
    if ending == ".zip":
        return compressed(folder, ending).rename(path)
    if ending in (".tsv", ".tab", ".txt"):
        TABLE.to_csv(path, sep="\t", index=False)
    elif ending in (".feather", ".arrow"):
        feather.write_feather(pa.Table.from_pandas(TABLE), path)
    elif ending == ".xlsx":
        pytest.importorskip("openpyxl")
        TABLE.to_excel(path, index=False)
    elif ending == ".arff":
        lines = [f"@ATTRIBUTE {name} {kind}" for name, kind in ARFF.items()]
        rows = TABLE.to_csv(index=False, header=False)
        path.write_text("\n".join(["@RELATION t", *lines, "@DATA", rows]))
    return path


@pytest.mark.parametrize(
    "ending",
    [
        *(".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip", ".zip", ".tsv", ".tab", ".txt"),
        *(".feather", ".arrow", ".xlsx", ".arff"),
    ],
)
def test_each_kind_is_read_like_a_csv_file(tmp_path, ending):
    expected = load(write(tmp_path, TABLE), target="y")
    found = load(of_kind(tmp_path, ending), target="y")
    assert found.hash() == expected.hash()
    assert found.dropped == expected.dropped and not found.notes


def test_an_array_has_columns_by_number(tmp_path):
    path = tmp_path / "data.npy"
    np.save(path, np.column_stack([TABLE["a"], TABLE["b"], TABLE["y"] == "yes"]))
    dataset = load(path, target="-1")
    assert [column.name for column in dataset.schema.columns] == ["1", "2"]
    assert dataset.task == "binary" and dataset.classes == (0, 1)


def test_categories_of_an_arff_file_may_be_numbers(tmp_path):
    path = tmp_path / "data.arff"
    rows = "\n".join(f"{k % 3},{k / 10},{10 + k % 2}" for k in range(N))
    path.write_text(
        "@RELATION t\n@ATTRIBUTE code {0,1,2}\n@ATTRIBUTE x REAL\n@ATTRIBUTE y {10,11}\n@DATA\n"
        + rows
    )
    dataset = load(path, target="y")
    assert [column.kind for column in dataset.schema.columns] == ["categorical", "numeric"]
    assert dataset.task == "binary"


def test_a_workbook_without_names_and_with_several_sheets(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "data.xlsx"
    with pd.ExcelWriter(path) as writer:
        TABLE.to_excel(writer, sheet_name="Rows", index=False, header=False, startrow=2)
        TABLE.to_excel(writer, sheet_name="Other")
    dataset = load(path, target="2")
    assert [column.name for column in dataset.schema.columns] == ["1", "3", "4"]
    assert dataset.notes == ("the first of 2 sheets is read, 'Rows'",)


def test_several_files_are_one_table(tmp_path):
    TABLE.iloc[:25].to_csv(tmp_path / "part-1.csv", index=False)
    # Columns are found by their names.
    TABLE.iloc[25:][["colour", "y", "b", "a"]].to_csv(tmp_path / "part-2.csv", index=False)
    dataset = load(tmp_path / "part-*.csv", target="y")
    assert dataset.hash() == load(write(tmp_path, TABLE), target="y").hash()
    assert dataset.notes == (f"2 files, part-1.csv to part-2.csv, {N} rows",)


def test_several_files_with_other_columns(tmp_path):
    write(tmp_path, TABLE, "part-1.csv")
    write(tmp_path, TABLE.rename(columns={"colour": "color"}), "part-2.csv")
    fails(
        lambda: load(tmp_path / "part-*.csv", target="y"),
        "part-2.csv", "no column 'colour'", "", "Did you mean 'color'?",
    )  # fmt: skip


@pytest.mark.parametrize("header", [True, False])
def test_another_file_is_the_test_part(tmp_path, header):
    TABLE.iloc[:30].to_csv(tmp_path / "train.csv", index=False, header=header)
    TABLE.iloc[30:].to_csv(tmp_path / "test.csv", index=False, header=header)
    target, test = "y" if header else "2", str(tmp_path / "test.csv")
    dataset = load(tmp_path / "train.csv", target=target, test=test)
    assert dataset.n_rows == N
    assert list(dataset.test_rows) == list(range(30, N))


def test_what_is_no_table(tmp_path):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.csv", "a,y\n1,2\n")
        file.writestr("b.csv", "a,y\n1,2\n")
    assert table_kind(archive) is None
    damaged = tmp_path / "data.csv.gz"
    damaged.write_bytes(b"no gzip")
    fails(lambda: load(damaged, target="y"), "data.csv.gz", "cannot be read")
