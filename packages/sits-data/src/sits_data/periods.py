"""Periods of the calendar: months, dekads, or so many days."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest

Days = NDArray[np.int32]
"""Days since 1970-01-01."""

_DEKAD_STARTS = np.array([0, 10, 20])
_EXAMPLES = "P1M (months), P10D (days), P1Y (years) or dekad"


@dataclass(frozen=True)
class Period:
    """How long a period is; one of the three is not 0.

    Args:
        text: as it was asked for.
        months: whole months, counted from January of the year 0, so that P3M gives quarters.
        days: days, counted from 1 January of the first year.
        dekad: 1st to 10th, 11th to 20th, 21st to the end of each month.
    """

    text: str
    months: int = 0
    days: int = 0
    dekad: bool = False

    def edges(self, first: int, last: int) -> Days:
        """Starts of the periods that hold two days and all days between, and the end of the last.

        Args:
            first: day since 1970-01-01.
            last: the same.

        Returns:
            (periods + 1,) ascending; period i holds the days from edge i up to, not including, i + 1.
        """
        start, end = np.datetime64(int(first), "D"), np.datetime64(int(last), "D")
        if self.days:
            origin = start.astype("M8[Y]").astype("M8[D]").astype(np.int64)
            skipped = (first - origin) // self.days
            origin += skipped * self.days
            count = (last - origin) // self.days + 1
            return np.asarray(origin + self.days * np.arange(count + 1), np.int32)
        months = self.months or 1
        month = start.astype("M8[M]").astype(np.int64) // months * months
        final = end.astype("M8[M]").astype(np.int64)
        starts = np.arange(month, final + months + 1, months).astype("M8[M]").astype("M8[D]")
        edges = starts.astype(np.int32)
        if not self.dekad:
            return edges
        dekads = (edges[:, None] + _DEKAD_STARTS).ravel().astype(np.int32)
        opening, closing = np.searchsorted(dekads, [first, last], side="right")
        return np.asarray(dekads[opening - 1 : closing + 1])

    def __str__(self) -> str:
        return self.text


def parse_period(text: str) -> Period:
    """The period that a text names.

    Raises:
        InvalidRequest: it names none.

    >>> parse_period("P10D").edges(18262, 18280)
    array([18262, 18272, 18282], dtype=int32)
    """
    if text.lower() == "dekad":
        return Period(text="dekad", dekad=True)
    found = re.fullmatch(r"P([1-9]\d{0,3})([DMY])", text.upper())
    if found is None:
        raise InvalidRequest(f"a period is one of {_EXAMPLES}, got {text!r}")
    count, unit = int(found[1]), found[2]
    if unit == "D":
        return Period(text=text.upper(), days=count)
    return Period(text=text.upper(), months=count * (12 if unit == "Y" else 1))


def members(edges: Days, dates: Days) -> list[NDArray[np.int64]]:
    """Indices of the dates that lie in each period.

    Args:
        edges: (periods + 1,) as `Period.edges` gives them.
        dates: (time,) ascending.
    """
    period = np.searchsorted(edges, dates, side="right") - 1
    return [np.flatnonzero(period == index) for index in range(len(edges) - 1)]
