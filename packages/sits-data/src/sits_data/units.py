"""Chunks of a cube on disk: compressed and renamed into place here, and decoded in place.

zarr-python's own path compresses on one event loop and writes half as fast; it decodes into fresh
memory, whose pages cost as much as the decoding. Zarr reads both alike.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from imagecodecs import blosc_decode, blosc_encode
from numpy.typing import NDArray

from sits_data.grid import BLOCK_PX
from sits_data.ledger import Unit, Written
from sits_data.memory import memory_of_this_thread

COMPRESSION_LEVEL = 1
"""Of Blosc: level 3 writes 1 % less of real reflectance, in more than twice the time."""

PARTIAL = ".partial"
_HEADER_BYTES = 16


@dataclass(frozen=True)
class UnitWriter:
    """Writes units: one chunk of each array, compressed here and renamed into place."""

    path: Path

    def write(
        self, name: str, index: tuple[int, ...], values: NDArray[np.generic], fill: float
    ) -> Written:
        """Write one chunk of an array.

        Args:
            name: the array.
            index: of the chunk, along each of the array's axes.
            values: (1, …, y, x) of at most one chunk; what lies beyond is filled.
            fill: the array's fill value.
        """
        full = (*values.shape[:-2], BLOCK_PX, BLOCK_PX)
        with memory_of_this_thread("chunk") as memory:
            chunk = memory.empty("chunk", full, values.dtype.type)
            if values.shape != full:
                chunk.fill(fill)
            chunk[..., : values.shape[-2], : values.shape[-1]] = values
            data = blosc_encode(
                chunk, level=COMPRESSION_LEVEL, compressor="zstd", shuffle="bitshuffle",
                typesize=chunk.itemsize, numthreads=1,
                out=memory.empty("encoded", (chunk.nbytes + _HEADER_BYTES,), np.uint8).data,
            )  # fmt: skip
            _replace(chunk_file(self.path, name, index), data)
            return Written.of(data)


def read_chunk(path: Path, name: str, index: tuple[int, ...], out: NDArray[np.generic]) -> bool:
    """Decode one chunk of an array into memory that is there already.

    Args:
        path: the cube.
        name: the array.
        index: of the chunk, along each of the array's axes.
        out: contiguous, of a whole chunk's shape and type; written to.

    Returns:
        Whether the chunk exists; if not, `out` is as it was.

    Raises:
        OSError: it cannot be read.
        ValueError, RuntimeError: what is there is not such a chunk, or not all of it.
    """
    try:
        data = chunk_file(path, name, index).read_bytes()
    except FileNotFoundError:
        return False
    # Source: Blosc's chunk format, bytes 4 to 7 the size decoded, 12 to 15 encoded.
    decoded, encoded = (int.from_bytes(data[at : at + 4], "little") for at in (4, 12))
    if len(data) < _HEADER_BYTES or encoded != len(data) or decoded != out.nbytes:
        raise ValueError(f"{len(data)} bytes that are not {out.nbytes} encoded")
    blosc_decode(data, numthreads=1, out=out.reshape(-1).view(np.uint8).data)
    return True


def _replace(file: Path, data: bytes | bytearray | memoryview) -> None:
    """Write a file, which is there whole or not at all."""
    # On a cluster two workers may write the same unit at the same time, the same bytes.
    partial = file.with_name(f".{file.name}.{uuid4().hex}{PARTIAL}")
    try:
        try:
            partial.write_bytes(data)
        except FileNotFoundError:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def chunk_file(path: Path, name: str, index: tuple[int, ...]) -> Path:
    """Where a chunk of an array lies."""
    return path.joinpath(name, "c", *map(str, index))


def chunk_of(name: str, unit: Unit) -> tuple[int, ...]:
    """Index of a unit's chunk along the axes of an array."""
    middle = (0,) if name == "reflectance" else ()
    return (unit.time, *middle, unit.row, unit.col)


def sweep_partial(path: Path) -> None:
    """Remove chunks that killed processes left half-written."""
    for folder, _, names in os.walk(path):
        for name in names:
            if name.endswith(PARTIAL):
                Path(folder, name).unlink(missing_ok=True)
