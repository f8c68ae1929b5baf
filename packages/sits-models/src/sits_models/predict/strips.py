"""A cube cut into strips of chips, each small enough to be held as rows of pixels."""

import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sits_data.cube import RawCube
from sits_data.mask import QA, MaskName, strict_classes, unclear_bits
from sits_data.orders import order
from sits_data.store.transpose import copy_columns
from sits_models.data.residence import table_of_arrays
from sits_models.data.table import PixelTable

CURVE: Final = "hilbert"

_READ_BYTES = 16_000_000
_STRIP_BYTES = 256_000_000
_DILATED = np.uint8(QA.DILATED)


@dataclass(frozen=True)
class Strip:
    """Some rows of a block, which is one chunk of the cube and all its dates.

    Args:
        block: row and column of the chunk.
        y, x: its first row and column on the cube's grid.
        height, width: its extent.
        yx: (P, 2) row and column of its pixels on the cube's grid, chip after chip, raster order in
            each.
        first: (R,) where each chip's pixels start.
    """

    block: tuple[int, int]
    y: int
    x: int
    height: int
    width: int
    yx: NDArray[np.int32]
    first: NDArray[np.int64]


def strips_of(raw: RawCube, *, chip_px: int) -> Iterator[Strip]:
    """All strips of a cube, block by block, row by row.

    A strip's observations take at most 256 MB, or one row of chips where these take more.

    Args:
        raw: the cube.
        chip_px: side of a chip; those at the edges of a block keep what there is.
    """
    (height, width), side = raw.geobox.shape, raw.chunk_px
    row_bytes = side * len(raw.dates) * (2 * len(raw.bands) + 1)
    rows = min(side, chip_px * max(1, _STRIP_BYTES // (row_bytes * chip_px)))
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            for y in range(top, bottom, rows):
                tall, wide = min(rows, bottom - y), right - left
                yx, first = _chips(tall, wide, chip_px)
                place = top // side, left // side
                yield Strip(place, y, left, tall, wide, yx + np.array([y, left], np.int32), first)


class StripReader:
    """Reads strips as tables of pixels; the memory of one serves the next.

    Args:
        raw: the cube.
        mask: says which observations are unclear.
        pool: whose threads decode chunks.
    """

    def __init__(self, raw: RawCube, *, mask: MaskName, pool: Executor) -> None:
        self.raw, self.mask, self.pool = raw, mask, pool
        self._classes = strict_classes(mask)
        attributes: dict[str, Any] = raw.array("reflectance").attrs.asdict()
        self._scale = float(attributes["scale_factor"])
        self._offset = float(attributes["add_offset"])
        self._days = max(1, _READ_BYTES // (raw.chunk_px**2 * len(raw.bands) * 2))
        self._scratch = _Scratch(self._days, len(raw.bands), raw.chunk_px)
        self._pixels = np.empty((0, len(raw.dates) * len(raw.bands)), np.uint16)
        self._qa = np.empty((0, len(raw.dates)), np.uint8)

    def read(self, strip: Strip) -> PixelTable:
        """The pixels of a strip, one region a chip; valid until the next strip is read.

        Raises:
            DamagedCube: a chunk cannot be read.
        """
        raw, count = self.raw, len(strip.yx)
        if count > len(self._qa):
            self._pixels = np.empty((count, self._pixels.shape[1]), np.uint16)
            self._qa = np.empty((count, self._qa.shape[1]), np.uint8)
        in_chunk = strip.yx.astype(np.int64) % raw.chunk_px
        flat = in_chunk[:, 0] * raw.chunk_px + in_chunk[:, 1]
        starts = range(0, len(raw.dates), self._days)
        list(self.pool.map(lambda first: self._read_days(strip.block, flat, first), starts))
        sizes = np.diff(strip.first, append=count)
        return table_of_arrays(
            self._pixels[:count].reshape(count, len(raw.dates), len(raw.bands)),
            self._qa[:count],
            strip.yx,
            strip.first,
            dates=raw.dates,
            bands=raw.bands,
            scale=self._scale,
            offset=self._offset,
            unclear_bits=unclear_bits(self.mask),
            resolution_m=raw.resolution_m,
            curves={
                CURVE: np.concatenate(
                    [
                        order(CURVE, strip.yx[first : first + size])
                        for first, size in zip(strip.first, sizes, strict=True)
                    ]
                )
            },
        )

    def _read_days(self, block: tuple[int, int], flat: NDArray[np.int64], first: int) -> None:
        raw, scratch, bands = self.raw, self._scratch, len(self.raw.bands)
        days = range(first, min(first + self._days, len(raw.dates)))
        for images, quality, day in zip(scratch.images, scratch.quality, days, strict=False):
            raw.read_chunk("reflectance", (day, 0, *block), images)
            raw.read_chunk("qa", (day, *block), quality)
            if self._classes:  # as planarize does: these classes have no bit of their own
                raw.read_chunk("scl", (day, *block), scratch.scl)
                quality |= np.where(np.isin(scratch.scl, self._classes), _DILATED, np.uint8(0))
        count, area = len(days), raw.chunk_px**2
        rows = slice(0, len(flat))
        copy_columns(scratch.images[:count].reshape(-1, area), flat, self._pixels[rows], first * bands)
        copy_columns(scratch.quality[:count].reshape(-1, area), flat, self._qa[rows], first)


class _Scratch(threading.local):
    """Room for the chunks that a thread decodes at a time."""

    def __init__(self, days: int, bands: int, side: int) -> None:
        self.images = np.empty((days, bands, side, side), np.uint16)
        self.quality = np.empty((days, side, side), np.uint8)
        self.scl = np.empty((side, side), np.uint8)


def _chips(height: int, width: int, side: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Pixels of a rectangle chip by chip: (P, 2) row and column, and (R,) where chips start.

    >>> _chips(1, 3, 2)[0].tolist()
    [[0, 0], [0, 1], [0, 2]]
    """
    y, x = np.indices((height, width), np.int32).reshape(2, -1)
    chip = (y // side) * -(-width // side) + x // side
    by_chip = np.argsort(chip, kind="stable")
    yx = np.stack([y, x], axis=1)[by_chip]
    return yx, np.flatnonzero(np.diff(chip[by_chip], prepend=-1)).astype(np.int64)
