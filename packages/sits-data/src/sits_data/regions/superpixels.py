"""Superpixels: regions that grow where neighbouring pixels have alike series."""

from collections.abc import Iterable
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import shapes

from sits_data.errors import InvalidRequest
from sits_data.regions.base import RegionSet, check_at_least, of_raster


class Composite(NamedTuple):
    """What a part of the grid looked like.

    Args:
        y, x: its first row and column on the grid.
        image: (H, W, F) float32, what pixels are compared by.
        known: (H, W) bool; other pixels are in no region.
    """

    y: int
    x: int
    image: NDArray[np.float32]
    known: NDArray[np.bool_]


def superpixels(
    geobox: GeoBox,
    composites: Iterable[Composite],
    size_px: int,
    *,
    compactness: float = 0.1,
    min_pixels: int = 1,
    block_m: int = 1000,
) -> RegionSet:
    """Simple linear iterative clustering (SLIC) of each part of a cube; no region lies in two parts.

    Args:
        geobox: the cube's grid.
        composites: parts that do not overlap.
        size_px: pixels of a region, about.
        compactness: how much shape counts against likeness; features have a deviation of 1 in all.
        min_pixels: regions with fewer are dropped.
        block_m: side in metres of the blocks for spatial splits, see `block_names`.

    Returns:
        Regions numbered part by part in `id`, with their outlines as geometry.

    Raises:
        InvalidRequest: a number is out of its range, or no region has `min_pixels`.

    Source: Achanta et al., IEEE TPAMI 34(11), 2012; scikit-image's implementation.
    """
    check_at_least("pixels of a superpixel", size_px, 2)
    if not compactness > 0:
        raise InvalidRequest(f"the compactness must be above 0, got {compactness}; 0.1 is usual")
    numbers, count = np.zeros(geobox.shape, np.int32), 0
    for part in composites:
        if part.known.any():
            found = _segments(part, size_px, compactness)
            height, width = found.shape
            target = numbers[part.y : part.y + height, part.x : part.x + width]
            target[...] = np.where(found > 0, found + count, 0)
            count += int(found.max())
    frame = gpd.GeoDataFrame(geometry=_outlines(numbers, count, geobox), crs=geobox.crs)
    regions = of_raster(numbers, frame, min_pixels=min_pixels, block_m=block_m)
    if regions.frame.empty:
        raise InvalidRequest(f"no superpixel has {min_pixels} pixels; use a smaller --min-pixels")
    return regions


def _segments(part: Composite, size_px: int, compactness: float) -> NDArray[np.int32]:
    """Segments of a part, 1, 2, …; 0 where nothing is known."""
    from skimage.segmentation import slic

    known = part.image[part.known]
    wanted = round(len(known) / size_px)
    if wanted < 2:  # with a mask, scikit-image finds none
        return part.known.astype(np.int32)
    spread = np.sqrt(known.shape[1]) * np.maximum(known.std(axis=0), 1e-6)
    image = (part.image - known.mean(axis=0)) / spread
    whole = bool(part.known.all())
    found = slic(
        np.where(part.known[..., None], image, 0).astype(np.float64),
        n_segments=wanted,
        compactness=compactness,
        mask=None if whole else part.known,
        channel_axis=-1,
        convert2lab=False,
        start_label=1,
    )
    return np.unique(found, return_inverse=True)[1].reshape(found.shape).astype(np.int32) + int(whole)


def _outlines(numbers: NDArray[np.int32], count: int, geobox: GeoBox) -> list[shapely.Geometry]:
    """The outline of each region, 1 … count, in the grid's CRS."""
    pieces: list[list[shapely.Geometry]] = [[] for _ in range(count)]
    for outline, number in shapes(numbers, mask=numbers > 0, transform=geobox.transform):
        pieces[int(number) - 1].append(shapely.geometry.shape(outline))
    return [one[0] if len(one) == 1 else shapely.union_all(one) for one in pieces]
