"""Where a cube is looked at: a bounded number of windows, whatever its size."""

from collections.abc import Iterator, Sequence

import numpy as np

from sits_data.cube import RawCube
from sits_data.errors import InvalidRequest
from sits_data.grid import Window
from sits_data.shifts import MIN_WINDOWS

SIDES_PX = (64, 32)
_ROOMY = 1.5
"""Windows are the larger ones where the cube's shorter side is so many times as long."""

MAX_CHUNKS, MAX_WINDOWS = 9, 36


def choose_windows(cube: RawCube) -> list[Window]:
    """At most 36 windows in at most 9 chunks, evenly spread; neighbours overlap by half.

    None crosses the border of a chunk: a date costs the decoding of those chunks and no more.

    Raises:
        InvalidRequest: the cube is too small for three of them.
    """
    height, width = cube.geobox.shape
    large, small = SIDES_PX
    side = large if min(height, width) >= _ROOMY * large else small
    windows = [
        Window(chunk.y + y, chunk.x + x, side, side)
        for chunk in _spread(list(_chunks(cube)), MAX_CHUNKS)
        for y in _starts(chunk.height, side)
        for x in _starts(chunk.width, side)
    ]
    if len(windows) < MIN_WINDOWS:
        raise InvalidRequest(
            f"{cube.path} is too small to be co-registered: {height} x {width} pixels have room for "
            f"{len(windows)} windows of {side} px, and {MIN_WINDOWS} must agree; build it over a larger "
            "area"
        )
    return _spread(windows, MAX_WINDOWS)


def _chunks(cube: RawCube) -> Iterator[Window]:
    """The chunks that were asked for and are large enough for a window, row by row."""
    (height, width), side = cube.geobox.shape, cube.chunk_px
    asked = cube.attributes.get("blocks")
    for row, y in enumerate(range(0, height, side)):
        for col, x in enumerate(range(0, width, side)):
            chunk = Window(y, x, min(side, height - y), min(side, width - x))
            if asked is not None and [row, col] not in asked:
                continue
            if min(chunk.height, chunk.width) >= SIDES_PX[-1]:
                yield chunk


def _spread(places: Sequence[Window], most: int) -> list[Window]:
    chosen = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
    return [places[index] for index in chosen]


def _starts(length: int, side: int) -> list[int]:
    """First pixels of windows along one axis, about half a window apart; none where none fits."""
    room = length - side
    count = 0 if room < 0 else -(-2 * room // side) + 1
    return [round(start) for start in np.linspace(0, max(room, 0), count)]
