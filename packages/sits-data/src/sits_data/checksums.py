"""Tiles that came over plain HTTP, held against the checksum that deflate keeps of each.

GDAL notices flipped bytes only where they break off the decoding; where more comes out than a tile
holds, it takes what fits, and the rest of the tile is wrong without a word. Over TLS nothing can be
flipped on the way, and files on a disk are their owner's care, so that this is for `http://` alone.

A tile's pixels are summed as they were before they were compressed. Only where that does not give the
checksum (a warped read, another predictor) is a tile decoded a second time, which tells for sure. The
compressed bytes are taken from GDAL's own cache of what it fetched, through the library that rasterio
has loaded, without another request.
"""

import ctypes
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioIOError

from sits_data.tiles import Pixels, Tile, TileRow, TilesUnder, part_from

_BESIDE = ("../rasterio.libs/libgdal*", ".dylibs/libgdal*")
"""Where rasterio's wheels for Linux and macOS have GDAL, from the package."""

_ADLER_BYTES = 4

_STRIP_ROWS = 64
"""Rows that are summed at once: few enough to stay in the cache."""


def check_rows(path: str, under: TilesUnder, rows: Iterable[tuple[TileRow, Pixels | None]]) -> None:
    """Hold every tile against its checksum, a row when it is read.

    Only takes the rows where there are no checksums (another codec), or where GDAL's own functions
    cannot be called (a GDAL that is not rasterio's own).

    Args:
        path: as GDAL names it, such as `/vsicurl/http://…`.
        under: the tiles.
        rows: rows of tiles, as `read_by_rows` gives them; without pixels each tile is decoded.

    Raises:
        RasterioIOError: a tile is not what was written.
    """
    if under.codec != "DEFLATE" or _gdal() is None:
        for _ in rows:
            pass
        return
    with _bytes_of(path) as bytes_at:
        for row, pixels in rows:
            corner = [part.start for part in row.pixels]
            for tile in row.tiles:
                if pixels is not None:
                    values = pixels[part_from(tile.pixels, corner)]
                    if _adler32(values, under.predictor) == _noted(tile, bytes_at):
                        continue
                _decode(bytes_at(tile.offset, tile.size))


def _adler32(values: Pixels, predictor: str) -> int:
    """The sum of a tile as it was compressed; pixels beyond the raster are zeros there too."""
    found = zlib.adler32(b"")
    strip = np.empty((_STRIP_ROWS, values.shape[1]), values.dtype)
    for top in range(0, len(values), _STRIP_ROWS):
        rows = values[top : top + _STRIP_ROWS]
        summed = strip[: len(rows)]
        if predictor == "2":
            summed[:, 0] = rows[:, 0]
            np.subtract(rows[:, 1:], rows[:, :-1], out=summed[:, 1:])
        else:
            summed[...] = rows
        found = zlib.adler32(summed, found)
    return found


def _noted(tile: Tile, bytes_at: Callable[[int, int], bytes]) -> int:
    return int.from_bytes(bytes_at(tile.offset + tile.size - _ADLER_BYTES, _ADLER_BYTES), "big")


def _decode(compressed: bytes) -> None:
    """Decode a tile to its checksum."""
    try:
        zlib.decompress(compressed)
    except zlib.error as error:
        raise RasterioIOError(f"a tile differs from its checksum: {error}") from error


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
