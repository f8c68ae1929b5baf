"""One pass rendered: what the sensor sees in each tile, and the numbers that a product stores."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from sits_data.bands import BANDS, DEFAULT_BANDS, SCL, SCL_NATIVE_M
from sits_data.grid import Grid
from sits_data.simulate.landscape import Landscape
from sits_data.simulate.noise import Field
from sits_data.simulate.orbits import Pass
from sits_data.simulate.place import Tile
from sits_data.simulate.products import Product
from sits_data.simulate.scl import Classes, classify, halve
from sits_data.simulate.settings import Settings
from sits_data.simulate.sky import Sky, Weather, make_sky
from sits_data.simulate.snow import snow_cover, under_snow

STRIP_OVERLAP_PX, TRACK_TILT = 12, 13
"""How far the two datastrips of a pass overlap, and by how many degrees the track leaves north-south."""

NOISE, GAIN = 0.002, 0.005
"""Deviation of a pixel's reflectance noise, and of the factor that a whole band is off by on a day."""

type Numbers = NDArray[np.uint16]


@dataclass(frozen=True)
class View:
    """What the sensor sees of one tile.

    Args:
        bands: band id → (y, x) reflectance at the band's native resolution.
        scl: (y, x) scene classes at 20 m.
        seen: resolution in metres → (y, x) True within the swath.
    """

    bands: dict[str, Field]
    scl: Classes
    seen: dict[int, NDArray[np.bool_]]


@dataclass(frozen=True)
class Rendered:
    """A pass over the home grid: its truth and its sky, from which every tile's view is taken."""

    land: Field
    snow: Field | None
    sky: Sky
    scl: Classes
    looks: Field
    gains: NDArray[np.float32]


def render(settings: Settings, landscape: Landscape, flown: Pass, weather: Weather) -> Rendered:
    """Render a pass on the home grid, at 10 m."""
    land = landscape.reflectance(flown.day)
    snow = snow_cover(settings, flown.day)
    if snow is not None:
        land = under_snow(land, snow)
    sky = make_sky(settings, flown, weather)
    looks = sky.over(land)
    rng = settings.rng("sensor", flown.day.toordinal())
    gains = (1 + rng.normal(0, GAIN, len(DEFAULT_BANDS))).astype(np.float32)
    scl = classify(rng, sky, halve(looks), None if snow is None else halve(snow))
    return Rendered(land, snow, sky, scl, looks, gains)


def view(settings: Settings, rendered: Rendered, flown: Pass, *, home: Tile, tile: Tile) -> View:
    """What the sensor sees in a tile; in another zone's tile the nearest land, in its own pixels."""
    at_10, inside_10 = _nearest(home.grid, tile.grid, 10)
    at_20, inside_20 = _nearest(home.grid, tile.grid, SCL_NATIVE_M)
    looks = rendered.looks[:, at_10[0], at_10[1]]
    seen_10 = rendered.sky.seen[at_10] & inside_10
    scl = np.where(inside_20, rendered.scl[at_20], SCL.NO_DATA).astype(np.uint8)
    seen = {10: seen_10, 20: (halve(seen_10) == 1) & (scl != SCL.NO_DATA)}
    scl[~seen[20]] = SCL.NO_DATA
    coarse = halve(looks)
    bands = {}
    for n, band in enumerate(DEFAULT_BANDS):
        rng = settings.rng(f"noise {tile.mgrs} {band}", flown.day.toordinal())
        exact = looks[n] if BANDS[band].native_m == 10 else coarse[n]
        noise = rng.standard_normal(exact.shape, dtype=np.float32) * NOISE
        bands[band] = np.asarray(exact * rendered.gains[n] + noise, dtype=np.float32)
    return View(bands, scl, seen)


def half_of(whole: View, product: Product) -> View:
    """What of a view lies in a product's datastrip: all of it, or a half cut across the track.

    The halves overlap by `STRIP_OVERLAP_PX`, so no pixel lies in neither.
    """
    if product.strip is None:
        return whole
    height, width = whole.seen[10].shape
    y, x = np.indices((height, width))
    below = y - height / 2 - (x - width / 2) * math.tan(math.radians(TRACK_TILT))
    inside = below < STRIP_OVERLAP_PX / 2 if product.strip == 0 else below > -STRIP_OVERLAP_PX / 2
    seen = {10: whole.seen[10] & inside, 20: whole.seen[20] & (halve(inside) == 1)}
    return View(whole.bands, np.where(seen[20], whole.scl, SCL.NO_DATA).astype(np.uint8), seen)


def numbers(rng: np.random.Generator, seen_as: View, band: str, product: Product) -> Numbers:
    """(y, x) digital numbers of a band in one product; 0 outside the swath, at least 1 within."""
    reflectance = seen_as.bands[band]
    if product.extra_noise:
        noise = rng.standard_normal(reflectance.shape, dtype=np.float32)
        reflectance = reflectance + noise * product.extra_noise
    dn = np.rint(reflectance * 10_000) + product.shift_dn
    return np.where(seen_as.seen[BANDS[band].native_m], np.clip(dn, 1, 65535), 0).astype(np.uint16)


@lru_cache(maxsize=4)
def _nearest(
    home: Grid, other: Grid, step: int
) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.bool_]]:
    """For each pixel of another grid the row and column of the home pixel over its centre."""
    x = other.left + step * (np.arange((other.right - other.left) // step) + 0.5)
    y = other.top - step * (np.arange((other.top - other.bottom) // step) + 0.5)
    xs, ys = np.meshgrid(x, y)
    if other.crs != home.crs:
        xs, ys = Transformer.from_crs(other.crs, home.crs, always_xy=True).transform(xs, ys)
    rows = np.floor((home.top - ys) / step).astype(np.intp)
    columns = np.floor((xs - home.left) / step).astype(np.intp)
    height, width = (home.top - home.bottom) // step, (home.right - home.left) // step
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return (rows.clip(0, height - 1), columns.clip(0, width - 1)), inside
