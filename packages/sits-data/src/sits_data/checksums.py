"""Tiles that came over plain HTTP, held against the checksum that deflate keeps of each.

GDAL notices flipped bytes only where they break off the decoding; where more comes out than a tile
holds, it takes what fits, and the rest of the tile is wrong without a word. Over TLS nothing can be
flipped on the way, and files on a disk are their owner's care, so that this is for `http://` alone.

Tiles are read whole, and their pixels summed as they were before they were compressed. Only where that
does not give the checksum (a warped read, another predictor) is a tile
decoded a second time, which tells for sure. The compressed bytes are taken from GDAL's own cache of what
it fetched, through the library that rasterio has loaded, without another request.
"""

import ctypes
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError

from sits_data.tiles import Part, Tile, tiles_under

_BESIDE = ("../rasterio.libs/libgdal*", ".dylibs/libgdal*")
"""Where rasterio's wheels for Linux and macOS have GDAL, from the package."""

_ADLER_BYTES = 4

_STRIP_ROWS = 32
"""Rows that are summed at once: few enough to stay in the cache."""

Pixels = NDArray[Any]


def read_checked(
    path: str,
    geobox: GeoBox,
    out: Pixels,
    options: Mapping[str, str | int],
    read: Callable[[GeoBox, Pixels], None],
) -> None:
    """Read a raster on a grid, and hold every tile under it against its checksum.

    Only reads where there are no checksums (another format or codec), or where GDAL's own functions
    cannot be called (a GDAL that is not rasterio's own).

    Args:
        path: as GDAL names it, such as `/vsicurl/http://…`.
        geobox: where.
        out: of the geobox's shape; zeros.
        options: that GDAL reads with.
        read: reads the raster on a grid.

    Raises:
        RasterioIOError: a tile is not what was written.
    """
    if _gdal() is None:
        read(geobox, out)
        return
    with rasterio.Env(**dict(options)), rasterio.open(path) as raster:
        structure = raster.tags(ns="IMAGE_STRUCTURE")
        summed = raster.driver == "GTiff" and structure.get("COMPRESSION") == "DEFLATE"
        under = tiles_under(raster, geobox) if summed else None
    if under is None:
        read(geobox, out)
        return
    with _bytes_of(path) as bytes_at:
        if under.corner is None:
            read(geobox, out)
            doubtful = under.tiles
        else:
            pixels = np.zeros(under.geobox.shape, out.dtype)
            read(under.geobox, pixels)
            _copy(pixels, under.pixels, under.corner, out)
            doubtful = tuple(
                tile for tile in under.tiles
                if not _agrees(tile, pixels, under.pixels, structure.get("PREDICTOR"), bytes_at)
            )  # fmt: skip
        for tile in doubtful:
            _decode(bytes_at(tile.offset, tile.size))


def _copy(pixels: Pixels, part: Part, corner: tuple[int, int], out: Pixels) -> None:
    """Copy from pixels of a part of a raster to those that begin at a corner, where both are."""
    shared = [
        slice(max(one.start, at), min(one.stop, at + size))
        for one, at, size in zip(part, corner, out.shape, strict=True)
    ]
    out[_from(shared, corner)] = pixels[_from(shared, [one.start for one in part])]


def _agrees(
    tile: Tile,
    pixels: Pixels,
    part: Part,
    predictor: str | None,
    bytes_at: Callable[[int, int], bytes],
) -> bool:
    """Whether a tile's pixels have its checksum, those beyond the raster being zeros."""
    values = pixels[_from(tile.pixels, [one.start for one in part])]
    found = 1  # Adler-32 of nothing
    for top in range(0, len(values), _STRIP_ROWS):
        rows = values[top : top + _STRIP_ROWS]
        if predictor == "2":
            rows = np.diff(rows, axis=1, prepend=rows.dtype.type(0))
        found = zlib.adler32(np.ascontiguousarray(rows), found)
    noted = bytes_at(tile.offset + tile.size - _ADLER_BYTES, _ADLER_BYTES)
    return found == int.from_bytes(noted, "big")


def _decode(compressed: bytes) -> None:
    """Decode a tile to its checksum."""
    try:
        zlib.decompress(compressed)
    except zlib.error as error:
        raise RasterioIOError(f"a tile differs from its checksum: {error}") from error


def _from(part: Iterable[slice], corner: Iterable[int]) -> Part:
    """Rows and columns counted from a corner."""
    rows, cols = (slice(p.start - at, p.stop - at) for p, at in zip(part, corner, strict=True))
    return rows, cols


@contextmanager
def _bytes_of(path: str) -> Iterator[Callable[[int, int], bytes]]:
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
