"""The inner loop of planarize: from images of a block to rows of pixels."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_TILE_PX = 128
_IMAGES = 6
"""Images side by side: chunks have sides of 512, so equal pixels of all images compete for the same
eight places in a core's first cache; a few are left for what is written."""


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def copy_columns(
    images: NDArray[Any], pixels: NDArray[np.int64], rows: NDArray[Any], first: int
) -> None:
    """Copy pixels of some images to columns of a table: `rows[p, first + k] = images[k, pixels[p]]`.

    Five times as fast as the plain loops, as it works on tiles that stay in cache; the `uint64`
    spare a test for negative indices.

    Args:
        images: (k, y·x), flat images.
        pixels: (p,) position of each pixel in them.
        rows: (p, columns) written to.
        first: column of the first image.
    """
    count = len(images)
    whole = count - count % _IMAGES
    for start in range(0, len(pixels), _TILE_PX):
        stop = min(start + _TILE_PX, len(pixels))
        for k in range(0, whole, _IMAGES):
            for p in range(start, stop):
                row, pixel = rows[p], np.uint64(pixels[p])
                for i in range(_IMAGES):
                    row[np.uint64(first + k + i)] = images[np.uint64(k + i), pixel]
        for k in range(whole, count):
            for p in range(start, stop):
                rows[p, np.uint64(first + k)] = images[np.uint64(k), np.uint64(pixels[p])]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def sort_by_block(
    yx: NDArray[np.int32], side_px: int, across: int, counts: NDArray[np.int64], rows: NDArray[np.int32]
) -> None:
    """Rows by the block that they lie in, ascending within each: memory for nothing but the result.

    Args:
        yx: (rows, 2) row and column of each pixel on the grid.
        side_px: of a block.
        across: blocks side by side.
        counts: (blocks,) zeros; written to, the rows of each block.
        rows: (rows,) written to.
    """
    for row in range(len(yx)):
        counts[yx[row, 0] // side_px * across + yx[row, 1] // side_px] += 1
    place = np.cumsum(counts) - counts
    for row in range(len(yx)):
        block = yx[row, 0] // side_px * across + yx[row, 1] // side_px
        rows[place[block]] = row
        place[block] += 1
