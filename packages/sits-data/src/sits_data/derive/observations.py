"""One block of a cube on one date: its numbers, and where they are clear."""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sits_data.cube import RawCube
from sits_data.mask import MaskName, clear_pixels, strict_classes

Place = tuple[int, int]
"""Row and column of a block."""


@dataclass(frozen=True)
class Observations:
    """Reads chunks of a cube.

    Args:
        raw: the cube.
        mask: which bits of `qa` make a pixel unclear; None: every pixel with a value is clear.
    """

    raw: RawCube
    mask: MaskName | None

    def __post_init__(self) -> None:
        if self.mask is not None and strict_classes(self.mask):
            self.raw.array("scl")  # fails here if there is none

    def read_qa(self, time: int, place: Place) -> NDArray[np.uint8]:
        """The bits of one chunk: (side, side)."""
        return self._read("qa", time, place)

    def read(
        self, time: int, place: Place, *, numbers: NDArray[np.uint16], clear: NDArray[np.bool_]
    ) -> bool:
        """Read one chunk; where no pixel is clear, reflectance is not even decoded.

        Args:
            time: index of the date.
            place: of the block.
            numbers: (band, side, side), written to, unless nothing is clear.
            clear: (side, side), written to: True where clear, with a value in every band.

        Returns:
            Whether any pixel is clear.
        """
        clear[...] = True
        if self.mask is not None:
            scl = self._read("scl", time, place) if strict_classes(self.mask) else None
            clear[...] = clear_pixels(self.read_qa(time, place), scl, self.mask)
        if not clear.any():
            return False
        self.raw.read_chunk("reflectance", (time, 0, *place), numbers)
        clear &= np.minimum.reduce(numbers, axis=0) != 0
        return bool(clear.any())

    def _read(self, name: str, time: int, place: Place) -> NDArray[np.uint8]:
        chunk = np.empty((self.raw.chunk_px, self.raw.chunk_px), np.uint8)
        self.raw.read_chunk(name, (time, *place), chunk)
        return chunk


class Room(threading.local):
    """Room for chunks that a thread works on; used again, as fresh pages cost as much as decoding.

    Args:
        dates, bands: how many.
        side: of a block in pixels.
    """

    def __init__(self, dates: int, bands: int, side: int) -> None:
        self.numbers = np.empty((dates, bands, side, side), np.uint16)
        self.clear = np.empty((dates, side, side), np.bool_)
