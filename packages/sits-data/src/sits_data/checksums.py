"""Tiles that came over plain HTTP, held against the checksum that deflate keeps of each.

GDAL notices flipped bytes only where they break off the decoding; where more comes out than a tile
holds, it takes what fits, and the rest of the tile is wrong without a word. Over TLS nothing can be
flipped on the way, and files on a disk are their owner's care, so that this is for `http://` alone.

The bytes are taken from GDAL's own cache, through the library that rasterio has loaded: those that were
decoded, without another request.
"""

import ctypes
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

_BESIDE = ("../rasterio.libs/libgdal*", ".dylibs/libgdal*")
"""Where rasterio's wheels for Linux and macOS have GDAL, from the package."""


def check_tiles(path: str, geobox: GeoBox, options: Mapping[str, str | int]) -> None:
    """Decode the tiles of a GeoTIFF under a grid once more, each to its checksum.

    Does nothing where there are no checksums (another format or codec), or where GDAL's own functions
    cannot be called (a GDAL that is not rasterio's own).

    Args:
        path: as GDAL names it, such as `/vsicurl/http://…`.
        geobox: what was read.
        options: that GDAL read with.

    Raises:
        RasterioIOError: a tile is not what was written.
    """
    if _gdal() is None:
        return
    with rasterio.Env(**dict(options)), rasterio.open(path) as raster:
        codec = raster.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION")
        if raster.driver != "GTiff" or codec != "DEFLATE":
            return
        with _reading(path) as read:
            for offset, size in _tiles(raster, geobox):
                try:
                    zlib.decompress(read(offset, size))
                except zlib.error as error:
                    raise RasterioIOError(f"a tile differs from its checksum: {error}") from error


def _tiles(raster: rasterio.DatasetReader, geobox: GeoBox) -> Iterator[tuple[int, int]]:
    """Offset and size in bytes of the tiles under a grid."""
    bounds = geobox.boundingbox.bbox
    if raster.crs != geobox.crs:
        bounds = transform_bounds(str(geobox.crs), raster.crs, *bounds)
    whole = Window(0, 0, raster.width, raster.height)
    asked = from_bounds(*bounds, transform=raster.transform)
    if not rasterio.windows.intersect(asked, whole):
        return
    (top, bottom), (left, right) = asked.intersection(whole).round().toranges()
    height, width = raster.block_shapes[0]
    for row in range(int(top) // height, -(-int(bottom) // height)):
        for col in range(int(left) // width, -(-int(right) // width)):
            place = (raster.get_tag_item(f"BLOCK_{name}_{col}_{row}", "TIFF", bidx=1)
                     for name in ("OFFSET", "SIZE"))  # fmt: skip
            offset, size = (int(one or 0) for one in place)
            if size:
                yield offset, size


@contextmanager
def _reading(path: str) -> Iterator[Callable[[int, int], bytes]]:
    """Reads bytes of a file through GDAL, by offset and size."""
    gdal = _gdal()
    assert gdal is not None
    handle = gdal.VSIFOpenL(path.encode(), b"rb")
    if not handle:
        raise RasterioIOError(f"{path} is gone")

    def read(offset: int, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        gdal.VSIFSeekL(handle, offset, 0)
        count = gdal.VSIFReadL(buffer, 1, size, handle)
        return buffer.raw[:count]

    try:
        yield read
    finally:
        gdal.VSIFCloseL(handle)


@cache
def _gdal() -> ctypes.CDLL | None:
    """GDAL's file functions, of the library that rasterio has loaded; None where it is not found."""
    home = Path(rasterio.__file__).parent
    for pattern in _BESIDE:
        folder, name = (home / pattern).parent, Path(pattern).name
        for file in sorted(folder.glob(name)):
            gdal = ctypes.CDLL(str(file))
            gdal.VSIFOpenL.restype = ctypes.c_void_p
            gdal.VSIFOpenL.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
            gdal.VSIFSeekL.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int]
            gdal.VSIFReadL.restype = ctypes.c_size_t
            gdal.VSIFReadL.argtypes = [
                ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p,
            ]  # fmt: skip
            gdal.VSIFCloseL.argtypes = [ctypes.c_void_p]
            return gdal
    return None
