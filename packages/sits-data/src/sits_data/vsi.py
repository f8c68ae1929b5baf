"""Bytes of files as GDAL reaches them: from disks, over HTTP, from object stores, with its options.

rasterio has no function for it, so that the C library it has loaded is called by ctypes.
"""

import ctypes
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import rasterio._base
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

Range = tuple[int, int]
"""First byte and number of bytes."""


def can_read() -> bool:
    """Whether GDAL's functions are found: not on Windows, where a library shows only its own."""
    return _gdal() is not None


class VsiFile:
    """An open file; `with open_vsi(path) as file`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

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
            raise RasterioIOError("fewer bytes came than were asked for")


@contextmanager
def open_vsi(path: str) -> Iterator[VsiFile]:
    """Open a file to read it.

    Args:
        path: as GDAL names it, such as `/vsicurl/http://…`.

    Raises:
        RasterioIOError: it cannot be opened.
    """
    gdal = _gdal()
    assert gdal is not None
    handle = gdal.VSIFOpenL(path.encode(), b"rb")
    if not handle:
        raise RasterioIOError("the file cannot be opened")
    try:
        yield VsiFile(handle)
    finally:
        gdal.VSIFCloseL(handle)


def forget(path: str) -> None:
    """Drop what GDAL keeps of a file on the network, so that another attempt fetches it anew."""
    if can_read():
        gdal = _gdal()
        assert gdal is not None
        gdal.VSICurlPartialClearCache(path.encode())


@cache
def _gdal() -> ctypes.CDLL | None:
    """GDAL's file functions, found through rasterio's own module: the library that it has loaded."""
    try:
        gdal = ctypes.CDLL(rasterio._base.__file__)
        gdal.VSIFOpenL.restype = ctypes.c_void_p
        gdal.VSIFOpenL.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        gdal.VSIFReadMultiRangeL.restype = ctypes.c_int
        gdal.VSIFReadMultiRangeL.argtypes = [
            *(ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_uint64)),
            *(ctypes.POINTER(ctypes.c_size_t), ctypes.c_void_p),
        ]
        gdal.VSIFCloseL.argtypes = [ctypes.c_void_p]
        gdal.VSICurlPartialClearCache.restype = None
        gdal.VSICurlPartialClearCache.argtypes = [ctypes.c_char_p]
    except (OSError, AttributeError):
        logging.getLogger(__name__).warning(
            "GDAL's functions are not found: tiles are not held against their checksums"
        )
        return None
    return gdal
