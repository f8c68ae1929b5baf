"""Straight lines between clear dates."""

import numba
import numpy as np
from numpy.typing import NDArray

from sits_data.gapfill.gaps import Policy, between, find_neighbours, may_fill

_TILE_PX = 512


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def fill_linear(
    numbers: NDArray[np.uint16],
    clear: NDArray[np.bool_],
    days: NDArray[np.int32],
    filled: NDArray[np.uint8],
    first: int,
    last: int,
    policy: Policy,
) -> None:
    """Fill unclear dates in place; a clear value is only read.

    Args:
        numbers: (time, band, pixel), written to; 0 where the policy leaves a hole.
        clear: (time, pixel).
        days: (time,) ascending.
        filled: (time, pixel), written to: 1 where a value was filled in, else 0.
        first: pixel to begin with.
        last: pixel to end before.
        policy: which gaps are filled.
    """
    dates, bands, _ = numbers.shape
    before = np.empty((dates, _TILE_PX), np.int32)
    after = np.empty((dates, _TILE_PX), np.int32)
    weight = np.empty(_TILE_PX, np.float32)
    for start in range(first, last, _TILE_PX):
        size = min(_TILE_PX, last - start)
        found = find_neighbours(clear, start, size, before, after)
        if found == dates * size:
            filled[:, start : start + size] = 0
            continue
        for t in range(dates):
            missing = False
            for p in range(size):
                fills = not clear[t, start + p] and may_fill(days, t, before[t, p], after[t, p], policy)
                filled[t, start + p] = fills
                missing |= not clear[t, start + p]
                weight[p] = between(days, t, before[t, p], after[t, p])
            if not missing:
                continue
            for b in range(bands):
                for p in range(size):
                    if clear[t, start + p]:
                        continue
                    if not filled[t, start + p]:
                        numbers[t, b, start + p] = 0
                        continue
                    left = before[t, p] if before[t, p] >= 0 else after[t, p]
                    right = after[t, p] if after[t, p] >= 0 else left
                    low = np.float32(numbers[left, b, start + p])
                    high = np.float32(numbers[right, b, start + p])
                    numbers[t, b, start + p] = np.uint16(
                        low + weight[p] * (high - low) + np.float32(0.5)
                    )
