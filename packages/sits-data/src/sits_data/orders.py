"""Orders: the curves, walks and runs along which a region's pixels become columns.

An order is an index list into the region's rows, which are in raster order. A curve is drawn on the
tight bounding box; pixels outside the region are left out and the others keep their order.

Source: ../reference/deepstar.md, sections 1.3 and 7; spiral and snake after Chelali et al.,
VISAPP 2020, section 3.2.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sits_data.philox import below, philox

OrderName = Literal["raster", "snake", "spiral", "hilbert"]
Rows = NDArray[np.int32]

_GOLDEN = (5**0.5 - 1) / 2
_EIGHT = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def order(name: OrderName, yx: Rows) -> Rows:
    """The rows of a region along a curve.

    Args:
        name: which curve.
        yx: (P, 2) row and column of each pixel, in raster order.

    Returns:
        (P,) int32, a permutation of 0 … P-1: position on the curve → row of the region.

    >>> order("snake", np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32))
    array([0, 1, 3, 2], dtype=int32)
    """
    y, x = yx[:, 0] - yx[:, 0].min(), yx[:, 1] - yx[:, 1].min()
    height, width = int(y.max()) + 1, int(x.max()) + 1
    if len(yx) == height * width:  # a full rectangle, such as a chip
        return _curve(name, height, width).copy()
    return np.argsort(rank_table(name, height, width)[y, x]).astype(np.int32)


@lru_cache(maxsize=256)
def rank_table(name: OrderName, height: int, width: int) -> Rows:
    """The position of every cell of a rectangle on a curve.

    Returns:
        (height, width) int32, each of 0 … height·width-1 once; read-only, as it is cached.
    """
    table = ORDERS[name](height, width)
    table.setflags(write=False)
    return table


@lru_cache(maxsize=256)
def _curve(name: OrderName, height: int, width: int) -> Rows:
    return _inverse(rank_table(name, height, width).ravel())


def _raster(height: int, width: int) -> Rows:
    return np.arange(height * width, dtype=np.int32).reshape(height, width)


def _snake(height: int, width: int) -> Rows:
    table = _raster(height, width)
    table[1::2] = table[1::2, ::-1].copy()
    return table


def _spiral(height: int, width: int) -> Rows:
    """From the centre to the right, then down, left, up, around; what sticks out is left out.

    Ring k is walked along four sides of 2k steps each, after the (2k-1)² cells within it.
    """
    down, right = np.ogrid[:height, :width]
    down, right = down - (height - 1) // 2, right - (width - 1) // 2
    ring = np.maximum(abs(down), abs(right))
    step = np.select(
        [(right == ring) & (down > -ring), down == ring, right == -ring],
        [ring + down, 3 * ring - right, 5 * ring - down],
        7 * ring + right,
    )
    # Where the square spiral leaves the rectangle ranks have gaps: rank them again.
    key = np.where(ring == 0, 0, (2 * ring - 1) ** 2 + step - 1).ravel()
    return _inverse(np.argsort(key)).reshape(height, width)


def _hilbert(height: int, width: int) -> Rows:
    """A Hilbert curve of any rectangle, on squares of side 2, 4, 8, … the classic one.

    Steps go to a 4-neighbour. One step is diagonal where parity forbids otherwise: the longer side
    odd, the shorter even and less than half of it (else the curve runs along the shorter side).
    """
    along_width = width >= height
    long, short = max(height, width), min(height, width)
    if long % 2 == 1 and short % 2 == 0 and 2 * short >= long:
        along_width = not along_width
    path = _across(height, width) if along_width else _across(width, height)[:, ::-1]
    return _inverse(path[:, 0] * width + path[:, 1]).reshape(height, width)


@lru_cache(maxsize=1024)
def _across(height: int, width: int) -> NDArray[np.int64]:
    """A path over all cells of a rectangle, from its first corner along the top to the next one.

    Wide rectangles are crossed in two halves, side by side. Others by three pieces: down the left
    leg, across the bridge, and up the right leg (`1`, `2`, `3`)::

        1 1 3 3
        1 1 3 3
        2 2 2 2
        2 2 2 2

    A path that ends on the same side needs `width` even, or both odd (colour the cells like a
    chessboard). Legs of even height and halves of even width keep that true for every piece; where
    it is false from the start, a strip of two rows at the end takes one diagonal step.

    Returns:
        (height·width, 2) rows and columns; (0, 0) comes first, (0, width-1) last.
    """
    if height == 1:
        return np.stack([np.zeros(width, np.int64), np.arange(width)], axis=1)
    if height == 2 and width <= 3:
        return _battlement(width)
    if height == 2 or 2 * width > 3 * height:
        first = 2 * max(1, round(width / 4))
        second = _across(height, width - first) + np.array([0, first])
        return np.concatenate([_across(height, first), second])
    leg = 2 * max(1, round(height / 4))
    left = _across(width // 2, leg)[:, ::-1]
    bridge = _across(height - leg, width) + np.array([leg, 0])
    right = _across(width - width // 2, leg)[:, ::-1]
    return np.concatenate([left, bridge, np.array([leg - 1, width - 1]) - right])


def _battlement(width: int) -> NDArray[np.int64]:
    """Two rows by two columns, or by three with the one diagonal step that this needs."""
    columns = [[(0, 0), (1, 0)], [(1, 1), (0, 1)]]
    if width == 3:
        columns = [[(0, 0), (1, 0)], [(0, 1), (1, 1)], [(1, 2), (0, 2)]]
    return np.array(columns, np.int64).reshape(-1, 2)


def _inverse(permutation: NDArray[np.integer[Any]]) -> Rows:
    inverse = np.empty(permutation.size, np.int32)
    inverse[permutation] = np.arange(permutation.size, dtype=np.int32)
    return inverse


ORDERS: dict[OrderName, Callable[[int, int], Rows]] = {
    "raster": _raster,
    "snake": _snake,
    "spiral": _spiral,
    "hilbert": _hilbert,
}
"""Every curve, by name: rectangle → rank of its cells."""


class WalkKey(NamedTuple):
    """What names a draw of walks: the same key gives the same walks, whatever runs them.

    Integers, taken modulo 2³².

    Args:
        run: seed of the run.
        region: id of the region.
        epoch: -1 for evaluation, whose walks stay fixed.
        view: number of the view.
    """

    run: int
    region: int
    epoch: int
    view: int


class Neighbours(NamedTuple):
    """The 8-neighbours of each pixel that lie in the region.

    Args:
        rows: (P, 8) int32, left-packed; what is beyond `degree` repeats the pixel itself.
        degree: (P,) int32, 1 … 8; a pixel without neighbours is its own.
    """

    rows: Rows
    degree: Rows


def neighbours(yx: Rows, region: NDArray[np.integer[Any]] | None = None) -> Neighbours:
    """Who borders whom, in one region or in many at once.

    Args:
        yx: (P, 2) row and column of each pixel, each pixel of a region once.
        region: (P,) which region each pixel belongs to; None puts all in one.
    """
    size = len(yx)
    local = yx.astype(np.int64) - yx.min(axis=0) + 1
    height, width = local.max(axis=0) + 2
    place = local[:, 0] * width + local[:, 1]
    if region is not None:
        place = place + region.astype(np.int64) * (height * width)
    ascending = np.argsort(place, kind="stable")
    ordered = place[ascending]
    found = np.empty((size, len(_EIGHT)), np.int32)
    for column, (dy, dx) in enumerate(_EIGHT):
        wanted = place + dy * width + dx
        at = np.minimum(np.searchsorted(ordered, wanted), size - 1)
        found[:, column] = np.where(ordered[at] == wanted, ascending[at], -1)
    packed = np.take_along_axis(found, np.argsort(found < 0, axis=1, kind="stable"), axis=1)
    degree = (packed >= 0).sum(axis=1, dtype=np.int32)
    rows = np.where(packed >= 0, packed, np.arange(size, dtype=np.int32)[:, None])
    return Neighbours(rows, np.maximum(degree, 1))


def random_walks(near: Neighbours, *, count: int, length: int, key: WalkKey) -> Rows:
    """Walks that step to one of the 8 neighbours in the region, each as likely; revisits happen.

    The first start is drawn; each further one lies a golden section of the region further in raster
    order, so that starts are spread and no pixel starts twice before each has started once. A walk
    never leaves the connected part that it starts in. Word `step % 4` of the counter
    `(step // 4, walk, epoch, view)` chooses a step; step 0 of walk 0 chooses the first start.

    Args:
        near: of the region.
        count: number of walks, K.
        length: pixels of a walk, L.
        key: which draw this is.

    Returns:
        (K, L) int32 rows of the region.

    Source: Chelali et al., CVIU 208-209 (2021), section 3.3.1.
    """
    size = len(near.degree)
    walk = np.arange(count)
    blocks = np.arange(-(-length // 4))
    counter = (blocks[None], walk[:, None], key.epoch, key.view)
    words = philox((key.run, key.region), counter).reshape(count, -1)
    walks = np.empty((count, length), np.int32)
    walks[:, 0] = (below(words[0, 0], size) + walk * golden_stride(size)) % size
    for step in range(1, length):
        here = walks[:, step - 1]
        walks[:, step] = near.rows[here, below(words[:, step], near.degree[here])]
    return walks


def golden_stride(size: NDArray[np.integer[Any]] | int) -> NDArray[np.int64]:
    """The step nearest above `size` / golden ratio that has no divisor in common with `size`.

    Adding it again and again, modulo `size`, comes to every number before any twice.

    >>> int(golden_stride(10))
    7
    """
    size = np.asarray(size, np.int64)
    stride = np.maximum(np.round(size * _GOLDEN).astype(np.int64), 1)
    while (shared := np.gcd(stride, size) > 1).any():
        stride = stride + shared
    return stride


def slice_through(yx: Rows, row: int, *, axis: Literal["x", "y"]) -> Rows:
    """The unbroken run of the region's pixels through one of them, for an x–t or a y–t slice.

    Args:
        yx: (P, 2) row and column of each pixel, each pixel once.
        row: the pixel, 0 … P-1.
        axis: "x" runs west to east, "y" north to south.

    Returns:
        (L,) int32 rows of the region.
    """
    along = {"y": 0, "x": 1}[axis]
    line = np.flatnonzero(yx[:, 1 - along] == yx[row, 1 - along]).astype(np.int32)
    line = line[np.argsort(yx[line, along])]
    run = np.cumsum(np.diff(yx[line, along], prepend=yx[line[0], along]) > 1)
    return np.asarray(line[run == run[line == row]])
