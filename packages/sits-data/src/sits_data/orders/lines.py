"""Straight runs through a region: x-t and y-t slices, and oblique ones.

Parallel digital lines cut the plane: each pixel is on one of them, and a line breaks where the region
does.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest

Rows = NDArray[np.int32]
Direction = Literal["x", "y"] | tuple[int, int]

_AXES: dict[str, tuple[int, int]] = {"x": (0, 1), "y": (1, 0)}


class Runs(NamedTuple):
    """Unbroken runs; each pixel of the region is in one of them.

    Args:
        rows: (P,) int32 rows of the region, one run after another.
        length: (R,) int64 pixels of each run.
    """

    rows: Rows
    length: NDArray[np.int64]


def runs(yx: Rows, direction: Direction) -> Runs:
    """A region cut into the runs of one direction: its rows, its columns, or oblique lines.

    Args:
        yx: (P, 2) row and column of each pixel, each pixel once.
        direction: "x" west to east, "y" north to south, or steps down and right such as (1, 2).

    Raises:
        InvalidRequest: the direction is (0, 0).
    """
    line, along = _lines(yx, direction)
    rows = np.lexsort((along, line))
    broken = (np.diff(line[rows]) != 0) | (np.diff(along[rows]) != 1)
    start = np.concatenate([[0], np.flatnonzero(broken) + 1, [len(rows)]])
    return Runs(rows.astype(np.int32), np.diff(start))


def slice_through(yx: Rows, row: int, direction: Direction) -> Rows:
    """The unbroken run of the region's pixels through one of them.

    Args:
        yx: (P, 2) row and column of each pixel, each pixel once.
        row: the pixel, 0 … P-1.
        direction: see `runs`.

    Returns:
        (L,) int32 rows of the region.

    Raises:
        InvalidRequest: the direction is (0, 0).
    """
    line, along = _lines(yx, direction)
    there = np.flatnonzero(line == line[row])
    there = there[np.argsort(along[there])]
    run = np.cumsum(np.diff(along[there], prepend=along[there[0]]) > 1)
    return np.asarray(there[run == run[there == row]], np.int32)


def _lines(yx: Rows, direction: Direction) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The line that each pixel is on, and its place along it: two neighbours of a line differ by 1.

    Along the larger of both steps a line advances by 1; the other coordinate is rounded (Bresenham).
    """
    dy, dx = _AXES.get(direction, (0, 0)) if isinstance(direction, str) else direction
    if dy == dx == 0:
        raise InvalidRequest(
            f"a direction must be x, y, or steps down and right that are not both 0, got {direction}"
        )
    y, x = yx[:, 0].astype(np.int64), yx[:, 1].astype(np.int64)
    if abs(dx) < abs(dy):
        y, x, dy, dx = x, y, dx, dy
    side = 1 if dx > 0 else -1
    along, dy, dx = side * x, dy, abs(dx)
    return y - (2 * along * dy + dx) // (2 * dx), along
