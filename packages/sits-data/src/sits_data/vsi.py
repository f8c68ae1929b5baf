"""Bytes of files as GDAL reaches them: from disks, over HTTP, from object stores, with its options.

rasterio has no function for it, so that the C library it has loaded is called by ctypes.
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

_BESIDE = ("../rasterio.libs/libgdal*", ".dylibs/libgdal*")
"""Where rasterio's wheels for Linux and macOS have GDAL, from the package."""

Range = tuple[int, int]
"""First byte and number of bytes."""


def can_read() -> bool:
    """Whether files can be read: not where rasterio uses a GDAL that is not its own."""
    return _gdal() is not None


class VsiFile:
    """An open file; `with open_vsi(path) as file`."""

    def __init__(self, path: str, handle: int) -> None:
        self._path, self._handle = path, handle

    def read(self, ranges: Sequence[Range], into: NDArray[np.uint8]) -> None:
        """Read ranges of bytes one after another into memory, in one go.

        Over HTTP several are asked for at once, and go round GDAL's cache.

        Raises:
            RasterioIOError: fewer bytes came.
        """
        gdal, count = _gdal(), len(ranges)
        assert gdal is not None
        sizes = np.array([size for _, size in ranges], np.uint64)
        starts = np.cumsum(sizes) - sizes
        assert into.flags.c_contiguous
        assert into.size >= sizes.sum()
        failed = gdal.VSIFReadMultiRangeL(
            count,
            (ctypes.c_void_p * count)(*(into.ctypes.data + int(start) for start in starts)),
            (ctypes.c_uint64 * count)(*(offset for offset, _ in ranges)),
            (ctypes.c_size_t * count)(*(size for _, size in ranges)),
            self._handle,
        )
        if failed:
            raise RasterioIOError(f"{self._path} gives fewer bytes than asked for")


@contextmanager
def open_vsi(path: str) -> Iterator[VsiFile]:
    """Open a file to read it.

    Args:
        path: as GDAL names it, such as `/vsicurl/http://…`.

    Raises:
        RasterioIOError: it is not there.
    """
    gdal = _gdal()
    assert gdal is not None
    handle = gdal.VSIFOpenL(path.encode(), b"rb")
    if not handle:
        raise RasterioIOError(f"{path} is gone")
    try:
        yield VsiFile(path, handle)
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
            gdal.VSIFReadMultiRangeL.restype = ctypes.c_int
            gdal.VSIFReadMultiRangeL.argtypes = [
                *(ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_uint64)),
                *(ctypes.POINTER(ctypes.c_size_t), ctypes.c_void_p),
            ]
            gdal.VSIFCloseL.argtypes = [ctypes.c_void_p]
            return gdal
    return None
