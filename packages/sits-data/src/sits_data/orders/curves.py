"""Curves that come to every pixel of a region once.

A curve is drawn on the tight bounding box; pixels outside the region are left out and the others keep
their order.

Source: spiral and snake after Chelali et al., VISAPP 2020, section 3.2; Hilbert's curve on any rectangle
is our own construction.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest

OrderName = Literal["raster", "snake", "spiral", "hilbert", "hilbert2k"]
Rows = NDArray[np.int32]

_REMEMBERED, _PIECE = 1 << 16, 1 << 10
"""Cells of the rectangles, and of the pieces of a Hilbert curve, that are kept: a few MB in all."""

DIHEDRALS = 8
"""Ways to lay a curve on a region without resampling: four turns, each also mirrored."""


def order(name: OrderName, yx: Rows, *, dihedral: int = 0) -> Rows:
    """The rows of a region along a curve.

    Args:
        name: which curve.
        yx: (P, 2) row and column of each pixel, in raster order.
        dihedral: 0 … 7: the region is mirrored up-down (1), left-right (2) and at its diagonal (4)
            before the curve is laid on it; the numbers add up.

    Returns:
        (P,) int32, a permutation of 0 … P-1: position on the curve → row of the region.

    Raises:
        InvalidRequest: there is no such curve or dihedral variant, or no pixel.

    >>> order("snake", np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32))
    array([0, 1, 3, 2], dtype=int32)
    """
    if name not in ORDERS:
        raise InvalidRequest(f"unknown order {name}; use one of {', '.join(ORDERS)}")
    if dihedral not in range(DIHEDRALS):
        raise InvalidRequest(f"dihedral variants are 0 to {DIHEDRALS - 1}, got {dihedral}")
    if not len(yx):
        raise InvalidRequest("a region must have at least 1 pixel, got none")
    y, x = yx[:, 0] - yx[:, 0].min(), yx[:, 1] - yx[:, 1].min()
    height, width = int(y.max()) + 1, int(x.max()) + 1
    if len(yx) == height * width and not dihedral:  # a full rectangle, such as a chip
        return _curve(name, height, width).copy()
    y, x = (height - 1 - y if dihedral & 1 else y), (width - 1 - x if dihedral & 2 else x)
    if dihedral & 4:
        y, x, height, width = x, y, width, height
    return np.argsort(rank_table(name, height, width)[y, x]).astype(np.int32)


def parse_order(text: str) -> tuple[OrderName, int]:
    """A curve's name and its dihedral variant: `hilbert`, or `hilbert:5`.

    Raises:
        InvalidRequest: there is no such curve.
    """
    name, _, variant = text.partition(":")
    if name not in ORDERS or (variant or "0") not in map(str, range(DIHEDRALS)) or text.endswith(":"):
        raise InvalidRequest(
            f"unknown order {text}; use some of {', '.join(ORDERS)}, each also with :1 to :7 for a "
            "dihedral variant (walks and slices need no storage)"
        )
    return name, int(variant or 0)


def rank_table(name: OrderName, height: int, width: int) -> Rows:
    """The position of every cell of a rectangle on a curve; those of small ones are remembered.

    Returns:
        (height, width) int32, each of 0 … height·width-1 once; read-only, as it is cached.
    """
    small = height * width <= _REMEMBERED
    table = _remembered(name, height, width) if small else ORDERS[name](height, width)
    table.setflags(write=False)
    return table


@lru_cache(maxsize=256)
def _remembered(name: OrderName, height: int, width: int) -> Rows:
    return ORDERS[name](height, width)


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


def _hilbert_2k(height: int, width: int) -> Rows:
    """The classic curve of a square around it, its side a power of two; what sticks out is left out."""
    side = 1 << (max(height, width) - 1).bit_length()
    return _inverse(np.argsort(_hilbert(side, side)[:height, :width], axis=None)).reshape(height, width)


def _across(height: int, width: int) -> NDArray[np.int64]:
    """`_path`; those of small pieces are remembered."""
    return (_small_path if height * width <= _PIECE else _path)(height, width)


@lru_cache(maxsize=1024)
def _small_path(height: int, width: int) -> NDArray[np.int64]:
    return _path(height, width)


def _path(height: int, width: int) -> NDArray[np.int64]:
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
    "hilbert2k": _hilbert_2k,
}
"""Every curve, by name: rectangle → rank of its cells."""
