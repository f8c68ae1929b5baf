"""What warps a raster onto a grid: loaders, odc-stac's or stackstac's, and GDAL for one in memory."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.loader import RasterLoadParams, RasterSource, reader_driver
from rasterio.enums import Resampling
from rasterio.warp import reproject

from sits_data.alignment import Place, Target
from sits_data.errors import InvalidRequest

Loader = Literal["odc", "stackstac"]


def check_loader(loader: Loader) -> None:
    """Stop early if a loader is not installed.

    Raises:
        InvalidRequest: it is not.
    """
    if loader == "stackstac":
        try:
            import stackstac  # noqa: F401
        except ImportError as error:
            raise InvalidRequest(
                "the loader stackstac is not installed; use pip install 'sits-data[stackstac]', or "
                "--loader odc"
            ) from error


def warp(
    address: str,
    target: Target,
    *,
    loader: Loader,
    load: RasterLoadParams,
    options: Mapping[str, str | int],
) -> None:
    """Warp a raster.

    Args:
        address: of the raster.
        target: the grid, and memory of its shape, zeros.
        loader: which.
        load: type and resampling.
        options: of GDAL.
    """
    (_odc if loader == "odc" else _stackstac)(address, *target, load, options)


def warp_part(
    raster: rasterio.DatasetReader, place: Place, target: Target, *, load: RasterLoadParams
) -> None:
    """Warp a part of a raster that is in memory, as odc-stac's loader does: to the bit, except at edges.

    Args:
        raster: says where it lies.
        place: the part, and its pixels.
        target: the grid, and memory of its shape, zeros.
        load: its resampling.
    """
    (rows, cols), pixels = place
    geobox, out = target
    warped = np.zeros(out.shape, out.dtype)
    inside = rows.start and cols.start and rows.stop < raster.height and cols.stop < raster.width
    nodata = None if inside and pixels.all() else 0  # to look out for it takes GDAL twice the time
    reproject(
        pixels,
        warped,
        src_transform=raster.transform * Affine.translation(cols.start, rows.start),
        src_crs=raster.crs,
        src_nodata=nodata,
        dst_transform=geobox.transform,
        dst_crs=str(geobox.crs),
        dst_nodata=nodata,
        resampling=Resampling[str(load.resampling)],
    )
    out[...] = warped


def _odc(
    address: str,
    geobox: GeoBox,
    out: NDArray[Any],
    load: RasterLoadParams,
    options: Mapping[str, str | int],
) -> None:
    driver = reader_driver("rio")
    with driver.restore_env(dict(options), driver.new_load(geobox)) as context:
        driver.open(RasterSource(address), context).read(load, geobox, dst=out)


def _stackstac(
    address: str,
    geobox: GeoBox,
    out: NDArray[Any],
    load: RasterLoadParams,
    options: Mapping[str, str | int],
) -> None:
    """Its defaults lose failures, types and half a pixel: each setting here replaces one."""
    import stackstac
    from stackstac.rio_env import LayeredEnv

    bounds = tuple(geobox.boundingbox.bbox)
    assert geobox.crs is not None
    epsg = geobox.crs.to_epsg()
    item: dict[str, Any] = {
        "type": "Feature", "stac_version": "1.0.0", "id": "window", "geometry": None, "links": [],
        # It leaves out what its metadata says lies elsewhere; the raster itself says where it lies.
        "properties": {"datetime": "2000-01-01T00:00:00Z", "proj:epsg": epsg, "proj:bbox": bounds},
        "assets": {"raster": {"href": address}},
    }  # fmt: skip
    stack = stackstac.stack(
        [item],
        assets=["raster"],
        epsg=epsg,
        resolution=abs(geobox.resolution.x),
        bounds=bounds,
        snap_bounds=False,
        dtype=load.dtype,
        fill_value=np.dtype(load.dtype).type(0),
        rescale=False,
        xy_coords="center",
        errors_as_nodata=(),
        resampling=Resampling[str(load.resampling)],
        chunksize=max(geobox.shape),
        gdal_env=LayeredEnv(always=dict(options)),
    )
    out[...] = stack.data.compute(scheduler="synchronous")[0, 0]
