"""Columns of dates: read and said, or kept as categories on demand."""

import numpy as np
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
def test_dates_are_read_and_said(tmp_path, form):
    cells = ["" if k == 5 else day for k, day in enumerate(days(form))]
    dataset = load(write(tmp_path, frame(day=cells)), target="y")
    assert [column.kind for column in dataset.schema.columns] == ["numeric", "date"]
    assert dataset.notes[0].startswith(f"column 'day' is dates or times, such as '{cells[0]}'")
    # As Python reads them by the format.
    read = pd.to_datetime(pd.Series(days(form)), format=form, utc=True)
    expected = ((read - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)).to_numpy(copy=True)
    if "%Y" not in form and "%y" not in form:
        expected %= 1
    expected[5] = np.nan
    np.testing.assert_allclose(dataset.features["day"], expected, atol=1e-9)


def test_a_mistake_among_dates(tmp_path):
    cells = ["soon" if k == 5 else day for k, day in enumerate(days())]
    path = write(tmp_path, frame(day=cells))
    dataset = load(path, target="y")
    reason = (
        "dates or times, such as '2023-01-03', but 'soon' is none; --date day takes it as missing, "
        "--categorical day keeps all"
    )
    assert dataset.dropped == {"day": reason}
    assert "day" not in load(path, target="y", missing=("soon",)).dropped
    assert "day" not in load(path, target="y", date=("day",)).dropped


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
    assert load(path, target="y").schema.is_table
    path = write(tmp_path, frame(a=days()[:1] * N))
    fails(
        lambda: load(path, target="y"),
        "data.csv",
        "no feature column is left; column 'a': one date",
    )
