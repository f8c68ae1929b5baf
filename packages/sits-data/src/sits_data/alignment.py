"""Where a grid lies on a raster."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import rasterio
import rasterio.crs
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds
from rasterio.windows import from_bounds

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


def own_places(raster: rasterio.DatasetReader, targets: Sequence[Target]) -> list[Place] | None:
    """Which parts of a raster some grids are; None if the pixels of one are not the raster's."""
    places = []
    for geobox, out in targets:
        part = _own_part(raster, geobox)
        if part is None:
            return None
        places.append((part, out))
    return places


def part_under(raster: rasterio.DatasetReader, geobox: GeoBox) -> Part:
    """The part of a raster that a grid is warped from; without length where the raster is not."""
    bounds = transform_bounds(str(geobox.crs), raster.crs, *geobox.boundingbox.bbox)
    (top, bottom), (left, right) = from_bounds(*bounds, transform=raster.transform).toranges()
    part = (
        slice(math.floor(top) - _MARGIN_PX, math.ceil(bottom) + _MARGIN_PX),
        slice(math.floor(left) - _MARGIN_PX, math.ceil(right) + _MARGIN_PX),
    )
    return overlap(part, whole(raster.shape))


def whole(shape: tuple[int, int]) -> Part:
    """All rows and columns."""
    return slice(0, shape[0]), slice(0, shape[1])


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


def counted_from(other: Part, part: Part) -> Part:
    """Rows and columns counted from where another part begins.

    >>> counted_from((slice(4, 9), slice(5, 9)), (slice(6, 9), slice(5, 7)))
    (slice(2, 5, None), slice(0, 2, None))
    """
    rows, cols = (slice(p.start - o.start, p.stop - o.start) for p, o in zip(part, other, strict=True))
    return rows, cols


def _own_part(raster: rasterio.DatasetReader, geobox: GeoBox) -> Part | None:
    if raster.crs != _rasterio_crs(str(geobox.crs)) or raster.transform.is_degenerate:
        return None
    step = ~raster.transform * geobox.transform
    top, left = round(step.f), round(step.c)
    off = step.a - 1, step.b, step.d, step.e - 1, step.f - top, step.c - left
    height, width = geobox.shape
    own = max(map(abs, off)) < _ON_GRID_PX
    return (slice(top, top + height), slice(left, left + width)) if own else None


@lru_cache(maxsize=64)
def _rasterio_crs(text: str) -> rasterio.crs.CRS:
    return rasterio.crs.CRS.from_user_input(text)
