"""Tiles of a GeoTIFF, fetched in one go and decoded each to its checksum.

GDAL notices flipped bytes only where they break off the decoding; where more comes out than a tile
holds, it takes what fits, and the rest of the tile is wrong without a word. A deflate stream ends in a
checksum of what it held, which libdeflate compares, in less time than GDAL decodes without.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import rasterio
from imagecodecs import DeflateError, deflate_decode, delta_decode
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from sits_data.alignment import Part, Place, overlap, paste, whole
from sits_data.memory import WindowMemory, memory_of_this_thread
from sits_data.vsi import Range, VsiFile, can_read, open_vsi

_NEAR_BYTES = 16384
"""Ranges as near as this are fetched as one: less than what another request costs."""

_BATCH_BYTES = 32 * 2**20
"""Compressed bytes that are held at once; a window of a build has less."""

_BYTE_ORDER = b"II" if sys.byteorder == "little" else b"MM"
"""How a GeoTIFF begins whose numbers are as this machine has them."""


@dataclass(frozen=True)
class Tile:
    """One tile.

    Args:
        pixels: of the raster; may reach beyond it.
        offset: of its compressed bytes in the file.
        size: of these bytes; 0 if it is not stored, or not known where.
    """

    pixels: Part
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Where its bytes end in the file."""
        return self.offset + self.size


def tiles_under(raster: rasterio.DatasetReader, parts: Iterable[Part]) -> list[Tile]:
    """Tiles that some pixels touch, in the file's order.

    Args:
        raster: an open GeoTIFF.
        parts: of the raster.
    """
    height, width = raster.block_shapes[0]
    touched: set[tuple[int, int]] = set()
    for part in parts:
        rows, cols = overlap(part, whole(raster.shape))
        touched |= set(product(_blocks(rows, height), _blocks(cols, width)))
    tiles = []
    for row, col in touched:
        offset, size = (
            int(raster.get_tag_item(f"BLOCK_{name}_{col}_{row}", "TIFF", bidx=1) or 0)
            for name in ("OFFSET", "SIZE")
        )
        pixels = slice(row * height, (row + 1) * height), slice(col * width, (col + 1) * width)
        tiles.append(Tile(pixels, offset, size))
    return sorted(tiles, key=lambda tile: tile.offset)


@dataclass(frozen=True)
class TiledRaster:
    """A raster whose tiles are decoded here; see `open_tiled`.

    Args:
        raster: open.
        file: the same, as bytes.
        predictor: `1`, or `2`: each value is the difference to the one on its left.
    """

    raster: rasterio.DatasetReader
    file: VsiFile
    predictor: str

    def read(self, places: Sequence[Place]) -> None:
        """Read parts of the raster, each tile under them once.

        Args:
            places: parts, which may reach beyond the raster, and memory of their shape and of the
                raster's type, zeros.

        Raises:
            RasterioIOError: a tile is not what was written, or cannot be read.
        """
        tiles = tiles_under(self.raster, [part for part, _ in places])
        stored = [tile for tile in tiles if tile.size]
        with memory_of_this_thread() as memory:
            for tile, pixels in self._decoded(stored, memory):
                paste(overlap(tile.pixels, whole(self.raster.shape)), pixels, places)
        for tile in tiles:
            if not tile.size:  # nothing is stored, or GDAL failed to read where, and says so now
                part = overlap(tile.pixels, whole(self.raster.shape))
                paste(part, self.raster.read(1, window=Window.from_slices(*part)), places)

    def _decoded(
        self, tiles: Sequence[Tile], memory: WindowMemory
    ) -> Iterator[tuple[Tile, NDArray[Any]]]:
        """The pixels of tiles, each until the next is taken."""
        shape, dtype = self.raster.block_shapes[0], np.dtype(self.raster.dtypes[0]).type
        stored = memory.empty("stored", shape, dtype)
        pixels = memory.empty("pixels", shape, dtype) if self.predictor == "2" else stored
        for batch in _batches(tiles):
            for tile, compressed in _fetched(self.file, batch, memory):
                _decode(compressed, stored, least=self._least_rows(tile))
                if pixels is not stored:
                    delta_decode(stored, out=pixels)
                yield tile, pixels

    def _least_rows(self, tile: Tile) -> int:
        """How many rows a tile holds at least: the last strip of a raster in strips may be shorter."""
        rows, cols = tile.pixels
        strip = cols.stop - cols.start == self.raster.width
        return int((min(rows.stop, self.raster.height) if strip else rows.stop) - rows.start)


@contextmanager
def open_tiled(
    raster: rasterio.DatasetReader, path: str, *, dtype: np.dtype[Any]
) -> Iterator[TiledRaster | None]:
    """A raster if it is a GeoTIFF of one band of a type in deflate tiles, else None.

    Args:
        raster: open.
        path: as GDAL names it.
        dtype: of the pixels.
    """
    structure = raster.tags(ns="IMAGE_STRUCTURE")
    predictor = structure.get("PREDICTOR", "1")
    fits = (
        raster.driver == "GTiff" and raster.dtypes == (dtype.name,) and raster.nodata in {None, 0}
        and "NBITS" not in raster.tags(1, ns="IMAGE_STRUCTURE")
        and structure.get("COMPRESSION") == "DEFLATE" and predictor in {"1", "2"}
        and ("://" not in path or path.startswith("/vsi")) and can_read()
    )  # fmt: skip
    if not fits:
        yield None
        return
    with open_vsi(path) as file:
        order = np.empty(len(_BYTE_ORDER), np.uint8)
        file.read([(0, order.size)], order)
        yield TiledRaster(raster, file, predictor) if order.tobytes() == _BYTE_ORDER else None


def _batches(tiles: Sequence[Tile]) -> Iterator[list[Tile]]:
    """Tiles that are fetched in one go: as many as hold some bytes together."""
    batch: list[Tile] = []
    for tile in tiles:
        if batch and sum(other.size for other in batch) + tile.size > _BATCH_BYTES:
            yield batch
            batch = []
        batch.append(tile)
    if batch:
        yield batch


def _fetched(
    file: VsiFile, tiles: Sequence[Tile], memory: WindowMemory
) -> Iterator[tuple[Tile, NDArray[np.uint8]]]:
    """Tiles and their compressed bytes; tiles are in the file's order."""
    ranges: list[Range] = []
    starts: list[int] = []
    before = 0
    for tile in tiles:
        offset, size = ranges[-1] if ranges else (0, 0)
        if ranges and tile.offset <= offset + size + _NEAR_BYTES:
            ranges[-1] = offset, max(size, tile.end - offset)
        else:
            before += size
            ranges.append((tile.offset, tile.size))
        starts.append(before + tile.offset - ranges[-1][0])
    compressed = memory.empty("compressed", (before + ranges[-1][1],), np.uint8)
    file.read(ranges, compressed)
    for tile, start in zip(tiles, starts, strict=True):
        yield tile, compressed[start : start + tile.size]


def _decode(compressed: NDArray[np.uint8], out: NDArray[Any], *, least: int) -> None:
    """Decode a tile of so many rows or all, to its checksum."""
    try:
        decoded = deflate_decode(compressed, out=out.reshape(-1).view(np.uint8).data)
    except DeflateError:
        raise RasterioIOError("a tile differs from its checksum") from None
    if len(decoded) not in {out.nbytes, out[:least].nbytes}:
        raise RasterioIOError(f"a tile holds {len(decoded)} bytes instead of {out.nbytes}")


def _blocks(pixels: slice, block: int) -> range:
    """Numbers of the blocks that some pixels touch, along one axis."""
    return range(pixels.start // block, -(-pixels.stop // block) if pixels.stop > pixels.start else 0)
