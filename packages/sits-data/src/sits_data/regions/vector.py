"""Regions from a vector file: parcels, and neighbourhoods of sample points."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
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


def read_parcels(
    path: str | Path,
    geobox: GeoBox,
    *,
    min_pixels: int = 1,
    block_m: int = 1000,
    shrink_m: float = 0,
    all_touched: bool = False,
) -> RegionSet:
    """The polygons of a vector file, as `rasterio.features.rasterize` draws them on the grid.

    A pixel belongs to the parcel that its centre lies in; where parcels overlap, to the later one
    in the file. A parcel that sticks out of the grid keeps the pixels inside.

    Args:
        path: GeoPackage, GeoJSON or GeoParquet in any CRS.
        geobox: the cube's grid.
        min_pixels: parcels with fewer are dropped.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.
        shrink_m: metres that are taken off along the outline before it is drawn, so that pixels mixed
            with what is beside it are left out; the outline that is kept is the file's.
        all_touched: pixels that the outline touches belong to it too.

    Returns:
        Parcels whose `id` is their position in the file, 0, 1, …

    Raises:
        InvalidAOI: the file cannot be used, or no parcel has a pixel of the grid.
        InvalidRequest: a number is out of its range.
    """
    check_at_least("strip that is taken off in metres", shrink_m, 0)
    frame = _read(path, geobox, {"Polygon", "MultiPolygon"}, "give points --around 7")
    drawn = frame.geometry.buffer(-shrink_m) if shrink_m else frame.geometry
    inside = frame.intersects(shapely.box(*geobox.boundingbox.bbox)).to_numpy()
    numbers = np.zeros(geobox.shape, np.int32)
    places = np.flatnonzero(inside & ~drawn.is_empty.to_numpy())
    if len(places):
        rasterize(
            zip(drawn.iloc[places], places + 1, strict=True),
            out=numbers,
            transform=geobox.transform,
            all_touched=all_touched,
        )
    regions = of_raster(numbers, frame, min_pixels=min_pixels, block_m=block_m, inside=inside)
    return _some(regions, path, geobox, "parcels")


def around_points(
    path: str | Path,
    geobox: GeoBox,
    size_px: int,
    *,
    min_pixels: int = 1,
    block_m: int = 1000,
) -> RegionSet:
    """Squares of pixels around the points of a vector file, cut off at the edges of the grid.

    Args:
        path: GeoPackage, GeoJSON or GeoParquet in any CRS.
        geobox: the cube's grid.
        size_px: side in pixels; odd, so that the point's own pixel is in the middle.
        min_pixels: squares with fewer are dropped.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.

    Returns:
        Squares whose `id` is the point's position in the file. They may overlap.

    Raises:
        InvalidAOI: the file cannot be used, or no point lies on the grid.
        InvalidRequest: a number is out of its range.
    """
    check_at_least("side of a neighbourhood in pixels", size_px, 1)
    if size_px % 2 == 0:
        raise InvalidRequest(
            f"the side of a neighbourhood must be odd, got {size_px}; use {size_px + 1}"
        )
    frame = _read(path, geobox, {"Point"}, "take polygons without --around")
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
    regions = of_pixels(frame, yx, pixels, min_pixels=min_pixels, block_m=block_m, inside=inside)
    return _some(regions, path, geobox, "points")


def _read(path: str | Path, geobox: GeoBox, kinds: set[str], otherwise: str) -> gpd.GeoDataFrame:
    frame = read_vector(Path(path))
    others = set(frame.geom_type) - kinds
    if others:
        raise InvalidAOI(
            f"{path}: regions here are of {' or '.join(sorted(kinds))}, the file has "
            f"{', '.join(sorted(others))}; {otherwise}"
        )
    return _with_free_columns(frame.to_crs(geobox.crs).reset_index(drop=True))


def _some(regions: RegionSet, path: str | Path, geobox: GeoBox, what: str) -> RegionSet:
    if regions.frame.empty:
        dropped = sum(map(len, regions.dropped.values()))
        raise InvalidAOI(
            f"none of the {dropped} {what} of {path} is kept ({describe_dropped(regions.dropped)}); the "
            f"cube covers {_bounds(geobox)}: give {what} of that place, or a smaller --min-pixels"
        )
    return regions


def _with_free_columns(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    if frame.geometry.name != "geometry":
        frame = frame.rename(columns={"geometry": "source_geometry"}).rename_geometry("geometry")
    return frame.rename(columns={name: f"source_{name}" for name in RESERVED})


def _bounds(geobox: GeoBox) -> str:
    left, bottom, right, top = geobox.boundingbox.bbox
    return f"{left:.0f}, {bottom:.0f} to {right:.0f}, {top:.0f} in {geobox.crs}"
