"""Seasons: how much green, ripe and bare ground a unit of land shows on a day, and its reflectance.

Every farmer is early or late. In most classes the whole season is shifted; in `stretched` classes an
early start goes with a late end:

    winter wheat   early start, early end | late start, late end     the season moves
    spelt          early start, late end  | late start, early end    the season stretches

Half of the parcels of either class start early, and half end early. Start and end lie too far apart to
show on one date, so every single date looks alike in both classes; only the whole series differs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sits_data.bands import DEFAULT_BANDS
from sits_data.simulate.legend import ALL, Growth
from sits_data.simulate.rotation import LandUse
from sits_data.simulate.settings import Settings

type Floats = NDArray[np.float64]

SURFACES: dict[str, tuple[float, ...]] = {
    #         B02    B03    B04    B05    B06    B07    B08    B8A    B11    B12
    "crop": (0.025, 0.055, 0.025, 0.085, 0.300, 0.400, 0.430, 0.450, 0.200, 0.090),
    "grass": (0.035, 0.070, 0.045, 0.110, 0.260, 0.330, 0.350, 0.370, 0.220, 0.120),
    "tree": (0.018, 0.038, 0.020, 0.065, 0.240, 0.320, 0.340, 0.360, 0.160, 0.070),
    "twigs": (0.040, 0.055, 0.060, 0.085, 0.120, 0.140, 0.155, 0.170, 0.190, 0.130),
    "straw": (0.070, 0.110, 0.150, 0.200, 0.250, 0.280, 0.300, 0.320, 0.360, 0.260),
    "soil": (0.075, 0.105, 0.140, 0.170, 0.190, 0.205, 0.220, 0.235, 0.300, 0.250),
    "water": (0.030, 0.035, 0.025, 0.020, 0.015, 0.013, 0.010, 0.009, 0.002, 0.001),
    "asphalt": (0.090, 0.110, 0.120, 0.130, 0.140, 0.150, 0.155, 0.160, 0.190, 0.180),
    "roof": (0.180, 0.205, 0.235, 0.245, 0.250, 0.260, 0.270, 0.280, 0.320, 0.300),
}
"""Reflectance of pure surfaces, typical of Sentinel-2 over temperate farmland."""

SHIFT_DAYS = 15.0
"""How much earlier or later than the middle a farmer is."""


@dataclass(frozen=True)
class Traits:
    """What makes one unit of land differ from the next of its class; nothing here knows the class.

    Args:
        lateness: (unit,) -1 early or +1 late.
        jitter: (unit, 2) further days of delay at the start and at the end of the season.
        mowing: (unit, 3) days of the year on which grass is cut.
        level: (unit, band) factor on reflectance, about 1.
        waves: (unit, 3, 2) amplitude and phase of slow swings of vigour over the months.
    """

    lateness: Floats
    jitter: Floats
    mowing: Floats
    level: Floats
    waves: Floats


def draw_traits(settings: Settings, n_units: int, classes: NDArray[np.intp]) -> Traits:
    """Draw every unit's traits; in each class of the first season as many are early as late."""
    rng = settings.rng("traits")
    # Ranked by class, every other unit is late; a random order decides which.
    order = np.lexsort((rng.random(n_units), classes))
    lateness = np.empty(n_units)
    lateness[order] = np.where(np.arange(n_units) % 2, 1.0, -1.0)
    return Traits(
        lateness=lateness,
        jitter=rng.normal(0, 2.5, (n_units, 2)),
        mowing=np.array([145, 195, 245]) + rng.normal(0, 10, (n_units, 3)),
        level=np.exp(
            rng.normal(0, 0.05, (n_units, 1)) + rng.normal(0, 0.03, (n_units, len(DEFAULT_BANDS)))
        ),
        waves=np.stack([rng.normal(0, 0.02, (n_units, 3)), rng.uniform(0, 2 * np.pi, (n_units, 3))], -1),
    )


def mean_reflectance(
    land_use: LandUse, traits: Traits, day: date, *, wetness: float
) -> tuple[Floats, NDArray[np.intp]]:
    """Reflectance of every unit on a day, before any pattern within it.

    Args:
        land_use: classes through the seasons.
        traits: of the units.
        day: the day.
        wetness: 0 dry to 1 wet; wet soil is a quarter darker.

    Returns:
        (unit, band) reflectance in the order of `DEFAULT_BANDS`, and (unit,) the class that day.
    """
    units = np.arange(len(land_use.classes))
    classes = land_use.classes[units, land_use.season_on(day)]
    stretched = np.array([c.stretched for c in ALL])[classes]
    start = SHIFT_DAYS * traits.lateness + traits.jitter[:, 0]
    end = SHIFT_DAYS * np.where(stretched, -1, 1) * traits.lateness + traits.jitter[:, 1]
    day_of_year = float(day.timetuple().tm_yday)
    mixture = np.zeros((len(units), len(SURFACES)))
    for growth, season in GROWTH.items():
        which = np.array([c.growth == growth for c in ALL])[classes]
        cover = season(day_of_year, start[which], end[which], traits.mowing[which])
        for surface, part in cover.items():
            mixture[which, list(SURFACES).index(surface)] = part
    surfaces = np.array(list(SURFACES.values()))
    surfaces[list(SURFACES).index("soil")] *= 1 - 0.25 * wetness
    angle = 2 * np.pi * day.toordinal() / np.array([45.0, 90.0, 200.0]) + traits.waves[..., 1]
    swing = 1 + (traits.waves[..., 0] * np.sin(angle)).sum(axis=1, keepdims=True)
    return mixture @ surfaces * traits.level * swing, classes


def _rise(day: float, middle: Floats | float, width: float) -> Floats:
    """Logistic rise from 0 to 1; `width` days take it from a half to three quarters, about."""
    return np.asarray(expit((day - np.asarray(middle)) / width))


def _winter_cereal(day: float, start: Floats, end: Floats, _mowing: Floats) -> dict[str, Floats]:
    ripe, harvested = _rise(day, 178 + end, 5), _rise(day, 197 + end, 2)
    # Early sowing makes a dense winter stand; an early harvest leaves time for a dense catch crop.
    winter, catch = 0.28 - 0.012 * start, 0.40 - 0.022 * end
    stand = winter + (0.92 - winter) * _rise(day, 96 + 0.8 * start, 6)
    green = stand * (1 - ripe) + catch * _rise(day, 228, 5) * (1 - _rise(day, 294, 2))
    return _on_soil(green + winter * _rise(day, 324, 3), 0.85 * ripe * (1 - 0.8 * harvested))


def _summer_crop(day: float, start: Floats, end: Floats, _mowing: Floats) -> dict[str, Floats]:
    ripe, harvested = _rise(day, 238 + end, 5), _rise(day, 254 + end, 2)
    # Who sows late has let the winter's cover grow; an early harvest leaves time for a catch crop.
    winter, catch = 0.32 + 0.018 * start, 0.35 - 0.020 * end
    cover = winter * (1 - _rise(day, 122, 3) + _rise(day, 326, 3))
    green = 0.92 * _rise(day, 155 + start, 5) * (1 - ripe) + cover
    green += catch * _rise(day, 274, 3) * (1 - _rise(day, 298, 2))
    return _on_soil(green, 0.8 * ripe * (1 - 0.8 * harvested))


def _beet(day: float, start: Floats, end: Floats, _mowing: Floats) -> dict[str, Floats]:
    weeds = 0.1 * (1 - _rise(day, 95, 4))
    return _on_soil(
        0.95 * _rise(day, 148 + start / 3, 8) * (1 - _rise(day, 308 + end / 3, 2)) + weeds, 0.0
    )


def _on_soil(green: Floats, straw: Floats | float) -> dict[str, Floats]:
    green = np.clip(green, 0, 1)
    straw = np.clip(straw, 0, 1 - green)
    return {"crop": green, "straw": straw, "soil": 1 - green - straw}


def _meadow(day: float, _start: Floats, _end: Floats, mowing: Floats) -> dict[str, Floats]:
    since = day - mowing
    cut = (np.where(since >= 0, np.exp(-np.maximum(since, 0) / 16), 0)).sum(axis=1)
    summer = _rise(day, 85, 12) * (1 - _rise(day, 315, 15))
    grass = (0.65 + 0.27 * summer) * (1 - 0.45 * cut)
    return {"grass": grass, "straw": 0.7 * (1 - grass), "soil": 0.3 * (1 - grass)}


def _leaves(day: float, start: Floats, end: Floats) -> Floats:
    return _rise(day, 112 + start / 4, 5) * (1 - _rise(day, 304 + end / 4, 6))


def _orchard(day: float, start: Floats, end: Floats, _mowing: Floats) -> dict[str, Floats]:
    leaves = _leaves(day, start, end)
    return {"tree": 0.5 * leaves, "twigs": 0.5 * (1 - leaves), "grass": np.full_like(leaves, 0.5)}


def _forest(day: float, start: Floats, end: Floats, _mowing: Floats) -> dict[str, Floats]:
    leaves = _leaves(day, start, end)
    return {"tree": 0.95 * leaves, "twigs": 1 - 0.95 * leaves}


def _clearing(day: float, start: Floats, end: Floats, _mowing: Floats) -> dict[str, Floats]:
    grass = 0.1 + 0.35 * _rise(day, 150 + start / 2, 15) * (1 - _rise(day, 300 + end / 4, 10))
    return {"grass": grass, "straw": 0.5 * (1 - grass), "soil": 0.5 * (1 - grass)}


def _hedge(day: float, start: Floats, end: Floats, _mowing: Floats) -> dict[str, Floats]:
    leaves = _leaves(day, start, end)
    return {"tree": 0.5 * leaves, "twigs": 0.5 * (1 - leaves), "grass": np.full_like(leaves, 0.5)}


def _still(**cover: float) -> Callable[[float, Floats, Floats, Floats], dict[str, Floats]]:
    """Land without seasons."""
    return lambda _day, start, _end, _mowing: {k: np.full_like(start, part) for k, part in cover.items()}


GROWTH: dict[Growth, Callable[[float, Floats, Floats, Floats], dict[str, Floats]]] = {
    "winter cereal": _winter_cereal,
    "summer crop": _summer_crop,
    "beet": _beet,
    "meadow": _meadow,
    "orchard": _orchard,
    "forest": _forest,
    "clearing": _clearing,
    "hedge": _hedge,
    "road": _still(asphalt=0.75, soil=0.25),
    "water": _still(water=1.0),
    "yard": _still(roof=0.8, asphalt=0.2),
}
"""Cover by day of the year, start and end shifts (unit,) in days and mowing days (unit, 3)."""
