"""Regions from a vector file: parcels, and neighbourhoods of sample points."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from sits_data.aoi import read_vector
from sits_data.errors import InvalidAOI, InvalidRequest
from sits_data.regions.base import (
    RESERVED,
    RegionSet,
    check_at_least,
    describe_dropped,
    of_pixels,
    of_raster,
)
from sits_data.regions.squares import outlines_of_boxes, pixels_of_boxes

_DRAWING = Lock()
"""While rasterio draws it silences a warning, in all threads."""


def read_polygons(path: str | Path) -> gpd.GeoDataFrame:
    """Parcels of a GeoPackage, GeoJSON or GeoParquet in any CRS; the index counts them from 0.

    Raises:
        InvalidAOI: the file cannot be used.
    """
    return _read(path, {"Polygon", "MultiPolygon"}, "give points --around 7")


def read_points(path: str | Path) -> gpd.GeoDataFrame:
    """Sample points of a GeoPackage, GeoJSON or GeoParquet in any CRS; the index counts them from 0.

    Raises:
        InvalidAOI: the file cannot be used.
    """
    return _read(path, {"Point"}, "take polygons without --around")


def parcels(
    frame: gpd.GeoDataFrame,
    geobox: GeoBox,
    *,
    source: str,
    min_pixels: int = 1,
    block_m: int = 1000,
    shrink_m: float = 0,
    all_touched: bool = False,
) -> RegionSet:
    """Polygons, as `rasterio.features.rasterize` draws them on the grid.

    A pixel belongs to the parcel that its centre lies in; where parcels overlap, to the later one.
    A parcel that sticks out of the grid keeps the pixels inside.

    Args:
        frame: polygons in any CRS; their ids are its index.
        geobox: the cube's grid.
        source: where they come from, for messages.
        min_pixels: parcels with fewer are dropped.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.
        shrink_m: metres that are taken off along the outline before it is drawn, so that pixels mixed
            with what is beside it are left out; the outline that is kept is the file's.
        all_touched: pixels that the outline touches belong to it too.

    Raises:
        InvalidAOI: no parcel has a pixel of the grid.
        InvalidRequest: a number is out of its range.
    """
    check_at_least("strip that is taken off in metres", shrink_m, 0)
    ids, frame = frame.index.to_numpy(np.int64), frame.to_crs(geobox.crs).reset_index(drop=True)
    drawn = frame.geometry.buffer(-shrink_m) if shrink_m else frame.geometry
    inside = frame.intersects(shapely.box(*geobox.boundingbox.bbox)).to_numpy()
    numbers = np.zeros(geobox.shape, np.int32)
    places = np.flatnonzero(inside & ~drawn.is_empty.to_numpy())
    if len(places):
        with _DRAWING:
            rasterize(
                zip(drawn.iloc[places], places + 1, strict=True),
                out=numbers,
                transform=geobox.transform,
                all_touched=all_touched,
            )
    regions = of_raster(numbers, frame, min_pixels=min_pixels, block_m=block_m, ids=ids, inside=inside)
    return _some(regions, source, geobox, "parcels")


def neighbourhoods(
    frame: gpd.GeoDataFrame,
    geobox: GeoBox,
    size_px: int,
    *,
    source: str,
    min_pixels: int = 1,
    block_m: int = 1000,
) -> RegionSet:
    """Squares of pixels around points, cut off at the edges of the grid. They may overlap.

    Args:
        frame: points in any CRS; their ids are its index.
        geobox: the cube's grid.
        size_px: side in pixels; odd, so that the point's own pixel is in the middle.
        source: where they come from, for messages.
        min_pixels: squares with fewer are dropped.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.

    Raises:
        InvalidAOI: no point lies on the grid.
        InvalidRequest: a number is out of its range.
    """
    check_at_least("side of a neighbourhood in pixels", size_px, 1)
    if size_px % 2 == 0:
        raise InvalidRequest(
            f"the side of a neighbourhood must be odd, got {size_px}; use {size_px + 1}"
        )
    ids, frame = frame.index.to_numpy(np.int64), frame.to_crs(geobox.crs).reset_index(drop=True)
    x, y = ~geobox.transform * (frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
    row, column = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    height, width = geobox.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    half = size_px // 2
    corners = np.stack([row - half, column - half, row + half + 1, column + half + 1], axis=1)
    corners = np.where(inside[:, None], np.clip(corners, 0, [height, width, height, width]), 0)
    yx, pixels = pixels_of_boxes(corners, (height, width))
    # Splits measure how far regions are apart: the square counts, not the point.
    frame = frame.set_geometry(outlines_of_boxes(corners, geobox), crs=geobox.crs)
    regions = of_pixels(
        frame, yx, pixels, min_pixels=min_pixels, block_m=block_m, ids=ids, inside=inside
    )
    return _some(regions, source, geobox, "points")


def owners(frame: gpd.GeoDataFrame, geoboxes: Sequence[GeoBox]) -> NDArray[np.int64]:
    """Which of several grids has most of each geometry: grids overlap, a region shall be in one.

    Args:
        frame: polygons or points in any CRS.
        geoboxes: in the order of preference where several have as much.

    Returns:
        (features,) int64 number of the grid; -1 outside all.
    """
    best = np.zeros(len(frame))
    owner = np.full(len(frame), -1)
    for number, geobox in enumerate(geoboxes):
        shapes = frame.geometry.to_crs(geobox.crs)
        box = shapely.box(*geobox.boundingbox.bbox)
        near = np.flatnonzero(shapes.intersects(box).to_numpy())
        part = shapes.iloc[near]
        # A point or a sliver without area counts as inside, or not.
        share = part.intersection(box).area.to_numpy() / np.maximum(part.area.to_numpy(), 1e-9)
        share = np.where(part.area.to_numpy() > 0, share, 1.0)
        more = near[share > best[near] + 1e-9]
        owner[more], best[more] = number, share[share > best[near] + 1e-9]
    return owner


def _read(path: str | Path, kinds: set[str], otherwise: str) -> gpd.GeoDataFrame:
    frame = read_vector(Path(path))
    others = set(frame.geom_type) - kinds
    if others:
        raise InvalidAOI(
            f"{path}: regions here are of {' or '.join(sorted(kinds))}, the file has "
            f"{', '.join(sorted(others))}; {otherwise}"
        )
    return _with_free_columns(frame.reset_index(drop=True))


def _some(regions: RegionSet, source: str, geobox: GeoBox, what: str) -> RegionSet:
    if regions.frame.empty:
        dropped = sum(map(len, regions.dropped.values()))
        raise InvalidAOI(
            f"none of the {dropped} {what} of {source} is kept "
            f"({describe_dropped(regions.dropped)}); the cube covers {_bounds(geobox)}: give {what} of "
            "that place, or a smaller --min-pixels"
        )
    return regions


def _with_free_columns(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    taken = [name for name in RESERVED if {name, f"source_{name}"} <= set(frame.columns)]
    if taken:
        raise InvalidAOI(
            f"a store keeps the column {taken[0]} as source_{taken[0]}, and the file has that too; "
            "rename one of them"
        )
    if frame.geometry.name != "geometry":
        frame = frame.rename(columns={"geometry": "source_geometry"}).rename_geometry("geometry")
    return frame.rename(columns={name: f"source_{name}" for name in RESERVED})


def _bounds(geobox: GeoBox) -> str:
    left, bottom, right, top = geobox.boundingbox.bbox
    return f"{left:.0f}, {bottom:.0f} to {right:.0f}, {top:.0f} in {geobox.crs}"
