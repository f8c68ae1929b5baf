"""Chunks of a cube on disk: each compressed here, written under another name, renamed into place."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numcodecs import Blosc
from numpy.typing import NDArray

from sits_data.grid import BLOCK_PX
from sits_data.output import write_atomically

COMPRESSION_LEVEL = 3


@dataclass(frozen=True)
class UnitWriter:
    """Writes units: one chunk of each array, compressed here and renamed into place.

    zarr-python's own path compresses on one event loop and writes half as fast; the bytes are the
    same.
    """

    path: Path

    def write(self, name: str, index: tuple[int, ...], values: NDArray[np.generic], fill: int) -> int:
        """Write one chunk of an array.

        Args:
            name: the array.
            index: of the chunk, along each of the array's axes.
            values: (1, …, y, x) of at most one chunk; what lies beyond is filled.
            fill: the array's fill value.

        Returns:
            Bytes written.
        """
        full = (*values.shape[:-2], BLOCK_PX, BLOCK_PX)
        if values.shape == full:
            chunk = np.ascontiguousarray(values)
        else:
            chunk = np.full(full, fill, values.dtype)
            chunk[..., : values.shape[-2], : values.shape[-1]] = values
        data = Blosc("zstd", COMPRESSION_LEVEL, Blosc.BITSHUFFLE).encode(chunk)
        target = self.path.joinpath(name, "c", *map(str, index))
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, data)
        return len(data)


def unit_is_there(path: Path, time: int, row: int, col: int) -> bool:
    """Whether the chunks of a unit exist in the arrays that every cube has."""
    place = f"{time}/{{}}{row}/{col}"
    chunks = [f"reflectance/c/{place.format('0/')}", f"scl/c/{place.format('')}"]
    return all((path / name).is_file() for name in (*chunks, f"qa/c/{place.format('')}"))
