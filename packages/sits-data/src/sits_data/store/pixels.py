"""Pixels of a cube, turned from images into rows.

The cube is read block by block; a block is one chunk and all its dates. Each chunk is decoded once,
some dates at a time on several threads, into a table that holds the block's rows; then the rows are
written where they belong. Memory holds the rows of one block, and is used again for the next one:
fresh pages cost as much as the decoding.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sits_data.cube import RawCube
from sits_data.drafts import Draft
from sits_data.mask import QA, MaskName, strict_classes
from sits_data.store.shards import Run, Shards, Table
from sits_data.store.transpose import copy_columns, sort_by_block

_READ_BYTES = 32_000_000
_WRITE_ROWS = 1 << 15
_DILATED = np.uint8(QA.DILATED)
"""Marks classes 2 and 7 under `strict`, which have no bit of their own: a store has no `scl`."""


@dataclass(frozen=True)
class Block:
    """One chunk of the grid and the pixels of regions in it.

    Args:
        y, x: its first row and column on the grid.
        shape: its rows and columns.
        rows: (p,) int32 rows of its pixels, counted over all regions, ascending.
        places: (rows, 2) row and column on the grid of all pixels of all blocks.
    """

    y: int
    x: int
    shape: tuple[int, int]
    rows: NDArray[np.int32]
    places: NDArray[np.int32]

    @property
    def yx(self) -> NDArray[np.int64]:
        """(p, 2) row and column of each pixel in the block; made anew: those of all blocks are large."""
        return self.places[self.rows].astype(np.int64) - (self.y, self.x)

    @property
    def name(self) -> str:
        """What a draft calls it when it is done."""
        return f"block {self.y} {self.x}"


def blocks_of(yx: NDArray[np.int32], shape: tuple[int, int], side_px: int) -> Iterator[Block]:
    """The blocks in which pixels lie, row by row.

    Args:
        yx: (rows, 2) row and column of each pixel on the grid.
        shape: rows and columns of the grid.
        side_px: of a block; those at the right and bottom edges are cut off.
    """
    height, width = shape
    across = -(-width // side_px)
    counts = np.zeros(across * -(-height // side_px), np.int64)
    by_block = np.empty(len(yx), np.int32)
    sort_by_block(yx, side_px, across, counts, by_block)
    ends = np.cumsum(counts).tolist()
    for block, (start, stop) in enumerate(zip([0, *ends], ends, strict=False)):
        if start == stop:
            continue
        y, x = (side_px * place for place in divmod(block, across))
        extent = min(side_px, height - y), min(side_px, width - x)
        yield Block(y, x, extent, by_block[start:stop], yx)


def write_pixels(
    raw: RawCube,
    yx: NDArray[np.int32],
    shards: Shards,
    draft: Draft,
    *,
    mask: MaskName,
    threads: int,
    progress: bool,
) -> None:
    """Write the files `pixels` and `qa` of a store, but for the blocks that a draft has already.

    Args:
        raw: the cube.
        yx: (rows, 2) row and column of each pixel on its grid, region after region.
        shards: how rows are cut into files.
        draft: where to write.
        mask: under `strict`, classes that have no bit of their own are marked.
        threads: at least 1.
        progress: draw a bar on stderr.
    """
    dates, bands, classes = len(raw.dates), len(raw.bands), strict_classes(mask)
    folder = draft.folder
    pixel_table = Table.of(folder, "pixels", shards, row_shape=(dates, bands), dtype=np.uint16)
    qa_table = Table.of(folder, "qa", shards, row_shape=(dates,), dtype=np.uint8)
    if not draft.done:
        pixel_table.create(shards)
        qa_table.create(shards)
    height, width = raw.geobox.shape
    blocks = [b for b in blocks_of(yx, (height, width), raw.chunk_px) if b.name not in draft.done]
    if not blocks:
        return
    largest = max(len(block.rows) for block in blocks)
    pixels = np.empty((largest, dates * bands), np.uint16)
    qa = np.empty((largest, dates), np.uint8)
    side = raw.chunk_px
    step = max(1, _READ_BYTES // (side**2 * bands * 2))
    scratch = _Scratch(step, bands, side)

    def read(block: Block, flat: NDArray[np.int64], first: int) -> int:
        days = range(first, min(first + step, dates))
        place = block.y // side, block.x // side
        for images, quality, day in zip(scratch.images, scratch.quality, days, strict=False):
            raw.read_chunk("reflectance", (day, 0, *place), images)
            raw.read_chunk("qa", (day, *place), quality)
            if classes:
                raw.read_chunk("scl", (day, *place), scratch.scl)
                quality |= np.where(np.isin(scratch.scl, classes), _DILATED, np.uint8(0))
        count = len(days)
        copy_columns(scratch.images[:count].reshape(-1, side**2), flat, pixels, first * bands)
        copy_columns(scratch.quality[:count].reshape(-1, side**2), flat, qa, first)
        return count

    def write(run: Run) -> None:
        pixel_table.write(run, pixels[run.part])
        qa_table.write(run, qa[run.part])

    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=len(blocks) * dates, unit="chunk", desc="planarize", disable=not progress) as bar,
    ):
        for block in blocks:
            starts = range(0, dates, step)
            y, x = block.yx.T
            places = y * side + x
            for done in pool.map(read, repeat(block), repeat(places), starts):
                bar.update(done)
            list(pool.map(write, shards.runs(block.rows, longest=_WRITE_ROWS)))
            draft.finish(block.name)


class _Scratch(threading.local):
    """Room for the chunks that a thread decodes at a time.

    Args:
        days: chunks of each array.
        bands: of a chunk of reflectance.
        side: of a chunk, in pixels.
    """

    def __init__(self, days: int, bands: int, side: int) -> None:
        self.images = np.empty((days, bands, side, side), np.uint16)
        self.quality = np.empty((days, side, side), np.uint8)
        self.scl = np.empty((side, side), np.uint8)
