"""A cube whose dates are moved by known distances."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sits_data.cube import open_raw
from sits_data.units import UnitWriter


def plant(cube: Path, out: Path, shifts: NDArray[np.float64]) -> Path:
    """Copy a cube of one chunk a date and move each date's content, clouds too.

    By splines of order 5, of which the package knows nothing.

    Args:
        cube: the source, no larger than a chunk.
        out: the copy.
        shifts: (T, 2) pixels down and right.
    """
    shutil.copytree(cube, out)
    raw, writer = open_raw(cube), UnitWriter(out)
    for time, shift in enumerate(shifts):
        dn = raw.read("reflectance", time)
        moved = np.stack([_move(band, shift, order=5) for band in dn.astype(np.float64)])
        seen = np.stack([_move(band > 0, shift, order=0) for band in dn])
        dn = np.where(seen, moved.round().clip(1, 65535), 0).astype(np.uint16)
        writer.write("reflectance", (time, 0, 0, 0), dn[None], fill=0)
        for name, fill in (("scl", 0), ("qa", 128)):
            writer.write(
                name, (time, 0, 0), _move(raw.read(name, time), shift, order=0)[None], fill=fill
            )
    return out


def _move(image: NDArray, shift: NDArray[np.float64], order: int) -> NDArray:
    return ndimage.shift(image, shift, order=order, mode="nearest")
