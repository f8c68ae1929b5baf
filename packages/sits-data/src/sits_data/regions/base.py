"""What kinds of regions share: pixels by row and column, blocks of the ground, what was left out."""

from dataclasses import dataclass
from typing import TypedDict

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest

RESERVED = ("id", "block", "shard", "first_row", "pixels", "label")
"""Columns that a store gives a meaning; a source's column of that name is kept as `source_NAME`."""

Numbers = NDArray[np.int64]


class Shared(TypedDict):
    """Settings of every kind of region.

    Args:
        min_pixels: regions with fewer are dropped, counted and reported.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.
    """

    min_pixels: int
    block_m: int


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
        if (np.diff(positions) > 0).all():
            return self
        frame = self.frame.iloc[positions].reset_index(drop=True)
        pixels = frame["pixels"].to_numpy(np.int64)
        shift = (self.first_row[positions] - (np.cumsum(pixels) - pixels)).astype(np.int32)
        source = np.repeat(shift, pixels)
        source += np.arange(len(source), dtype=np.int32)
        return RegionSet(frame, self.yx[source], self.dropped)


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


def of_raster(
    numbers: NDArray[np.signedinteger],
    frame: gpd.GeoDataFrame,
    *,
    min_pixels: int,
    block_m: int,
    ids: Numbers | None = None,
    inside: NDArray[np.bool_] | None = None,
) -> RegionSet:
    """Regions that do not overlap.

    Args:
        numbers: (rows, columns) 1 + the row in `frame` of each pixel's region, 0 for none.
        frame: one row a region, in the grid's CRS.
        min_pixels: regions with fewer are dropped.
        block_m: see `block_names`.
        ids: (regions,) ids; None counts from 0.
        inside: (regions,) whether each lies on the grid, to say why it has no pixel; None is yes.
    """
    # Sorting numbers that say region first and pixel second is faster than a stable argsort.
    keys = numbers.astype(np.int64).ravel() - 1
    flat = np.flatnonzero(keys >= 0)
    keys = keys[flat] * numbers.size + flat
    keys.sort()
    region, place = np.divmod(keys, numbers.size)
    yx = np.stack(np.divmod(place, numbers.shape[1]), axis=1).astype(np.int32)
    pixels = np.bincount(region, minlength=len(frame))
    return of_pixels(frame, yx, pixels, min_pixels=min_pixels, block_m=block_m, ids=ids, inside=inside)


def of_pixels(
    frame: gpd.GeoDataFrame,
    yx: NDArray[np.int32],
    pixels: Numbers,
    *,
    min_pixels: int,
    block_m: int,
    ids: Numbers | None = None,
    inside: NDArray[np.bool_] | None = None,
) -> RegionSet:
    """Regions by their pixels; they may overlap.

    Args:
        frame: one row a region, in the grid's CRS.
        yx: (rows, 2) row and column of each pixel, region after region, each in raster order.
        pixels: (regions,) how many each has.
        min_pixels: regions with fewer are dropped.
        block_m: see `block_names`.
        ids: (regions,) ids; None counts from 0.
        inside: (regions,) whether each lies on the grid, to say why it has no pixel; None is yes.
    """
    ids = np.arange(len(frame)) if ids is None else ids
    check_at_least("minimum number of pixels", min_pixels, 1)
    check_at_least("side of a block in metres", block_m, 1)
    inside = np.ones(len(frame), bool) if inside is None else inside
    reasons = {
        "outside the cube": (pixels == 0) & ~inside,
        "without a pixel of their own": (pixels == 0) & inside,
        f"with fewer than {min_pixels} pixels": (pixels > 0) & (pixels < min_pixels),
    }
    kept = pixels >= min_pixels
    chosen = frame[kept].reset_index(drop=True)
    ours = {
        "id": ids[kept],
        "block": block_names(chosen, block_m),
        "pixels": pixels[kept],
    }
    table = pd.concat([pd.DataFrame(ours), chosen], axis=1)
    return RegionSet(
        gpd.GeoDataFrame(table, geometry=chosen.geometry.name, crs=frame.crs),
        yx if kept.all() else yx[np.repeat(kept, pixels)],
        {why: tuple(ids[which].tolist()) for why, which in reasons.items() if which.any()},
    )


def check_at_least(what: str, value: float, least: float) -> None:
    """Stop if a number is too small.

    Raises:
        InvalidRequest: it is.
    """
    if not least <= value < np.inf:
        raise InvalidRequest(f"the {what} must be at least {least}, got {value}")
