"""CSV files as they come: encodings, separators, line ends, and rows of other lengths."""

import pytest
from sources import fails, load, write

ROWS = "".join(f"{k},{'Käse' if k % 3 else 'Öl'},{k % 2}\n" for k in range(20))
TEXT = "a,c,y\n" + ROWS


def read(folder, data):
    path = folder / "data.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    dataset = load(path, target="y")
    assert dataset.features["a"].tolist() == list(range(20))
    assert dataset.features["c"].tolist() == ["Käse" if k % 3 else "Öl" for k in range(20)]
    assert dataset.y.tolist() == [k % 2 for k in range(20)]
    return dataset.notes


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_encodings(tmp_path, encoding):
    assert read(tmp_path, TEXT.encode(encoding)) == ()


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_encodings_that_are_said(tmp_path, encoding):
    notes = ("the file is no UTF-8; it is read as Windows-1252 (Latin-1)",)
    assert read(tmp_path, TEXT.encode(encoding)) == notes


@pytest.mark.parametrize("data", [b"\x00\x01\x02" * 50, b"a,y\n1\x00,2\n3,4\n", b"a,y\n\x81,2\n"])
def test_bytes_that_are_no_text(tmp_path, data):
    path = tmp_path / "data.csv"
    path.write_bytes(data)
    fails(lambda: load(path, target="y"), "data.csv", "its bytes are no text", "CSV", "UTF-8")


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace(",", ";"),
        TEXT.replace(",", "\t"),
        TEXT.replace(",", "|"),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.replace("\n", "\n\n"),
        "\n" + TEXT + "\n \n",
        TEXT.replace(",", " , ").replace("\n", " \n  "),
        '"' + TEXT.replace(",", '","').replace("\n", '"\n"').removesuffix('"'),
        TEXT.replace(",", ' , "').replace("\n", '" \n').replace('" \n', '"\n').replace('"', ""),
        "sep=;\n" + TEXT.replace(",", ";"),
        TEXT.replace("\n", ",\n"),
        "a,c,y\n" + ROWS.replace("\n", ",\n"),  # separators at the end of the rows
        TEXT.removesuffix("\n"),
        TEXT + "\x1a",  # as DOS ends a file
    ],
)
def test_spellings_of_one_table(tmp_path, text):
    assert read(tmp_path, text) == ()


def test_comments_are_passed_over(tmp_path):
    notes = ("3 lines of comments (#) passed over",)
    assert read(tmp_path, "# made\n#\n" + TEXT + "# end\n") == notes


def test_a_name_may_begin_like_a_comment(tmp_path):
    path = write(tmp_path, "#a,b,y\n" + "".join(f"{k},{k % 3},{k % 2}\n" for k in range(20)))
    assert [column.name for column in load(path, target="y").schema.columns] == ["#a", "b"]


def test_a_cell_may_hold_separators_quotes_and_lines(tmp_path):
    cells = ["p, q", 'say ""x""', "two\nlines"]
    rows = "".join(f'{k},"{cells[k % 3]}",{k % 2}\n' for k in range(21))
    dataset = load(write(tmp_path, "a,c,y\n" + rows), target="y")
    assert dataset.features["c"][:3].tolist() == ["p, q", 'say "x"', "two\nlines"]


def test_decimal_commas_between_semicolons(tmp_path):
    # Split at commas, the lines would be as regular.
    rows = "".join(f"{k},5;{k % 7},25;{k % 2}\n" for k in range(20))
    path = write(tmp_path, rows)
    dataset = load(path, target="3")
    assert dataset.features[1].tolist() == [1.5, 1.25]


@pytest.mark.parametrize(
    "text, line, n_fields, n_first",
    [
        ("a,b,y\n" + "1,2,0\n" * 9 + "1,2\n", 11, "2 fields", 3),
        ("a,b,y\n" + "1,2,0\n" * 9 + "1,2,0,5\n", 11, "4 fields", 3),
        ("a,b,y\n" + "1,2,0\n" * 9 + "total\n", 11, "1 field", 3),
        ("a,y\n" + "1,2,0\n" * 9, 2, "3 fields", 2),  # row names without a name
        ("a,b,c,y\n" + "1,2,0\n" * 9, 2, "3 fields", 4),
        ("a,b,y\n" + "1,2,0\n" * 9 + '"1,2,0\n', 13, "1 field", 3),
    ],
)
def test_rows_of_another_length(tmp_path, text, line, n_fields, n_first):
    path = write(tmp_path, text)
    received = f"line {line} has {n_fields}, the first line has {n_first}"
    fails(lambda: load(path, target="y"), "data.csv", received, "as many fields in each row")


def test_a_quote_that_is_never_closed(tmp_path):
    path = write(tmp_path, "c,y\n" + "u,0\n" * 9 + 'u,"1\nv,0\n')
    fails(lambda: load(path, target="y"), "data.csv", "cannot be read as a table")


def test_a_single_column(tmp_path):
    path = write(tmp_path, "y\n" + "1\n2\n" * 9)
    fails(lambda: load(path, target="y"), "data.csv", "no feature column is left", "at least one")
