"""Where a grid lies on a raster."""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import rasterio
import rasterio.crs
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError
from rasterio.warp import transform_bounds

Part = tuple[slice, slice]
"""Rows and columns; of a raster they may reach beyond it."""

Place = tuple[Part, NDArray[Any]]
"""A part of a raster, and memory of its shape for what is there."""

Target = tuple[GeoBox, NDArray[Any]]
"""A grid, and memory of its shape for what a raster shows there."""

_ON_GRID_PX = 1e-3
"""How far pixels may lie from a raster's own to count as the same."""

_MARGIN_PX = 2
"""Around what is warped: pixels to interpolate with, and what bounds leave out of curved edges."""


def own_part(raster: rasterio.DatasetReader, geobox: GeoBox) -> Part | None:
    """The part of a raster that a grid is; None if its pixels are not the raster's."""
    if raster.crs != _rasterio_crs(str(geobox.crs)) or raster.transform.is_degenerate:
        return None
    step = ~raster.transform * geobox.transform
    top, left = round(step.f), round(step.c)
    height, width = geobox.shape
    far_x, far_y = step * (width, height)
    off = step.c - left, step.f - top, far_x - left - width, far_y - top - height
    own = max(map(abs, off)) < _ON_GRID_PX and not (step.b or step.d)
    return (slice(top, top + height), slice(left, left + width)) if own else None


def part_under(raster: rasterio.DatasetReader, geobox: GeoBox) -> Part:
    """The part of a raster that a grid is warped from; without length where the raster is not.

    Raises:
        RasterioIOError: the raster does not say where it lies.
    """
    if raster.crs is None:
        raise RasterioIOError("it has no CRS")
    left, bottom, right, top = transform_bounds(str(geobox.crs), raster.crs, *geobox.boundingbox.bbox)
    corners = [~raster.transform * corner for corner in product((left, right), (bottom, top))]
    cols, rows = (
        slice(math.floor(min(axis)) - _MARGIN_PX, math.ceil(max(axis)) + _MARGIN_PX)
        for axis in zip(*corners, strict=True)
    )
    return overlap((rows, cols), whole(raster.shape))


def whole(shape: tuple[int, int]) -> Part:
    """All rows and columns."""
    return slice(0, shape[0]), slice(0, shape[1])


def shape_of(part: Part) -> tuple[int, int]:
    """How many rows and columns."""
    rows, cols = part
    return rows.stop - rows.start, cols.stop - cols.start


def overlap(*parts: Part) -> Part:
    """What parts have in common; slices without length where nothing is.

    >>> overlap((slice(-5, 20), slice(3, 8)), whole((10, 10)))
    (slice(0, 10, None), slice(3, 8, None))
    """
    rows, cols = (
        slice(start := max(p.start for p in axis), max(start, min(p.stop for p in axis)))
        for axis in zip(*parts, strict=True)
    )
    return rows, cols


def hull(parts: Sequence[Part]) -> Part:
    """The smallest part that holds all."""
    rows, cols = (
        slice(min(p.start for p in axis), max(p.stop for p in axis)) for axis in zip(*parts, strict=True)
    )
    return rows, cols


def paste(part: Part, pixels: NDArray[Any], places: Iterable[Place]) -> None:
    """Copy the pixels of a part of a raster to where they are wanted."""
    for wanted, out in places:
        if _meet(part, wanted):
            shared = overlap(part, wanted)
            out[_counted_from(wanted, shared)] = pixels[_counted_from(part, shared)]


def _meet(one: Part, other: Part) -> bool:
    """Whether two parts share a pixel: asked of each tile and window, of which few do."""
    (rows, cols), (lines, columns) = one, other
    return bool(
        rows.start < lines.stop and lines.start < rows.stop
        and cols.start < columns.stop and columns.start < cols.stop
    )  # fmt: skip


def _counted_from(origin: Part, part: Part) -> Part:
    """Rows and columns of a part, counted from where another one begins."""
    rows, cols = (slice(p.start - o.start, p.stop - o.start) for p, o in zip(part, origin, strict=True))
    return rows, cols


@lru_cache(maxsize=64)
def _rasterio_crs(text: str) -> rasterio.crs.CRS:
    return rasterio.crs.CRS.from_user_input(text)
