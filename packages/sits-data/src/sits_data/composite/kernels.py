"""The inner loops of composites: medians and medoids of stacks of images.

Both work on tiles of pixels that are copied together first: images have sides of 512, so equal
pixels of all images compete for the same few places in a core's first cache.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_TILE_PX = 512
_TOP = np.uint16(65535)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def median_images(
    images: NDArray[np.uint16],
    clear: NDArray[np.bool_],
    network: NDArray[np.int64],
    out: NDArray[np.uint16],
) -> None:
    """The median of the clear values of each band and pixel; of an even number the mean of two.

    Args:
        images: (time, band, pixel).
        clear: (time, pixel).
        network: `sorting_network(time)`.
        out: (band, pixel), written to; 0 where nothing is clear.
    """
    dates, bands, pixels = images.shape
    rows = np.empty((dates, _TILE_PX), np.uint16)
    counts = np.empty(_TILE_PX, np.int64)
    for start in range(0, pixels, _TILE_PX):
        size = min(_TILE_PX, pixels - start)
        counts[:] = 0
        for t in range(dates):
            for p in range(size):
                counts[p] += clear[t, start + p]
        for b in range(bands):
            for t in range(dates):
                row, image, seen = rows[t], images[t, b, start:], clear[t, start:]
                for p in range(size):
                    row[p] = image[p] if seen[p] else _TOP
            for k in range(len(network)):
                low, high = rows[network[k, 0]], rows[network[k, 1]]
                for p in range(size):
                    one, other = low[p], high[p]
                    low[p] = min(one, other)
                    high[p] = max(one, other)
            for p in range(size):
                count = counts[p]
                if count == 0:
                    out[b, start + p] = 0
                else:
                    middle = np.int64(rows[(count - 1) // 2, p]) + np.int64(rows[count // 2, p])
                    out[b, start + p] = np.uint16((middle + 1) // 2)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def medoid_dates(images: NDArray[np.uint16], clear: NDArray[np.bool_], out: NDArray[Any]) -> None:
    """The clear date whose bands are nearest to those of all other clear dates, the first of equals.

    Args:
        images: (time, band, pixel).
        clear: (time, pixel).
        out: (pixel,) int16 index of the date, written to; -1 where nothing is clear.
    """
    dates, bands, pixels = images.shape
    tile = np.empty((dates, bands, _TILE_PX), np.float32)
    sums = np.empty((dates, _TILE_PX), np.float32)
    square = np.empty(_TILE_PX, np.float32)
    for start in range(0, pixels, _TILE_PX):
        size = min(_TILE_PX, pixels - start)
        sums[:] = 0
        for t in range(dates):
            for b in range(bands):
                for p in range(size):
                    tile[t, b, p] = images[t, b, start + p]
        for t in range(dates):
            for u in range(t):
                square[:] = 0
                for b in range(bands):
                    one, other = tile[t, b], tile[u, b]
                    for p in range(size):
                        square[p] += (one[p] - other[p]) * (one[p] - other[p])
                for p in range(size):
                    if clear[t, start + p] and clear[u, start + p]:
                        distance = np.sqrt(square[p])
                        sums[t, p] += distance
                        sums[u, p] += distance
        for p in range(size):
            best = -1
            for t in range(dates):
                if clear[t, start + p] and (best < 0 or sums[t, p] < sums[best, p]):
                    best = t
            out[start + p] = best
