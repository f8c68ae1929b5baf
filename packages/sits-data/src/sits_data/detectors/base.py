"""What a cloud detector is: a name, what it must see, and bits for what it saw."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox


@dataclass(frozen=True)
class Target:
    """The cube that a detector is to look at.

    Args:
        geobox: its grid.
        bands: canonical ids.
        days: its solar days, in order.
    """

    geobox: GeoBox
    bands: tuple[str, ...]
    days: tuple[date, ...]

    @property
    def resolution_m(self) -> int:
        """Pixel size in metres."""
        return int(self.geobox.resolution.x)


@dataclass(frozen=True)
class View:
    """One window of one day.

    Args:
        day: solar day.
        geobox: the window's grid.
        reflectance: (band, y, x) float32, unit 1, in the order of `CloudDetector.bands`; NaN where
            nothing was observed.
    """

    day: date
    geobox: GeoBox
    reflectance: NDArray[np.float32]


class CloudDetector(Protocol):
    """Finds clouds, shadows, cirrus or snow; called by several threads at a time."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Canonical ids of the bands that it wants to see; none for one that reads a file."""

    @property
    def context_m(self) -> float:
        """How far beyond a window it wants to see, in metres; the cube's edge may come sooner."""

    def detect(self, view: View) -> NDArray[np.uint8]:
        """(y, x) bits of `QA`: cloud, shadow, cirrus or snow; 0 where it found none of them."""


DetectorFactory = Callable[[str, Target], CloudDetector]
