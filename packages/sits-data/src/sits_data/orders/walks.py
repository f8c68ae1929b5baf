"""Random walks: short curves that stay in a region, named by a key instead of stored.

Source: Chelali et al., CVIU 208-209 (2021), section 3.3.1: uniform steps, revisits and 8
neighbours are the paper's; the other laws are options.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sits_data.errors import InvalidRequest
from sits_data.philox import Words, below, philox

Rows = NDArray[np.int32]
Starts = Literal["stratified", "iid"]

_GOLDEN = (5**0.5 - 1) / 2
_FOUR = [(-1, 0), (0, -1), (0, 1), (1, 0)]
_EIGHT = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
_WEIGHTS = 1 << 16
# Where counters of walks count walks, this one shuffles: no draw shares its words with another.
SHUFFLE = 1 << 23


class WalkKey(NamedTuple):
    """What names a draw: the same key gives the same walks, whatever runs them.

    Integers, taken modulo 2³².

    Args:
        run: seed of the run.
        region: id of the region, or (R,) ids of several.
        epoch: -1 for evaluation, whose walks stay fixed.
        view: number of the view, or (R,).
    """

    run: int
    region: int | NDArray[np.integer[Any]]
    epoch: int
    view: int | NDArray[np.integer[Any]]


@dataclass(frozen=True)
class WalkLaw:
    """How walks go.

    Args:
        backtrack: whether a step may lead straight back; where there is no other way it does.
        starts: "stratified" spreads them, no pixel twice before each has been one; "iid" is the paper's.
    """

    backtrack: bool = True
    starts: Starts = "stratified"


class Neighbours(NamedTuple):
    """The neighbours of each pixel that lie in its region; N is 4 or 8.

    Args:
        rows: (P, N) int32, left-packed; what is beyond `degree` repeats the pixel itself.
        degree: (P,) int32, 1 … N; a pixel without neighbours is its own.
        bounds: (P, N) int32 sums of the weights of the first 1 … N neighbours; None weighs all alike.
    """

    rows: Rows
    degree: Rows
    bounds: Rows | None = None


def neighbours(
    yx: Rows, region: NDArray[np.integer[Any]] | None = None, *, connectivity: Literal[4, 8] = 8
) -> Neighbours:
    """Who borders whom, in one region or in many at once.

    Args:
        yx: (P, 2) row and column of each pixel, each pixel of a region once.
        region: (P,) which region each pixel belongs to; None puts all in one.
        connectivity: 4 counts sides only, 8 corners too.

    Raises:
        InvalidRequest: there is no pixel, or no such connectivity.
    """
    if connectivity not in (4, 8):
        raise InvalidRequest(f"a pixel has 4 or 8 neighbours, got {connectivity}")
    if not len(yx):
        raise InvalidRequest("a region must have at least 1 pixel, got none")
    offsets = _EIGHT if connectivity == 8 else _FOUR
    size = len(yx)
    local = yx.astype(np.int64) - yx.min(axis=0) + 1
    height, width = local.max(axis=0) + 2
    place = local[:, 0] * width + local[:, 1]
    if region is not None:
        place = place + region.astype(np.int64) * (height * width)
    ascending = np.argsort(place, kind="stable")
    ordered = place[ascending]
    found = np.empty((size, len(offsets)), np.int32)
    for column, (dy, dx) in enumerate(offsets):
        wanted = place + dy * width + dx
        at = np.minimum(np.searchsorted(ordered, wanted), size - 1)
        found[:, column] = np.where(ordered[at] == wanted, ascending[at], -1)
    packed = np.take_along_axis(found, np.argsort(found < 0, axis=1, kind="stable"), axis=1)
    degree = (packed >= 0).sum(axis=1, dtype=np.int32)
    rows = np.where(packed >= 0, packed, np.arange(size, dtype=np.int32)[:, None])
    return Neighbours(rows, np.maximum(degree, 1))


def spectral(near: Neighbours, spectra: NDArray[np.floating[Any]], sigma: float) -> Neighbours:
    """Neighbours weighed by likeness: the softmax of -‖difference‖² / `sigma`.

    Weights are whole numbers, so that every device draws the same steps; none is 0.

    Args:
        near: all weighed alike.
        spectra: (P, C) one spectrum a pixel, such as the median of its clear dates; no NaN.
        sigma: in squared units of `spectra`; the larger, the more uniform.

    Raises:
        InvalidRequest: `sigma` is not above 0.
    """
    if not sigma > 0:
        raise InvalidRequest(f"sigma must be above 0, got {sigma}")
    there = np.arange(near.rows.shape[1]) < near.degree[:, None]
    apart = ((spectra[near.rows] - spectra[:, None]) ** 2).sum(axis=2) / sigma
    apart = np.where(there, apart, np.inf)
    likeness = np.exp(apart.min(axis=1, keepdims=True) - apart)
    share = likeness / likeness.sum(axis=1, keepdims=True)
    weight = np.where(there, np.maximum(np.round(share * _WEIGHTS), 1), 0)
    return near._replace(bounds=np.cumsum(weight, axis=1, dtype=np.int32))


def walk_count(pixels: ArrayLike, fraction: float) -> NDArray[np.int64]:
    """How many walks a region gets: ceil(fraction · pixels), at least 1.

    Args:
        pixels: of each region.
        fraction: the paper's are 0.1, 0.2, 0.5 and 0.7.

    Raises:
        InvalidRequest: the fraction is not above 0.

    >>> int(walk_count(10, 0.7))
    7
    """
    if not 0 < fraction < np.inf:
        raise InvalidRequest(f"the fraction of walks a pixel must be above 0, got {fraction}")
    # 0.07 · 100 is a little more than 7: round before rounding up.
    count = np.ceil(np.round(fraction * np.asarray(pixels), 9)).astype(np.int64)
    return np.maximum(count, 1)


def random_walks(
    near: Neighbours,
    *,
    count: ArrayLike,
    length: int,
    key: WalkKey,
    law: WalkLaw | None = None,
    first: ArrayLike = 0,
    size: ArrayLike | None = None,
) -> Rows:
    """Walks that step to a neighbour in the region; revisits happen.

    Stratified starts: the first is drawn; each further one lies a golden section of the region further
    in raster order. A walk never leaves the connected part that it starts in, and stays where it is if
    that is one pixel. Word `step % 4` of the counter `(step // 4, walk, epoch, view)` chooses a step;
    step 0 chooses the start, stratified that of walk 0 for all.

    Args:
        near: of the region, or of several after each other.
        count: number of walks, K, or (R,) of each region.
        length: pixels of a walk, L.
        key: which draw this is.
        law: how walks go; None is the default law.
        first: (R,) row at which each region starts in `near`.
        size: (R,) pixels of each region; None is one region, all of `near`.

    Returns:
        (ΣK, L) int32 rows of each walk's region, the walks of a region after each other.

    Raises:
        InvalidRequest: walks have no pixel, or there are fewer than none.
    """
    if length < 1 or np.min(count) < 0:
        raise InvalidRequest(
            f"walks must have at least 1 pixel and be at least 0, got {np.asarray(count)} of {length}"
        )
    law = law or WalkLaw()
    size = np.atleast_1d(len(near.degree) if size is None else size)
    count = np.broadcast_to(count, size.shape)
    first, region, view = (
        np.repeat(np.broadcast_to(part, size.shape), count)[:, None]
        for part in (first, key.region, key.view)
    )
    walk = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count))[:, None]
    size = np.repeat(size, count)

    def words_of(walk: NDArray[np.int64], blocks: int) -> Words:
        counter = (np.arange(blocks), walk, key.epoch, view)
        return philox((key.run, region), counter).reshape(len(walk), -1)

    if not len(walk):
        return np.zeros((0, length), np.int32)
    words = words_of(walk, -(-length // 4))
    if law.starts == "iid":
        start = below(words[:, 0], size)
    else:
        start = (below(words_of(0 * walk, 1)[:, 0], size) + walk[:, 0] * golden_stride(size)) % size
    walks = np.empty((len(walk), length), np.int32)
    walks[:, 0] = first[:, 0] + start
    for step in range(1, length):
        before = walks[:, step - 2] if step > 1 and not law.backtrack else None
        walks[:, step] = _step(near, walks[:, step - 1], before, words[:, step])
    return np.asarray(walks - first, np.int32)


def permutation(size: int, key: WalkKey) -> Rows:
    """All pixels of a region in random order: the control without spatial information.

    Args:
        size: pixels of the region, P.
        key: which draw this is, of one region.

    Returns:
        (P,) int32.
    """
    counter = (np.arange(size), SHUFFLE, key.epoch, key.view)
    return np.argsort(philox((key.run, key.region), counter)[:, 0], kind="stable").astype(np.int32)


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


def _step(near: Neighbours, here: Rows, before: Rows | None, words: Words) -> Rows:
    """One step of each walk, (K,).

    A draw below the sum of all weights falls to the neighbour whose bounds hold it. The way back is
    left out by drawing below the sum without its weight, and jumping over that.
    """
    if near.bounds is None and before is None:
        return np.asarray(near.rows[here, below(words, near.degree[here])])
    rows, degree = near.rows[here], near.degree[here]
    if near.bounds is None:
        bounds = np.minimum(np.arange(1, rows.shape[1] + 1), degree[:, None])
    else:
        bounds = near.bounds[here]
    low = width = np.zeros(len(here), np.int64)
    if before is not None:
        back = rows == before[:, None]
        column = np.arange(len(here)), back.argmax(axis=1)
        barred = back.any(axis=1) & (degree > 1)
        below_it = np.concatenate([np.zeros((len(here), 1), np.int64), bounds], axis=1)
        low, width = below_it[column], np.where(barred, bounds[column] - below_it[column], 0)
    draw = below(words, bounds[:, -1] - width)
    draw = np.where(draw >= low, draw + width, draw)
    return np.asarray(rows[np.arange(len(here)), (draw[:, None] >= bounds).sum(axis=1)])
