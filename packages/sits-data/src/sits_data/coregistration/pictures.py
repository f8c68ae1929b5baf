"""One date of a cube as the edges in each of its windows."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import BANDS
from sits_data.cube import RawCube
from sits_data.errors import InvalidRequest
from sits_data.grid import Window
from sits_data.mask import MaskName, clear_pixels, strict_classes
from sits_data.shifts import Edges, find_edges

MIN_CLEAR = 0.7
"""Share of a window's edges that must be known."""

Pictures = list[Edges | None]
"""The windows of one date, None where too little is clear."""


def sharp_bands(cube: RawCube) -> NDArray[np.int64]:
    """Positions of the bands whose own pixels are no larger than the cube's.

    A 20 m band repeated at 10 m has edges on every second line only, which hold a shift there.

    Raises:
        InvalidRequest: there is none.
    """
    sharp = [i for i, band in enumerate(cube.bands) if BANDS[band].native_m <= cube.resolution_m]
    if not sharp:
        fine = ", ".join(band.id for band in BANDS.values() if band.native_m <= cube.resolution_m)
        raise InvalidRequest(
            f"{cube.path} at {cube.resolution_m} m has only coarser bands ({', '.join(cube.bands)}), "
            f"which show no shift; build it with one of {fine}"
        )
    return np.array(sharp)


def find_pictures(
    cube: RawCube,
    time: int,
    windows: Sequence[Window],
    *,
    bands: NDArray[np.int64],
    mask: MaskName,
) -> Pictures:
    """The edges of one date in each window; every chunk is decoded once.

    Args:
        cube: to read from.
        time: index of the date.
        windows: those of a chunk next to each other, none across a border.
        bands: positions of the bands to look at.
        mask: which pixels count as clear.
    """
    found: Pictures = []
    for _, inside in groupby(windows, lambda one: (one.y // cube.chunk_px, one.x // cube.chunk_px)):
        found += _in_chunk(cube, time, list(inside), bands, mask)
    return found


def _in_chunk(
    cube: RawCube, time: int, windows: list[Window], bands: NDArray[np.int64], mask: MaskName
) -> Iterator[Edges | None]:
    top, left = min(one.y for one in windows), min(one.x for one in windows)
    bottom, right = max(one.y + one.height for one in windows), max(one.x + one.width for one in windows)
    area = (slice(top, bottom), slice(left, right))
    scl = cube.read("scl", (time, *area)) if strict_classes(mask) else None
    clear = clear_pixels(cube.read("qa", (time, *area)), scl, mask)
    parts = [
        (slice(one.y - top, one.y - top + one.height), slice(one.x - left, one.x - left + one.width))
        for one in windows
    ]
    if not any(clear[part].mean() >= MIN_CLEAR for part in parts):
        yield from [None] * len(parts)
        return
    dn = cube.read("reflectance", (time, slice(None), *area))[bands]
    clear &= (dn > 0).all(axis=0)
    for part in parts:
        edges = find_edges(dn[:, *part], clear[part])
        yield edges if edges.known.mean() >= MIN_CLEAR else None
