"""Periods of the calendar."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sits_data.errors import InvalidRequest
from sits_data.periods import members, parse_period

TEXTS = ("P1M", "P3M", "P1Y", "P10D", "P1D", "P16D", "dekad")


def day(iso):
    return int(np.datetime64(iso, "D").astype(int))


@pytest.mark.parametrize(
    ("text", "first", "last", "expected"),
    [
        ("P1M", "2020-01-15", "2020-02-29", ["2020-01-01", "2020-02-01", "2020-03-01"]),
        ("p1m", "2020-12-31", "2020-12-31", ["2020-12-01", "2021-01-01"]),
        ("P3M", "2020-05-01", "2020-07-01", ["2020-04-01", "2020-07-01", "2020-10-01"]),
        ("P1Y", "2019-06-01", "2020-01-01", ["2019-01-01", "2020-01-01", "2021-01-01"]),
        ("P10D", "2020-01-11", "2020-01-21", ["2020-01-11", "2020-01-21", "2020-01-31"]),
        ("P10D", "2020-12-30", "2021-01-04", ["2020-12-26", "2021-01-05"]),
        ("dekad", "2020-02-10", "2020-02-21", ["2020-02-01", "2020-02-11", "2020-02-21", "2020-03-01"]),
    ],
)
def test_edges_by_hand(text, first, last, expected):
    edges = parse_period(text).edges(day(first), day(last))
    assert edges.astype("M8[D]").astype(str).tolist() == expected


@given(
    st.sampled_from(TEXTS),
    st.lists(st.integers(10_000, 30_000), min_size=1, max_size=20, unique=True).map(sorted),
)
def test_every_date_lies_in_one_period_and_no_period_is_outside(text, dates):
    edges = parse_period(text).edges(dates[0], dates[-1])
    assert (np.diff(edges) > 0).all()
    assert edges[0] <= dates[0] < edges[1]
    assert edges[-2] <= dates[-1] < edges[-1]
    groups = members(edges, np.array(dates, np.int32))
    assert np.concatenate(groups).tolist() == list(range(len(dates)))
    for index, group in enumerate(groups):
        assert all(edges[index] <= dates[one] < edges[index + 1] for one in group)


@pytest.mark.parametrize("text", ["", "1M", "P0M", "P1W", "PM", "P-1D", "month", "P1M2D", "P99999D"])
def test_what_is_no_period_is_refused(text):
    with pytest.raises(InvalidRequest, match=r"a period is one of P1M .*got"):
        parse_period(text)
