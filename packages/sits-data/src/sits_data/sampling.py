"""A coarse look at a scene: a few bands around a grid, from overviews, before anything is built."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from sits_data.grid import Grid
from sits_data.pixeltest import Sample
from sits_data.rasters import CLASSES, REFLECTANCE, RasterReader
from sits_data.scenes import SCL_KEY, Scene

SIDE_PX = 256
"""A sample has so many rows and columns, whatever the size of the grid."""

MIN_SIDE_M = 10_240
"""Around a small field so much of its surroundings is looked at, because a field alone may be bright."""

DEADLINE_S = 120.0
"""For one scene, all attempts together."""

_BAND = replace(REFLECTANCE, use_overviews=True, resampling="nearest")
_CLASSES = replace(CLASSES, use_overviews=True)


def sample_pixels(scene: Scene, grid: Grid, bands: Sequence[str], *, reader: RasterReader) -> Sample:
    """Look at a scene around a grid; equal grids and bands give samples that lie on each other.

    Args:
        scene: with addresses of the bands and of the scene classification.
        grid: the cube's.
        bands: ids.
        reader: how rasters are read.

    Raises:
        UnreadableSource: a raster is missing, truncated or does not answer in time.
    """
    geobox = sample_geobox(grid)
    reader = reader.until(DEADLINE_S)
    dn = np.zeros((len(bands), *geobox.shape), np.uint16)
    for out, band in zip(dn, bands, strict=True):
        reader.read(scene.hrefs[band], [(geobox, out)], load=_BAND)
    scl = np.zeros(geobox.shape, np.uint8)
    reader.read(scene.hrefs[SCL_KEY], [(geobox, scl)], load=_CLASSES)
    return Sample(tuple(bands), dn, scl)


def sample_geobox(grid: Grid) -> GeoBox:
    """The square around a grid's centre that is sampled."""
    side_m = max(MIN_SIDE_M, grid.right - grid.left, grid.top - grid.bottom)
    step = side_m / SIDE_PX
    left, top = (grid.left + grid.right - side_m) / 2, (grid.bottom + grid.top + side_m) / 2
    return GeoBox((SIDE_PX, SIDE_PX), Affine(step, 0, left, 0, -step, top), grid.crs)
