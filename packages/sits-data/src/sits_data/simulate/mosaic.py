"""A mosaic of fields: land cut again and again along the lines of a bent, tilted grid."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes

from sits_data.grid import Grid
from sits_data.simulate.noise import Field, smooth_noise
from sits_data.simulate.place import MARGIN_PX
from sits_data.simulate.settings import Settings

type Ids = NDArray[np.int32]

FIELD_PX = 64
"""Land is cut on until it is smaller than about 1.7 times this, so fields have 85 pixels on average."""

MIN_PARCEL_PX = 24
"""Smaller pieces stay without a label."""

ROAD_DEPTH = 4
"""The first cuts become roads, later ones hedges."""


@dataclass(frozen=True)
class Mosaic:
    """Fields on the home grid.

    Args:
        unit: (y, x) which unit a pixel belongs to: fields 0 … n-1, then road n, then hedge n+1.
        n_fields: how many fields there are.
        parcels: one row a field with a label: `unit`, `area_px` and its exact pixel outline.
        parcel: (y, x) 1 + row of `parcels`, 0 where there is no label.
        along, across: (y, x) coordinates in pixels along the bent grid; rows of trees follow them.
    """

    unit: Ids
    n_fields: int
    parcels: gpd.GeoDataFrame
    parcel: Ids
    along: Field
    across: Field


def make_mosaic(settings: Settings, grid: Grid) -> Mosaic:
    """Cut the land into fields and outline those that become parcels."""
    rng = settings.rng("mosaic")
    along, across = _bent_grid(rng, grid.shape)
    unit, n_fields = _cut(rng, along.ravel(), across.ravel())
    unit = unit.reshape(grid.shape)
    parcels = _outline(unit, n_fields, grid)
    pairs = zip(parcels.geometry, range(1, len(parcels) + 1), strict=True)
    parcel = rasterize(pairs, out_shape=grid.shape, transform=grid.geobox.affine, fill=0, dtype="int32")
    return Mosaic(unit, n_fields, parcels, parcel, along, across)


def _bent_grid(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Field, Field]:
    """Coordinates of a grid that is turned by 10 to 35 degrees and bent by some 40 m."""
    y, x = np.indices(shape, dtype=np.float32)
    angle = np.deg2rad(rng.uniform(10, 35))
    bend_u, bend_v = (4 * smooth_noise(rng, shape, scale_px=30) for _ in range(2))
    along = x * np.cos(angle) + y * np.sin(angle) + bend_u
    across = -x * np.sin(angle) + y * np.cos(angle) + bend_v
    return along.astype(np.float32), across.astype(np.float32)


def _cut(rng: np.random.Generator, along: Field, across: Field) -> tuple[Ids, int]:
    """Halve pieces of land, longest side first, until each is a field; the cuts are roads and hedges."""
    unit = np.full(along.size, -1, dtype=np.int32)
    pieces = [(np.arange(along.size), 0)]
    cuts: list[tuple[NDArray[np.intp], bool]] = []
    n_fields = 0
    while pieces:
        pixels, depth = pieces.pop()
        if pixels.size < FIELD_PX * rng.uniform(1.1, 2.3):
            unit[pixels] = n_fields
            n_fields += 1
            continue
        longest = max((along[pixels], across[pixels]), key=np.ptp)
        offset = longest - np.quantile(longest, rng.uniform(0.38, 0.62))
        half_width = 0.9 if depth < ROAD_DEPTH else 0.5
        line = np.abs(offset) < half_width
        cuts.append((pixels[line], depth < ROAD_DEPTH))
        pieces += [(pixels[~line & (offset > 0)], depth + 1), (pixels[~line & (offset < 0)], depth + 1)]
    for pixels, is_road in cuts:
        unit[pixels] = n_fields if is_road else n_fields + 1
    return unit, n_fields


def _outline(unit: Ids, n_fields: int, grid: Grid) -> gpd.GeoDataFrame:
    """Pixel outlines of the fields within the margin; of a field in pieces the largest piece."""
    inner = np.where(unit < n_fields, unit + 1, 0)
    inner[:MARGIN_PX] = inner[-MARGIN_PX:] = 0
    inner[:, :MARGIN_PX] = inner[:, -MARGIN_PX:] = 0
    found = list(shapes(inner, mask=inner > 0, connectivity=4, transform=grid.geobox.affine))
    pieces = gpd.GeoDataFrame(
        {"unit": [int(value) - 1 for _, value in found]},
        geometry=[shapely.geometry.shape(outline) for outline, _ in found],
        crs=grid.crs,
    )
    pieces["area_px"] = (pieces.area / grid.resolution_m**2).round().astype(int)
    largest = pieces.sort_values("area_px", kind="stable").drop_duplicates("unit", keep="last")
    return largest[largest["area_px"] >= MIN_PARCEL_PX].sort_values("unit").reset_index(drop=True)
