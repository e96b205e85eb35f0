"""Columns of dates: left out and said, or kept as categories on demand."""

import pandas as pd
import pytest
from sources import N, fails, frame, load, write

from nas.data.dates import is_date

FORMATS = [
    *("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%d/%m/%y", "%d.%m.%y", "%Y-%m"),
    *("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ", "%d.%m.%Y %H:%M"),
    *("%Y-%m-%d %H:%M:%S+00:00", "%m/%d/%Y %I:%M %p", "%d %b %Y", "%B %d, %Y", "%d-%b-%y"),
    *("%b %Y", "%a, %d %b %Y", "%H:%M", "%H:%M:%S", "%I:%M %p", "%a %b %d %H:%M:%S %Y"),
]


def days(form="%Y-%m-%d"):
    return pd.date_range("2023-01-03 04:05:06", periods=N, freq="31h").strftime(form).tolist()


@pytest.mark.parametrize("form", FORMATS)
def test_dates_are_left_out_and_said(tmp_path, form):
    cells = ["" if k == 5 else day for k, day in enumerate(days(form))]
    dataset = load(write(tmp_path, frame(day=cells)), target="y")
    assert [column.name for column in dataset.schema.columns] == ["a"]
    reason = f"dates or times, such as '{cells[0]}'; --categorical day keeps them as categories"
    assert dataset.dropped == {"day": reason}


@pytest.mark.parametrize("text", ["5/3/2024", "2024-5-3", "3 May 2024", "May 3rd, 2024", "9:05 am"])
def test_short_dates(text):
    assert is_date(text)


@pytest.mark.parametrize(
    "text",
    [
        *("1.2.3", "1.10.24", "10.0.0.1", "2024", "20240503", "0,53", "1.5", "A1", "may", "31"),
        *("555-1234", "2024-13-01", "32.01.2024", "1-2", "x 2024-05-03", "12:75", "5.3.24", ""),
    ],
)
def test_no_dates(text):
    assert not is_date(text)


def test_dates_can_be_kept(tmp_path):
    cells = [days()[k % 4] for k in range(N)]
    dataset = load(write(tmp_path, frame(day=cells)), target="y", categorical=("day",))
    assert dataset.features["day"].tolist() == cells


def test_dates_of_parquet_can_be_kept(tmp_path):
    table = frame(day=pd.to_datetime(["2024-05-03", "2024-05-04"] * (N // 2)))
    for hour in (0, 7):
        table["day"] += pd.Timedelta(hours=hour)
        both = [
            load(write(tmp_path, table, name), target="y", categorical=("day",))
            for name in ("data.csv", "data.parquet")
        ]
        assert len(set(both[0].features["day"])) == 2
        assert both[0].hash() == both[1].hash()


def test_a_date_is_no_target(tmp_path):
    path = write(tmp_path, frame(y=days()))
    fails(lambda: load(path, target="y"), "data.csv: y", "got dates (such as '2023-01-03')")


def test_nothing_but_dates(tmp_path):
    path = write(tmp_path, frame(a=days()))
    fails(
        lambda: load(path, target="y"), "data.csv", "no feature column is left; column 'a': dates"
    )
