"""A description of data as one HTML page: what nas makes of it, and skrub's look at each column."""

import warnings
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from nas.data.description import DescribedData
from nas.errors import NasError, visible
from nas.files import written_whole

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; }
.wide { overflow-x: auto; }
table.nas { border-collapse: collapse; font-size: 0.9rem; }
table.nas th, table.nas td {
  border-bottom: 1px solid #8886; padding: 0.3rem 0.8rem 0.3rem 0; text-align: left;
  vertical-align: top;
}
table.nas td.number { text-align: right; white-space: nowrap; }
table.nas td.long { min-width: 14rem; }
"""


def write_data_page(described: DescribedData, frame: pd.DataFrame, path: Path) -> None:
    """Writes the page.

    Args:
        described: What nas makes of the data.
        frame: The table as it is in its file.
        path: The `.html` file.

    Raises:
        NasError: When skrub is not installed, or the file cannot be written.
    """
    try:
        from skrub import TableReport
    except ImportError as error:
        raise NasError(
            "--html", "needs skrub, which is not installed", fix="Run: pip install 'nas[skrub]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        typed = frame.apply(_as_numbers)
        columns = TableReport(typed, title=described.name, verbose=0).html_snippet()
    with written_whole(path) as file:
        file.write_text("\n".join([*_lines(described), columns]), encoding="utf-8")


def _as_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column of a CSV file as numbers, where all of its cells are."""
    numbers = pd.to_numeric(column, errors="coerce")
    given = column.notna() & (column.astype(str).str.strip() != "")
    return numbers if bool(numbers[given].notna().all()) else column


def _lines(described: DescribedData) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en"><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{_text(described.name)}: data</title><style>{STYLE}</style>"
    yield f"<h1>{_text(described.name)}</h1><p>{_text(described.summary)}</p>"
    notes = [*described.notes, *(finding.text for finding in described.findings)]
    if notes:
        yield "<ul>" + "".join(f"<li>{_text(note)}</li>" for note in notes) + "</ul>"
    yield "<h2>Target</h2>"
    share = [f"{100 * n / described.n_rows:.1f} %" for n in described.target.values()]
    is_classes = described.task != "regression"
    rows = [
        (name, f"{n:,}" if is_classes else f"{n:g}", s if is_classes else "")
        for (name, n), s in zip(described.target.items(), share, strict=True)
    ]
    yield _table(("", "rows" if is_classes else "value", ""), rows, numbers=(1, 2))
    if described.columns:
        yield "<h2>What nas does with each column</h2>"
        cells = [
            (
                column.name,
                column.kind,
                f"{100 * column.missing:.1f} %" if column.missing else "0" * (column.missing == 0),
                "" if column.distinct is None else f"{column.distinct:,}",
                column.values,
                column.treatment,
            )
            for column in described.columns
        ]
        heads = ("column", "kind", "missing", "distinct", "values", "what is done with it")
        yield _table(heads, cells, numbers=(2, 3), longs=(4, 5))
    yield "<h2>Each column</h2>"


def _table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int],
    longs: Sequence[int] = (),
) -> str:
    kinds = {**dict.fromkeys(numbers, ' class="number"'), **dict.fromkeys(longs, ' class="long"')}
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    lines = (
        "".join(f"<td{kinds.get(k, '')}>{_text(cell)}</td>" for k, cell in enumerate(row))
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table class="nas"><tr>{head}</tr>{body}</table></div>'


def _text(text: str) -> str:
    return escape(visible(text))
