"""Dates as days since 1970, and as what a network is told of them."""

import datetime

import numpy as np
import pandas as pd
import pytest

from nas.data.date_values import n_columns, part_columns, read_dates, useful_parts

NEW_YEAR = 19_723.0  # 2024-01-01


def days(*cells, order=None):
    series = pd.Series(cells, dtype=object)
    return read_dates(series, series.isna().to_numpy(), order)


@pytest.mark.parametrize(
    "cell, expected",
    [
        ("2024-01-01", NEW_YEAR),
        ("2024/01/01 06:00", NEW_YEAR + 0.25),
        ("1 Jan 2024", NEW_YEAR),
        ("Mon Jan 01 12:00:00 2024", NEW_YEAR + 0.5),
        ("2024-01-01T02:00:00+02:00", NEW_YEAR),
        ("18:00", 0.75),
        (datetime.date(2024, 1, 1), NEW_YEAR),
        (datetime.datetime(2024, 1, 1, 12), NEW_YEAR + 0.5),
        (datetime.datetime(1599, 1, 1), -135_505.0),
        (datetime.time(12), 0.5),
        (datetime.timedelta(hours=36), 1.5),
    ],
)
def test_a_cell(cell, expected):
    found = days(cell, None)
    assert found.days[0] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(found.days[1]) and not found.is_word.any()


@pytest.mark.parametrize(
    "cells, order, is_sure",
    [
        (("01/02/2024", "13/02/2024"), "day first", True),
        (("01/02/2024", "02/13/2024"), "month first", True),
        (("01/02/2024", "03/04/2024"), "month first", False),
        (("01.02.2024", "03.04.2024"), "day first", False),
        (("01/01/2024", "02/02/2024"), "month first", True),
        (("2024-01-02",), "", True),
    ],
)
def test_the_order_of_day_and_month(cells, order, is_sure):
    found = days(*cells)
    assert (found.order, found.is_sure) == (order, is_sure)
    if order == "day first" and not is_sure:
        assert found.example == "01.02.2024"
        assert found.days[0] == days("2024-02-01").days[0]


def test_rows_to_predict_for_are_read_as_those_of_the_training():
    assert days("01/02/2024", order="day first").days[0] == days("2024-02-01").days[0]


def test_what_is_no_date():
    found = days("2024-01-01", "soon", None)
    assert found.is_word.tolist() == [False, True, False]


def test_parts_that_differ():
    year = NEW_YEAR + np.arange(0, 365.0)
    assert useful_parts(year) == ("days", "year", "week")
    assert useful_parts(year[:20]) == ("days", "week")
    assert useful_parts(year[:3] + np.array([0.5, 0, 0])) == ("days", "day")
    assert useful_parts(year[:3] + 0.5) == ("days",)
    assert useful_parts(np.array([0.25, 0.75, np.nan])) == ("day",)
    assert useful_parts(np.array([NEW_YEAR, np.nan])) == ()
    assert n_columns(("days", "year", "week")) == 5


def test_columns_of_a_date():
    dates = NEW_YEAR + np.array([0.0, 7.0, 3.5, np.nan])
    since, sine, cosine = part_columns(dates, ("days", "week"), NEW_YEAR)
    np.testing.assert_allclose(since, [0, 7, 3.5, np.nan])
    np.testing.assert_allclose(sine, 0.0, atol=1e-6)
    np.testing.assert_allclose(cosine, [1, 1, -1, 0], atol=1e-6)
