"""Regions: sets of pixels that belong together, as lists of rows and columns on the cube's grid."""

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from sits_data.aoi import read_vector
from sits_data.errors import InvalidAOI, InvalidRequest

RESERVED = ("id", "block", "shard", "first_row", "pixels", "label")
"""Columns that a store gives a meaning; a source's column of that name is kept as `source_NAME`."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class RegionSet:
    """Some regions and their pixels.

    Args:
        frame: one row a region, in the grid's CRS: `id`, `geometry`, `block`, `pixels` and the
            source's other columns.
        yx: (rows, 2) int32 row and column on the grid, region after region, each in raster order.
        dropped: ids of the regions left out, by reason.
    """

    frame: gpd.GeoDataFrame
    yx: NDArray[np.int32]
    dropped: dict[str, tuple[int, ...]]

    @property
    def first_row(self) -> Numbers:
        """(regions,) where each region starts in `yx`."""
        pixels = self.frame["pixels"].to_numpy(np.int64)
        return np.asarray(np.cumsum(pixels) - pixels)

    @property
    def attributes(self) -> pd.DataFrame:
        """One row a region: the source's own columns, under the names that they have there."""
        ours = {"id", "geometry", "block", "pixels"}
        names = {f"source_{name}": name for name in RESERVED}
        return pd.DataFrame(self.frame.drop(columns=list(ours))).rename(columns=names)

    def reordered(self, positions: Numbers) -> "RegionSet":
        """The same regions in another order."""
        frame = self.frame.iloc[positions].reset_index(drop=True)
        pixels = frame["pixels"].to_numpy(np.int64)
        source = np.repeat(self.first_row[positions] - (np.cumsum(pixels) - pixels), pixels)
        return RegionSet(frame, self.yx[source + np.arange(len(source))], self.dropped)


def read_parcels(
    path: str | Path, geobox: GeoBox, *, min_pixels: int = 1, block_m: int = 1000
) -> RegionSet:
    """The polygons of a vector file, as `rasterio.features.rasterize` draws them on the grid.

    A pixel belongs to the parcel that its centre lies in; where parcels overlap, to the later one
    in the file. A parcel that sticks out of the grid keeps the pixels inside.

    Args:
        path: GeoPackage, GeoJSON or GeoParquet in any CRS.
        geobox: the cube's grid.
        min_pixels: parcels with fewer are dropped.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.

    Returns:
        Parcels whose `id` is their position in the file, 0, 1, …

    Raises:
        InvalidAOI: the file cannot be used, or no parcel has a pixel of the grid.
    """
    _check_at_least("minimum number of pixels", min_pixels, 1)
    frame = read_vector(Path(path))
    kinds = set(frame.geom_type) - {"Polygon", "MultiPolygon"}
    if kinds:
        raise InvalidAOI(
            f"{path}: regions are polygons, this has {', '.join(sorted(kinds))}; buffer points or "
            "lines first, or cut the cube with --chips"
        )
    frame = _with_free_columns(frame.to_crs(geobox.crs).reset_index(drop=True))
    inside = frame.intersects(shapely.box(*geobox.boundingbox.bbox)).to_numpy()
    numbers = np.zeros(geobox.shape, np.int32)
    if inside.any():
        places = np.flatnonzero(inside)
        rasterize(
            zip(frame.geometry.iloc[places], places + 1, strict=True),
            out=numbers,
            transform=geobox.transform,
        )
    regions = _of_numbers(numbers, frame, inside, min_pixels, block_m)
    if regions.frame.empty:
        raise InvalidAOI(
            f"none of the {len(frame)} parcels of {path} is kept "
            f"({describe_dropped(regions.dropped)}); the cube covers {_bounds(geobox)}: "
            "give parcels of that place, or a smaller --min-pixels"
        )
    return regions


def chips(geobox: GeoBox, size_px: int, *, min_pixels: int = 1, block_m: int = 1000) -> RegionSet:
    """Square windows that tile the grid without overlap, from its top left.

    Those at the right and bottom edges are cut off there, so that every pixel has its chip.

    Args:
        geobox: the cube's grid.
        size_px: side in pixels, at least 2.
        min_pixels: edge chips with fewer are dropped.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.

    Returns:
        Chips numbered row by row in `id`, 0, 1, …

    Raises:
        InvalidRequest: `size_px` is below 2, or no chip has `min_pixels`.
    """
    if size_px < 2:
        raise InvalidRequest(
            f"chip size must be at least 2 pixels, got {size_px}; use --chips 32, or parcels with "
            "--regions"
        )
    _check_at_least("minimum number of pixels", min_pixels, 1)
    height, width = geobox.shape
    down, across = -(-height // size_px), -(-width // size_px)
    y, x = np.divmod(np.arange(down * across), across)
    top, left = y * size_px, x * size_px
    step_x, _, west, _, step_y, north = geobox.transform[:6]
    boxes = shapely.box(
        west + step_x * left,
        north + step_y * np.minimum(top + size_px, height),
        west + step_x * np.minimum(left + size_px, width),
        north + step_y * top,
    )
    frame = gpd.GeoDataFrame(geometry=boxes, crs=geobox.crs)
    rows, columns = np.ogrid[:height, :width]
    numbers = (rows // size_px) * across + columns // size_px + 1
    regions = _of_numbers(numbers, frame, np.ones(len(frame), bool), min_pixels, block_m)
    if regions.frame.empty:
        raise InvalidRequest(
            f"no chip of {size_px} x {size_px} pixels has {min_pixels}; use a smaller --min-pixels"
        )
    return regions


def block_names(frame: gpd.GeoDataFrame, block_m: int) -> list[str]:
    """The square of an absolute lattice in which each region's centroid lies.

    Names are the same in every store of a UTM zone, so that splits agree between years and cubes.

    Args:
        frame: regions in a CRS in metres.
        block_m: side of the squares.

    Returns:
        `EPSG code:column:row`, such as `32631:574:5622` for 1 km.
    """
    zone = frame.crs.to_epsg() or frame.crs.name
    centres = frame.geometry.centroid
    columns = np.floor_divide(centres.x.to_numpy(), block_m).astype(np.int64)
    rows = np.floor_divide(centres.y.to_numpy(), block_m).astype(np.int64)
    return [f"{zone}:{x}:{y}" for x, y in zip(columns, rows, strict=True)]


def describe_dropped(dropped: dict[str, tuple[int, ...]]) -> str:
    """How many regions were left out, and why, in a few words."""
    return ", ".join(f"{len(ids)} {reason}" for reason, ids in dropped.items()) or "none dropped"


def _of_numbers(
    numbers: NDArray[np.signedinteger],
    frame: gpd.GeoDataFrame,
    inside: NDArray[np.bool_],
    min_pixels: int,
    block_m: int,
) -> RegionSet:
    """Regions from a raster that holds 1 + the row in `frame` of each pixel's region, 0 for none."""
    _check_at_least("side of a block in metres", block_m, 1)
    pixels = np.bincount(numbers.ravel(), minlength=len(frame) + 1)[1:]
    reasons = {
        "outside the cube": (pixels == 0) & ~inside,
        "without a pixel centre of their own": (pixels == 0) & inside,
        f"with fewer than {min_pixels} pixels": (pixels > 0) & (pixels < min_pixels),
    }
    kept = np.flatnonzero(pixels >= min_pixels)
    rank = np.full(len(frame) + 1, -1, np.int64)
    rank[kept + 1] = np.arange(len(kept))
    # Sorting numbers that say region first and pixel second is faster than a stable argsort.
    keys = rank[numbers].ravel()
    flat = np.flatnonzero(keys >= 0)
    keys = keys[flat] * numbers.size + flat
    keys.sort()
    yx = np.stack(np.divmod(keys % numbers.size, numbers.shape[1]), axis=1).astype(np.int32)
    chosen = frame.iloc[kept].reset_index(drop=True)
    ours = {"id": kept, "block": block_names(chosen, block_m), "pixels": pixels[kept]}
    table = pd.concat([pd.DataFrame(ours), chosen], axis=1)
    return RegionSet(
        gpd.GeoDataFrame(table, geometry=chosen.geometry.name, crs=frame.crs),
        yx,
        {why: tuple(np.flatnonzero(which).tolist()) for why, which in reasons.items() if which.any()},
    )


def _with_free_columns(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    if frame.geometry.name != "geometry":
        frame = frame.rename(columns={"geometry": "source_geometry"}).rename_geometry("geometry")
    return frame.rename(columns={name: f"source_{name}" for name in RESERVED})


def _bounds(geobox: GeoBox) -> str:
    left, bottom, right, top = geobox.boundingbox.bbox
    return f"{left:.0f}, {bottom:.0f} to {right:.0f}, {top:.0f} in {geobox.crs}"


def _check_at_least(what: str, value: int, least: int) -> None:
    if value < least:
        raise InvalidRequest(f"the {what} must be at least {least}, got {value}")
