"""Savitzky-Golay on irregular dates: a local polynomial in days through the linear series."""

import numba
import numpy as np
from numpy.typing import NDArray

from sits_data.gapfill.gaps import Policy, as_number, between, find_neighbours, may_fill

_TILE_PX = 128


def local_polynomials(days: NDArray[np.int32], window_days: int, order: int) -> NDArray[np.float32]:
    """Weights that turn a series into the values of local polynomials at its dates.

    On evenly spaced dates the inner rows are the coefficients of Savitzky and Golay. At the ends the
    window is cut off. Where it holds no more dates than the polynomial has coefficients, the
    polynomial goes through all of them and the date keeps its value.

    Args:
        days: (time,) ascending.
        window_days: dates at most half of it away count.
        order: degree of the polynomial.

    Returns:
        (time, time); row t gives the smoothed value of date t.

    Source: Savitzky and Golay, Analytical Chemistry 36 (1964); Chen et al., Remote Sensing of
    Environment 91 (2004), for filling the gaps linearly first.
    """
    weights = np.zeros((len(days), len(days)), np.float32)
    for t, day in enumerate(days.tolist()):
        near = np.flatnonzero(np.abs(days - day) <= window_days / 2)
        powers = np.vander((days[near] - day) / window_days, min(order, len(near) - 1) + 1)
        weights[t, near] = np.linalg.pinv(powers)[-1]
    return weights


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def fill_savgol(
    numbers: NDArray[np.uint16],
    clear: NDArray[np.bool_],
    days: NDArray[np.int32],
    filled: NDArray[np.uint8],
    first: int,
    last: int,
    policy: Policy,
    keep_observed: bool,
    weights: NDArray[np.float32],
) -> None:
    """Fill unclear dates in place, and smooth clear ones unless they are kept.

    Args:
        numbers: (time, band, pixel), written to; 0 where the policy leaves a hole.
        clear: (time, pixel).
        days: (time,) ascending.
        filled: (time, pixel), written to: 1 where a value was filled in, else 0.
        first: pixel to begin with.
        last: pixel to end before.
        policy: which gaps are filled.
        keep_observed: leave clear values as they are.
        weights: `local_polynomials(days, …)`.
    """
    dates, bands, _ = numbers.shape
    before = np.empty((dates, _TILE_PX), np.int32)
    after = np.empty((dates, _TILE_PX), np.int32)
    series = np.empty((dates, _TILE_PX), np.float32)
    smooth = np.empty((dates, _TILE_PX), np.float32)
    share = np.empty((dates, _TILE_PX), np.float32)
    for start in range(first, last, _TILE_PX):
        size = min(_TILE_PX, last - start)
        if find_neighbours(clear, start, size, before, after) == 0:
            numbers[:, :, start : start + size] = 0
            filled[:, start : start + size] = 0
            continue
        for t in range(dates):
            for p in range(size):
                left, right = before[t, p], after[t, p]
                share[t, p] = between(days, t, left, right)
                filled[t, start + p] = not clear[t, start + p] and may_fill(days, t, left, right, policy)
                if left < 0:
                    before[t, p] = max(right, 0)
                if right < 0:
                    after[t, p] = before[t, p]
        for b in range(bands):
            for t in range(dates):
                for p in range(size):
                    low = np.float32(numbers[before[t, p], b, start + p])
                    high = np.float32(numbers[after[t, p], b, start + p])
                    series[t, p] = low + share[t, p] * (high - low)
            for t in range(dates):
                smooth[t] = 0
                for u in range(dates):
                    factor = weights[t, u]
                    if factor != 0:
                        for p in range(size):
                            smooth[t, p] += factor * series[u, p]
            for t in range(dates):
                for p in range(size):
                    if clear[t, start + p]:
                        if not keep_observed:
                            numbers[t, b, start + p] = as_number(smooth[t, p])
                    elif filled[t, start + p]:
                        # Beyond the first and the last clear date their value is held.
                        inside = before[t, p] <= t <= after[t, p]
                        held = t if inside else before[t, p]
                        numbers[t, b, start + p] = as_number(smooth[held, p])
                    else:
                        numbers[t, b, start + p] = 0
