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
from affine import Affine
from imagecodecs import DeflateError, deflate_decode, delta_decode
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.io import MemoryFile

from sits_data.alignment import Part, Place, Target, counted_from, overlap, part_under, whole
from sits_data.memory import WindowMemory, memory_of_this_thread
from sits_data.vsi import VsiFile, can_read, open_vsi

_NEAR_BYTES = 16384
"""Ranges as near as this are fetched as one: less than what another request costs."""

_BYTE_ORDER = b"II" if sys.byteorder == "little" else b"MM"
"""How a GeoTIFF begins whose numbers are as this machine has them."""


@dataclass(frozen=True)
class Tile:
    """One tile that is stored.

    Args:
        pixels: of the raster; may reach beyond it.
        offset: of its compressed bytes in the file.
        size: of these bytes; 0 if the tile is not stored: it shows no data.
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
        extent = whole(self.raster.shape)
        tiles = [tile for tile in tiles_under(self.raster, [part for part, _ in places]) if tile.size]
        with memory_of_this_thread() as memory:
            shape, dtype = self.raster.block_shapes[0], np.dtype(self.raster.dtypes[0]).type
            stored = memory.empty("stored", shape, dtype)
            pixels = memory.empty("pixels", shape, dtype) if self.predictor == "2" else stored
            for tile, compressed in _fetched(self.file, tiles, memory):
                _decode(compressed, stored)
                if pixels is not stored:
                    delta_decode(stored, out=pixels)
                for part, out in places:
                    shared = overlap(tile.pixels, part, extent)
                    out[counted_from(part, shared)] = pixels[counted_from(tile.pixels, shared)]

    def copies(self, targets: Sequence[Target]) -> Iterator[tuple[str, Target]]:
        """Rasters in memory of what grids are warped from, each until the next is taken.

        Args:
            targets: grids of any CRS, and memory that is passed on.

        Returns:
            The name of a raster and its target; none for targets where this raster is not.
        """
        parts = [part_under(self.raster, geobox) for geobox, _ in targets]
        shapes = [(rows.stop - rows.start, cols.stop - cols.start) for rows, cols in parts]
        arrays = [np.zeros(shape, self.raster.dtypes[0]) for shape in shapes]
        self.read(list(zip(parts, arrays, strict=True)))
        for (rows, cols), pixels, target in zip(parts, arrays, targets, strict=True):
            if not pixels.size:
                continue
            profile = {
                "driver": "GTiff", "height": pixels.shape[0], "width": pixels.shape[1], "count": 1,
                "dtype": pixels.dtype, "crs": self.raster.crs, "nodata": self.raster.nodata,
                "transform": self.raster.transform * Affine.translation(cols.start, rows.start),
            }  # fmt: skip
            with MemoryFile() as memory:
                with memory.open(**profile) as copy:
                    copy.write(pixels, 1)
                yield memory.name, target


@contextmanager
def open_tiled(
    raster: rasterio.DatasetReader, path: str, dtype: np.dtype[Any]
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
        raster.driver == "GTiff" and raster.profile["tiled"] and raster.dtypes == (dtype.name,)
        and raster.nodata in {None, 0} and "NBITS" not in raster.tags(1, ns="IMAGE_STRUCTURE")
        and structure.get("COMPRESSION") == "DEFLATE" and predictor in {"1", "2"} and can_read()
    )  # fmt: skip
    if not fits:
        yield None
        return
    with open_vsi(path) as file:
        order = np.empty(len(_BYTE_ORDER), np.uint8)
        file.read([(0, order.size)], order)
        yield TiledRaster(raster, file, predictor) if order.tobytes() == _BYTE_ORDER else None


def _fetched(
    file: VsiFile, tiles: Sequence[Tile], memory: WindowMemory
) -> Iterator[tuple[Tile, NDArray[np.uint8]]]:
    """Tiles and their compressed bytes; tiles are in the file's order."""
    runs: list[list[Tile]] = []
    for tile in tiles:
        if runs and tile.offset <= runs[-1][-1].end + _NEAR_BYTES:
            runs[-1].append(tile)
        else:
            runs.append([tile])
    ranges = [(run[0].offset, run[-1].end - run[0].offset) for run in runs]
    compressed = memory.empty("compressed", (sum(size for _, size in ranges),), np.uint8)
    file.read(ranges, compressed)
    first = 0
    for run, (offset, size) in zip(runs, ranges, strict=True):
        for tile in run:
            at = first + tile.offset - offset
            yield tile, compressed[at : at + tile.size]
        first += size


def _decode(compressed: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Decode a tile, to the last value and to its checksum."""
    try:
        decoded = deflate_decode(compressed, out=out.reshape(-1).view(np.uint8).data)
    except DeflateError as error:
        raise RasterioIOError(f"a tile differs from its checksum: {error}") from error
    if len(decoded) != out.nbytes:
        raise RasterioIOError(f"a tile holds {len(decoded)} bytes instead of {out.nbytes}")


def _blocks(pixels: slice, block: int) -> range:
    """Numbers of the blocks that some pixels touch, along one axis."""
    return range(pixels.start // block, -(-pixels.stop // block) if pixels.stop > pixels.start else 0)
