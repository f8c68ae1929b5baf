"""Digital numbers of pixels as they lie on disk, one row a pixel: a copy at the speed of memory."""

import numba
import numpy as np
from numpy.typing import NDArray

from sits_models.ops.memory import LANE, LINE, prefetch, stream

_AHEAD = 8
"""Rows that are asked for before they are copied."""

_STREAMED = 1 << 24
"""Bytes of a result that the cache would not hold."""


def gather_raw(
    pixels: NDArray[np.uint16], rows: NDArray[np.int64], out: NDArray[np.uint16] | None = None
) -> NDArray[np.uint16]:
    """Some rows of a table of pixels.

    Args:
        pixels: (P, …) uint16, contiguous, such as a shard of a store.
        rows: (N,) rows of it; -1 is padding.
        out: (N, …) uint16, contiguous, to write to; None makes it.

    Returns:
        (N, …) uint16; padded rows are 0.

    Raises:
        IndexError: a row lies outside the table.
    """
    if out is None:
        out = np.empty((len(rows), *pixels.shape[1:]), np.uint16)
    width = int(np.prod(pixels.shape[1:]))
    streamed = out.nbytes >= _STREAMED and width % LANE == 0 and out.ctypes.data % 16 == 0
    copy = _copy_past_cache if streamed else _copy
    wrong = copy(pixels.reshape(-1), rows, width, len(pixels), out.reshape(-1))
    if wrong >= 0:
        raise IndexError(f"the table has rows 0 to {len(pixels) - 1}, got {rows[wrong]}")
    return out


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _copy(
    flat: NDArray[np.uint16], rows: NDArray[np.int64], width: int, count: int, out: NDArray[np.uint16]
) -> int:
    """Returns the place of a row that does not exist, or -1; what it asks for in advance may not."""
    for n in range(len(rows)):
        if not -1 <= rows[n] < count:
            return n
        ahead = min(max(rows[min(n + _AHEAD, len(rows) - 1)], 0), count - 1) * width
        for k in range(0, width, LINE):
            prefetch(flat, ahead + k)  # type: ignore[call-arg,unused-ignore]
        to, start = n * width, rows[n] * width
        if start < 0:
            for k in range(width):
                out[to + k] = 0
        else:
            for k in range(width):
                out[to + k] = flat[start + k]
    return -1


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _copy_past_cache(
    flat: NDArray[np.uint16], rows: NDArray[np.int64], width: int, count: int, out: NDArray[np.uint16]
) -> int:
    """Returns the place of a row that does not exist, or -1; what it asks for in advance may not."""
    for n in range(len(rows)):
        if not -1 <= rows[n] < count:
            return n
        ahead = min(max(rows[min(n + _AHEAD, len(rows) - 1)], 0), count - 1) * width
        for k in range(0, width, LINE):
            prefetch(flat, ahead + k)  # type: ignore[call-arg,unused-ignore]
        to, start = n * width, rows[n] * width
        if start < 0:
            for k in range(width):
                out[to + k] = 0
        else:
            for k in range(0, width, LANE):
                stream(out, to + k, flat, start + k)  # type: ignore[call-arg,unused-ignore]
    return -1
