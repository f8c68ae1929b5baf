"""A coarse look at a scene: a few bands around a grid, from overviews, before anything is built."""

from collections.abc import Callable, Sequence

import numpy as np
import rasterio
import rasterio.errors
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from sits_data.errors import UnreadableSource
from sits_data.grid import Grid
from sits_data.pixeltest import Sample
from sits_data.scenes import SCL_KEY, Scene

SIDE_PX = 256
"""A sample has at most so many rows and columns, whatever the size of the grid."""

MIN_SIDE_M = 10_240
"""Around a small field so much of its surroundings is looked at, because a field alone may be bright."""

GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
}

type Readable = Callable[[str], str]
"""Turns an address of the catalogue into one that can be read now, such as a signed one."""


def sample_pixels(scene: Scene, grid: Grid, bands: Sequence[str], *, readable: Readable = str) -> Sample:
    """Look at a scene around a grid; equal grids and bands give samples that lie on each other.

    Args:
        scene: with addresses of the bands and of the scene classification.
        grid: the cube's.
        bands: ids.
        readable: makes addresses readable.

    Raises:
        UnreadableSource: a raster is missing, truncated or does not answer.
    """
    geobox = sample_geobox(grid)
    dn = np.zeros((len(bands), *geobox.shape), np.uint16)
    for out, band in zip(dn, bands, strict=True):
        _read_into(readable(scene.hrefs[band]), geobox, out)
    scl = np.zeros(geobox.shape, np.uint8)
    _read_into(readable(scene.hrefs[SCL_KEY]), geobox, scl)
    return Sample(tuple(bands), dn, scl)


def sample_geobox(grid: Grid) -> GeoBox:
    """The square around a grid's centre that is sampled."""
    side_m = max(MIN_SIDE_M, grid.right - grid.left, grid.top - grid.bottom)
    step = side_m / SIDE_PX
    left, top = (grid.left + grid.right - side_m) / 2, (grid.bottom + grid.top + side_m) / 2
    return GeoBox((SIDE_PX, SIDE_PX), Affine(step, 0, left, 0, -step, top), grid.crs)


def _read_into(href: str, geobox: GeoBox, out: NDArray[np.generic]) -> None:
    """Read the nearest pixel of the overview that fits; 0 outside the raster."""
    height, width = geobox.shape
    shape = {"height": height, "width": width, "transform": geobox.affine, "crs": str(geobox.crs)}
    try:
        with (
            rasterio.Env(**GDAL_OPTIONS),
            rasterio.open(href, sharing=False) as raster,
            WarpedVRT(raster, **shape, src_nodata=0, nodata=0, resampling=Resampling.nearest) as warped,
        ):
            warped.read(1, out=out)
    except (rasterio.errors.RasterioError, OSError) as error:
        why = " ".join(str(error).split())
        raise UnreadableSource(
            f"cannot look at {href} ({why}); run the same command again, or leave its date out"
        ) from error
