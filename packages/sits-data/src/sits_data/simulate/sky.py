"""What stands between the land and the satellite: clouds, shadows, cirrus, the swath's edge."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import DEFAULT_BANDS
from sits_data.simulate.noise import Field, fractal_noise
from sits_data.simulate.orbits import PARTIAL_ORBIT, Pass
from sits_data.simulate.settings import Settings

CLOUD = np.array([0.62, 0.62, 0.64, 0.65, 0.67, 0.69, 0.70, 0.71, 0.52, 0.42], dtype=np.float32)
"""Reflectance of thick cloud, by band of `DEFAULT_BANDS`."""

CIRRUS = np.array([0.35, 0.34, 0.34, 0.35, 0.35, 0.36, 0.36, 0.36, 0.22, 0.16], dtype=np.float32)

COVERS = (0.0, 0.0, 0.03, 0.08, 0.0, 0.15, 0.3, 0.0, 0.5, 0.05, 0.75, 1.0, 0.0, 0.2, 0.6, 1.0)
"""Cloud covers that the days are dealt, in random order."""

CIRRUS_EVERY, PARTIAL_EVERY = 6, 4
"""One day in six has cirrus; one in four of the partial orbit's days misses part of the land."""

FAINT = 0.02
"""Thinner clouds and shadows are not there at all, so clear pixels are clear to the last digit."""

SHADOW_DEPTH = 0.62
"""Part of the light that a thick cloud takes from the land."""

MAX_THROW_PX = 60


@dataclass(frozen=True)
class Weather:
    """What the sky of one day is like.

    Args:
        cover: part of the sky under cloud, 0 to 1.
        cirrus: whether there is thin cirrus.
        partial: whether the swath ends within the land.
    """

    cover: float
    cirrus: bool
    partial: bool


@dataclass(frozen=True)
class Sky:
    """What covers each pixel of the home grid, as parts of 1.

    Args:
        cloud, shadow, cirrus: (y, x) opacity of clouds, light lost to shadow, opacity of cirrus.
        seen: (y, x) True within the swath.
        throw_px: rows and columns from a cloud to its shadow.
    """

    cloud: Field
    shadow: Field
    cirrus: Field
    seen: NDArray[np.bool_]
    throw_px: tuple[int, int]

    @property
    def clear(self) -> NDArray[np.bool_]:
        """(y, x) True where the land is seen as it is."""
        return np.asarray(self.seen & (self.cloud == 0) & (self.shadow == 0) & (self.cirrus == 0))

    def over(self, land: Field) -> Field:
        """(band, y, x) reflectance of the land as it looks through this sky."""
        assert land.shape[0] == len(DEFAULT_BANDS)
        lit = land * (1 - SHADOW_DEPTH * self.shadow)
        veiled = lit + (CIRRUS[:, None, None] - lit) * self.cirrus
        return np.asarray(veiled + (self._cloud_tops() - veiled) * self.cloud, dtype=np.float32)

    def _cloud_tops(self) -> Field:
        """(band, y, x) reflectance of the clouds alone: the thicker, the brighter."""
        depth = -np.log1p(-np.minimum(self.cloud, 0.9999))
        brightness = 0.65 + 0.45 * (1 - np.exp(-0.25 * depth))
        return np.asarray(CLOUD[:, None, None] * brightness, dtype=np.float32)


def forecast(settings: Settings, flown: list[Pass]) -> list[Weather]:
    """Deal the weather to the days: every catalogue gets its clear, broken and overcast days."""
    rng = settings.rng("weather")
    repeats = -(-len(flown) // len(COVERS))
    covers = np.concatenate([rng.permutation(COVERS) for _ in range(repeats)])
    cirrus = rng.permutation(len(flown)) % CIRRUS_EVERY == 0
    edge = [i for i, p in enumerate(flown) if p.track.relative == PARTIAL_ORBIT]
    partial = set(rng.permutation(edge)[: max(1, len(edge) // PARTIAL_EVERY)].tolist())
    return [Weather(float(covers[i]), bool(cirrus[i]), i in partial) for i in range(len(flown))]


def make_sky(settings: Settings, flown: Pass, weather: Weather) -> Sky:
    """The sky over the home grid at the time of a pass."""
    rng = settings.rng("sky", flown.day.toordinal())
    side = settings.size_px
    throw = _throw_px(rng, flown)
    wide = (side + 2 * MAX_THROW_PX,) * 2
    clouds = _clouds(rng, wide, weather.cover)
    inside = slice(MAX_THROW_PX, MAX_THROW_PX + side)
    rows, columns = (slice(MAX_THROW_PX - t, MAX_THROW_PX - t + side) for t in throw)
    cirrus = np.zeros((side, side), dtype=np.float32)
    if weather.cirrus:
        veil = fractal_noise(rng, (side, side), slope=1.8, longest_px=150)
        cirrus = _without_faint(np.clip(0.06 + 0.06 * veil, 0, 0.2))
    return Sky(
        cloud=clouds[inside, inside],
        shadow=clouds[rows, columns],
        cirrus=cirrus,
        seen=_swath(rng, side) if weather.partial else np.ones((side, side), dtype=bool),
        throw_px=throw,
    )


def _throw_px(rng: np.random.Generator, flown: Pass) -> tuple[int, int]:
    """Rows and columns from a cloud to its shadow: away from the sun, further when it is low."""
    height_m = rng.uniform(250, 900)
    length = min(height_m / math.tan(math.radians(flown.sun_elevation)) / 10, MAX_THROW_PX - 1)
    azimuth = math.radians(flown.sun_azimuth)
    return round(math.cos(azimuth) * length), round(-math.sin(azimuth) * length)


def _clouds(rng: np.random.Generator, shape: tuple[int, int], cover: float) -> Field:
    if cover == 0:
        return np.zeros(shape, dtype=np.float32)
    density = fractal_noise(rng, shape, slope=1.7, longest_px=60)
    excess = density - np.quantile(density, 1 - cover) + (1.5 if cover == 1 else 0)
    return _without_faint(1 - np.exp(-2.2 * np.clip(excess, 0, None)))


def _swath(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """The edge of a descending orbit's swath runs from north-north-east to south-south-west."""
    y, x = np.indices((side, side))
    edge = rng.uniform(0.25, 0.75) * side - (y - side / 2) * math.tan(math.radians(13))
    return np.asarray(x < edge)


def _without_faint(opacity: Field) -> Field:
    return np.where(opacity < FAINT, 0, opacity).astype(np.float32)
