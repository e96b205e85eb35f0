"""What is told of data before anything is trained."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nas
from nas.errors import NasError

N = 100


def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(size=N),
            "one": np.ones(N),
            "colour": random.choice(["red", "green", "blue", "grey"], N),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(N) * 7, unit="D"),
            "name": [f"name {k}" for k in range(N)],
            "y": ["no"] * 93 + ["yes"] * 7,
        }
    ).sample(frac=1.0, random_state=0)
    frame.loc[frame.index[:5], "size"] = np.nan
    return frame


def test_columns_target_and_findings(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "table.csv", index=False)
    for data in (table(), str(tmp_path / "table.csv")):
        told = nas.describe_data(data, "y")
        assert (told.n_rows, told.task) == (N, "binary")
        assert told.target == {"no": 93, "yes": 7} and told.rare == ("yes",)
        columns = {column.name: column for column in told.columns}
        assert list(columns) == ["size", "one", "colour", "day", "name"]
        kinds = [column.kind for column in columns.values()]
        assert kinds == ["numeric", "numeric", "categorical", "date", "left out"]
        assert columns["size"].missing == pytest.approx(0.05)
        assert "marked in a column of their own" in columns["size"].treatment
        assert "one value only" in columns["one"].treatment
        assert columns["colour"].distinct == 4 and "and 1 more" in columns["colour"].values
        assert columns["colour"].treatment == "4 columns (one-hot)"
        assert columns["day"].values == "2024-01-01 to 2025-11-24"
        assert columns["day"].treatment == "days that pass, season"
        assert "every row has another text" in columns["name"].treatment
        assert [finding.code for finding in told.findings] == ["imbalanced", "constant"]
        assert told.to_dict()["columns"][0]["name"] == "size"


def test_rows_that_are_there_twice() -> None:
    twice = pd.concat([table(), table().iloc[:3], table().iloc[:1].assign(y="yes")])
    assert nas.describe_data(twice, "y").repeated == 6
    both = twice.assign(y=np.arange(len(twice)) * 1.0, z=0.5 * np.arange(len(twice)))
    assert nas.describe_data(both, ["y", "z"]).repeated == 0


def test_numbers_and_arrays() -> None:
    told = nas.describe_data("diabetes")
    assert told.task == "regression" and not told.columns
    assert told.target["minimum"] == 25.0 and told.target["maximum"] == 346.0
    assert not told.rare


def test_a_page(tmp_path: Path) -> None:
    pytest.importorskip("skrub")
    page = tmp_path / "page.html"
    nas.describe_data(table(), "y", html=page)
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    for part in ("days that pass, season", " % of the rows are ", "colour"):
        assert part in text
    with pytest.raises(NasError, match="html: got digits; expected a table"):
        nas.describe_data("digits", html=page)
    with pytest.raises(NasError, match=r"page.htm: the ending '.htm'"):
        nas.describe_data(table(), "y", html=tmp_path / "page.htm")


def test_no_data() -> None:
    with pytest.raises(NasError, match="data: none was given"):
        nas.describe_data(None)
