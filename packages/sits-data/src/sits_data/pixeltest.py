"""Whether the numbers of a scene still hold ESA's offset of 1000, judged by the numbers themselves.

Reflectance is hardly ever negative, and some ground is always dark: vegetation in red and blue, water
in the short-wave infrared. Numbers with the offset start near 1000, numbers without it
near 0. Ground that is bright in every band says nothing by itself; there, the same ground on other
days does.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import DN_SHIFT, SCL

TEST_BANDS = ("B02", "B04", "B12")
"""Enough to find dark ground: vegetation is dark in blue and red, water, snow and shadow at 2.2 µm."""

TAIL = 0.005
"""Quantile that stands for the darkest pixels; a few dead ones below it do not matter."""

TAIL_WITHOUT_OFFSET_DN = 800
"""A darkest DN below this is one without the offset: with it, reflectance would be below -0.02."""

MIN_TAIL_PX, MIN_CLASS_PX, MIN_PAIRED_PX = 100, 30, 30
"""Fewer pixels than these say nothing."""

DARK_CLASSES: dict[SCL, tuple[tuple[str, ...], int]] = {
    SCL.VEGETATION: (("B02", "B04"), 2000),
    SCL.WATER: (("B12",), 1400),
}
"""Class → bands in which its darker pixels must be dark, and the highest DN with the offset that is
still dark; what is brighter is no such ground, whatever the classification says. Snow is dark at 2.2 µm
too, but clouds of ice pass for it, and theirs is 0.1 to 0.15 there."""

DARKER = 0.05
"""Quantile of a class's pixels that must be dark."""

DARK_WITH_OFFSET_DN = 950
"""Dark ground from this DN on holds the offset: without it, reflectance would be 0.095."""

SAME_GROUND = (SCL.VEGETATION, SCL.NOT_VEGETATED, SCL.WATER)
"""Classes that may be held against the same class of another day; snow and cloud vary too much."""

UNDECIDED_DN = 300, 700
"""Differences to other days between these are neither 0 nor 1000."""


@dataclass(frozen=True)
class Sample:
    """A coarse look at a scene.

    Args:
        bands: ids of the bands, in order.
        dn: (band, y, x) uint16 numbers as they are stored, 0 = no data.
        scl: (y, x) uint8 scene classification, 0 = no data.
    """

    bands: tuple[str, ...]
    dn: NDArray[np.uint16]
    scl: NDArray[np.uint8]


def offset_by_darkness(sample: Sample) -> int | None:
    """The offset that the darkest numbers of a scene tell.

    Returns:
        0 or -1000 DN; None where there is no dark ground, or too little of anything.
    """
    tails = [
        float(np.quantile(seen, TAIL))
        for band in sample.dn
        if (seen := band[band != 0]).size >= MIN_TAIL_PX
    ]
    if not tails:
        return None
    if min(tails) < TAIL_WITHOUT_OFFSET_DN:
        return 0
    for scl, (bands, highest_dn) in DARK_CLASSES.items():
        for name, band in zip(sample.bands, sample.dn, strict=True):
            dark = band[(sample.scl == scl) & (band != 0)]
            if name not in bands or dark.size < MIN_CLASS_PX:
                continue
            if DARK_WITH_OFFSET_DN <= np.quantile(dark, DARKER) <= highest_dn:
                return -DN_SHIFT
    return None


def offset_by_continuity(sample: Sample, others: Iterable[tuple[Sample, int]]) -> int | None:
    """The offset that makes a scene continue what others show of the same ground.

    The ground changes between dates, but hardly by the same 0.1 in all bands: of each band the
    median over pixels that have one class on both dates is taken, of the bands again the median.

    Args:
        sample: the scene in question.
        others: scenes near in time, nearest first, on the same grid and with the same bands, each
            with the offset (0 or -1000) that its numbers are known to carry. The first one that
            decides is the last one looked at.

    Returns:
        0 or -1000 DN; None where no other decides.
    """
    if np.count_nonzero(np.isin(sample.scl, SAME_GROUND)) < MIN_PAIRED_PX:
        return None
    for other, offset_dn in others:
        step_dn = _step(sample, other)
        if step_dn is None:
            continue
        held = step_dn - offset_dn
        if held <= UNDECIDED_DN[0]:
            return 0
        if held >= UNDECIDED_DN[1]:
            return -DN_SHIFT
    return None


def _step(sample: Sample, other: Sample) -> float | None:
    """By how much a sample's stored numbers exceed those of another; None without common ground."""
    same = (sample.scl == other.scl) & np.isin(sample.scl, SAME_GROUND)
    steps = []
    for mine, theirs in zip(sample.dn, other.dn, strict=True):
        both = same & (mine != 0) & (theirs != 0)
        if np.count_nonzero(both) >= MIN_PAIRED_PX:
            steps.append(np.median(mine[both].astype(np.int32) - theirs[both]))
    return float(np.median(steps)) if steps else None
