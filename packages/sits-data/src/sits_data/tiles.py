"""Which tiles of a tiled GeoTIFF lie under a grid, and where in the file."""

from dataclasses import dataclass

import rasterio
import rasterio.windows
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

_ON_GRID_PX = 1e-3
"""How far pixels may lie from a raster's own to count as the same."""

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
class TilesUnder:
    """The tiles of a raster under a grid.

    Args:
        tiles: those that are stored.
        pixels: of the raster, of all tiles; may reach beyond it.
        geobox: of these pixels.
        corner: row and column of the raster at which the grid begins; None if its pixels are not the
            raster's.
    """

    tiles: tuple[Tile, ...]
    pixels: Part
    geobox: GeoBox
    corner: tuple[int, int] | None


def tiles_under(raster: rasterio.DatasetReader, geobox: GeoBox) -> TilesUnder | None:
    """The tiles under a grid; None if the raster lies elsewhere."""
    bounds = geobox.boundingbox.bbox
    if raster.crs != geobox.crs:
        bounds = transform_bounds(str(geobox.crs), raster.crs, *bounds)
    asked = from_bounds(*bounds, transform=raster.transform)
    if not rasterio.windows.intersect(asked, Window(0, 0, raster.width, raster.height)):
        return None
    (top, bottom), (left, right) = asked.round().toranges()
    height, width = raster.block_shapes[0]
    rows = _blocks(top, bottom, height, raster.height)
    cols = _blocks(left, right, width, raster.width)
    tiles = tuple(
        Tile((_span(row, row + 1, height), _span(col, col + 1, width)), offset, size)
        for row in rows for col in cols
        for offset, size in [_stored(raster, row, col)] if size
    )  # fmt: skip
    pixels = _span(rows.start, rows.stop, height), _span(cols.start, cols.stop, width)
    shape = pixels[0].stop - pixels[0].start, pixels[1].stop - pixels[1].start
    begin = raster.transform * Affine.translation(pixels[1].start, pixels[0].start)
    return TilesUnder(tiles, pixels, GeoBox(shape, begin, str(raster.crs)), _corner(raster, geobox))


def _blocks(first: float, end: float, block: int, size: int) -> range:
    """Numbers of the blocks that some pixels touch, along one axis."""
    return range(max(int(first), 0) // block, -(-min(int(end), size) // block))


def _span(first: int, end: int, block: int) -> slice:
    """Pixels of some blocks, along one axis."""
    return slice(first * block, end * block)


def _stored(raster: rasterio.DatasetReader, row: int, col: int) -> tuple[int, int]:
    """Offset and size in bytes of a tile; 0 if it is not stored."""
    offset, size = (
        int(raster.get_tag_item(f"BLOCK_{name}_{col}_{row}", "TIFF", bidx=1) or 0)
        for name in ("OFFSET", "SIZE")
    )
    return offset, size


def _corner(raster: rasterio.DatasetReader, geobox: GeoBox) -> tuple[int, int] | None:
    if raster.crs != geobox.crs:
        return None
    step = ~raster.transform * geobox.transform
    row, col = round(step.f), round(step.c)
    off = step.a - 1, step.b, step.d, step.e - 1, step.f - row, step.c - col
    return (row, col) if max(map(abs, off)) < _ON_GRID_PX else None
