"""Pixels of a cube, turned from images into rows.

The cube is read block by block; a block is one chunk and all its dates. Each chunk is decoded once,
some dates at a time on several threads, into a table that holds the block's rows; then the rows are
written where they belong. Memory holds the rows of one block.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sits_data.cube import RawCube
from sits_data.mask import QA, STRICT_SCL, MaskPreset
from sits_data.store.shards import Run, Shards, Table
from sits_data.store.transpose import copy_columns

_READ_BYTES = 32_000_000
_WRITE_ROWS = 1 << 15


@dataclass(frozen=True)
class Block:
    """One chunk of the grid and the pixels of regions in it.

    Args:
        y, x: its first row and column on the grid.
        shape: its rows and columns.
        rows: (p,) rows of its pixels, counted over all regions, ascending.
        flat: (p,) position of each pixel in the block, row by row.
    """

    y: int
    x: int
    shape: tuple[int, int]
    rows: NDArray[np.int64]
    flat: NDArray[np.int64]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the grid."""
        height, width = self.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)


def blocks_of(yx: NDArray[np.int32], shape: tuple[int, int], side_px: int) -> Iterator[Block]:
    """The blocks in which pixels lie, row by row.

    Args:
        yx: (rows, 2) row and column of each pixel on the grid.
        shape: rows and columns of the grid.
        side_px: of a block; those at the right and bottom edges are cut off.
    """
    height, width = shape
    across = -(-width // side_px)
    number = yx[:, 0] // side_px * across + yx[:, 1] // side_px
    count = across * -(-height // side_px)
    # Small integers are sorted by radix, much faster than others.
    by_block = np.argsort(number.astype(np.min_scalar_type(count)), kind="stable")
    ends = np.cumsum(np.bincount(number, minlength=count)).tolist()
    for block, (start, stop) in enumerate(zip([0, *ends], ends, strict=False)):
        if start == stop:
            continue
        y, x = (side_px * place for place in divmod(block, across))
        extent = min(side_px, height - y), min(side_px, width - x)
        rows = by_block[start:stop]
        inner = yx[rows].astype(np.int64) - (y, x)
        yield Block(y, x, extent, rows, inner[:, 0] * extent[1] + inner[:, 1])


def write_pixels(
    raw: RawCube,
    yx: NDArray[np.int32],
    shards: Shards,
    folder: Path,
    *,
    mask: MaskPreset,
    threads: int,
    progress: bool,
) -> None:
    """Write the files `pixels` and `qa` of a store.

    Args:
        raw: the cube.
        yx: (rows, 2) row and column of each pixel on its grid, region after region.
        shards: how rows are cut into files.
        folder: where to write.
        mask: under `strict`, classes that have no bit of their own are marked.
        threads: at least 1.
        progress: draw a bar on stderr.
    """
    dates, bands = len(raw.dates), len(raw.bands)
    pixel_table = Table.create(folder, "pixels", shards, row_shape=(dates, bands), dtype=np.uint16)
    qa_table = Table.create(folder, "qa", shards, row_shape=(dates,), dtype=np.uint8)
    height, width = raw.geobox.shape
    blocks = list(blocks_of(yx, (height, width), raw.chunk_px))
    largest = max(len(block.rows) for block in blocks)
    pixels = np.empty((largest, dates * bands), np.uint16)
    qa = np.empty((largest, dates), np.uint8)
    step = max(1, _READ_BYTES // (raw.chunk_px**2 * bands * 2))

    def read(block: Block, first: int) -> int:
        days = slice(first, min(first + step, dates))
        images = raw.read("reflectance", (days, slice(None), *block.window))
        quality = _read_quality(raw, (days, *block.window), mask)
        size = block.shape[0] * block.shape[1]
        copy_columns(images.reshape(-1, size), block.flat, pixels, first * bands)
        copy_columns(quality.reshape(-1, size), block.flat, qa, first)
        return len(images)

    def write(run: Run) -> None:
        pixel_table.write(run, pixels[run.part])
        qa_table.write(run, qa[run.part])

    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=len(blocks) * dates, unit="chunk", desc="planarize", disable=not progress) as bar,
    ):
        for block in blocks:
            starts = range(0, dates, step)
            for done in pool.map(read, [block] * len(starts), starts):
                bar.update(done)
            list(pool.map(write, shards.runs(block.rows, longest=_WRITE_ROWS)))


def _read_quality(raw: RawCube, window: tuple[slice, ...], mask: MaskPreset) -> NDArray[np.uint8]:
    """Bits of some dates of a block: (t, y, x) uint8.

    A store has no `scl`: under `strict`, the classes without a bit of their own get `DILATED`.
    """
    qa: NDArray[np.uint8] = raw.read("qa", window)
    if mask == "strict":
        unclear = np.isin(raw.read("scl", window), STRICT_SCL)
        qa = qa | np.where(unclear, np.uint8(QA.DILATED), np.uint8(0))
    return qa
