"""Where the clear dates around each date lie, and which gaps may be filled."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

NEVER = 1 << 30
"""More days than any gap has."""


class Policy(NamedTuple):
    """Which gaps are filled.

    Args:
        hold_edges: those before the first and after the last clear date are.
        max_gap_days: longer ones are not.
    """

    hold_edges: bool
    max_gap_days: int


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def find_neighbours(
    clear: NDArray[np.bool_], start: int, size: int, before: NDArray[np.int32], after: NDArray[np.int32]
) -> int:
    """The last clear date up to each date, and the first from it on; the number of clear dates.

    Args:
        clear: (time, pixel).
        start: first pixel.
        size: how many pixels.
        before: (time, size) indices, written to; -1 where there is none.
        after: the same.
    """
    dates = len(clear)
    found = 0
    for t in range(dates):
        for p in range(size):
            seen = clear[t, start + p]
            found += seen
            before[t, p] = t if seen else (before[t - 1, p] if t else -1)
    for t in range(dates - 1, -1, -1):
        for p in range(size):
            after[t, p] = t if clear[t, start + p] else (after[t + 1, p] if t < dates - 1 else -1)
    return found


@numba.njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def may_fill(days: NDArray[np.int32], t: int, before: int, after: int, policy: Policy) -> bool:
    """Whether the policy lets date `t` have a value, between clear dates `before` and `after`."""
    if before >= 0 and after >= 0:
        return bool(days[after] - days[before] <= policy.max_gap_days)
    if not policy.hold_edges or (before < 0 and after < 0):
        return False
    near = before if after < 0 else after
    return bool(abs(days[t] - days[near]) <= policy.max_gap_days)


@numba.njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def between(days: NDArray[np.int32], t: int, before: int, after: int) -> float:
    """How far date `t` is on the way from one clear date to the next, 0 to 1; 0 where there is one."""
    if before < 0 or after <= before:
        return 0.0
    return float((days[t] - days[before]) / (days[after] - days[before]))


@numba.njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def as_number(value: float) -> np.uint16:
    """The nearest number that a cube can store; 0 means nothing is known and is not one."""
    return np.uint16(min(max(value, 1.0), 65535.0) + 0.5)
