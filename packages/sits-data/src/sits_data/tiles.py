"""Which tiles of a GeoTIFF lie under a grid, where in the file, and how they are read row by row.

GDAL keeps what it fetched over HTTP for another read only if it was one range of bytes. In a
cloud-optimised GeoTIFF tiles beside one another are.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import rasterio
import rasterio.crs
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from sits_data.memory import memory_of_this_thread

_ON_GRID_PX = 1e-3
"""How far pixels may lie from a raster's own to count as the same."""

Pixels = NDArray[Any]

Part = tuple[slice, slice]
"""Rows and columns of a raster."""


@dataclass(frozen=True)
class Tile:
    """One tile that is stored.

    Args:
        pixels: of the raster; may reach beyond it.
        offset: of its compressed bytes in the file.
        size: of these bytes.
    """

    pixels: Part
    offset: int
    size: int


@dataclass(frozen=True)
class TileRow:
    """Tiles beside one another.

    Args:
        tiles: those that are stored.
        pixels: of the raster, of all tiles; may reach beyond it.
    """

    tiles: tuple[Tile, ...]
    pixels: Part


@dataclass(frozen=True)
class TilesUnder:
    """The tiles of a raster under a grid.

    Args:
        rows: of tiles, from the top.
        corner: row and column of the raster at which the grid begins; None if its pixels are not the
            raster's.
        codec: such as `DEFLATE`; empty without one.
        predictor: such as `2`; empty without one.
    """

    rows: tuple[TileRow, ...]
    corner: tuple[int, int] | None
    codec: str
    predictor: str


def corner_of(raster: rasterio.DatasetReader, geobox: GeoBox) -> tuple[int, int] | None:
    """Row and column of a raster at which a grid begins; None if its pixels are not the raster's."""
    if raster.crs != _rasterio_crs(str(geobox.crs)) or raster.transform.is_degenerate:
        return None
    step = ~raster.transform * geobox.transform
    row, col = round(step.f), round(step.c)
    off = step.a - 1, step.b, step.d, step.e - 1, step.f - row, step.c - col
    return (row, col) if max(map(abs, off)) < _ON_GRID_PX else None


def read_window(raster: rasterio.DatasetReader, corner: tuple[int, int], out: Pixels) -> None:
    """Read a raster's own pixels.

    Args:
        raster: open.
        corner: row and column at which to begin; may lie outside.
        out: zeros; they stay where the raster is not.
    """
    (top, left), (rows, cols) = corner, out.shape
    first_row, first_col = max(top, 0), max(left, 0)
    height = min(top + rows, raster.height) - first_row
    width = min(left + cols, raster.width) - first_col
    if height > 0 and width > 0:
        there = out[first_row - top :, first_col - left :][:height, :width]
        raster.read(1, window=Window(first_col, first_row, width, height), out=there)


def tiles_under(raster: rasterio.DatasetReader, geobox: GeoBox) -> TilesUnder | None:
    """The tiles under a grid; None if the raster lies elsewhere, or is no GeoTIFF."""
    if raster.driver != "GTiff" or raster.crs is None:
        return None
    corner = corner_of(raster, geobox)
    if corner is not None:
        (top, left), (rows, cols) = corner, geobox.shape.yx
        bottom, right = top + rows, left + cols
    else:
        bounds = transform_bounds(str(geobox.crs), raster.crs, *geobox.boundingbox.bbox)
        (top, bottom), (left, right) = from_bounds(*bounds, transform=raster.transform).toranges()
    height, width = raster.block_shapes[0]
    across = _blocks(int(left), math.ceil(right), width, raster.width)
    down = _blocks(int(top), math.ceil(bottom), height, raster.height)
    if not across or not down:
        return None
    structure = raster.tags(ns="IMAGE_STRUCTURE")
    return TilesUnder(
        rows=tuple(_row(raster, row, across) for row in down),
        corner=corner,
        codec=structure.get("COMPRESSION", ""),
        predictor=structure.get("PREDICTOR", ""),
    )


def read_by_rows(
    raster: rasterio.DatasetReader, under: TilesUnder, out: Pixels
) -> Iterator[tuple[TileRow, Pixels]]:
    """Read the raster's own pixels on a grid, a row of tiles after another.

    Args:
        raster: open.
        under: its tiles under the grid, which is on its pixels.
        out: of the grid's shape, zeros; filled as rows are taken.

    Returns:
        Each row with its pixels, zeros beyond the raster; until the next is taken.
    """
    assert under.corner is not None
    lines, columns = under.rows[0].pixels
    shape = lines.stop - lines.start, columns.stop - columns.start
    with memory_of_this_thread() as memory:
        pixels = memory.zeros("tiles", shape, out.dtype.type)
        for row in under.rows:
            top = row.pixels[0].start
            read_window(raster, (top, columns.start), pixels)
            pixels[raster.height - top :] = 0
            _copy(pixels, row.pixels, under.corner, out)
            yield row, pixels


def part_from(part: Iterable[slice], corner: Iterable[int]) -> Part:
    """Rows and columns counted from a corner."""
    rows, cols = (slice(p.start - at, p.stop - at) for p, at in zip(part, corner, strict=True))
    return rows, cols


def _copy(pixels: Pixels, part: Part, corner: tuple[int, int], out: Pixels) -> None:
    """Copy from pixels of a part of a raster to those that begin at a corner, where both are."""
    shared = [
        slice(max(one.start, at), min(one.stop, at + size))
        for one, at, size in zip(part, corner, out.shape, strict=True)
    ]
    out[part_from(shared, corner)] = pixels[part_from(shared, [one.start for one in part])]


def _row(raster: rasterio.DatasetReader, row: int, cols: range) -> TileRow:
    height, width = raster.block_shapes[0]
    lines = slice(row * height, (row + 1) * height)
    tiles = tuple(
        Tile((lines, slice(col * width, (col + 1) * width)), offset, size)
        for col in cols for offset, size in [_stored(raster, row, col)] if size
    )  # fmt: skip
    return TileRow(tiles, (lines, slice(cols.start * width, cols.stop * width)))


@lru_cache(maxsize=64)
def _rasterio_crs(text: str) -> rasterio.crs.CRS:
    return rasterio.crs.CRS.from_user_input(text)


def _blocks(first: int, end: int, block: int, size: int) -> range:
    """Numbers of the blocks that some pixels touch, along one axis."""
    return range(max(first, 0) // block, -(-min(end, size) // block))


def _stored(raster: rasterio.DatasetReader, row: int, col: int) -> tuple[int, int]:
    """Offset and size in bytes of a tile; 0 if it is not stored."""
    offset, size = (
        int(raster.get_tag_item(f"BLOCK_{name}_{col}_{row}", "TIFF", bidx=1) or 0)
        for name in ("OFFSET", "SIZE")
    )
    return offset, size
