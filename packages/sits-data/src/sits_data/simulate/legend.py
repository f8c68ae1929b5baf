"""The classes: what grows, how its season runs, how it looks from within, and which are hard to tell."""

from dataclasses import dataclass
from typing import Literal

Growth = Literal[
    "winter cereal", "summer crop", "beet", "meadow", "orchard", "forest", "clearing",
    "road", "hedge", "water", "yard",
]  # fmt: skip
Texture = Literal["plain", "trees", "rows", "clumps"]
Group = Literal["arable", "grass", "orchard", "forest", "clearing", "none"]


@dataclass(frozen=True)
class LandClass:
    """One class of land.

    Args:
        code: value in the class rasters and in `parcels.gpkg`; 0 is land without a label.
        name: what people call it.
        colour: `#rrggbb` on maps.
        growth: which phenology it follows.
        stretched: the end of its season is shifted against its start (see `phenology`).
        texture: what its within-field pattern looks like (see `texture`).
        group: what it may change into (see `rotation`).
        share: part of the parcels that carry it in the first season.
    """

    code: int
    name: str
    colour: str
    growth: Growth
    texture: Texture = "plain"
    group: Group = "none"
    share: float = 0.0
    stretched: bool = False


CLASSES: tuple[LandClass, ...] = (
    LandClass(1110, "Winter wheat", "#d8b548", "winter cereal", "plain", "arable", 0.115),
    LandClass(1120, "Spelt", "#b07d2b", "winter cereal", "plain", "arable", 0.115, stretched=True),
    LandClass(1200, "Maize", "#e2e052", "summer crop", "plain", "arable", 0.115),
    LandClass(1210, "Sorghum", "#e08a3c", "summer crop", "plain", "arable", 0.115, stretched=True),
    LandClass(8100, "Sugar beet", "#c2407e", "beet", "plain", "arable", 0.04),
    LandClass(9120, "Meadow", "#a5d75b", "meadow", "plain", "grass", 0.115),
    LandClass(9130, "Meadow with trees", "#5ea34a", "meadow", "trees", "grass", 0.115),
    LandClass(9310, "Orchard in rows", "#3f8fc0", "orchard", "rows", "orchard", 0.115),
    LandClass(9320, "Orchard in clumps", "#2b4f94", "orchard", "clumps", "orchard", 0.115),
    LandClass(9500, "Poplar forest", "#1d5b34", "forest", "trees", "forest", 0.04),
    LandClass(9590, "Clearing", "#8a5a44", "clearing", "clumps", "clearing"),
)
"""Every labelled class; codes follow the crop types of the ESA WorldCereal legend where it has them."""

BACKGROUND: tuple[LandClass, ...] = (
    LandClass(0, "Road", "#7f7f7f", "road"),
    LandClass(0, "Hedge", "#35603a", "hedge"),
    LandClass(0, "Water", "#2a6fb0", "water"),
    LandClass(0, "Farmyard", "#b9a79c", "yard"),
)
"""Land between the parcels, unlabelled."""

ALL: tuple[LandClass, ...] = CLASSES + BACKGROUND
"""Land is stored as positions in this tuple; labels are its codes."""

ROAD, HEDGE, WATER, YARD = range(len(CLASSES), len(ALL))

TIME_PAIRS: tuple[tuple[int, int], ...] = ((1110, 1120), (1200, 1210))
"""Codes whose parcels look alike on every single date; only how dates go together tells them apart."""

TEXTURE_PAIRS: tuple[tuple[int, int], ...] = ((9120, 9130), (9310, 9320))
"""Codes whose parcel means are alike on all dates; only the pattern within a parcel tells them apart.

The second pair even shares its histogram: the same pixel values, in rows or in clumps.
"""

CHANGES: dict[int, str] = {
    0: "no change",
    1: "another crop on the same arable land",
    2: "conversion: meadow or orchard to arable land",
    3: "clearing: forest felled",
}
"""Values of the change raster; 255 is land without a label."""


def index_of(code: int) -> int:
    """Position of a labelled class in `ALL`."""
    return next(i for i, c in enumerate(CLASSES) if c.code == code)


def members(group: Group) -> tuple[int, ...]:
    """Positions of the classes of a group."""
    return tuple(i for i, c in enumerate(CLASSES) if c.group == group)
