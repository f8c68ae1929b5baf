"""Whittaker's smoother on irregular dates: the smoothest series near the clear values."""

import numba
import numpy as np
from numpy.typing import NDArray

from sits_data.gapfill.gaps import Policy, as_number, find_neighbours, may_fill

_TILE_PX = 64
FEWEST = 3
"""Clear dates below which a series is filled linearly: a curve needs three points to bend."""


def penalty(days: NDArray[np.int32], smoothing: float) -> NDArray[np.float64]:
    """λ DᵀD, where D z is the second derivative of a series at its inner dates.

    D are divided differences weighted by the root of the days that each stands for, so that the
    penalty approximates λ ∫ z''² dt whatever the spacing; on daily dates it is Whittaker's own.

    Args:
        days: (time,) ascending, at least 3.
        smoothing: λ in days³.

    Returns:
        (3, time): the diagonal and the two above it, padded with zeros.

    Source: Eilers, A perfect smoother, Analytical Chemistry 75 (2003), with its section on
    unequally spaced samples.
    """
    left, right = np.diff(days)[:-1].astype(float), np.diff(days)[1:].astype(float)
    rows = np.stack([2 / (left * (left + right)), -2 / (left * right), 2 / (right * (left + right))])
    rows *= np.sqrt((left + right) / 2)
    bands = np.zeros((3, len(days)))
    inner = len(days) - 2
    for offset in range(3):
        for first in range(3 - offset):
            bands[offset, first : first + inner] += rows[first] * rows[first + offset]
    return smoothing * bands


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def fill_whittaker(
    numbers: NDArray[np.uint16],
    clear: NDArray[np.bool_],
    days: NDArray[np.int32],
    filled: NDArray[np.uint8],
    first: int,
    last: int,
    policy: Policy,
    keep_observed: bool,
    bands_of_penalty: NDArray[np.float64],
) -> None:
    """Fill unclear dates in place, and smooth clear ones unless they are kept.

    Solves (W + λ DᵀD) z = W y, W 1 where clear and 0 elsewhere: one factorisation L D Lᵀ a pixel for
    all bands. Pixels with fewer than three clear dates are left as they are: they want `fill_linear`.

    Args:
        numbers: (time, band, pixel), written to; 0 where the policy leaves a hole.
        clear: (time, pixel).
        days: (time,) ascending.
        filled: (time, pixel), written to: 1 where a value was filled in, else 0.
        first: pixel to begin with.
        last: pixel to end before.
        policy: which gaps are filled.
        keep_observed: leave clear values as they are.
        bands_of_penalty: `penalty(days, …)`.
    """
    dates, bands, _ = numbers.shape
    before = np.empty((dates, _TILE_PX), np.int32)
    after = np.empty((dates, _TILE_PX), np.int32)
    pivot = np.empty((dates, _TILE_PX))
    near, far = np.zeros((dates, _TILE_PX)), np.zeros((dates, _TILE_PX))
    series = np.empty((dates, _TILE_PX))
    enough = np.empty(_TILE_PX, np.bool_)
    for start in range(first, last, _TILE_PX):
        size = min(_TILE_PX, last - start)
        if find_neighbours(clear, start, size, before, after) == 0:
            continue
        for p in range(size):
            count = 0
            for t in range(dates):
                count += clear[t, start + p]
            enough[p] = count >= FEWEST
        for t in range(dates):
            for p in range(size):
                # A pixel that is left alone is solved as if it were clear: no division by zero.
                weight = 1.0 if clear[t, start + p] or not enough[p] else 0.0
                pivot[t, p] = weight + bands_of_penalty[0, t]
                near[t, p] = bands_of_penalty[1, t]
                if t >= 1:
                    pivot[t, p] -= near[t - 1, p] * near[t - 1, p] * pivot[t - 1, p]
                    near[t, p] -= pivot[t - 1, p] * near[t - 1, p] * far[t - 1, p]
                if t >= 2:
                    pivot[t, p] -= far[t - 2, p] * far[t - 2, p] * pivot[t - 2, p]
                near[t, p] /= pivot[t, p]
                far[t, p] = bands_of_penalty[2, t] / pivot[t, p]
                if enough[p]:
                    filled[t, start + p] = not clear[t, start + p] and may_fill(
                        days, t, before[t, p], after[t, p], policy
                    )
        for b in range(bands):
            for t in range(dates):
                for p in range(size):
                    series[t, p] = numbers[t, b, start + p] if clear[t, start + p] else 0.0
                    if t >= 1:
                        series[t, p] -= near[t - 1, p] * series[t - 1, p]
                    if t >= 2:
                        series[t, p] -= far[t - 2, p] * series[t - 2, p]
            for t in range(dates - 1, -1, -1):
                for p in range(size):
                    series[t, p] /= pivot[t, p]
                    if t + 1 < dates:
                        series[t, p] -= near[t, p] * series[t + 1, p]
                    if t + 2 < dates:
                        series[t, p] -= far[t, p] * series[t + 2, p]
            for t in range(dates):
                for p in range(size):
                    if not enough[p]:
                        continue
                    if clear[t, start + p]:
                        if not keep_observed:
                            numbers[t, b, start + p] = as_number(series[t, p])
                    elif filled[t, start + p]:
                        # Beyond the first and the last clear date their value is held.
                        held = t
                        if before[t, p] < 0:
                            held = after[t, p]
                        elif after[t, p] < 0:
                            held = before[t, p]
                        numbers[t, b, start + p] = as_number(series[held, p])
                    else:
                        numbers[t, b, start + p] = 0
