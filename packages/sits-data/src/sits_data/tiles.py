"""Which tiles of a GeoTIFF lie under a grid, where in the file, and how they are read row by row.

GDAL keeps what it fetched over HTTP for another read only if it was one range of bytes. In a
cloud-optimised GeoTIFF tiles beside one another are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import rasterio
import rasterio.windows
from affine import Affine
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
        geobox: of these pixels.
        last: whether lines of it lie below the raster.
    """

    tiles: tuple[Tile, ...]
    pixels: Part
    geobox: GeoBox
    last: bool


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


def tiles_under(path: str, geobox: GeoBox, options: Mapping[str, str | int]) -> TilesUnder | None:
    """The tiles under a grid; None if the raster lies elsewhere, or is no GeoTIFF.

    Args:
        path: as GDAL names it, such as `/vsicurl/http://…`.
        geobox: the grid.
        options: that GDAL reads with.

    Raises:
        RasterioIOError: there is no raster.
    """
    with rasterio.Env(**dict(options)), rasterio.open(path) as raster:
        return _under(raster, geobox) if raster.driver == "GTiff" else None


def read_by_rows(
    under: TilesUnder, geobox: GeoBox, out: Pixels, read: Callable[[GeoBox, Pixels], None]
) -> Iterator[tuple[TileRow, Pixels | None]]:
    """Read a raster on a grid, a row of its tiles after another; a warped one at once.

    Args:
        under: the tiles under the grid.
        geobox: the grid.
        out: of its shape, zeros; filled as rows are taken.
        read: reads the raster on a grid.

    Returns:
        Each row with its pixels, until the next is taken; without, if pixels are not the raster's.
    """
    if under.corner is None:
        read(geobox, out)
        yield from ((row, None) for row in under.rows)
        return
    shape = under.rows[0].geobox.shape.yx
    with memory_of_this_thread() as memory:
        pixels = memory.zeros("tiles", shape, out.dtype.type)
        for row in under.rows:
            if row.last:
                pixels[...] = 0  # where nothing is read there
            read(row.geobox, pixels)
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


def _under(raster: rasterio.DatasetReader, geobox: GeoBox) -> TilesUnder | None:
    bounds = geobox.boundingbox.bbox
    if raster.crs != geobox.crs:
        bounds = transform_bounds(str(geobox.crs), raster.crs, *bounds)
    asked = from_bounds(*bounds, transform=raster.transform)
    if not rasterio.windows.intersect(asked, Window(0, 0, raster.width, raster.height)):
        return None
    (top, bottom), (left, right) = asked.round().toranges()
    height, width = raster.block_shapes[0]
    cols = _blocks(left, right, width, raster.width)
    rows = _blocks(top, bottom, height, raster.height)
    structure = raster.tags(ns="IMAGE_STRUCTURE")
    return TilesUnder(
        rows=tuple(_row(raster, row, cols) for row in rows),
        corner=_corner(raster, geobox),
        codec=structure.get("COMPRESSION", ""),
        predictor=structure.get("PREDICTOR", ""),
    )


def _row(raster: rasterio.DatasetReader, row: int, cols: range) -> TileRow:
    height, width = raster.block_shapes[0]
    lines = slice(row * height, (row + 1) * height)
    tiles = tuple(
        Tile((lines, slice(col * width, (col + 1) * width)), offset, size)
        for col in cols for offset, size in [_stored(raster, row, col)] if size
    )  # fmt: skip
    columns = slice(cols.start * width, cols.stop * width)
    begin = raster.transform * Affine.translation(columns.start, lines.start)
    geobox = GeoBox((height, columns.stop - columns.start), begin, str(raster.crs))
    return TileRow(tiles, (lines, columns), geobox, last=lines.stop > raster.height)


def _blocks(first: float, end: float, block: int, size: int) -> range:
    """Numbers of the blocks that some pixels touch, along one axis."""
    return range(max(int(first), 0) // block, -(-min(int(end), size) // block))


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
